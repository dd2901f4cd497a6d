//! Many URLs that differ in their key, and perhaps in the values of some headers.
//!
//! Everything they share is encoded and hashed once. What is left for each is the hashing that
//! cannot be avoided, and no allocation.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::canonical_request::{CanonicalHeaders, Request, canonical_name, check_value, put_value};
use crate::encode::{Path, Sink};
use crate::presign::{Parts, Presign, SIGNATURE, put_hex};
use crate::sha256::Canonical;
use crate::signer::Signer;
use crate::string_to_sign::Moment;
use crate::{Error, Result};

/// The header whose value is also the payload line.
const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// Signs many URLs of one method, time and life that differ in the end of their path, and in the
/// values of some of their signed headers.
///
/// A template holds a key that signs for the rest of its day: keep it no longer than needed. It is
/// wiped on drop.
pub struct Template {
    /// The canonical request up to the key.
    canonical: Canonical,
    /// The rest of the canonical request, without the varying values.
    rest: String,
    /// Where in `rest` a value goes, and which.
    slots: Vec<(usize, usize)>,
    /// The varying headers' names, for errors.
    varying: Vec<String>,
    moment: Arc<Moment>,
    /// The URL before and after the key.
    url: UrlParts,
}

struct UrlParts {
    base: String,
    query: String,
}

impl Signer {
    /// Prepares for many URLs. `request.path` is what their decoded paths have in common, up to
    /// where the keys differ. `varying` names signed headers whose values are given for each, and
    /// which are not among `request.headers`; where `x-amz-content-sha256` is one of them, its
    /// value is the payload line as well.
    ///
    /// # Errors
    /// As [`Signer::presign`]; [`Error::ReservedHeader`] where a varying header is named twice
    /// or has a fixed value too.
    pub fn template(
        &self,
        request: &Request<'_>,
        varying: &[&str],
        presign: &Presign<'_>,
    ) -> Result<Template> {
        let varying = varying
            .iter()
            .map(|name| canonical_name(name).map(Cow::into_owned))
            .collect::<Result<Vec<String>>>()?;
        let more: Vec<(&str, &str)> = varying.iter().map(|name| (&**name, "")).collect();
        for (index, name) in varying.iter().enumerate() {
            let mut others = more[..index].iter().chain(request.headers);
            if name == "host" || others.any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(Error::ReservedHeader { name: name.clone() });
            }
        }
        let mut headers = CanonicalHeaders::new();
        let parts = Parts::new(self, request, presign, &more, &mut headers)?;
        let slot = |name: &str| varying.iter().position(|own| own == name);

        let mut base = String::with_capacity(parts.url_length());
        parts.put_base(&mut base);
        let path = base.len();
        parts.path.put(&mut base);
        let mut query = String::from("?");
        parts.put_query(&mut query, request.query);

        let mut canonical = Canonical::new();
        canonical.put(request.method);
        canonical.put_byte(b'\n');
        canonical.put(&base[path..]);

        let mut rest = format!("\n{}\n", &query[1..]);
        let mut slots = Vec::new();
        parts.headers.each_name(|name, values| {
            rest.push_str(name);
            rest.push(':');
            if let Some(slot) = slot(name) {
                slots.push((rest.len(), slot));
            } else {
                for (index, (_, value)) in values.iter().enumerate() {
                    if index > 0 {
                        rest.push(',');
                    }
                    put_value(&mut rest, value);
                }
            }
            rest.push('\n');
        });
        rest.push('\n');
        parts.headers.put_names(&mut rest, ";");
        rest.push('\n');
        match slot(CONTENT_SHA256) {
            Some(slot) => slots.push((rest.len(), slot)),
            None => rest.push_str(presign.payload.line().as_str()),
        }
        query.push_str(SIGNATURE);

        canonical.settle();
        Ok(Template {
            canonical,
            rest,
            slots,
            moment: parts.moment,
            varying,
            url: UrlParts { base, query },
        })
    }
}

impl Template {
    /// The signature of the URL for `key` (decoded, appended to the common path), with the
    /// `values` of the varying headers in the order in which they were named. Allocates nothing.
    ///
    /// # Errors
    /// [`Error::HeaderValue`] where a value holds a control character, [`Error::Values`] where
    /// their number is wrong.
    pub fn sign(&self, key: &str, values: &[&str]) -> Result<[u8; 32]> {
        self.sign_path(Path::new(key), values)
    }

    #[inline]
    fn sign_path(&self, key: Path<'_>, values: &[&str]) -> Result<[u8; 32]> {
        if values.len() != self.varying.len() {
            return Err(Error::Values {
                expected: self.varying.len(),
                given: values.len(),
            });
        }
        for (name, value) in self.varying.iter().zip(values) {
            check_value(name, value)?;
        }
        let mut canonical = self.canonical.clone();
        key.put(&mut canonical);
        let mut start = 0;
        for &(end, value) in &self.slots {
            canonical.put(&self.rest[start..end]);
            put_value(&mut canonical, values[value]);
            start = end;
        }
        canonical.put(&self.rest[start..]);
        Ok(self.moment.sign(&mut canonical))
    }

    /// The whole URL for `key`: one allocation.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn url(&self, key: &str, values: &[&str]) -> Result<String> {
        let key = Path::new(key);
        Ok(self.assemble_path(key, &self.sign_path(key, values)?))
    }

    /// The whole URL for `key` from its signature.
    pub fn assemble(&self, key: &str, signature: &[u8; 32]) -> String {
        self.assemble_path(Path::new(key), signature)
    }

    fn assemble_path(&self, key: Path<'_>, signature: &[u8; 32]) -> String {
        let UrlParts { base, query } = &self.url;
        let length = base.len() + key.bound() + query.len() + 64;
        let mut url = String::with_capacity(length);
        url.push_str(base);
        key.put(&mut url);
        url.push_str(query);
        put_hex(&mut url, signature);
        url
    }

    /// The URL up to the key: scheme, host and the encoded common path.
    pub fn base(&self) -> &str {
        &self.url.base
    }

    /// The URL between the key and the signature's 64 hexadecimal digits: from `?` to
    /// `&X-Amz-Signature=`.
    pub fn query(&self) -> &str {
        &self.url.query
    }
}

/// Shows what is signed up to the key, without the query, which names credentials.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("base", &self.url.base)
            .field("varying", &self.varying)
            .finish_non_exhaustive()
    }
}
