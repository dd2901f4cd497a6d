//! A bucket: where it is and how it is addressed.

use std::fmt;
use std::str::FromStr;

use cidbucket_sigv4::encode_path;

/// How a bucket's name appears in a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// `https://host/bucket/key`: works with every server but a few.
    Path,
    /// `https://bucket.host/key`: what AWS wants. The name must be a DNS label.
    Virtual,
}

impl Style {
    /// `path` or `virtual`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Virtual => "virtual",
        }
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Style {
    type Err = BucketError;

    fn from_str(text: &str) -> Result<Self, BucketError> {
        match text {
            "path" => Ok(Self::Path),
            "virtual" => Ok(Self::Virtual),
            _ => Err(BucketError::Style),
        }
    }
}

/// A bucket at an endpoint. Holds no credentials, so it may be logged.
///
/// ```
/// use cidbucket_presign::{Bucket, Style};
///
/// let bucket = Bucket::new("http://localhost:9000/s3/", "blocks", "us-east-1", Style::Path)?;
/// assert_eq!(bucket.host(), "localhost:9000");
/// assert_eq!(bucket.path("a b"), "/s3/blocks/a b");
/// assert_eq!(bucket.url("a b"), "http://localhost:9000/s3/blocks/a%20b");
/// # Ok::<(), cidbucket_presign::BucketError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bucket {
    scheme: &'static str,
    host: String,
    base_path: String,
    name: String,
    region: String,
    style: Style,
}

impl Bucket {
    /// The bucket `name` at an endpoint such as `https://s3.eu-west-1.amazonaws.com` or
    /// `http://127.0.0.1:9000/base/path`.
    ///
    /// # Errors
    /// [`BucketError`] says which part is wrong, and what would be right.
    pub fn new(
        endpoint: &str,
        name: impl Into<String>,
        region: impl Into<String>,
        style: Style,
    ) -> Result<Self, BucketError> {
        let (name, region) = (name.into(), region.into());
        let (scheme, rest) = if let Some(rest) = endpoint.strip_prefix("https://") {
            ("https", rest)
        } else if let Some(rest) = endpoint.strip_prefix("http://") {
            ("http", rest)
        } else {
            return Err(BucketError::Scheme);
        };
        let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, is_address) = canonical_authority(scheme, authority)?;
        let base_path = base.trim_end_matches('/');
        if !base_path.bytes().all(|b| b == b'/' || is_unreserved(b)) || has_odd_segment(base_path) {
            return Err(BucketError::BasePath);
        }
        if !region.bytes().all(is_unreserved) || region.is_empty() {
            return Err(BucketError::Region);
        }
        check_name(&name, style, scheme, is_address)?;
        Ok(Self {
            host: match style {
                Style::Path => host,
                Style::Virtual => format!("{name}.{host}"),
            },
            scheme,
            base_path: base_path.to_owned(),
            name,
            region,
            style,
        })
    }

    /// A bucket of AWS, at the endpoint of its region. Its style is virtual, but for names with a
    /// dot, which the certificate does not cover.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn aws(name: impl Into<String>, region: impl Into<String>) -> Result<Self, BucketError> {
        let (name, region) = (name.into(), region.into());
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let endpoint = format!("https://s3.{region}.amazonaws.com{suffix}");
        let style = if name.contains('.') {
            Style::Path
        } else {
            Style::Virtual
        };
        Self::new(&endpoint, name, region, style)
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// What the `host` header says and where to connect to: a name or address, and the port
    /// unless it is the scheme's own. In virtual style it begins with the bucket.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The endpoint it was made with: [`Self::new`] with this makes the same bucket.
    pub fn endpoint(&self) -> String {
        let host = match self.style {
            Style::Path => &self.host,
            Style::Virtual => &self.host[self.name.len() + 1..],
        };
        format!("{}://{host}{}", self.scheme, self.base_path)
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// How the name appears in URLs.
    pub fn style(&self) -> Style {
        self.style
    }

    /// The decoded path of an object. With an empty `key`, the path of the bucket itself.
    pub fn path(&self, key: &str) -> String {
        let mut path =
            String::with_capacity(self.base_path.len() + self.name.len() + key.len() + 2);
        self.write_path(key, &mut path);
        path
    }

    /// Appends [`Bucket::path`] to `out`. It allocates only where `out` has to grow.
    pub fn write_path(&self, key: &str, out: &mut String) {
        out.push_str(&self.base_path);
        if self.style == Style::Path {
            out.push('/');
            out.push_str(&self.name);
        }
        out.push('/');
        out.push_str(key);
    }

    /// The plain, unsigned URL of an object: enough to read it where the bucket is public.
    pub fn url(&self, key: &str) -> String {
        format!(
            "{}://{}{}",
            self.scheme,
            self.host,
            encode_path(&self.path(key))
        )
    }
}

/// The URL of the bucket.
impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url(""))
    }
}

/// Why a bucket cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// The endpoint is not a URL.
    #[error("an endpoint begins with https:// or http://")]
    Scheme,
    /// The endpoint's host or port cannot be right.
    #[error("an endpoint is a host with an optional port, without user, query or fragment")]
    Authority,
    /// The endpoint's path has characters that would need encoding, or `.`, `..` or `//`.
    #[error("the path of an endpoint may hold letters, digits, '-', '.', '_', '~' and single '/'")]
    BasePath,
    /// The region is empty or has characters that no region has.
    #[error("a region is a word such as us-east-1; where the server has none, use us-east-1")]
    Region,
    /// The bucket's name cannot be right.
    #[error(
        "a bucket's name has 1 to 255 letters, digits, '-', '.', '_' and ':', and begins and ends \
         with a letter or digit"
    )]
    Name,
    /// The bucket's name cannot be part of a host name.
    #[error(
        "this bucket cannot be addressed in virtual style: its name must be a DNS label of lower \
         case (no dot with https), and the endpoint a host name; use path style"
    )]
    VirtualName,
    /// The style is neither `path` nor `virtual`.
    #[error("the style is path or virtual")]
    Style,
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn has_odd_segment(path: &str) -> bool {
    path.split('/')
        .skip(1)
        .any(|segment| matches!(segment, "" | "." | ".."))
}

/// Host in lower case and port, unless it is the scheme's own; whether it is an IP address.
fn canonical_authority(scheme: &str, text: &str) -> Result<(String, bool), BucketError> {
    let text = text.to_ascii_lowercase();
    let (host, port, is_address) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or(BucketError::Authority)?;
        let address: std::net::Ipv6Addr = address.parse().map_err(|_| BucketError::Authority)?;
        (format!("[{address}]"), port, true)
    } else {
        let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        if !host.split('.').all(is_label) || host.len() > 253 {
            return Err(BucketError::Authority);
        }
        let is_address = host.parse::<std::net::Ipv4Addr>().is_ok();
        (host.to_owned(), port, is_address)
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => return Ok((host, is_address)),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits,
        _ => return Err(BucketError::Authority),
    };
    let port: u16 = port.parse().map_err(|_| BucketError::Authority)?;
    match (scheme, port) {
        (_, 0) => Err(BucketError::Authority),
        ("http", 80) | ("https", 443) => Ok((host, is_address)),
        _ => Ok((format!("{host}:{port}"), is_address)),
    }
}

/// Whether `url` is what [`Bucket::url`] gives for an empty key.
pub(crate) fn is_base(url: &str) -> bool {
    let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") else {
        return false;
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    canonical_authority(scheme, authority).is_ok_and(|(host, _)| host == authority)
        && path.ends_with('/')
        // The colon of Ceph's `tenant:bucket` is all that is ever encoded.
        && path.replace("%3A", "").bytes().all(|b| b == b'/' || is_unreserved(b))
        && (path == "/" || !has_odd_segment(&path[..path.len() - 1]))
}

/// Names as servers other than AWS allow them, too: upper case, `_`, and Ceph's `tenant:bucket`.
fn check_name(
    name: &str,
    style: Style,
    scheme: &str,
    endpoint_is_address: bool,
) -> Result<(), BucketError> {
    let ends = [name.bytes().next(), name.bytes().next_back()];
    let valid = name.len() <= 255
        && ends
            .iter()
            .all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric()))
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b))
        && !name.contains("..");
    if !valid {
        return Err(BucketError::Name);
    }
    if style == Style::Virtual {
        let is_label = name.len() <= 63
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
        if !is_label || endpoint_is_address || (scheme == "https" && name.contains('.')) {
            return Err(BucketError::VirtualName);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(endpoint: &str, name: &str, style: Style) -> Result<String, BucketError> {
        Bucket::new(endpoint, name, "r", style).map(|bucket| bucket.to_string())
    }

    #[test]
    fn endpoints() {
        for endpoint in ["http://h:9000", "https://h.example/base/path"] {
            for style in [Style::Path, Style::Virtual] {
                let bucket = Bucket::new(endpoint, "name", "r", style).unwrap();
                assert_eq!(bucket.endpoint(), endpoint, "{style}");
            }
        }
    }

    #[test]
    fn addresses() {
        for (endpoint, name, style, expected) in [
            ("https://h", "b", Style::Path, "https://h/b/"),
            (
                "https://H.Example:443/",
                "b",
                Style::Path,
                "https://h.example/b/",
            ),
            ("http://h:80", "b", Style::Path, "http://h/b/"),
            ("http://h:443", "b", Style::Path, "http://h:443/b/"),
            (
                "https://h:8443/a/b/",
                "c",
                Style::Path,
                "https://h:8443/a/b/c/",
            ),
            (
                "http://[::1]:9000",
                "b",
                Style::Path,
                "http://[::1]:9000/b/",
            ),
            (
                "http://127.0.0.1:9000",
                "b",
                Style::Path,
                "http://127.0.0.1:9000/b/",
            ),
            ("https://h:9", "b", Style::Virtual, "https://b.h:9/"),
            ("https://h/a", "b", Style::Virtual, "https://b.h/a/"),
            ("http://h", "b.c", Style::Virtual, "http://b.c.h/"),
            ("http://h", "Old_Name", Style::Path, "http://h/Old_Name/"),
            ("http://h", "tenant:b", Style::Path, "http://h/tenant%3Ab/"),
        ] {
            assert_eq!(url(endpoint, name, style).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn refused() {
        use BucketError as E;
        for (endpoint, name, style, expected) in [
            ("h:9000", "b", Style::Path, E::Scheme),
            ("ftp://h", "b", Style::Path, E::Scheme),
            ("https://", "b", Style::Path, E::Authority),
            ("https://user:pw@h", "b", Style::Path, E::Authority),
            ("https://h:", "b", Style::Path, E::Authority),
            ("https://h:0", "b", Style::Path, E::Authority),
            ("https://h:+1", "b", Style::Path, E::Authority),
            ("https://h:65536", "b", Style::Path, E::Authority),
            ("https://a..b", "b", Style::Path, E::Authority),
            ("https://h?x", "b", Style::Path, E::Authority),
            ("https://[::1", "b", Style::Path, E::Authority),
            ("https://h\r\nx", "b", Style::Path, E::Authority),
            ("https://h/a?b", "b", Style::Path, E::BasePath),
            ("https://h/a/../b", "b", Style::Path, E::BasePath),
            ("https://h//a", "b", Style::Path, E::BasePath),
            ("https://h/%41", "b", Style::Path, E::BasePath),
            ("https://h", "", Style::Path, E::Name),
            ("https://h", "a/b", Style::Path, E::Name),
            ("https://h", "..", Style::Path, E::Name),
            ("https://h", "a..b", Style::Path, E::Name),
            ("https://h", "-a", Style::Path, E::Name),
            ("https://h", "a\n", Style::Path, E::Name),
            ("https://h", "b.c", Style::Virtual, E::VirtualName),
            ("https://h", "B", Style::Virtual, E::VirtualName),
            ("http://127.0.0.1", "b", Style::Virtual, E::VirtualName),
            ("http://[::1]", "b", Style::Virtual, E::VirtualName),
        ] {
            assert_eq!(
                url(endpoint, name, style),
                Err(expected),
                "{endpoint} {name}"
            );
        }
        for region in ["", "a b", "a/b", "a\n"] {
            assert_eq!(
                Bucket::new("http://h", "b", region, Style::Path),
                Err(E::Region)
            );
        }
    }

    #[test]
    fn aws() {
        for (name, region, expected) in [
            ("b", "eu-west-1", "https://b.s3.eu-west-1.amazonaws.com/"),
            (
                "a.b",
                "us-east-1",
                "https://s3.us-east-1.amazonaws.com/a.b/",
            ),
            (
                "b",
                "cn-north-1",
                "https://b.s3.cn-north-1.amazonaws.com.cn/",
            ),
        ] {
            assert_eq!(Bucket::aws(name, region).unwrap().to_string(), expected);
        }
    }
}
