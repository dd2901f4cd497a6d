//! An S3 client and the block store on it.
//!
//! - [`transport`]: HTTP/1.1 connections and their pool; knows nothing of S3.

// Written by two people at once: each line below is added with its file.
pub mod transport;
