//! Step 1: the canonical request.
//!
//! ```text
//! METHOD \n encoded path \n encoded query \n header lines \n \n signed header names \n payload line
//! ```

use crate::encode::{Sink, is_unreserved};
use crate::sha256::hex;
use crate::{Error, Result};

/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Headers that are sorted without an allocation.
const FEW: usize = 8;

/// A request to sign: all of it that the signature covers, but for the payload.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method in upper case, such as `GET`.
    pub method: &'a str,
    /// The decoded path, from its leading `/`. The signer encodes it; see
    /// [`encode_path`](crate::encode_path) for what to send.
    pub path: &'a str,
    /// The decoded query parameters in any order; see [`encode_query`](crate::encode_query) for
    /// what to send.
    pub query: &'a [(&'a str, &'a str)],
    /// The headers to sign, in any order and case: `host` (with the port, unless it is the
    /// scheme's own), every `x-amz-*` header that is sent, and any other whose change by somebody
    /// on the way must be refused. Not those that the signer itself makes.
    pub headers: &'a [(&'a str, &'a str)],
}

/// What is signed of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// There is no body.
    Empty,
    /// The body has this SHA-256.
    Sha256([u8; 32]),
    /// The body is not signed: the literal `UNSIGNED-PAYLOAD`.
    Unsigned,
}

impl Payload {
    pub(crate) fn line(self) -> PayloadLine {
        match self {
            Self::Empty => PayloadLine::Literal(EMPTY),
            Self::Unsigned => PayloadLine::Literal("UNSIGNED-PAYLOAD"),
            Self::Sha256(digest) => PayloadLine::Hex(hex(&digest)),
        }
    }
}

/// The last line of a canonical request.
pub(crate) enum PayloadLine {
    Literal(&'static str),
    Hex([u8; 64]),
}

impl PayloadLine {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::Hex(hex) => str::from_utf8(hex).expect("ASCII"),
        }
    }
}

/// Headers in canonical order: sorted by lower-case name, those of one name as they came.
pub(crate) struct CanonicalHeaders<'a> {
    /// Most requests have few headers; they cost no allocation.
    few: [(&'a str, &'a str); FEW],
    many: Vec<(&'a str, &'a str)>,
    count: usize,
}

impl<'a> CanonicalHeaders<'a> {
    /// Checks the caller's `headers` and sorts them together with the signer's `own`.
    pub(crate) fn new(
        headers: &[(&'a str, &'a str)],
        own: &[(&'a str, &'a str)],
        reserved: &[&str],
    ) -> Result<Self> {
        for (name, value) in headers {
            check_name(name)?;
            if reserved.iter().any(|own| own.eq_ignore_ascii_case(name)) {
                return Err(Error::ReservedHeader {
                    name: name.to_ascii_lowercase(),
                });
            }
            check_value(name, value)?;
        }
        let count = headers.len() + own.len();
        let mut this = Self {
            few: [("", ""); FEW],
            many: Vec::new(),
            count,
        };
        let all = if count <= FEW {
            &mut this.few[..count]
        } else {
            this.many.resize(count, ("", ""));
            &mut this.many[..]
        };
        all[..headers.len()].copy_from_slice(headers);
        all[headers.len()..].copy_from_slice(own);
        all.sort_by(|(a, _), (b, _)| lower(a).cmp(lower(b)));
        Ok(this)
    }

    fn sorted(&self) -> &[(&'a str, &'a str)] {
        if self.count <= FEW {
            &self.few[..self.count]
        } else {
            &self.many
        }
    }

    /// The one `host` header.
    pub(crate) fn host(&self) -> Result<&'a str> {
        let mut hosts = self
            .sorted()
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = match (hosts.next(), hosts.next()) {
            (Some((_, host)), None) => host.trim_matches(' '),
            _ => return Err(Error::Host),
        };
        let valid = !host.is_empty()
            && host
                .bytes()
                .all(|b| is_unreserved(b) || matches!(b, b':' | b'[' | b']' | b'%'));
        if valid { Ok(host) } else { Err(Error::Host) }
    }

    /// `name:value` lines, each with its line break.
    pub(crate) fn put_lines(&self, out: &mut impl Sink) {
        self.each_name(|name, values| {
            put_name(out, name);
            out.put_byte(b':');
            for (index, (_, value)) in values.iter().enumerate() {
                if index > 0 {
                    out.put_byte(b',');
                }
                put_value(out, value);
            }
            out.put_byte(b'\n');
        });
    }

    /// The signed headers' names.
    pub(crate) fn put_names(&self, out: &mut impl Sink, separator: &str) {
        let mut first = true;
        self.each_name(|name, _| {
            if !first {
                out.put(separator);
            }
            first = false;
            put_name(out, name);
        });
    }

    /// The length of the names with a separator of up to three bytes each.
    pub(crate) fn names_length(&self) -> usize {
        self.sorted().iter().map(|(name, _)| name.len() + 3).sum()
    }

    /// Calls `each` with every name and its values.
    pub(crate) fn each_name(&self, mut each: impl FnMut(&'a str, &[(&'a str, &'a str)])) {
        for values in self
            .sorted()
            .chunk_by(|(a, _), (b, _)| a.eq_ignore_ascii_case(b))
        {
            each(values[0].0, values);
        }
    }
}

/// Everything after the query: header lines, names, payload line.
pub(crate) fn put_headers_and_payload(
    out: &mut impl Sink,
    headers: &CanonicalHeaders<'_>,
    payload: &str,
) {
    headers.put_lines(out);
    out.put_byte(b'\n');
    headers.put_names(out, ";");
    out.put_byte(b'\n');
    out.put(payload);
}

pub(crate) fn put_name(out: &mut impl Sink, name: &str) {
    if any(name, |byte| byte.is_ascii_uppercase()) {
        out.put(&name.to_ascii_lowercase());
    } else {
        out.put(name);
    }
}

/// A value without spaces around it, and with runs of spaces inside it as one.
pub(crate) fn put_value(out: &mut impl Sink, value: &str) {
    if !any(value, |byte| byte == b' ') {
        out.put(value);
        return;
    }
    for (index, word) in value.split(' ').filter(|word| !word.is_empty()).enumerate() {
        if index > 0 {
            out.put_byte(b' ');
        }
        out.put(word);
    }
}

/// A path that can be signed begins with `/`, a method is a token.
pub(crate) fn check_line(method: &str, path: &str) -> Result<()> {
    if !is_token(method) {
        return Err(Error::Method);
    }
    if !path.starts_with('/') {
        return Err(Error::Path);
    }
    Ok(())
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    if is_token(name) {
        Ok(())
    } else {
        Err(Error::HeaderName)
    }
}

pub(crate) fn check_value(name: &str, value: &str) -> Result<()> {
    if any(value, |byte| byte.is_ascii_control()) {
        return Err(Error::HeaderValue {
            name: name.to_ascii_lowercase(),
        });
    }
    Ok(())
}

/// Whether any byte of a short text is of a kind. It looks at all of them, which compiles to vector
/// instructions and is faster than stopping early.
#[inline]
fn any(text: &str, kind: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(false, |any, byte| any | kind(byte))
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| is_unreserved(byte) || b"!#$%&'*+^`|".contains(&byte))
}

fn lower(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| byte.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(headers: &[(&str, &str)]) -> Result<String> {
        let headers = CanonicalHeaders::new(headers, &[("x-amz-date", "D")], &["x-amz-date"])?;
        let mut out = String::new();
        put_headers_and_payload(&mut out, &headers, Payload::Unsigned.line().as_str());
        Ok(out)
    }

    #[test]
    fn headers_are_sorted_trimmed_and_joined() {
        assert_eq!(
            canonical(&[
                ("Zeta", " a   b  "),
                ("HOST", "h"),
                ("zeta", ""),
                ("b-", "1"),
                ("B", "2"),
            ])
            .unwrap(),
            "b:2\nb-:1\nhost:h\nx-amz-date:D\nzeta:a b,\n\nb;b-;host;x-amz-date;zeta\n\
             UNSIGNED-PAYLOAD"
        );
    }

    #[test]
    fn more_headers_than_fit_on_the_stack() {
        let names: Vec<String> = (0..40).rev().map(|i| format!("h{i:02}")).collect();
        let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
        let sorted = canonical(&headers).unwrap();
        assert!(sorted.starts_with("h00:v\nh01:v\nh02:v\n"), "{sorted}");
        assert!(sorted.contains("\nh39:v\nx-amz-date:D\n\nh00;h01;"));
    }

    #[test]
    fn control_characters_are_refused() {
        for value in ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\tb", "a\0", "\u{7f}"] {
            assert_eq!(
                canonical(&[("My-Header", value)]),
                Err(Error::HeaderValue {
                    name: "my-header".into()
                }),
                "{value:?}"
            );
        }
        for name in ["", "a b", "a:", "a\n", "é"] {
            assert_eq!(
                canonical(&[(name, "v")]),
                Err(Error::HeaderName),
                "{name:?}"
            );
        }
        assert!(matches!(
            canonical(&[("X-Amz-Date", "v")]),
            Err(Error::ReservedHeader { name }) if name == "x-amz-date"
        ));
    }

    #[test]
    fn there_is_one_host() {
        let host = |headers: &[(&str, &str)]| {
            CanonicalHeaders::new(headers, &[], &[])
                .unwrap()
                .host()
                .map(str::to_owned)
        };
        assert_eq!(host(&[("Host", " [::1]:9000 ")]).unwrap(), "[::1]:9000");
        for headers in [
            &[("x", "y")][..],
            &[("host", "")],
            &[("host", "a"), ("Host", "a")],
            &[("host", "a/b")],
            &[("host", "user@a")],
            &[("host", "a?b")],
        ] {
            assert_eq!(host(headers), Err(Error::Host), "{headers:?}");
        }
    }
}
