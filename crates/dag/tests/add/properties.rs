//! What holds for every input.

use bytes::Bytes;
use cidbucket_dag::unixfs::Metadata;
use cidbucket_dag::unixfs::add::{DirectoryBuilder, FileBuilder, Profile};
use proptest::prelude::*;

use super::{directory, file};

fn profile() -> impl Strategy<Value = Profile> {
    let bases = prop_oneof![
        Just(Profile::kubo()),
        Just(Profile::v1()),
        Just(Profile::v1_2025())
    ];
    (bases, 1_usize..40, 2_usize..6).prop_map(|(base, size, max_links)| Profile {
        chunker: format!("size-{size}").parse().unwrap(),
        max_links,
        ..base
    })
}

proptest! {
    #[test]
    fn the_pieces_of_a_file_make_no_difference(
        profile in profile(),
        data in proptest::collection::vec(any::<u8>(), 0..2000),
        cuts in proptest::collection::vec(0_usize..2000, 0..20),
    ) {
        let data = Bytes::from(data);
        let (whole, whole_blocks) = file(&profile, data.clone(), Metadata::default());
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(data.len())).collect();
        cuts.extend([0, data.len()]);
        cuts.sort_unstable();
        let (mut builder, mut blocks) = (FileBuilder::new(&profile).unwrap(), Vec::new());
        for two in cuts.windows(2) {
            builder.push(data.slice(two[0]..two[1]), &mut blocks);
        }
        prop_assert_eq!(builder.finish(&mut blocks), whole);
        prop_assert_eq!(&blocks, &whole_blocks);
        prop_assert_eq!(whole.size, data.len() as u64);
        let bytes: usize = blocks.iter().map(cidbucket_blockstore::Block::len).sum();
        prop_assert_eq!(whole.tsize, bytes as u64);
    }

    #[test]
    fn the_order_of_entries_makes_no_difference(
        names in proptest::collection::btree_set("[a-z]{1,5}", 1..60),
        threshold in prop_oneof![Just(0_u64), Just(1 << 18)],
    ) {
        let mut profile = Profile::v1();
        profile.sharding.threshold = threshold;
        let entry = |name: &String| {
            (name.clone(), file(&profile, name.clone().into(), Metadata::default()).0)
        };
        let (forwards, _) = directory(&profile, names.iter().map(entry));
        let (backwards, _) = directory(&profile, names.iter().rev().map(entry));
        prop_assert_eq!(forwards, backwards);
    }
}

#[test]
fn bad_names_are_refused() {
    let profile = Profile::kubo();
    let (x, _) = file(&profile, "x".into(), Metadata::default());
    let mut builder = DirectoryBuilder::new(&profile).unwrap();
    for name in ["", ".", "..", "a/b", "/"] {
        let error = builder.add(name, &x).unwrap_err().to_string();
        assert!(error.contains("cannot be the name"), "{error}");
    }
    builder.add("twice", &x).unwrap();
    builder.add("once", &x).unwrap();
    builder.add("twice", &x).unwrap();
    let error = builder.finish(&mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("\"twice\""), "{error}");
}

#[test]
fn profiles_that_cannot_be_are_refused() {
    let good = Profile::v1();
    for max_links in [0, 1, 16_385] {
        assert!(FileBuilder::new(&Profile { max_links, ..good }).is_err());
    }
    for fanout in [0, 4, 24, 2048] {
        let mut profile = good;
        profile.sharding.fanout = fanout;
        assert!(DirectoryBuilder::new(&profile).is_err());
    }
    let hash = cidbucket_blockstore::Hash::Blake3;
    let profile = Profile {
        hash,
        ..Profile::kubo()
    };
    assert!(FileBuilder::new(&profile).is_err());
}
