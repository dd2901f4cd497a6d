//! Read grants that can be used again. Decisions only; time is an argument.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use cidbucket_blockstore::Cid;
use cidbucket_direct::Batch;
use tokio::time::Instant;

/// What a batch weighs beside its grants: its texts are about as long as so many grants.
const BATCH_WEIGHT: usize = 8;

/// Grants to read, as they came: batch by batch.
///
/// All live equally long, so the oldest batch is the first to end, and the first to go where there
/// are too many.
#[derive(Debug)]
pub(crate) struct Grants {
    /// Where a block's latest grant is: the number of its batch, and its index in it.
    places: HashMap<Cid, (u64, usize)>,
    batches: VecDeque<Kept>,
    /// The number of the first batch that is kept.
    first: u64,
    weight: usize,
    capacity: usize,
}

#[derive(Debug)]
struct Kept {
    batch: Arc<Batch>,
    cids: Vec<Cid>,
    until: Instant,
}

/// A grant within its batch.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) batch: Arc<Batch>,
    pub(crate) index: usize,
}

impl Grants {
    /// Room for so many grants.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            places: HashMap::new(),
            batches: VecDeque::new(),
            first: 0,
            weight: 0,
            capacity,
        }
    }

    /// A grant for the block that holds at `now`.
    pub(crate) fn find(&mut self, cid: &Cid, now: Instant) -> Option<Place> {
        self.drop_ended(now);
        let &(number, index) = self.places.get(cid)?;
        let kept = &self.batches[usize::try_from(number - self.first).ok()?];
        (now < kept.until).then(|| Place {
            batch: Arc::clone(&kept.batch),
            index,
        })
    }

    /// Keeps a batch, whose grants are for these blocks and can be used before `until`.
    pub(crate) fn keep(&mut self, batch: Arc<Batch>, cids: Vec<Cid>, until: Instant, now: Instant) {
        self.drop_ended(now);
        let weight = cids.len() + BATCH_WEIGHT;
        if weight > self.capacity || until <= now {
            return;
        }
        while self.weight + weight > self.capacity {
            self.drop_first();
        }
        let number = self.first + self.batches.len() as u64;
        for (index, cid) in cids.iter().enumerate() {
            self.places.insert(*cid, (number, index));
        }
        self.weight += weight;
        self.batches.push_back(Kept { batch, cids, until });
    }

    /// The block's grant was not taken.
    pub(crate) fn forget(&mut self, cid: &Cid) {
        self.places.remove(cid);
    }

    fn drop_ended(&mut self, now: Instant) {
        while self.batches.front().is_some_and(|kept| kept.until <= now) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        let Some(kept) = self.batches.pop_front() else {
            return;
        };
        for cid in &kept.cids {
            if self.places.get(cid).is_some_and(|at| at.0 == self.first) {
                self.places.remove(cid);
            }
        }
        self.weight -= kept.cids.len() + BATCH_WEIGHT;
        self.first += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cidbucket_blockstore::Block;
    use cidbucket_layout::{Keys, Layout, Prefix};
    use cidbucket_presign::{Bucket, Credentials, Granter, Policy, Read, Timestamp};

    use super::*;

    fn cids(range: std::ops::Range<u32>) -> Vec<Cid> {
        range
            .map(|n| *Block::raw(n.to_le_bytes().to_vec()).cid())
            .collect()
    }

    fn batch(cids: &[Cid]) -> Arc<Batch> {
        let granter = Granter::new(
            Bucket::aws("blocks", "eu-west-1").unwrap(),
            Keys::new(Prefix::new("").unwrap(), Layout::Kubo),
            Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret"),
            Policy::default(),
        )
        .unwrap();
        let now = Timestamp::from_unix(1_369_353_600);
        Arc::new(
            granter
                .read_batch(cids, &Read::default(), 300, now)
                .unwrap(),
        )
    }

    #[test]
    fn grants_are_found_until_they_end() {
        let (mut grants, now) = (Grants::new(100), Instant::now());
        let (early, late) = (now + Duration::from_secs(5), now + Duration::from_secs(9));
        let (first, second) = (cids(0..3), cids(2..5));
        grants.keep(batch(&first), first.clone(), early, now);
        grants.keep(batch(&second), second.clone(), late, now);

        assert_eq!(grants.find(&first[1], now).unwrap().index, 1);
        assert_eq!(
            grants.find(&first[2], now).unwrap().index,
            0,
            "the latest counts"
        );
        assert!(grants.find(&cids(9..10)[0], now).is_none());
        assert!(grants.find(&first[1], early).is_none());
        assert!(grants.find(&second[2], early).is_some());
        grants.forget(&second[2]);
        assert!(grants.find(&second[2], early).is_none());
        assert!(grants.find(&second[1], late).is_none());
        assert!(grants.places.is_empty() && grants.batches.is_empty());
        assert_eq!(grants.weight, 0);
    }

    #[test]
    fn room_is_bounded() {
        let (mut grants, now) = (Grants::new(100), Instant::now());
        let until = now + Duration::from_secs(5);
        for n in 0..50 {
            let some = cids(n * 20..n * 20 + 20);
            grants.keep(batch(&some), some.clone(), until, now);
            assert!(grants.weight <= 100 && grants.places.len() <= 100);
            assert!(grants.find(&some[19], now).is_some());
        }
        let many = cids(0..101);
        grants.keep(batch(&many), many, until, now);
        assert!(grants.find(&cids(981..982)[0], now).is_some());
        let ended = cids(0..1);
        grants.keep(batch(&ended), ended.clone(), now, now);
        assert!(grants.find(&ended[0], now).is_none());
    }
}
