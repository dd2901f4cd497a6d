//! Which layout a sample of listed keys fits.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::control::is_in_control_folder;
use crate::layout::{ShardLength, Username};
use crate::{Keys, Layout, Prefix};

/// A guess of [`Keys::detect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// Prefix and layout.
    pub keys: Keys,
    /// How many keys of the sample it explains.
    pub matched: usize,
}

impl Keys {
    /// Which prefixes and layouts explain the keys of a sample, the best first.
    ///
    /// The one that explains most keys wins. Of equals, the one with the shorter prefix (it
    /// explains more of each key), then the one with fewer special rules. A bucket's first 1,000
    /// keys are a good sample; foreign keys among them do no harm, and what lies in a folder
    /// `.cidbucket/` is passed over. An empty answer means that no key of the sample is a block in
    /// any known layout.
    ///
    /// ```
    /// use cidbucket_layout::Keys;
    ///
    /// let fits = Keys::detect([
    ///     "ipfs/VT/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ.data",
    ///     "ipfs/QV/CIQOHMGEIKMPYHAUTL57JSEZN64SIJ5OIHSGJG4TJSSJLGI3PBJLQVI.data",
    ///     "ipfs/SHARDING",
    /// ]);
    /// assert_eq!(fits[0].keys.layout().to_string(), "flatfs");
    /// assert_eq!(fits[0].keys.prefix().as_str(), "ipfs");
    /// assert_eq!(fits[0].matched, 2);
    /// ```
    pub fn detect<'a>(sample: impl IntoIterator<Item = &'a str>) -> Vec<Fit> {
        let sample: Vec<&str> = sample
            .into_iter()
            .filter(|key| !is_in_control_folder(key))
            .collect();
        let mut votes: HashMap<Keys, usize> = HashMap::new();
        for key in &sample {
            for keys in guesses(key) {
                *votes.entry(keys).or_default() += 1;
            }
        }
        let mut fits: Vec<Fit> = votes
            .into_iter()
            .map(|(keys, matched)| Fit { keys, matched })
            .collect();
        fits.sort_by(better);
        // A key in the root is no vote for a user's folder beside it, of which it tells nothing.
        // So the front runners are counted exactly.
        fits.truncate(FRONT_RUNNERS);
        for fit in &mut fits {
            fit.matched = sample
                .iter()
                .filter(|key| fit.keys.multihash(key).is_some())
                .count();
        }
        fits.sort_by(better);
        fits
    }
}

/// How many guesses an answer has at most.
const FRONT_RUNNERS: usize = 16;

/// The order of the answer.
fn better(left: &Fit, right: &Fit) -> Ordering {
    let depth = |fit: &Fit| fit.keys.prefix().as_str().len();
    // A user's folder alone is as well a prefix, and then no read needs a second look elsewhere.
    let is_user = |fit: &Fit| matches!(fit.keys.layout(), Layout::PeergosUser(_));
    right
        .matched
        .cmp(&left.matched)
        .then(is_user(left).cmp(&is_user(right)))
        .then(depth(left).cmp(&depth(right)))
        .then(rank(left.keys.layout()).cmp(&rank(right.keys.layout())))
        .then_with(|| left.keys.prefix().cmp(right.keys.prefix()))
        .then_with(|| {
            left.keys
                .layout()
                .to_string()
                .cmp(&right.keys.layout().to_string())
        })
}

/// Every prefix and layout under which one key is a block.
fn guesses(key: &str) -> Vec<Keys> {
    let (folder, _name) = key.rsplit_once('/').unwrap_or(("", key));
    let mut guesses = Vec::new();
    let mut guess = |prefix: &str, layout: Layout| {
        if let Ok(normal) = Prefix::new(prefix)
            && normal.as_str() == prefix
        {
            let keys = Keys::new(normal, layout);
            if keys.multihash(key).is_some() {
                guesses.push(keys);
            }
        }
    };
    for layout in [
        Layout::Kubo,
        Layout::HeliaFlat,
        Layout::Peergos,
        Layout::JclabSuffix,
        Layout::JclabNextToLast,
    ] {
        guess(folder, layout);
    }
    if !folder.is_empty() {
        let (prefix, shard) = folder.rsplit_once('/').unwrap_or(("", folder));
        for layout in [
            Layout::KuboUnmounted,
            Layout::Flatfs,
            Layout::FlatfsBare,
            Layout::Helia,
            Layout::Piri,
            Layout::JclabSuffix,
            Layout::JclabNextToLast,
            Layout::ThreeBoxIdentity,
        ] {
            guess(prefix, layout);
        }
        if let Ok(n) = ShardLength::new(shard.len()) {
            guess(prefix, Layout::ThreeBoxNextToLast(n));
            guess(prefix, Layout::ThreeBoxSuffix(n));
            guess(prefix, Layout::ThreeBoxPrefix(n));
        }
        if let Ok(user) = shard.parse::<Username>() {
            guess(prefix, Layout::PeergosUser(user));
        }
    }
    guesses
}

/// Which of two layouts to believe where both explain the same keys: the one with fewer special
/// rules.
fn rank(layout: &Layout) -> usize {
    match layout {
        Layout::Kubo => 0,
        Layout::KuboUnmounted => 1,
        Layout::Flatfs | Layout::FlatfsBare => 2,
        Layout::Helia | Layout::HeliaFlat | Layout::Piri => 3,
        Layout::Peergos => 4,
        Layout::ThreeBoxNextToLast(_) => 5,
        Layout::ThreeBoxSuffix(_) => 6,
        Layout::ThreeBoxPrefix(_) | Layout::ThreeBoxIdentity => 7,
        Layout::JclabSuffix | Layout::JclabNextToLast => 8,
        Layout::PeergosUser(_) => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cid, Multihash};

    fn cids(count: u8) -> impl Iterator<Item = Cid> {
        (0..count).map(|i| {
            let mut digest = [i.wrapping_mul(151); 32];
            digest[31] = i.wrapping_mul(37);
            digest[30] = i;
            Cid::new_v1(0x55, Multihash::wrap(0x12, &digest).unwrap())
        })
    }

    #[test]
    fn every_layout_is_recognised_by_its_own_keys() {
        for prefix in ["", "ipfs", "a/b"] {
            for layout in Layout::examples() {
                let keys = Keys::new(Prefix::new(prefix).unwrap(), layout.clone());
                let mut sample: Vec<String> = cids(40).map(|cid| keys.key(&cid)).collect();
                sample.push(format!("{prefix}/_README"));
                let fits = Keys::detect(sample.iter().map(String::as_str));
                assert_eq!(fits[0].matched, 40, "{layout}");
                let found = &fits[0].keys;
                if !matches!(layout, Layout::PeergosUser(_)) {
                    assert_eq!(found.prefix().as_str(), prefix, "{layout}");
                }
                // Layouts with the same keys cannot be told apart.
                for cid in cids(40) {
                    assert_eq!(found.key(&cid), keys.key(&cid), "{layout}");
                }
            }
        }
    }

    #[test]
    fn a_bucket_under_migration_is_recognised_by_its_fallback() {
        for layout in [
            Layout::JclabSuffix,
            Layout::JclabNextToLast,
            Layout::PeergosUser("alice".parse().unwrap()),
        ] {
            let keys = Keys::new(Prefix::default(), layout.clone());
            let sample: Vec<String> = cids(20)
                .flat_map(|cid| keys.candidates(&cid).take(2))
                .collect();
            let fits = Keys::detect(sample.iter().map(String::as_str));
            assert_eq!(fits[0].keys.layout(), &layout);
            assert_eq!(fits[0].matched, 40);
        }
    }

    #[test]
    fn blocks_of_tenants_are_no_vote() {
        let store = Keys::new(Prefix::new("p").unwrap(), Layout::Flatfs);
        let tenant = Keys::new(store.prefix().clone(), Layout::Helia)
            .tenant("t")
            .unwrap();
        let sample: Vec<String> = cids(20)
            .map(|cid| tenant.key(&cid))
            .chain(cids(2).map(|cid| store.key(&cid)))
            .collect();
        let fits = Keys::detect(sample.iter().map(String::as_str));
        assert_eq!((&fits[0].keys, fits[0].matched), (&store, 2));
    }

    #[test]
    fn foreign_keys_fit_nothing() {
        assert_eq!(Keys::detect([]), []);
        assert_eq!(
            Keys::detect(["", "/", "//", "index.html", "a//b", "../CIQ", "CIQ"]),
            []
        );
    }
}
