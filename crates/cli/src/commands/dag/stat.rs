//! `cidbucket dag stat`: what a DAG consists of.

use std::collections::{BTreeMap, HashMap};

use cidbucket::{Block, Cid};
use cidbucket_dag::{DagError, WalkOptions, links, walk};
use futures::stream::{StreamExt, TryStreamExt};
use serde_json::json;

use crate::cids::Cids;
use crate::failure::Outcome;
use crate::session::Session;
use crate::{codec, quantity};

/// Count the blocks and bytes of DAGs: all that is linked under their roots
///
/// A block counts once, however often it is linked and under however many of the roots. What that
/// saves is the duplicates: what more there would be if every link had a block of its own. All
/// blocks are read; one that is missing is an error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket dag stat CID
  cidbucket dag stat --json CID1 CID2")]
pub(crate) struct Args {
    #[command(flatten)]
    cids: Cids,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let (roots, trouble) = args.cids.open(|| session.io.take_stdin())?;
    let store = session.store().await?;
    let roots: Vec<Cid> = roots.collect().await;
    trouble.check()?;
    let bar = session.bar("dag stat", None);
    let mut tally = Tally::default();
    let mut blocks = walk(&*store, roots.clone(), WalkOptions::default());
    while let Some(block) = blocks.try_next().await? {
        tally.add(&block)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let all = tally.all();
    let tree = tally.tree(&roots)?;
    let duplicates = tree.less(all);
    if session.json {
        let codecs: serde_json::Map<_, _> = tally
            .codecs
            .iter()
            .map(|(code, sum)| {
                let sum = json!({"blocks": sum.blocks, "bytes": sum.bytes});
                (codec::name(*code), sum)
            })
            .collect();
        return session.json_line(&json!({
            "roots": roots.iter().map(Cid::to_string).collect::<Vec<_>>(),
            "blocks": all.blocks,
            "bytes": all.bytes,
            "duplicates": {"blocks": duplicates.blocks, "bytes": duplicates.bytes},
            "codecs": codecs,
        }));
    }
    let mut rows = vec![
        ("all".to_owned(), all),
        ("duplicates".to_owned(), duplicates),
    ];
    rows.extend(
        tally
            .codecs
            .iter()
            .map(|(code, sum)| (codec::name(*code), *sum)),
    );
    for (name, sum) in rows {
        session.line(format_args!(
            "{name:<10} {:>10} blocks {:>16} bytes  {}",
            sum.blocks,
            sum.bytes,
            quantity::size(sum.bytes)
        ))?;
    }
    Ok(())
}

/// Blocks and bytes. Sums stay at their largest value rather than overflow: a few small blocks can
/// be linked more often than 64 bits count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    blocks: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.blocks = self.blocks.saturating_add(other.blocks);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    fn less(self, other: Self) -> Self {
        Self {
            blocks: self.blocks.saturating_sub(other.blocks),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// What is known of the blocks that came, each of which is added once.
#[derive(Debug, Default)]
struct Tally {
    /// The place of each block in `nodes`.
    places: HashMap<Cid, usize>,
    nodes: Vec<Node>,
    codecs: BTreeMap<u64, Sum>,
}

#[derive(Debug, Default)]
struct Node {
    sum: Sum,
    links: Vec<usize>,
}

impl Tally {
    fn add(&mut self, block: &Block) -> Result<(), DagError> {
        let sum = Sum {
            blocks: 1,
            bytes: block.len() as u64,
        };
        self.codecs.entry(block.cid().codec()).or_default().add(sum);
        let links = links(block.cid(), block.data())?;
        let links = self.places(links)?;
        let place = self.place(*block.cid());
        self.nodes[place] = Node { sum, links };
        Ok(())
    }

    /// Each block once.
    fn all(&self) -> Sum {
        let mut all = Sum::default();
        for sum in self.codecs.values() {
            all.add(*sum);
        }
        all
    }

    /// Each block as often as it is linked.
    fn tree(&mut self, roots: &[Cid]) -> Result<Sum, DagError> {
        let roots = self.places(roots.to_vec())?;
        let mut known: Vec<Option<Sum>> = vec![None; self.nodes.len()];
        let mut all = Sum::default();
        for root in roots {
            // The path from the root, and how many links of each of its nodes are done.
            let mut path = vec![(root, 0)];
            while let Some((place, done)) = path.last_mut() {
                let node = &self.nodes[*place];
                if let Some(link) = node.links.get(*done) {
                    *done += 1;
                    if known[*link].is_none() {
                        path.push((*link, 0));
                    }
                    continue;
                }
                let mut sum = node.sum;
                for link in &node.links {
                    sum.add(known[*link].unwrap_or_default());
                }
                known[*place] = Some(sum);
                path.pop();
            }
            all.add(known[root].unwrap_or_default());
        }
        Ok(all)
    }

    /// The places of blocks. Those that are in their CIDs are none: in their stead stands what they
    /// link to.
    fn places(&mut self, mut cids: Vec<Cid>) -> Result<Vec<usize>, DagError> {
        let mut places = Vec::with_capacity(cids.len());
        cids.reverse();
        while let Some(cid) = cids.pop() {
            match Block::inline(&cid)? {
                Some(inline) => cids.extend(links(&cid, inline.data())?.into_iter().rev()),
                None => places.push(self.place(cid)),
            }
        }
        Ok(places)
    }

    fn place(&mut self, cid: Cid) -> usize {
        let next = self.nodes.len();
        let place = *self.places.entry(cid).or_insert(next);
        if place == next {
            self.nodes.push(Node::default());
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use cidbucket::{Blockstore, Hash};

    use super::*;

    /// A DAG-CBOR list of links.
    fn list(links: &[Cid]) -> Block {
        let mut data = vec![0x80 + u8::try_from(links.len()).unwrap()];
        for link in links {
            let link = link.to_bytes();
            data.extend([0xd8, 42]);
            match u8::try_from(link.len() + 1).unwrap() {
                short @ ..24 => data.push(0x40 + short),
                long => data.extend([0x58, long]),
            }
            data.push(0);
            data.extend(link);
        }
        Block::encode(0x71, Hash::Sha2_256, data).unwrap()
    }

    async fn tally(blocks: &[Block], roots: &[Cid]) -> (Sum, Sum) {
        let store = cidbucket::open("memory:").await.unwrap();
        for block in blocks {
            store.put(block).await.unwrap();
        }
        let mut tally = Tally::default();
        let mut walk = walk(&*store, roots.to_vec(), WalkOptions::default());
        while let Some(block) = walk.try_next().await.unwrap() {
            tally.add(&block).unwrap();
        }
        (tally.all(), tally.tree(roots).unwrap())
    }

    #[tokio::test]
    async fn duplicates_are_counted_with_all_below_them() {
        let leaf = Block::raw(vec![7; 1000]);
        let inline: Cid = "bafkqaaa".parse().unwrap();
        let node = list(&[*leaf.cid(), *leaf.cid(), inline]);
        let root = list(&[*node.cid(), *leaf.cid(), *node.cid()]);
        let blocks = [leaf.clone(), node.clone(), root.clone()];
        let bytes = |counts: [usize; 3]| {
            let sizes = blocks.iter().zip(counts);
            sizes.map(|(block, n)| (block.len() * n) as u64).sum()
        };
        let sum = |counts: [usize; 3]| Sum {
            blocks: counts.iter().sum::<usize>() as u64,
            bytes: bytes(counts),
        };
        let found = tally(&blocks, &[*root.cid()]).await;
        assert_eq!(found, (sum([1, 1, 1]), sum([5, 2, 1])));
        let found = tally(&blocks, &[*node.cid(), *root.cid()]).await;
        assert_eq!(found, (sum([1, 1, 1]), sum([7, 3, 1])));
        assert_eq!(tally(&blocks, &[inline]).await, (sum([0; 3]), sum([0; 3])));
    }

    #[tokio::test]
    async fn more_than_can_be_counted_is_the_most_that_can() {
        let mut blocks = vec![Block::raw("x")];
        for _ in 0..80 {
            let below = *blocks.last().unwrap().cid();
            blocks.push(list(&[below, below]));
        }
        let root = *blocks.last().unwrap().cid();
        let (all, tree) = tally(&blocks, &[root]).await;
        assert_eq!(all.blocks, 81);
        assert_eq!(tree.blocks, u64::MAX);
    }
}
