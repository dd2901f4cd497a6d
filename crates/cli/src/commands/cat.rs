//! `cidbucket cat`: the bytes of a file.

use cidbucket_dag::{ContentPath, resolve, unixfs};
use futures::stream::StreamExt;

use crate::content;
use crate::failure::{Outcome, Stop};
use crate::session::Session;

/// Write a file's bytes to standard output
///
/// A file is what `cidbucket add` and `ipfs add` made of one: its blocks are read ahead, checked,
/// and written in order. The first that cannot be had ends it. Links are not followed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket cat CID
  cidbucket cat CID/photos/1.jpg > 1.jpg
  cidbucket cat CID --offset 1MiB --length 64KiB")]
pub(crate) struct Args {
    /// A file, or a path to one: CID/PATH, /ipfs/CID/PATH
    #[arg(value_name = "CID[/PATH]", value_parser = content::parse)]
    path: ContentPath,
    /// Begin after that many bytes
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "0",
        hide_default_value = true
    )]
    #[arg(value_parser = crate::quantity::parse_size)]
    offset: u64,
    /// Write at most that many bytes
    #[arg(long, value_name = "SIZE", value_parser = crate::quantity::parse_size)]
    length: Option<u64>,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let store = session.store().await?;
    let end = (args.length).map_or(u64::MAX, |length| args.offset.saturating_add(length));
    let cid = resolve(&store, &args.path).await?.cid;
    let node = unixfs::node(&store, &cid).await?;
    let size = node.size().unwrap_or(0);
    let total = end.min(size).saturating_sub(args.offset);
    let bar = session.bytes_to_stdout("cat", Some(total));
    let mut pieces = unixfs::cat_node(&store, node, args.offset..end);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        (session.io.stdout.write_all(&piece)).map_err(|error| Stop::stdout(&error))?;
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}
