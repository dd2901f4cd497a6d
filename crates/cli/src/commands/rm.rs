//! `cidbucket rm`: blocks are removed.

use futures::stream::StreamExt;
use serde_json::json;

use crate::cids::Cids;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// Remove blocks; one that is not there counts as removed
///
/// The same bytes under another codec or CID version are the same block, and go with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket rm CID
  cidbucket ls | cidbucket rm -")]
pub(crate) struct Args {
    #[command(flatten)]
    cids: Cids,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let count = args.cids.count();
    let (cids, trouble) = args.cids.open(|| session.io.take_stdin())?;
    let store = session.store().await?;
    let bar = session.bar("rm", count);
    let mut answers = store.delete_many(cids);
    while let Some((cid, answer)) = answers.next().await {
        bar.inc(1);
        match answer {
            Ok(()) if session.json => {
                session.json_line(&json!({ "cid": cid.to_string(), "removed": true }))?;
            }
            Ok(()) => {}
            Err(error) => {
                let failure = Failure::from(error);
                bar.suspend(|| session.report(&failure));
            }
        }
    }
    bar.finish_and_clear();
    trouble.check()
}
