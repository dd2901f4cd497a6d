//! What the page may do in a browser. Pure.

/// The `Content-Security-Policy` of the page, which may talk to its own service and to the bucket at a
/// URL, if its blocks are reached directly.
///
/// No script and no style runs but the page's own files, whatever somebody's file or link has in it.
pub(crate) fn content_policy(bucket: Option<&str>) -> String {
    let bucket = bucket.and_then(source).map(|source| format!(" {source}"));
    format!(
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
         img-src 'self' blob:; media-src blob:; connect-src 'self'{}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        bucket.unwrap_or_default()
    )
}

/// The source (CSP Level 3, section 2.3.1) that covers a URL: its origin. What is no `http` or `https`
/// URL has none.
fn source(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    // The grammar has no place for an IPv6 address, so only the scheme can be named.
    if authority.starts_with('[') {
        return Some(format!("{scheme}:"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_');
    (!authority.is_empty() && authority.chars().all(plain))
        .then(|| format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(bucket: &str) -> String {
        let policy = content_policy(Some(bucket));
        let start = policy.find("connect-src ").unwrap();
        policy[start..].split(';').next().unwrap().to_owned()
    }

    #[test]
    fn names_the_origin_of_the_bucket() {
        for (bucket, sources) in [
            (
                "https://blocks.s3.eu-west-1.amazonaws.com/",
                "'self' https://blocks.s3.eu-west-1.amazonaws.com",
            ),
            ("http://127.0.0.1:8333/b/", "'self' http://127.0.0.1:8333"),
            ("http://[::1]:8333/b/", "'self' http:"),
        ] {
            assert_eq!(connect(bucket), format!("connect-src {sources}"));
        }
        assert!(content_policy(None).contains("connect-src 'self';"));
    }

    #[test]
    fn nothing_else_gets_into_the_policy() {
        for url in [
            "",
            "s3://bucket",
            "https://",
            "https:///path",
            "https://a b/",
            "https://a;script-src *",
            "https://a,b",
            "https://*/",
            "https://user@host/",
            "javascript://x",
            "data:text/html,x",
        ] {
            assert_eq!(connect(url), "connect-src 'self'", "{url}");
        }
    }

    #[test]
    fn no_inline_code_and_no_other_origins() {
        let policy = content_policy(Some("https://s3.example/b/"));
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
        for word in ["unsafe", "*", "data:", "script-src 'self' blob:"] {
            assert!(!policy.contains(word), "{word}");
        }
    }
}
