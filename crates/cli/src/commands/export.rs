//! `cidbucket export`: a DAG as a CAR file.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use cidbucket_dag::{ContentPath, WalkOptions, car, resolve, walk};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;

use crate::failure::{Failure, Outcome, Stop};
use crate::quantity;
use crate::session::Session;
use crate::whole_file::WholeFile;

/// Write a DAG as a CAR file: a block, and all that it links to
///
/// The blocks come depth first, each once, in a CARv1 whose root is the DAG's. To standard output
/// they are streamed; a block that cannot be had ends the command with an error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket export CID -o dataset.car
  cidbucket export CID/photos/2024 > photos.car
  cidbucket export CID | cidbucket --store dir:backup import -")]
pub(crate) struct Args {
    /// The DAG: a CID, or a path under one
    #[arg(value_name = "CID[/PATH]")]
    path: String,
    /// A file, which appears whole or not at all; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

enum Target<'a> {
    Stdout(&'a mut (dyn Write + Send)),
    File(BufWriter<WholeFile>, &'a Path),
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let path: ContentPath = args.path.parse()?;
    let file = args
        .output
        .as_deref()
        .filter(|path| path.as_os_str() != "-");
    if file.is_none() && session.io.stdout_is_terminal {
        return Err(Failure::usage("a CAR is no text for a terminal")
            .with_hint("write it to a file with -o FILE, or into a pipe")
            .into());
    }
    let store = session.store().await?;
    let found = resolve(&*store, &path).await?;
    if !found.value_path.is_empty() {
        return Err(Failure::usage(format!(
            "{path} is a part of the block {}, and no block itself",
            found.cid
        ))
        .into());
    }
    let root = found.cid;
    let mut blocks = walk(&*store, vec![root], WalkOptions::default());
    // Nothing is begun for a DAG that is not there.
    let first = blocks.try_next().await?;
    let bar = session.bar("export", None);
    let mut target = match file {
        Some(path) => {
            let file = WholeFile::create(path).map_err(|e| cannot_write(path, &e))?;
            Target::File(BufWriter::with_capacity(1 << 20, file), path)
        }
        None => Target::Stdout(&mut *session.io.stdout),
    };
    let (mut count, mut bytes) = (0u64, 0u64);
    let blocks = stream::iter(first.map(Ok)).chain(blocks).inspect_ok(|_| {
        count += 1;
        bar.inc(1);
    });
    let mut pieces = car::write(&[root], blocks).boxed();
    while let Some(piece) = pieces.try_next().await? {
        bytes += piece.len() as u64;
        target.write(&piece)?;
    }
    drop(pieces);
    bar.finish_and_clear();
    target.finish()?;
    let Some(file) = file.map(Path::display) else {
        return Ok(());
    };
    if session.json {
        return session.json_line(&json!({
            "root": root.to_string(),
            "file": file.to_string(),
            "blocks": count,
            "bytes": bytes,
        }));
    }
    session.note(format_args!(
        "{file}: {count} blocks, {}",
        quantity::size(bytes)
    ));
    Ok(())
}

impl Target<'_> {
    fn write(&mut self, piece: &[u8]) -> Outcome {
        match self {
            Self::Stdout(stdout) => stdout.write_all(piece).map_err(|e| Stop::stdout(&e)),
            Self::File(file, path) => file.write_all(piece).map_err(|e| cannot_write(path, &e)),
        }
    }

    /// Puts a file in its place.
    fn finish(self) -> Outcome {
        let Self::File(file, path) = self else {
            return Ok(());
        };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error);
        let finished = file.and_then(WholeFile::finish);
        finished.map_err(|e| cannot_write(path, &e))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Stop {
    Failure::io(format!("cannot write {}", path.display()), error).into()
}

#[cfg(test)]
mod tests {
    use crate::env::Env;
    use crate::streams::Captured;

    #[tokio::test]
    async fn a_terminal_is_spared() {
        let env = Env::from_iter([("CIDBUCKET_STORE", "memory:")]);
        for args in [&["bafkqaaa"][..], &["bafkqaaa", "-o", "-"]] {
            let captured = Captured::default();
            let mut io = captured.io("");
            io.stdout_is_terminal = true;
            let args = ["cidbucket", "export"].iter().chain(args);
            assert_eq!(crate::run(args, &env, &mut io).await, 2);
            assert_eq!(captured.stdout(), "");
            assert!(
                captured.stderr().contains("-o FILE"),
                "{}",
                captured.stderr()
            );
        }
    }
}
