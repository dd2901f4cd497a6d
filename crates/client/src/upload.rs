//! The life of a lease: grants for some blocks, their uploads, and the completion.
//!
//! A lease is completed as a whole or not at all, and a block's failure must stay its own. So
//! where blocks of a lease fail, the lease is left to end by itself, and the others are completed
//! under another one: those that lie at S3 already are not sent again. Until the second lease is
//! there, the first protects them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cidbucket_blockstore::{Block, Cid, Error, Hash, Multihash, Report, Result, raw_cid};
use cidbucket_direct::{Code, Grant, Granted, Problem, Way, Write, WriteMode, Writes};
use cidbucket_presign::Upload as Pinned;
use cidbucket_s3::GrantError;
use futures::future::{BoxFuture, FutureExt, Shared};
use futures::stream::{self, StreamExt};

use crate::core::{Core, Known};

/// Leases in a row under which nothing came any further.
const MAX_FRUITLESS: u32 = 2;

/// What became of the blocks of a batch. All who wait for it drive it.
pub(crate) type Finish = Shared<BoxFuture<'static, Arc<Vec<Result<()>>>>>;

impl Core {
    /// Stores a block, together with those of other callers.
    pub(crate) async fn put(self: &Arc<Self>, block: &Block) -> Result<()> {
        self.config.limits.check(block)?;
        if Block::inline(block.cid())?.is_some() {
            return Ok(());
        }
        let known = self.known().await?;
        known.check_size(block)?;
        if known.info.writes == WriteMode::Proxied || !self.has_leave() {
            return self.service.put(block.cid(), block.data().clone()).await;
        }
        let (core, at) = (Arc::clone(self), Arc::clone(&known));
        let (flight, place) = self.puts.join(
            block.clone(),
            block.len(),
            known.write_room,
            // The request for grants is what others wait for; uploads go on beside the next one.
            move |blocks| async move {
                let mut batch = Batch::new(core, at, blocks);
                let lease = batch.begin().await;
                let finish = async move {
                    batch.finish(lease, &AtomicBool::new(false)).await;
                    Arc::new(batch.results())
                };
                Ok(finish.boxed().shared())
            },
        );
        flight.await?.await[place].clone()
    }

    /// Stores the blocks of a batch; `begun` is set once all uploads have begun.
    pub(crate) async fn put_batch(
        self: Arc<Self>,
        blocks: Vec<Block>,
        begun: Arc<AtomicBool>,
    ) -> Vec<(Cid, Result<()>)> {
        let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
        let results = match self.known().await {
            Ok(known) if known.info.writes == WriteMode::Direct && self.has_leave() => {
                let mut batch = Batch::new(self, known, blocks);
                let lease = batch.begin().await;
                batch.finish(lease, &begun).await;
                batch.results()
            }
            Ok(_) => {
                let puts = blocks.iter().map(|block| self.put(block));
                let puts: Vec<_> = puts.collect();
                stream::iter(puts)
                    .buffered(self.config.concurrency.max(1))
                    .collect()
                    .await
            }
            Err(error) => cids.iter().map(|_| Err(error.clone())).collect(),
        };
        cids.into_iter().zip(results).collect()
    }

    /// Sends a block to S3, or where that cannot be reached, through the service.
    async fn send(&self, block: &Block, grant: &Grant, cid: &Cid) -> Sent {
        if let Err(error) = self.check(grant) {
            return Sent::Failed(error);
        }
        if let Some(leave) = self.leave() {
            let answer = self.s3.put(grant, cid, block.data().clone()).await;
            if !self.learn(leave, &answer) {
                return match answer {
                    Ok(()) => Sent::ToS3,
                    Err(GrantError::Refused(error)) => Sent::Refused(error),
                    Err(error) => Sent::Failed(error.into_error()),
                };
            }
        }
        self.send_proxied(block).await
    }

    async fn send_proxied(&self, block: &Block) -> Sent {
        match self.service.put(block.cid(), block.data().clone()).await {
            Ok(()) => Sent::ToService,
            Err(error) => Sent::Failed(error),
        }
    }
}

impl Known {
    /// Refuses what the service would refuse, before anything is sent.
    fn check_size(&self, block: &Block) -> Result<()> {
        if self.info.writes == WriteMode::None {
            let message = "the service takes no blocks";
            return Err(Error::Unsupported(Report::new("put", message).into()));
        }
        let limit = self.info.limits.max_block;
        if block.len() as u64 <= limit {
            return Ok(());
        }
        let message = format!("{} bytes, the service's limit is {limit}", block.len());
        Err(Error::TooLarge(
            Report::new("put", message)
                .with_key(block.cid().to_string())
                .into(),
        ))
    }
}

/// Blocks that are stored together.
struct Batch {
    core: Arc<Core>,
    known: Arc<Known>,
    /// Each different block once.
    entries: Vec<Entry>,
    /// Which of them each block of the batch is.
    places: Vec<usize>,
}

/// A block on its way.
struct Entry {
    block: Block,
    /// What became of it, once that is known.
    outcome: Option<Result<()>>,
    /// It lies at its key.
    there: bool,
    /// How many grants S3 did not take, though they should hold.
    refusals: u32,
}

/// A lease, and the blocks it is for.
struct Lease {
    granted: Granted,
    /// The place of each among the entries.
    members: Vec<usize>,
    ways: Vec<Way>,
}

/// How an upload ended.
enum Sent {
    ToS3,
    ToService,
    Refused(Error),
    Failed(Error),
}

/// How an attempt to complete a lease ended.
enum Settled {
    /// Every block of it has its outcome.
    Whole,
    /// Some have not, and the lease is of no use to them.
    Left,
}

impl Batch {
    fn new(core: Arc<Core>, known: Arc<Known>, blocks: Vec<Block>) -> Self {
        let mut first = HashMap::with_capacity(blocks.len());
        let mut entries: Vec<Entry> = Vec::with_capacity(blocks.len());
        let places = blocks.into_iter().map(|block| {
            *first.entry(*block.cid()).or_insert_with(|| {
                let outcome = match Block::inline(block.cid()) {
                    Ok(Some(_)) => Some(Ok(())),
                    Ok(None) => (core.config.limits.check(&block))
                        .and_then(|()| known.check_size(&block))
                        .err()
                        .map(Err),
                    Err(error) => Some(Err(error)),
                };
                entries.push(Entry {
                    block,
                    outcome,
                    there: false,
                    refusals: 0,
                });
                entries.len() - 1
            })
        });
        let places = places.collect();
        Self {
            core,
            known,
            entries,
            places,
        }
    }

    fn results(&self) -> Vec<Result<()>> {
        let result = |&place: &usize| {
            let outcome = self.entries[place].outcome.clone();
            outcome.unwrap_or_else(|| Err(fruitless(&self.entries[place])))
        };
        self.places.iter().map(result).collect()
    }

    /// Asks for the first grants. A small block that is alone goes through the service instead.
    async fn begin(&mut self) -> Option<Lease> {
        if let [entry] = &mut self.entries[..]
            && entry.outcome.is_none()
            && entry.block.len() <= self.core.config.small_block
        {
            let (cid, data) = (entry.block.cid(), entry.block.data().clone());
            entry.outcome = Some(self.core.service.put(cid, data).await);
        }
        self.lease().await
    }

    /// From the first lease on, until every block has its outcome.
    async fn finish(&mut self, mut lease: Option<Lease>, begun: &AtomicBool) {
        let mut fruitless = 0;
        while let Some(open) = lease {
            let before = self.progress();
            self.upload(&open, None, begun).await;
            if matches!(self.settle(&open).await, Settled::Left) {
                tracing::debug!(
                    lease = open.granted.lease,
                    "left a lease that cannot be completed"
                );
            }
            fruitless = if self.progress() > before {
                0
            } else {
                fruitless + 1
            };
            if fruitless >= MAX_FRUITLESS {
                break;
            }
            lease = self.lease().await;
        }
        begun.store(true, Ordering::Relaxed);
    }

    /// How far the blocks are: it grows with every step of any of them.
    fn progress(&self) -> usize {
        let steps =
            |entry: &Entry| usize::from(entry.there) + 2 * usize::from(entry.outcome.is_some());
        self.entries.iter().map(steps).sum()
    }

    /// A lease for the blocks without an outcome, or for as many as one request takes. Blocks that
    /// the service refuses get that as their outcome; `None` where no block is left.
    async fn lease(&mut self) -> Option<Lease> {
        loop {
            let mut members = self.left();
            members.truncate(self.known.write_room.items);
            if members.is_empty() {
                return None;
            }
            let blocks = members.iter().map(|&at| write(&self.entries[at].block));
            let writes = Writes {
                blocks: blocks.collect(),
                expires: None,
            };
            match self.core.service.writes(&writes).await {
                Ok(granted) => match check(&granted, members.len()) {
                    Ok(ways) => {
                        return Some(Lease {
                            granted,
                            members,
                            ways,
                        });
                    }
                    Err(error) => self.fail(&members, &error),
                },
                Err(failure) => {
                    let index = failure.problem().and_then(|problem| problem.index);
                    let refused = index.and_then(|index| members.get(index).copied());
                    let error = Error::from(failure);
                    match refused {
                        Some(at) => self.fail(&[at], &error),
                        None => self.fail(&members, &error),
                    }
                }
            }
        }
    }

    /// Entries without an outcome.
    fn left(&self) -> Vec<usize> {
        let entries = self.entries.iter().enumerate();
        entries
            .filter_map(|(at, entry)| entry.outcome.is_none().then_some(at))
            .collect()
    }

    fn fail(&mut self, members: &[usize], error: &Error) {
        for &at in members {
            self.entries[at].outcome = Some(Err(error.clone()));
        }
    }

    /// Uploads the blocks of a lease, or those of them at the indices `only`.
    async fn upload(&mut self, lease: &Lease, only: Option<&[usize]>, begun: &AtomicBool) {
        let indices: Vec<usize> = match only {
            Some(only) => only.to_vec(),
            None => (0..lease.members.len()).collect(),
        };
        let last = indices.len();
        let this = &*self;
        let sends: Vec<_> = indices
            .iter()
            .enumerate()
            .map(|(nth, &index)| async move {
                if nth + 1 == last {
                    begun.store(true, Ordering::Relaxed);
                }
                (index, this.send(lease, index).await)
            })
            .collect();
        let sent: Vec<_> = stream::iter(sends)
            .buffer_unordered(self.core.config.concurrency.max(1))
            .collect()
            .await;
        for (index, sent) in sent {
            self.note(lease, index, sent);
        }
    }

    async fn send(&self, lease: &Lease, index: usize) -> Sent {
        let entry = &self.entries[lease.members[index]];
        let block = &entry.block;
        match lease.ways[index] {
            Way::Stored => Sent::ToS3,
            Way::Direct(_) | Way::Proxied if entry.there => Sent::ToS3,
            Way::Proxied => self.core.send_proxied(block).await,
            way @ (Way::Direct(_) | Way::Staged(_)) => match grant(&lease.granted, way, block) {
                Ok((grant, cid)) => self.core.send(block, &grant, &cid).await,
                Err(error) => Sent::Failed(error),
            },
        }
    }

    fn note(&mut self, lease: &Lease, index: usize, sent: Sent) {
        let staged = matches!(lease.ways[index], Way::Staged(_));
        let ended = has_ended(lease.granted.expires);
        let entry = &mut self.entries[lease.members[index]];
        match sent {
            // It was stored at its key and not where it was to be staged: the lease lacks it.
            Sent::ToService if staged => entry.outcome = Some(Ok(())),
            Sent::ToS3 | Sent::ToService => entry.there = true,
            Sent::Refused(_) if ended => {}
            Sent::Refused(error) => {
                entry.refusals += 1;
                if entry.refusals > 1 {
                    entry.outcome = Some(Err(error));
                }
            }
            Sent::Failed(error) => entry.outcome = Some(Err(error)),
        }
    }

    /// Completes a lease, if all its blocks are there.
    async fn settle(&mut self, lease: &Lease) -> Settled {
        let mut again = true;
        loop {
            let whole = lease.members.iter().all(|&at| {
                let entry = &self.entries[at];
                entry.there && entry.outcome.is_none()
            });
            if !whole {
                return Settled::Left;
            }
            let Err(failure) = self.core.service.complete(&lease.granted.lease).await else {
                for &at in &lease.members {
                    self.entries[at].outcome = Some(Ok(()));
                }
                return Settled::Whole;
            };
            match failure.code() {
                Some(Code::NoSuchLease) => return Settled::Left,
                Some(Code::Incomplete) => {
                    let problem = failure.problem().cloned();
                    let lacking = problem
                        .as_ref()
                        .map(|p| lacking(p, lease))
                        .unwrap_or_default();
                    if lacking.is_empty() {
                        self.fail(&lease.members, &failure.into());
                        return Settled::Whole;
                    }
                    for &index in &lacking {
                        self.entries[lease.members[index]].there = false;
                    }
                    if !again {
                        let wrong = problem.map(|problem| problem.wrong).unwrap_or_default();
                        for index in lacking {
                            let entry = &mut self.entries[lease.members[index]];
                            entry.outcome = Some(Err(incomplete(entry, wrong.contains(&index))));
                        }
                        return Settled::Left;
                    }
                    again = false;
                    self.upload(lease, Some(&lacking), &AtomicBool::new(true))
                        .await;
                }
                _ => {
                    self.fail(&lease.members, &failure.into());
                    return Settled::Whole;
                }
            }
        }
    }
}

/// What is asked for a block. S3 is to be told a SHA-256 that it can check.
fn write(block: &Block) -> Write {
    let mut write = Write::new(*block.cid(), block.len() as u64);
    if !is_whole_sha256(block.cid()) {
        write.sha256 = Some(block.sha256());
    }
    write
}

fn is_whole_sha256(cid: &Cid) -> bool {
    cid.hash().code() == Hash::Sha2_256.code() && cid.hash().size() == 32
}

/// The way of each block, once it is sure that there are as many grants as blocks that need one.
fn check(granted: &Granted, blocks: usize) -> Result<Vec<Way>> {
    let protocol = |message: &'static str| Error::Protocol(Report::new("writes", message).into());
    let ways = granted.ways(blocks).map_err(|error| {
        let report = Report::new("writes", "the service's answer makes no sense");
        Error::Protocol(report.with_source(error).into())
    })?;
    let count = |of: fn(&Way) -> bool| ways.0.iter().filter(|way| of(way)).count();
    for (batch, grants, needed) in [
        (
            &granted.direct,
            &granted.direct_grants,
            count(|way| matches!(way, Way::Direct(_))),
        ),
        (
            &granted.staged,
            &granted.staged_grants,
            count(|way| matches!(way, Way::Staged(_))),
        ),
    ] {
        let there = batch
            .as_ref()
            .map_or(grants.len(), |batch| batch.blocks().unwrap_or_default());
        if there != needed {
            return Err(protocol(
                "the service gave grants for other blocks than were asked for",
            ));
        }
    }
    Ok(ways.0)
}

/// The grant of a block, and the CID under which S3 takes it.
fn grant(granted: &Granted, way: Way, block: &Block) -> Result<(Grant, Cid)> {
    let (batch, grants, nth, cid) = match way {
        Way::Direct(nth) => (&granted.direct, &granted.direct_grants, nth, *block.cid()),
        Way::Staged(nth) => (
            &granted.staged,
            &granted.staged_grants,
            nth,
            staged_cid(block),
        ),
        Way::Stored | Way::Proxied => unreachable!("these are not sent to S3"),
    };
    let none = |error: Option<cidbucket_presign::AssembleError>| {
        let report = Report::new("put", "the service's grants make no request");
        let report = report.with_key(block.cid().to_string());
        Error::Protocol(match error {
            Some(error) => report.with_source(error).into(),
            None => report.into(),
        })
    };
    let grant = match batch {
        Some(batch) => batch
            .write(nth, &Pinned::new(cid, block.len() as u64))
            .map_err(|error| none(Some(error)))?,
        None => grants.get(nth).cloned().ok_or_else(|| none(None))?,
    };
    Ok((grant, cid))
}

/// The CID under which a block is staged: that of the SHA-256 that S3 checks.
fn staged_cid(block: &Block) -> Cid {
    let digest = Multihash::wrap(Hash::Sha2_256.code(), &block.sha256());
    raw_cid(digest.expect("32 bytes fit"))
}

/// Whether it is later than `expires`, in seconds since 1970, by our clock.
fn has_ended(expires: u64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.is_ok_and(|now| now.as_secs() >= expires)
}

/// The indices that a service says are missing or wrong, each once.
fn lacking(problem: &Problem, lease: &Lease) -> Vec<usize> {
    let mut indices: Vec<usize> = (problem.missing.iter())
        .chain(&problem.wrong)
        .copied()
        .filter(|&index| index < lease.members.len())
        .collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}

fn incomplete(entry: &Entry, wrong: bool) -> Error {
    let report = |message| {
        let report = Report::new("complete", message).with_attempts(2);
        Box::new(report.with_key(entry.block.cid().to_string()))
    };
    if wrong {
        Error::Corrupt(report("the service found other bytes than were sent"))
    } else {
        Error::Unavailable(report(
            "S3 took the block, and the service does not find it",
        ))
    }
}

fn fruitless(entry: &Entry) -> Error {
    let message = "S3 took none of several grants, or the leases ended before the uploads did";
    let report = Report::new("put", message).with_attempts(MAX_FRUITLESS);
    Error::Unavailable(report.with_key(entry.block.cid().to_string()).into())
}
