//! `POST /v1/reads` and `POST /v1/writes`: what their pure parts leave to do.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cidbucket_direct::{Code, Encoding, Granted, Problem, Writes};
use cidbucket_records::{LeaseError, LeaseId, NewLease, Purpose, Way};
use futures::StreamExt;
use tokio::time::{Instant, sleep_until};

use crate::answer::{self, Answer};
use crate::books::Reserved;
use crate::failure;
use crate::metrics;
use crate::plan::{Plan, Rules};
use crate::reads;
use crate::service::{Caller, Head, LARGE, Service};

/// How many blocks are looked for at once.
const LOOKS: usize = 64;
/// For how long they are; those that were not found by then are taken to be absent.
const LOOKING: Duration = Duration::from_secs(5);
/// How often a lease is opened anew, because it came too late or because blocks went away.
const TRIES: u32 = 3;

impl Service {
    /// `POST /v1/reads`.
    pub(crate) async fn reads(
        &self,
        head: &Head,
        caller: &Caller,
        body: Bytes,
    ) -> Result<Answer, Problem> {
        let (request, encoding) = head.encodings()?;
        let Some(direct) = &caller.space.direct else {
            return Err(Problem::new(
                Code::NotDirect,
                "this store cannot be reached directly: read at /v1/blocks/{cid}",
            ));
        };
        let granter = direct.granter().await;
        let granter = granter.map_err(|error| failure::store(&error))?;
        let now = self.inner.books.now().into();
        let limits = self.inner.settings.limits;
        let capability = Arc::clone(&caller.capability);
        let (body, grants) = aside(body.len() > LARGE, move || {
            reads::grant(
                &body,
                request,
                encoding,
                &limits,
                &capability,
                &granter,
                now,
            )
        })
        .await?;
        self.inner.metrics.granted(metrics::READ, grants);
        Ok(answer::encoded(encoding, body))
    }

    /// `POST /v1/writes`. Nothing leaves before the lease is written.
    pub(crate) async fn writes(
        &self,
        head: &Head,
        caller: &Caller,
        body: Bytes,
    ) -> Result<Answer, Problem> {
        let inner = &self.inner;
        inner.check_writable()?;
        let (request, encoding) = head.encodings()?;
        let limits = inner.settings.limits;
        let capability = Arc::clone(&caller.capability);
        let direct = inner.writes_directly();
        let mut plan = aside(body.len() > LARGE, move || {
            let writes: Writes = reads::decode(request, "request for writes", &body)?;
            let rules = Rules {
                limits: &limits,
                capability: &capability,
                direct,
            };
            Plan::new(writes, rules)
        })
        .await?;
        let looks = self.tells_stored(caller);
        for _ in 0..TRIES {
            // A block that is there takes no quota. Whether it still is, is looked for again once
            // the lease keeps it: until then it may be collected as garbage.
            let mut others = Vec::new();
            if looks {
                for index in look(caller, &plan, |way| way != Way::Stored).await {
                    let way = std::mem::replace(&mut plan.ways[index], Way::Stored);
                    others.push((index, way));
                }
            }
            if let Some((lease, now)) = self.open(caller, &plan).await? {
                let found: Vec<usize> = others.iter().map(|(index, _)| *index).collect();
                if found.is_empty() || all_there(caller, &plan, &found).await {
                    let answer = self.grant(caller, plan, lease, now, encoding).await?;
                    inner.metrics.lease("opened");
                    return Ok(answer);
                }
                // The lease is left to expire, and gives back what it has taken.
                tracing::debug!("blocks went away while their lease was written");
            }
            for (index, way) in others {
                plan.ways[index] = way;
            }
        }
        Err(Problem::new(Code::Unavailable, "the lease could not be opened in time").after(1))
    }

    /// Whether the caller may know which blocks are stored already.
    fn tells_stored(&self, caller: &Caller) -> bool {
        let own = caller.capability.answer_stored;
        own.unwrap_or(self.inner.settings.answer_stored)
    }

    /// Opens the lease, and says from when on its grants live; `None` where it came too late.
    async fn open(
        &self,
        caller: &Caller,
        plan: &Plan,
    ) -> Result<Option<(LeaseId, SystemTime)>, Problem> {
        let inner = &self.inner;
        let capability = &caller.capability;
        let reserving = inner
            .books
            .reserve(capability, plan.charge(), Purpose::Lease);
        let reservation = reserving
            .await
            .map_err(|refused| self.over_quota(refused))?;
        let now = inner.books.now();
        let life = Duration::from_secs(plan.expires.into()) + inner.settings.lease_slack;
        let lease = NewLease {
            token: capability.token.clone(),
            tenant: capability.tenant.as_ref().map(ToString::to_string),
            expires: unix(now) + life.as_secs(),
            keep: plan.keep(),
        };
        let opened = inner.books.leases.open(lease, reservation).await;
        match opened {
            Ok(lease) => Ok(Some((lease.id, now))),
            Err(LeaseError::Late) => Ok(None),
            Err(error) => {
                if let LeaseError::Store(error) = &error {
                    inner.health.saw::<()>(&Err(error.clone()));
                }
                Err(failure::lease(&error))
            }
        }
    }

    /// Signs, once the lease is there.
    async fn grant(
        &self,
        caller: &Caller,
        plan: Plan,
        lease: LeaseId,
        now: SystemTime,
        encoding: Encoding,
    ) -> Result<Answer, Problem> {
        let inner = &self.inner;
        let (mut granter, mut staging) = (None, None);
        if let Some(direct) = caller
            .space
            .direct
            .as_ref()
            .filter(|_| inner.writes_directly())
        {
            let own = direct.granter().await;
            granter = Some(own.map_err(|error| failure::store(&error))?);
            if plan.has_staged() {
                let keys = inner.books.control.staging(&lease).map_err(|error| {
                    tracing::warn!(%error, "cannot stage");
                    Problem::new(
                        Code::Unavailable,
                        "the store's prefix leaves no room to stage",
                    )
                })?;
                let own = direct.granter_of(keys).await;
                staging = Some(own.map_err(|error| failure::store(&error))?);
            }
        }
        let large = plan.blocks.len() * 64 > LARGE;
        let (body, (direct, staged)) = aside(large, move || {
            let mut granted = Granted::new(lease.to_string(), lease.expires());
            let granter = granter.as_deref();
            let counts = plan.grant(&mut granted, granter, staging.as_ref(), now.into())?;
            Ok((encoding.encode(&granted), counts))
        })
        .await?;
        inner.metrics.granted(metrics::WRITE, direct);
        inner.metrics.granted(metrics::STAGED, staged);
        Ok(answer::encoded(encoding, body))
    }

    /// Counts a refusal.
    pub(crate) fn over_quota(&self, refused: Reserved) -> Problem {
        if refused.exceeded {
            self.inner.metrics.quota_refusals.inc();
        }
        refused.problem
    }
}

/// The blocks among those of some ways that are there, with their size, by index.
async fn look(caller: &Caller, plan: &Plan, wanted: fn(Way) -> bool) -> Vec<usize> {
    let indices = (0..plan.blocks.len()).filter(|&index| wanted(plan.ways[index]));
    let looking = futures::stream::iter(indices)
        .map(|index| async move { is_there(caller, plan, index).await.then_some(index) })
        .buffer_unordered(LOOKS)
        .filter_map(std::future::ready)
        .take_until(sleep_until(Instant::now() + LOOKING));
    looking.collect().await
}

/// Whether all of these are there.
async fn all_there(caller: &Caller, plan: &Plan, indices: &[usize]) -> bool {
    futures::stream::iter(indices.to_vec())
        .map(|index| is_there(caller, plan, index))
        .buffer_unordered(LOOKS)
        .all(std::future::ready)
        .await
}

async fn is_there(caller: &Caller, plan: &Plan, index: usize) -> bool {
    let block = &plan.blocks[index];
    // Where it cannot be told, the block is uploaded once more.
    let size = caller.space.store.size(&block.cid.0).await;
    matches!(size, Ok(Some(size)) if size == block.size)
}

/// Does work that takes long where it holds up no other request.
async fn aside<T: Send + 'static>(
    large: bool,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if !large {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Problem::new(
            Code::Unavailable,
            "the service failed at this request",
        ))
    })
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
