//! Gives back to a quota what leases took that expired.

use cidbucket_blockstore::{Error, Report, Result};

use super::{SETTLED, Sweeper};
use crate::clock::random;
use crate::lease::{LeaseHead, Outcome};
use crate::lease_id::LeaseId;
use crate::ledger::damaged;
use crate::quota::QuotaRecord;

/// How often a quota that others change too is tried.
const ATTEMPTS: u32 = 20;
/// How many old notes of refunds are looked after with each refund.
const OLD_NOTES: usize = 16;

/// What is to be given back for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refund {
    pub(super) lease: LeaseId,
    pub(super) bytes: u64,
}

/// What is to be given back for a lease that ended. Nothing where it is not known that the lease was
/// charged.
pub(super) fn refund_of(
    id: &LeaseId,
    outcome: Outcome,
    head: &LeaseHead,
    modified: Option<u64>,
) -> Option<Refund> {
    let charge = head.charge?;
    let was_charged = modified.is_some_and(|modified| !charge.is_void(modified));
    (outcome == Outcome::Expired && was_charged).then_some(Refund {
        lease: *id,
        bytes: charge.bytes,
    })
}

impl Sweeper {
    /// Notes refunds in a token's quota; the quota as it is then, and which of them were new.
    pub(super) async fn refund(
        &self,
        token: &str,
        refunds: &[Refund],
        now: u64,
    ) -> Result<(Option<QuotaRecord>, Vec<Refund>)> {
        let key = self.control.quota(token);
        for _ in 0..ATTEMPTS {
            let Some(found) = self.records.get(&key).await? else {
                return Ok((None, Vec::new()));
            };
            let mut record = QuotaRecord::parse(&found.value).ok_or_else(|| damaged(&key))?;
            let mut given = Vec::new();
            for refund in refunds {
                // Looked at after the quota was read: where the lease is still there, no note of its
                // refund was forgotten before that; and what changed since makes the swap fail.
                if !record.refunds.contains(&refund.lease) && self.exists(&refund.lease).await? {
                    record.refund(refund.lease, refund.bytes);
                    given.push(*refund);
                }
            }
            if given.is_empty() {
                return Ok((Some(record), given));
            }
            let mut forgotten = Vec::new();
            let old = |lease: &&LeaseId| lease.expires() + SETTLED <= now;
            for lease in record.refunds.iter().filter(old).take(OLD_NOTES) {
                if !self.exists(lease).await? {
                    forgotten.push(*lease);
                }
            }
            record.forget(&forgotten);
            let value = record.encode(random()?);
            if self
                .records
                .replace(&key, value, &found.tag)
                .await?
                .is_some()
            {
                return Ok((Some(record), given));
            }
        }
        Err(restless(&key))
    }

    /// Forgets the notes of refunds of leases that were removed.
    pub(super) async fn forget(&self, token: &str, leases: &[LeaseId]) -> Result<()> {
        let key = self.control.quota(token);
        for _ in 0..ATTEMPTS {
            let Some(found) = self.records.get(&key).await? else {
                return Ok(());
            };
            let mut record = QuotaRecord::parse(&found.value).ok_or_else(|| damaged(&key))?;
            let before = record.refunds.len();
            record.forget(leases);
            if record.refunds.len() == before {
                return Ok(());
            }
            let value = record.encode(random()?);
            if self
                .records
                .replace(&key, value, &found.tag)
                .await?
                .is_some()
            {
                return Ok(());
            }
        }
        Err(restless(&key))
    }
}

pub(super) fn restless(key: &str) -> Error {
    let report = Report::new("change quota", "others keep changing it").with_key(key);
    Error::Unavailable(report.into())
}
