//! Adding to UnixFS, against the CIDs that Kubo gave, and against itself.

mod kubo;
mod kubo_metadata;
mod properties;

use bytes::Bytes;
use cidbucket_blockstore::Block;
use cidbucket_dag::unixfs::Metadata;
use cidbucket_dag::unixfs::add::{Added, DirectoryBuilder, FileBuilder, Profile};

/// A file of `data`, with the root's metadata, and its blocks.
fn file(profile: &Profile, data: Bytes, metadata: Metadata) -> (Added, Vec<Block>) {
    let mut blocks = Vec::new();
    let mut file = FileBuilder::new(profile)
        .unwrap()
        .with_metadata(metadata)
        .unwrap();
    file.push(data, &mut blocks);
    let added = file.finish(&mut blocks);
    assert_eq!(
        blocks.last().unwrap().cid(),
        &added.cid,
        "the root comes last"
    );
    (added, blocks)
}

/// The CID of a file of `data`.
fn cid(profile: &Profile, data: impl Into<Bytes>) -> String {
    let (added, _) = file(profile, data.into(), Metadata::default());
    added.cid.to_string()
}

/// A directory, and its blocks.
fn directory(
    profile: &Profile,
    entries: impl IntoIterator<Item = (impl Into<String>, Added)>,
) -> (Added, Vec<Block>) {
    let mut blocks = Vec::new();
    let mut directory = DirectoryBuilder::new(profile).unwrap();
    for (name, added) in entries {
        directory.add(name, &added).unwrap();
    }
    let added = directory.finish(&mut blocks).unwrap();
    assert_eq!(
        blocks.last().unwrap().cid(),
        &added.cid,
        "the root comes last"
    );
    (added, blocks)
}
