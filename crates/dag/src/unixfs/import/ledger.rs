//! The ledger of an import: what the store has not answered yet, and what is told after that.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::ImportEvent;
use crate::{DagError, Result};

/// The longest that it becomes. It is far more than a store has under way.
const FULL: usize = 4096;

/// Blocks and events in the order in which they came to be.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    pending: VecDeque<Pending>,
    /// How many of the first blocks are stored.
    stored: usize,
    /// Who waits for it to be shorter.
    waiting: Option<Waker>,
}

pub(super) enum Pending {
    /// A block that the store was given.
    Block,
    /// What is told when everything before it is stored.
    Event(ImportEvent),
    /// The end.
    Failed(DagError),
}

impl Ledger {
    /// Waits until there is room.
    pub(super) fn poll_ready(&self, context: &Context<'_>) -> Poll<()> {
        let mut entries = self.lock();
        if entries.pending.len() < FULL {
            return Poll::Ready(());
        }
        entries.waiting = Some(context.waker().clone());
        Poll::Pending
    }

    pub(super) fn push(&self, pending: Pending) {
        self.lock().pending.push_back(pending);
    }

    /// The store has one more block; it answers in order.
    pub(super) fn stored(&self) {
        self.lock().stored += 1;
    }

    /// The store does not have the next block: that is the end, and nothing after it is told.
    pub(super) fn failed(&self, error: DagError) {
        let mut entries = self.lock();
        let is_block = |(_, pending): &(usize, &Pending)| matches!(pending, Pending::Block);
        let blocks = entries.pending.iter().enumerate().filter(is_block);
        let failed = blocks.map(|(place, _)| place).nth(entries.stored);
        entries.pending.truncate(failed.unwrap_or(0));
        entries.pending.push_back(Pending::Failed(error));
    }

    /// The next event before which everything is stored, or the error that is the end.
    pub(super) fn settled(&self) -> Option<Result<ImportEvent>> {
        let mut entries = self.lock();
        while entries.stored > 0 && matches!(entries.pending.front(), Some(Pending::Block)) {
            entries.stored -= 1;
            entries.pending.pop_front();
        }
        let settled = match entries.pending.front() {
            None | Some(Pending::Block) => None,
            Some(_) => entries.pending.pop_front(),
        };
        if entries.pending.len() < FULL
            && let Some(waiting) = entries.waiting.take()
        {
            waiting.wake();
        }
        match settled? {
            Pending::Event(event) => Some(Ok(event)),
            Pending::Failed(error) => {
                entries.pending.clear();
                Some(Err(error))
            }
            Pending::Block => None,
        }
    }

    /// Whether there is something that [`Ledger::settled`] would give.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self.lock().pending.front(), None | Some(Pending::Block))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
