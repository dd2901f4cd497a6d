//! `POST /v1/writes/{lease}/complete`: looks at what was uploaded, and closes the lease.

use cidbucket_blockstore::Error;
use cidbucket_direct::{Code, Completed, Problem};
use cidbucket_records::{Kept, Lease, LeaseHead, LeaseId, Promoted, State, Way};
use futures::StreamExt;

use crate::answer::{self, Answer};
use crate::failure;
use crate::service::{Caller, Head, Service};
use crate::settings::Verify;

/// How many blocks are looked for at once, where only their size is asked for.
const LOOKS: usize = 64;
/// How many are read at once.
const READS: usize = 8;
/// What a block of a lease takes of memory while it is checked, in bytes.
const ROW: usize = 64;

/// What is wrong with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Missing,
    Wrong,
}

impl Service {
    /// Closes a lease, if all of it is well.
    pub(crate) async fn complete(
        &self,
        lease: &str,
        head: &Head,
        caller: &Caller,
    ) -> Result<Answer, Problem> {
        let (_, encoding) = head.encodings()?;
        let id: LeaseId = lease.parse().map_err(|_| failure::no_such_lease())?;
        let head = self.close_lease(&id, caller).await?;
        let completed = Completed {
            lease: id.to_string(),
            blocks: head.blocks,
            bytes: head.bytes,
        };
        Ok(answer::encoded(encoding, encoding.encode(&completed)))
    }

    async fn close_lease(&self, id: &LeaseId, caller: &Caller) -> Result<LeaseHead, Problem> {
        let leases = &self.inner.books.leases;
        let token = caller.capability.token.as_str();
        let tenant = caller.capability.tenant.as_ref();
        let tenant = tenant.map(cidbucket_access::Tenant::as_str);
        let found = leases.get(id, token, tenant).await;
        let (lease, state) = found.map_err(|error| failure::lease(&error))?;
        if state == State::Complete {
            return Ok(lease.head);
        }
        let (missing, wrong) = self.check(&lease, caller).await?;
        if !missing.is_empty() || !wrong.is_empty() {
            self.inner.metrics.lease("incomplete");
            let text = format!(
                "{} blocks are missing and {} are wrong: upload them and complete again",
                missing.len(),
                wrong.len()
            );
            let mut problem = Problem::new(Code::Incomplete, text);
            (problem.missing, problem.wrong) = (missing, wrong);
            return Err(problem);
        }
        let completed = leases.complete(id).await;
        completed.map_err(|error| failure::lease(&error))?;
        self.inner.metrics.lease("completed");
        Ok(lease.head)
    }

    /// Checks the blocks of a lease as the policy says, and moves staged ones to their keys; the
    /// indices of those that are missing and those that are wrong.
    async fn check(
        &self,
        lease: &Lease,
        caller: &Caller,
    ) -> Result<(Vec<usize>, Vec<usize>), Problem> {
        let verify = self.inner.settings.verify;
        let (mut staged, mut others) = (Vec::new(), Vec::new());
        for (index, kept) in lease.keep.iter().enumerate() {
            if matches!(kept.way, Way::Staged { .. }) {
                staged.push((index, kept));
            } else if verify != Verify::Trust {
                others.push((index, kept));
            }
        }
        let rows = (staged.len() + others.len()) * ROW;
        let max_block = self.max_block();
        let reads = !staged.is_empty() || verify == Verify::Read;
        let blocks = if reads { READS * max_block } else { 0 };
        let _share = self.inner.memory.take(rows + blocks).await?;

        let at_once = if verify == Verify::Read { READS } else { LOOKS };
        let promoting = futures::stream::iter(staged)
            .map(|(index, kept)| async move { (index, self.promote(lease, &kept, caller).await) })
            .buffer_unordered(READS);
        let looking = futures::stream::iter(others)
            .map(|(index, kept)| async move { (index, look(&kept, verify, caller).await) })
            .buffer_unordered(at_once);
        let (mut missing, mut wrong) = (Vec::new(), Vec::new());
        let mut checked = std::pin::pin!(promoting.chain(looking));
        while let Some((index, result)) = checked.next().await {
            match result {
                Ok(None) => {}
                Ok(Some(Flaw::Missing)) => missing.push(index),
                Ok(Some(Flaw::Wrong)) => wrong.push(index),
                Err(error) => return Err(failure::store(&error)),
            }
        }
        missing.sort_unstable();
        wrong.sort_unstable();
        Ok((missing, wrong))
    }

    async fn promote(
        &self,
        lease: &Lease,
        kept: &Kept,
        caller: &Caller,
    ) -> Result<Option<Flaw>, Error> {
        let (Some(staging), Some(direct)) = (&self.inner.books.staging, &caller.space.direct)
        else {
            return Ok(Some(Flaw::Missing)); // nothing can be staged elsewhere
        };
        let max_block = self.max_block();
        let promoted = staging
            .promote(&lease.id, &direct.keys, kept, max_block)
            .await?;
        Ok(match promoted {
            Promoted::Done => None,
            Promoted::Missing => Some(Flaw::Missing),
            Promoted::Wrong => Some(Flaw::Wrong),
        })
    }

    pub(crate) fn max_block(&self) -> usize {
        usize::try_from(self.inner.settings.limits.max_block).unwrap_or(usize::MAX)
    }
}

/// Looks for a block where it lies.
async fn look(kept: &Kept, verify: Verify, caller: &Caller) -> Result<Option<Flaw>, Error> {
    let store = &caller.space.store;
    let size = match verify {
        Verify::Trust => return Ok(None),
        Verify::List => store.size(&kept.cid).await,
        Verify::Read => store
            .get(&kept.cid)
            .await
            .map(|block| block.map(|block| block.len() as u64)),
    };
    match size {
        Ok(Some(size)) if size == kept.size => Ok(None),
        Ok(Some(_)) | Err(Error::Corrupt(_) | Error::TooLarge(_)) => Ok(Some(Flaw::Wrong)),
        Ok(None) => Ok(Some(Flaw::Missing)),
        Err(error) => Err(error),
    }
}
