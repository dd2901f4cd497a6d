//! The headers of answers (path-gateway, "Response Headers"). Pure.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Audience;
use crate::content_path::ContentPath;
use crate::entity_tag::EntityTag;
use crate::negotiate::Negotiated;

/// `X-Ipfs-Path`: the content path that was asked for.
pub(crate) const IPFS_PATH: HeaderName = HeaderName::from_static("x-ipfs-path");
/// `X-Ipfs-Roots`: the CIDs of its names.
pub(crate) const IPFS_ROOTS: HeaderName = HeaderName::from_static("x-ipfs-roots");

/// What the headers of an answer may take, in bytes: Kubo's client takes 2 KiB, and the server adds
/// some of its own.
const ROOM: usize = 1800;
/// Longest name in `Content-Disposition`, in bytes.
const MAX_NAME: usize = 150;

/// See [`cross_origin`]. Constants, as they would be checked for each answer.
const CROSS_ORIGIN: [(HeaderName, HeaderValue); 4] = [
    (
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    ),
    (
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, OPTIONS"),
    ),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Accept, Authorization, Cache-Control, Content-Type, If-None-Match, If-Range, Range, \
             User-Agent, X-Requested-With",
        ),
    ),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "Content-Length, Content-Location, Content-Range, Etag, Retry-After, X-Chunked-Output, \
             X-Ipfs-Path, X-Ipfs-Roots, X-Stream-Output",
        ),
    ),
];

/// How long answers may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// What a CID names never changes.
    ForEver,
    /// A page made by this program, which another version may make otherwise.
    Week,
}

/// The headers that every answer to a page of another origin needs, errors included.
pub(crate) fn cross_origin(headers: &mut HeaderMap) {
    for (name, value) in CROSS_ORIGIN {
        headers.insert(name, value);
    }
}

/// Tells caches how to keep an answer.
pub(crate) fn keep(headers: &mut HeaderMap, tag: EntityTag, keep: Keep, audience: Audience) {
    let value = match (audience, keep) {
        (Audience::Public, Keep::ForEver) => {
            const { HeaderValue::from_static("public, max-age=29030400, immutable") }
        }
        (Audience::Private, Keep::ForEver) => {
            const { HeaderValue::from_static("private, max-age=29030400, immutable") }
        }
        (Audience::Public, Keep::Week) => {
            const { HeaderValue::from_static("public, max-age=604800, stale-while-revalidate=2678400") }
        }
        (Audience::Private, Keep::Week) => {
            const { HeaderValue::from_static("private, max-age=604800") }
        }
    };
    headers.insert(header::CACHE_CONTROL, value);
    headers.insert(header::ETAG, tag.into_header());
}

/// What an answer says of where it comes from. `roots`: the CIDs of the path's names.
pub(crate) fn origin(
    headers: &mut HeaderMap,
    path: &ContentPath,
    roots: &str,
    negotiated: &Negotiated,
) {
    let url = path.url();
    if let Some(query) = &negotiated.location {
        set(headers, header::CONTENT_LOCATION, format!("{url}?{query}"));
    }
    set(headers, IPFS_PATH, url);
    set(headers, IPFS_ROOTS, roots.to_owned());
    if negotiated.varies {
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    }
}

/// Bytes that no browser is to show or run.
pub(crate) fn inert(headers: &mut HeaderMap, name: &str) {
    headers.insert(header::CONTENT_DISPOSITION, disposition("attachment", name));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        const { HeaderValue::from_static("default-src 'none'; sandbox") },
    );
}

/// `Content-Disposition` with a name (RFC 6266).
pub(crate) fn disposition(kind: &str, name: &str) -> HeaderValue {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let name = &name[..end];
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ';
    let text = if name.bytes().map(char::from).all(plain) {
        [kind, "; filename=\"", name, "\""].concat()
    } else {
        let ascii = name.chars().map(|c| if plain(c) { c } else { '_' });
        let ascii: String = ascii.collect();
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
        format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
    };
    HeaderValue::try_from(text).expect("what is not ASCII was encoded")
}

/// Leaves out what is not needed until the headers are small enough for Kubo.
pub(crate) fn fit(headers: &mut HeaderMap) {
    for name in [header::CONTENT_LOCATION, IPFS_ROOTS, IPFS_PATH] {
        if size(headers) <= ROOM {
            return;
        }
        headers.remove(name);
    }
}

fn size(headers: &HeaderMap) -> usize {
    let each = headers.iter();
    each.map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

/// Sets a header to a text of which it is not known whether it can be one.
fn set(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::negotiate::Format;

    #[test]
    fn names_of_files() {
        for (name, expected) in [
            ("a.bin", "attachment; filename=\"a.bin\""),
            ("a b", "attachment; filename=\"a b\""),
            (
                "\"; x=\"",
                "attachment; filename=\"_; x=_\"; filename*=UTF-8''%22%3B%20x%3D%22",
            ),
            (
                "ä\r\n",
                "attachment; filename=\"___\"; filename*=UTF-8''%C3%A4%0D%0A",
            ),
        ] {
            assert_eq!(disposition("attachment", name), expected, "{name:?}");
        }
        assert!(disposition("inline", &"ä".repeat(5000)).len() < 1100);
    }

    #[test]
    fn headers_stay_small() {
        let long = format!(
            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku{}",
            "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".repeat(100)
        );
        let path = ContentPath::parse(&long).unwrap();
        let negotiated = Negotiated {
            format: Format::Raw,
            location: Some("format=raw".into()),
            varies: true,
        };
        let mut headers = HeaderMap::new();
        cross_origin(&mut headers);
        inert(&mut headers, &"ä".repeat(100));
        origin(&mut headers, &path, &"x,".repeat(100), &negotiated);
        assert!(size(&headers) > ROOM);
        fit(&mut headers);
        assert!(size(&headers) <= ROOM, "{}", size(&headers));
        assert!(headers.contains_key(header::CONTENT_DISPOSITION));
    }
}
