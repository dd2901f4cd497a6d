//! The gateway: who may read what through it, and what that takes.

use std::sync::Arc;

use async_trait::async_trait;
use cidbucket_access::Capability;
use cidbucket_blockstore::{Block, Blockstore, Cid, Cursor, Hash, Listing, Result};
use cidbucket_direct::{Code, Problem};
use cidbucket_gateway::{Ask, Audience, Body, Gateway, Refusal};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};

use crate::answer::Answer;
use crate::blocks::decoy;
use crate::route::Route;
use crate::service::{Caller, Inner, Service};
use crate::spaces::Space;

/// How many blocks are fetched at once for one answer. With those that wait to be sent they are what
/// it takes of the memory, so it is the fewer the more answers there are to be at once.
const AHEAD: usize = 3;

impl Service {
    /// Answers a request to the gateway.
    pub(crate) async fn at_gateway(
        &self,
        gateway: &Gateway,
        parts: Parts,
        subject: &mut String,
    ) -> Answer {
        let answered = match parts.method {
            Method::OPTIONS => return gateway.options(),
            Method::GET | Method::HEAD => self.ask_gateway(gateway, parts, subject).await,
            _ => {
                let allow = Route::Gateway.allow();
                let refusal = Refusal::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    format!("this path has {allow}"),
                );
                let mut answer = gateway.refuse(refusal);
                let allow = HeaderValue::from_static(allow);
                answer.headers_mut().insert(header::ALLOW, allow);
                return answer;
            }
        };
        answered.unwrap_or_else(|refusal| gateway.refuse(refusal))
    }

    async fn ask_gateway(
        &self,
        gateway: &Gateway,
        parts: Parts,
        subject: &mut String,
    ) -> Result<Response<Body>, Refusal> {
        let inner = &self.inner;
        let ask = gateway.read(parts)?;
        if ask.needs_no_store() {
            // Whether this is a gateway may be asked by anybody.
            let store = Arc::clone(&inner.spaces.shared().store);
            return Ok(gateway.answer(ask, store, Audience::Public).await);
        }
        if inner.denies(ask.root()) {
            return Err(Refusal::new(
                StatusCode::GONE,
                "whoever runs this gateway has decided not to serve this content",
            ));
        }
        let place = inner.place().map_err(refusal)?;
        let caller = inner.caller(ask.headers(), cidbucket_access::Operation::Read);
        let caller = caller.await.map_err(refusal)?;
        subject.clone_from(&caller.capability.subject);
        let audience = if ask.headers().contains_key(header::AUTHORIZATION) {
            Audience::Private
        } else {
            Audience::Public
        };
        if let Some(answer) = self.send_on(gateway, &ask, &caller).await? {
            return Ok(answer);
        }
        let most = ask.blocks(AHEAD).saturating_mul(self.max_block());
        let mut share = inner.memory.take(most).await.map_err(refusal)?;
        let store = Arc::new(Readable {
            inner: Arc::clone(inner),
            space: caller.space,
            capability: caller.capability,
        });
        let answer = gateway.answer(ask, store, audience).await;
        if let Some(whole) = answer.body().whole() {
            share.shrink(whole.len());
        }
        Ok(answer.map(|body| body.holding((place, share))))
    }

    /// Sends the client to S3, where that is set and the block can be had there; `None` elsewhere.
    async fn send_on(
        &self,
        gateway: &Gateway,
        ask: &Ask,
        caller: &Caller,
    ) -> Result<Option<Response<Body>>, Refusal> {
        let settings = self.inner.settings.gateway.as_ref();
        let cid = ask.root();
        let wanted = settings.is_some_and(|settings| settings.redirect);
        if !wanted || !ask.is_plain_block() || !caller.capability.covers(cid) {
            return Ok(None);
        }
        // That a block is not there is said here: S3 would say it in its own way.
        if !caller.space.blocks().has(cid).await? {
            return Ok(None);
        }
        let sent = self.redirect(cid, caller).await.map_err(refusal)?;
        Ok(sent.map(|sent| {
            let mut answer = gateway.refuse(Refusal::new(
                StatusCode::TEMPORARY_REDIRECT,
                "the block is at this URL for some minutes",
            ));
            if let Some(location) = sent.headers().get(header::LOCATION) {
                let location = location.clone();
                answer.headers_mut().insert(header::LOCATION, location);
            }
            answer
        }))
    }
}

/// A problem as it is told to those who read from a gateway. Whoever may not read is told 403: Kubo
/// takes 401 for a fault of the server.
fn refusal(problem: Problem) -> Refusal {
    let status = match problem.code {
        Code::Unauthorised => 403,
        code => code.status(),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let refusal = Refusal::new(status, problem.message);
    match problem.retry_after {
        Some(seconds) => refusal.after(seconds),
        None => refusal,
    }
}

/// The blocks that a caller may read, and no others: the rest is absent.
struct Readable {
    inner: Arc<Inner>,
    space: Arc<Space>,
    capability: Arc<Capability>,
}

impl Readable {
    /// The CID to look up: for a block that the token does not cover, the same work is done in vain.
    fn wanted(&self, cid: &Cid) -> Cid {
        // What a CID holds itself is no secret of the store's.
        let inline = cid.hash().code() == Hash::Identity.code();
        if (inline || self.capability.covers(cid)) && !self.inner.denies(cid) {
            *cid
        } else {
            decoy(cid)
        }
    }
}

impl Inner {
    /// Whether a block is one that the gateway does not hand out.
    fn denies(&self, cid: &Cid) -> bool {
        let gateway = self.settings.gateway.as_ref();
        gateway.is_some_and(|gateway| gateway.denied.contains(cid.hash()))
    }
}

#[async_trait]
impl Blockstore for Readable {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        let wanted = self.wanted(cid);
        if let Some(block) = self.space.hot(&wanted) {
            return Ok(Some(block));
        }
        self.space.blocks().get(&wanted).await
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        self.space.blocks().size(&self.wanted(cid)).await
    }

    async fn put(&self, block: &Block) -> Result<()> {
        self.space.blocks().put(block).await
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        self.space.blocks().delete(cid).await
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        self.space.blocks().list(from)
    }

    fn concurrency(&self) -> usize {
        AHEAD
    }
}

impl std::fmt::Debug for Readable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readable")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_answered_401() {
        for code in Code::ALL {
            assert_ne!(refusal(Problem::new(code, "")).status, 401, "{code:?}");
        }
        let rate = refusal(Problem::new(Code::Rate, "slow down").after(7));
        assert_eq!((rate.status.as_u16(), rate.retry_after), (429, Some(7)));
    }
}
