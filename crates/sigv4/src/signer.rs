//! Step 4: the signature in the `Authorization` header.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::canonical_request::{
    CanonicalHeaders, Payload, Request, check_line, put_headers_and_payload,
};
use crate::encode::{Path, Sink, is_unreserved, put_query};
use crate::presign::Parameters;
use crate::sha256::{Canonical, hex};
use crate::signing_key::{KeyCache, derive};
use crate::string_to_sign::{ALGORITHM, Moment, put_scope};
use crate::{Credentials, Error, Result, Timestamp};

const S3: &str = "s3";

/// Signs requests of one pair of credentials to one region.
///
/// It keeps the day's signing key, so make one and use it for as long as the credentials live;
/// threads may share it.
pub struct Signer {
    credentials: Credentials,
    region: String,
    service: String,
    keys: KeyCache,
    parameters: Parameters,
}

impl Signer {
    /// A signer for S3 in `region` (many other servers take any, or want `us-east-1`).
    ///
    /// # Errors
    /// [`Error::Scope`] and [`Error::Secret`] where a part cannot be right, say for a line break
    /// at its end.
    pub fn new(credentials: Credentials, region: impl Into<String>) -> Result<Self> {
        Self::for_service(credentials, region, S3)
    }

    /// A signer for another service that encodes paths as S3 does, or has none, such as `sts`.
    /// Other services are not sent `x-amz-content-sha256`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn for_service(
        credentials: Credentials,
        region: impl Into<String>,
        service: impl Into<String>,
    ) -> Result<Self> {
        let (region, service) = (region.into(), service.into());
        let visible = |byte: u8| byte.is_ascii_graphic() && !b"/,;\"".contains(&byte);
        let id = credentials.access_key_id();
        if id.is_empty() || !id.bytes().all(visible) {
            return Err(Error::Scope {
                part: "access key id",
            });
        }
        for (part, text) in [("region", &region), ("service", &service)] {
            if text.is_empty() || !text.bytes().all(is_unreserved) {
                return Err(Error::Scope { part });
            }
        }
        for (part, text) in [
            ("secret access key", Some(credentials.secret_access_key())),
            ("session token", credentials.session_token()),
        ] {
            if text.is_some_and(|text| text.is_empty() || text.contains(char::is_control)) {
                return Err(Error::Secret { part });
            }
        }
        Ok(Self {
            parameters: Parameters::new(&credentials, &region, &service),
            credentials,
            region,
            service,
            keys: KeyCache::default(),
        })
    }

    /// The credentials it signs with.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The region it signs for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Signs a request for its `Authorization` header. All headers in the request are signed, and
    /// so are the ones that come back, which are to be sent with it.
    ///
    /// The server accepts the request for 15 minutes around `now`.
    ///
    /// # Errors
    /// Where the request cannot be one: see [`Error`].
    pub fn sign(
        &self,
        request: &Request<'_>,
        payload: Payload,
        now: Timestamp,
    ) -> Result<SignedHeaders> {
        self.sign_line(None, request, payload.line().as_str(), now)
    }

    /// As [`Self::sign`], with the values appended to `text`, which begins with the decoded path, of
    /// `path` bytes. So a request's URL and values can be one string: see
    /// [`SignedHeaders::into_text`]. The request's own path is not looked at.
    ///
    /// # Errors
    /// As [`Self::sign`].
    ///
    /// # Panics
    /// Where `text` has no such path.
    pub fn sign_behind(
        &self,
        text: String,
        path: usize,
        request: &Request<'_>,
        payload: Payload,
        now: Timestamp,
    ) -> Result<SignedHeaders> {
        self.sign_line(Some((text, path)), request, payload.line().as_str(), now)
    }

    fn sign_line(
        &self,
        begun: Option<(String, usize)>,
        request: &Request<'_>,
        payload: &str,
        now: Timestamp,
    ) -> Result<SignedHeaders> {
        let path = match &begun {
            Some((text, path)) => &text[..*path],
            None => request.path,
        };
        check_line(request.method, path)?;
        let moment = self.moment(now);
        let stamp = moment.stamp;
        let mut own = [("x-amz-date", stamp.as_str()); 3];
        let mut count = 1;
        let content_sha256 = (self.service == S3).then_some(payload);
        for (name, value) in [
            ("x-amz-content-sha256", content_sha256),
            ("x-amz-security-token", self.credentials.session_token()),
        ] {
            if let Some(value) = value {
                own[count] = (name, value);
                count += 1;
            }
        }
        let own = &own[..count];
        let mut reserved = ["authorization"; 4];
        for (reserved, (name, _)) in reserved.iter_mut().zip(own) {
            *reserved = name;
        }
        let mut headers = CanonicalHeaders::new();
        headers.fill(request.headers, own, &reserved)?;
        headers.host()?;

        let mut canonical = Canonical::new();
        canonical.put(request.method);
        canonical.put_byte(b'\n');
        Path::new(path).put(&mut canonical);
        canonical.put_byte(b'\n');
        put_query(&mut canonical, request.query);
        canonical.put_byte(b'\n');
        put_headers_and_payload(&mut canonical, &headers, payload);
        let signature = moment.sign(&mut canonical);

        let mut text = begun.map(|(text, _)| text).unwrap_or_default();
        text.reserve(
            own.iter().map(|(_, value)| value.len()).sum::<usize>()
                + headers.names_length()
                + self.credentials.access_key_id().len()
                + self.region.len()
                + self.service.len()
                + 180,
        );
        let mut values = [const { ("", 0..0) }; 4];
        for (slot, (name, value)) in values.iter_mut().zip(own) {
            let start = text.len();
            text.push_str(value);
            *slot = (name, start..text.len());
        }
        let start = text.len();
        text.push_str(ALGORITHM);
        text.push_str(" Credential=");
        text.push_str(self.credentials.access_key_id());
        text.push('/');
        put_scope(&mut text, stamp, &self.region, &self.service);
        text.push_str(", SignedHeaders=");
        headers.put_names(&mut text, ";");
        text.push_str(", Signature=");
        text.put(str::from_utf8(&hex(&signature)).expect("ASCII"));
        values[count] = ("authorization", start..text.len());
        Ok(SignedHeaders {
            text,
            values,
            count: count + 1,
        })
    }

    #[inline]
    pub(crate) fn moment(&self, now: Timestamp) -> Arc<Moment> {
        let derive = |date: &str| {
            let secret = self.credentials.secret_access_key();
            derive(secret, date, &self.region, &self.service)
        };
        self.keys.moment(now, derive, |key, stamp| {
            let query = self.parameters.before_expires(stamp);
            Moment::new(&key, stamp, &self.region, &self.service, query)
        })
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// Shows for whom and where, without secrets.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("credentials", &self.credentials)
            .field("region", &self.region)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// The headers that [`Signer::sign`] made: send them along with the request's own.
#[derive(Clone)]
pub struct SignedHeaders {
    /// All values, one after another, so that they cost one allocation.
    text: String,
    values: [(&'static str, Range<usize>); 4],
    count: usize,
}

impl SignedHeaders {
    /// Names in lower case, and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, &str)> {
        self.values[..self.count]
            .iter()
            .map(|(name, range)| (*name, &self.text[range.clone()]))
    }

    /// All values in one string, and where in it each is: for callers that share the string rather
    /// than copy what is in it. After [`Signer::sign_behind`] it begins with the text given there.
    pub fn into_text(self) -> (String, impl Iterator<Item = (&'static str, Range<usize>)>) {
        (self.text, self.values.into_iter().take(self.count))
    }

    /// `authorization`.
    pub fn authorization(&self) -> &str {
        self.get("authorization").unwrap_or_default()
    }

    /// `x-amz-date`.
    pub fn date(&self) -> &str {
        self.get("x-amz-date").unwrap_or_default()
    }

    /// `x-amz-content-sha256`, which S3 wants with every request.
    pub fn content_sha256(&self) -> Option<&str> {
        self.get("x-amz-content-sha256")
    }

    /// `x-amz-security-token`, where the credentials are temporary.
    pub fn security_token(&self) -> Option<&str> {
        self.get("x-amz-security-token")
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find_map(|(own, value)| (own == name).then_some(value))
    }
}

/// Shows the names alone: a signature is as good as a password while it lasts.
impl fmt::Debug for SignedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new(
            Credentials::new(
                "AKIAIOSFODNN7EXAMPLE",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            ),
            "us-east-1",
        )
        .unwrap()
    }

    /// "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
    /// Chunks" of the S3 API reference: its seed signature. The product sends no chunks, but
    /// the string of this canonical request is public.
    #[test]
    fn documented_chunked_seed() {
        let signed = signer()
            .sign_line(
                None,
                &Request {
                    method: "PUT",
                    path: "/examplebucket/chunkObject.txt",
                    query: &[],
                    headers: &[
                        ("host", "s3.amazonaws.com"),
                        ("content-encoding", "aws-chunked"),
                        ("content-length", "66824"),
                        ("x-amz-decoded-content-length", "66560"),
                        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                    ],
                },
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                Timestamp::from_unix(1_369_353_600),
            )
            .unwrap();
        assert!(
            signed
                .authorization()
                .ends_with("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"),
            "{}",
            signed.authorization()
        );
    }

    #[test]
    fn parts_that_cannot_be_right_are_refused() {
        let new = |id: &str, secret: &str, token: Option<&str>, region: &str| {
            let mut credentials = Credentials::new(id, secret);
            if let Some(token) = token {
                credentials = credentials.with_session_token(token);
            }
            Signer::new(credentials, region).map(|_| ())
        };
        assert_eq!(new("id", "secret", Some("token+/="), "eu-west-1"), Ok(()));
        let scope = |part| Err(Error::Scope { part });
        assert_eq!(new("id\n", "s", None, "r"), scope("access key id"));
        assert_eq!(new("", "s", None, "r"), scope("access key id"));
        assert_eq!(new("a/b", "s", None, "r"), scope("access key id"));
        assert_eq!(new("id", "s", None, "eu west"), scope("region"));
        assert_eq!(new("id", "s", None, ""), scope("region"));
        let secret = |part| Err(Error::Secret { part });
        assert_eq!(new("id", "s\r", None, "r"), secret("secret access key"));
        assert_eq!(new("id", "", None, "r"), secret("secret access key"));
        assert_eq!(new("id", "s", Some("t\n"), "r"), secret("session token"));
    }

    #[test]
    fn requests_that_cannot_be_right_are_refused() {
        let sign = |method, path, headers: &[(&str, &str)]| {
            signer()
                .sign(
                    &Request {
                        method,
                        path,
                        query: &[],
                        headers,
                    },
                    Payload::Empty,
                    Timestamp::from_unix(0),
                )
                .map(|_| ())
        };
        let host = ("host", "h");
        assert_eq!(sign("GET", "/", &[host]), Ok(()));
        assert_eq!(sign("GET /", "/", &[host]), Err(Error::Method));
        assert_eq!(sign("GET", "", &[host]), Err(Error::Path));
        assert_eq!(sign("GET", "/", &[]), Err(Error::Host));
        for name in ["Authorization", "X-Amz-Date", "x-amz-content-sha256"] {
            assert_eq!(
                sign("GET", "/", &[host, (name, "v")]),
                Err(Error::ReservedHeader {
                    name: name.to_ascii_lowercase()
                })
            );
        }
    }

    #[test]
    fn behind_a_path_is_the_same() {
        let request = |path| Request {
            method: "GET",
            path,
            query: &[("a", "b")],
            headers: &[("host", "h")],
        };
        let (payload, now) = (Payload::Empty, Timestamp::from_unix(7));
        let alone = signer().sign(&request("/k e"), payload, now).unwrap();
        let behind = signer()
            .sign_behind("/k e, and more".into(), 4, &request(""), payload, now)
            .unwrap();
        assert!(alone.iter().eq(behind.iter()));
        let (text, mut values) = behind.into_text();
        assert!(text.starts_with("/k e, and more1970"));
        assert!(values.all(|(_, range)| range.start >= 14));
    }

    #[test]
    fn debug_shows_no_secret_and_no_signature() {
        let signer = Signer::new(
            Credentials::new("AKID", "canary-secret").with_session_token("canary-token"),
            "r",
        )
        .unwrap();
        let signed = signer
            .sign(
                &Request {
                    method: "GET",
                    path: "/",
                    query: &[],
                    headers: &[("host", "h")],
                },
                Payload::Unsigned,
                Timestamp::from_unix(0),
            )
            .unwrap();
        assert_eq!(signed.security_token(), Some("canary-token"));
        assert_eq!(signed.content_sha256(), Some("UNSIGNED-PAYLOAD"));
        assert_eq!(signed.date(), "19700101T000000Z");
        let shown = format!("{signer:?} {signed:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(!shown.contains("Signature"), "{shown}");
    }
}
