//! `dag`: nodes of IPLD, and DAGs as a whole.

use cidbucket_blockstore::{Block, Cid, DEFAULT_MAX_BLOCK};
use cidbucket_dag::{DagError, WalkOptions, car, walk};
use futures::stream::StreamExt;
use serde_json::{Value, json};
use std::collections::HashSet;
use tokio::time::{Duration, Instant};

use super::{Context, block, value};
use crate::cid_text::CidText;
use crate::path;
use crate::wire::failure::Failure;

/// How often progress is told.
const EVERY: Duration = Duration::from_millis(500);

pub(super) async fn put(mut context: Context) -> Result<(), Failure> {
    let options = &context.call.options;
    let input = block::codec_of(options.text("input-codec").unwrap_or("dag-json"))?;
    let store_as = block::codec_of(options.text("store-codec").unwrap_or("dag-cbor"))?;
    let name = options.text("hash").unwrap_or("sha2-256");
    let hash =
        block::hash(name).ok_or_else(|| Failure::new(format!("unknown multicodec: {name:?}")))?;
    let pin = options.flag("pin");
    let big = options.flag("allow-big-block");
    let mut upload = context.upload()?;
    while let Some(file) = upload.next_file().await? {
        // What is written in another codec may be longer than what becomes of it.
        let data = block::read(file, true).await?;
        let value = value::decode(input, &data)?;
        let data = value::encode(store_as, &value)?;
        if data.len() > DEFAULT_MAX_BLOCK && !big {
            return Err(Failure::new(block::TOO_BIG));
        }
        let block = Block::encode(store_as, hash, data)?;
        context.node.store().put(&block).await?;
        if pin {
            context.pin(*block.cid()).await?;
        }
        context
            .out
            .value(&json!({ "Cid": link(block.cid()) }))
            .await?;
    }
    Ok(())
}

pub(super) async fn get(mut context: Context) -> Result<(), Failure> {
    let options = &context.call.options;
    let codec = block::codec_of(options.text("output-codec").unwrap_or("dag-json"))?;
    let store = context.node.store();
    let found = path::follow(store, context.argument()).await?;
    let block = match found.block {
        Some(block) => block,
        None => path::block(store, &found.cid).await?,
    };
    let whole = value::decode(block.cid().codec(), block.data())?;
    let part = value::at(&whole, &found.value_path, &found.cid)?;
    let bytes = value::encode(codec, part)?;
    context.out.begin_bytes("text/plain", None).await?;
    context.out.bytes(bytes.into()).await
}

pub(super) async fn resolve(mut context: Context) -> Result<(), Failure> {
    let found = path::follow(context.node.store(), context.argument()).await?;
    let mut rest = String::new();
    for segment in &found.value_path {
        rest.push('/');
        rest.push_str(segment);
    }
    let answer = json!({ "Cid": link(&found.cid), "RemPath": rest });
    context.out.single(&answer).await
}

pub(super) async fn export(mut context: Context) -> Result<(), Failure> {
    let partial = context.call.options.flag("local-only");
    let node = context.node.clone();
    let store = node.store();
    let root = path::root(store, context.argument()).await?;
    // Before a word is said, so that it is an answer and not a trailer.
    path::block(store, &root).await?;
    let out = &mut context.out;
    out.begin_bytes("application/vnd.ipld.car", None).await?;
    out.bytes(car::header(&[root])).await?;
    let options = WalkOptions {
        past_missing: partial,
        ..WalkOptions::default()
    };
    let mut blocks = walk(store, vec![root], options);
    while let Some(block) = blocks.next().await {
        match block {
            Ok(block) => {
                for part in car::section(&block) {
                    out.bytes(part).await?;
                }
            }
            Err(DagError::Missing { .. }) if partial => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Blocks and bytes under one root.
struct Counted {
    cid: String,
    blocks: u64,
    bytes: u64,
}

/// Blocks and bytes under all of them: each once, and each as often as it is under a root.
#[derive(Default)]
struct Sum {
    roots: Vec<Counted>,
    unique: u64,
    total: u64,
    redundant: u64,
}

pub(super) async fn stat(mut context: Context) -> Result<(), Failure> {
    let text = CidText::of(&context.call.options)?;
    let told = context.call.options.flag_or_true("progress");
    let node = context.node.clone();
    let store = node.store();
    let several = context.call.arguments.len() > 1;
    // Under one root no block comes twice.
    let mut seen: HashSet<Cid> = HashSet::new();
    let mut sum = Sum::default();
    let mut next = Instant::now() + EVERY;
    for argument in &context.call.arguments {
        let found = path::follow(store, argument).await?;
        if !found.value_path.is_empty() {
            return Err(Failure::new(
                "cannot return size for anything other than a DAG with a root CID",
            ));
        }
        sum.roots.push(Counted {
            cid: text.write(&found.cid),
            blocks: 0,
            bytes: 0,
        });
        let mut blocks = walk(store, vec![found.cid], WalkOptions::default());
        while let Some(block) = blocks.next().await {
            let block = block?;
            let bytes = block.len() as u64;
            if let Some(root) = sum.roots.last_mut() {
                root.blocks += 1;
                root.bytes += bytes;
            }
            sum.redundant += bytes;
            if !several || seen.insert(*block.cid()) {
                sum.unique += 1;
                sum.total += bytes;
            }
            if told && Instant::now() >= next {
                next = Instant::now() + EVERY;
                context.out.value(&sum.line(false)).await?;
            }
        }
    }
    context.out.value(&sum.line(true)).await
}

impl Sum {
    /// A line; what only the end shows is in the last one.
    fn line(&self, is_last: bool) -> Value {
        let roots: Vec<Value> = self
            .roots
            .iter()
            .map(|root| json!({ "Cid": root.cid, "Size": root.bytes, "NumBlocks": root.blocks }))
            .collect();
        let mut line = json!({ "TotalSize": self.total, "DagStats": roots });
        if is_last {
            line["UniqueBlocks"] = self.unique.into();
            line["SharedSize"] = (self.redundant - self.total).into();
            #[expect(clippy::cast_precision_loss, reason = "it is a ratio for people")]
            let ratio = self.redundant as f64 / self.total.max(1) as f64;
            line["Ratio"] = ratio.into();
        }
        line
    }
}

/// A CID as a link of DAG-JSON.
pub(super) fn link(cid: &Cid) -> Value {
    json!({ "/": cid.to_string() })
}
