//! An S3 client and the block store on it.
//!
//! - [`S3Config`]: what a store is told, from a URL and the environment ([`Env`]).
//! - [`S3Blockstore`]: blocks as objects of a bucket.
//! - [`S3Client`]: the operations of S3, one per file of `operation`; it signs, sends and tries
//!   again where that helps ([`MetricsSnapshot`] counts).
//! - [`GrantClient`]: carries out requests that somebody else signed.
//! - [`Probe`]: what a bucket really is and enforces, found out by trying.
//! - [`BrowserAccess`], [`PublicRead`]: what web pages and strangers may do in a bucket, and what is
//!   to be set so that they may.
//! - [`credentials`]: where the client gets its credentials; [`tls`]: whom it trusts.
//! - [`transport`]: HTTP/1.1 connections and their pool; [`retry`]: whether and when to try again.
//!   Neither knows S3.
//! - [`xml`]: what S3 says and is told in XML: pure parsers and writers.

mod blockstore;
mod browser_access;
mod client;
mod config;
pub mod credentials;
mod date;
mod failure;
mod granted;
mod hedge;
mod metrics;
mod operation;
mod place;
mod probe;
mod public_access;
pub mod retry;
pub mod tls;
pub mod transport;
pub mod xml;

pub use blockstore::S3Blockstore;
pub use browser_access::{BrowserAccess, CORS_RULE_ID};
pub use cidbucket_blockstore::{Error, Report, Result};
pub use client::S3Client;
pub use config::{CredentialsSource, Encryption, Env, Retry, S3Config, Timeouts};
pub use granted::{GrantClient, GrantError};
pub use metrics::{MetricsSnapshot, Outcomes};
pub use operation::{
    CopyObject, GetObject, GotObject, ListObjectVersions, ListObjectsV2, MAX_DELETE, ObjectInfo,
    Operation, Put, PutObject,
};
pub use probe::{Check, Probe, ProbeCache, Verdict};
pub use public_access::{PublicAccess, PublicRead};
