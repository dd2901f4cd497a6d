//! Step 4, the other way: the signature in the query of a URL.

use crate::canonical_request::{
    CanonicalHeaders, Payload, Request, check_line, put_headers_and_payload,
};
use crate::encode::{put_component, put_path, sorted_query};
use crate::sha256::{Canonical, hex};
use crate::signer::Signer;
use crate::string_to_sign::ALGORITHM;
use crate::timestamp::Stamp;
use crate::{Error, Result, Timestamp};

/// The longest life of a signed URL, in seconds: 7 days.
pub const MAX_EXPIRES: u32 = 604_800;

/// Headers that have their place in the query of a signed URL.
const RESERVED: [&str; 3] = ["authorization", "x-amz-date", "x-amz-security-token"];

/// How a URL is to be signed.
#[derive(Debug, Clone, Copy)]
pub struct Presign<'a> {
    /// `https` or `http`.
    pub scheme: &'a str,
    /// What is signed of the body: [`Payload::Unsigned`] as a rule. A server takes another one
    /// only along with a signed header `x-amz-content-sha256` that says the same.
    pub payload: Payload,
    /// From when on the URL is valid. It names the day whose key signs it.
    pub now: Timestamp,
    /// For how many seconds it is valid: 1 to [`MAX_EXPIRES`].
    pub expires: u32,
}

impl Signer {
    /// A signed URL, `scheme://host/path?query`: whoever holds it can send this one request, with
    /// the same values of all signed headers. A session token goes into the query.
    ///
    /// A request without query parameters of its own costs one allocation, that of the URL.
    ///
    /// # Errors
    /// Where the request cannot be one or the life is out of bounds: see [`Error`].
    pub fn presign(&self, request: &Request<'_>, presign: &Presign<'_>) -> Result<String> {
        let parts = Parts::new(self, request, presign, &[])?;
        let mut url = String::with_capacity(parts.url_length(request));
        parts.put_base(&mut url);
        let path = url.len();
        put_path(&mut url, request.path);
        let query = url.len() + 1;
        url.push('?');
        parts.put_query(&mut url, request.query);

        let mut canonical = Canonical::new();
        for piece in [
            request.method,
            "\n",
            &url[path..query - 1],
            "\n",
            &url[query..],
            "\n",
        ] {
            canonical.update(piece.as_bytes());
        }
        let payload = presign.payload.line();
        put_headers_and_payload(&mut canonical, &parts.headers, payload.as_str());
        let signature = self.signature(parts.stamp, presign.now, canonical);
        url.push_str(SIGNATURE);
        put_hex(&mut url, &signature);
        Ok(url)
    }
}

/// What comes before the signature, which is always the last parameter.
pub(crate) const SIGNATURE: &str = "&X-Amz-Signature=";

pub(crate) fn put_hex(out: &mut String, signature: &[u8; 32]) {
    out.push_str(str::from_utf8(&hex(signature)).expect("ASCII"));
}

/// A request that was checked, and what its URL is made of.
pub(crate) struct Parts<'a> {
    signer: &'a Signer,
    pub(crate) headers: CanonicalHeaders<'a>,
    pub(crate) stamp: Stamp,
    scheme: &'a str,
    host: &'a str,
    expires: u32,
}

impl<'a> Parts<'a> {
    /// `more` are headers that are signed besides the request's own.
    pub(crate) fn new(
        signer: &'a Signer,
        request: &Request<'a>,
        presign: &Presign<'a>,
        more: &[(&'a str, &'a str)],
    ) -> Result<Self> {
        check_line(request.method, request.path)?;
        if !matches!(presign.scheme, "http" | "https") {
            return Err(Error::Scheme);
        }
        if !(1..=MAX_EXPIRES).contains(&presign.expires) {
            return Err(Error::Expires {
                seconds: presign.expires,
            });
        }
        for (name, _) in request.query {
            if PARAMETERS
                .iter()
                .chain(&["X-Amz-Signature"])
                .any(|own| own.eq_ignore_ascii_case(name))
            {
                return Err(Error::ReservedParameter {
                    name: (*name).to_owned(),
                });
            }
        }
        let headers = CanonicalHeaders::new(request.headers, more, &RESERVED)?;
        Ok(Self {
            signer,
            host: headers.host()?,
            headers,
            stamp: presign.now.stamp(),
            scheme: presign.scheme,
            expires: presign.expires,
        })
    }

    /// An upper bound of the URL's length where the request has no parameters of its own.
    pub(crate) fn url_length(&self, request: &Request<'_>) -> usize {
        let encoded = |text: &str| {
            let reserved = text.bytes().filter(|byte| !byte.is_ascii_alphanumeric());
            text.len() + 2 * reserved.count()
        };
        self.host.len()
            + encoded(request.path)
            + self.signer.scope_length()
            + encoded(
                self.signer
                    .credentials()
                    .session_token()
                    .unwrap_or_default(),
            )
            + self.headers.names_length()
            + 290
    }

    /// `scheme://host`.
    pub(crate) fn put_base(&self, url: &mut String) {
        url.push_str(self.scheme);
        url.push_str("://");
        url.push_str(self.host);
    }

    /// The canonical query: the request's own parameters among those of the signature.
    pub(crate) fn put_query(&self, out: &mut String, query: &[(&str, &str)]) {
        let start = out.len();
        let mut separate = |out: &mut String| {
            if out.len() > start {
                out.push('&');
            }
        };
        let query = if query.is_empty() {
            Vec::new()
        } else {
            sorted_query(query)
        };
        let mut query = query.iter().peekable();
        for own in PARAMETERS {
            while let Some((name, value)) = query.next_if(|(name, _)| name.as_str() < own) {
                separate(out);
                out.extend([name, "=", value]);
            }
            self.put_parameter(out, own, &mut separate);
        }
        for (name, value) in query {
            separate(out);
            out.extend([name, "=", value]);
        }
    }

    fn put_parameter(&self, out: &mut String, name: &str, separate: &mut impl FnMut(&mut String)) {
        let token = self.signer.credentials().session_token();
        if name == TOKEN && token.is_none() {
            return;
        }
        separate(out);
        out.push_str(name);
        out.push('=');
        match name {
            CREDENTIAL => {
                put_component(out, self.signer.credentials().access_key_id());
                out.push_str("%2F");
                self.signer.put_scope(out, self.stamp, "%2F");
            }
            DATE => out.push_str(self.stamp.as_str()),
            EXPIRES => put_decimal(out, self.expires),
            TOKEN => put_component(out, token.unwrap_or_default()),
            HEADERS => self.headers.put_names(out, "%3B"),
            _ => out.push_str(ALGORITHM),
        }
    }
}

const CREDENTIAL: &str = "X-Amz-Credential";
const DATE: &str = "X-Amz-Date";
const EXPIRES: &str = "X-Amz-Expires";
const TOKEN: &str = "X-Amz-Security-Token";
const HEADERS: &str = "X-Amz-SignedHeaders";

/// The parameters of a signed URL but for the signature, in canonical order.
const PARAMETERS: [&str; 6] = ["X-Amz-Algorithm", CREDENTIAL, DATE, EXPIRES, TOKEN, HEADERS];

fn put_decimal(out: &mut String, mut number: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).expect("below ten");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.push_str(str::from_utf8(&digits[at..]).expect("ASCII"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;

    fn presign(
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        scheme: &str,
        expires: u32,
    ) -> Result<String> {
        let credentials = Credentials::new("AKID", "secret").with_session_token("t/+k=");
        Signer::new(credentials, "us-east-1").unwrap().presign(
            &Request {
                method: "GET",
                path,
                query,
                headers,
            },
            &Presign {
                scheme,
                payload: Payload::Unsigned,
                now: Timestamp::from_unix(1_369_353_600),
                expires,
            },
        )
    }

    #[test]
    fn own_parameters_are_sorted_among_those_of_the_signature() {
        let url = presign(
            "/b/ü k",
            &[
                ("versionId", "1"),
                ("response-content-type", "a/b"),
                ("X-Amz-Checksum-Mode", ""),
                ("A", ""),
            ],
            &[("host", "h:9000"), ("Range", "bytes=0-1")],
            "http",
            604_800,
        )
        .unwrap();
        let (head, signature) = url.split_once("&X-Amz-Signature=").unwrap();
        assert_eq!(
            head,
            "http://h:9000/b/%C3%BC%20k?A=&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Checksum-Mode=\
             &X-Amz-Credential=AKID%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=604800&X-Amz-Security-Token=t%2F%2Bk%3D\
             &X-Amz-SignedHeaders=host%3Brange&response-content-type=a%2Fb&versionId=1"
        );
        assert_eq!(signature.len(), 64);
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        let host = [("host", "h")];
        assert!(presign("/", &[], &host, "https", 1).is_ok());
        for seconds in [0, 604_801] {
            assert_eq!(
                presign("/", &[], &host, "https", seconds),
                Err(Error::Expires { seconds })
            );
        }
        assert_eq!(presign("/", &[], &host, "ftp", 1), Err(Error::Scheme));
        assert_eq!(presign("k", &[], &host, "http", 1), Err(Error::Path));
        assert_eq!(presign("/", &[], &[], "http", 1), Err(Error::Host));
        for name in ["X-Amz-Signature", "x-amz-expires", "X-Amz-Security-Token"] {
            assert_eq!(
                presign("/", &[(name, "")], &host, "http", 1),
                Err(Error::ReservedParameter { name: name.into() })
            );
        }
        assert_eq!(
            presign("/", &[], &[host[0], ("x-amz-date", "")], "http", 1),
            Err(Error::ReservedHeader {
                name: "x-amz-date".into()
            })
        );
    }

    #[test]
    fn decimal() {
        for number in [0, 7, 10, 604_800, u32::MAX] {
            let mut out = String::new();
            put_decimal(&mut out, number);
            assert_eq!(out, number.to_string());
        }
    }
}
