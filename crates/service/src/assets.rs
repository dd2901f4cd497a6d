//! The page at `/`: files that are built beforehand and are part of the program.
//!
//! What lies in `page/dist` is served, under its own path; `index.html` is also `/`. A file whose name
//! has `.gz` after it is the same in gzip, for whoever takes that.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use cidbucket_direct::{Code, Problem};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::answer::{self, Answer, IfNoneMatch};
use crate::content_policy::content_policy;

// `FILES`: names in `page/dist`, and what is in them.
include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

struct File {
    content_type: &'static str,
    plain: Form,
    gzip: Option<Form>,
}

/// The bytes of a file in one coding, and their tag.
struct Form {
    bytes: &'static [u8],
    etag: HeaderValue,
}

static BY_PATH: LazyLock<HashMap<String, File>> = LazyLock::new(|| {
    let (gzip, plain): (Vec<_>, Vec<_>) = FILES
        .iter()
        .partition(|(name, _)| name.strip_suffix(".gz").is_some());
    let gzip: HashMap<_, _> = gzip.into_iter().copied().collect();
    let files = plain.into_iter().map(|&(name, bytes)| {
        let path = match name {
            "index.html" => "/".to_owned(),
            name => format!("/{name}"),
        };
        let gzip = gzip.get(format!("{name}.gz").as_str());
        let file = File {
            content_type: content_type(name),
            plain: Form::of(bytes),
            gzip: gzip.copied().map(Form::of),
        };
        (path, file)
    });
    files.collect()
});

impl Form {
    fn of(bytes: &'static [u8]) -> Self {
        let digest = BASE64URL_NOPAD.encode(&Sha256::digest(bytes)[..16]);
        let etag = HeaderValue::from_str(&format!("\"{digest}\"")).expect("ASCII");
        Self { bytes, etag }
    }
}

/// The page, as this service sends it.
pub(crate) struct Assets {
    policy: HeaderValue,
}

impl Assets {
    /// The page may talk to the bucket at this URL, beside its own service.
    pub(crate) fn new(bucket: Option<&str>) -> Self {
        let policy = HeaderValue::from_str(&content_policy(bucket)).expect("a policy is ASCII");
        Self { policy }
    }

    /// The file at a path.
    pub(crate) fn answer(&self, path: &str, headers: &HeaderMap) -> Result<Answer, Problem> {
        let path = if path == "/index.html" { "/" } else { path };
        let Some(file) = BY_PATH.get(path) else {
            return Err(Problem::new(
                Code::NotFound,
                "there is nothing at this path",
            ));
        };
        let gzip = file.gzip.as_ref().filter(|_| takes_gzip(headers));
        let form = gzip.unwrap_or(&file.plain);
        let mut answer = if IfNoneMatch::of(headers, &form.etag) == IfNoneMatch::Other {
            answer::ok(file.content_type, Bytes::from_static(form.bytes))
        } else {
            answer::empty(StatusCode::NOT_MODIFIED)
        };
        let headers = answer.headers_mut();
        if gzip.is_some() {
            let coding = HeaderValue::from_static("gzip");
            headers.insert(header::CONTENT_ENCODING, coding);
        }
        headers.insert(header::ETAG, form.etag.clone());
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        for (name, value) in [
            // Asked after every time, and sent only where it changed.
            (header::CACHE_CONTROL, "no-cache"),
            (header::VARY, "accept-encoding"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(answer)
    }
}

/// Whether `Accept-Encoding` names gzip, and not with a weight of nothing (RFC 9110 §12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        named && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pairs = headers.iter().cloned();
        pairs
            .map(|(name, value)| (name, HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn answer(path: &str, headers: &[(header::HeaderName, &str)]) -> Answer {
        Assets::new(None).answer(path, &asked(headers)).unwrap()
    }

    fn bytes(answer: &Answer) -> &Bytes {
        answer.body().whole().unwrap()
    }

    #[test]
    fn the_page_is_served_and_asked_after_by_its_tag() {
        for path in ["/", "/index.html"] {
            let page = answer(path, &[]);
            assert_eq!(page.status(), 200);
            assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
            assert!(page.headers().contains_key("content-security-policy"));
            assert!(!page.headers().contains_key("content-encoding"));
            assert!(bytes(&page).starts_with(b"<!doctype html>"));
        }
        let etag = answer("/", &[]).headers()["etag"].clone();
        let page = answer("/", &[(header::IF_NONE_MATCH, etag.to_str().unwrap())]);
        assert_eq!((page.status().as_u16(), bytes(&page).len()), (304, 0));
        for path in [
            "/nothing",
            "//",
            "/../index.html",
            "/index.html/",
            "/page.js.gz",
        ] {
            let nothing = Assets::new(None).answer(path, &HeaderMap::new());
            assert_eq!(nothing.unwrap_err().code, Code::NotFound, "{path}");
        }
    }

    #[test]
    fn the_page_asks_only_for_files_that_are_there() {
        let html = answer("/", &[]);
        let html = bytes(&html);
        let html = str::from_utf8(html).unwrap();
        let references: Vec<_> = ["href=\"", "src=\""]
            .into_iter()
            .flat_map(|attribute| html.split(attribute).skip(1))
            .map(|rest| rest.split('"').next().unwrap())
            .filter(|reference| *reference != "#")
            .collect();
        assert!(references.contains(&"page.js"), "{references:?}");
        for reference in references {
            answer(&format!("/{reference}"), &[]);
        }
        answer("/worker.js", &[]);
    }

    #[test]
    fn the_page_has_nothing_that_its_policy_forbids() {
        let html = answer("/", &[]);
        let html = bytes(&html);
        let html = str::from_utf8(html).unwrap();
        assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains(" on"));
        for script in html.split("<script").skip(1) {
            let tag = script.split('>').next().unwrap();
            assert!(tag.contains("src="), "{tag}");
        }
    }

    #[test]
    fn gzip_for_those_who_take_it() {
        let plain = answer("/page.js", &[]);
        for accept in ["gzip", "br, GZIP;q=0.5", "deflate,gzip ; q=1"] {
            let gzip = answer("/page.js", &[(header::ACCEPT_ENCODING, accept)]);
            assert_eq!(gzip.headers()["content-encoding"], "gzip", "{accept}");
            assert_eq!(gzip.headers()["vary"], "accept-encoding");
            assert_ne!(gzip.headers()["etag"], plain.headers()["etag"]);
            assert!(bytes(&gzip).starts_with(&[0x1f, 0x8b]));
            // Its last four bytes are the size of what is in it (RFC 1952, section 2.3.1).
            let size = bytes(&gzip)
                .last_chunk()
                .map(|size| u32::from_le_bytes(*size));
            assert_eq!(size, u32::try_from(bytes(&plain).len()).ok());
        }
        for accept in ["", "identity", "gzip;q=0", "xgzip"] {
            let answer = answer("/page.js", &[(header::ACCEPT_ENCODING, accept)]);
            assert_eq!(bytes(&answer), bytes(&plain), "{accept}");
        }
    }
}
