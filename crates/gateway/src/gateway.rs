//! The gateway: one request in, one answer out.

use std::sync::Arc;

use cidbucket_blockstore::Blockstore;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};

use crate::ask::{Ask, Kind, Place};
use crate::host::{self, Host};
use crate::negotiate::Format;
use crate::{Body, Refusal, car, file, headers, raw};

/// How a gateway behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Whether files and directories are shown under `/ipfs/`. They share the origin of whatever
    /// else is served there, so they are shown without scripts. Off unless set.
    pub files: bool,
    /// The name under which each CID has an origin of its own, `{cid}.ipfs.{host}`, where files are
    /// shown as they are. Without a port.
    pub host: Option<String>,
}

/// Who may see an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Everybody: shared caches may keep it.
    Public,
    /// Whoever asked.
    Private,
}

/// An IPFS HTTP gateway.
#[derive(Debug, Clone, Default)]
pub struct Gateway {
    options: Options,
}

impl Gateway {
    /// A gateway.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Whether a request is for the gateway, by its path or its host.
    pub fn is_for(&self, parts: &Parts) -> bool {
        parts.uri.path().starts_with("/ipfs/")
            || self.options.host.as_deref().is_some_and(|own| {
                let name = host::name(&parts.headers, &parts.uri);
                matches!(host::of(name, own), Host::Content(_))
            })
    }

    /// Understands a GET or HEAD request.
    ///
    /// # Errors
    /// Why it cannot be answered, whatever is in the store.
    pub fn read(&self, parts: Parts) -> Result<Ask, Refusal> {
        Ask::read(parts, &self.options)
    }

    /// Answers a request from a store.
    pub async fn answer(
        &self,
        ask: Ask,
        store: Arc<dyn Blockstore>,
        audience: Audience,
    ) -> Response<Body> {
        let answered = answer(ask, store, audience).await;
        self.finish(answered.unwrap_or_else(Refusal::answer))
    }

    /// A refusal as an answer.
    pub fn refuse(&self, refusal: Refusal) -> Response<Body> {
        self.finish(refusal.answer())
    }

    /// Answers a GET or HEAD request.
    pub async fn handle(
        &self,
        parts: Parts,
        store: Arc<dyn Blockstore>,
        audience: Audience,
    ) -> Response<Body> {
        match self.read(parts) {
            Ok(ask) => self.answer(ask, store, audience).await,
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// The answer to `OPTIONS`, a page's question before its request included.
    pub fn options(&self) -> Response<Body> {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        for (name, value) in [
            (header::ALLOW, "GET, HEAD, OPTIONS"),
            (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        ] {
            answer
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        self.finish(answer)
    }

    #[expect(clippy::unused_self, reason = "every answer is the gateway's")]
    fn finish(&self, mut answer: Response<Body>) -> Response<Body> {
        let headers = answer.headers_mut();
        headers::cross_origin(headers);
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        headers::fit(headers);
        answer
    }
}

async fn answer(
    ask: Ask,
    store: Arc<dyn Blockstore>,
    audience: Audience,
) -> Result<Response<Body>, Refusal> {
    if ask.only_if_cached && !store.has(ask.root()).await? {
        return Err(Refusal::new(
            StatusCode::PRECONDITION_FAILED,
            "this gateway does not have the block",
        ));
    }
    match &ask.kind {
        Kind::Moved(location) => Ok(moved(location)),
        Kind::Presence => Ok(Response::new(Body::unknown())),
        Kind::Content(negotiated, place) => match &negotiated.format {
            Format::Raw => {
                let negotiated = negotiated.clone();
                raw::answer(ask, &negotiated, &*store, audience).await
            }
            Format::Car(parameters) => {
                let car = car::answer(&ask, negotiated, parameters, store, audience);
                Box::pin(car).await
            }
            Format::File => {
                let isolated = *place == Place::Origin;
                Box::pin(file::answer(&ask, negotiated, isolated, store, audience)).await
            }
        },
    }
}

/// 301.
pub(crate) fn moved(location: &str) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::from_str(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// 304.
pub(crate) fn not_modified() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    answer
}
