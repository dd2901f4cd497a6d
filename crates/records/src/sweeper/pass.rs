//! A walk over the leases whose time has passed.

use std::collections::BTreeMap;
use std::time::SystemTime;

use cidbucket_blockstore::Result;
use futures::StreamExt;

use super::refund::{Refund, refund_of};
use super::{GRACE, PARALLEL, Sweeper, Swept, stays_until};
use crate::clock::unix;
use crate::control::Control;
use crate::lease::{LeaseHead, Outcome};
use crate::lease_id::LeaseId;
use crate::records::{Entry, Page};

/// A lease as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: LeaseId,
    /// When the lease was written, by the server's clock; `None` where it is not there.
    pub(super) modified: Option<SystemTime>,
    /// Whether its ending is there.
    pub(super) ended: bool,
    /// The last key that is about it.
    pub(super) last_key: String,
}

/// A lease that has ended.
#[derive(Debug)]
struct Ended {
    found: Found,
    outcome: Outcome,
    head: LeaseHead,
    refund: Option<Refund>,
}

impl Sweeper {
    /// Looks at every lease whose time has passed for `wait` seconds, from `cursor` on: ends it,
    /// refunds it, and removes it if it may go. The cursor moves behind all that needs no second look.
    ///
    /// The first pass leaves alone what has ended already: nothing of that may go yet.
    pub(super) async fn pass(
        &self,
        cursor: &mut Option<String>,
        wait: u64,
        now: u64,
        swept: &mut Swept,
    ) {
        let prefix = self.control.leases();
        let mut after = cursor.clone();
        let mut clean = true;
        let mut looked = 0;
        loop {
            let page = match self.records.list(&prefix, after.as_deref()).await {
                Ok(page) => page,
                Err(error) => return swept.failed(&error),
            };
            let more = page.more;
            let page_end = page.entries.last().map(|entry| entry.key.clone());
            let mut leases = group(&self.control, page);
            let listed = leases.len();
            leases.retain(|found| found.id.expires() + wait <= now);
            let is_last = leases.len() < listed || !more;
            let last_key = leases.last().map(|found| found.last_key.clone());
            looked += leases.len();
            if wait == GRACE {
                leases.retain(|found| !found.ended);
            }
            clean &= self.settle_page(leases, now, swept).await;
            if clean && last_key.is_some() {
                cursor.clone_from(&last_key);
            }
            if is_last {
                return;
            }
            // A page without leases has foreign keys only, which are left alone.
            after = last_key.or(page_end);
            if looked >= self.limit {
                swept.more = true;
                return;
            }
        }
    }

    /// Whether nothing of the page needs a second look in this pass.
    async fn settle_page(&self, leases: Vec<Found>, now: u64, swept: &mut Swept) -> bool {
        let mut clean = true;
        let mut by_token: BTreeMap<String, Vec<Ended>> = BTreeMap::new();
        let mut visits = futures::stream::iter(leases)
            .map(|found| self.visit(found, now))
            .buffer_unordered(PARALLEL);
        while let Some(visit) = visits.next().await {
            match visit {
                Ok(Some((ended, expired_now, staged))) => {
                    swept.expired += u64::from(expired_now);
                    swept.staged += staged;
                    by_token
                        .entry(ended.head.token.clone())
                        .or_default()
                        .push(ended);
                }
                Ok(None) => {}
                Err(error) => {
                    swept.failed(&error);
                    clean = false;
                }
            }
        }
        drop(visits);
        let mut settlings = futures::stream::iter(by_token)
            .map(|(token, leases)| self.settle(token, leases, now))
            .buffer_unordered(PARALLEL);
        while let Some((part, all)) = settlings.next().await {
            swept.refunded += part.refunded;
            swept.refunded_bytes += part.refunded_bytes;
            swept.removed += part.removed;
            swept.failed += part.failed;
            clean &= all;
        }
        clean
    }

    /// Ends a lease if it has not ended, and then removes its staged uploads; `None` where there is
    /// nothing more to do about it.
    async fn visit(&self, found: Found, now: u64) -> Result<Option<(Ended, bool, u64)>> {
        let id = found.id;
        let (outcome, expired_now) = if found.ended {
            match self.leases.ending(&id).await? {
                Some(outcome) => (outcome, false),
                None => return Ok(None),
            }
        } else {
            let outcome = self.leases.end(&id, Outcome::Expired, now).await?;
            (outcome, outcome == Outcome::Expired)
        };
        if outcome == Outcome::Complete && stays_until(&id, outcome) > now {
            return Ok(None);
        }
        // Read after the ending was there.
        let Some(head) = self.read_head(&id).await? else {
            // Removed meanwhile, or it never came: what is left is the ending.
            if stays_until(&id, Outcome::Expired) <= now {
                self.records.delete(&self.control.end(&id)).await?;
            }
            return Ok(None);
        };
        let staged = if expired_now {
            self.remove_staged(&id).await?
        } else {
            0
        };
        let refund = refund_of(&id, outcome, &head, found.modified.map(unix));
        let ended = Ended {
            found,
            outcome,
            head,
            refund,
        };
        Ok(Some((ended, expired_now, staged)))
    }

    /// Refunds the leases of one token, and removes those that may go; whether none of them needs a
    /// second look in this pass.
    async fn settle(&self, token: String, leases: Vec<Ended>, now: u64) -> (Swept, bool) {
        let mut swept = Swept::default();
        let refunds: Vec<Refund> = leases.iter().filter_map(|ended| ended.refund).collect();
        let is_charged = leases.iter().any(|ended| ended.head.charge.is_some());
        let mut quota = None;
        if is_charged {
            match self.refund(&token, &refunds, now).await {
                Ok((record, given)) => {
                    swept.refunded += given.len() as u64;
                    swept.refunded_bytes += given.iter().map(|refund| refund.bytes).sum::<u64>();
                    quota = record;
                }
                Err(error) => {
                    swept.failed(&error);
                    return (swept, false);
                }
            }
        }
        let mut clean = true;
        let mut gone = Vec::new();
        for ended in leases {
            let id = ended.found.id;
            if stays_until(&id, ended.outcome) > now {
                continue;
            }
            let chunk_is_held = ended.head.charge.is_some_and(|charge| {
                let chunks = quota.iter().flat_map(|quota| &quota.chunks);
                chunks.into_iter().any(|chunk| chunk.id == charge.chunk)
            });
            if chunk_is_held {
                clean = false;
                continue;
            }
            match self.remove(&id).await {
                Ok(()) => {
                    swept.removed += 1;
                    gone.extend(ended.refund.map(|_| id));
                }
                Err(error) => {
                    swept.failed(&error);
                    clean = false;
                }
            }
        }
        if !gone.is_empty()
            && let Err(error) = self.forget(&token, &gone).await
        {
            // Harmless: it is forgotten with a later refund.
            swept.failed(&error);
        }
        (swept, clean)
    }

    /// Removes a lease, and then its ending: the other way round it would seem to be pending.
    async fn remove(&self, id: &LeaseId) -> Result<()> {
        self.records.delete(&self.control.lease(id)).await?;
        self.records.delete(&self.control.end(id)).await
    }
}

/// The leases of a page. The last one is left to the next page where its ending may be on that.
fn group(control: &Control, page: Page) -> Vec<Found> {
    let mut leases: Vec<Found> = Vec::new();
    for Entry { key, modified, .. } in page.entries {
        let Some((id, is_end)) = control.parse_lease(&key) else {
            continue;
        };
        match leases.last_mut() {
            Some(last) if last.id == id => {
                last.ended |= is_end;
                last.last_key = key;
            }
            _ => leases.push(Found {
                id,
                modified: modified.filter(|_| !is_end),
                ended: is_end,
                last_key: key,
            }),
        }
    }
    if page.more && leases.len() > 1 && leases.last().is_some_and(|last| !last.ended) {
        leases.pop();
    }
    leases
}
