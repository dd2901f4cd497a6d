//! Small objects that are changed by compare-and-swap.

use std::fmt::Debug;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cidbucket_blockstore::Result;

/// Largest record, in bytes. A lease of 65,536 blocks has some 5 MiB at most.
pub const MAX_RECORD: usize = 16 << 20;

/// Records: small objects, each read and written as a whole.
///
/// Every value that is written must be unlike every other, so each holds random bytes. By them a
/// write whose answer was lost is recognised as one's own.
///
/// A [`replace`](Records::replace) that answers `None` may still have been carried out, and been
/// replaced by another since. So whoever changes a record reads it again, and makes the change in
/// such a way that it can be seen to be in there.
#[async_trait]
pub trait Records: Debug + Send + Sync {
    /// Which conditions hold here.
    fn conditions(&self) -> Conditions;

    /// Reads a record; `None` where there is none.
    async fn get(&self, key: &str) -> Result<Option<Record>>;

    /// Reads the first `length` bytes of a record, or all where it is shorter.
    async fn get_start(&self, key: &str, length: usize) -> Result<Option<Bytes>>;

    /// Writes a record that is not there yet (`If-None-Match: *`); `None` where there is one, of
    /// another value.
    ///
    /// Where [`Conditions::create`] does not hold, it looks first: of several at once, several may
    /// then succeed.
    async fn create(&self, key: &str, value: Bytes) -> Result<Option<Tag>>;

    /// Replaces the value that has `tag` (`If-Match`); `None` where it is gone or has another.
    ///
    /// # Errors
    /// `Unsupported` where [`Conditions::replace`] does not hold.
    async fn replace(&self, key: &str, value: Bytes, tag: &Tag) -> Result<Option<Tag>>;

    /// Writes a record, whatever is there: of several at once, the last one stays. For what has no
    /// state that a change builds on.
    async fn put(&self, key: &str, value: Bytes) -> Result<()>;

    /// Deletes a record. Succeeds where there is none.
    async fn delete(&self, key: &str) -> Result<()>;

    /// A page of the records whose keys begin with `prefix` and come after `after`, by key in
    /// ascending byte order.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page>;
}

/// Which conditional writes hold at a server, also under a race, as
/// [`Probe`](cidbucket_s3::Probe) finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// `If-None-Match: *`.
    pub create: bool,
    /// `If-Match`.
    pub replace: bool,
}

impl Conditions {
    /// All of them.
    pub const ALL: Self = Self {
        create: true,
        replace: true,
    };
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The bytes.
    pub value: Bytes,
    /// What names this value.
    pub tag: Tag,
}

/// Names one value of a record: an entity tag, as the server writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(pub(crate) String);

/// A record in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written, by the server's clock.
    pub modified: Option<SystemTime>,
    /// The tag of its value, where the server tells it.
    pub tag: Option<Tag>,
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The records, by key.
    pub entries: Vec<Entry>,
    /// Whether there are more, after the last one of these.
    pub more: bool,
}
