//! A stream of blocks becomes a stream of answers, lease by lease.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use cidbucket_blockstore::{Block, BoxStream, Cid, Result};
use futures::future::BoxFuture;
use futures::stream::{Fuse, FuturesOrdered, Stream, StreamExt};

use crate::core::Core;

/// Batches under way: of one the last uploads run, while the next gets its grants.
const BATCHES: usize = 2;

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
    running: FuturesOrdered<BoxFuture<'static, Vec<Answer>>>,
    /// Whether all uploads of the batch that was started last have begun.
    begun: Arc<AtomicBool>,
    answers: VecDeque<Answer>,
}

impl<'a> PutMany<'a> {
    pub(crate) fn new(core: Arc<Core>, blocks: BoxStream<'a, Block>) -> Self {
        Self {
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
        let config = &self.core.config;
        while self.gathered.len() < config.batch_blocks && self.gathered_bytes < config.batch_bytes
        {
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
        self.gathered_bytes = 0;
        let blocks = std::mem::take(&mut self.gathered);
        let batch = Arc::clone(&self.core).put_batch(blocks, Arc::clone(&self.begun));
        self.running.push_back(Box::pin(batch));
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
                Poll::Ready(Some(answers)) => this.answers.extend(answers),
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
