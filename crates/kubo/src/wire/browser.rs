//! Keeping web pages out: whoever can reach this interface can do everything, and a browser on the
//! same machine can reach it.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, REFERER, USER_AGENT, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// What a page may send along.
const ALLOWED_HEADERS: &str = "Origin, Accept, Content-Type, X-Requested-With";

/// The pages that may call, by their origin.
#[derive(Debug, Clone)]
pub(crate) struct Origins(Vec<String>);

impl Origins {
    /// Those of this machine on the interface's own port, as Kubo has it, and `more`; `*` is all.
    pub(crate) fn new(port: u16, more: &[String]) -> Self {
        let mut origins = more.to_vec();
        for scheme in ["http", "https"] {
            for host in ["127.0.0.1", "[::1]", "localhost"] {
                origins.push(format!("{scheme}://{host}:{port}"));
            }
        }
        Self(origins)
    }

    fn allow(&self, origin: &str) -> bool {
        self.0.iter().any(|known| known == "*" || known == origin)
    }

    /// Whether a request may come from where it comes: from an allowed page, or from no browser.
    pub(crate) fn permit(&self, method: &Method, headers: &HeaderMap) -> bool {
        let text = |name: HeaderName| match headers.get(name) {
            None => Some(""),
            // What is no text is allowed nowhere.
            Some(value) => value.to_str().ok(),
        };
        let (Some(origin), Some(referer)) = (text(ORIGIN), text(REFERER)) else {
            return false;
        };
        if !origin.is_empty() && !self.allow(origin) {
            return false;
        }
        if !referer.is_empty() && !origin_of(referer).is_some_and(|origin| self.allow(origin)) {
            return false;
        }
        // A browser's POST has one of them, with rare exceptions: those are not let in.
        if method == Method::POST && origin.is_empty() && referer.is_empty() {
            let agent = headers
                .get(USER_AGENT)
                .map_or(&b""[..], HeaderValue::as_bytes);
            let electron = agent.windows(8).any(|part| part == b"Electron");
            return electron || !agent.starts_with(b"Mozilla");
        }
        true
    }

    /// Whether this asks what a page may do, before it does it.
    pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The headers by which a page from an allowed origin may see the answer.
    pub(crate) fn share(&self, request: &HeaderMap, preflight: bool, answer: &mut HeaderMap) {
        answer.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = request.get(ORIGIN) else {
            return;
        };
        if !origin.to_str().is_ok_and(|origin| self.allow(origin)) {
            return;
        }
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if preflight {
            answer.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("POST"),
            );
            answer.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(ALLOWED_HEADERS),
            );
        }
    }
}

/// Scheme, host and port of a URL.
fn origin_of(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    let end = url[host..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |end| host + end);
    let origin = &url[..end];
    (!origin.contains('@') && end > host).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.clone(),
                    HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn pages_of_others_are_kept_out() {
        let origins = Origins::new(5001, &["https://webui.example".into()]);
        for (pairs, allowed) in [
            (&[][..], true),
            (&[(ORIGIN, "http://localhost:5001")], true),
            (&[(ORIGIN, "https://[::1]:5001")], true),
            (&[(ORIGIN, "http://localhost:5002")], false),
            (&[(ORIGIN, "http://localhost")], false),
            (&[(ORIGIN, "http://evil.example")], false),
            (&[(ORIGIN, "null")], false),
            (&[(ORIGIN, "http://évil")], false),
            (&[(ORIGIN, "https://webui.example")], true),
            (&[(REFERER, "http://127.0.0.1:5001/webui?x#y")], true),
            (&[(REFERER, "http://127.0.0.1:5001")], true),
            (&[(REFERER, "http://127.0.0.1:5001.evil.example/")], false),
            (&[(REFERER, "http://127.0.0.1:5001@evil.example/")], false),
            (&[(REFERER, "nonsense")], false),
            (&[(USER_AGENT, "curl/8")], true),
            (&[(USER_AGENT, "Mozilla/5.0")], false),
            (&[(USER_AGENT, "Mozilla/5.0 Electron/30")], true),
            (
                &[
                    (USER_AGENT, "Mozilla/5.0"),
                    (ORIGIN, "http://localhost:5001"),
                ],
                true,
            ),
            (
                &[
                    (ORIGIN, "http://localhost:5001"),
                    (REFERER, "http://evil.example/"),
                ],
                false,
            ),
        ] {
            let headers = headers(pairs);
            assert_eq!(
                origins.permit(&Method::POST, &headers),
                allowed,
                "{pairs:?}"
            );
        }
        let all = Origins::new(1, &["*".into()]);
        assert!(all.permit(&Method::POST, &headers(&[(ORIGIN, "http://evil.example")])));
    }

    #[test]
    fn only_allowed_pages_see_answers() {
        let origins = Origins::new(5001, &[]);
        for (origin, shared) in [
            ("http://localhost:5001", true),
            ("http://evil.example", false),
        ] {
            let request = headers(&[(ORIGIN, origin)]);
            let mut answer = HeaderMap::new();
            origins.share(&request, true, &mut answer);
            assert_eq!(answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), shared);
            assert_eq!(answer.contains_key(ACCESS_CONTROL_ALLOW_METHODS), shared);
        }
    }
}
