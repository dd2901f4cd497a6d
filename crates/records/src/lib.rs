//! What the services keep in the bucket: leases, quotas, staged uploads, pins.
//!
//! The service has no database. What its instances must agree on lies in the folder `.cidbucket/`
//! beside the blocks, in small records that are changed by compare-and-swap.
//!
//! - [`Records`]: such records; [`S3Records`] in a bucket, [`FolderRecords`] beside the blocks of a
//!   folder, [`MemoryRecords`] for a store in memory.
//! - [`Control`]: where everything lies.
//! - [`Leases`]: the pending record of an upload, with the [`KeepSet`] of its blocks.
//! - [`Ledger`]: bytes by token, counted over all instances without asking S3 every time.
//! - [`Staging`]: moves what was uploaded under a SHA-256 to the key of another hash.
//! - [`Pins`]: what is to be kept, a [`Pin`] each; [`Peer`]: the name under which it is told.
//! - [`Sweeper`]: ends what was left, and cleans up.
//!
//! The formats and the protocol are specified in `docs/records.md`. Decisions are pure functions on
//! the value of a record; reading, writing and trying again is the shell around them.

mod clock;
mod control;
mod folder;
mod keep_set;
mod lease;
mod lease_id;
mod leases;
mod ledger;
mod memory;
mod peer;
mod pin;
mod pins;
mod quota;
mod records;
mod s3;
mod staging;
mod sweeper;

pub use control::Control;
pub use folder::FolderRecords;
pub use keep_set::{KeepSet, KeepSetBuilder, Kept, Way};
pub use lease::{Charge, Ending, Lease, LeaseHead, Outcome};
pub use lease_id::{LeaseId, LeaseIdError};
pub use leases::{LeaseError, Leases, NewLease, State};
pub use ledger::{Ledger, LedgerError, Reservation, TIDY_EVERY};
pub use memory::MemoryRecords;
pub use peer::Peer;
pub use pin::{Pin, PinType};
pub use pins::Pins;
pub use quota::{Chunk, ChunkId, Exceeded, Purpose, Quota, QuotaRecord, Taken, Window};
pub use records::{Conditions, Entry, MAX_RECORD, Page, Record, Records, Tag};
pub use s3::S3Records;
pub use staging::{Promoted, Staging, sha256_cid};
pub use sweeper::{Sweeper, Swept};
