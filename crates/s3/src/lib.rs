//! An S3 client and the block store on it.
//!
//! - [`Env`] and [`CredentialsSource`]: what a store is told, from a URL and the environment.
//! - [`credentials`]: where the client gets its credentials; [`tls`]: whom it trusts.
//! - [`transport`]: HTTP/1.1 connections and their pool; knows nothing of S3.
//! - [`xml`]: what S3 says and is told in XML: pure parsers and writers.

mod config;
pub mod credentials;
mod date;
pub mod tls;
pub mod transport;
pub mod xml;

pub use config::{CredentialsSource, Env};
