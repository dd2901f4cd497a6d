//! Listings.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::StreamExt;

use super::{block, blocks, clear, fill, must, require_empty};
use crate::{Block, Blockstore, Cid, Cursor, Error, Listed, Page, raw_cid};

/// More than one page of S3's 1000 keys.
const MANY: usize = 1100;

/// A store of nothing lists nothing, and no error.
pub async fn empty_listing(store: &dyn Blockstore) {
    require_empty(store).await;
    let mut listing = store.list(Cursor::start());
    assert!(listing.next().await.is_none());
    assert_eq!(listing.foreign(), 0);
    assert!(listing.next().await.is_none(), "it ends once and for all");
}

/// A listing gives every block once, with its size, beyond the first page too.
pub async fn lists_every_block_once(store: &dyn Blockstore) {
    let blocks = blocks("lists_every_block_once", MANY);
    fill(store, &blocks).await;
    let mut listing = store.list(Cursor::start());
    let mut seen = BTreeMap::new();
    while let Some(listed) = listing.next().await {
        let listed = must("list", listed);
        assert_eq!(
            seen.insert(listed.cid, listed.size),
            None,
            "{} is listed once",
            listed.cid
        );
    }
    assert_eq!(listing.foreign(), 0, "no key of the store's own is foreign");
    drop(listing);
    assert_eq!(seen, sizes(&blocks), "every block is listed, and no other");
    clear(store, &blocks).await;
}

/// A listing goes on at each of its cursors: nothing is left out, nothing comes twice. The cursor
/// behind the last page gives nothing more.
pub async fn listing_resumes_at_every_cursor(store: &dyn Blockstore) {
    let blocks = blocks("listing_resumes_at_every_cursor", MANY);
    fill(store, &blocks).await;

    // A new listing for each page.
    let mut cursor = Cursor::start();
    let mut seen = BTreeMap::new();
    let mut at = Vec::new();
    loop {
        let page: Option<Page> = {
            let mut pages = store.list(cursor.clone()).into_pages();
            must("list", pages.next().await.transpose())
        };
        let Some(page) = page else { break };
        assert!(
            !page.cursor.is_start(),
            "the cursor behind a page is not the beginning"
        );
        assert_ne!(page.cursor, cursor, "each page moves the cursor on");
        for listed in &page.blocks {
            assert_eq!(seen.insert(listed.cid, listed.size), None, "listed twice");
        }
        cursor = Cursor::new(page.cursor.as_str());
        at.push((cursor.clone(), seen.clone()));
    }
    assert_eq!(seen, sizes(&blocks), "page by page, every block is listed");

    // From some cursors to the end.
    for (cursor, before) in at.iter().rev().step_by((at.len() / 4).max(1)) {
        let mut listing = store.list(cursor.clone());
        let mut seen = before.clone();
        while let Some(listed) = listing.next().await {
            let listed = must("list", listed);
            assert_eq!(seen.insert(listed.cid, listed.size), None, "listed twice");
        }
        assert_eq!(seen, sizes(&blocks), "resumed at {cursor}");
    }

    // At the cursor of a listing that was taken block by block: it may repeat, and misses nothing.
    for taken in [0, 1, 7, MANY / 2, MANY - 1, MANY] {
        let mut listing = store.list(Cursor::start());
        let mut seen = BTreeSet::new();
        for _ in 0..taken {
            let listed = listing.next().await.expect("there are more");
            seen.insert(must("list", listed).cid);
        }
        let cursor = listing.cursor().clone();
        drop(listing);
        let mut rest = store.list(cursor);
        while let Some(listed) = rest.next().await {
            seen.insert(must("list", listed).cid);
        }
        assert_eq!(seen.len(), MANY, "resumed after {taken} blocks");
    }
    clear(store, &blocks).await;
}

/// A block is listed as `CIDv1`, codec `raw`, whatever CID it was put under.
pub async fn listing_names_blocks_as_raw_v1(store: &dyn Blockstore) {
    let block = block("listing_names_blocks_as_raw_v1", 0);
    let v0 = Cid::new_v0(*block.multihash()).expect("sha2-256");
    let written = must("with_cid", block.clone().with_cid(&v0));
    must("put", store.put(&written).await);
    let listed: Vec<Listed> = {
        let listing = store.list(Cursor::start());
        (listing.map(|listed| must("list", listed)).collect()).await
    };
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].cid, raw_cid(*block.multihash()));
    assert_eq!(
        must("get", store.get(&listed[0].cid).await).as_ref(),
        Some(&block),
        "what is listed can be read under the name listed"
    );
    must("delete", store.delete(block.cid()).await);
}

/// Text that is no cursor of the store is [`Error::Invalid`], and not taken for some place.
pub async fn foreign_cursors_are_refused(store: &dyn Blockstore) {
    for text in ["\u{1}no cursor of any store", "..", "/", "%%%"] {
        let mut listing = store.list(Cursor::new(text));
        let first = listing.next().await;
        assert!(
            matches!(first, Some(Err(Error::Invalid(_)))),
            "cursor {text:?} is refused, not answered by {first:?}"
        );
        assert!(
            listing.next().await.is_none(),
            "a listing ends after its error"
        );
    }
}

/// Blocks that stay are listed once while others come and go.
pub async fn listing_while_blocks_change(store: &dyn Blockstore) {
    let stay = blocks("listing_while_blocks_change, stay", 300);
    let go = blocks("listing_while_blocks_change, go", 300);
    let come = blocks("listing_while_blocks_change, come", 20);
    fill(store, &stay).await;
    fill(store, &go).await;
    let staying = sizes(&stay);
    let mut seen = BTreeSet::new();
    let mut listing = store.list(Cursor::start());
    for n in 0.. {
        let Some(listed) = listing.next().await else {
            break;
        };
        let cid = must("list", listed).cid;
        assert!(
            seen.insert(cid) || !staying.contains_key(&cid),
            "listed twice"
        );
        if let Some(block) = go.get(n) {
            must("delete", store.delete(block.cid()).await);
        }
        if let Some(block) = come.get(n) {
            must("put", store.put(block).await);
        }
    }
    drop(listing);
    assert!(
        staying.keys().all(|cid| seen.contains(cid)),
        "a block that was there all the time is listed"
    );
    clear(store, &stay).await;
    clear(store, &go).await;
    clear(store, &come).await;
}

fn sizes(blocks: &[Block]) -> BTreeMap<Cid, u64> {
    (blocks.iter())
        .map(|block| (raw_cid(*block.multihash()), block.len() as u64))
        .collect()
}
