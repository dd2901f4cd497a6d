//! `cidbucket ls`: every block of the store, or the entries of a directory.

mod directory;

use cidbucket::{Cursor, Listed, Listing};
use cidbucket_dag::ContentPath;
use futures::FutureExt;
use futures::stream::StreamExt;
use serde_json::json;

use crate::content;
use crate::failure::{Outcome, Stop};
use crate::interrupt::{interrupted, until_interrupted};
use crate::quantity;
use crate::session::Session;
use crate::shell::quote;

/// List the blocks of the store, or what is in a directory
///
/// Without CID, every block is listed, as CIDv1 with codec raw: a store knows a block by its hash
/// only, so the codec it was put with is not listed. Keys that are no blocks are left out and
/// counted on standard error.
///
/// With a CID, the names in that directory are listed, in its own order. A file is listed by
/// itself. Control characters in names are escaped.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket ls --long
  cidbucket ls --json | jq -s 'map(.size) | add'
  cidbucket ls --long CID/photos                 kind, size, CID and name
  cidbucket ls --after CURSOR                    go on where a listing was cut off")]
pub(crate) struct Args {
    /// A directory: CID/PATH, /ipfs/CID/PATH
    #[arg(value_name = "CID[/PATH]", value_parser = content::parse)]
    path: Option<ContentPath>,
    /// Print size in bytes and time of the last write too; in a directory kind, size in bytes, CID
    /// and name
    #[arg(short, long)]
    long: bool,
    /// Begin after the cursor that an interrupted listing printed
    #[arg(long, value_name = "CURSOR", conflicts_with = "path")]
    after: Option<String>,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    if let Some(path) = args.path {
        return until_interrupted(directory::show(&path, args.long, session)).await;
    }
    let store = session.store().await?;
    let from = args.after.map_or_else(Cursor::start, Cursor::new);
    show_all(store.list(from), args.long, session).await
}

async fn show_all(mut listing: Listing<'_>, long: bool, session: &mut Session<'_>) -> Outcome {
    let mut interrupted = Box::pin(interrupted());
    let outcome: Outcome = loop {
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
            Some(Ok(block)) => show(session, &block, long)?,
            Some(Err(error)) => break Err(error.into()),
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
        let cursor = quote(listing.cursor().as_str());
        session.note(format_args!(
            "note: to go on from here: ls --after {cursor}"
        ));
    }
    outcome
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

#[cfg(test)]
mod tests {
    use cidbucket::{Block, Error, Page, Report};
    use futures::stream;

    use super::*;
    use crate::env::Env;
    use crate::streams::Captured;

    #[tokio::test]
    async fn a_listing_that_fails_says_where_to_go_on() {
        let page = |text: &'static str, cursor: &str| Page {
            blocks: vec![Listed {
                cid: *Block::raw(text).cid(),
                size: text.len() as u64,
                modified: None,
            }],
            foreign: 1,
            cursor: Cursor::new(cursor),
        };
        let error = Error::Unavailable(Report::new("ListObjectsV2", "gone").into());
        let pages = stream::iter([Ok(page("a", "one")), Ok(page("b", "it's two")), Err(error)]);
        let listing = Listing::new(Cursor::start(), pages);

        let captured = Captured::default();
        let (mut io, env) = (captured.io(""), Env::default());
        let args = ["cidbucket", "--store", "memory:", "ls"].map(Into::into);
        let (mut session, _) = Session::start(&args, &env, &mut io).unwrap();
        let outcome = show_all(listing, true, &mut session).await;
        assert_eq!(session.end(outcome), 6);
        assert_eq!(captured.stdout().lines().count(), 2);
        assert!(
            captured.stdout().ends_with("       1 -\n"),
            "{}",
            captured.stdout()
        );
        assert_eq!(
            captured.stderr().lines().take(3).collect::<Vec<_>>(),
            [
                "note: 2 keys are no blocks of this store's layout, left out",
                r"note: to go on from here: ls --after 'it'\''s two'",
                "error: unavailable: ListObjectsV2: gone",
            ]
        );
    }
}
