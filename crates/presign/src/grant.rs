//! A grant: one request that somebody without credentials may send.

use std::collections::BTreeMap;
use std::fmt;

use cidbucket_sigv4::Timestamp;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The method of a granted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Read the block.
    Get,
    /// Ask for its size.
    Head,
    /// Write the block.
    Put,
}

impl Method {
    /// `GET`, `HEAD` or `PUT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One request that may be sent to S3 by whoever holds it, as often as they like, until it
/// expires. `docs/grants.md` specifies it.
///
/// It serializes to an object of `method`, `url`, `headers` and `expires`. Its `Debug` leaves out
/// the query and the values of headers, because they are as good as a password while they last.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// The method to send.
    pub method: Method,
    /// The URL to send it to.
    pub url: String,
    /// The headers to send, in lower case, exactly as they are here; others may be added, but no
    /// `x-amz-*`. `host` follows from the URL.
    pub headers: Vec<(String, String)>,
    /// When S3 stops accepting it; `None` for the plain URL of a public bucket.
    pub expires: Option<Timestamp>,
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Headers<'a>(&'a [(String, String)]);
        impl Serialize for Headers<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
            }
        }
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("method", &self.method)?;
        map.serialize_entry("url", &self.url)?;
        map.serialize_entry("headers", &Headers(&self.headers))?;
        map.serialize_entry("expires", &self.expires.map(Timestamp::unix))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Form {
            method: Method,
            url: String,
            headers: BTreeMap<String, String>,
            expires: Option<u64>,
        }
        let form = Form::deserialize(deserializer)?;
        Ok(Self {
            method: form.method,
            url: form.url,
            headers: form.headers.into_iter().collect(),
            expires: form.expires.map(Timestamp::from_unix),
        })
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split('?').next().unwrap_or_default();
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Grant")
            .field("method", &self.method)
            .field("url", &url)
            .field("headers", &headers)
            .field("expires", &self.expires.map(Timestamp::iso8601))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_debug() {
        let grant = Grant {
            method: Method::Put,
            url: "https://h/b/k?X-Amz-Signature=canary".into(),
            headers: vec![
                ("content-length".into(), "3".into()),
                ("authorization".into(), "canary".into()),
            ],
            expires: Some(Timestamp::from_unix(60)),
        };
        assert_eq!(
            serde_json::to_string(&grant).unwrap(),
            r#"{"method":"PUT","url":"https://h/b/k?X-Amz-Signature=canary","headers":{"content-length":"3","authorization":"canary"},"expires":60}"#
        );
        let shown = format!("{grant:?}");
        assert!(
            shown.contains("https://h/b/k") && !shown.contains("canary"),
            "{shown}"
        );
    }
}
