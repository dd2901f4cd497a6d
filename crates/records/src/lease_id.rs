//! Names of leases.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Digits of the time.
const DIGITS: usize = 10;
/// Characters of the random part.
const RANDOM: usize = 26;
/// Latest time that the digits can say: in the year 36812.
const LATEST: u64 = (1 << (4 * DIGITS)) - 1;

/// RFC 4648's base32hex in lower case: texts have the order of what they stand for.
static BASE32HEX: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("0123456789abcdefghijklmnopqrstuv");
    specification
        .encoding()
        .expect("32 distinct symbols are an encoding")
});

/// The name of a lease: when it ends, in seconds since 1970 as ten hexadecimal digits, and 128 random
/// bits as 26 characters of base32hex: `006a1f3c80-7q0m…`.
///
/// Names sort by the end, as texts too, and nobody can guess one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId {
    expires: u64,
    random: [u8; 16],
}

impl LeaseId {
    /// A name for a lease that ends at `expires` (seconds since 1970), of 16 random bytes.
    pub fn new(expires: u64, random: [u8; 16]) -> Self {
        Self {
            expires: expires.min(LATEST),
            random,
        }
    }

    /// When the lease ends unless completed, in seconds since 1970.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The same as a time.
    pub fn expires_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.expires)
    }

    /// What every name of a lease that ends at `expires` begins with, and none that ends before.
    pub(crate) fn first(expires: u64) -> String {
        format!("{:0DIGITS$x}", expires.min(LATEST))
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; RANDOM];
        let random = BASE32HEX.encode_mut_str(&self.random, &mut text);
        write!(f, "{:0DIGITS$x}-{random}", self.expires)
    }
}

/// Not the random part: whoever knows it and has the token may complete the lease.
impl fmt::Debug for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseId({:0DIGITS$x}-…)", self.expires)
    }
}

/// A text that names no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a lease")]
pub struct LeaseIdError;

impl FromStr for LeaseId {
    type Err = LeaseIdError;

    fn from_str(text: &str) -> Result<Self, LeaseIdError> {
        let bytes = text.as_bytes();
        if bytes.len() != DIGITS + 1 + RANDOM || bytes[DIGITS] != b'-' {
            return Err(LeaseIdError);
        }
        let mut expires = 0;
        for digit in &bytes[..DIGITS] {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(LeaseIdError),
            };
            expires = expires << 4 | u64::from(value);
        }
        let mut random = [0; 16];
        match BASE32HEX.decode_mut(&bytes[DIGITS + 1..], &mut random) {
            Ok(16) => Ok(Self { expires, random }),
            _ => Err(LeaseIdError),
        }
    }
}

/// As text.
impl Serialize for LeaseId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LeaseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name() {
        let id = LeaseId::new(0x6a1f_3c80, [0xff; 16]);
        assert_eq!(id.to_string(), "006a1f3c80-vvvvvvvvvvvvvvvvvvvvvvvvvs");
        assert_eq!(format!("{id:?}"), "LeaseId(006a1f3c80-…)");
        for text in [
            "",
            "006a1f3c80-",
            "006a1f3c80-vvvvvvvvvvvvvvvvvvvvvvvvvv", // bits that are not zero
            "006A1F3C80-vvvvvvvvvvvvvvvvvvvvvvvvvs",
            "006a1f3c80-VVVVVVVVVVVVVVVVVVVVVVVVVS",
            "006a1f3c80_vvvvvvvvvvvvvvvvvvvvvvvvvs",
            "06a1f3c80-vvvvvvvvvvvvvvvvvvvvvvvvvs",
            "+06a1f3c80-vvvvvvvvvvvvvvvvvvvvvvvvvs",
            "006a1f3c80-vvvvvvvvvvvvvvvvvvvvvvvvvs ",
            "006a1f3c80-vvvvvvvvvvvvvvvvvvvvvvvvv/",
            "006a1f3c80-vvvvvvvvvvvvvvvvvvvvvvvvé",
        ] {
            assert_eq!(text.parse::<LeaseId>(), Err(LeaseIdError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn texts_round_trip_and_sort(a in 0..=LATEST, b in 0..=LATEST, x: [u8; 16], y: [u8; 16]) {
            let (left, right) = (LeaseId::new(a, x), LeaseId::new(b, y));
            prop_assert_eq!(left.to_string().parse(), Ok(left));
            prop_assert_eq!(left.cmp(&right), left.to_string().cmp(&right.to_string()));
            prop_assert!(left.to_string().starts_with(&LeaseId::first(a)));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "[0-9a-v]{10}-[0-9a-vA-W]{26}|.{0,40}") {
            if let Ok(id) = text.parse::<LeaseId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
