//! Step 2: the string to sign.
//!
//! ```text
//! AWS4-HMAC-SHA256 \n timestamp \n date/region/service/aws4_request \n hex(SHA-256(canonical request))
//! ```

use zeroize::Zeroize;

use crate::encode::Sink;
use crate::sha256::{Canonical, HmacKey, Message, hex};
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
    key: HmacKey,
    message: Message,
}

impl Moment {
    pub(crate) fn new(
        key: HmacKey,
        stamp: Stamp,
        region: &str,
        service: &str,
        query: String,
    ) -> Self {
        let mut message = key.message();
        message.put(ALGORITHM);
        message.put_byte(b'\n');
        message.put(stamp.as_str());
        message.put_byte(b'\n');
        put_scope(&mut message, stamp, region, service);
        message.put_byte(b'\n');
        message.settle();
        Self {
            stamp,
            query,
            key,
            message,
        }
    }

    /// Ends the string to sign with the canonical request's hash: this is the signature.
    #[inline]
    pub(crate) fn sign(&self, canonical_request: &mut Canonical) -> [u8; 32] {
        let mut message = self.message.clone();
        message.update(&hex(&canonical_request.finish()));
        self.key.finish(&mut message)
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        self.message.zeroize();
    }
}
