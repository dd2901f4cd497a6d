//! `cidbucket ls`: every block of the store.

use cidbucket::{Cursor, Listed};
use futures::FutureExt;
use futures::stream::StreamExt;
use serde_json::json;

use crate::failure::{Failure, Outcome, Stop};
use crate::interrupt::interrupted;
use crate::quantity;
use crate::session::Session;
use crate::shell::quote;

/// List the blocks of the store, as CIDv1 with codec raw
///
/// A store knows a block by its hash only, so the codec it was put with is not listed. Keys that
/// are no blocks are left out and counted on standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket ls --long
  cidbucket ls --json | jq -s 'map(.size) | add'
  cidbucket ls --after CURSOR                    go on where a listing was cut off")]
pub(crate) struct Args {
    /// Print size in bytes and time of the last write too
    #[arg(short, long)]
    long: bool,
    /// Begin after the cursor that an interrupted listing printed
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let store = session.store().await?;
    let mut listing = store.list(args.after.map_or_else(Cursor::start, Cursor::new));
    let mut interrupted = Box::pin(interrupted());
    let outcome = loop {
        let next = if let Some(next) = listing.next().now_or_never() {
            next
        } else {
            // What is there is shown while the next page is waited for.
            session.flush()?;
            tokio::select! {
                next = listing.next() => next,
                code = &mut interrupted => break Err(Stop::Code(code)),
            }
        };
        match next {
            Some(Ok(block)) => show(session, &block, args.long)?,
            Some(Err(error)) => {
                session.report(&Failure::from(error));
                break Err(Stop::Code(0));
            }
            None => break Ok(()),
        }
    };
    let foreign = listing.foreign();
    if foreign > 0 {
        let keys = if foreign == 1 {
            "key is no block"
        } else {
            "keys are no blocks"
        };
        session.note(format_args!(
            "note: {foreign} {keys} of this store's layout, left out"
        ));
    }
    if outcome.is_err() && !listing.cursor().is_start() {
        let cursor = listing.cursor().to_string();
        session.note(format_args!(
            "note: to go on, ls --after {}",
            quote(&cursor)
        ));
    }
    match outcome {
        // Reported above; its own exit code stands.
        Err(Stop::Code(0)) => Ok(()),
        outcome => outcome,
    }
}

fn show(session: &mut Session<'_>, block: &Listed, long: bool) -> Outcome {
    let modified = block.modified.map(quantity::date);
    if session.json {
        session.json_line(&json!({
            "cid": block.cid.to_string(),
            "size": block.size,
            "modified": modified,
        }))
    } else if long {
        let modified = modified.as_deref().unwrap_or("-");
        session.line(format_args!("{} {:>8} {modified}", block.cid, block.size))
    } else {
        session.line(block.cid)
    }
}
