//! Opens leases, reads them, and ends them.

use std::fmt;
use std::sync::Arc;

use cidbucket_blockstore::{Error, Report};
use cidbucket_s3::credentials::Clock;

use crate::clock::{random, unix};
use crate::control::Control;
use crate::keep_set::KeepSet;
use crate::lease::{Ending, HEAD, Lease, LeaseHead, MAX_TOKEN, Outcome};
use crate::lease_id::LeaseId;
use crate::ledger::{Reservation, damaged};
use crate::records::Records;

/// How often it is tried to say that a lease is void. The records have tried several times each.
const VOIDS: u32 = 3;

/// Why a lease was not opened, found or completed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// There is no such lease of this token, or it ended.
    #[error("no such lease")]
    NoSuchLease,
    /// Writing it took so long that its reservation came to its end. Nothing was granted: reserve and
    /// open again.
    #[error("opening the lease took too long")]
    Late,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A lease to open.
#[derive(Debug, Clone)]
pub struct NewLease {
    /// The id of the token, at most 512 bytes.
    pub token: String,
    /// Whose blocks they are.
    pub tenant: Option<String>,
    /// When it is to end unless completed, in seconds since 1970. Not before any of its grants.
    pub expires: u64,
    /// The blocks.
    pub keep: KeepSet,
}

/// How far a lease has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It can be completed.
    Pending,
    /// It was completed.
    Complete,
}

/// Opens, reads and ends leases. Clones share their records.
#[derive(Clone)]
pub struct Leases {
    records: Arc<dyn Records>,
    control: Control,
    clock: Clock,
}

impl Leases {
    /// The leases in these records.
    ///
    /// `clock` tells the server's time as well as it is known: [`S3Client::now`].
    ///
    /// [`S3Client::now`]: cidbucket_s3::S3Client::now
    pub fn new(records: Arc<dyn Records>, control: Control, clock: Clock) -> Self {
        Self {
            records,
            control,
            clock,
        }
    }

    /// Opens a lease: when this returns, it is written. Only then may anything be granted, or said to
    /// be stored, because of it.
    ///
    /// The reservation, if the token has a quota, becomes the lease's: it is given back when the
    /// lease expires, or here where it was not opened. This goes on when the future is dropped; the
    /// lease then expires.
    ///
    /// # Errors
    /// [`LeaseError::Late`], [`LeaseError::Store`].
    pub async fn open(
        &self,
        new: NewLease,
        reservation: Option<Reservation>,
    ) -> Result<Lease, LeaseError> {
        let leases = self.clone();
        let opening = tokio::spawn(async move { leases.open_now(new, reservation).await });
        opening.await.unwrap_or_else(|_| {
            let report = Report::new("open lease", "the task was ended");
            Err(Error::Unavailable(report.into()).into())
        })
    }

    async fn open_now(
        &self,
        new: NewLease,
        reservation: Option<Reservation>,
    ) -> Result<Lease, LeaseError> {
        let NewLease {
            token,
            tenant,
            expires,
            keep,
        } = new;
        let invalid =
            |message| LeaseError::from(Error::Invalid(Report::new("open lease", message).into()));
        if token.len() > MAX_TOKEN {
            return Err(invalid("the token's id is too long"));
        }
        if tenant
            .as_ref()
            .is_some_and(|tenant| self.control.blocks(Some(tenant)).is_err())
        {
            return Err(invalid("a tenant cannot have that name"));
        }
        let charge = reservation.as_ref().and_then(Reservation::charge);
        let created = self.now();
        let head = LeaseHead::new(token, tenant, created, expires, &keep, charge, random()?);
        let id = LeaseId::new(expires, random()?);
        let value = Lease::encode(&head, &keep);
        let written = self.records.create(&self.control.lease(&id), value).await;
        let error = match written {
            Ok(Some(_)) => {
                let holds = reservation
                    .as_ref()
                    .is_none_or(|reservation| reservation.holds((self.clock)()));
                if holds {
                    if let Some(reservation) = reservation {
                        reservation.keep();
                    }
                    return Ok(Lease { id, head, keep });
                }
                LeaseError::Late
            }
            // A name of 128 random bits that is taken: no lease of ours.
            Ok(None) => {
                return Err(
                    Error::Conflict(Report::new("open lease", "the name is taken").into()).into(),
                );
            }
            Err(error) => error.into(),
        };
        // It may be there, or come to be there. Only once it is surely void is anything given back.
        let mut is_void = false;
        for _ in 0..VOIDS {
            if let Ok(outcome) = self.end(&id, Outcome::Void, self.now()).await {
                is_void = outcome == Outcome::Void;
                break;
            }
        }
        if let Some(reservation) = reservation.filter(|_| !is_void) {
            // Where it is there, the sweeper gives it back.
            reservation.keep();
        }
        Err(error)
    }

    /// A lease with its blocks, and how far it has come.
    ///
    /// # Errors
    /// [`LeaseError::NoSuchLease`] also where it is of another token or tenant, and where its time
    /// has passed.
    pub async fn get(
        &self,
        id: &LeaseId,
        token: &str,
        tenant: Option<&str>,
    ) -> Result<(Lease, State), LeaseError> {
        let key = self.control.lease(id);
        let found = self.records.get(&key).await?;
        let value = found.ok_or(LeaseError::NoSuchLease)?.value;
        let lease = Lease::parse(&value, *id).ok_or_else(|| damaged(&key))?;
        let state = self.state(id, &lease.head, token, tenant).await?;
        Ok((lease, state))
    }

    /// A lease without its blocks, and how far it has come: a small read however many blocks it has.
    ///
    /// # Errors
    /// As [`Leases::get`].
    pub async fn head(
        &self,
        id: &LeaseId,
        token: &str,
        tenant: Option<&str>,
    ) -> Result<(LeaseHead, State), LeaseError> {
        let key = self.control.lease(id);
        let start = self.records.get_start(&key, HEAD).await?;
        let start = start.ok_or(LeaseError::NoSuchLease)?;
        let head = LeaseHead::parse(&start, id).ok_or_else(|| damaged(&key))?;
        let state = self.state(id, &head, token, tenant).await?;
        Ok((head, state))
    }

    async fn state(
        &self,
        id: &LeaseId,
        head: &LeaseHead,
        token: &str,
        tenant: Option<&str>,
    ) -> Result<State, LeaseError> {
        if head.token != token || head.tenant.as_deref() != tenant {
            return Err(LeaseError::NoSuchLease);
        }
        match self.ending(id).await? {
            Some(Outcome::Complete) => Ok(State::Complete),
            None if self.now() < head.expires => Ok(State::Pending),
            _ => Err(LeaseError::NoSuchLease),
        }
    }

    /// Completes a lease that [`get`](Leases::get) or [`head`](Leases::head) has found. Completing it
    /// again succeeds.
    ///
    /// # Errors
    /// [`LeaseError::NoSuchLease`] where it ended meanwhile: of completing it and letting it expire,
    /// exactly one happens.
    pub async fn complete(&self, id: &LeaseId) -> Result<(), LeaseError> {
        if self.now() >= id.expires() {
            return match self.ending(id).await? {
                Some(Outcome::Complete) => Ok(()),
                _ => Err(LeaseError::NoSuchLease),
            };
        }
        match self.end(id, Outcome::Complete, self.now()).await? {
            Outcome::Complete => Ok(()),
            _ => Err(LeaseError::NoSuchLease),
        }
    }

    /// Ends a lease, unless it has ended; how it did.
    pub(crate) async fn end(
        &self,
        id: &LeaseId,
        outcome: Outcome,
        at: u64,
    ) -> Result<Outcome, Error> {
        let ending = Ending::new(outcome, at, random()?);
        let key = self.control.end(id);
        loop {
            if self.records.create(&key, ending.encode()).await?.is_some() {
                return Ok(outcome);
            }
            // It is removed only after the lease is.
            if let Some(outcome) = self.ending(id).await? {
                return Ok(outcome);
            }
        }
    }

    pub(crate) async fn ending(&self, id: &LeaseId) -> Result<Option<Outcome>, Error> {
        let key = self.control.end(id);
        let found = self.records.get(&key).await?;
        found
            .map(|found| Ending::parse(&found.value).ok_or_else(|| damaged(&key)))
            .transpose()
            .map(|ending| ending.map(|ending| ending.outcome))
    }

    fn now(&self) -> u64 {
        unix((self.clock)())
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases")
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}
