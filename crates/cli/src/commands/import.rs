//! `cidbucket import`: blocks of CAR files.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use cidbucket::{Block, Blockstore, Cid};
use cidbucket_dag::car::{self, CarError, CarLimits, Event, ReadError};
use cidbucket_dag::{DagError, WalkOptions, walk};
use futures::stream::{StreamExt, TryStreamExt};
use indicatif::ProgressBar;
use serde_json::json;

use crate::block_file::Source;
use crate::failure::{Failure, Outcome, Stop};
use crate::pieces::pieces;
use crate::quantity;
use crate::session::Session;
use crate::trouble::Trouble;

/// Store the blocks of CAR files, and print their roots, a CID a line
///
/// CARv1 and CARv2 are read. Every block is checked against its CID before it is stored, and a
/// file's roots are printed when all of its blocks are. A file that is broken is stored up to that
/// place, which is reported, and the next one is read. Blocks are at most 2 MiB.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket import dataset.car
  cidbucket import --resume dataset.car          go on where it was cut off
  curl -s 'https://HOST/ipfs/CID?format=car' | cidbucket import --verify -")]
pub(crate) struct Args {
    /// CAR files; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    files: Vec<PathBuf>,
    /// Ask for each block first, and send only those that the store does not have
    #[arg(long)]
    resume: bool,
    /// Walk the DAGs under the roots afterwards, and report every block that is missing
    #[arg(long)]
    verify: bool,
}

/// What came of a file.
#[derive(Debug, Default)]
struct Imported {
    roots: Vec<Cid>,
    blocks: AtomicU64,
    bytes: AtomicU64,
    /// Of the blocks, those that the store had already.
    present: AtomicU64,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let store = session.store_to_fill().await?;
    for source in Source::all(args.files, || session.io.take_stdin())? {
        let name = source.name();
        let outcome = match source.open() {
            Ok((input, size)) => {
                let bar = session.byte_bar("import", size);
                import(input, &*store, args.resume, bar).await
            }
            Err(failure) => Err(failure.into()),
        };
        match outcome {
            Ok(imported) => show(&imported, &name, &*store, args.verify, session).await?,
            // With one file broken, the others are worth as much as before.
            Err(Stop::Failed(failure)) => session.report(&failure.about(name)),
            Err(stop) => return Err(stop),
        }
    }
    Ok(())
}

/// Stores the blocks of a file. What was sent before an error is stored.
async fn import(
    input: Box<dyn Read + Send>,
    store: &dyn Blockstore,
    resume: bool,
    bar: ProgressBar,
) -> Outcome<Imported> {
    let input = pieces(input).inspect_ok(|piece| bar.inc(piece.len() as u64));
    let mut events = car::read(input, CarLimits::default())
        .map_err(failure)
        .boxed();
    let mut imported = Imported::default();
    if let Some(Event::Header(header)) = events.try_next().await? {
        imported.roots = header.roots;
    }
    let counted = &imported;
    let blocks = events.try_filter_map(async |event| {
        let Event::Block(block) = event else {
            return Ok(None);
        };
        counted.blocks.fetch_add(1, Ordering::Relaxed);
        counted
            .bytes
            .fetch_add(block.len() as u64, Ordering::Relaxed);
        Ok(Some(block))
    });
    let blocks = if resume {
        blocks
            .map(|block| async { absent(store, block?, &counted.present).await })
            .buffered(store.concurrency().max(1))
            .try_filter_map(async |block| Ok(block))
            .boxed()
    } else {
        blocks.boxed()
    };
    let (blocks, trouble) = Trouble::aside(blocks);
    let mut answers = store.put_many(blocks);
    let mut outcome = Ok(());
    while let Some((_, answer)) = answers.next().await {
        if let Err(error) = answer {
            outcome = Err(Stop::from(error));
            break;
        }
    }
    drop(answers);
    bar.finish_and_clear();
    outcome?;
    trouble.check()?;
    Ok(imported)
}

/// The block where the store does not have it; counted where it does.
async fn absent(
    store: &dyn Blockstore,
    block: Block,
    present: &AtomicU64,
) -> Result<Option<Block>, Failure> {
    if store.has(block.cid()).await? {
        present.fetch_add(1, Ordering::Relaxed);
        return Ok(None);
    }
    Ok(Some(block))
}

async fn show(
    imported: &Imported,
    name: &str,
    store: &dyn Blockstore,
    verify: bool,
    session: &mut Session<'_>,
) -> Outcome {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (blocks, bytes) = (count(&imported.blocks), count(&imported.bytes));
    let present = count(&imported.present);
    if !session.json {
        for root in &imported.roots {
            session.line(root)?;
        }
        session.flush()?;
        let already = match present {
            0 => String::new(),
            _ => format!(", {present} of them there already"),
        };
        session.note(format_args!(
            "{name}: {blocks} blocks, {}{already}",
            quantity::size(bytes)
        ));
        if imported.roots.is_empty() {
            session.note(format_args!("{name}: it names no roots"));
        }
    }
    let verified = if verify {
        Some(check(&imported.roots, store, session).await?)
    } else {
        None
    };
    if session.json {
        let roots: Vec<_> = imported.roots.iter().map(Cid::to_string).collect();
        let mut result = json!({
            "file": name,
            "roots": roots,
            "blocks": blocks,
            "bytes": bytes,
            "present": present,
        });
        if let Some((whole, missing)) = verified {
            result["verified"] = json!(whole);
            result["missing"] = json!(missing);
        }
        session.json_line(&result)?;
    } else if let Some((whole, missing)) = verified {
        session.note(match missing {
            0 => format!("{name}: its DAGs are whole, {whole} blocks"),
            _ => format!("{name}: {missing} blocks of its DAGs are missing, {whole} are there"),
        });
    }
    session.flush()
}

/// How many blocks of the DAGs under `roots` are there, and how many are missing, each of which is
/// reported.
async fn check(
    roots: &[Cid],
    store: &dyn Blockstore,
    session: &mut Session<'_>,
) -> Outcome<(u64, u64)> {
    let bar = session.bar("verify", None);
    let options = WalkOptions {
        past_missing: true,
        ..WalkOptions::default()
    };
    let (mut whole, mut missing) = (0, 0);
    let mut blocks = walk(store, roots.to_vec(), options);
    while let Some(block) = blocks.next().await {
        match block {
            Ok(_) => whole += 1,
            Err(error @ DagError::Missing { .. }) => {
                missing += 1;
                bar.suspend(|| session.report(&error.into()));
            }
            Err(error) => return Err(error.into()),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((whole, missing))
}

fn failure(error: ReadError<io::Error>) -> Failure {
    match error {
        ReadError::Input(error) => Failure::io("cannot be read", &error),
        ReadError::Car(error @ CarError::EmptySection { offset }) => {
            Failure::from(error).with_hint(format!("head -c {offset} leaves the zeroes out"))
        }
        ReadError::Car(error) => error.into(),
    }
}
