//! What the end-to-end tests share. They run the binary `cidbucket` as a user would, against an S3
//! server of their own or a real one.
//!
//! - [`Target`]: the bucket under test. `cidbucket serve --dev` by default; where
//!   `CIDBUCKET_TEST_ENDPOINT` and its companions are set (see `tests/servers`), that server, with
//!   the very same tests.
//! - [`Cidbucket`]: the binary, in an environment without the machine's own settings.
//! - [`DevServer`]: a running `cidbucket serve --dev`, which tests may kill.
//! - [`Service`]: a running `cidbucket serve` over the bucket under test, with tokens of a
//!   [`TokenKey`].
//! - [`Relay`]: counts the bytes that pass.
//! - [`Curl`]: `curl`, the client that shares no code with us.
//! - [`mutation`]: requests of grants, bent in every way.
//! - [`wire`]: HTTP requests byte by byte, for those that no decent client would send.

mod binary;
mod curl;
mod dev_server;
pub mod mutation;
mod process;
mod relay;
pub mod service;
mod target;
pub mod wire;

pub use binary::{Cidbucket, Finished};
pub use curl::Curl;
pub use dev_server::DevServer;
pub use process::Process;
pub use relay::Relay;
pub use service::{Service, TokenKey};
pub use target::Target;
