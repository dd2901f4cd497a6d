//! `cidbucket add`: files and folders become UnixFS DAGs, with the CIDs of `ipfs add`.

mod root;
mod source;

use std::path::PathBuf;

use cidbucket::Hash;
use cidbucket_dag::unixfs::add::{Added, Chunker, Flags, Profile};
use cidbucket_dag::unixfs::{ImportEvent, ImportOptions, import};
use futures::stream::StreamExt;
use indicatif::ProgressBar;
use serde_json::json;

use self::root::Root;
use self::source::Keep;
use crate::block_file::parse_hash;
use crate::failure::Outcome;
use crate::session::Session;

/// Add files and folders, and print CIDs, as `ipfs add` does
///
/// Files are cut into blocks that any IPFS node reads, with the CIDs that Kubo gives them. Folders
/// are added with everything in them; symbolic links stay links. With --quiet, CIDs alone are
/// printed. What was stored when an add is interrupted stays, and nothing refers to it; the same
/// command with --resume goes on from there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket add photo.jpg                        prints: added Qm… photo.jpg
  cidbucket add -Q photos                        the folder's CID alone
  cidbucket add -w a.txt b.txt                   a folder around both keeps their names
  cidbucket add --profile unixfs-v1-2025 photos
  tar c photos | cidbucket add")]
#[expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "they are the flags of `ipfs add`"
)]
pub(crate) struct Args {
    /// Files and folders; `-` is standard input
    #[arg(value_name = "PATH", default_value = "-", hide_default_value = true)]
    paths: Vec<PathBuf>,
    /// Print the last root's CID alone
    #[arg(short = 'Q', long)]
    quieter: bool,
    /// Put a folder around everything, which keeps the names
    #[arg(short, long)]
    wrap_with_directory: bool,
    /// Add hidden files of folders too: those whose names begin with a dot
    #[arg(short = 'H', long)]
    hidden: bool,
    /// Add what a symbolic link on the command line leads to; those in folders stay links
    #[arg(long)]
    dereference_args: bool,
    /// Print the CIDs only; nothing is stored, and no store is needed
    #[arg(short = 'n', long)]
    only_hash: bool,
    /// Ask the store for each block first, and send only what it does not have
    #[arg(long, conflicts_with = "only_hash")]
    resume: bool,
    /// Nothing: folders are added with everything in them anyway
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten, next_help_heading = "What decides about CIDs")]
    cids: CidArgs,
}

#[derive(Debug, clap::Args)]
struct CidArgs {
    /// unixfs-v0-2015, which is what Kubo does by default, or unixfs-v1-2025 (IPIP-499)
    #[arg(long, value_name = "NAME")]
    profile: Option<Profile>,
    /// 0 or 1; 1 has raw leaves
    #[arg(long, value_name = "N")]
    cid_version: Option<u64>,
    /// Whether a file's chunks are blocks as they are
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true
    )]
    raw_leaves: Option<bool>,
    /// Where files are cut: size-262144, …
    #[arg(short = 's', long, value_name = "size-N")]
    chunker: Option<Chunker>,
    /// sha2-256, blake3, blake2b-256, …; any but sha2-256 has CIDv1
    #[arg(long, value_name = "NAME", value_parser = parse_hash)]
    hash: Option<Hash>,
    /// Keep the permissions of files and folders
    #[arg(long)]
    preserve_mode: bool,
    /// Keep the times at which files and folders were changed last
    #[arg(long)]
    preserve_mtime: bool,
}

impl CidArgs {
    fn profile(&self) -> cidbucket_dag::Result<Profile> {
        let flags = Flags {
            profile: self.profile,
            cid_version: self.cid_version,
            raw_leaves: self.raw_leaves,
            hash: self.hash,
            chunker: self.chunker,
            metadata: self.preserve_mode || self.preserve_mtime,
        };
        flags.profile()
    }
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let profile = args.cids.profile()?;
    let roots = Root::all(args.paths, args.dereference_args, || {
        session.io.take_stdin()
    })?;
    let store = if args.only_hash {
        None
    } else {
        Some(session.store_to_fill().await?)
    };
    let bar = session.byte_bar("add", Root::total_size(&roots));
    let keep = Keep {
        hidden: args.hidden,
        mode: args.cids.preserve_mode,
        mtime: args.cids.preserve_mtime,
    };
    let options = ImportOptions {
        profile,
        wrap: args.wrap_with_directory,
        skip_present: args.resume,
    };
    let mut shown = Shown {
        quieter: args.quieter,
        bar,
        bytes: 0,
        last: None,
    };
    let mut events = import(store.as_deref(), source::read(roots, keep), options);
    while let Some(event) = events.next().await {
        shown.show(session, event?)?;
    }
    shown.end(session)
}

/// What is shown of an import.
struct Shown {
    quieter: bool,
    bar: ProgressBar,
    /// Bytes of the file that is being added, as far as the bar has them.
    bytes: u64,
    last: Option<Added>,
}

impl Shown {
    fn show(&mut self, session: &mut Session<'_>, event: ImportEvent) -> Outcome {
        match event {
            ImportEvent::Progress { bytes, .. } => {
                self.bar.inc(bytes.saturating_sub(self.bytes));
                self.bytes = bytes;
                Ok(())
            }
            ImportEvent::Added {
                path,
                added,
                is_root,
            } => {
                self.bytes = 0;
                self.last = Some(added);
                if self.quieter {
                    return Ok(());
                }
                let bar = &self.bar;
                bar.suspend(|| {
                    if session.json {
                        session.json_line(&line_of(&path, &added, is_root))?;
                    } else if session.is_quiet() {
                        session.line(added.cid)?;
                    } else {
                        session.line(format_args!("added {} {}", added.cid, printable(&path)))?;
                    }
                    session.flush()
                })
            }
        }
    }

    fn end(self, session: &mut Session<'_>) -> Outcome {
        self.bar.finish_and_clear();
        match self.last {
            Some(last) if self.quieter && session.json => {
                session.json_line(&json!({ "cid": last.cid.to_string(), "size": last.size }))
            }
            Some(last) if self.quieter => session.line(last.cid),
            _ => Ok(()),
        }
    }
}

fn line_of(path: &str, added: &Added, is_root: bool) -> serde_json::Value {
    json!({
        "cid": added.cid.to_string(),
        "name": path,
        "size": added.size,
        "root": is_root,
    })
}

/// A name without what would move a terminal's cursor.
fn printable(name: &str) -> String {
    if name.contains(char::is_control) {
        name.escape_debug().to_string()
    } else {
        name.to_owned()
    }
}
