//! Who writes which keys.

use std::fmt;
use std::str::FromStr;

/// How a bucket names its blocks.
///
/// In the table, `K` is the base32 text of the block's multihash (RFC 4648, upper case, no
/// padding, no multibase letter: `CIQ…` for sha2-256), `VT` its two characters before the last,
/// `TQ` its last two. Every key stands under the store's [`Prefix`](crate::Prefix).
///
/// | name | key | written by |
/// |---|---|---|
/// | `kubo` | `K` | Kubo with go-ds-s3 mounted at `/blocks`, as its README has it |
/// | `kubo-unmounted` | `blocks/K` | go-ds-s3 used without a mount |
/// | `3box-identity` | `K/K` | 3box/go-ds-s3, `shardFunc` `/repo/s3/shard/v1/identity/0` |
/// | `3box-prefix-N` | first N of `K`, `/K` | the same, `prefix/N` |
/// | `3box-suffix-N` | last N of `K`, `/K` | the same, `suffix/N` |
/// | `3box-next-to-last-N` | N of `K` before its last, `/K` | the same, `next-to-last/N` |
/// | `jclab-suffix` | `K/data`, else `K` | jclab-joseph/go-ds-s3, `keyTransform` `suffix` |
/// | `jclab-next-to-last-2` | `VT/K`, else `K` | the same, `next-to-last/2` |
/// | `flatfs` | `VT/K.data` | a Kubo `blocks` folder copied into a bucket |
/// | `flatfs-bare` | `VT/K` | the same without the extension |
/// | `helia` | `TQ/BK.data` | Helia's blockstore-s3 (`B` is the multibase letter) |
/// | `helia-flat` | `BK.data` | the same with `FlatDirectory` |
/// | `peergos` | base32 of the whole CID | Peergos before 2026, nabu |
/// | `peergos:USER` | `USER/` + that, else that | Peergos since 2026 |
/// | `piri` | `vt/k.data`, lower case | Storacha's piri |
///
/// "else" marks a fallback: reads that find nothing at the first key try the second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// `kubo`: `K`.
    #[default]
    Kubo,
    /// `kubo-unmounted`: `blocks/K`.
    KuboUnmounted,
    /// `3box-identity`: `K/K`. (Its first version wrote `K`: use [`Layout::Kubo`] for that.)
    ThreeBoxIdentity,
    /// `3box-prefix-N`.
    ThreeBoxPrefix(ShardLength),
    /// `3box-suffix-N`.
    ThreeBoxSuffix(ShardLength),
    /// `3box-next-to-last-N`.
    ThreeBoxNextToLast(ShardLength),
    /// `jclab-suffix`: `K/data`, falling back to `K`.
    JclabSuffix,
    /// `jclab-next-to-last-2`: `VT/K`, falling back to `K`.
    JclabNextToLast,
    /// `flatfs`: `VT/K.data`.
    Flatfs,
    /// `flatfs-bare`: `VT/K`.
    FlatfsBare,
    /// `helia`: `TQ/BK.data`.
    Helia,
    /// `helia-flat`: `BK.data`.
    HeliaFlat,
    /// `peergos`: the whole CID in base32.
    ///
    /// The same block has one key per codec. Reads try the CID asked for, then raw, dag-cbor and
    /// dag-pb, always as `CIDv1`. A CID of any other codec is written as raw, so that it can be
    /// found again.
    Peergos,
    /// `peergos:USER`: the same under the user's folder, falling back to the root.
    PeergosUser(Username),
    /// `piri`: `vt/k.data` in lower case.
    Piri,
}

impl Layout {
    /// Every layout once, for help texts and detection; those with a parameter stand with an
    /// example of it.
    pub fn examples() -> Vec<Self> {
        let two = ShardLength(2);
        vec![
            Self::Kubo,
            Self::KuboUnmounted,
            Self::ThreeBoxIdentity,
            Self::ThreeBoxPrefix(ShardLength(5)),
            Self::ThreeBoxSuffix(two),
            Self::ThreeBoxNextToLast(two),
            Self::JclabSuffix,
            Self::JclabNextToLast,
            Self::Flatfs,
            Self::FlatfsBare,
            Self::Helia,
            Self::HeliaFlat,
            Self::Peergos,
            Self::PeergosUser(Username("alice".into())),
            Self::Piri,
        ]
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubo => f.write_str("kubo"),
            Self::KuboUnmounted => f.write_str("kubo-unmounted"),
            Self::ThreeBoxIdentity => f.write_str("3box-identity"),
            Self::ThreeBoxPrefix(n) => write!(f, "3box-prefix-{n}"),
            Self::ThreeBoxSuffix(n) => write!(f, "3box-suffix-{n}"),
            Self::ThreeBoxNextToLast(n) => write!(f, "3box-next-to-last-{n}"),
            Self::JclabSuffix => f.write_str("jclab-suffix"),
            Self::JclabNextToLast => f.write_str("jclab-next-to-last-2"),
            Self::Flatfs => f.write_str("flatfs"),
            Self::FlatfsBare => f.write_str("flatfs-bare"),
            Self::Helia => f.write_str("helia"),
            Self::HeliaFlat => f.write_str("helia-flat"),
            Self::Peergos => f.write_str("peergos"),
            Self::PeergosUser(user) => write!(f, "peergos:{user}"),
            Self::Piri => f.write_str("piri"),
        }
    }
}

impl FromStr for Layout {
    type Err = LayoutError;

    /// Reads a layout's name; also a `shardFunc` as it stands in a 3box Kubo configuration.
    fn from_str(name: &str) -> Result<Self, LayoutError> {
        let unknown = || LayoutError::Unknown(name.to_owned());
        if let Some(function) = name.strip_prefix("/repo/s3/shard/v1/") {
            let (function, length) = function.rsplit_once('/').ok_or_else(unknown)?;
            if function == "identity" {
                return Ok(Self::ThreeBoxIdentity);
            }
            return format!("3box-{function}-{length}").parse();
        }
        Ok(match name {
            "kubo" => Self::Kubo,
            "kubo-unmounted" => Self::KuboUnmounted,
            "3box-identity" => Self::ThreeBoxIdentity,
            "jclab-suffix" => Self::JclabSuffix,
            "jclab-next-to-last-2" => Self::JclabNextToLast,
            "flatfs" => Self::Flatfs,
            "flatfs-bare" => Self::FlatfsBare,
            "helia" => Self::Helia,
            "helia-flat" => Self::HeliaFlat,
            "peergos" => Self::Peergos,
            "piri" => Self::Piri,
            _ => {
                if let Some(user) = name.strip_prefix("peergos:") {
                    Self::PeergosUser(user.parse()?)
                } else if let Some(length) = name.strip_prefix("3box-prefix-") {
                    Self::ThreeBoxPrefix(length.parse()?)
                } else if let Some(length) = name.strip_prefix("3box-suffix-") {
                    Self::ThreeBoxSuffix(length.parse()?)
                } else if let Some(length) = name.strip_prefix("3box-next-to-last-") {
                    Self::ThreeBoxNextToLast(length.parse()?)
                } else {
                    return Err(unknown());
                }
            }
        })
    }
}

/// Number of characters in a 3box shard folder's name: 1 to 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShardLength(u8);

impl ShardLength {
    /// Checks the number.
    ///
    /// # Errors
    /// [`LayoutError::ShardLength`] outside 1 to 32.
    pub fn new(length: usize) -> Result<Self, LayoutError> {
        match u8::try_from(length) {
            Ok(length @ 1..=32) => Ok(Self(length)),
            _ => Err(LayoutError::ShardLength(length.to_string())),
        }
    }

    /// The number.
    pub fn get(self) -> usize {
        self.0.into()
    }
}

impl fmt::Display for ShardLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ShardLength {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Self, LayoutError> {
        let refused = || LayoutError::ShardLength(text.to_owned());
        let length = Self::new(text.parse().map_err(|_| refused())?)?;
        // One spelling only: "+2" and "02" are numbers to Rust.
        (length.to_string() == text)
            .then_some(length)
            .ok_or_else(refused)
    }
}

/// A Peergos user name: 1 to 32 of `a`–`z`, `0`–`9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(Box<str>);

impl Username {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Username {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Self, LayoutError> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(LayoutError::Username(text.to_owned()))
        }
    }
}

/// Why a text names no [`Layout`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// No layout has that name.
    #[error(
        "unknown layout {0:?}: use one of kubo, kubo-unmounted, 3box-identity, 3box-prefix-N, \
         3box-suffix-N, 3box-next-to-last-N, jclab-suffix, jclab-next-to-last-2, flatfs, \
         flatfs-bare, helia, helia-flat, peergos, peergos:USER, piri"
    )]
    Unknown(String),
    /// A shard folder's name cannot have that many characters.
    #[error("{0:?} is no shard length: use a number from 1 to 32")]
    ShardLength(String),
    /// Peergos has no such user name.
    #[error("{0:?} is no Peergos user name: it has 1 to 32 of a-z, 0-9 and -")]
    Username(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for layout in Layout::examples() {
            assert_eq!(layout.to_string().parse::<Layout>().unwrap(), layout);
        }
    }

    #[test]
    fn upstream_shard_functions_are_understood() {
        for (function, name) in [
            ("/repo/s3/shard/v1/identity/0", "3box-identity"),
            ("/repo/s3/shard/v1/prefix/3", "3box-prefix-3"),
            ("/repo/s3/shard/v1/suffix/8", "3box-suffix-8"),
            ("/repo/s3/shard/v1/next-to-last/2", "3box-next-to-last-2"),
        ] {
            assert_eq!(function.parse::<Layout>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            "Kubo",
            "3box-prefix-0",
            "3box-prefix-02",
            "3box-prefix-+2",
            "3box-prefix-33",
            "3box-prefix-",
            "/repo/s3/shard/v1/",
            "/repo/s3/shard/v1/prefix",
            "/repo/s3/shard/v2/prefix/2",
            "/repo/flatfs/shard/v1/next-to-last/2",
            "peergos:",
            "peergos:Alice",
            "peergos:a/b",
            "peergos:..",
            "peergos:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(name.parse::<Layout>().is_err(), "{name}");
        }
    }
}
