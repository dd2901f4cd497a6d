//! Blocks through the service: read, write and delete of single ones.

use bytes::Bytes;
use cidbucket_blockstore::{Block, Cid, Error, Hash, Multihash};
use cidbucket_direct::{Code, Problem};
use cidbucket_presign::Read;
use cidbucket_records::Purpose;
use http::{HeaderValue, Method, Response, StatusCode, header};

use crate::Body;
use crate::answer::{self, Answer, IfNoneMatch};
use crate::failure;
use crate::reads::{invalid, not_covered, not_granted, unaccepted};
use crate::service::{Caller, Head, Service};

/// Blocks never change, so whoever has one may keep it.
const FOR_EVER: &str = "max-age=29030400, immutable";
/// How often a reservation that came to its end is made anew.
const RESERVATIONS: u32 = 3;

impl Service {
    /// `GET` and `HEAD`.
    pub(crate) async fn get(
        &self,
        text: &str,
        head: &Head,
        caller: &Caller,
    ) -> Result<Answer, Problem> {
        let cid = parse(text)?;
        let etag = answer::etag(&cid.to_string());
        let covered = caller.capability.covers(&cid);
        let condition = IfNoneMatch::of(&head.headers, &etag);
        if covered && condition == IfNoneMatch::Same {
            // Blocks never change: whoever has the tag has the block.
            return Ok(self.not_modified(etag));
        }
        if covered
            && head.method == Method::GET
            && head.parameter("redirect").as_deref() == Some("true")
            && let Some(answer) = self.redirect(&cid, caller).await?
        {
            return Ok(answer);
        }
        // For a block that the token does not cover, the same work is done in vain.
        let wanted = if covered { cid } else { decoy(&cid) };
        let blocks = caller.space.blocks();
        let mut found = if head.method == Method::HEAD || condition == IfNoneMatch::Any {
            let size = blocks.size(&wanted).await;
            let size = size.map_err(|error| failure::store(&error))?;
            let size = size.ok_or_else(failure::not_found)?;
            if condition == IfNoneMatch::Any {
                return Ok(self.not_modified(etag));
            }
            let mut answer = Response::new(Body::empty());
            let length = header::CONTENT_LENGTH;
            answer.headers_mut().insert(length, size.into());
            answer
        } else {
            let mut share = self.inner.memory.take(self.max_block()).await?;
            let block = blocks.get(&wanted).await;
            let block = block.map_err(|error| failure::store(&error))?;
            let data = block.ok_or_else(failure::not_found)?.into_data();
            share.shrink(data.len());
            Response::new(Body::from(data).holding(share))
        };
        let headers = found.headers_mut();
        let media_type = HeaderValue::from_static("application/vnd.ipld.raw");
        headers.insert(header::CONTENT_TYPE, media_type);
        // Nothing that runs, should somebody open it in a browser.
        for (name, value) in [
            (header::CONTENT_DISPOSITION, "attachment"),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; sandbox",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        self.keep_for_ever(headers, etag);
        Ok(found)
    }

    fn not_modified(&self, etag: HeaderValue) -> Answer {
        let mut answer = answer::empty(StatusCode::NOT_MODIFIED);
        self.keep_for_ever(answer.headers_mut(), etag);
        answer
    }

    fn keep_for_ever(&self, headers: &mut http::HeaderMap, etag: HeaderValue) {
        let public = self.inner.settings.public_reads;
        let who = if public { "public" } else { "private" };
        let value = HeaderValue::from_str(&format!("{who}, {FOR_EVER}")).expect("ASCII");
        headers.insert(header::CACHE_CONTROL, value);
        headers.insert(header::ETAG, etag);
        headers.insert(header::VARY, HeaderValue::from_static("authorization"));
    }

    /// Sends the client to S3; `None` where it cannot be.
    pub(crate) async fn redirect(
        &self,
        cid: &Cid,
        caller: &Caller,
    ) -> Result<Option<Answer>, Problem> {
        let Some(direct) = &caller.space.direct else {
            return Ok(None);
        };
        if cid.hash().code() == Hash::Identity.code() {
            return Ok(None);
        }
        let granter = direct.granter().await;
        let granter = granter.map_err(|error| failure::store(&error))?;
        let expires = self.inner.settings.limits.read_expires;
        let now = self.inner.books.now().into();
        let grant = granter.read(cid, &Read::default(), expires, now);
        let grant = grant.map_err(|error| not_granted(&error))?;
        let mut answer = answer::empty(StatusCode::TEMPORARY_REDIRECT);
        let location = HeaderValue::from_str(&grant.url).expect("a URL is ASCII");
        answer.headers_mut().insert(header::LOCATION, location);
        self.inner.metrics.granted(crate::metrics::READ, 1);
        Ok(Some(answer))
    }

    /// `PUT`, of a body that was read.
    pub(crate) async fn put(
        &self,
        text: &str,
        caller: &Caller,
        body: Bytes,
    ) -> Result<Answer, Problem> {
        let inner = &self.inner;
        inner.check_writable()?;
        let cid = parse(text)?;
        let capability = &caller.capability;
        if !capability.covers(&cid) {
            return Err(not_covered());
        }
        let size = body.len() as u64;
        let own = capability.block_limit(inner.settings.limits.max_block);
        if size > own {
            let text = format!("the block has {size} bytes, the token allows {own}");
            return Err(Problem::new(Code::Denied, text));
        }
        let block = Block::new(cid, body).map_err(|error| match error {
            Error::Corrupt(_) => Problem::new(
                Code::Corrupt,
                "the bytes are not those of the CID: nothing was stored",
            ),
            error => failure::store(&error),
        })?;
        if block.is_inline() {
            return Ok(answer::empty(StatusCode::NO_CONTENT));
        }
        for _ in 0..RESERVATIONS {
            let reserved = inner
                .books
                .reserve(capability, size, Purpose::Proxied)
                .await;
            let reservation = reserved.map_err(|refused| self.over_quota(refused))?;
            let holds = reservation
                .as_ref()
                .is_none_or(|reservation| reservation.holds(inner.books.now()));
            if !holds {
                continue;
            }
            let put = caller.space.blocks().put(&block).await;
            // A write whose outcome is not known may have been carried out: it counts.
            let refused = matches!(
                put,
                Err(Error::Denied(_) | Error::Invalid(_) | Error::TooLarge(_) | Error::NoStore(_))
            );
            if let Some(reservation) = reservation.filter(|_| !refused) {
                reservation.keep();
            }
            put.map_err(|error| failure::store(&error))?;
            return Ok(answer::empty(StatusCode::NO_CONTENT));
        }
        Err(Problem::new(Code::Unavailable, "the quota could not be counted in time").after(1))
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, text: &str, caller: &Caller) -> Result<Answer, Problem> {
        self.inner.check_writable()?;
        let cid = parse(text)?;
        if !caller.capability.covers(&cid) {
            return Err(not_covered());
        }
        let deleted = caller.space.blocks().delete(&cid).await;
        deleted.map_err(|error| failure::store(&error))?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }
}

/// A CID of the path. Its text is not repeated: it may be anything.
fn parse(text: &str) -> Result<Cid, Problem> {
    let cid: Cid = text.parse().map_err(|_| invalid("the path names no CID"))?;
    Hash::of(&cid).map_err(|_| unaccepted())?;
    Ok(cid)
}

/// A CID of the same kind at which nothing lies, and never will: its digest is random.
pub(crate) fn decoy(cid: &Cid) -> Cid {
    let mut random = [0; 64];
    // Without randomness it is still a key of its own.
    if getrandom::fill(&mut random).is_err() {
        random = [0x5a; 64];
    }
    let hash = cid.hash();
    let (code, length) = if hash.code() == Hash::Identity.code() {
        (Hash::Sha2_256.code(), 32)
    } else {
        (hash.code(), hash.digest().len())
    };
    let hash = Multihash::wrap(code, &random[..length]).expect("at most 64 bytes");
    Cid::new_v1(cid.codec(), hash)
}
