//! `dag/import`: the blocks of CAR files.

use cidbucket_blockstore::Cid;
use cidbucket_dag::car::{CarDecoder, CarLimits, Event};
use serde_json::json;

use super::{Context, dag};
use crate::block_writer::BlockWriter;
use crate::wire::failure::Failure;
use crate::wire::upload::File;

/// Largest section where big blocks are allowed, in bytes.
const BIG: usize = 8 << 20;

pub(super) async fn import(mut context: Context) -> Result<(), Failure> {
    let options = &context.call.options;
    let local = options.flag("local-only");
    let pin = match (options.said("pin-roots"), local) {
        (Some(true), true) => {
            return Err(Failure::new(
                "--local-only implies --pin-roots=false and cannot be combined with \
                 --pin-roots=true; please drop one of them",
            ));
        }
        (Some(pin), _) => pin,
        (None, local) => !local,
    };
    let stats = options.flag("stats");
    let mut limits = CarLimits::default();
    if options.flag("allow-big-block") {
        limits.max_section = BIG;
    }
    let mut upload = context.upload()?;
    let mut imported = Imported {
        writer: context.node.writer(),
        roots: Vec::new(),
        blocks: 0,
        bytes: 0,
    };
    while let Some(file) = upload.next_file().await? {
        imported.car(file, limits).await?;
    }
    let Imported {
        writer,
        mut roots,
        blocks,
        bytes,
    } = imported;
    writer.finish().await?;
    if pin {
        let mut seen = std::collections::HashSet::new();
        roots.retain(|root| seen.insert(*root));
        for root in roots {
            let pinned = context.pin(root).await;
            let message = pinned
                .err()
                .map_or_else(String::new, |failure| failure.message);
            let line = json!({ "Root": { "Cid": dag::link(&root), "PinErrorMsg": message } });
            context.out.value(&line).await?;
        }
    }
    if stats {
        let line = json!({ "Stats": { "BlockCount": blocks, "BlockBytesCount": bytes } });
        context.out.value(&line).await?;
    }
    Ok(())
}

/// What was imported so far.
struct Imported {
    writer: BlockWriter,
    roots: Vec<Cid>,
    blocks: u64,
    bytes: u64,
}

impl Imported {
    async fn car(&mut self, mut file: File, limits: CarLimits) -> Result<(), Failure> {
        let mut decoder = CarDecoder::new(limits);
        let mut last = None;
        let failed = |last: Option<Cid>, error: &dyn std::fmt::Display| {
            Failure::new(match last {
                None => format!("import failed: {error}"),
                Some(cid) => format!("import failed after block \"{cid}\": {error}"),
            })
        };
        while let Some(data) = file.next().await? {
            decoder.feed(data);
            loop {
                match decoder.next() {
                    Ok(None) => break,
                    Ok(Some(Event::Header(header))) => self.roots.extend(header.roots),
                    Ok(Some(Event::Block(block))) => {
                        last = Some(*block.cid());
                        self.blocks += 1;
                        self.bytes += block.len() as u64;
                        self.writer.put(block).await?;
                    }
                    Err(error) => return Err(failed(last, &error)),
                }
            }
        }
        decoder.finish().map_err(|error| failed(last, &error))
    }
}
