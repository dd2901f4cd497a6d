//! Names of files: multihash to `SHARD/NAME.data` and back.

use std::fmt;
use std::str::FromStr;

use cid::multibase::Base;

use crate::{Error, Hash, Multihash, Report, Result, raw_cid};

/// What the name of a sharding begins with, in Kubo's `SHARDING` file.
const SCHEME: &str = "/repo/flatfs/shard/v1/";
const EXTENSION: &str = ".data";

/// Which part of a block's name is the name of its directory.
///
/// Its text form is what a `SHARDING` file holds, such as `/repo/flatfs/shard/v1/next-to-last/2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sharding {
    /// The first characters: `prefix/N`.
    Prefix(u8),
    /// The last characters: `suffix/N`.
    Suffix(u8),
    /// The characters before the last one: `next-to-last/N`.
    NextToLast(u8),
}

impl Sharding {
    /// The file of a block, relative to the folder, with `/` between its two parts.
    pub fn path(self, multihash: &Multihash) -> String {
        let key = Base::Base32Upper.encode(multihash.to_bytes());
        format!("{}/{key}{EXTENSION}", self.shard(&key))
    }

    /// The block of a path that [`path`](Self::path) gave. `None` for every other one, and for
    /// hashes that are not accepted.
    pub fn multihash(self, path: &str) -> Option<Multihash> {
        let (shard, name) = path.split_once('/')?;
        let key = name.strip_suffix(EXTENSION)?;
        let bytes = Base::Base32Upper.decode(key).ok()?;
        let multihash = Multihash::from_bytes(&bytes).ok()?;
        let hash = Hash::of(&raw_cid(multihash)).ok()?;
        // What decodes leniently (odd final bits, a long varint) is another name than ours.
        let ours = hash != Hash::Identity
            && Base::Base32Upper.encode(multihash.to_bytes()) == key
            && self.shard(key) == shard;
        ours.then_some(multihash)
    }

    /// The directory of a key, which is ASCII.
    fn shard(self, key: &str) -> String {
        let width = usize::from(self.width());
        // Kubo fills up short keys from the side at which it cuts.
        match self {
            Self::Prefix(_) => format!("{key:_<width$}")[..width].to_owned(),
            Self::Suffix(_) => {
                let key = format!("{key:_>width$}");
                key[key.len() - width..].to_owned()
            }
            Self::NextToLast(_) => {
                let key = format!("{key:_>0$}", width + 1);
                let end = key.len() - 1;
                key[end - width..end].to_owned()
            }
        }
    }

    /// Whether a directory may be one of this sharding's.
    pub(super) fn is_shard(self, name: &str) -> bool {
        name.len() == usize::from(self.width())
            && name
                .bytes()
                .all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7' | b'_'))
    }

    /// A directory name that sorts behind all others.
    pub(super) fn last_shard(self) -> String {
        "_".repeat(usize::from(self.width()))
    }

    fn width(self) -> u8 {
        let (Self::Prefix(width) | Self::Suffix(width) | Self::NextToLast(width)) = self;
        width
    }
}

impl Default for Sharding {
    /// Kubo's: `next-to-last/2`, 1024 directories.
    fn default() -> Self {
        Self::NextToLast(2)
    }
}

impl fmt::Display for Sharding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = match self {
            Self::Prefix(_) => "prefix",
            Self::Suffix(_) => "suffix",
            Self::NextToLast(_) => "next-to-last",
        };
        write!(f, "{SCHEME}{function}/{}", self.width())
    }
}

impl FromStr for Sharding {
    type Err = Error;

    /// # Errors
    /// [`Error::Invalid`].
    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (function, width) = text.trim().strip_prefix(SCHEME)?.split_once('/')?;
            let width = width.parse().ok().filter(|&width| width > 0)?;
            Some(match function {
                "prefix" => Self::Prefix(width),
                "suffix" => Self::Suffix(width),
                "next-to-last" => Self::NextToLast(width),
                _ => return None,
            })
        };
        parse().ok_or_else(|| {
            let known = format!("not a sharding; expected {SCHEME} and prefix, suffix or next-to-last, / and a width of 1 to 255");
            Error::Invalid(Report::new("read SHARDING", known).with_key(text.trim()).into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, Cid};

    const KEY: &str = "CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ";

    fn multihash() -> Multihash {
        let cid: Cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
            .parse()
            .unwrap();
        *cid.hash()
    }

    #[test]
    fn paths_are_kubos() {
        for (sharding, shard) in [
            (Sharding::NextToLast(2), "VT"),
            (Sharding::Suffix(2), "TQ"),
            (Sharding::Prefix(4), "CIQM"),
        ] {
            let path = format!("{shard}/{KEY}.data");
            assert_eq!(sharding.path(&multihash()), path);
            assert_eq!(sharding.multihash(&path), Some(multihash()));
        }
    }

    #[test]
    fn short_keys_are_filled_up() {
        assert_eq!(Sharding::Prefix(4).shard("ABC"), "ABC_");
        assert_eq!(Sharding::Suffix(4).shard("ABC"), "_ABC");
        assert_eq!(Sharding::NextToLast(3).shard("AB"), "__A");
        assert_eq!(Sharding::NextToLast(2).shard("ABC"), "AB");
    }

    #[test]
    fn other_paths_are_foreign() {
        let lower = KEY.to_lowercase();
        for path in [
            KEY.to_owned(),
            format!("VT/{KEY}"),
            format!("TQ/{KEY}.data"),
            format!("vt/{lower}.data"),
            format!("VT/{lower}.data"),
            format!("VT/B{KEY}.data"),
            format!("VT/{KEY}=.data"),
            format!("VT/{}R.data", &KEY[..KEY.len() - 1]), // set bits behind the last byte
            format!("VT/{KEY}.data.data"),
            format!("../VT/{KEY}.data"),
            "VT/.data".into(),
            "VT/put-123".into(),
        ] {
            assert_eq!(Sharding::default().multihash(&path), None, "{path}");
        }
        let inline = Block::encode(0x55, Hash::Identity, &b"inline"[..]).unwrap();
        let path = Sharding::default().path(inline.multihash());
        assert_eq!(Sharding::default().multihash(&path), None);
    }

    #[test]
    fn text_goes_both_ways_and_errors_say_what_is_known() {
        let text = "/repo/flatfs/shard/v1/next-to-last/2\n";
        let sharding: Sharding = text.parse().unwrap();
        assert_eq!(sharding, Sharding::default());
        assert_eq!(format!("{sharding}\n"), text);
        for wrong in [
            "",
            "next-to-last/2",
            "/repo/flatfs/shard/v2/prefix/2",
            "/repo/flatfs/shard/v1/prefix/0",
            "/repo/flatfs/shard/v1/prefix/256",
            "/repo/flatfs/shard/v1/prefix/-1",
            "/repo/flatfs/shard/v1/middle/2",
            "/repo/flatfs/shard/v1/prefix/2/3",
        ] {
            let error = wrong.parse::<Sharding>().unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{wrong}");
            assert!(error.to_string().contains("next-to-last"));
        }
    }
}
