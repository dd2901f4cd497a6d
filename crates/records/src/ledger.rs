//! Counts bytes against quotas, over several instances, without asking S3 every time.
//!
//! An instance takes a *chunk* of a quota by compare-and-swap and spends it from memory. A chunk has
//! an owner and an end, and is never renewed: after ten minutes, when it was idle for a while, or at
//! shutdown, its owner *folds* it, which charges what was spent and gives back the rest.

use std::collections::HashMap;
use std::collections::hash_map;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cidbucket_blockstore::{Error, Report};
use cidbucket_s3::credentials::Clock;
use futures::StreamExt;
use parking_lot::Mutex;

use crate::clock::{random, unix};
use crate::control::Control;
use crate::lease::{Charge, MAX_TOKEN};
use crate::quota::{Chunk, ChunkId, Exceeded, Purpose, Quota, QuotaRecord, Taker};
use crate::records::Records;

/// So long before its end nothing more is spent of a chunk, in seconds: what was spent is to be
/// written down before that.
const SPARE: u64 = 60;
/// After so long without use a chunk is folded, in seconds.
const IDLE: u64 = 30;
/// How often a change of a quota that others change too is tried.
const ATTEMPTS: u32 = 20;
/// How many quotas are folded at once.
const FOLDS: usize = 16;

/// Why bytes were not reserved.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// It would be more than the quota.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The server does not honour conditional writes, so quotas cannot be counted.
    #[error("quotas need a store with conditional writes (If-None-Match and If-Match)")]
    Unsupported,
    /// The quota cannot be read or changed now.
    #[error("the quota cannot be counted: {0}")]
    Unavailable(#[source] Error),
}

impl From<Error> for LedgerError {
    fn from(error: Error) -> Self {
        match error {
            Error::Unsupported(_) => Self::Unsupported,
            error => Self::Unavailable(error),
        }
    }
}

/// Counts bytes against the quotas of tokens. Clones share what they hold.
///
/// Call [`tidy`](Ledger::tidy) every ten seconds or so, and [`close`](Ledger::close) at the end.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    records: Arc<dyn Records>,
    control: Control,
    clock: Clock,
    instance: String,
    accounts: Mutex<HashMap<String, Arc<Account>>>,
}

/// What this instance holds of one token's quota.
struct Account {
    token: String,
    key: String,
    held: Mutex<Held>,
    /// Whoever changes the record holds this.
    changing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Held {
    /// The chunks to spend of, at most one for each purpose.
    open: Vec<Part>,
    /// Chunks of which nothing more is spent.
    closing: Vec<Part>,
}

/// A chunk in the hands of its owner.
struct Part {
    chunk: Chunk,
    purpose: Purpose,
    /// Until when to spend of it, in seconds since 1970.
    usable: u64,
    spent: u64,
    /// Reservations of which it is not known yet whether they will be used.
    outstanding: usize,
    /// When something was spent of it last, in seconds since 1970.
    touched: u64,
}

impl Ledger {
    /// A ledger on these records. `instance` names this process, for people.
    ///
    /// `clock` tells the server's time as well as it is known: [`S3Client::now`].
    ///
    /// [`S3Client::now`]: cidbucket_s3::S3Client::now
    pub fn new(
        records: Arc<dyn Records>,
        control: Control,
        clock: Clock,
        instance: impl Into<String>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                records,
                control,
                clock,
                instance: instance.into(),
                accounts: Mutex::default(),
            }),
        }
    }

    /// Reserves bytes of a token's quota. Most of the time this asks nobody.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn reserve(
        &self,
        token: &str,
        quota: &Quota,
        bytes: u64,
        purpose: Purpose,
    ) -> Result<Reservation, LedgerError> {
        if quota.is_unlimited() || bytes == 0 {
            return Ok(Reservation { of: None, bytes });
        }
        let conditions = self.inner.records.conditions();
        if !conditions.create || !conditions.replace {
            return Err(LedgerError::Unsupported);
        }
        if token.len() > MAX_TOKEN {
            let report = Report::new("reserve", "the token's id is too long");
            return Err(LedgerError::Unavailable(Error::Invalid(report.into())));
        }
        let account = self.inner.account(token);
        if let Some(reservation) = account.spend(bytes, purpose, self.inner.now()) {
            return Ok(reservation);
        }
        // Of all who find it empty, one takes a chunk. It goes on when this future is dropped, so
        // that no chunk is taken and forgotten.
        let guard = Arc::clone(&account.changing).lock_owned().await;
        let (inner, quota) = (Arc::clone(&self.inner), *quota);
        let taking = tokio::spawn(async move {
            let _guard = guard;
            if let Some(reservation) = account.spend(bytes, purpose, inner.now()) {
                return Ok(reservation);
            }
            inner.take(&account, &quota, bytes, purpose).await
        });
        taking.await.unwrap_or_else(|_| {
            let report = Report::new("reserve", "the task was ended");
            Err(LedgerError::Unavailable(Error::Unavailable(report.into())))
        })
    }

    /// What a token's quota looks like in the bucket now; `None` where nothing was ever counted.
    ///
    /// # Errors
    /// As the store's.
    pub async fn look(&self, token: &str) -> Result<Option<QuotaRecord>, Error> {
        let key = self.inner.control.quota(token);
        let found = self.inner.records.get(&key).await?;
        found
            .map(|found| QuotaRecord::parse(&found.value).ok_or_else(|| damaged(&key)))
            .transpose()
    }

    /// Folds the chunks that were idle for a while or have come to their end.
    ///
    /// # Errors
    /// The last of the errors, after all that could be folded was. The rest is tried again next time.
    pub async fn tidy(&self) -> Result<(), Error> {
        let now = self.inner.now();
        self.fold(|part| part.usable <= now || part.touched + IDLE <= now)
            .await
    }

    /// Folds all chunks: to be called at the end, when nobody reserves any more. What is reserved
    /// still counts as used.
    ///
    /// # Errors
    /// As [`Ledger::tidy`].
    pub async fn close(&self) -> Result<(), Error> {
        self.fold(|_| true).await
    }

    async fn fold(&self, which: impl Fn(&Part) -> bool) -> Result<(), Error> {
        let mut accounts: Vec<Arc<Account>> = Vec::new();
        self.inner.accounts.lock().retain(|_, account| {
            let mut held = account.held.lock();
            let Held { open, closing } = &mut *held;
            closing.extend(open.extract_if(.., |part| which(part)));
            if !closing.is_empty() {
                accounts.push(Arc::clone(account));
            }
            // Somebody may be about to spend of it.
            !open.is_empty() || !closing.is_empty() || Arc::strong_count(account) > 1
        });
        let results = futures::stream::iter(accounts)
            .map(|account| async move {
                let guard = Arc::clone(&account.changing).lock_owned().await;
                let inner = Arc::clone(&self.inner);
                let folding = tokio::spawn(async move {
                    let _guard = guard;
                    inner.change(&account, |_| Ok(())).await
                });
                folding.await
            })
            .buffer_unordered(FOLDS)
            .collect::<Vec<_>>()
            .await;
        for result in results {
            match result {
                Ok(Err(LedgerError::Unavailable(error))) => return Err(error),
                Ok(Err(error)) => {
                    let report = Report::new("fold", error.to_string());
                    return Err(Error::Unsupported(report.into()));
                }
                Ok(Ok(())) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Inner {
    fn now(&self) -> u64 {
        unix((self.clock)())
    }

    fn account(&self, token: &str) -> Arc<Account> {
        match self.accounts.lock().entry(token.to_owned()) {
            hash_map::Entry::Occupied(entry) => Arc::clone(entry.get()),
            hash_map::Entry::Vacant(entry) => {
                let account = Account {
                    token: token.to_owned(),
                    key: self.control.quota(token),
                    held: Mutex::default(),
                    changing: Arc::default(),
                };
                Arc::clone(entry.insert(Arc::new(account)))
            }
        }
    }

    /// Takes a chunk and spends of it. What the account held for the purpose is folded.
    async fn take(
        &self,
        account: &Arc<Account>,
        quota: &Quota,
        bytes: u64,
        purpose: Purpose,
    ) -> Result<Reservation, LedgerError> {
        {
            let mut held = account.held.lock();
            let Held { open, closing } = &mut *held;
            closing.extend(open.extract_if(.., |part| part.purpose == purpose));
        }
        let id = ChunkId::new(random()?);
        let taken = self
            .change(account, |record| {
                let taker = Taker {
                    id,
                    instance: &self.instance,
                    purpose,
                };
                Ok(record.take(quota, bytes, taker, self.now())?)
            })
            .await;
        let chunk = match taken {
            Ok(chunk) => chunk,
            Err(error) => {
                if !matches!(error, LedgerError::Exceeded(_)) {
                    // It may have been taken all the same: then it is folded, unspent.
                    account.held.lock().closing.push(Part::unspent(id, purpose));
                }
                return Err(error);
            }
        };
        let end_of_window = match (chunk.window, quota.window) {
            (Some(start), Some(window)) => start + window.seconds.max(1),
            _ => u64::MAX,
        };
        let mut part = Part {
            usable: chunk.until.saturating_sub(SPARE).min(end_of_window),
            chunk,
            purpose,
            spent: 0,
            outstanding: 0,
            touched: 0,
        };
        let reservation = part.spend(account, bytes, self.now());
        account.held.lock().open.push(part);
        Ok(reservation)
    }

    /// Changes the account's record, and folds in the same stroke what can be folded.
    async fn change<T>(
        &self,
        account: &Account,
        change: impl Fn(&mut QuotaRecord) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        for _ in 0..ATTEMPTS {
            let found = self.records.get(&account.key).await?;
            let (mut record, tag) = match found {
                None => (QuotaRecord::new(&account.token), None),
                Some(found) => {
                    let record = QuotaRecord::parse(&found.value)
                        .filter(|record| record.token == account.token)
                        .ok_or_else(|| damaged(&account.key))?;
                    (record, Some(found.tag))
                }
            };
            let before = record.clone();
            let ended = account.end_parts(&mut record);
            let value = change(&mut record)?;
            if record != before || tag.is_none() {
                let bytes = record.encode(random()?);
                let written = match &tag {
                    None => self.records.create(&account.key, bytes).await?,
                    Some(tag) => self.records.replace(&account.key, bytes, tag).await?,
                };
                if written.is_none() {
                    continue;
                }
            }
            account.forget_parts(&ended);
            return Ok(value);
        }
        let report = Report::new("change quota", "others keep changing it").with_key(&*account.key);
        Err(LedgerError::Unavailable(Error::Unavailable(report.into())))
    }
}

impl Account {
    /// Spends of an open chunk, where one has enough.
    fn spend(self: &Arc<Self>, bytes: u64, purpose: Purpose, now: u64) -> Option<Reservation> {
        let mut held = self.held.lock();
        let part = held.open.iter_mut().find(|part| {
            let left = part.chunk.bytes - part.spent;
            part.purpose == purpose && now < part.usable && bytes <= left
        })?;
        Some(part.spend(self, bytes, now))
    }

    /// Folds the closing parts in a record, and trims those of which something is outstanding; which
    /// were folded.
    fn end_parts(&self, record: &mut QuotaRecord) -> Vec<ChunkId> {
        let mut folded = Vec::new();
        for part in &self.held.lock().closing {
            if part.outstanding == 0 {
                record.fold(part.chunk.id, part.spent);
                folded.push(part.chunk.id);
            } else {
                record.trim(part.chunk.id, part.spent);
            }
        }
        folded
    }

    fn forget_parts(&self, folded: &[ChunkId]) {
        let mut held = self.held.lock();
        held.closing.retain(|part| !folded.contains(&part.chunk.id));
    }

    fn part(&self, id: ChunkId, with: impl FnOnce(&mut Part)) {
        let mut held = self.held.lock();
        let Held { open, closing } = &mut *held;
        if let Some(part) = open
            .iter_mut()
            .chain(closing)
            .find(|part| part.chunk.id == id)
        {
            with(part);
        }
    }
}

impl Part {
    /// A chunk of which it is not known whether it was taken.
    fn unspent(id: ChunkId, purpose: Purpose) -> Self {
        Self {
            chunk: Chunk {
                id,
                instance: String::new(),
                bytes: 0,
                taken: 0,
                until: 0,
                proxied: purpose == Purpose::Proxied,
                window: None,
            },
            purpose,
            usable: 0,
            spent: 0,
            outstanding: 0,
            touched: 0,
        }
    }

    fn spend(&mut self, account: &Arc<Account>, bytes: u64, now: u64) -> Reservation {
        self.spent += bytes;
        self.outstanding += 1;
        self.touched = self.touched.max(now);
        Reservation {
            of: Some((Arc::clone(account), self.chunk.id, self.chunk.until)),
            bytes,
        }
    }
}

/// Bytes of a quota that are set aside. Dropped, it gives them back; [`keep`](Reservation::keep) says
/// that they were used.
#[must_use = "dropped, it gives the bytes back"]
pub struct Reservation {
    /// Account, chunk, and when that ends, in seconds since 1970.
    of: Option<(Arc<Account>, ChunkId, u64)>,
    bytes: u64,
}

impl Reservation {
    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back a part of it: at most what it has.
    pub fn give_back(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        if let Some((account, id, _)) = &self.of {
            account.part(*id, |part| part.spent -= bytes);
        }
    }

    /// Whether its chunk has not come to its end: to be asked after what the bytes are for was
    /// written down, and before anything is granted or answered because of it. Where it has, somebody
    /// else may have charged the chunk already, without these bytes.
    pub fn holds(&self, now: SystemTime) -> bool {
        self.of
            .as_ref()
            .is_none_or(|(_, _, until)| unix(now) < *until)
    }

    /// The bytes were used.
    pub fn keep(mut self) {
        self.settle();
    }

    /// What the record of a lease says about it.
    pub(crate) fn charge(&self) -> Option<Charge> {
        self.of.as_ref().map(|(_, chunk, until)| Charge {
            chunk: *chunk,
            until: *until,
            bytes: self.bytes,
        })
    }

    fn settle(&mut self) {
        if let Some((account, id, _)) = self.of.take() {
            account.part(id, |part| part.outstanding -= 1);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.give_back(self.bytes);
        self.settle();
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("instance", &self.inner.instance)
            .field("records", &self.inner.records)
            .finish_non_exhaustive()
    }
}

pub(crate) fn damaged(key: &str) -> Error {
    let report = Report::new("read record", "it is damaged, or of a newer version");
    Error::Protocol(report.with_key(key).into())
}

/// How often [`Ledger::tidy`] is to be called.
pub const TIDY_EVERY: Duration = Duration::from_secs(10);
