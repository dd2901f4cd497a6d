//! Walks, compared with a naive one: order, duplicates, limits, and what is fetched ahead.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cidbucket_blockstore::{
    Block, Blockstore, Cid, Cursor, Error, Hash, Listing, MemoryBlockstore, Report, Result,
};
use cidbucket_dag::{DagError, WalkOptions, links, walk};
use futures::stream::StreamExt;
use ipld_core::ipld::Ipld;
use ipld_dagpb::{PbLink, PbNode};
use proptest::prelude::*;
use tokio::time::Instant;

const RAW: u64 = 0x55;
const DAG_PB: u64 = 0x70;
const DAG_CBOR: u64 = 0x71;
const DAG_JSON: u64 = 0x0129;

/// A block of a codec, with these links and some bytes of its own.
fn node(codec: u64, links: &[Cid], own: &[u8]) -> Block {
    let list = |links: &[Cid]| {
        let links = links.iter().map(|cid| Ipld::Link(*cid)).collect();
        Ipld::List(vec![Ipld::Bytes(own.to_vec()), Ipld::List(links)])
    };
    let data = match codec {
        DAG_PB => PbNode {
            links: links
                .iter()
                .map(|cid| PbLink {
                    cid: *cid,
                    name: None,
                    size: None,
                })
                .collect(),
            data: Some(Bytes::copy_from_slice(own)),
        }
        .into_bytes(),
        DAG_CBOR => serde_ipld_dagcbor::to_vec(&list(links)).unwrap(),
        DAG_JSON => serde_ipld_dagjson::to_vec(&list(links)).unwrap(),
        RAW => own.to_vec(),
        _ => unreachable!(),
    };
    Block::encode(codec, Hash::Sha2_256, data).unwrap()
}

/// A store over memory whose answers take a while, and which watches what it is asked for.
#[derive(Debug, Default)]
struct Slow {
    inner: MemoryBlockstore,
    /// How long a get takes, by the first byte of the digest.
    delay: Option<fn(u8) -> Duration>,
    refused: HashSet<Cid>,
    gets: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Slow {
    async fn of(blocks: &[Block]) -> Self {
        let store = Self::default();
        for block in blocks {
            store.inner.put(block).await.unwrap();
        }
        store
    }
}

#[async_trait::async_trait]
impl Blockstore for Slow {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        if let Some(delay) = self.delay {
            tokio::time::sleep(delay(cid.hash().digest()[0])).await;
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        if self.refused.contains(cid) {
            return Err(Error::Denied(Report::new("get", "no").into()));
        }
        self.inner.get(cid).await
    }
    async fn put(&self, block: &Block) -> Result<()> {
        self.inner.put(block).await
    }
    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        self.inner.size(cid).await
    }
    async fn delete(&self, cid: &Cid) -> Result<()> {
        self.inner.delete(cid).await
    }
    fn list(&self, from: Cursor) -> Listing<'_> {
        self.inner.list(from)
    }
}

/// What a walk is to give: the CID of a block, or of one that is missing, with its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Block(Cid),
    Missing(Cid, Option<Cid>),
}

/// The naive walk, up to about so many steps.
fn model(blocks: &HashMap<Cid, Block>, roots: &[Cid], dups: bool, max: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut seen = HashSet::new();
    let mut stack: Vec<(Cid, Option<Cid>)> = roots.iter().rev().map(|root| (*root, None)).collect();
    while let Some((cid, parent)) = stack.pop()
        && steps.len() < max
    {
        let inline = Block::inline(&cid).unwrap();
        if inline.is_none() && !seen.insert(cid) && !dups {
            continue;
        }
        let Some(block) = inline.clone().or_else(|| blocks.get(&cid).cloned()) else {
            steps.push(Step::Missing(cid, parent));
            continue;
        };
        if inline.is_none() {
            steps.push(Step::Block(cid));
        }
        let links = links(&cid, block.data()).unwrap();
        stack.extend(links.iter().rev().map(|link| (*link, Some(cid))));
    }
    steps
}

fn step(step: Result<Block, DagError>) -> Step {
    match step {
        Ok(block) => Step::Block(*block.cid()),
        Err(DagError::Missing { cid, parent }) => Step::Missing(cid, parent),
        Err(error) => panic!("{error}"),
    }
}

/// A DAG: for each node its codec, links to nodes before it, and what to do with it.
#[derive(Debug, Clone)]
struct Dag {
    blocks: Vec<Block>,
    /// Those that are not in the store.
    missing: HashSet<Cid>,
    roots: Vec<Cid>,
}

fn some_dag() -> impl Strategy<Value = Dag> {
    let codec = prop::sample::select(vec![RAW, DAG_PB, DAG_CBOR, DAG_JSON]);
    let links = prop::collection::vec(any::<prop::sample::Index>(), 0..6);
    // Inline, missing, and twins: the same bytes under another codec.
    let fate = prop::sample::select(vec![0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
    let node_of = (codec, links, fate);
    let nodes = prop::collection::vec(node_of, 1..25);
    let roots = prop::collection::vec(any::<prop::sample::Index>(), 1..4);
    (nodes, roots).prop_map(|(nodes, roots)| {
        let mut blocks: Vec<Block> = Vec::new();
        let mut missing = HashSet::new();
        for (number, (codec, links, fate)) in (0u8..).zip(nodes) {
            let at = blocks.len();
            let links: Vec<Cid> = links
                .iter()
                .filter(|_| at > 0)
                .map(|link| *blocks[link.index(at)].cid())
                .collect();
            let mut block = node(codec, &links, &[number]);
            match fate {
                1 if block.len() <= 64 => {
                    block = Block::encode(codec, Hash::Identity, block.into_data()).unwrap();
                }
                2 => {
                    missing.insert(*block.cid());
                }
                3 => {
                    let twin = Cid::new_v1(RAW, *block.multihash());
                    block = block.with_cid(&twin).unwrap();
                }
                _ => {}
            }
            blocks.push(block);
        }
        let last = *blocks.last().unwrap().cid();
        let roots = roots
            .iter()
            .map(|root| *blocks[root.index(blocks.len())].cid());
        let roots = roots.chain([last]).collect();
        // A twin elsewhere in the DAG brings the bytes of a missing block.
        let there: HashSet<_> = blocks
            .iter()
            .filter(|b| !missing.contains(b.cid()))
            .map(|b| *b.multihash())
            .collect();
        missing.retain(|cid| !there.contains(cid.hash()));
        Dag {
            blocks,
            missing,
            roots,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_walk_is_what_a_naive_one_is(dag in some_dag(), dups: bool, past_missing: bool, concurrency in 0..5usize) {
        let there: Vec<Block> = dag.blocks.iter().filter(|block| !dag.missing.contains(block.cid())).cloned().collect();
        // A walk with duplicates can be exponential; what is compared is its beginning.
        let max_blocks = 3000;
        let known: HashMap<Cid, Block> = there.iter().map(|block| (*block.cid(), block.clone())).collect();
        let mut expected = model(&known, &dag.roots, dups, max_blocks);
        if !past_missing && let Some(end) = expected.iter().position(|step| matches!(step, Step::Missing(..))) {
            expected.truncate(end + 1);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let found = runtime.block_on(async {
            let mut store = Slow::of(&there).await;
            store.delay = Some(|digest| Duration::from_millis(u64::from(digest % 7)));
            let options = WalkOptions { dups, past_missing, concurrency, ..WalkOptions::default() };
            let walk = walk(&store, dag.roots.clone(), options).take(expected.len() + 1);
            walk.map(step).collect::<Vec<_>>().await
        });
        if expected.len() < max_blocks {
            prop_assert_eq!(found, expected);
        } else {
            prop_assert_eq!(&found[..max_blocks], &expected[..max_blocks]);
        }
    }
}

/// A file as UnixFS has it: a root, nodes, leaves. The root is the last.
fn file(nodes: u32, leaves: u32) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut links = Vec::new();
    for node_at in 0..nodes {
        let mut below = Vec::new();
        for leaf in 0..leaves {
            let leaf = Block::raw([node_at.to_be_bytes(), leaf.to_be_bytes()].concat());
            below.push(*leaf.cid());
            blocks.push(leaf);
        }
        let node = node(DAG_PB, &below, b"");
        links.push(*node.cid());
        blocks.push(node);
    }
    blocks.push(node(DAG_PB, &links, b""));
    blocks
}

async fn all(store: &dyn Blockstore, root: &Block, options: WalkOptions) -> usize {
    let walk = walk(store, vec![*root.cid()], options);
    walk.map(|block| block.unwrap()).count().await
}

#[tokio::test(start_paused = true)]
async fn a_walk_is_as_fast_as_its_concurrency_allows() {
    let blocks = file(20, 174);
    let mut store = Slow::of(&blocks).await;
    store.delay = Some(|_| Duration::from_millis(10));
    let begun = Instant::now();
    let options = WalkOptions {
        concurrency: 16,
        ..WalkOptions::default()
    };
    assert_eq!(
        all(&store, blocks.last().unwrap(), options).await,
        blocks.len()
    );
    let taken = begun.elapsed();
    // Were all CIDs known beforehand, it would be this. The root and its first node come alone.
    let best = Duration::from_millis(10) * u32::try_from(blocks.len().div_ceil(16)).unwrap();
    assert!(
        taken <= best + best / 20 + Duration::from_millis(20),
        "{taken:?}, not {best:?}"
    );
    assert_eq!(store.most.into_inner(), 16);
    assert_eq!(
        store.gets.into_inner(),
        blocks.len(),
        "each is fetched once"
    );
}

#[tokio::test(start_paused = true)]
async fn many_small_files_are_fetched_side_by_side() {
    // Of a dag-pb block nobody knows beforehand that it has no links.
    let mut blocks: Vec<Block> = (0..1000u32)
        .map(|at| node(DAG_PB, &[], &at.to_be_bytes()))
        .collect();
    let links: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    blocks.push(node(DAG_PB, &links, b""));
    let mut store = Slow::of(&blocks).await;
    store.delay = Some(|digest| Duration::from_millis(5 + u64::from(digest % 10)));
    let begun = Instant::now();
    let options = WalkOptions {
        concurrency: 20,
        ..WalkOptions::default()
    };
    assert_eq!(all(&store, blocks.last().unwrap(), options).await, 1001);
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(1), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_fetched_ahead_is_bounded() {
    let blocks = file(30, 30);
    let mut store = Slow::of(&blocks).await;
    store.delay = Some(|digest| Duration::from_millis(u64::from(digest)));
    let root = *blocks.last().unwrap().cid();
    let options = WalkOptions {
        concurrency: 4,
        ..WalkOptions::default()
    };
    let mut walk = walk(&store, vec![root], options);
    let mut came = 0;
    while walk.next().await.transpose().unwrap().is_some() {
        came += 1;
        // A slow reader: everything that may be fetched ahead is.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let ahead = store.gets.load(Ordering::SeqCst) - came;
        assert!(ahead <= 8, "{ahead} after {came}");
    }
    assert_eq!(came, blocks.len());
    assert!(store.most.load(Ordering::SeqCst) <= 4);
}

#[tokio::test(start_paused = true)]
async fn the_bytes_fetched_ahead_are_bounded() {
    let mut blocks: Vec<Block> = (0..100).map(|n| Block::raw(vec![n; 100_000])).collect();
    let links: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    blocks.push(node(DAG_PB, &links, b""));
    let mut store = Slow::of(&blocks).await;
    store.delay = Some(|_| Duration::from_millis(10));
    let options = WalkOptions {
        concurrency: 50,
        max_ahead: 2_000_000,
        ..WalkOptions::default()
    };
    let mut walk = walk(&store, vec![*blocks[100].cid()], options);
    let (mut came, mut most) = (0, 0);
    while walk.next().await.transpose().unwrap().is_some() {
        came += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
        most = most.max(store.gets.load(Ordering::SeqCst) - came);
    }
    assert_eq!(came, 101);
    // What is expected before the first leaf came is a little off.
    assert!((18..=22).contains(&most), "{most}");
}

#[tokio::test]
async fn a_repeated_block_is_fetched_once_while_it_is_at_hand() {
    let zeroes = Block::raw(vec![0; 1000]);
    let root = node(DAG_PB, &vec![*zeroes.cid(); 1000], b"");
    let store = Slow::of(&[zeroes, root.clone()]).await;
    let options = WalkOptions {
        dups: true,
        ..WalkOptions::default()
    };
    assert_eq!(all(&store, &root, options).await, 1001);
    let gets = store.gets.load(Ordering::SeqCst);
    assert!(gets < 100, "{gets}");
    assert_eq!(all(&store, &root, WalkOptions::default()).await, 2);
}

#[tokio::test]
async fn a_chain_of_any_length_is_walked() {
    let store = MemoryBlockstore::new();
    let mut tip = node(DAG_CBOR, &[], b"0");
    store.put(&tip).await.unwrap();
    for at in 1..50_000u32 {
        tip = node(DAG_CBOR, &[*tip.cid()], &at.to_be_bytes());
        store.put(&tip).await.unwrap();
    }
    let options = WalkOptions {
        max_pending: 2,
        ..WalkOptions::default()
    };
    assert_eq!(all(&store, &tip, options).await, 50_000);
}

#[tokio::test]
async fn limits_end_a_walk_after_what_they_allow() {
    let blocks = file(3, 4);
    let root = *blocks.last().unwrap().cid();
    let bytes: u64 = blocks.iter().map(|block| block.len() as u64).sum();
    let store = Slow::of(&blocks).await;
    let exact = WalkOptions {
        max_blocks: 16,
        max_bytes: bytes,
        max_depth: 2,
        max_pending: 6,
        ..WalkOptions::default()
    };
    let came = |options| {
        let walk = walk(&store, vec![root], options);
        walk.fold((0, None), |(came, _), step| async move {
            match step {
                Ok(_) => (came + 1, None),
                Err(DagError::Limit { what, .. }) => (came, Some(what)),
                Err(error) => panic!("{error}"),
            }
        })
    };
    assert_eq!(came(exact).await, (16, None));
    let fewer = WalkOptions {
        max_blocks: 15,
        ..exact
    };
    assert_eq!(came(fewer).await, (15, Some("blocks")));
    let fewer = WalkOptions {
        max_bytes: bytes - 1,
        ..exact
    };
    assert_eq!(came(fewer).await, (15, Some("bytes")));
    let fewer = WalkOptions {
        max_depth: 1,
        ..exact
    };
    assert_eq!(came(fewer).await, (2, Some("levels of links")));
    let fewer = WalkOptions {
        max_pending: 2,
        ..exact
    };
    assert_eq!(came(fewer).await, (0, Some("links to walk")));
}

#[tokio::test]
async fn an_error_comes_in_its_place_and_is_the_end() {
    let leaf = Block::raw(&b"leaf"[..]);
    let refused = Block::raw(&b"refused"[..]);
    let garbage = Block::encode(DAG_PB, Hash::Sha2_256, &b"garbage"[..]).unwrap();
    let unknown = Block::encode(0x79, Hash::Sha2_256, &b"unknown"[..]).unwrap();
    let absent = Block::raw(&b"absent"[..]);
    let weak = Cid::new_v1(
        RAW,
        cidbucket_blockstore::Multihash::wrap(0xd5, &[7; 16]).unwrap(),
    );
    let inline = Block::encode(DAG_CBOR, Hash::Identity, &b"no"[..]).unwrap();
    let bad = [
        *refused.cid(),
        *garbage.cid(),
        *unknown.cid(),
        *absent.cid(),
        weak,
        *inline.cid(),
    ];
    for (at, cid) in bad.into_iter().enumerate() {
        let root = node(DAG_CBOR, &[*leaf.cid(), cid, *leaf.cid()], b"");
        let mut store = Slow::of(&[
            leaf.clone(),
            refused.clone(),
            garbage.clone(),
            unknown.clone(),
            root.clone(),
        ])
        .await;
        store.refused.insert(*refused.cid());
        let steps: Vec<_> = walk(&store, vec![*root.cid()], WalkOptions::default())
            .collect()
            .await;
        let [Ok(first), Ok(second), Err(error)] = &steps[..] else {
            panic!("{at}: {steps:?}");
        };
        assert_eq!((first, second), (&root, &leaf));
        let expected = match at {
            0 => matches!(error, DagError::Store(Error::Denied(_))),
            1 => matches!(error, DagError::Malformed { cid: found, .. } if *found == cid),
            2 => matches!(error, DagError::UnknownCodec { code: 0x79, .. }),
            3 => matches!(error, DagError::Missing { parent, .. } if *parent == Some(*root.cid())),
            4 => matches!(error, DagError::Store(Error::Invalid(_))),
            _ => matches!(
                error,
                DagError::Malformed {
                    format: "dag-cbor",
                    ..
                }
            ),
        };
        assert!(expected, "{at}: {error:?}");
    }
    let root = *absent.cid();
    let store = MemoryBlockstore::new();
    let steps: Vec<_> = walk(&store, vec![root], WalkOptions::default())
        .map(step)
        .collect()
        .await;
    assert_eq!(steps, [Step::Missing(root, None)]);
    let mut nothing = walk(&store, vec![], WalkOptions::default());
    for _ in 0..2 {
        assert!(nothing.next().await.is_none(), "and stays so");
    }
}
