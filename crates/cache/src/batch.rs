//! Batches: hits are answered here, the rest goes to the store underneath as one batch, and the
//! answers come in the order of the questions.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cidbucket_blockstore::{Block, Blockstore, BoxStream, Cid, Error, Report, Result};
use futures::stream::{Fuse, Stream, StreamExt};
use parking_lot::Mutex;

use crate::shard::{Reading, State, Ticket, Write};

/// How far hits may run ahead of an answer that is waited for, beside what the store underneath
/// has under way.
const AHEAD: usize = 64;

/// The answers of a batch of reads.
pub(crate) struct CachedReads<'a> {
    answers: Fuse<BoxStream<'a, (Cid, Result<Option<Block>>)>>,
    order: Arc<Mutex<Order>>,
}

/// The questions that have been taken and not been answered yet.
#[derive(Default)]
struct Order {
    questions: VecDeque<Question>,
    /// Whoever waits for the queue to become shorter.
    waker: Option<Waker>,
}

enum Question {
    Answered(Cid, Result<Option<Block>>),
    /// With the ticket, until it is answered.
    Asked(Cid, Option<Ticket>),
}

impl<'a> CachedReads<'a> {
    pub(crate) fn new(
        store: &'a dyn Blockstore,
        state: &Arc<State>,
        cids: BoxStream<'a, Cid>,
    ) -> Self {
        let order = Arc::new(Mutex::new(Order::default()));
        let misses = Misses {
            cids: cids.fuse(),
            state: Arc::clone(state),
            order: Arc::clone(&order),
            most: AHEAD + 2 * store.concurrency(),
        };
        Self {
            answers: store.get_many(misses.boxed()).fuse(),
            order,
        }
    }

    /// The next question's answer, if it is there.
    fn answered(&self) -> Option<(Cid, Result<Option<Block>>)> {
        let mut order = self.order.lock();
        if !matches!(order.questions.front(), Some(Question::Answered(..))) {
            return None;
        }
        let (question, waker) = (order.questions.pop_front(), order.waker.take());
        drop(order);
        if let Some(waker) = waker {
            waker.wake();
        }
        match question {
            Some(Question::Answered(cid, answer)) => Some((cid, answer)),
            _ => None,
        }
    }

    /// Gives an answer of the store underneath to the question it belongs to: the first that was
    /// asked. `false` where there is none.
    fn settle(&self, answer: Result<Option<Block>>) -> bool {
        let answer = answer.map(|block| block.map(Block::compact));
        let mut order = self.order.lock();
        let asked = order.questions.iter_mut().find_map(|question| {
            if let Question::Asked(cid, ticket) = question {
                let (cid, ticket) = (*cid, ticket.take());
                *question = Question::Answered(cid, answer.clone());
                Some(ticket)
            } else {
                None
            }
        });
        drop(order);
        let Some(ticket) = asked else { return false };
        if let Some(ticket) = ticket {
            ticket.got(&answer);
        }
        true
    }
}

impl Stream for CachedReads<'_> {
    type Item = (Cid, Result<Option<Block>>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(answered) = self.answered() {
                return Poll::Ready(Some(answered));
            }
            match self.answers.poll_next_unpin(cx) {
                Poll::Ready(Some((_, answer))) => {
                    self.settle(answer);
                }
                Poll::Ready(None) => {
                    let report = Report::new("get many", "the store left a question unanswered");
                    let left = self.settle(Err(Error::Protocol(report.into())));
                    if !left {
                        return Poll::Ready(self.answered());
                    }
                }
                Poll::Pending => {
                    return match self.answered() {
                        Some(answered) => Poll::Ready(Some(answered)),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }
}

/// The CIDs of a batch that have to be asked for.
struct Misses<'a> {
    cids: Fuse<BoxStream<'a, Cid>>,
    state: Arc<State>,
    order: Arc<Mutex<Order>>,
    most: usize,
}

impl Misses<'_> {
    fn look_up(&self, cid: &Cid) -> Result<Reading<Block, Ticket>> {
        if let Some(block) = self.state.hot(cid) {
            return Ok(Reading::Known(Some(block)));
        }
        if let Some(block) = Block::inline(cid)? {
            return Ok(Reading::Known(Some(block)));
        }
        Ok(self.state.begin_get(cid))
    }
}

impl Stream for Misses<'_> {
    type Item = Cid;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Cid>> {
        loop {
            {
                let mut order = self.order.lock();
                if order.questions.len() >= self.most {
                    order.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
            let Some(cid) = futures::ready!(self.cids.poll_next_unpin(cx)) else {
                return Poll::Ready(None);
            };
            let question = match self.look_up(&cid) {
                Ok(Reading::Known(block)) => Question::Answered(cid, Ok(block)),
                Err(error) => Question::Answered(cid, Err(error)),
                Ok(Reading::Unknown(ticket)) => Question::Asked(cid, Some(ticket)),
            };
            let is_asked = matches!(question, Question::Asked(..));
            self.order.lock().questions.push_back(question);
            if is_asked {
                return Poll::Ready(Some(cid));
            }
        }
    }
}

/// The writes of a batch, from the time they are handed to the store underneath until it answers.
#[derive(Clone, Default)]
pub(crate) struct WritesInOrder(Arc<Mutex<VecDeque<BegunWrite>>>);

struct BegunWrite {
    cid: Cid,
    write: Write,
    put: Option<Block>,
}

impl WritesInOrder {
    pub(crate) fn push(&self, cid: Cid, write: Write, put: Option<Block>) {
        self.0.lock().push_back(BegunWrite { cid, write, put });
    }

    /// Ends the next write. One that failed may have been carried out, so it counts as dropped.
    pub(crate) fn end(&self, cid: &Cid, result: &Result<()>) {
        let next = self.0.lock().pop_front();
        if let Some(next) = next
            && next.cid == *cid
            && result.is_ok()
        {
            next.write.done(next.put.as_ref());
        }
    }
}
