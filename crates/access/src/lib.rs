//! Who may do what.
//!
//! - [`Capability`]: what somebody may do: [`Operations`], a [`Tenant`], hashes, codecs, sizes, a
//!   [`Quota`], a [`Rate`].
//! - [`Authorizer`]: the question that is asked of every request, for a program to answer in its own
//!   way; [`Refused`] is a no. [`bearer`] takes the token out of the header.
//! - [`TokenAuthorizer`]: the answer by signed tokens (JSON Web Tokens). It verifies by [`TokenKeys`],
//!   fixed or of a file that is read again when it changes.
//! - [`SigningKey`] and [`Claims::issue`]: issuing tokens; [`inspect`] looks into one.
//! - [`RateLimiter`]: how often.
//!
//! Decisions take clock and randomness as arguments; only files of keys are read here.
//! `docs/tokens.md` specifies tokens and keys for those who issue their own.
//!
//! ```
//! use std::time::{Duration, SystemTime, UNIX_EPOCH};
//! use cidbucket_access::{
//!     Algorithm, Capability, Claims, Operation, Operations, SigningKey, TokenAuthorizer,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let random = [7; 32];
//! let key = SigningKey::generate(Algorithm::EdDsa, &random)?;
//! let now = SystemTime::now();
//! let tomorrow = (now + Duration::from_secs(86_400)).duration_since(UNIX_EPOCH)?;
//!
//! let may = Operations::from_iter([Operation::Read, Operation::Write]);
//! let mut capability = Capability::new("alice", "token-1", may);
//! capability.max_block = Some(2 << 20);
//! capability.expires = Some(tomorrow.as_secs());
//! let token = Claims::new(capability).issue(&key)?;
//!
//! let authorizer = TokenAuthorizer::new(key.verifying()?);
//! let alice = authorizer.verify(&token, now)?;
//! assert!(alice.allows(Operation::Write) && !alice.allows(Operation::Delete));
//! # Ok(())
//! # }
//! ```

mod algorithm;
mod authorizer;
mod capability;
mod claims;
mod flaw;
mod inspect;
mod jwk;
mod key_error;
mod key_file;
mod operation;
mod provider;
mod rate_limiter;
mod signing_key;
mod tenant;
mod token;
mod token_authorizer;
mod token_keys;
mod verified;

use std::time::Duration;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use authorizer::{Authorizer, Refused, bearer};
pub use capability::{Capability, Quota, Rate, Window};
pub use cidbucket_blockstore::Cid;
pub use claims::Claims;
pub use flaw::Flaw;
pub use inspect::{Inspection, Signature, inspect};
pub use key_error::KeyError;
pub use operation::{Operation, Operations, UnknownOperation};
pub use rate_limiter::RateLimiter;
pub use signing_key::SigningKey;
pub use tenant::{Tenant, TenantError};
pub use token_authorizer::TokenAuthorizer;
pub use token_keys::TokenKeys;

/// The longest token, in bytes; a longer one is refused before any of it is looked at.
pub const MAX_TOKEN: usize = 8 << 10;

/// The shortest secret for HS256, in bytes (RFC 7518 §3.2).
pub const MIN_SECRET: usize = 32;

/// How long before its `nbf` a token can be used: the clock of the issuer may be ahead of ours. For
/// `exp` there is no such leeway.
pub const NOT_BEFORE_LEEWAY: Duration = Duration::from_secs(30);
