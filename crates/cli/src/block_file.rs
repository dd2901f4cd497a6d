//! A file as one block.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cidbucket::{Block, DEFAULT_MAX_BLOCK, Hash};

use crate::failure::{Exit, Failure, Outcome};
use crate::{codec, quantity};

/// How a file's bytes get their CID.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Encoding {
    /// Codec of the CID: raw, dag-pb, dag-cbor, dag-json, …, or a number
    #[arg(long, value_name = "NAME", default_value = "raw", value_parser = codec::parse)]
    codec: u64,
    /// Hash of the CID: sha2-256, sha2-512, blake3, blake2b-256, …
    #[arg(long, value_name = "NAME", default_value = "sha2-256", value_parser = parse_hash)]
    hash: Hash,
}

/// A file, or standard input, not read yet.
pub(crate) struct Source {
    path: PathBuf,
    stdin: Option<Box<dyn Read + Send>>,
}

impl Source {
    /// The files of a command line, in order; `-` is standard input, which can be there once.
    pub(crate) fn all(
        paths: Vec<PathBuf>,
        stdin: impl FnOnce() -> Box<dyn Read + Send>,
    ) -> Outcome<Vec<Self>> {
        let mut stdin = Some(stdin);
        let mut sources = Vec::with_capacity(paths.len());
        for path in paths {
            let stdin = if path.as_os_str() == "-" {
                let stdin = stdin
                    .take()
                    .ok_or_else(|| Failure::usage("standard input (-) can be read only once"))?;
                Some(stdin())
            } else {
                None
            };
            sources.push(Self { path, stdin });
        }
        Ok(sources)
    }

    /// The path as it was typed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What to call it in a message.
    pub(crate) fn name(&self) -> String {
        if self.stdin.is_some() {
            "standard input".into()
        } else {
            self.path.display().to_string()
        }
    }

    /// Opens it to be read piece by piece. Its size, where that is known beforehand.
    pub(crate) fn open(self) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
        if let Some(stdin) = self.stdin {
            return Ok((stdin, None));
        }
        let opened = File::open(&self.path).and_then(|file| {
            let known = file.metadata()?;
            // Some systems open a folder, and fail to read it.
            if known.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok((file, known.is_file().then_some(known.len())))
        });
        match opened {
            Ok((file, size)) => Ok((Box::new(file), size)),
            Err(error) => Err(Failure::io(format!("cannot read {}", self.name()), &error)),
        }
    }

    /// Reads it whole into a block on a thread that may wait.
    pub(crate) async fn read(self, encoding: Encoding) -> Result<Block, Failure> {
        tokio::task::spawn_blocking(move || self.read_blocking(encoding))
            .await
            .unwrap_or_else(|error| Err(Failure::new(Exit::Other, "internal", error.to_string())))
    }

    /// Of what is larger than a block almost nothing is read.
    fn read_blocking(self, encoding: Encoding) -> Result<Block, Failure> {
        let name = self.name();
        let failed = |error: &io::Error| Failure::io(format!("cannot read {name}"), error);
        let mut data = Vec::new();
        let source: Box<dyn Read> = if let Some(stdin) = self.stdin {
            stdin
        } else {
            let file = File::open(&self.path).map_err(|e| failed(&e))?;
            let size = file.metadata().map_err(|e| failed(&e))?.len();
            check_size(&name, size)?;
            data.reserve_exact(usize::try_from(size).unwrap_or(DEFAULT_MAX_BLOCK) + 1);
            Box::new(file)
        };
        // One byte more than allowed shows that there is more, for a pipe too.
        source
            .take(DEFAULT_MAX_BLOCK as u64 + 1)
            .read_to_end(&mut data)
            .map_err(|e| failed(&e))?;
        check_size(&name, data.len() as u64)?;
        Block::encode(encoding.codec, encoding.hash, data)
            .map_err(|error| Failure::from(error).about(name))
    }
}

fn check_size(name: &str, size: u64) -> Result<(), Failure> {
    let limit = DEFAULT_MAX_BLOCK as u64;
    if size <= limit {
        return Ok(());
    }
    let message = format!(
        "{name} is larger than one block ({})",
        quantity::size(limit)
    );
    Err(Failure::new(Exit::Usage, "too-large", message)
        .with_hint("a file is stored as one block; it is not cut into chunks"))
}

pub(crate) fn parse_hash(name: &str) -> Result<Hash, String> {
    Hash::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Hash::ALL.iter().map(|hash| hash.name()).collect();
        format!("known are {}", names.join(", "))
    })
}
