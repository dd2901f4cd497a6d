//! Many URLs that differ in their key, and perhaps in the values of some headers.
//!
//! Everything they share is encoded and hashed once. What is left for each is the hashing that
//! cannot be avoided, and no allocation.

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::sync::Arc;

use crate::canonical_request::{
    CanonicalHeaders, Request, canonical_name, canonical_value, put_value,
};
use crate::encode::{Path, Sink, encode_path};
use crate::laid::{Laid, digests};
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
    form: Form,
    /// The last canonical requests: two, because that many are hashed side by side.
    last: [Laid; 2],
    moment: Arc<Moment>,
    /// The URL before and after the key.
    url: UrlParts,
}

/// What the canonical requests have in common.
struct Form {
    /// What comes first, as far as it fills whole blocks.
    start: Canonical,
    /// What comes before the key, after it, and after each varying value.
    pieces: Vec<String>,
    /// Which value comes after which piece; after the first one comes the key.
    slots: Vec<usize>,
    /// The varying headers' names, for errors.
    varying: Vec<String>,
}

struct UrlParts {
    base: String,
    query: String,
}

/// What is of one URL's own; empty when [`Template::sign_all`] hands it out.
#[derive(Debug)]
pub struct Own {
    /// The key, decoded, as in [`Template::sign`].
    pub key: String,
    /// The values of the varying headers, in the order in which they were named.
    pub values: Vec<String>,
}

impl Own {
    fn clear(&mut self) {
        self.key.clear();
        self.values.iter_mut().for_each(String::clear);
    }
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

        let mut start = Canonical::new();
        start.put(request.method);
        start.put_byte(b'\n');
        start.put(&base[path..]);
        start.settle();

        let mut pieces = vec![String::new()];
        let mut piece = format!("\n{}\n", &query[1..]);
        let mut slots = Vec::new();
        parts.headers.each_name(|name, values| {
            piece.push_str(name);
            piece.push(':');
            if let Some(slot) = slot(name) {
                slots.push(slot);
                pieces.push(mem::take(&mut piece));
            } else {
                for (index, (_, value)) in values.iter().enumerate() {
                    if index > 0 {
                        piece.push(',');
                    }
                    put_value(&mut piece, value);
                }
            }
            piece.push('\n');
        });
        piece.push('\n');
        parts.headers.put_names(&mut piece, ";");
        piece.push('\n');
        match slot(CONTENT_SHA256) {
            Some(slot) => {
                slots.push(slot);
                pieces.push(mem::take(&mut piece));
            }
            None => piece.push_str(presign.payload.line().as_str()),
        }
        pieces.push(piece);
        query.push_str(SIGNATURE);

        Ok(Template {
            moment: parts.moment,
            form: Form {
                start,
                pieces,
                slots,
                varying,
            },
            last: Default::default(),
            url: UrlParts { base, query },
        })
    }
}

impl Template {
    /// The signature of the URL for `key` (decoded, appended to the common path), with the
    /// `values` of the varying headers in the order in which they were named. Allocates nothing,
    /// but for the first and for one that is longer than all before.
    ///
    /// # Errors
    /// [`Error::HeaderValue`] where a value holds a control character, [`Error::Values`] where
    /// their number is wrong.
    #[inline]
    pub fn sign(&mut self, key: &str, values: &[&str]) -> Result<[u8; 32]> {
        let [request, _] = &mut self.last;
        self.form.fill(request, key, values)?;
        let [signature] = self.moment.sign_all(&digests([request]));
        Ok(signature)
    }

    /// The signatures of the URLs for `items`; `write` says what is of each item's own. It takes a
    /// quarter less time than [`Self::sign`] of one after another.
    ///
    /// # Errors
    /// As [`Self::sign`], and the first of `write`.
    pub fn sign_all<T, E: From<Error>>(
        &mut self,
        items: &[T],
        mut write: impl FnMut(&T, &mut Own) -> Result<(), E>,
    ) -> Result<Vec<[u8; 32]>, E> {
        let mut signatures = Vec::with_capacity(items.len());
        let mut own = Own {
            key: String::new(),
            values: vec![String::new(); self.form.varying.len()],
        };
        for items in items.chunks(self.last.len()) {
            for (item, request) in items.iter().zip(&mut self.last) {
                own.clear();
                write(item, &mut own)?;
                self.form.fill(request, &own.key, &own.values)?;
            }
            let both = self.moment.sign_all(&digests(self.last.each_ref()));
            signatures.extend_from_slice(&both[..items.len()]);
        }
        Ok(signatures)
    }

    /// The whole URL for `key`: one allocation.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn url(&mut self, key: &str, values: &[&str]) -> Result<String> {
        let signature = self.sign(key, values)?;
        Ok(self.assemble(key, &signature))
    }

    /// The whole URL for `key` from its signature.
    pub fn assemble(&self, key: &str, signature: &[u8; 32]) -> String {
        let key = Path::new(key);
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

impl Form {
    /// Makes a canonical request of what varies and the last one.
    #[inline]
    fn fill(&self, request: &mut Laid, key: &str, values: &[impl AsRef<str>]) -> Result<()> {
        if values.len() != self.varying.len() {
            return Err(Error::Values {
                expected: self.varying.len(),
                given: values.len(),
            });
        }
        let key = encode_path(key);
        let value = |&slot: &usize| canonical_value(&self.varying[slot], values[slot].as_ref());
        let mut fits = request.fill(0, &key);
        for (gap, slot) in (1..).zip(&self.slots) {
            fits &= request.fill(gap, &value(slot)?);
        }
        if !fits {
            let texts = std::iter::once(Ok(key)).chain(self.slots.iter().map(value));
            request.lay_out(&self.start, &self.pieces, texts)?;
        }
        Ok(())
    }
}

/// Shows what is signed up to the key, without the query, which names credentials.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("base", &self.url.base)
            .field("varying", &self.form.varying)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credentials, Payload, Timestamp};

    #[test]
    fn texts_of_any_length_in_any_order() {
        fn request<'a>(path: &'a str, headers: &'a [(&'a str, &'a str)]) -> Request<'a> {
            Request {
                method: "PUT",
                path,
                query: &[],
                headers,
            }
        }
        let signer = Signer::new(Credentials::new("AKID", "secret"), "eu-west-1").unwrap();
        let presign = Presign {
            scheme: "https",
            payload: Payload::Unsigned,
            now: Timestamp::from_unix(1_369_353_600),
            expires: 60,
        };
        let common = format!("/{}/", "b".repeat(100));
        let mut template = signer
            .template(
                &request(&common, &[("host", "h")]),
                &["x-b", "content-length"],
                &presign,
            )
            .unwrap();
        let long = "k".repeat(2_000);
        let texts = ["k", "l", "k", "ü &", &long, "k", "", "m"];
        let mut expected = Vec::new();
        for (index, key) in texts.into_iter().enumerate() {
            let (path, size) = (format!("{common}{key}"), index.pow(5).to_string());
            let headers = [("host", "h"), ("x-b", key), ("content-length", &size)];
            let url = signer.presign(&request(&path, &headers), &presign).unwrap();
            assert_eq!(template.url(key, &[key, &size]).unwrap(), url, "{key}");
            // An error halfway leaves nothing behind.
            for (key, size) in [("n", "1\n"), ("a longer key", "1\n")] {
                assert!(matches!(
                    template.sign(key, &["v", size]),
                    Err(Error::HeaderValue { name }) if name == "content-length"
                ));
            }
            expected.push(url);
        }
        for count in 0..=texts.len() {
            let items: Vec<_> = texts[..count].iter().enumerate().collect();
            let signatures = template
                .sign_all(&items, |(index, key), own| {
                    own.key.push_str(key);
                    own.values[0].push_str(key);
                    own.values[1].push_str(&index.pow(5).to_string());
                    Ok::<_, Error>(())
                })
                .unwrap();
            for ((index, key), signature) in items.iter().zip(&signatures) {
                assert_eq!(template.assemble(key, signature), expected[*index]);
            }
            assert_eq!(signatures.len(), count);
        }
        assert_eq!(
            template.sign("k", &["v"]),
            Err(Error::Values {
                expected: 2,
                given: 1
            })
        );
    }
}
