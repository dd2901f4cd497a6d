//! Carries out grants: requests that somebody else signed.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use cidbucket_blockstore::{Cid, Error, Report};
use cidbucket_presign::{Grant, Method};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use tokio::time::Instant;

use crate::client::USER_AGENT;
use crate::config::{Retry, Timeouts};
use crate::failure::{
    Cause, Failed, Refusal, is_success, no_error_within, not_a_web_page, text, unfit,
};
use crate::metrics::{Metrics, MetricsSnapshot};
use crate::operation::{Operation, whole};
use crate::retry::{Attempts, Budget, Class, Verdict, random};
use crate::transport::{HttpClient, Limits, TransportError};

/// Sends granted requests to S3, as they are, and tries again where that helps.
///
/// It holds no credentials and signs nothing, so a grant that S3 does not take is for the caller to
/// replace: [`GrantError::Refused`].
pub struct GrantClient {
    http: HttpClient,
    retry: Retry,
    total: Duration,
    connects: u32,
    budget: Budget,
    metrics: Metrics,
}

/// Why a grant could not be carried out.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// S3 does not take the grant: it expired, or it is not good here.
    #[error(transparent)]
    Refused(Error),
    /// S3 cannot be reached from here: its name is not known, or there is no connection or no TLS.
    #[error(transparent)]
    Unreachable(Error),
    /// Something is not there, and S3 does not say what: the block, or the bucket.
    #[error(transparent)]
    Unsaid(Error),
    /// Anything else.
    #[error(transparent)]
    Failed(Error),
}

impl GrantError {
    /// The error by meaning.
    pub fn into_error(self) -> Error {
        match self {
            Self::Refused(error)
            | Self::Unreachable(error)
            | Self::Unsaid(error)
            | Self::Failed(error) => error,
        }
    }
}

impl GrantClient {
    /// A client on these connections. It gives up as unreachable after `connects` failed attempts
    /// at a connection.
    pub fn new(http: HttpClient, retry: Retry, timeouts: Timeouts, connects: u32) -> Self {
        Self {
            http,
            total: timeouts.total,
            connects,
            budget: Budget::new(retry.budget),
            retry,
            metrics: Metrics::default(),
        }
    }

    /// The counters.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.metrics.snapshot(self.http.wire())
    }

    /// Reads the bytes of a block; `None` where S3 says in its own words that it has none. They are
    /// not checked against the CID. `fresh`: on a new connection.
    ///
    /// # Errors
    /// [`GrantError`]; of class `TooLarge` above `max_size` bytes, which are not read then.
    pub async fn get(
        &self,
        grant: &Grant,
        cid: &Cid,
        max_size: usize,
        fresh: bool,
    ) -> Result<Option<Bytes>, GrantError> {
        let call = Call {
            grant,
            cid,
            operation: Operation::GetObject,
            body: Bytes::new(),
            max_body: max_size,
            fresh,
        };
        let found = self.call(call, |answer| {
            whole(&answer)?;
            Ok(answer.into_body())
        });
        present(found.await)
    }

    /// Asks for the size of a block; `None` as [`Self::get`]. (Most servers do not say in the answer
    /// to a HEAD what is not there: [`GrantError::Unsaid`].)
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn head(&self, grant: &Grant, cid: &Cid) -> Result<Option<u64>, GrantError> {
        let call = Call {
            grant,
            cid,
            operation: Operation::HeadObject,
            body: Bytes::new(),
            max_body: 0,
            fresh: false,
        };
        let found = self.call(call, |answer| {
            if answer.status() != StatusCode::OK {
                return Err(unfit("a status that no HEAD has"));
            }
            text(answer.headers(), header::CONTENT_LENGTH)
                .and_then(|length| length.parse().ok())
                .ok_or_else(|| unfit("no Content-Length"))
        });
        present(found.await)
    }

    /// Writes a block. Where the grant is good only while the block is absent, one that is there
    /// is as good as written.
    ///
    /// # Errors
    /// [`GrantError`]; of class `Corrupt` where S3 received other bytes than were granted.
    pub async fn put(&self, grant: &Grant, cid: &Cid, data: Bytes) -> Result<(), GrantError> {
        let if_absent = grant
            .headers
            .iter()
            .any(|(name, _)| name == "if-none-match");
        let call = Call {
            grant,
            cid,
            operation: Operation::PutObject,
            body: data,
            max_body: MAX_ANSWER,
            fresh: false,
        };
        let written = self.call(call, |answer| {
            no_error_within(&answer)?;
            // Whatever answers without one has stored nothing.
            match text(answer.headers(), header::ETAG) {
                Some(_) => Ok(()),
                None => Err(unfit("a put acknowledged without an ETag")),
            }
        });
        match written.await {
            Ok(()) => Ok(()),
            Err(failed) if if_absent && failed.status() == 412 => Ok(()),
            Err(failed) => Err(sort(*failed)),
        }
    }

    async fn call<T: Send>(
        &self,
        call: Call<'_>,
        accept: impl Fn(Response<Bytes>) -> Result<T, Cause> + Sync,
    ) -> Result<T, Box<Failed>> {
        let started = Instant::now();
        let deadline = started + self.total;
        let mut attempts = Attempts::new(&self.retry, &self.budget, deadline, true);
        let mut fresh = call.fresh;
        loop {
            attempts.begin();
            let cause = match self.send(&call, deadline, fresh, &accept).await {
                Ok(value) => {
                    attempts.succeeded();
                    return Ok(value);
                }
                Err(cause) => cause,
            };
            let class = if is_unreachable(&cause) && attempts.made() >= self.connects {
                Class::Fatal
            } else {
                cause.class()
            };
            let (carried_out, after) = (cause.carried_out(), cause.retry_after());
            match attempts.failed(class, carried_out, after, Instant::now(), random()) {
                Verdict::Again(pause) => {
                    tracing::debug!(
                        operation = call.operation.name(),
                        cid = %call.cid,
                        attempt = attempts.made(),
                        %cause,
                        ?pause,
                        "trying again"
                    );
                    self.metrics.retry();
                    fresh = true;
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                }
                Verdict::GiveUp(reason) => {
                    return Err(Box::new(Failed {
                        operation: call.operation,
                        key: call.cid.to_string(),
                        cause,
                        reason,
                        attempts: attempts.made(),
                        elapsed: started.elapsed(),
                        before: None,
                    }));
                }
            }
        }
    }

    async fn send<T>(
        &self,
        call: &Call<'_>,
        deadline: Instant,
        fresh: bool,
        accept: &(impl Fn(Response<Bytes>) -> Result<T, Cause> + Sync),
    ) -> Result<T, Cause> {
        let (uri, request) = call.request().map_err(Cause::Own)?;
        let origin = self.http.origin(&uri).map_err(Cause::Transport)?;
        let limits = Limits {
            deadline,
            max_body: call.max_body,
            fresh,
        };
        let mut counted = self.metrics.request(call.operation, call.body.len());
        let answer = self.http.exchange(&origin, request, limits).await;
        if let Ok(answer) = &answer {
            counted.answered(answer.status(), answer.body().len());
        }
        match answer {
            Ok(answer) if is_success(answer.status()) => {
                not_a_web_page(&answer).and_then(|()| accept(answer))
            }
            Ok(answer) => Err(Cause::Refused(Box::new(Refusal::new(
                &call.operation.method(),
                &answer,
            )))),
            Err(TransportError::TooLarge { .. }) if call.operation != Operation::GetObject => {
                Err(unfit("more than was asked for"))
            }
            Err(error) => Err(Cause::Transport(error)),
        }
    }
}

impl fmt::Debug for GrantClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantClient")
            .field("http", &self.http)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// Largest body of an answer to a PUT, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// A granted request, and what is expected of its answer.
struct Call<'a> {
    grant: &'a Grant,
    cid: &'a Cid,
    operation: Operation,
    body: Bytes,
    max_body: usize,
    fresh: bool,
}

impl Call<'_> {
    /// The absolute URI, and the request in origin form.
    fn request(&self) -> Result<(Uri, Request<Bytes>), Error> {
        let fits = match self.operation {
            Operation::GetObject => Method::Get,
            Operation::HeadObject => Method::Head,
            _ => Method::Put,
        };
        if self.grant.method != fits {
            return Err(self.unfit("the grant is for another method"));
        }
        let uri: Uri = (self.grant.url.parse()).map_err(|_| self.unfit("the grant has no URL"))?;
        let host = (uri
            .authority()
            .map(|host| HeaderValue::from_str(host.as_str())))
        .and_then(Result::ok)
        .ok_or_else(|| self.unfit("the grant's URL has no host"))?;
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.operation.method();
        *request.uri_mut() = Uri::from(
            uri.path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
        );
        let headers = request.headers_mut();
        headers.insert(header::HOST, host);
        headers.insert(header::USER_AGENT, USER_AGENT);
        for (name, value) in &self.grant.headers {
            if !may_be_asked_for(name) {
                return Err(self.unfit("the grant asks for a header that no grant needs"));
            }
            if name == header::CONTENT_LENGTH.as_str() {
                // hyper sends it, from the body.
                if value.parse() == Ok(self.body.len()) {
                    continue;
                }
                return Err(self.unfit("the grant is for another size"));
            }
            let (Ok(name), Ok(mut value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            ) else {
                return Err(self.unfit("the grant has a header that cannot be sent"));
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok((uri, request))
    }

    fn unfit(&self, message: &'static str) -> Error {
        let report = Report::new(self.operation.name(), message);
        Error::Protocol(report.with_key(self.cid.to_string()).into())
    }
}

/// Headers that a grant may ask for: nothing that concerns the connection or cookies.
/// `authorization` is S3's own, where the signature is not in the URL.
fn may_be_asked_for(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "cache-control"
            | "content-length"
            | "content-md5"
            | "content-type"
            | "if-none-match"
            | "range"
    ) || name
        .strip_prefix("x-amz-")
        .is_some_and(|rest| !rest.is_empty())
}

fn is_unreachable(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::Transport(
            TransportError::Connect(_) | TransportError::ConnectTimeout(_) | TransportError::Tls(_)
        )
    )
}

fn present<T>(found: Result<T, Box<Failed>>) -> Result<Option<T>, GrantError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(failed) if failed.refusal().is_some_and(Refusal::no_such_key) => Ok(None),
        Err(failed) => Err(sort(*failed)),
    }
}

fn sort(failed: Failed) -> GrantError {
    let refused = failed.refusal().is_some_and(|refusal| {
        refusal.class() == Class::Fatal
            && (matches!(refusal.status, 401 | 403) || refusal.expired())
    });
    let unsaid = failed.refusal().is_some_and(Refusal::not_found_in_silence);
    let unreachable = is_unreachable(&failed.cause);
    let error = failed.into_error();
    match (refused, unsaid, unreachable) {
        (true, ..) => GrantError::Refused(error),
        (_, true, _) => GrantError::Unsaid(error),
        (.., true) => GrantError::Unreachable(error),
        _ => GrantError::Failed(error),
    }
}
