//! What can go wrong in the store, by meaning.

use std::{io, path::PathBuf};

/// Failure of an operation on the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the bucket does not exist")]
    NoSuchBucket,
    #[error("the key does not exist")]
    NoSuchKey,
    #[error("the upload does not exist")]
    NoSuchUpload,
    #[error("a part is missing or is not the one meant")]
    InvalidPart,
    #[error("the bucket exists already")]
    BucketExists,
    #[error("the bucket holds objects")]
    BucketNotEmpty,
    #[error("a condition of the request does not hold")]
    PreconditionFailed,
    #[error("{what}: {}", .path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Adds to an I/O error what was done to which file.
pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io { what, path, source }
}
