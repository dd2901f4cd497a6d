//! Prefix and layout together: CID to key, and key back to multihash.

use std::borrow::Cow;

use crate::base32::{self, Case, MAX_TEXT};
use crate::{Cid, Layout, Multihash, Prefix};

/// Codes of the multicodec table.
const RAW: u64 = 0x55;
const DAG_PB: u64 = 0x70;
const DAG_CBOR: u64 = 0x71;
/// The codecs under which a store keyed by CID may keep a block, in the order of trying.
pub(crate) const CODECS: [u64; 3] = [RAW, DAG_CBOR, DAG_PB];

/// The keys of one store in a bucket.
///
/// ```
/// use cidbucket_layout::{Keys, Layout, Prefix};
///
/// let keys = Keys::new(Prefix::new("ipfs")?, Layout::Flatfs);
/// let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".parse()?;
/// let key = keys.key(&cid);
/// assert_eq!(key, "ipfs/VT/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ.data");
/// assert_eq!(keys.multihash(&key), Some(*cid.hash()));
/// assert_eq!(keys.multihash("ipfs/README"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Keys {
    prefix: Prefix,
    layout: Layout,
    /// What every key begins with: the prefix with a slash, and a constant folder of the layout.
    root: String,
}

impl Keys {
    /// The keys of `layout` under `prefix`.
    pub fn new(prefix: Prefix, layout: Layout) -> Self {
        let mut root = String::from(prefix.as_str());
        if !prefix.is_root() {
            root.push('/');
        }
        if layout == Layout::KuboUnmounted {
            root.push_str("blocks/");
        }
        Self {
            prefix,
            layout,
            root,
        }
    }

    /// The prefix.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// The layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What to list: every key of the store begins with it. It is empty or ends in a slash, so
    /// that listing `ipfs` leaves `ipfs2/…` alone.
    pub fn list_prefix(&self) -> &str {
        &self.root
    }

    /// The key under which the block is written.
    pub fn key(&self, cid: &Cid) -> String {
        let mut key = String::with_capacity(self.root.len() + 2 * MAX_TEXT);
        self.write_key(cid, &mut key);
        key
    }

    /// Appends [`Keys::key`] to `out`. It allocates only where `out` has to grow.
    pub fn write_key(&self, cid: &Cid, out: &mut String) {
        out.push_str(&self.root);
        self.write_tail(cid, out);
    }

    /// Appends what [`Keys::key`] has after [`Keys::list_prefix`].
    pub fn write_tail(&self, cid: &Cid, out: &mut String) {
        match Naming::of(&self.layout) {
            Naming::Multihash(form) => form.write(cid.hash(), out),
            Naming::Cid { user } => write_cid(user, &written_form(cid), out),
        }
    }

    /// Every key under which the block may lie, in the order in which a read tries them. The
    /// first is [`Keys::key`]; most layouts have no other.
    ///
    /// Whoever deletes a block deletes all of them: a key left behind would bring it back.
    pub fn candidates(&self, cid: &Cid) -> impl Iterator<Item = String> + Send + use<> {
        let mut keys = vec![self.key(cid)];
        match Naming::of(&self.layout) {
            Naming::Multihash(form) if form.falls_back => {
                let mut key = self.root.clone();
                Form::PLAIN.write(cid.hash(), &mut key);
                keys.push(key);
            }
            Naming::Multihash(_) => {}
            Naming::Cid { user } => {
                let folders: &[Option<&str>] = match user {
                    Some(_) => &[user, None],
                    None => &[None],
                };
                let written = written_form(cid);
                let others = forms(cid).filter(|form| *form != written);
                for form in std::iter::once(written).chain(others) {
                    for &folder in folders {
                        let mut key = self.root.clone();
                        write_cid(folder, &form, &mut key);
                        keys.push(key);
                    }
                }
                keys.remove(0);
            }
        }
        keys.into_iter()
    }

    /// The block that a listed key names; `None` where the key is foreign: not one of the
    /// [`Keys::candidates`] of any block.
    pub fn multihash(&self, key: &str) -> Option<Multihash> {
        let tail = key.strip_prefix(self.root.as_str())?;
        match Naming::of(&self.layout) {
            Naming::Multihash(form) => match form.parse(tail) {
                None if form.falls_back => Form::PLAIN.parse(tail),
                parsed => parsed,
            },
            Naming::Cid { user } => {
                let text = user
                    .and_then(|user| tail.strip_prefix(user)?.strip_prefix('/'))
                    .unwrap_or(tail);
                let cid = base32::cid(text)?;
                forms(&cid).any(|form| form == cid).then(|| *cid.hash())
            }
        }
    }
}

fn write_cid(user: Option<&str>, cid: &Cid, out: &mut String) {
    if let Some(user) = user {
        out.push_str(user);
        out.push('/');
    }
    base32::write_cid(cid, out);
}

/// By what a layout names a block.
pub(crate) enum Naming<'a> {
    Multihash(Form),
    Cid { user: Option<&'a str> },
}

impl<'a> Naming<'a> {
    pub(crate) fn of(layout: &'a Layout) -> Self {
        let form = match layout {
            Layout::Kubo | Layout::KuboUnmounted => Form::PLAIN,
            Layout::ThreeBoxIdentity => Form::sharded(Shard::Whole),
            Layout::ThreeBoxPrefix(n) => Form::sharded(Shard::First(n.get())),
            Layout::ThreeBoxSuffix(n) => Form::sharded(Shard::Last(n.get())),
            Layout::ThreeBoxNextToLast(n) => Form::sharded(Shard::NextToLast(n.get())),
            Layout::JclabSuffix => Form {
                end: "/data",
                falls_back: true,
                ..Form::PLAIN
            },
            Layout::JclabNextToLast => Form {
                falls_back: true,
                ..Form::sharded(Shard::NextToLast(2))
            },
            Layout::FlatfsBare => Form::sharded(Shard::NextToLast(2)),
            Layout::Flatfs => Form {
                end: ".data",
                ..Form::sharded(Shard::NextToLast(2))
            },
            Layout::Helia => Form {
                letter: "B",
                end: ".data",
                ..Form::sharded(Shard::Last(2))
            },
            Layout::HeliaFlat => Form {
                letter: "B",
                end: ".data",
                ..Form::PLAIN
            },
            Layout::Piri => Form {
                case: Case::Lower,
                end: ".data",
                ..Form::sharded(Shard::NextToLast(2))
            },
            Layout::Peergos => return Self::Cid { user: None },
            Layout::PeergosUser(user) => {
                return Self::Cid {
                    user: Some(user.as_str()),
                };
            }
        };
        Self::Multihash(form)
    }
}

/// A key made of the multihash's text: `SHARD/` + letter + text + end.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub(crate) shard: Shard,
    pub(crate) letter: &'static str,
    pub(crate) case: Case,
    pub(crate) end: &'static str,
    /// Whether reads that find nothing try [`Form::PLAIN`].
    pub(crate) falls_back: bool,
}

impl Form {
    /// The text alone.
    const PLAIN: Self = Self {
        shard: Shard::None,
        letter: "",
        case: Case::Upper,
        end: "",
        falls_back: false,
    };

    const fn sharded(shard: Shard) -> Self {
        Self {
            shard,
            ..Self::PLAIN
        }
    }

    fn write(self, multihash: &Multihash, out: &mut String) {
        let mut buffer = [0; MAX_TEXT];
        let text = self.case.encode(multihash, &mut buffer);
        if let Some(folder) = self.shard.folder(text) {
            out.push_str(&folder);
            out.push('/');
        }
        out.push_str(self.letter);
        out.push_str(text);
        out.push_str(self.end);
    }

    fn parse(self, tail: &str) -> Option<Multihash> {
        let path = tail.strip_suffix(self.end)?;
        let (folder, name) = match self.shard {
            Shard::None => (None, path),
            _ => path
                .rsplit_once('/')
                .map(|(folder, name)| (Some(folder), name))?,
        };
        let text = name.strip_prefix(self.letter)?;
        let multihash = self.case.decode(text)?;
        (self.shard.folder(text).as_deref() == folder).then_some(multihash)
    }
}

/// The folder into which a layout puts a block, taken from its text.
#[derive(Clone, Copy)]
pub(crate) enum Shard {
    None,
    Whole,
    First(usize),
    Last(usize),
    /// So many characters before the last one.
    NextToLast(usize),
}

impl Shard {
    /// The folder of an ASCII `text`. Where the text is too short, `_` fills up, as upstream.
    fn folder(self, text: &str) -> Option<Cow<'_, str>> {
        let (available, length, at_start) = match self {
            Self::None => return None,
            Self::Whole => return Some(text.into()),
            Self::First(n) => (text, n, true),
            Self::Last(n) => (text, n, false),
            Self::NextToLast(n) => (&text[..text.len().saturating_sub(1)], n, false),
        };
        let Some(missing) = length.checked_sub(available.len()).filter(|&n| n > 0) else {
            return Some(Cow::Borrowed(if at_start {
                &available[..length]
            } else {
                &available[available.len() - length..]
            }));
        };
        let fill = "_".repeat(missing);
        Some(Cow::Owned(if at_start {
            available.to_owned() + &fill
        } else {
            fill + available
        }))
    }
}

/// The CIDs under which a store keyed by CID may keep a block, in the order of trying.
fn forms(cid: &Cid) -> impl Iterator<Item = Cid> {
    let multihash = *cid.hash();
    CODECS
        .into_iter()
        .map(move |codec| Cid::new_v1(codec, multihash))
}

/// The CID by which a store keyed by CID writes a block: one that can be found again from the
/// multihash alone.
fn written_form(cid: &Cid) -> Cid {
    let v1 = Cid::new_v1(cid.codec(), *cid.hash());
    if forms(cid).any(|form| form == v1) {
        v1
    } else {
        Cid::new_v1(RAW, *cid.hash())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Prefix;

    const X: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    const K: &str = "CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ";

    fn keys(prefix: &str, layout: &str) -> Keys {
        Keys::new(Prefix::new(prefix).unwrap(), layout.parse().unwrap())
    }

    fn candidates(keys: &Keys, cid: &Cid) -> Vec<String> {
        keys.candidates(cid).collect()
    }

    #[test]
    fn the_root_directory_of_a_kubo_configuration_can_be_used_as_it_is() {
        let cid = X.parse().unwrap();
        for (root_directory, expected) in [
            ("", K.to_owned()),
            ("ipfs", format!("ipfs/{K}")),
            ("/lead/dir/", format!("lead/dir/{K}")),
        ] {
            assert_eq!(keys(root_directory, "kubo").key(&cid), expected);
        }
        assert_eq!(
            keys("", "kubo-unmounted").list_prefix(),
            "blocks/",
            "the folder of the layout narrows the listing"
        );
    }

    #[test]
    fn short_texts_are_filled_up_as_upstream_does() {
        // The empty identity multihash has the shortest text of all: AAAA.
        let cid: Cid = "bafkqaaa".parse().unwrap();
        for (layout, expected) in [
            ("3box-prefix-6", "AAAA__/AAAA"),
            ("3box-suffix-6", "__AAAA/AAAA"),
            ("3box-next-to-last-6", "___AAA/AAAA"),
            ("3box-next-to-last-2", "AA/AAAA"),
            ("3box-identity", "AAAA/AAAA"),
        ] {
            let keys = keys("", layout);
            assert_eq!(keys.key(&cid), expected);
            assert_eq!(keys.multihash(expected), Some(*cid.hash()));
        }
    }

    #[test]
    fn fallbacks_are_tried_in_order() {
        let cid = X.parse().unwrap();
        assert_eq!(candidates(&keys("p", "kubo"), &cid), [format!("p/{K}")]);
        assert_eq!(
            candidates(&keys("p", "jclab-suffix"), &cid),
            [format!("p/{K}/data"), format!("p/{K}")]
        );
        assert_eq!(
            candidates(&keys("", "jclab-next-to-last-2"), &cid),
            [format!("VT/{K}"), K.to_owned()]
        );
    }

    #[test]
    fn peergos_finds_a_block_under_every_form_of_its_cid() {
        let raw: Cid = X.parse().unwrap();
        let cbor = Cid::new_v1(DAG_CBOR, *raw.hash());
        let json = Cid::new_v1(0x0129, *raw.hash());
        let root = keys("", "peergos");
        let user = keys("", "peergos:alice");
        assert!(root.key(&cbor).starts_with("AFYREI"));
        assert_eq!(root.key(&json), root.key(&raw), "no key is lost to a codec");
        assert_eq!(user.key(&cbor), format!("alice/{}", root.key(&cbor)));
        let v0 = Cid::new_v0(*raw.hash()).unwrap();
        assert_eq!(root.key(&v0), root.key(&Cid::new_v1(DAG_PB, *raw.hash())));
        assert_eq!(
            root.multihash(K),
            None,
            "no CIDv0 keys: that is layout kubo"
        );

        for keys in [&root, &user] {
            for cid in [raw, cbor, json] {
                let all = candidates(keys, &cid);
                assert_eq!(all[0], keys.key(&cid));
                for other in [raw, cbor] {
                    assert!(all.contains(&keys.key(&other)));
                    assert!(all.contains(&root.key(&other)), "the unprefixed root");
                }
            }
        }
        assert_eq!(candidates(&root, &raw).len(), 3);
        assert_eq!(candidates(&user, &raw)[1], root.key(&raw));
    }

    #[test]
    fn look_alikes_are_foreign() {
        let key = |layout: &str| keys("", layout).key(&X.parse().unwrap());
        for layout in Layout::examples().iter().map(Layout::to_string) {
            let keys = keys("", &layout);
            let own = key(&layout);
            assert!(keys.multihash(&own).is_some());
            let swapped_case: String = own
                .chars()
                .map(|c| {
                    if c.is_ascii_uppercase() {
                        c.to_ascii_lowercase()
                    } else {
                        c.to_ascii_uppercase()
                    }
                })
                .collect();
            for foreign in [
                swapped_case,
                format!("{own}="),
                format!("{own}A"),
                format!("{own}/"),
                format!("/{own}"),
                format!("x/{own}"),
                format!("{own}.data.data"),
                own[1..].to_owned(),
                own[..own.len() - 1].to_owned(),
                String::new(),
                "é".repeat(40),
            ] {
                assert_eq!(keys.multihash(&foreign), None, "{layout}: {foreign}");
            }
        }
        // The wrong shard folder.
        assert_eq!(keys("", "flatfs-bare").multihash(&format!("TV/{K}")), None);
        assert_eq!(keys("", "helia").multihash(&format!("VT/B{K}.data")), None);
        assert_eq!(
            keys("", "jclab-next-to-last-2").multihash(&format!("TV/{K}")),
            None
        );
        // Trailing bits that are not zero, and a varint with a needless byte.
        assert_eq!(keys("", "kubo").multihash(&format!("{}R", &K[..54])), None);
        assert_eq!(keys("", "kubo").multihash("SIAAA"), None);
    }

    #[test]
    fn a_sibling_prefix_is_not_listed() {
        for layout in Layout::examples().iter().map(Layout::to_string) {
            let (ours, sibling) = (keys("ipfs", &layout), keys("ipfs2", &layout));
            let key = sibling.key(&X.parse().unwrap());
            assert!(!key.starts_with(ours.list_prefix()), "{layout}");
            assert_eq!(ours.multihash(&key), None, "{layout}");
        }
    }

    fn any_layout() -> impl Strategy<Value = Layout> {
        let mut layouts = Layout::examples();
        for name in [
            "3box-prefix-1",
            "3box-prefix-32",
            "3box-suffix-1",
            "3box-suffix-32",
            "3box-next-to-last-1",
            "3box-next-to-last-32",
        ] {
            layouts.push(name.parse().unwrap());
        }
        proptest::sample::select(layouts)
    }

    fn any_keys() -> impl Strategy<Value = Keys> {
        let prefix = prop_oneof![
            Just(String::new()),
            "[a-zA-Z0-9._-]{1,8}(/[a-zA-Z0-9 +é]{1,8}){0,3}",
            Just("x".repeat(Prefix::MAX_LEN)),
        ];
        let prefix = prefix.prop_filter_map("a valid prefix", |text| Prefix::new(&text).ok());
        (prefix, any_layout()).prop_map(|(prefix, layout)| Keys::new(prefix, layout))
    }

    fn any_cid() -> impl Strategy<Value = Cid> {
        let code = prop_oneof![Just(0x12_u64), Just(0xb220_u64), Just(0_u64), any::<u64>()];
        let codec = prop_oneof![Just(RAW), Just(DAG_PB), Just(DAG_CBOR), any::<u64>()];
        let digest = prop_oneof![
            proptest::collection::vec(any::<u8>(), 32),
            proptest::collection::vec(any::<u8>(), 0..=64),
        ];
        (code, codec, digest, any::<bool>()).prop_map(|(code, codec, digest, v0)| {
            let multihash = Multihash::wrap(code, &digest).unwrap();
            match Cid::new_v0(multihash) {
                Ok(cid) if v0 => cid,
                _ => Cid::new_v1(codec, multihash),
            }
        })
    }

    proptest! {
        #[test]
        fn no_block_lies_in_the_services_folder(keys in any_keys(), cid in any_cid(), tenant in "[a-z0-9]{1,8}") {
            let folder = keys.control_prefix();
            for key in candidates(&keys, &cid) {
                prop_assert!(!keys.is_control(&key), "{key}");
                let tail = &key[folder.len() - ".cidbucket/".len()..];
                let first = tail.as_bytes()[0];
                prop_assert!(first.is_ascii_alphanumeric() || b"_-".contains(&first), "{tail}");
                // Nor is anything within it read as one, however much it looks like one.
                for within in ["", "tenants/", "staging/x/", "leases/", &tenant] {
                    let name = format!("{folder}{within}{tail}");
                    prop_assert_eq!(keys.multihash(&name), None, "{}", name);
                }
            }
            if let Ok(own) = keys.tenant(&tenant) {
                let key = own.key(&cid);
                prop_assert!(keys.is_control(&key));
                prop_assert_eq!(keys.multihash(&key), None);
                prop_assert_eq!(own.multihash(&key), Some(*cid.hash()));
                prop_assert_eq!(own.multihash(&keys.key(&cid)), None);
                let other = keys.tenant(&format!("{tenant}0")).unwrap();
                prop_assert_eq!(other.multihash(&key), None);
                prop_assert!(!key.starts_with(other.list_prefix()));
            }
        }

        #[test]
        fn any_cid_round_trips(keys in any_keys(), cid in any_cid()) {
            let key = keys.key(&cid);
            prop_assert!(key.len() <= 1_024, "S3's limit");
            let all = candidates(&keys, &cid);
            prop_assert_eq!(&all[0], &key);
            for (i, candidate) in all.iter().enumerate() {
                prop_assert_eq!(keys.multihash(candidate), Some(*cid.hash()));
                prop_assert!(candidate.starts_with(keys.list_prefix()));
                prop_assert!(!all[..i].contains(candidate));
                let tail = &candidate[keys.prefix().as_str().len()..];
                prop_assert!(tail.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b)));
                prop_assert!(!tail.contains("//") && !tail.contains(".."));
            }
            let mut out = String::from("before ");
            keys.write_key(&cid, &mut out);
            prop_assert_eq!(out, format!("before {key}"));
            let mut out = keys.list_prefix().to_owned();
            keys.write_tail(&cid, &mut out);
            prop_assert_eq!(out, key);
        }

        #[test]
        fn a_key_that_is_read_is_a_key_that_is_looked_for(
            keys in any_keys(),
            cid in any_cid(),
            position in any::<proptest::sample::Index>(),
            replacement in "[A-Za-z0-9=/._]{0,2}",
        ) {
            // One character of a good key replaced: what still parses must be canonical.
            let mut key = keys.key(&cid);
            let at = position.index(key.len());
            if key.is_char_boundary(at) && key.is_char_boundary(at + 1) {
                key.replace_range(at..=at, &replacement);
            }
            if let Some(multihash) = keys.multihash(&key) {
                let raw = Cid::new_v1(RAW, multihash);
                prop_assert!(candidates(&keys, &raw).contains(&key));
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(keys in any_keys(), text in ".{0,200}") {
            for key in [text.clone(), format!("{}{text}", keys.list_prefix())] {
                if let Some(multihash) = keys.multihash(&key) {
                    let raw = Cid::new_v1(RAW, multihash);
                    prop_assert!(candidates(&keys, &raw).contains(&key));
                }
            }
            let _ = Keys::detect([text.as_str()]);
        }

        #[test]
        fn short_base32_texts_are_read_strictly(keys in any_keys(), text in "[A-Z2-7]{0,12}") {
            for key in [text.clone(), text.to_lowercase(), format!("{text}/data"), format!("B{text}.data")] {
                let key = format!("{}{key}", keys.list_prefix());
                if let Some(multihash) = keys.multihash(&key) {
                    let raw = Cid::new_v1(RAW, multihash);
                    prop_assert!(candidates(&keys, &raw).contains(&key));
                }
            }
        }

        #[test]
        fn a_normalised_prefix_is_safe(text in ".{0,40}") {
            if let Ok(prefix) = Prefix::new(&text) {
                let keys = Keys::new(prefix.clone(), Layout::Kubo);
                prop_assert!(!keys.list_prefix().starts_with('/'));
                prop_assert!(!keys.list_prefix().contains("//"));
                prop_assert!(!keys.list_prefix().chars().any(char::is_control));
                prop_assert!(prefix.as_str().split('/').all(|segment| segment != ".." && segment != "."));
                prop_assert_eq!(Prefix::new(prefix.as_str()).unwrap(), prefix);
            }
        }
    }
}
