//! Step 2: the string to sign.
//!
//! ```text
//! AWS4-HMAC-SHA256 \n timestamp \n date/region/service/aws4_request \n hex(SHA-256(canonical request))
//! ```

use crate::encode::Sink;
use crate::sha256::{Canonical, HmacKey, Message, hex};
use crate::timestamp::Stamp;

/// The name of the algorithm.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last part of every credential scope.
pub(crate) const TERMINATOR: &str = "aws4_request";

/// The credential scope with `separator` between its parts: `/`, or `%2F` in a query.
pub(crate) fn put_scope(
    out: &mut impl Sink,
    stamp: Stamp,
    region: &str,
    service: &str,
    separator: &str,
) {
    for part in [stamp.date(), region, service] {
        out.put(part);
        out.put(separator);
    }
    out.put(TERMINATOR);
}

/// All of the string to sign that does not depend on the request, under the signing key.
pub(crate) fn begin(key: &HmacKey, stamp: Stamp, region: &str, service: &str) -> Message {
    let mut message = key.message();
    message.put(ALGORITHM);
    message.put("\n");
    message.put(stamp.as_str());
    message.put("\n");
    put_scope(&mut message, stamp, region, service, "/");
    message.put("\n");
    message
}

/// Ends the string to sign with the canonical request's hash: this is the signature.
#[inline]
pub(crate) fn finish(
    key: &HmacKey,
    mut message: Message,
    canonical_request: Canonical,
) -> [u8; 32] {
    message.update(&hex(&canonical_request.finish()));
    key.finish(message)
}
