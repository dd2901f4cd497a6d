//! `cidbucket put`: files become blocks.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cidbucket::{Block, DEFAULT_MAX_BLOCK, Hash};
use futures::stream::{self, StreamExt};
use serde_json::json;

use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use crate::{codec, quantity};

/// Store files, one block a file, and print a CID a line
///
/// The CIDs come in the order of the files. A file that cannot be stored is reported and the
/// others still are. A block is at most 2 MiB.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket put photo.jpg
  cidbucket put parts/* > cids.txt
  echo '{\"hello\":\"world\"}' | cidbucket put --codec dag-json")]
pub(crate) struct Args {
    /// Files; `-`, and none at all, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Codec of the CID: raw, dag-pb, dag-cbor, dag-json, …, or a number
    #[arg(long, value_name = "NAME", default_value = "raw", value_parser = codec::parse)]
    codec: u64,
    /// Hash of the CID: sha2-256, sha2-512, blake3, blake2b-256, …
    #[arg(long, value_name = "NAME", default_value = "sha2-256", value_parser = parse_hash)]
    hash: Hash,
}

/// What lies between reading and the store's answer.
#[derive(Debug, Default)]
struct UnderWay {
    /// Names of the files whose blocks were handed to the store, in its order.
    names: VecDeque<(PathBuf, usize)>,
    /// Files that could not be read.
    failures: Vec<Failure>,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let store = session.store()?;
    let mut stdin = None;
    let files = if args.files.is_empty() {
        vec![PathBuf::from("-")]
    } else {
        args.files
    };
    match files.iter().filter(|file| file.as_os_str() == "-").count() {
        0 => {}
        1 => stdin = Some(session.io.take_stdin()),
        _ => return Err(Failure::usage("standard input (-) can be read only once").into()),
    }
    let bar = session.bar("put", Some(files.len() as u64));
    let under_way = Arc::new(Mutex::new(UnderWay::default()));

    // A few files are read and hashed ahead; the store bounds how many blocks are sent at once.
    let ahead = std::thread::available_parallelism().map_or(1, usize::from);
    let ledger = Arc::clone(&under_way);
    let blocks = stream::iter(files)
        .map(move |file| {
            let stdin = (file.as_os_str() == "-").then(|| stdin.take()).flatten();
            async move {
                let name = file.clone();
                tokio::task::spawn_blocking(move || read(&name, stdin, args.codec, args.hash))
                    .await
                    .unwrap_or_else(|error| {
                        Err(Failure::new(Exit::Other, "internal", error.to_string()))
                    })
                    .map(|block| (file, block))
            }
        })
        .buffered(ahead)
        .filter_map(move |read| {
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            std::future::ready(match read {
                Ok((file, block)) => {
                    ledger.names.push_back((file, block.len()));
                    Some(block)
                }
                Err(failure) => {
                    ledger.failures.push(failure);
                    None
                }
            })
        });

    let mut answers = store.put_many(blocks.boxed());
    loop {
        let answer = answers.next().await;
        let (name, failures) = {
            let mut ledger = under_way.lock().unwrap_or_else(PoisonError::into_inner);
            let name = answer.is_some().then(|| ledger.names.pop_front()).flatten();
            (name, std::mem::take(&mut ledger.failures))
        };
        for failure in failures {
            bar.inc(1);
            bar.suspend(|| session.report(&failure));
        }
        let Some((cid, result)) = answer else { break };
        let (file, size) = name.unwrap_or_default();
        bar.inc(1);
        match result {
            Ok(()) if session.json => session.json_line(&json!({
                "cid": cid.to_string(),
                "size": size,
                "file": file.to_string_lossy(),
            }))?,
            Ok(()) => session.line(cid)?,
            Err(error) => {
                let failure = Failure::from(error).about(file.display());
                bar.suspend(|| session.report(&failure));
            }
        }
        session.flush()?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Reads one file whole, unless it is larger than a block can be; then almost none of it is read.
fn read(
    file: &PathBuf,
    stdin: Option<Box<dyn Read + Send>>,
    codec: u64,
    hash: Hash,
) -> Result<Block, Failure> {
    let shown = file.display();
    let failed = |error: &std::io::Error| Failure::io(format!("cannot read {shown}"), error);
    let mut data = Vec::new();
    let source: Box<dyn Read> = if let Some(stdin) = stdin {
        stdin
    } else {
        let opened = File::open(file).map_err(|e| failed(&e))?;
        let size = opened.metadata().map_err(|e| failed(&e))?.len();
        check_size(file, size)?;
        data.reserve_exact(usize::try_from(size).unwrap_or(DEFAULT_MAX_BLOCK) + 1);
        Box::new(opened)
    };
    // One byte more than allowed shows that there is more, for a pipe too.
    source
        .take(DEFAULT_MAX_BLOCK as u64 + 1)
        .read_to_end(&mut data)
        .map_err(|e| failed(&e))?;
    check_size(file, data.len() as u64)?;
    Block::encode(codec, hash, data).map_err(|error| Failure::from(error).about(shown))
}

fn check_size(file: &std::path::Path, size: u64) -> Result<(), Failure> {
    if size <= DEFAULT_MAX_BLOCK as u64 {
        return Ok(());
    }
    let name = if file.as_os_str() == "-" {
        "standard input".into()
    } else {
        file.display().to_string()
    };
    Err(Failure::new(
        Exit::Usage,
        "too-large",
        format!(
            "{name} is larger than one block ({})",
            quantity::size(DEFAULT_MAX_BLOCK as u64)
        ),
    )
    .with_hint("put stores each file as one block and does not cut it into chunks"))
}

fn parse_hash(name: &str) -> Result<Hash, String> {
    Hash::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Hash::ALL.iter().map(|hash| hash.name()).collect();
        format!("known are {}", names.join(", "))
    })
}
