//! Seals: what makes S3 itself refuse other bytes than those that were granted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The form in which a write grant binds the block's SHA-256.
///
/// Every form signs the exact `content-length` as well. No form works on every server, so which
/// one to use is found out by probing the bucket, never assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seal {
    /// A signed header `x-amz-checksum-sha256`; the payload line is `UNSIGNED-PAYLOAD`. AWS,
    /// Garage, `SeaweedFS` and s3s refuse other bytes; some servers store them unchecked.
    Checksum,
    /// A signed header `x-amz-content-sha256`, which is also the payload line. Ceph refuses other
    /// bytes; most other servers refuse even the right ones.
    PayloadHash,
    /// No signed URL but an `Authorization` header that covers `x-amz-content-sha256`. It holds
    /// for 15 minutes at most.
    Header,
    /// [`Seal::Checksum`] and a signed `content-md5`. Nearly every server accepts it, but some
    /// check the MD5 alone, which the uploader can defeat: see [`Seal::needs_read_back`].
    ChecksumMd5,
}

impl Seal {
    /// All seals, in the order in which to prefer them.
    pub const ALL: [Self; 4] = [
        Self::Checksum,
        Self::PayloadHash,
        Self::Header,
        Self::ChecksumMd5,
    ];

    /// `checksum`, `payload-hash`, `header` or `checksum-md5`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::PayloadHash => "payload-hash",
            Self::Header => "header",
            Self::ChecksumMd5 => "checksum-md5",
        }
    }

    /// Whether a block written under this seal counts only once the service has read it back and
    /// hashed it.
    pub const fn needs_read_back(self) -> bool {
        matches!(self, Self::ChecksumMd5)
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Seal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|seal| seal.name() == text)
            .ok_or(Error::UnknownSeal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_are_those_of_the_wire() {
        for seal in Seal::ALL {
            assert_eq!(seal.name().parse::<Seal>().unwrap(), seal);
            let json = format!("\"{seal}\"");
            assert_eq!(serde_json::to_string(&seal).unwrap(), json);
            assert_eq!(serde_json::from_str::<Seal>(&json).unwrap(), seal);
        }
        assert!("sha1".parse::<Seal>().is_err());
    }
}
