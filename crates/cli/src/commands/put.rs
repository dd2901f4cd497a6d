//! `cidbucket put`: files become blocks.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, StreamExt};
use serde_json::json;

use crate::block_file::{Encoding, Source};
use crate::failure::{Failure, Outcome};
use crate::session::Session;

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
    /// Files; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    encoding: Encoding,
}

/// What lies between reading and the store's answer.
#[derive(Debug, Default)]
struct UnderWay {
    /// Files whose blocks were handed to the store, in its order, and their sizes.
    handed: VecDeque<(PathBuf, usize)>,
    /// Files that could not be read.
    failures: Vec<Failure>,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let store = session.store_to_fill().await?;
    let bar = session.bar("put", Some(args.files.len() as u64));
    let sources = Source::all(args.files, || session.io.take_stdin())?;
    let under_way = Arc::new(Mutex::new(UnderWay::default()));

    // A few files are read and hashed ahead; the store bounds how many blocks are sent at once.
    let ahead = std::thread::available_parallelism().map_or(1, usize::from);
    let ledger = Arc::clone(&under_way);
    let blocks = stream::iter(sources)
        .map(move |source| async move {
            let path = source.path().to_path_buf();
            (path, source.read(args.encoding).await)
        })
        .buffered(ahead)
        .filter_map(move |(path, read)| {
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            std::future::ready(match read {
                Ok(block) => {
                    ledger.handed.push_back((path, block.len()));
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
        let (handed, failures) = {
            let mut ledger = under_way.lock().unwrap_or_else(PoisonError::into_inner);
            let handed = answer
                .is_some()
                .then(|| ledger.handed.pop_front())
                .flatten();
            (handed, std::mem::take(&mut ledger.failures))
        };
        for failure in failures {
            bar.inc(1);
            bar.suspend(|| session.report(&failure));
        }
        let Some((cid, result)) = answer else { break };
        let (path, size) = handed.unwrap_or_default();
        bar.inc(1);
        match result {
            Ok(()) if session.json => session.json_line(&json!({
                "cid": cid.to_string(),
                "size": size,
                "file": path.to_string_lossy(),
            }))?,
            Ok(()) => session.line(cid)?,
            Err(error) => {
                let failure = Failure::from(error).about(path.display());
                bar.suspend(|| session.report(&failure));
            }
        }
        session.flush()?;
    }
    bar.finish_and_clear();
    Ok(())
}
