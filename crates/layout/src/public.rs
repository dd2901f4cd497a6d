//! Patterns for a bucket policy that lets anybody read blocks, and nothing else of the bucket.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::base32::{self, Case};
use crate::control::FOLDER;
use crate::keys::{CODECS, Form, Naming, Shard};
use crate::{Keys, Layout, Prefix};

/// Why there are no patterns for a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The prefix has a character that means something else in a pattern.
    #[error(
        "the prefix {0} cannot be named in a policy: `*`, `?` and `$` mean something else there"
    )]
    Prefix(Prefix),
    /// The layout's folders look like those of the service.
    #[error(
        "a policy's wildcards cannot tell the folders of layout {0} from the service's own ones"
    )]
    Layout(Layout),
}

impl Keys {
    /// Patterns of keys, as the `Resource` of a bucket policy has them: `*` stands for any
    /// characters and `?` for one, slashes included.
    ///
    /// Every key of every block whose hash is one of `hashes` (multihash code, and lengths of its
    /// digest in bytes, at least 20) fits one of them. No key outside the store fits, and none
    /// under the service's own folder `.cidbucket/`. They are as narrow as the language allows at
    /// some 30 patterns, so that a policy of them has less than S3's 20 KB: a key that begins as
    /// the text of one of these hashes does, and is as long as it at least.
    ///
    /// ```
    /// use cidbucket_layout::{Keys, Layout, Prefix};
    ///
    /// let keys = Keys::new(Prefix::new("ipfs")?, Layout::Flatfs);
    /// assert_eq!(
    ///     keys.public_patterns([(0x12, 20..=32)])?,
    ///     ["ipfs/??/CI??????????????????????????????????*.data"]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PatternError`] where that cannot be said in a policy.
    pub fn public_patterns(
        &self,
        hashes: impl IntoIterator<Item = (u64, RangeInclusive<usize>)>,
    ) -> Result<Vec<String>, PatternError> {
        if self.prefix().as_str().contains(['*', '?', '$']) {
            return Err(PatternError::Prefix(self.prefix().clone()));
        }
        let root = self.list_prefix();
        let mut patterns = Vec::new();
        match Naming::of(self.layout()) {
            Naming::Multihash(form) => {
                for text in multihash_texts(hashes) {
                    let tail = pattern(form, &text)
                        .ok_or_else(|| PatternError::Layout(self.layout().clone()))?;
                    patterns.push(format!("{root}{tail}"));
                    if form.falls_back {
                        patterns.push(format!("{root}{text}"));
                    }
                }
            }
            Naming::Cid { user } => {
                for text in cid_texts() {
                    if let Some(user) = user {
                        patterns.push(format!("{root}{user}/{text}"));
                    }
                    patterns.push(format!("{root}{text}"));
                }
            }
        }
        Ok(patterns)
    }
}

/// What the key of one text looks like, where that is no pattern of the service's keys.
fn pattern(form: Form, text: &str) -> Option<String> {
    let text = match form.case {
        Case::Upper => text.to_owned(),
        Case::Lower => text.to_ascii_lowercase(),
    };
    let folder = match form.shard {
        Shard::None => String::new(),
        Shard::Whole => format!("{text}/"),
        // No text is as short as the longest of these.
        Shard::First(n) => format!("{}/", &text[..n]),
        // A longer one could be `.cidbucket/tenants/…`.
        Shard::Last(n) | Shard::NextToLast(n) if n + 1 < FOLDER.len() => {
            format!("{}/", "?".repeat(n))
        }
        Shard::Last(_) | Shard::NextToLast(_) => return None,
    };
    Some(format!("{folder}{}{text}{}", form.letter, form.end))
}

/// What the texts of multihashes look like, in upper case: how they begin, which follows from the
/// code and the first bits of the length, then as many `?` as the shortest one has characters, and
/// a `*`.
fn multihash_texts(
    hashes: impl IntoIterator<Item = (u64, RangeInclusive<usize>)>,
) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for (code, lengths) in hashes {
        let mut bytes = varint(code);
        // Two bits of the length are always 0, or 1 for 64 bytes.
        let fixed = (bytes.len() * 8 + 2) / 5;
        let shortest = characters(bytes.len() + 1 + lengths.start());
        for length in lengths {
            let code = bytes.len();
            bytes.extend(varint(length as u64));
            let mut head = base32::upper(&bytes)[..fixed].to_owned();
            bytes.truncate(code);
            if fixed > 2 {
                // The codes of blake2 go up by one with the length: some 60, all alike but here.
                head.replace_range(1..2, "?");
            }
            texts.insert(open(&head, shortest));
        }
    }
    texts
}

/// The same for whole CIDs, of any hash: here the codec makes the beginning.
fn cid_texts() -> BTreeSet<String> {
    CODECS
        .map(|codec| {
            let mut bytes = vec![1];
            bytes.extend(varint(codec));
            let fixed = bytes.len() * 8 / 5;
            // Code and length of the multihash, and the shortest digest there is.
            let shortest = characters(bytes.len() + 1 + 1 + 20);
            open(&base32::upper(&bytes)[..fixed], shortest)
        })
        .into()
}

fn open(head: &str, shortest: usize) -> String {
    format!("{head}{}*", "?".repeat(shortest - head.len()))
}

/// Characters of base32 for so many bytes.
const fn characters(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// An unsigned varint: seven bits a byte, the lowest first (the multiformats' form of LEB128).
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Cid, Multihash};

    /// Kubo's list without `identity`: what is stored. That it is the list of the block stores is
    /// checked where both are known, in `cidbucket-s3`.
    fn hashes() -> Vec<(u64, RangeInclusive<usize>)> {
        let mut hashes = vec![
            (0x11, 20..=20),
            (0x12, 20..=32),
            (0x13, 20..=64),
            (0x14, 20..=64),
            (0x15, 20..=48),
            (0x16, 20..=32),
            (0x17, 20..=28),
            (0x19, 20..=64),
            (0x1a, 20..=28),
            (0x1b, 20..=32),
            (0x1c, 20..=48),
            (0x1d, 20..=64),
            (0x1e, 20..=64),
            (0x56, 20..=32),
        ];
        hashes.extend((20..=64).map(|n| (0xb200 + n as u64, 20..=n)));
        hashes.extend((20..=32).map(|n| (0xb240 + n as u64, 20..=n)));
        hashes
    }

    fn layouts() -> Vec<Layout> {
        let mut layouts = Layout::examples();
        for name in [
            "3box-prefix-1",
            "3box-prefix-32",
            "3box-suffix-9",
            "3box-next-to-last-9",
        ] {
            layouts.push(name.parse().unwrap());
        }
        layouts
    }

    fn keys(prefix: &str, layout: &Layout) -> Keys {
        Keys::new(Prefix::new(prefix).unwrap(), layout.clone())
    }

    /// The language of policies, from its definition.
    fn fits(pattern: &[u8], key: &[u8]) -> bool {
        // Which beginnings of the key fit the pattern so far.
        let mut reached = vec![false; key.len() + 1];
        reached[0] = true;
        for &wanted in pattern {
            let mut next = vec![false; key.len() + 1];
            for at in 0..=key.len() {
                next[at] = if wanted == b'*' {
                    reached[at] || (at > 0 && next[at - 1])
                } else {
                    at > 0 && reached[at - 1] && (wanted == b'?' || wanted == key[at - 1])
                };
            }
            if !next.contains(&true) {
                return false;
            }
            reached = next;
        }
        reached[key.len()]
    }

    fn any_fits(patterns: &[String], key: &str) -> bool {
        patterns
            .iter()
            .any(|pattern| fits(pattern.as_bytes(), key.as_bytes()))
    }

    #[test]
    fn the_default_layout() {
        let patterns = keys("", &Layout::Kubo).public_patterns(hashes()).unwrap();
        assert!(patterns.len() <= 32, "{}", patterns.len());
        assert!(patterns.contains(&format!("CI{}*", "?".repeat(34))));
        for pattern in &patterns {
            let first = pattern.as_bytes()[0];
            assert!(first.is_ascii_uppercase() || first.is_ascii_digit());
        }
    }

    #[test]
    fn every_hash_fits_in_every_layout() {
        for layout in layouts() {
            let keys = keys("a b/é", &layout);
            let patterns = keys.public_patterns(hashes()).unwrap();
            let bytes: usize = patterns.iter().map(String::len).sum();
            assert!(bytes < 6_000, "{layout}: {bytes}");
            for (code, lengths) in hashes() {
                let ends = [*lengths.start(), *lengths.end()];
                for length in lengths {
                    if layout != Layout::Kubo && !ends.contains(&length) {
                        continue;
                    }
                    for fill in [0x00, 0xff] {
                        let multihash = Multihash::wrap(code, &[fill; 64][..length]).unwrap();
                        for codec in [0x55, 0x0129] {
                            for key in keys.candidates(&Cid::new_v1(codec, multihash)) {
                                assert!(any_fits(&patterns, &key), "{layout}: {key}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_policy_cannot_say_is_refused() {
        for prefix in ["a*", "a?b", "${x}"] {
            assert!(matches!(
                keys(prefix, &Layout::Kubo).public_patterns(hashes()),
                Err(PatternError::Prefix(_))
            ));
        }
        for layout in ["3box-suffix-10", "3box-next-to-last-32"] {
            assert!(matches!(
                keys("", &layout.parse().unwrap()).public_patterns(hashes()),
                Err(PatternError::Layout(_))
            ));
        }
    }

    fn any_layout() -> impl Strategy<Value = Layout> {
        proptest::sample::select(layouts())
    }

    fn any_cid() -> impl Strategy<Value = Cid> {
        let hash = proptest::sample::select(hashes());
        (hash, any::<proptest::sample::Index>(), any::<[u8; 64]>()).prop_map(
            |((code, lengths), at, digest)| {
                let length = lengths.start() + at.index(lengths.end() - lengths.start() + 1);
                Cid::new_v1(0x55, Multihash::wrap(code, &digest[..length]).unwrap())
            },
        )
    }

    proptest! {
        #[test]
        fn blocks_fit_and_the_services_own_keys_do_not(
            prefix in "([a-z .]{1,12}(/[A-Z0-9]{1,8}){0,2})?",
            layout in any_layout(),
            tenants_layout in any_layout(),
            cid in any_cid(),
            name in "[a-zA-Z0-9-]{1,30}",
        ) {
            prop_assume!(Prefix::new(&prefix).is_ok());
            let ours = keys(&prefix, &layout);
            let patterns = ours.public_patterns(hashes()).unwrap();
            for key in ours.candidates(&cid) {
                prop_assert!(any_fits(&patterns, &key), "{}", key);
            }
            for folder in [
                format!(".cidbucket/leases/{name}"),
                format!(".cidbucket/quotas/{name}"),
                format!(".cidbucket/staging/{name}"),
                format!(".cidbucket/tenants/{name}"),
                format!(".cidbucket/{name}"),
                format!(".cidbucket-probe-{name}"),
                ".cidbucket".to_owned(),
            ] {
                let prefix = format!("{}/{folder}", ours.prefix());
                let control = keys(&prefix, &tenants_layout);
                for key in control.candidates(&cid) {
                    prop_assert!(!any_fits(&patterns, &key), "{}", key);
                }
                prop_assert!(!any_fits(&patterns, control.prefix().as_str()));
            }
        }

        #[test]
        fn what_lies_outside_the_store_does_not_fit(
            layout in any_layout(),
            other in any_layout(),
            cid in any_cid(),
            foreign in "[a-z0-9-]{1,40}",
        ) {
            let patterns = keys("ipfs", &layout).public_patterns(hashes()).unwrap();
            for prefix in ["", "ipfs2", "ipf", "other/ipfs", &foreign] {
                prop_assume!(prefix != "ipfs");
                for key in keys(prefix, &other).candidates(&cid) {
                    prop_assert!(!any_fits(&patterns, &key), "{}", key);
                }
            }
            for key in [
                foreign.clone(),
                format!("ipfs/{foreign}"),
                format!("ipfs/{foreign}.html"),
                format!("ipfs/{foreign}/CIRCUS"),
                "ipfs/CIRCUS.html".to_owned(),
                "ipfs/SHARDING".to_owned(),
                "ipfs/VT/_README".to_owned(),
            ] {
                prop_assert!(!any_fits(&patterns, &key), "{}", key);
            }
        }
    }
}
