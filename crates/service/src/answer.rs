//! Answers: their headers, and problems as answers. Pure.

use bytes::Bytes;
use cidbucket_direct::{Code, Encoding, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use crate::Body;
use crate::route::Route;

/// An answer before its body is handed to the connection.
pub(crate) type Answer = Response<Body>;

/// Grants are as good as a password, and errors are of the moment.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What every answer has, unless it has its own. Constants, as they would be checked for each answer.
const EVERY: [(HeaderName, HeaderValue); 4] = [
    (
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    ),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("etag, retry-after, content-length"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
];

/// An answer of bytes.
pub(crate) fn ok(content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Body::from(body));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    answer
}

/// An answer that is encoded already.
pub(crate) fn encoded(encoding: Encoding, body: Vec<u8>) -> Answer {
    let mut answer = ok(encoding.media_type(), body);
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    answer
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    answer
}

/// A problem as an answer.
pub(crate) fn problem(problem: &Problem) -> Answer {
    let body = serde_json::to_vec(problem).expect("texts and numbers");
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() =
        StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    if let Some(seconds) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if problem.code == Code::Unauthorised {
        let bearer = HeaderValue::from_static("Bearer");
        headers.insert(header::WWW_AUTHENTICATE, bearer);
    }
    answer
}

/// No such method here.
pub(crate) fn no_such_method(route: Route<'_>, method: &Method) -> Answer {
    let mut answer = problem(&Problem::new(
        Code::Method,
        // Another method's name may be anything.
        match *method {
            Method::GET | Method::HEAD | Method::PUT | Method::POST | Method::DELETE => {
                format!("{method} is not for this path; it has {}", route.allow())
            }
            _ => format!("this path has {}", route.allow()),
        },
    ));
    let allow = HeaderValue::from_static(route.allow());
    answer.headers_mut().insert(header::ALLOW, allow);
    answer
}

/// The answer to `OPTIONS`, a page's question before its request included.
pub(crate) fn options(route: Route<'_>) -> Answer {
    let mut answer = empty(StatusCode::NO_CONTENT);
    let headers = answer.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(route.allow()));
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, route.allow()),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, accept, if-none-match",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Puts in what every answer has.
pub(crate) fn finish(headers: &mut HeaderMap) {
    for (name, value) in EVERY {
        headers.entry(name).or_insert(value);
    }
}

/// The entity tag of a block.
pub(crate) fn etag(cid: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{cid}.raw\"")).expect("a CID's text is ASCII")
}

/// What `If-None-Match` has to do with an entity tag (RFC 9110 §13.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfNoneMatch {
    /// Nothing.
    Other,
    /// It names this very tag, strong or weak.
    Same,
    /// `*`: whatever the tag is.
    Any,
}

impl IfNoneMatch {
    pub(crate) fn of(headers: &HeaderMap, etag: &HeaderValue) -> Self {
        let tags = headers.get_all(header::IF_NONE_MATCH);
        for tag in tags
            .iter()
            .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        {
            let tag = tag.trim_ascii();
            if tag == b"*" {
                return Self::Any;
            }
            if tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes() {
                return Self::Same;
            }
        }
        Self::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_none_match() {
        let tag = etag("bafy");
        for (value, expected) in [
            ("\"bafy.raw\"", IfNoneMatch::Same),
            ("W/\"bafy.raw\"", IfNoneMatch::Same),
            ("\"a\", W/\"bafy.raw\" , \"b\"", IfNoneMatch::Same),
            ("*", IfNoneMatch::Any),
            ("\"bafy\"", IfNoneMatch::Other),
            ("bafy.raw", IfNoneMatch::Other),
            ("", IfNoneMatch::Other),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
            assert_eq!(IfNoneMatch::of(&headers, &tag), expected, "{value}");
        }
        assert_eq!(IfNoneMatch::of(&HeaderMap::new(), &tag), IfNoneMatch::Other);
    }

    #[test]
    fn problems_say_in_headers_what_they_say_in_their_body() {
        let answer = problem(&Problem::new(Code::Rate, "slow down").after(7));
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()["retry-after"], "7");
        let answer = problem(&Problem::new(Code::Unauthorised, "no"));
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        let other = Method::from_bytes(b"BREW").unwrap();
        let answer = no_such_method(Route::Reads, &other);
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["allow"]),
            (405, &HeaderValue::from_static("POST, OPTIONS"))
        );
    }
}
