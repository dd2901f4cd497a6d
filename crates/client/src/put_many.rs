//! A stream of blocks becomes a stream of answers, lease by lease.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use cidbucket_blockstore::{Block, BoxStream, Cid, Result};
use futures::future::BoxFuture;
use futures::stream::{Fuse, FuturesOrdered, Stream, StreamExt};
use tokio::time::Instant;

use crate::core::Core;

/// Batches under way: of one the last uploads run, while the next gets its grants.
const BATCHES: usize = 2;

/// What the first batch may have, in bytes, before it is known how fast the way to S3 is.
const FIRST: usize = 16 << 20;
/// What a batch may have on the slowest way, in bytes.
const LEAST: usize = 4 << 20;
/// How long a batch is to take at most: answers come at its end.
const PATIENCE: Duration = Duration::from_secs(10);

type Answer = (Cid, Result<()>);

/// The answers of `put_many`.
///
/// What is there when nothing is under way makes the first batch. What comes while one is under
/// way makes the next, which begins when all uploads of the one before have begun. So a block never
/// waits for others to come, and the batches grow to what the network is slow for.
pub(crate) struct PutMany<'a> {
    core: Arc<Core>,
    blocks: Fuse<BoxStream<'a, Block>>,
    gathered: Vec<Block>,
    gathered_bytes: usize,
    size: BatchSize,
    running: FuturesOrdered<BoxFuture<'static, Ended>>,
    /// Whether all uploads of the batch that was started last have begun.
    begun: Arc<AtomicBool>,
    answers: VecDeque<Answer>,
}

/// A batch that has ended.
struct Ended {
    answers: Vec<Answer>,
    bytes: usize,
    took: Duration,
}

/// How many bytes a batch may have. A large one costs the service less, and a slow way makes its
/// answers late.
#[derive(Debug)]
struct BatchSize {
    bytes: usize,
    most: usize,
}

impl BatchSize {
    fn new(most: usize) -> Self {
        Self {
            bytes: FIRST.min(most),
            most,
        }
    }

    /// A batch of so many bytes took so long.
    fn learn(&mut self, bytes: usize, took: Duration) {
        let millis = took.as_millis().max(1);
        let in_time = bytes as u128 * PATIENCE.as_millis() / millis;
        let in_time = usize::try_from(in_time).unwrap_or(usize::MAX);
        let least = LEAST.min(self.most);
        let most = self.bytes.saturating_mul(4).clamp(least, self.most);
        self.bytes = in_time.clamp(least, most);
    }
}

impl<'a> PutMany<'a> {
    pub(crate) fn new(core: Arc<Core>, blocks: BoxStream<'a, Block>) -> Self {
        Self {
            size: BatchSize::new(core.config.batch_bytes),
            core,
            blocks: blocks.fuse(),
            gathered: Vec::new(),
            gathered_bytes: 0,
            running: FuturesOrdered::new(),
            begun: Arc::default(),
            answers: VecDeque::new(),
        }
    }

    /// Takes what blocks there are and room for.
    fn gather(&mut self, cx: &mut Context<'_>) {
        let most = self.core.config.batch_blocks;
        while self.gathered.len() < most && self.gathered_bytes < self.size.bytes {
            match self.blocks.poll_next_unpin(cx) {
                Poll::Ready(Some(block)) => {
                    self.gathered_bytes += block.len();
                    self.gathered.push(block);
                }
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }

    fn may_start(&self) -> bool {
        match self.running.len() {
            0 => true,
            running => running < BATCHES && self.begun.load(Ordering::Relaxed),
        }
    }

    fn start(&mut self) {
        self.begun = Arc::default();
        let bytes = std::mem::take(&mut self.gathered_bytes);
        let blocks = std::mem::take(&mut self.gathered);
        let batch = Arc::clone(&self.core).put_batch(blocks, Arc::clone(&self.begun));
        let started = Instant::now();
        self.running.push_back(Box::pin(async move {
            Ended {
                answers: batch.await,
                bytes,
                took: started.elapsed(),
            }
        }));
    }
}

impl Stream for PutMany<'_> {
    type Item = Answer;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        let this = self.get_mut();
        loop {
            if let Some(answer) = this.answers.pop_front() {
                return Poll::Ready(Some(answer));
            }
            this.gather(cx);
            if !this.gathered.is_empty() && this.may_start() {
                this.start();
            }
            match this.running.poll_next_unpin(cx) {
                Poll::Ready(Some(ended)) => {
                    this.size.learn(ended.bytes, ended.took);
                    this.answers.extend(ended.answers);
                }
                Poll::Ready(None) if this.gathered.is_empty() => {
                    return if this.blocks.is_done() {
                        Poll::Ready(None)
                    } else {
                        Poll::Pending
                    };
                }
                Poll::Ready(None) => {}
                // The batch under way may have come so far that the next can start.
                Poll::Pending if !this.gathered.is_empty() && this.may_start() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// The sizes of batches on a way of so many bytes a second, each with a fixed delay.
    fn sizes(per_second: usize, delay: Duration, most: usize) -> Vec<usize> {
        let mut size = BatchSize::new(most);
        (0..10)
            .map(|_| {
                let bytes = size.bytes;
                let millis = bytes * 1000 / per_second;
                size.learn(bytes, delay + Duration::from_millis(millis as u64));
                bytes
            })
            .collect()
    }

    #[test]
    fn batches_grow_to_what_the_way_carries_in_time() {
        let delay = Duration::from_millis(200);
        let fast = sizes(100 * MIB, delay, 96 * MIB);
        assert_eq!(fast[..3], [16 * MIB, 64 * MIB, 96 * MIB]);
        let slow = sizes(MIB, delay, 96 * MIB);
        assert!(slow[1..].iter().all(|&bytes| bytes <= 10 * MIB), "{slow:?}");
        assert!(slow[9] > 9 * MIB, "{slow:?}");
        let slowest = sizes(MIB / 100, delay, 96 * MIB);
        assert_eq!(slowest[9], LEAST);
        assert_eq!(sizes(100 * MIB, delay, 1)[9], 1, "the limit is kept");
    }

    #[test]
    fn a_small_batch_is_no_reason_for_small_ones() {
        let mut size = BatchSize::new(96 * MIB);
        size.learn(10_000, Duration::from_millis(300));
        assert_eq!(size.bytes, LEAST);
        size.learn(LEAST, Duration::from_millis(300));
        assert_eq!(size.bytes, 4 * LEAST);
        size.learn(0, Duration::ZERO);
        assert_eq!(size.bytes, LEAST);
    }
}
