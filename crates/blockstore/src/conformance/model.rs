//! A store against a map: random operations, every answer compared.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};

use super::{clear, must, require_empty};
use crate::{Block, Blockstore, Bytes, Cid, Cursor, Hash, Multihash, raw_cid};

/// How many different blocks take part: few, so that operations meet.
const UNIVERSE: u64 = 24;

/// Does `steps` random operations, alone and in batches, and compares every answer with a map.
///
/// The same `seed` gives the same operations. A broken promise panics with the seed and the step.
/// The store must be empty; it is emptied again.
pub async fn model(store: &dyn Blockstore, seed: u64, steps: usize) {
    require_empty(store).await;
    let mut random = Random(seed);
    let universe: Vec<Block> = (0..UNIVERSE).map(|n| make_block(n, &mut random)).collect();
    let mut model = Model::default();
    for step in 0..steps {
        let operation = random.below(20);
        let at = format!("model(seed {seed}), step {step}, operation {operation}");
        let one = &universe[random.index(universe.len())];
        let one = must(&at, one.clone().with_cid(&rename(one.cid(), &mut random)));
        let some: Vec<Block> = (0..random.below(30))
            .map(|_| universe[random.index(universe.len())].clone())
            .collect();
        let cids: Vec<Cid> = some
            .iter()
            .map(|block| rename(block.cid(), &mut random))
            .collect();
        match operation {
            0..=4 => {
                must(&at, store.put(&one).await);
                model.put(&one);
            }
            5..=8 => assert_eq!(
                must(&at, store.get(one.cid()).await).map(Block::into_data),
                model.get(one.cid()),
                "{at}: get"
            ),
            9 => assert_eq!(
                must(&at, store.size(one.cid()).await),
                model.get(one.cid()).map(|data| data.len() as u64),
                "{at}: size"
            ),
            10 => assert_eq!(
                must(&at, store.has(one.cid()).await),
                model.get(one.cid()).is_some(),
                "{at}: has"
            ),
            11..=14 => {
                must(&at, store.delete(one.cid()).await);
                model.delete(one.cid());
            }
            15 => {
                let mut answers = store.put_many(stream::iter(some.clone()).boxed());
                for block in &some {
                    let (cid, answer) = answers.next().await.expect("an answer per item");
                    assert_eq!(&cid, block.cid(), "{at}: order");
                    must(&at, answer);
                    model.put(block);
                }
                assert!(answers.next().await.is_none(), "{at}: too many answers");
            }
            16 | 17 => {
                let mut answers = store.get_many(stream::iter(cids.clone()).boxed());
                for asked in &cids {
                    let (cid, got) = answers.next().await.expect("an answer per item");
                    assert_eq!(&cid, asked, "{at}: order");
                    let got = must(&at, got);
                    assert!(
                        got.as_ref().is_none_or(|got| got.cid() == asked),
                        "{at}: CID"
                    );
                    assert_eq!(
                        got.map(Block::into_data),
                        model.get(asked),
                        "{at}: get_many"
                    );
                }
                assert!(answers.next().await.is_none(), "{at}: too many answers");
            }
            18 => {
                let mut answers = store.delete_many(stream::iter(cids.clone()).boxed());
                for asked in &cids {
                    let (cid, answer) = answers.next().await.expect("an answer per item");
                    assert_eq!(&cid, asked, "{at}: order");
                    must(&at, answer);
                    model.delete(asked);
                }
                assert!(answers.next().await.is_none(), "{at}: too many answers");
            }
            _ => {
                let mut listed = BTreeMap::new();
                let mut listing = store.list(Cursor::start());
                while let Some(block) = listing.next().await {
                    let block = must(&at, block);
                    assert!(
                        listed.insert(block.cid, block.size).is_none(),
                        "{at}: {} is listed twice",
                        block.cid
                    );
                }
                assert_eq!(listed, model.listing(), "{at}: list");
            }
        }
    }
    clear(store, &universe).await;
}

/// What the store should hold.
#[derive(Default)]
struct Model(BTreeMap<Multihash, Bytes>);

impl Model {
    fn put(&mut self, block: &Block) {
        if !block.is_inline() {
            self.0.insert(*block.multihash(), block.data().clone());
        }
    }

    fn get(&self, cid: &Cid) -> Option<Bytes> {
        if cid.hash().code() == Hash::Identity.code() {
            return Some(Bytes::copy_from_slice(cid.hash().digest()));
        }
        self.0.get(cid.hash()).cloned()
    }

    fn delete(&mut self, cid: &Cid) {
        self.0.remove(cid.hash());
    }

    fn listing(&self) -> BTreeMap<Cid, u64> {
        (self.0.iter())
            .map(|(multihash, data)| (raw_cid(*multihash), data.len() as u64))
            .collect()
    }
}

/// A block of any hash and a size from nothing to some 100 KiB, mostly small.
fn make_block(n: u64, random: &mut Random) -> Block {
    let hash = match n % 4 {
        0 => Hash::ALL[random.index(Hash::ALL.len())],
        _ => Hash::Sha2_256,
    };
    let length = match (hash, random.below(4)) {
        (Hash::Identity, _) => random.index(65),
        (_, 0) if n == 1 => 0,
        (_, 0) => random.index(100_000),
        _ => random.index(300),
    };
    let byte = u8::try_from(n).expect("a small universe");
    must("encode", Block::encode(0x55, hash, vec![byte; length]))
}

/// Another name of the same multihash.
fn rename(cid: &Cid, random: &mut Random) -> Cid {
    let codec = [0x55, 0x70, 0x71][random.index(3)];
    match Cid::new_v0(*cid.hash()) {
        Ok(v0) if random.below(4) == 0 => v0,
        _ => Cid::new_v1(codec, *cid.hash()),
    }
}

/// `SplitMix64`: small, and the same everywhere, which is all that is asked of it.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("below a usize")
    }
}
