//! A listing cut into ranges that can be read in parallel.

use crate::{Keys, Layout};

/// The characters of base32 in the order in which S3 lists them.
const UPPER: &[u8] = b"234567ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &[u8] = b"234567abcdefghijklmnopqrstuvwxyz";

/// The first character after `CIQ`: it has one bit of the digest's length, which is 0, and four of
/// the digest.
const AFTER_CIQ: &[u8] = b"ABCDEFGHIJKLMNOP";
/// The first character after `AFKREI`: two bits of the length, 0, and three of the digest.
const AFTER_AFKREI: &[u8] = b"ABCDEFGH";
/// The last character of a sha2-256 text: two bits of the digest and three of zero padding.
const LAST: &[u8] = b"AIQY";

/// The keys `k` with `after < k <= until`, compared by bytes, as S3 lists them.
///
/// List with `prefix` = [`Keys::list_prefix`] and `start-after` = `after`; stop at the first key
/// above `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The range begins behind this key; `None`: with the first key of the listing.
    pub after: Option<String>,
    /// The range ends with this key; `None`: with the last key of the listing.
    pub until: Option<String>,
}

impl KeyRange {
    /// Whether a key lies in the range.
    pub fn contains(&self, key: &str) -> bool {
        self.after.as_deref().is_none_or(|after| after < key)
            && self.until.as_deref().is_none_or(|until| key <= until)
    }
}

impl Keys {
    /// Cuts the listing into at most `n` ranges (at least one) which follow on one another and
    /// together hold every key there can be, foreign keys and other hashes included. The service's
    /// own folder lies in one of them: pass over it with [`Keys::past_control`].
    ///
    /// They are of about the same size where the blocks are sha2-256, as nearly all are. Where the
    /// layout has fewer than `n` places to cut, there are fewer ranges.
    ///
    /// ```
    /// use cidbucket_layout::{Keys, Layout, Prefix};
    ///
    /// let keys = Keys::new(Prefix::new("ipfs")?, Layout::Kubo);
    /// let ranges = keys.ranges(16);
    /// assert_eq!(ranges.len(), 16);
    /// assert_eq!(ranges[0].until.as_deref(), Some("ipfs/CIQB"));
    /// assert_eq!(ranges[1].after.as_deref(), Some("ipfs/CIQB"));
    /// # Ok::<(), cidbucket_layout::PrefixError>(())
    /// ```
    pub fn ranges(&self, n: usize) -> Vec<KeyRange> {
        let zones = zones(self.layout());
        let cells: usize = zones.iter().map(Zone::cells).sum();
        let n = n.clamp(1, cells);
        let cuts = (1..n).map(|i| {
            let mut cell = i * cells / n;
            let mut zone = 0;
            while cell >= zones[zone].cells() {
                cell -= zones[zone].cells();
                zone += 1;
            }
            format!("{}{}", self.list_prefix(), zones[zone].cut(cell))
        });
        let mut after = None;
        let mut ranges = Vec::with_capacity(n);
        for cut in cuts {
            ranges.push(KeyRange {
                after: after.replace(cut.clone()),
                until: Some(cut),
            });
        }
        ranges.push(KeyRange { after, until: None });
        ranges
    }
}

/// A part of the key space into which sha2-256 blocks fall evenly: constants and characters, each
/// of which takes every value of its alphabet equally often.
struct Zone(Vec<Part>);

enum Part {
    Text(String),
    Character(&'static [u8]),
}

impl Zone {
    fn cells(&self) -> usize {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(_) => 1,
                Part::Character(alphabet) => alphabet.len(),
            })
            .product()
    }

    /// The least text of cell number `cell`.
    fn cut(&self, cell: usize) -> String {
        let mut cells = self.cells();
        let mut rest = cell;
        let mut cut = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => cut.push_str(text),
                Part::Character(alphabet) => {
                    cells /= alphabet.len();
                    cut.push(alphabet[rest / cells].into());
                    rest %= cells;
                    // Whatever follows is the least there is.
                    if rest == 0 {
                        break;
                    }
                }
            }
        }
        cut
    }
}

/// The zones of a layout, in the order of their keys. None has more than 32,768 cells.
fn zones(layout: &Layout) -> Vec<Zone> {
    use Part::Character;

    let text = |text: &str| Part::Text(text.to_owned());
    let plain = |head: &str| {
        vec![Zone(vec![
            text(head),
            Character(AFTER_CIQ),
            Character(UPPER),
            Character(UPPER),
        ])]
    };
    // The last `n` characters of the text, or `n` of those before the last, as the folder.
    let tail = |full: usize, last: bool, slash: &str| {
        let mut parts: Vec<Part> = (0..full.min(3)).map(|_| Character(UPPER)).collect();
        if full < 3 {
            if last {
                parts.push(Character(LAST));
            }
            parts.push(text(slash));
            parts.push(Character(AFTER_CIQ));
        }
        vec![Zone(parts)]
    };
    match layout {
        Layout::Kubo | Layout::KuboUnmounted | Layout::ThreeBoxIdentity | Layout::JclabSuffix => {
            plain("CIQ")
        }
        Layout::HeliaFlat => plain("BCIQ"),
        Layout::ThreeBoxPrefix(n) => match n.get() {
            n @ 1..=3 => plain(&format!("{}/CIQ", &"CIQ"[..n])),
            n => {
                let more = (n - 4).min(2);
                let mut parts = vec![text("CIQ"), Character(AFTER_CIQ)];
                parts.extend((0..more).map(|_| Character(UPPER)));
                vec![Zone(parts)]
            }
        },
        Layout::ThreeBoxSuffix(n) => tail(n.get() - 1, true, "/CIQ"),
        Layout::Helia => tail(1, true, "/BCIQ"),
        Layout::ThreeBoxNextToLast(n) => tail(n.get(), false, "/CIQ"),
        Layout::JclabNextToLast | Layout::Flatfs | Layout::FlatfsBare => tail(2, false, "/CIQ"),
        Layout::Piri => vec![Zone(vec![Character(LOWER), Character(LOWER)])],
        Layout::Peergos => cid_zones(""),
        Layout::PeergosUser(user) => {
            // Digits and `-` sort before the capitals of the root's keys, small letters after.
            let (root, user) = (cid_zones(""), cid_zones(&format!("{user}/")));
            if user[0].cut(0) < root[0].cut(0) {
                user.into_iter().chain(root).collect()
            } else {
                root.into_iter().chain(user).collect()
            }
        }
    }
}

/// Raw and dag-cbor blocks of a store keyed by CID.
fn cid_zones(folder: &str) -> Vec<Zone> {
    ["AFKREI", "AFYREI"]
        .map(|head| {
            Zone(vec![
                Part::Text(format!("{folder}{head}")),
                Part::Character(AFTER_AFKREI),
                Part::Character(UPPER),
                Part::Character(UPPER),
            ])
        })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cid, Multihash, Prefix};

    /// Well-spread digests without a dependency: a multiplicative generator.
    fn sha2_256_cids(count: u64) -> impl Iterator<Item = Cid> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        (0..count).map(move |_| {
            let mut digest = [0; 32];
            for chunk in digest.chunks_mut(8) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                chunk.copy_from_slice(&(state ^ (state >> 29)).to_be_bytes());
            }
            Cid::new_v1(0x55, Multihash::wrap(0x12, &digest).unwrap())
        })
    }

    fn all() -> Vec<Keys> {
        let mut layouts = Layout::examples();
        for name in [
            "3box-prefix-1",
            "3box-prefix-4",
            "3box-prefix-32",
            "3box-suffix-1",
            "3box-suffix-3",
            "3box-suffix-32",
            "3box-next-to-last-1",
            "3box-next-to-last-3",
            "3box-next-to-last-9",
            "peergos:0-9",
        ] {
            layouts.push(name.parse().unwrap());
        }
        layouts
            .into_iter()
            .map(|layout| Keys::new(Prefix::new("ipfs").unwrap(), layout))
            .collect()
    }

    #[test]
    fn ranges_follow_on_one_another_and_leave_nothing_out() {
        for keys in all() {
            for n in [0, 1, 2, 3, 7, 16, 62, 256, 1_000] {
                let ranges = keys.ranges(n);
                assert!(ranges.len() <= n.max(1));
                assert_eq!(ranges[0].after, None);
                assert_eq!(ranges[ranges.len() - 1].until, None);
                for pair in ranges.windows(2) {
                    assert_eq!(pair[0].until, pair[1].after);
                    assert!(pair[0].until.is_some());
                    assert!(pair[0].after < pair[0].until, "{:?} {n}", keys.layout());
                    assert!(
                        pair[0].until.as_deref().unwrap() > keys.list_prefix(),
                        "a cut lies inside the listing"
                    );
                }
            }
        }
    }

    #[test]
    fn sha2_256_blocks_fall_evenly() {
        for keys in all() {
            let ranges = keys.ranges(16);
            assert_eq!(ranges.len(), 16, "{:?}", keys.layout());
            let mut counts = vec![0; ranges.len()];
            for cid in sha2_256_cids(8_000) {
                let key = keys.key(&cid);
                let hits: Vec<usize> = (0..ranges.len())
                    .filter(|&i| ranges[i].contains(&key))
                    .collect();
                assert_eq!(hits.len(), 1, "{key}");
                counts[hits[0]] += 1;
            }
            // Where layouts keyed by CID expect half the blocks to be dag-cbor (and half of all in
            // the other folder), raw blocks of one user fill a part of the ranges only.
            let used = counts.iter().filter(|&&count| count > 0).count();
            let expected = match keys.layout() {
                Layout::Peergos => 8,
                Layout::PeergosUser(_) => 4,
                _ => 16,
            };
            assert!(used >= expected, "{:?} {counts:?}", keys.layout());
            let most = *counts.iter().max().unwrap();
            assert!(
                most < 8_000 / expected * 3 / 2,
                "{:?} {counts:?}",
                keys.layout()
            );
        }
    }
}
