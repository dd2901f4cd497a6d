//! Step 4, the other way: the signature in the query of a URL.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::canonical_request::{
    CanonicalHeaders, Payload, Request, check_line, put_headers_and_payload,
};
use crate::encode::{Path, Sink, put_component, sorted_query};
use crate::sha256::{Canonical, hex};
use crate::signer::Signer;
use crate::string_to_sign::{ALGORITHM, Moment, TERMINATOR};
use crate::timestamp::Stamp;
use crate::{Credentials, Error, Result, Timestamp};

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
        let mut headers = CanonicalHeaders::new();
        let parts = Parts::new(self, request, presign, &[], &mut headers)?;
        let mut url = String::with_capacity(parts.url_length());
        parts.put_base(&mut url);
        let path = url.len();
        parts.path.put(&mut url);
        let query = url.len() + 1;
        url.push('?');
        parts.put_query(&mut url, request.query);

        let mut canonical = Canonical::new();
        for piece in [request.method, &url[path..query - 1], &url[query..]] {
            canonical.put(piece);
            canonical.put_byte(b'\n');
        }
        let payload = presign.payload.line();
        put_headers_and_payload(&mut canonical, parts.headers, payload.as_str());
        let signature = parts.moment.sign(&mut canonical);
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
    pub(crate) headers: &'a CanonicalHeaders<'a>,
    pub(crate) moment: Arc<Moment>,
    scheme: &'a str,
    host: &'a str,
    pub(crate) path: Path<'a>,
    expires: u32,
}

impl<'a> Parts<'a> {
    /// `more` are headers that are signed besides the request's own; `headers` takes them all.
    #[inline]
    pub(crate) fn new(
        signer: &'a Signer,
        request: &Request<'a>,
        presign: &Presign<'a>,
        more: &[(&'a str, &'a str)],
        headers: &'a mut CanonicalHeaders<'a>,
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
            if PARAMETERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
                return Err(Error::ReservedParameter {
                    name: (*name).to_owned(),
                });
            }
        }
        headers.fill(request.headers, more, &RESERVED)?;
        Ok(Self {
            signer,
            host: headers.host()?,
            headers,
            moment: signer.moment(presign.now),
            scheme: presign.scheme,
            path: Path::new(request.path),
            expires: presign.expires,
        })
    }

    /// An upper bound of the URL's length where the request has no parameters of its own.
    pub(crate) fn url_length(&self) -> usize {
        // Of fixed length: `https://?`, expiry, signature.
        96 + self.host.len()
            + self.path.bound()
            + self.moment.query.len()
            + self.signer.parameters().after_expires.len()
            + self.headers.names_length()
    }

    /// `scheme://host`.
    pub(crate) fn put_base(&self, url: &mut String) {
        url.push_str(self.scheme);
        url.push_str("://");
        url.push_str(self.host);
    }

    /// The canonical query: the request's own parameters among those of the signature.
    pub(crate) fn put_query(&self, out: &mut String, query: &[(&str, &str)]) {
        if query.is_empty() {
            self.put_parameters(out);
            return;
        }
        let (mut own, query) = (String::new(), sorted_query(query));
        self.put_parameters(&mut own);
        let mut all: Vec<(&str, &str)> = own
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .chain(query.iter().map(|(name, value)| (&**name, &**value)))
            .collect();
        all.sort_unstable();
        for (index, (name, value)) in all.into_iter().enumerate() {
            out.extend([if index > 0 { "&" } else { "" }, name, "=", value]);
        }
    }

    /// The parameters of the signature, in canonical order.
    fn put_parameters(&self, out: &mut String) {
        out.push_str(&self.moment.query);
        put_decimal(out, self.expires);
        out.push_str(&self.signer.parameters().after_expires);
        self.headers.put_names(out, "%3B");
    }
}

/// The parameters that the signer adds.
const PARAMETERS: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// The parts of the query that are the same for all URLs of a signer.
pub(crate) struct Parameters {
    /// From the algorithm to the date in the credential scope.
    before_date: String,
    /// From there to the time.
    after_date: String,
    /// From after the expiry to the headers' names, with the session token if there is one.
    after_expires: Zeroizing<String>,
}

impl Parameters {
    pub(crate) fn new(credentials: &Credentials, region: &str, service: &str) -> Self {
        let mut before_date = format!("X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential=");
        put_component(&mut before_date, credentials.access_key_id());
        before_date.push_str("%2F");
        let after_date = format!("%2F{region}%2F{service}%2F{TERMINATOR}&X-Amz-Date=");
        let token = credentials.session_token();
        // As much as it may take, so that no copy of the token is left behind.
        let bound = 50 + 3 * token.map_or(0, str::len);
        let mut after_expires = Zeroizing::new(String::with_capacity(bound));
        if let Some(token) = token {
            after_expires.push_str("&X-Amz-Security-Token=");
            put_component(&mut *after_expires, token);
        }
        after_expires.push_str("&X-Amz-SignedHeaders=");
        Self {
            before_date,
            after_date,
            after_expires,
        }
    }

    /// From the algorithm to where the expiry goes.
    pub(crate) fn before_expires(&self, stamp: Stamp) -> String {
        [
            &self.before_date,
            stamp.date(),
            &self.after_date,
            stamp.as_str(),
            "&X-Amz-Expires=",
        ]
        .concat()
    }
}

/// Without the machinery of `fmt`, which costs as much as half a block of SHA-256.
fn put_decimal(out: &mut String, number: u32) {
    if number > 9 {
        put_decimal(out, number / 10);
    }
    out.extend(char::from_digit(number % 10, 10));
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
