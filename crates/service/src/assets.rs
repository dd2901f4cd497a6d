//! The page at `/`: files that are built beforehand and are part of the program.
//!
//! What lies in `page/dist` is served, under its own path; `index.html` is also `/`.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use cidbucket_direct::{Code, Problem};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::answer::{self, Answer, IfNoneMatch};

// `FILES`: names in `page/dist`, and what is in them.
include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// The page runs its own scripts and nobody else's, and talks to its own origin and to S3, wherever
/// that is.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self'; img-src 'self' data: blob:; media-src blob:; font-src 'self'; \
    worker-src 'self' blob:; connect-src 'self' https: http:; manifest-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct File {
    content_type: &'static str,
    bytes: &'static [u8],
    etag: HeaderValue,
}

static BY_PATH: LazyLock<HashMap<String, File>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|&(name, bytes)| {
            let path = match name {
                "index.html" => "/".to_owned(),
                name => format!("/{name}"),
            };
            let digest = BASE64URL_NOPAD.encode(&Sha256::digest(bytes)[..16]);
            let etag = HeaderValue::from_str(&format!("\"{digest}\"")).expect("ASCII");
            let file = File {
                content_type: content_type(name),
                bytes,
                etag,
            };
            (path, file)
        })
        .collect()
});

/// The file at a path.
pub(crate) fn answer(path: &str, headers: &HeaderMap) -> Result<Answer, Problem> {
    let path = if path == "/index.html" { "/" } else { path };
    let Some(file) = BY_PATH.get(path) else {
        return Err(Problem::new(
            Code::NotFound,
            "there is nothing at this path",
        ));
    };
    let mut answer = if IfNoneMatch::of(headers, &file.etag) == IfNoneMatch::Other {
        answer::ok(file.content_type, Bytes::from_static(file.bytes))
    } else {
        answer::empty(StatusCode::NOT_MODIFIED)
    };
    let headers = answer.headers_mut();
    headers.insert(header::ETAG, file.etag.clone());
    for (name, value) in [
        // Asked after every time, and sent only where it changed.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(answer)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        "yaml" => "application/yaml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_served_and_asked_after_by_its_tag() {
        let none = HeaderMap::new();
        for path in ["/", "/index.html"] {
            let page = answer(path, &none).unwrap();
            assert_eq!(page.status(), 200);
            assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
            assert!(page.headers().contains_key("content-security-policy"));
            assert!(!page.body().is_empty());
        }
        let etag = answer("/", &none).unwrap().headers()["etag"].clone();
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, etag);
        let page = answer("/", &asked).unwrap();
        assert_eq!((page.status().as_u16(), page.body().len()), (304, 0));
        for path in ["/nothing", "//", "/../index.html", "/index.html/"] {
            assert_eq!(
                answer(path, &none).unwrap_err().code,
                Code::NotFound,
                "{path}"
            );
        }
    }
}
