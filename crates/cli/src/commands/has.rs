//! `cidbucket has`: is it there?

use futures::stream::StreamExt;
use serde_json::json;

use crate::cids::Cids;
use crate::failure::{Exit, Failure, Outcome, Stop};
use crate::session::Session;

/// Tell whether blocks are there: exit code 0 if all are, 3 if not
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket has CID && echo there
  cidbucket has - < cids.txt | grep absent")]
pub(crate) struct Args {
    #[command(flatten)]
    cids: Cids,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let (cids, trouble) = args.cids.open(|| session.io.take_stdin())?;
    let store = session.store().await?;
    let store = &store;
    let mut answers = cids
        .map(|cid| async move { (cid, store.has(&cid).await) })
        .buffered(store.concurrency());
    let mut absent = false;
    let mut failed = false;
    while let Some((cid, answer)) = answers.next().await {
        match answer {
            Ok(present) => {
                absent |= !present;
                if session.json {
                    session.json_line(&json!({ "cid": cid.to_string(), "present": present }))?;
                } else {
                    session.line(format_args!(
                        "{cid} {}",
                        if present { "present" } else { "absent" }
                    ))?;
                }
                session.flush()?;
            }
            Err(error) => {
                failed = true;
                session.report(&Failure::from(error));
            }
        }
    }
    trouble.check()?;
    if absent && !failed {
        return Err(Stop::Code(Exit::NotFound as u8));
    }
    Ok(())
}
