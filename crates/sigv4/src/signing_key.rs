//! Step 3: the signing key, derived once a day from the secret.

use std::sync::{Arc, PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use zeroize::{Zeroize, Zeroizing};

use crate::Timestamp;
use crate::hmac::HmacKey;
use crate::string_to_sign::{Moment, TERMINATOR};
use crate::timestamp::Stamp;

/// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")`, ready to sign.
pub(crate) fn derive(secret: &str, date: &str, region: &str, service: &str) -> HmacKey {
    let mut first = Zeroizing::new(String::with_capacity(4 + secret.len()));
    first.push_str("AWS4");
    first.push_str(secret);
    let mut key = Zeroizing::new(mac(first.as_bytes(), date));
    for part in [region, service, TERMINATOR] {
        *key = mac(&*key, part);
    }
    HmacKey::new(&key)
}

fn mac(key: &[u8], data: &str) -> [u8; 32] {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data.as_bytes());
    let mut output = mac.finalize().into_bytes();
    let bytes = output.into();
    output.as_mut_slice().zeroize();
    bytes
}

/// The signing keys of one (secret, region, service), by day.
///
/// Two days are kept, an even and an odd one, so that around midnight requests of both (from
/// threads whose clocks differ, or with a skew corrected) do not push each other's key out. Of the
/// last second, the beginning of the string to sign is kept as well.
///
/// Readers share the locks, and hold them for the copying of a key or a pointer.
#[derive(Default)]
pub(crate) struct KeyCache {
    days: [RwLock<Option<(u64, HmacKey)>>; 2],
    last: RwLock<Option<(Timestamp, Arc<Moment>)>>,
}

impl KeyCache {
    /// What the signatures of `now` share; `derive` makes the key of a day, `begin` the rest.
    #[inline]
    pub(crate) fn moment(
        &self,
        now: Timestamp,
        derive: impl FnOnce(&str) -> HmacKey,
        begin: impl FnOnce(HmacKey, Stamp) -> Moment,
    ) -> Arc<Moment> {
        // A panic cannot leave an entry half-written, so a poisoned lock is as good as any.
        if let Some((cached, moment)) = &*self.last.read().unwrap_or_else(PoisonError::into_inner)
            && *cached == now
        {
            return moment.clone();
        }
        let stamp = now.stamp();
        let key = self.key(now.day(), || derive(stamp.date()));
        let moment = Arc::new(begin(key, stamp));
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some((now, moment.clone()));
        moment
    }

    fn key(&self, day: u64, derive: impl FnOnce() -> HmacKey) -> HmacKey {
        let slot = &self.days[usize::from(!day.is_multiple_of(2))];
        if let Some((cached, key)) = &*slot.read().unwrap_or_else(PoisonError::into_inner)
            && *cached == day
        {
            return key.clone();
        }
        let key = derive();
        *slot.write().unwrap_or_else(PoisonError::into_inner) = Some((day, key.clone()));
        key
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::sha256::Canonical;

    #[test]
    fn documented_derivation() {
        // "Deriving the signing key" of AWS's general reference, shown there as kSigning.
        let key = derive(
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "20150830",
            "us-east-1",
            "iam",
        );
        let expected = [
            0xc4, 0xaf, 0xb1, 0xcc, 0x57, 0x71, 0xd8, 0x71, 0x76, 0x3a, 0x39, 0x3e, 0x44, 0xb7,
            0x03, 0x57, 0x1b, 0x55, 0xcc, 0x28, 0x42, 0x4d, 0x1a, 0x5e, 0x86, 0xda, 0x6e, 0xd3,
            0xc1, 0x54, 0xa4, 0xb9,
        ];
        let sign = |key: &HmacKey| key.messages("").sign(&[[0; 32]]);
        assert_eq!(sign(&key), sign(&HmacKey::new(&expected)));
    }

    #[test]
    fn two_days_around_midnight_stay_cached() {
        let cache = KeyCache::default();
        let derived = Cell::new(0);
        let key_of = |date: &str| HmacKey::new(&[date.as_bytes()[7]; 32]);
        let begin = |key: HmacKey, stamp| Moment::new(&key, stamp, "r", "s", String::new());
        let sign = |seconds| {
            let now = Timestamp::from_unix(seconds);
            let derive = |date: &str| {
                derived.set(derived.get() + 1);
                key_of(date)
            };
            let signature = cache.moment(now, derive, begin).sign(&mut Canonical::new());
            let fresh = begin(key_of(&now.date()), now.stamp());
            assert_eq!(signature, fresh.sign(&mut Canonical::new()), "{now}");
        };
        let (before, after) = (86_399, 86_400);
        for _ in 0..3 {
            sign(before);
            sign(before);
            sign(after);
            sign(after + 1);
        }
        assert_eq!(derived.get(), 2);
        // Two days later the slot is taken over; the old day is derived anew, never mixed up.
        sign(2 * 86_400);
        sign(before);
        assert_eq!(derived.get(), 4);
    }
}
