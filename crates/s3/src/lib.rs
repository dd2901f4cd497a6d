//! An S3 client and the block store on it.
//!
//! - [`transport`]: HTTP/1.1 connections and their pool; knows nothing of S3.
//! - [`xml`]: what S3 says and is told in XML: pure parsers and writers.

mod date;
pub mod transport;
pub mod xml;
