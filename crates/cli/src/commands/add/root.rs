//! The paths of the command line, looked at before anything is read.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use cidbucket_dag::{DagError, Result};

use super::source::unreadable;

/// One path of the command line.
#[expect(clippy::large_enum_variant, reason = "there are a few in all")]
pub(super) enum Root {
    /// Standard input, which has no name.
    Stdin(Box<dyn Read + Send>),
    /// Something of the file system.
    Path {
        path: PathBuf,
        /// The name that it will have.
        name: String,
        /// Of what is added: of a link, or of what it leads to.
        metadata: Metadata,
    },
}

impl Root {
    /// The paths of a command line, in order; `-` is standard input, which can be there once. Links
    /// are followed or stay what they are.
    pub(super) fn all(
        paths: Vec<PathBuf>,
        follow: bool,
        stdin: impl FnOnce() -> Box<dyn Read + Send>,
    ) -> Result<Vec<Self>> {
        let mut stdin = Some(stdin);
        let mut roots = Vec::with_capacity(paths.len());
        for path in paths {
            if path.as_os_str() == "-" {
                let stdin = stdin.take().ok_or_else(|| {
                    DagError::Invalid("standard input (-) can be read only once".into())
                })?;
                roots.push(Self::Stdin(stdin()));
                continue;
            }
            let metadata = if follow {
                fs::metadata(&path)
            } else {
                fs::symlink_metadata(&path)
            };
            let metadata = metadata.map_err(|error| unreadable(&path, &error))?;
            let name = utf8(&path, &name_of(&path)?)?;
            roots.push(Self::Path {
                path,
                name,
                metadata,
            });
        }
        Ok(roots)
    }

    /// How many bytes they have in all, where that can be told without a walk.
    pub(super) fn total_size(roots: &[Self]) -> Option<u64> {
        roots
            .iter()
            .map(|root| match root {
                Self::Path { metadata, .. } if metadata.is_file() => Some(metadata.len()),
                _ => None,
            })
            .sum()
    }
}

/// The last name of a path; also of one that ends with `.` or `..`.
fn name_of(path: &Path) -> Result<OsString> {
    if let Some(name) = path.file_name() {
        return Ok(name.to_owned());
    }
    let whole = fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
    let name = whole.file_name().map(OsStr::to_owned);
    name.ok_or_else(|| {
        DagError::Invalid(format!(
            "{} has no name; add what is in it",
            whole.display()
        ))
    })
}

/// A name as UnixFS has it.
pub(super) fn utf8(path: &Path, name: &OsStr) -> Result<String> {
    name.to_str().map(ToOwned::to_owned).ok_or_else(|| {
        DagError::Invalid(format!(
            "the name of {} is not UTF-8, as UnixFS wants names to be; rename it",
            path.display()
        ))
    })
}
