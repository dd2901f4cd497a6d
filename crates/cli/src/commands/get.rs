//! `cidbucket get`: blocks become bytes again, and UnixFS files and folders.

mod files;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cidbucket::Block;
use cidbucket_dag::unixfs::{Kind, Node};
use futures::stream::StreamExt;
use serde_json::json;

use crate::cids::Cids;
use crate::failure::{Failure, Outcome, Stop};
use crate::session::Session;
use crate::whole_file::WholeFile;

/// Write blocks' bytes, or whole files and folders
///
/// CID is one block: its bytes. CID/ and CID/PATH are what that leads to in UnixFS, as `add` and
/// `ipfs add` make it: a file, or a folder and everything in it.
///
/// Every block is checked against its CID before a byte of it is written. To standard output
/// the blocks come in order, and the first that cannot be had ends it.
///
/// A folder that was cut off is completed by the same command: files that are there with the same
/// bytes stay, others are replaced. Names that would lead out of the folder, and links that do, are
/// refused; permissions and times are set where they are known, setuid never.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket get CID > photo.jpg
  cidbucket get CID -o photo.jpg
  cidbucket get - -o blocks/ < cids.txt
  cidbucket get CID/ -o photos                   a folder that `cidbucket add` has added
  cidbucket get CID/2024/1.jpg -o 1.jpg          a file in it")]
pub(crate) struct Args {
    #[command(flatten)]
    cids: Cids,
    /// A file for one block, or a folder for files named by CID; of CID/ the file or folder
    ///
    /// A file appears whole or not at all. A path that ends in `/` is a folder and is made where
    /// it is missing; `-` is standard output.
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
}

enum Target {
    Stdout,
    File(PathBuf),
    Folder(PathBuf),
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    if let Some(path) = args.cids.content_path()? {
        return files::run(path, args.output, session).await;
    }
    let count = args.cids.count();
    let target = target(args.output, count)?;
    let (cids, trouble) = args.cids.open(|| session.io.take_stdin())?;
    let store = session.store().await?;
    let bar = session.bar("get", count);
    let mut answers = store.get_many(cids);
    while let Some((cid, answer)) = answers.next().await {
        let got = match answer {
            Ok(Some(block)) => Ok(block),
            Ok(None) => Err(Failure::not_found(&cid)),
            Err(error) => Err(Failure::from(error)),
        };
        bar.inc(1);
        if let (Some(1), Ok(block)) = (count, &got) {
            note_files(session, block);
        }
        match (&target, got) {
            (Target::Stdout, Ok(block)) => session
                .io
                .stdout
                .write_all(block.data())
                .map_err(|e| Stop::stdout(&e))?,
            // Bytes after a gap would look like bytes without one.
            (Target::Stdout, Err(failure)) => return Err(failure.into()),
            (Target::File(path), Ok(block)) => written(session, path, &block)?,
            (Target::Folder(folder), Ok(block)) => {
                written(session, &folder.join(cid.to_string()), &block)?;
            }
            (Target::File(_) | Target::Folder(_), Err(failure)) => {
                bar.suspend(|| session.report(&failure));
            }
        }
    }
    bar.finish_and_clear();
    trouble.check()
}

/// Who asks for the root of a file or folder may have meant that.
fn note_files(session: &mut Session<'_>, block: &Block) {
    let kind = Node::of(block).map(|node| node.kind());
    if let Ok(kind @ (Kind::File | Kind::Directory | Kind::Shard)) = kind {
        let found = kind.described();
        let cid = block.cid();
        session.note(format_args!(
            "note: this block is the root of {found}; `cidbucket get {cid}/` writes what is in it"
        ));
    }
}

fn target(output: Option<PathBuf>, count: Option<u64>) -> Outcome<Target> {
    let Some(path) = output.filter(|path| path.as_os_str() != "-") else {
        return Ok(Target::Stdout);
    };
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        fs::create_dir_all(&path)
            .map_err(|e| Failure::io(format!("cannot make {}", path.display()), &e))?;
    }
    if path.is_dir() {
        Ok(Target::Folder(path))
    } else if count == Some(1) {
        Ok(Target::File(path))
    } else {
        Err(Failure::usage(format!(
            "{} is not a folder, and there may be more than one block",
            path.display()
        ))
        .with_hint(format!(
            "for a folder that is made, write -o {}/",
            path.display()
        ))
        .into())
    }
}

fn written(session: &mut Session<'_>, path: &Path, block: &Block) -> Outcome {
    write(path, block.data())
        .map_err(|e| Failure::io(format!("cannot write {}", path.display()), &e))?;
    if session.json {
        session.json_line(&json!({
            "cid": block.cid().to_string(),
            "size": block.len(),
            "file": path.to_string_lossy(),
        }))?;
    }
    Ok(())
}

fn write(path: &Path, data: &[u8]) -> io::Result<()> {
    let mut file = WholeFile::create(path)?;
    file.write_all(data)?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_blocks_need_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        assert!(matches!(
            target(Some(file.clone()), Some(1)),
            Ok(Target::File(_))
        ));
        assert!(target(Some(file.clone()), Some(2)).is_err());
        assert!(target(Some(file), None).is_err());
        let made = folder.path().join("new/");
        assert!(matches!(
            target(Some(made.clone()), None),
            Ok(Target::Folder(_))
        ));
        assert!(made.is_dir());
        assert!(matches!(
            target(Some("-".into()), Some(2)),
            Ok(Target::Stdout)
        ));
    }
}
