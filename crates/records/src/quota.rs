//! What a token has used, as it lies in the bucket, and every change that is made to it. Pure.
//!
//! `consumed = used + the bytes of all chunks − refunded` is never below the truth, and a chunk is
//! taken only where it stays within the limit. Every change can be made twice: the second time it
//! does nothing.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::LeaseId;

/// The version of the format.
const VERSION: u64 = 1;
/// How long a chunk lives, in seconds.
pub(crate) const CHUNK_LIFE: u64 = 600;
/// How far a clock may be off S3's, in seconds: S3 refuses requests that are further off. One more
/// minute, since S3 tells times in whole seconds, and requests take time.
pub(crate) const SKEW: u64 = 16 * 60;
/// How long after its end a chunk that its owner did not fold is reclaimed, in seconds. Then all
/// leases that are part of it have been written, whichever way the clocks are off.
pub(crate) const RECLAIM: u64 = 2 * SKEW;
/// Largest chunk that is taken ahead of need, in bytes.
const MAX_CHUNK: u64 = 1 << 30;
/// The same for what is written without a lease. A chunk of that kind is charged whole where its
/// owner died.
const MAX_PROXIED_CHUNK: u64 = 64 << 20;
/// When to ask again where others hold what would be enough: they fold what they do not use.
const OTHERS_FOLD: u64 = 30;

/// What a token may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Bytes in all.
    pub total: Option<u64>,
    /// Bytes in a time.
    pub window: Option<Window>,
}

/// Bytes in a time. Windows are fixed: they begin at multiples of their length since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Bytes in each.
    pub bytes: u64,
    /// Length in seconds, at least 1.
    pub seconds: u64,
}

impl Quota {
    /// Whether it limits nothing, so that nothing is counted.
    pub fn is_unlimited(&self) -> bool {
        self.total.is_none() && self.window.is_none()
    }
}

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Blocks under a lease.
    Lease,
    /// A block that passes through the service, without a lease.
    Proxied,
}

/// The name of a chunk: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkId(#[serde(with = "serde_bytes")] [u8; 16]);

impl ChunkId {
    /// A name of 16 random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkId({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// What a token has used: the record `.cidbucket/quotas/{token}`, in DAG-CBOR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaRecord {
    #[serde(rename = "v")]
    version: u64,
    /// The token's id.
    pub token: String,
    /// Bytes that were used for good, by folded and reclaimed chunks.
    pub used: u64,
    /// Bytes that were given back, by leases that expired.
    pub refunded: u64,
    /// What instances hold.
    pub chunks: Vec<Chunk>,
    /// The window in which something was taken last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Taken>,
    /// The leases that were refunded and whose record may still be there.
    pub refunds: Vec<LeaseId>,
    #[serde(with = "serde_bytes")]
    nonce: [u8; 16],
}

/// A part of a quota that one instance may use without asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// Its name.
    pub id: ChunkId,
    /// Who holds it, for people.
    pub instance: String,
    /// How many bytes.
    pub bytes: u64,
    /// When it was taken, in seconds since 1970.
    pub taken: u64,
    /// Until when it may be used, in seconds since 1970.
    pub until: u64,
    /// Whether it is for writes without a lease.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proxied: bool,
    /// Start of the window that it was taken from, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
}

/// What was taken of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// Its start, in seconds since 1970.
    pub start: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// It would be more than the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", match .retry_after {
    Some(after) => format!("it would exceed the quota; try again in {} s", after.as_secs()),
    None => "it would exceed the quota".to_owned(),
})]
pub struct Exceeded {
    /// After what time it may fit, where waiting helps.
    pub retry_after: Option<Duration>,
}

/// Who takes a chunk, and as what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taker<'a> {
    pub(crate) id: ChunkId,
    pub(crate) instance: &'a str,
    pub(crate) purpose: Purpose,
}

impl QuotaRecord {
    pub(crate) fn new(token: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            token: token.into(),
            used: 0,
            refunded: 0,
            chunks: Vec::new(),
            window: None,
            refunds: Vec::new(),
            nonce: [0; 16],
        }
    }

    /// What counts against the limit, in bytes.
    pub fn consumed(&self) -> u64 {
        self.chunks
            .iter()
            .fold(self.used, |sum, chunk| sum.saturating_add(chunk.bytes))
            .saturating_sub(self.refunded)
    }

    pub(crate) fn encode(&mut self, nonce: [u8; 16]) -> Bytes {
        self.nonce = nonce;
        let bytes = serde_ipld_dagcbor::to_vec(self).expect("texts, numbers and bytes");
        bytes.into()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let record: Self = serde_ipld_dagcbor::from_slice(bytes).ok()?;
        (record.version == VERSION).then_some(record)
    }

    /// Takes a chunk of at least `need` bytes, and some ahead where there is room.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub(crate) fn take(
        &mut self,
        quota: &Quota,
        need: u64,
        taker: Taker<'_>,
        now: u64,
    ) -> Result<Chunk, Exceeded> {
        if let Some(chunk) = self.chunks.iter().find(|chunk| chunk.id == taker.id) {
            return Ok(chunk.clone());
        }
        let mut room = u64::MAX;
        if let Some(total) = quota.total {
            room = total.saturating_sub(self.consumed());
            if need > room {
                let without_chunks = self.used.saturating_sub(self.refunded);
                let fits = need <= total.saturating_sub(without_chunks);
                return Err(Exceeded {
                    retry_after: fits.then(|| Duration::from_secs(OTHERS_FOLD)),
                });
            }
        }
        let window = quota.window.map(|window| {
            let start = now - now % window.seconds.max(1);
            let taken = match self.window {
                Some(taken) if taken.start == start => taken.bytes,
                _ => 0,
            };
            (
                window,
                Taken {
                    start,
                    bytes: taken,
                },
            )
        });
        if let Some((window, taken)) = window {
            let left = window.bytes.saturating_sub(taken.bytes);
            if need > left {
                let end = taken.start + window.seconds.max(1);
                let helps = need <= window.bytes;
                return Err(Exceeded {
                    retry_after: helps.then(|| Duration::from_secs(end - now)),
                });
            }
            room = room.min(left);
        }
        let cap = match taker.purpose {
            Purpose::Lease => MAX_CHUNK,
            Purpose::Proxied => MAX_PROXIED_CHUNK,
        };
        let bytes = need.max((room / 8).min(cap));
        if let Some((_, taken)) = window {
            self.window = Some(Taken {
                bytes: taken.bytes.saturating_add(bytes),
                ..taken
            });
        }
        let chunk = Chunk {
            id: taker.id,
            instance: taker.instance.to_owned(),
            bytes,
            taken: now,
            until: now + CHUNK_LIFE,
            proxied: taker.purpose == Purpose::Proxied,
            window: window.map(|(_, taken)| taken.start),
        };
        self.chunks.push(chunk.clone());
        Ok(chunk)
    }

    /// Lowers a chunk to what was spent of it: no more will be.
    pub(crate) fn trim(&mut self, id: ChunkId, spent: u64) {
        if let Some(index) = self.chunks.iter().position(|chunk| chunk.id == id) {
            let chunk = &mut self.chunks[index];
            let unspent = chunk.bytes.saturating_sub(spent);
            chunk.bytes -= unspent;
            let window = chunk.window;
            self.untake(window, unspent);
        }
    }

    /// Ends a chunk of which `spent` bytes were spent. Does nothing where it has ended.
    pub(crate) fn fold(&mut self, id: ChunkId, spent: u64) {
        self.trim(id, spent);
        if let Some(index) = self.chunks.iter().position(|chunk| chunk.id == id) {
            let chunk = self.chunks.remove(index);
            self.used = self.used.saturating_add(chunk.bytes);
        }
    }

    /// Notes that a lease's bytes were given back. Does nothing where that is noted.
    pub(crate) fn refund(&mut self, lease: LeaseId, bytes: u64) {
        if !self.refunds.contains(&lease) {
            self.refunds.push(lease);
            self.refunded = self.refunded.saturating_add(bytes);
        }
    }

    /// Forgets that a lease was refunded, because there is no such lease any more.
    pub(crate) fn forget(&mut self, leases: &[LeaseId]) {
        self.refunds.retain(|lease| !leases.contains(lease));
    }

    /// Gives bytes back to the window they were taken from, if that is still open.
    fn untake(&mut self, window: Option<u64>, bytes: u64) {
        if let Some(taken) = &mut self.window
            && Some(taken.start) == window
        {
            taken.bytes = taken.bytes.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_000_000;

    fn taker(n: u8, purpose: Purpose) -> Taker<'static> {
        Taker {
            id: ChunkId::new([n; 16]),
            instance: "one",
            purpose,
        }
    }

    fn total(bytes: u64) -> Quota {
        Quota {
            total: Some(bytes),
            window: None,
        }
    }

    fn windows(bytes: u64, seconds: u64) -> Quota {
        Quota {
            total: None,
            window: Some(Window { bytes, seconds }),
        }
    }

    #[test]
    fn a_chunk_is_an_eighth_of_what_is_left_or_what_is_needed() {
        let mut record = QuotaRecord::new("t");
        let quota = total(80 << 30);
        let chunk = record
            .take(&quota, 5, taker(1, Purpose::Lease), NOW)
            .unwrap();
        assert_eq!((chunk.bytes, chunk.until), (MAX_CHUNK, NOW + CHUNK_LIFE));
        let chunk = record
            .take(&quota, 5, taker(2, Purpose::Proxied), NOW)
            .unwrap();
        assert_eq!((chunk.bytes, chunk.proxied), (MAX_PROXIED_CHUNK, true));
        let quota = total(record.consumed() + 800);
        let chunk = record
            .take(&quota, 5, taker(3, Purpose::Lease), NOW)
            .unwrap();
        assert_eq!(chunk.bytes, 100);
        let chunk = record
            .take(&quota, 700, taker(4, Purpose::Lease), NOW)
            .unwrap();
        assert_eq!(chunk.bytes, 700);
        // Taken again by the same name, it is the same one.
        let before = record.clone();
        assert_eq!(
            record.take(&quota, 700, taker(4, Purpose::Lease), NOW),
            Ok(chunk)
        );
        assert_eq!(record, before);
        // Full. Others may give back what they hold, but nobody can what was used.
        let full = record.take(&quota, 1, taker(5, Purpose::Lease), NOW);
        let after = Some(Duration::from_secs(OTHERS_FOLD));
        assert_eq!(full, Err(Exceeded { retry_after: after }));
        for n in 1..5 {
            record.fold(ChunkId::new([n; 16]), u64::MAX);
        }
        let full = record.take(&quota, 1, taker(5, Purpose::Lease), NOW);
        assert_eq!(full, Err(Exceeded { retry_after: None }));
        record.refund(LeaseId::new(1, [0; 16]), 10);
        assert!(
            record
                .take(&quota, 10, taker(5, Purpose::Lease), NOW)
                .is_ok()
        );
        // A limit below what was used already.
        assert!(
            record
                .take(&total(3), 1, taker(6, Purpose::Lease), NOW)
                .is_err()
        );
    }

    #[test]
    fn changes_made_twice_are_made_once() {
        let mut record = QuotaRecord::new("t");
        let id = record
            .take(&total(800), 100, taker(1, Purpose::Lease), NOW)
            .unwrap()
            .id;
        for _ in 0..2 {
            record.trim(id, 60);
            assert_eq!(record.consumed(), 60);
        }
        for _ in 0..2 {
            record.fold(id, 40);
            assert_eq!((record.consumed(), record.used), (40, 40));
        }
        let lease = LeaseId::new(1, [0; 16]);
        for _ in 0..2 {
            record.refund(lease, 15);
            assert_eq!(record.consumed(), 25);
        }
        record.forget(&[lease]);
        assert_eq!((record.consumed(), record.refunds.len()), (25, 0));
    }

    #[test]
    fn windows_are_fixed_and_say_when_to_come_again() {
        let quota = windows(100, 60);
        let mut record = QuotaRecord::new("t");
        let start = NOW - NOW % 60;
        let chunk = record
            .take(&quota, 90, taker(1, Purpose::Lease), start + 15)
            .unwrap();
        assert_eq!((chunk.bytes, chunk.window), (90, Some(start)));
        let full = record.take(&quota, 20, taker(2, Purpose::Lease), start + 20);
        let after = Some(Duration::from_secs(40));
        assert_eq!(full, Err(Exceeded { retry_after: after }));
        let never = record.take(&quota, 101, taker(2, Purpose::Lease), start + 20);
        assert_eq!(never, Err(Exceeded { retry_after: None }));
        // What is folded within the window is there again, what is folded later is not.
        record.fold(chunk.id, 30);
        assert!(
            record
                .take(&quota, 70, taker(3, Purpose::Lease), start + 59)
                .is_ok()
        );
        assert!(
            record
                .take(&quota, 1, taker(4, Purpose::Lease), start + 59)
                .is_err()
        );
        assert!(
            record
                .take(&quota, 100, taker(5, Purpose::Lease), start + 60)
                .is_ok()
        );
        record.fold(ChunkId::new([3; 16]), 0);
        assert!(
            record
                .take(&quota, 1, taker(6, Purpose::Lease), start + 119)
                .is_err()
        );
    }

    #[test]
    fn records_round_trip() {
        let mut record = QuotaRecord::new("t");
        let quota = Quota {
            window: Some(Window {
                bytes: 9,
                seconds: 7,
            }),
            ..total(1 << 60)
        };
        record
            .take(&quota, 1, taker(1, Purpose::Proxied), NOW)
            .unwrap();
        record
            .take(&total(1 << 60), 1, taker(2, Purpose::Lease), NOW)
            .unwrap();
        record.refund(LeaseId::new(5, [5; 16]), 0);
        let (first, second) = (record.encode([1; 16]), record.encode([2; 16]));
        assert_ne!(first, second);
        assert_eq!(QuotaRecord::parse(&second), Some(record.clone()));
        record.version = 2;
        assert_eq!(QuotaRecord::parse(&record.encode([2; 16])), None);
        assert_eq!(QuotaRecord::parse(&second[1..]), None);
    }

    #[derive(Debug, Clone)]
    enum Change {
        Take(u8, u64),
        Spend(u8, u64),
        Trim(u8),
        Fold(u8),
        Pass(u64),
    }

    fn any_change() -> impl Strategy<Value = Change> {
        prop_oneof![
            (0..5_u8, 0..400_u64).prop_map(|(id, need)| Change::Take(id, need)),
            (0..5_u8, 0..200_u64).prop_map(|(id, bytes)| Change::Spend(id, bytes)),
            (0..5_u8).prop_map(Change::Trim),
            (0..5_u8).prop_map(Change::Fold),
            (0..50_u64).prop_map(Change::Pass),
        ]
    }

    proptest! {
        /// Chunks are spent only in their window, as the ledger does. Then no window sees more than
        /// its bytes, and the total is never exceeded nor undercounted.
        #[test]
        fn no_window_sees_more(changes in proptest::collection::vec(any_change(), 0..60)) {
            let quota = Quota {
                total: Some(3_000),
                window: Some(Window { bytes: 1_000, seconds: 60 }),
            };
            let mut record = QuotaRecord::new("t");
            let mut spent = std::collections::HashMap::<u8, (u64, u64)>::new();
            let (mut now, mut in_window, mut in_all) = (NOW - NOW % 60, 0, 0);
            for change in changes {
                match change {
                    Change::Take(id, need) => {
                        if !spent.contains_key(&id)
                            && record.take(&quota, need, taker(id, Purpose::Lease), now).is_ok()
                        {
                            spent.insert(id, (0, now - now % 60));
                        }
                    }
                    Change::Spend(id, bytes) => {
                        let chunk = record.chunks.iter().find(|chunk| chunk.id == ChunkId::new([id; 16]));
                        if let (Some(chunk), Some((spent, window))) = (chunk, spent.get_mut(&id))
                            && *window == now - now % 60
                            && *spent + bytes <= chunk.bytes
                        {
                            *spent += bytes;
                            in_window += bytes;
                            in_all += bytes;
                        }
                    }
                    Change::Trim(id) => {
                        if let Some((spent, _)) = spent.get(&id) {
                            record.trim(ChunkId::new([id; 16]), *spent);
                        }
                    }
                    Change::Fold(id) => {
                        if let Some((spent, _)) = spent.remove(&id) {
                            record.fold(ChunkId::new([id; 16]), spent);
                        }
                    }
                    Change::Pass(seconds) => {
                        if (now + seconds) / 60 != now / 60 {
                            in_window = 0;
                        }
                        now += seconds;
                    }
                }
                prop_assert!(in_window <= 1_000, "{record:?}");
                prop_assert!(in_all <= record.consumed(), "{record:?}");
                prop_assert!(record.consumed() <= 3_000, "{record:?}");
            }
        }
    }
}
