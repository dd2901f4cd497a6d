//! `cidbucket stat`: what is known of a block without reading it.

use cidbucket::Hash;
use futures::stream::StreamExt;
use serde_json::json;

use crate::cids::Cids;
use crate::codec;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// Print CID, size in bytes, codec and hash of blocks
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket stat CID
  cidbucket stat --json CID")]
pub(crate) struct Args {
    #[command(flatten)]
    cids: Cids,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let (cids, trouble) = args.cids.open(|| session.io.take_stdin())?;
    let store = session.store().await?;
    let store = &store;
    let mut answers = cids
        .map(|cid| async move { (cid, store.size(&cid).await) })
        .buffered(store.concurrency());
    while let Some((cid, answer)) = answers.next().await {
        let size = match answer {
            Ok(Some(size)) => size,
            Ok(None) => {
                session.report(&Failure::not_found(&cid));
                continue;
            }
            Err(error) => {
                session.report(&Failure::from(error));
                continue;
            }
        };
        let codec = codec::name(cid.codec());
        let hash = Hash::of(&cid)?.name();
        if session.json {
            session.json_line(&json!({
                "cid": cid.to_string(),
                "size": size,
                "codec": codec,
                "hash": hash,
            }))?;
        } else {
            session.line(format_args!("{cid} {size} {codec} {hash}"))?;
        }
        session.flush()?;
    }
    trouble.check()
}
