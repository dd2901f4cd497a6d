//! What UnixFS 1.5 keeps of a file beside its bytes: mode and time of change.

use super::Mtime;
use super::message::UnixTime;

/// Mode and time of the last change, as far as they are kept. By default neither is.
///
/// See the [UnixFS specification](https://specs.ipfs.tech/unixfs/#metadata).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The permission bits of the mode, at most `0o7777`; more bits are cut off.
    pub mode: Option<u32>,
    /// The time of the last change.
    pub mtime: Option<Mtime>,
}

impl Metadata {
    /// Whether neither is kept.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Mtime> for UnixTime {
    /// Kubo leaves out a fraction of nothing.
    fn from(mtime: Mtime) -> Self {
        Self {
            seconds: mtime.seconds,
            nanoseconds: (mtime.nanoseconds > 0).then_some(mtime.nanoseconds),
        }
    }
}
