//! `cidbucket get`: blocks become bytes again.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cidbucket::Block;
use futures::stream::StreamExt;
use serde_json::json;

use crate::cids::Cids;
use crate::failure::{Failure, Outcome, Stop};
use crate::session::Session;

/// Write blocks' bytes to standard output, or to files
///
/// Every block is checked against its CID before a byte of it is written. To standard output
/// the blocks come in order, and the first that cannot be had ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket get CID > photo.jpg
  cidbucket get CID -o photo.jpg
  cidbucket get - -o blocks/ < cids.txt")]
pub(crate) struct Args {
    #[command(flatten)]
    cids: Cids,
    /// A file for one block, or a folder for files named by CID
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

/// Writes a file whole or not at all: beside its place first, then renamed into it.
fn write(path: &Path, data: &[u8]) -> io::Result<()> {
    // A link's target is replaced, not the link; a device or pipe is written to, not replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if fs::metadata(&path).is_ok_and(|known| !known.is_file()) {
        return OpenOptions::new().write(true).open(&path)?.write_all(data);
    }
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".cidbucket-");
    #[cfg(unix)]
    {
        // As for any new file; the process's mask still applies.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(data)?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_device_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("no/such/folder"), b"x").is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            write(&link, b"three").unwrap();
            assert!(link.is_symlink());
            assert_eq!(fs::read(&path).unwrap(), b"three");
            let device = Path::new("/dev/null");
            write(device, b"x").unwrap();
            assert!(fs::metadata(device).unwrap().file_type().is_char_device());
        }
    }

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
