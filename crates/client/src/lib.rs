//! A block store over a direct-access service: the service only signs, and blocks go between this
//! process and S3.
//!
//! [`DirectBlockstore`] is a `Blockstore`, made by a [`DirectConfig`]. What goes over the wire is
//! specified in `docs/direct-access.md`; in here
//!
//! - `service` speaks to the service, and `cidbucket_s3::GrantClient` to S3: the token is known to
//!   the first only, and the second sends nothing but what was granted;
//! - `gather` makes one request of what callers ask for at once;
//! - `grants` keeps read grants for as long as they last, `reach` knows whether S3 can be reached:
//!   decisions only, with the clock as argument;
//! - `upload` is the life of a lease: grants, uploads, completion, and what is done when any of
//!   them fails.
//!
//! ```no_run
//! use cidbucket_blockstore::{Block, Blockstore};
//! use cidbucket_client::{DirectBlockstore, DirectConfig, Token};
//!
//! # async fn example() -> cidbucket_blockstore::Result<()> {
//! let mut config = DirectConfig::new("https://blocks.example.net")?;
//! config.token = Some(Token::new("eyJ…")?);
//! let store = DirectBlockstore::new(config)?;
//! store.put(&Block::raw("hello world\n")).await?;
//! # Ok(())
//! # }
//! ```

mod config;
mod core;
mod failure;
mod gather;
mod grants;
mod listing;
mod put_many;
mod reach;
mod read;
mod service;
mod store;
mod token;
mod traffic;
mod upload;

pub use cidbucket_direct as protocol;
pub use config::{Direct, DirectConfig};
pub use store::DirectBlockstore;
pub use token::Token;
pub use traffic::{Side, Traffic};
