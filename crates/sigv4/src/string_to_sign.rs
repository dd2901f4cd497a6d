//! Step 2: the string to sign.
//!
//! ```text
//! AWS4-HMAC-SHA256 \n timestamp \n date/region/service/aws4_request \n hex(SHA-256(canonical request))
//! ```

use crate::encode::Sink;
use crate::hmac::{HmacKey, Messages};
use crate::sha256::Canonical;
use crate::timestamp::Stamp;

/// The name of the algorithm.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last part of every credential scope.
pub(crate) const TERMINATOR: &str = "aws4_request";

/// The credential scope.
pub(crate) fn put_scope(out: &mut impl Sink, stamp: Stamp, region: &str, service: &str) {
    for part in [stamp.date(), "/", region, "/", service, "/", TERMINATOR] {
        out.put(part);
    }
}

/// What all signatures of one second share: the key, and the string to sign up to the hash of the
/// canonical request. Wiped on drop.
pub(crate) struct Moment {
    pub(crate) stamp: Stamp,
    /// The beginning of a signed URL's query.
    pub(crate) query: String,
    messages: Messages,
}

impl Moment {
    pub(crate) fn new(
        key: &HmacKey,
        stamp: Stamp,
        region: &str,
        service: &str,
        query: String,
    ) -> Self {
        let mut start = format!("{ALGORITHM}\n{}\n", stamp.as_str());
        put_scope(&mut start, stamp, region, service);
        start.push('\n');
        Self {
            stamp,
            query,
            messages: key.messages(&start),
        }
    }

    /// Ends the string to sign with the canonical request's hash: this is the signature.
    #[inline]
    pub(crate) fn sign(&self, canonical_request: &mut Canonical) -> [u8; 32] {
        let [signature] = self.sign_all(&[canonical_request.finish()]);
        signature
    }

    /// The signatures of the canonical requests with these hashes.
    #[inline]
    pub(crate) fn sign_all<const N: usize>(&self, hashes: &[[u8; 32]; N]) -> [[u8; 32]; N] {
        self.messages.sign(hashes)
    }
}
