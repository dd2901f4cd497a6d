//! What can be wrong with a key, or with a file of keys.

use std::io;
use std::path::PathBuf;

/// What is wrong with a key or a file of keys. The text quotes nothing of it but a key's id.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no JSON Web Key and no set of them.
    #[error("no JSON Web Key and no set of them: line {line}, column {column}")]
    Syntax {
        /// Counted from 1; 0 where it is not known.
        line: usize,
        /// Counted from 1; 0 where it is not known.
        column: usize,
    },
    /// A key of the set, or the only one, cannot be used.
    #[error("key number {}: {flaw}", index + 1)]
    Key {
        /// Which key, counted from 0.
        index: usize,
        /// What is wrong with it.
        flaw: &'static str,
    },
    /// It cannot sign.
    #[error("{0}")]
    NoSigner(&'static str),
    /// Two keys have the same id.
    #[error("two keys have the id {id:?}")]
    SameId {
        /// The id.
        id: String,
    },
    /// There are keys, and none of them is of a kind that is known here.
    #[error("none of the keys is an `oct` key for HS256 or an `OKP` key of Ed25519")]
    NoneKnown,
    /// A secret that is too short to sign with.
    #[error("a secret for HS256 has at least {min} bytes, this one has {0}", min = crate::MIN_SECRET)]
    ShortSecret(usize),
    /// This process has another provider of cryptography for `jsonwebtoken`, and it does not
    /// compute `HS256` and `EdDSA` as the RFCs do.
    #[error(
        "the jsonwebtoken provider installed in this process fails the test vectors of the RFCs"
    )]
    Provider,
}
