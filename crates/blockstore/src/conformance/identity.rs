//! What makes two CIDs the same block, and which CIDs are accepted.

use futures::stream::StreamExt;

use super::{block, must};
use crate::{Block, Blockstore, Cid, Cursor, Error, Hash, Multihash};

/// `raw`, `dag-pb`, `dag-cbor`.
const CODECS: [u64; 3] = [0x55, 0x70, 0x71];

/// The names of one block: `CIDv0` where the hash allows it, and `CIDv1` in three codecs.
fn names(multihash: Multihash) -> Vec<Cid> {
    Cid::new_v0(multihash)
        .into_iter()
        .chain(CODECS.map(|codec| Cid::new_v1(codec, multihash)))
        .collect()
}

/// `CIDv0`, `CIDv1` and all codecs of a multihash are one block, for every operation.
pub async fn multihash_is_the_identity(store: &dyn Blockstore) {
    let block = block("multihash_is_the_identity", 0);
    let names = names(*block.multihash());
    for (n, written) in names.iter().enumerate() {
        let written = must("with_cid", block.clone().with_cid(written));
        must("put", store.put(&written).await);
        for read in &names {
            assert!(
                must("has", store.has(read).await),
                "put as {}, found as {read}",
                written.cid()
            );
            assert_eq!(
                must("size", store.size(read).await),
                Some(block.len() as u64)
            );
        }
        let deleted = &names[(n + 1) % names.len()];
        must("delete", store.delete(deleted).await);
        for read in &names {
            assert!(
                !must("has", store.has(read).await),
                "deleted as {deleted}, gone as {read}"
            );
        }
    }
}

/// `get` and `get_many` answer with the very CID that was asked for.
pub async fn requested_cid_is_returned(store: &dyn Blockstore) {
    let block = block("requested_cid_is_returned", 0);
    must("put", store.put(&block).await);
    let names = names(*block.multihash());
    // Twice: the second time from whatever remembers blocks.
    for cid in names.iter().chain(&names) {
        let got = must("get", store.get(cid).await).expect("it was put");
        assert_eq!(got.cid(), cid);
        assert_eq!(got.data(), block.data());
    }
    let mut answers = store.get_many(futures::stream::iter(names.clone()).boxed());
    for cid in &names {
        let (named, got) = answers.next().await.expect("an answer per item");
        assert_eq!(&named, cid);
        let got = must("get_many", got).expect("it was put");
        assert_eq!(got.cid(), cid);
    }
    drop(answers);
    must("delete", store.delete(block.cid()).await);
}

/// An identity CID is answered from itself; it is never stored, listed or deleted.
pub async fn identity_cids_are_inline(store: &dyn Blockstore) {
    for data in [&b""[..], b"inline"] {
        let block = must("encode", Block::encode(0x55, Hash::Identity, data));
        let answer = async || {
            assert_eq!(
                must("get", store.get(block.cid()).await).as_ref(),
                Some(&block)
            );
            assert_eq!(
                must("size", store.size(block.cid()).await),
                Some(block.len() as u64)
            );
            assert!(must("has", store.has(block.cid()).await));
        };
        answer().await;
        must("put", store.put(&block).await);
        let mut listing = store.list(Cursor::start());
        while let Some(listed) = listing.next().await {
            let listed = must("list", listed);
            assert_ne!(
                listed.cid.hash().code(),
                Hash::Identity.code(),
                "an identity CID is never listed"
            );
        }
        must("delete", store.delete(block.cid()).await);
        answer().await;
    }
}

/// Every hash function of the allow-list can be stored, read and deleted.
pub async fn every_hash(store: &dyn Blockstore) {
    for &hash in Hash::ALL.iter().filter(|&&hash| hash != Hash::Identity) {
        let block = must(
            "encode",
            Block::encode(0x55, hash, format!("conformance {}", hash.name())),
        );
        must(&format!("put of a {} block", hash.name()), {
            store.put(&block).await
        });
        assert_eq!(
            must(&format!("get of a {} block", hash.name()), {
                store.get(block.cid()).await
            })
            .as_ref(),
            Some(&block)
        );
        let mut listing = store.list(Cursor::start());
        let mut found = false;
        while let Some(listed) = listing.next().await {
            found |= must("list", listed).cid.hash() == block.multihash();
        }
        assert!(found, "a {} block is listed", hash.name());
        must("delete", store.delete(block.cid()).await);
        assert!(!must("has", store.has(block.cid()).await));
    }
}

/// Unknown, weak and too short digests are refused as [`Error::Invalid`]: never "absent".
pub async fn refused_hashes(store: &dyn Blockstore) {
    let refused = [
        (0x22, 16),   // murmur3-x64-64: not a secure hash
        (0xd5, 16),   // md5
        (0x12, 19),   // sha2-256 cut below 160 bits
        (0xb213, 19), // blake2b-152
        (0x12, 33),   // more than sha2-256 gives
        (0x3fff, 32), // no function at all
    ];
    for (code, length) in refused {
        let multihash = Multihash::wrap(code, &[7; 64][..length]).expect("it fits");
        let cid = Cid::new_v1(0x55, multihash);
        let check = |operation: &str, error: Option<Error>| {
            assert!(
                matches!(error, Some(Error::Invalid(_))),
                "{operation} of hash {code:#x} with {length} bytes is Invalid, not {error:?}"
            );
        };
        check("get", store.get(&cid).await.err());
        check("size", store.size(&cid).await.err());
        check("has", store.has(&cid).await.err());
        check("delete", store.delete(&cid).await.err());
        check("Block::new", Block::new(cid, &b"any"[..]).err());
    }
}

/// A digest cut short (to 160 bits or more) names a block of its own, checked against what is left.
pub async fn truncated_digest_is_a_block_of_its_own(store: &dyn Blockstore) {
    let full = block("truncated_digest_is_a_block_of_its_own", 0);
    let digest = full.multihash().digest();
    let cut = Multihash::wrap(full.multihash().code(), &digest[..20]).expect("it fits");
    let cut = must(
        "Block::new",
        Block::new(Cid::new_v1(0x55, cut), full.data().clone()),
    );
    must("put", store.put(&cut).await);
    assert_eq!(must("get", store.get(cut.cid()).await).as_ref(), Some(&cut));
    assert!(
        !must("has", store.has(full.cid()).await),
        "a short digest proves less, so it does not stand for the full one"
    );
    must("delete", store.delete(cut.cid()).await);
}
