//! Which media type a file has, as far as its name or its first bytes tell. Pure.

/// So many first bytes tell.
pub(crate) const FIRST: u64 = 512;

/// By a file's name.
pub(crate) fn of_name(name: &str) -> Option<String> {
    let guess = mime_guess::from_path(name).first_raw()?;
    Some(if is_text(guess) {
        format!("{guess}; charset=utf-8")
    } else {
        guess.to_owned()
    })
}

/// By a file's first bytes.
pub(crate) fn of_bytes(first: &[u8]) -> &'static str {
    if let Some(found) = infer::get(first) {
        return found.mime_type();
    }
    // A character may be cut off at the end.
    let text = match str::from_utf8(first) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    let control = |byte: &u8| *byte < 0x20 && !b"\t\n\r\x0c\x1b".contains(byte);
    if text && !first.iter().any(control) {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
}

/// HTML says its encoding itself.
fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") && media_type != "text/html"
        || matches!(media_type, "application/javascript" | "application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("index.html", Some("text/html")),
            ("a/b.TXT", Some("text/plain; charset=utf-8")),
            ("x.css", Some("text/css; charset=utf-8")),
            ("photo.jpeg", Some("image/jpeg")),
            ("film.mp4", Some("video/mp4")),
            ("x.svg", Some("image/svg+xml")),
            ("README", None),
            ("", None),
        ] {
            assert_eq!(of_name(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn bytes() {
        assert_eq!(of_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "image/png");
        assert_eq!(of_bytes("schön".as_bytes()), "text/plain; charset=utf-8");
        assert_eq!(
            of_bytes(&"schö".as_bytes()[..4]),
            "text/plain; charset=utf-8"
        );
        assert_eq!(of_bytes(b""), "text/plain; charset=utf-8");
        assert_eq!(of_bytes(b"\0\x01\x02"), "application/octet-stream");
        assert_eq!(of_bytes(b"a\xffb"), "application/octet-stream");
    }
}
