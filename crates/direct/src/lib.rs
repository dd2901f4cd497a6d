//! The direct-access protocol, version 1: what client and service say to each other.
//!
//! Pure types and their two encodings; no I/O, no clock, no runtime. `docs/direct-access.md`
//! specifies the protocol, and this crate is its Rust form:
//!
//! - [`Encoding`]: JSON or DAG-CBOR, by media type; encodes and decodes every body.
//! - [`Info`]: what a service is (`GET /v1/info`).
//! - [`Reads`]: what is asked for (`POST /v1/reads`); the answer is a [`Batch`].
//! - [`Writes`] and [`Granted`]: the same for writes; [`Ways`] sorts out which block goes which way.
//! - [`Completed`]: the answer to a completion.
//! - [`Page`]: a page of the listing.
//! - [`Problem`]: every error, and its [`Code`].

mod completed;
mod encoding;
mod hex;
mod info;
mod link;
mod page;
mod problem;
mod reads;
mod writes;

pub use cid::Cid;
pub use cidbucket_presign::{Batch, Grant, Method, Seal};
pub use completed::Completed;
pub use encoding::{DAG_CBOR, DecodeError, Encoding, JSON};
pub use info::{Info, Limits, ReadMode, VERSION, WriteMode};
pub use link::Link;
pub use page::{Listed, Page};
pub use problem::{Code, Problem};
pub use reads::Reads;
pub use writes::{Granted, Way, WayError, Ways, Write, Writes};
