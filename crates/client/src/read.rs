//! The way of a block that is read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cidbucket_blockstore::{Block, Bytes, Cid, Error, Report, Result};
use cidbucket_direct::{Batch, Grant, Method, ReadMode};
use cidbucket_presign::AssembleError;
use cidbucket_s3::GrantError;
use tokio::time::Instant;

use crate::core::{Core, Known};
use crate::grants::Place;

/// What was granted of what was asked for.
#[derive(Debug)]
pub(crate) struct Granted {
    batch: Arc<Batch>,
    /// Of each block, in order, its index in the batch, or why it was refused.
    blocks: Vec<Result<usize>>,
}

impl Granted {
    /// The grant of the block at `place` of what was asked for.
    fn place(&self, place: usize) -> Result<Place> {
        let index = self.blocks[place].clone()?;
        Ok(Place {
            batch: Arc::clone(&self.batch),
            index,
        })
    }
}

/// What is known of some blocks' sizes.
#[derive(Debug)]
pub(crate) enum Looked {
    /// One was asked for, and the service answered.
    Size(Option<u64>),
    /// Several were: grants to ask S3.
    Granted(Granted),
}

/// What a block of `get_many` is read with.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// What `get` finds: a public URL, a grant that is kept, the service.
    Usual,
    /// This grant.
    Granted(Place),
    /// Nothing: it is not granted.
    Failed(Error),
}

impl Core {
    pub(crate) async fn get(self: &Arc<Self>, cid: &Cid, source: Source) -> Result<Option<Block>> {
        if let Some(block) = Block::inline(cid)? {
            return Ok(Some(block));
        }
        let mut granted = match source {
            Source::Usual => None,
            Source::Granted(place) => Some(place),
            Source::Failed(error) => return Err(error),
        };
        let known = self.known().await?;
        let Some(leave) = known.direct_reads().then(|| self.leave()).flatten() else {
            return self.get_proxied(cid).await;
        };
        let max_size = self.config.limits.max_block;
        let (mut fresh, mut renewed) = (false, false);
        loop {
            let grant = match (known.public(), granted.take()) {
                (Some(public), _) => assembled(public.read(0, cid), cid)?,
                (None, Some(place)) => place.read(cid)?,
                (None, None) => self.read_grant(&known, cid).await?,
            };
            self.check(&grant)?;
            let answer = self.s3.get(&grant, cid, max_size, fresh).await;
            if self.learn(leave, &answer) {
                return self.get_proxied(cid).await;
            }
            match answer {
                Ok(Some(data)) => match verified(cid, data) {
                    // It may have gone wrong on the way.
                    Err(Error::Corrupt(_)) if !fresh => fresh = true,
                    result => return result.map(Some),
                },
                Ok(None) if known.one_key => return Ok(None),
                Err(GrantError::Unsaid(_)) if known.one_key && self.bucket_seen() => {
                    return Ok(None);
                }
                // It may lie at another key, which the service knows.
                Ok(None) | Err(GrantError::Unsaid(_)) => return self.get_proxied(cid).await,
                // To those who may not list the bucket, S3 does not say that a block is absent.
                Err(GrantError::Refused(_)) if known.public().is_some() => {
                    return self.get_proxied(cid).await;
                }
                Err(GrantError::Refused(error)) if !renewed => {
                    tracing::debug!(%cid, %error, "S3 does not take the grant; asking for another");
                    self.grants.lock().forget(cid);
                    renewed = true;
                }
                Err(error) => return Err(error.into_error()),
            }
        }
    }

    /// Grants to read these blocks, in one request or in few, for those that need one.
    pub(crate) async fn sources(self: Arc<Self>, cids: Vec<Cid>) -> Vec<(Cid, Source)> {
        let usual = |cids: Vec<Cid>| cids.into_iter().map(|cid| (cid, Source::Usual)).collect();
        let known = match self.known().await {
            Ok(known) => known,
            Err(error) => {
                let failed = |cid| (cid, Source::Failed(error.clone()));
                return cids.into_iter().map(failed).collect();
            }
        };
        // A single one is better asked for together with those of other callers.
        if cids.len() < 2 || !known.needs_grants() || !self.has_leave() {
            return usual(cids);
        }
        let mut sources: Vec<_> = usual(cids);
        let missing: Vec<usize> = {
            let (mut grants, now) = (self.grants.lock(), Instant::now());
            let missing = sources.iter_mut().enumerate().filter_map(|(at, source)| {
                if !matches!(Block::inline(&source.0), Ok(None)) {
                    return None;
                }
                match grants.find(&source.0, now) {
                    Some(place) => {
                        source.1 = Source::Granted(place);
                        None
                    }
                    None => Some(at),
                }
            });
            missing.collect()
        };
        for places in missing.chunks(known.read_room.items) {
            let cids = places.iter().map(|&at| sources[at].0).collect();
            match self.ask_reads(&known, cids).await {
                Ok(granted) => {
                    for (nth, &at) in places.iter().enumerate() {
                        sources[at].1 = match granted.place(nth) {
                            Ok(place) => Source::Granted(place),
                            Err(error) => Source::Failed(error),
                        };
                    }
                }
                Err(error) => {
                    for &at in places {
                        sources[at].1 = Source::Failed(error.clone());
                    }
                }
            }
        }
        sources
    }

    /// A block's size, by a request that sends no bytes of it.
    ///
    /// Which request is a matter of cost. One that is asked for alone is asked of the service: one
    /// round trip instead of two. Those that are asked for meanwhile share a request for grants, and
    /// ask S3.
    pub(crate) async fn size(self: &Arc<Self>, cid: &Cid) -> Result<Option<u64>> {
        if let Some(block) = Block::inline(cid)? {
            return Ok(Some(block.len() as u64));
        }
        let known = self.known().await?;
        let direct = known.direct_reads() && known.one_key;
        let Some(leave) = direct.then(|| self.leave()).flatten() else {
            return self.service.head(cid).await;
        };
        let grant = if let Some(public) = known.public() {
            let mut grant = assembled(public.read(0, cid), cid)?;
            grant.method = Method::Head;
            grant
        } else {
            let core = Arc::clone(self);
            let (flight, index) =
                self.looks
                    .join(*cid, 0, known.read_room, move |cids| async move {
                        Ok(Arc::new(match cids[..] {
                            [cid] => Looked::Size(core.service.head(&cid).await?),
                            _ => Looked::Granted(core.grant(&cids, Method::Head).await?),
                        }))
                    });
            match &*flight.await? {
                Looked::Size(size) => return Ok(*size),
                Looked::Granted(granted) => granted.place(index)?.read(cid)?,
            }
        };
        self.check(&grant)?;
        let answer = self.s3.head(&grant, cid).await;
        if self.learn(leave, &answer) {
            return self.service.head(cid).await;
        }
        match answer {
            Ok(Some(0)) if Block::new(*cid, Bytes::new()).is_err() => Err(corrupt(cid, 0)),
            Ok(size @ Some(_)) => Ok(size),
            // The answer to a HEAD does not say what is not there.
            Ok(None) => Ok(None),
            Err(GrantError::Unsaid(_)) if self.bucket_seen() => Ok(None),
            Err(GrantError::Unsaid(_) | GrantError::Refused(_)) => self.service.head(cid).await,
            Err(error) => Err(error.into_error()),
        }
    }

    pub(crate) async fn read_grants(
        self: &Arc<Self>,
        cids: &[Cid],
        method: Method,
        seconds: u32,
    ) -> Result<Vec<Grant>> {
        let refused = |error: fn(Box<Report>) -> Error, message: &'static str| {
            error(Report::new("grant reads", message).into())
        };
        for cid in cids {
            if Block::inline(cid)?.is_some() {
                let message = "an identity CID holds its block itself; there is nothing to sign";
                return Err(refused(Error::Invalid, message));
            }
        }
        let known = self.known().await?;
        if !known.direct_reads() {
            let message = "blocks of this service cannot be read at S3, so there are no URLs";
            return Err(refused(Error::Unsupported, message));
        }
        let mut grants = Vec::with_capacity(cids.len());
        let seconds = seconds.min(known.info.limits.read_expires);
        for cids in cids.chunks(known.read_room.items) {
            let asked = match known.public() {
                Some(public) => public.clone(),
                None => self.service.reads(cids, method, Some(seconds)).await?,
            };
            for (index, cid) in cids.iter().enumerate() {
                let mut grant = assembled(asked.read(index, cid), cid)?;
                grant.method = method;
                self.check(&grant)?;
                grants.push(grant);
            }
        }
        Ok(grants)
    }

    async fn get_proxied(&self, cid: &Cid) -> Result<Option<Block>> {
        let max_size = self.config.limits.max_block;
        let mut again = true;
        loop {
            let Some(data) = self.service.get(cid, max_size).await? else {
                return Ok(None);
            };
            match verified(cid, data) {
                Err(Error::Corrupt(_)) if again => again = false,
                result => return result.map(Some),
            }
        }
    }

    /// A grant that is kept, or that is asked for together with those of other callers.
    async fn read_grant(self: &Arc<Self>, known: &Arc<Known>, cid: &Cid) -> Result<Grant> {
        if let Some(place) = self.grants.lock().find(cid, Instant::now()) {
            return place.read(cid);
        }
        let (core, at) = (Arc::clone(self), Arc::clone(known));
        let ask = move |cids| async move { core.ask_reads(&at, cids).await };
        let (flight, index) = self.reads.join(*cid, 0, known.read_room, ask);
        let granted = flight.await?;
        granted.place(index)?.read(cid)
    }

    /// Asks for grants, and keeps them.
    async fn ask_reads(&self, known: &Known, cids: Vec<Cid>) -> Result<Arc<Granted>> {
        let asked = Instant::now();
        let granted = self.grant(&cids, Method::Get).await?;
        let life = life(
            &granted.batch,
            known.info.limits.read_expires,
            SystemTime::now(),
        );
        let kept = cids.into_iter().zip(&granted.blocks);
        let kept = kept.filter_map(|(cid, block)| block.is_ok().then_some(cid));
        self.grants.lock().keep(
            Arc::clone(&granted.batch),
            kept.collect(),
            asked + life,
            Instant::now(),
        );
        Ok(Arc::new(granted))
    }

    /// Asks for grants. A block that the service refuses by its index is left out of the next try,
    /// so that its failure is its own.
    async fn grant(&self, cids: &[Cid], method: Method) -> Result<Granted> {
        let mut left: Vec<usize> = (0..cids.len()).collect();
        let mut refused = HashMap::new();
        let batch = loop {
            let asked: Vec<Cid> = left.iter().map(|&at| cids[at]).collect();
            let failure = match self.service.reads(&asked, method, None).await {
                Ok(batch) => break batch,
                Err(failure) => failure,
            };
            let index = failure.problem().and_then(|problem| problem.index);
            match index.filter(|&index| index < left.len() && left.len() > 1) {
                Some(index) => refused.insert(left.remove(index), Error::from(failure)),
                None => return Err(failure.into()),
            };
        };
        let mut next = 0..;
        let blocks = (0..cids.len()).map(|at| match refused.remove(&at) {
            Some(error) => Err(error),
            None => Ok(next.next().unwrap_or_default()),
        });
        Ok(Granted {
            blocks: blocks.collect(),
            batch: Arc::new(batch),
        })
    }
}

impl Place {
    fn read(&self, cid: &Cid) -> Result<Grant> {
        assembled(self.batch.read(self.index, cid), cid)
    }
}

impl Known {
    fn direct_reads(&self) -> bool {
        self.info.direct_reads
    }

    /// The plain URLs, where anybody may read.
    fn public(&self) -> Option<&Batch> {
        let public = self.info.public.as_ref()?;
        (self.info.reads == ReadMode::Public && public.blocks().is_none()).then_some(public)
    }

    fn needs_grants(&self) -> bool {
        self.direct_reads() && self.public().is_none()
    }
}

/// For how long the grants of a batch can be used, counted from when it was asked for.
///
/// They end by the service's clock, and ours may be wrong: if it is ahead, this is too short, which
/// costs requests; if it is behind, what the service promised limits it. The last tenth is left out,
/// since the way to S3 takes time too.
fn life(batch: &Batch, promised: u32, now: SystemTime) -> Duration {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let Some(expires) = batch.expires() else {
        return Duration::ZERO;
    };
    let seconds = expires.unix().saturating_sub(now).min(promised.into());
    Duration::from_secs(seconds) * 9 / 10
}

fn assembled(grant: Result<Grant, AssembleError>, cid: &Cid) -> Result<Grant> {
    grant.map_err(|error| {
        let report = Report::new("get", "the service's grants make no request");
        Error::Protocol(report.with_key(cid.to_string()).with_source(error).into())
    })
}

/// The block, if these are its bytes.
fn verified(cid: &Cid, data: Bytes) -> Result<Block> {
    let length = data.len();
    Block::new(*cid, data).map_err(|error| match error {
        Error::Corrupt(_) => {
            tracing::warn!(%cid, length, "wrong bytes");
            corrupt(cid, length)
        }
        error => error,
    })
}

fn corrupt(cid: &Cid, length: usize) -> Error {
    let message = format!("what lies there are {length} bytes that are not those of the CID");
    Error::Corrupt(Report::new("get", message).with_key(cid.to_string()).into())
}
