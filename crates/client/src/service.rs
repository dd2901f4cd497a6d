//! The requests to the service, and nothing but these: the token does not leave this file.

use std::fmt;
use std::time::Duration;

use cidbucket_blockstore::{Bytes, Cid, Error, Report, Result};
use cidbucket_direct::{
    Batch, Completed, Encoding, Granted, Info, Method, Page, Reads, VERSION, Writes,
};
use cidbucket_s3::retry::{Attempts, Budget, Verdict, random};
use cidbucket_s3::transport::{HttpClient, Limits, TransportError};
use cidbucket_s3::{MetricsSnapshot, Retry, Timeouts};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::DirectConfig;
use crate::Token;
use crate::config::ServiceUrl;
use crate::failure::{Cause, Failure, Refusal};
use crate::traffic::{Counters, Traffic};

/// Largest answer of which the size does not depend on what was asked for, in bytes.
const SMALL_ANSWER: usize = 64 << 10;
/// Largest page of a listing, in bytes.
const PAGE: usize = 16 << 20;
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("cidbucket-client/", env!("CARGO_PKG_VERSION")));
/// How bodies go both ways.
const ENCODING: Encoding = Encoding::DagCbor;

/// A service, as its client sees it.
pub(crate) struct Service {
    http: HttpClient,
    url: ServiceUrl,
    token: Option<Token>,
    retry: Retry,
    total: Duration,
    budget: Budget,
    pub(crate) counters: Counters,
}

impl Service {
    pub(crate) fn new(config: &DirectConfig, http: HttpClient) -> Self {
        let Timeouts { total, .. } = config.timeouts;
        Self {
            http,
            url: config.service.clone(),
            token: config.token.clone(),
            retry: config.retry,
            total,
            budget: Budget::new(config.retry.budget),
            counters: Counters::default(),
        }
    }

    /// What went through here, and what beside it straight to S3.
    pub(crate) fn traffic(&self, s3: &MetricsSnapshot) -> Traffic {
        self.counters.traffic(self.http.bytes(), s3)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.url.https
    }

    /// `GET /v1/info`, as it holds for the token.
    pub(crate) async fn info(&self) -> Result<Info> {
        let ask = Ask::document("info", "/v1/info".to_owned());
        let info: Info = decode(&self.call(ask).await?)?;
        if info.version != VERSION {
            return Err(Error::Unsupported(
                Report::new(
                    "info",
                    format!(
                        "the service speaks version {} of the protocol, this client version {VERSION}",
                        info.version
                    ),
                )
                .into(),
            ));
        }
        Ok(info)
    }

    /// `POST /v1/reads`: a grant for each CID, in order.
    pub(crate) async fn reads(
        &self,
        cids: &[Cid],
        method: Method,
        expires: Option<u32>,
    ) -> Result<Batch, Failure> {
        let mut reads = Reads::of(cids.iter().copied());
        reads.expires = expires;
        reads.method = (method != Method::Get).then_some(method);
        let mut ask = Ask::post("reads", "/v1/reads".to_owned(), ENCODING.encode(&reads));
        ask.max_body = SMALL_ANSWER + 64 * cids.len();
        let operation = ask.operation;
        let batch: Batch = decoded(operation, &self.call(ask).await?)?;
        let fits = batch.method() == method && batch.blocks().is_none_or(|n| n == cids.len());
        if !fits {
            return Err(unfit(operation, "grants for something else than was asked"));
        }
        Ok(batch)
    }

    /// `POST /v1/writes`.
    pub(crate) async fn writes(&self, writes: &Writes) -> Result<Granted, Failure> {
        let mut ask = Ask::post("writes", "/v1/writes".to_owned(), ENCODING.encode(writes));
        ask.max_body = SMALL_ANSWER + 4096 * writes.blocks.len();
        let operation = ask.operation;
        decoded(operation, &self.call(ask).await?)
    }

    /// `POST /v1/writes/{lease}/complete`.
    pub(crate) async fn complete(&self, lease: &str) -> Result<Completed, Failure> {
        let operation = "complete";
        if lease.is_empty()
            || !(lease.bytes()).all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        {
            return Err(unfit(operation, "the lease has a name that is no name"));
        }
        let ask = Ask::post(
            operation,
            format!("/v1/writes/{lease}/complete"),
            Vec::new(),
        );
        decoded(operation, &self.call(ask).await?)
    }

    /// `GET /v1/blocks/{cid}`: the bytes, not checked against the CID.
    pub(crate) async fn get(&self, cid: &Cid, max_size: usize) -> Result<Option<Bytes>> {
        let mut ask = Ask::block("get", http::Method::GET, cid);
        ask.max_body = max_size;
        match self.call(ask).await {
            Ok(answer) => Ok(Some(answer.into_body())),
            Err(failure) if is_absent(&failure) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// `HEAD /v1/blocks/{cid}`: the size.
    pub(crate) async fn head(&self, cid: &Cid) -> Result<Option<u64>> {
        match self.call(Ask::block("head", http::Method::HEAD, cid)).await {
            Ok(answer) => {
                let length = answer.headers().get(header::CONTENT_LENGTH);
                let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
                length
                    .map(Some)
                    .ok_or_else(|| unfit("head", "no Content-Length").into())
            }
            Err(failure) if is_absent_by_head(&failure) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// `PUT /v1/blocks/{cid}`.
    pub(crate) async fn put(&self, cid: &Cid, data: Bytes) -> Result<()> {
        let mut ask = Ask::block("put", http::Method::PUT, cid);
        ask.body = data;
        ask.content_type = Some("application/vnd.ipld.raw");
        self.call(ask).await?;
        Ok(())
    }

    /// `DELETE /v1/blocks/{cid}`.
    pub(crate) async fn delete(&self, cid: &Cid) -> Result<()> {
        self.call(Ask::block("delete", http::Method::DELETE, cid))
            .await?;
        Ok(())
    }

    /// `GET /v1/blocks`: a page of the listing.
    pub(crate) async fn list(&self, cursor: Option<&str>) -> Result<Page> {
        let mut path = "/v1/blocks".to_owned();
        if let Some(cursor) = cursor {
            let mut query = form_urlencoded::Serializer::new(String::new());
            path = format!("{path}?{}", query.append_pair("cursor", cursor).finish());
        }
        let mut ask = Ask::document("list", path);
        ask.max_body = PAGE;
        decode(&self.call(ask).await?)
    }

    /// Asks, until there is an answer, or it makes no sense to go on. Asking for anything twice
    /// does no more than once: a lease that nobody completes ends by itself.
    async fn call(&self, ask: Ask<'_>) -> Result<Response<Bytes>, Failure> {
        let started = Instant::now();
        let deadline = started + self.total;
        let mut attempts = Attempts::new(&self.retry, &self.budget, deadline, true);
        let mut fresh = false;
        loop {
            attempts.begin();
            let cause = match self.send(&ask, deadline, fresh).await {
                Ok(answer) => {
                    attempts.succeeded();
                    return Ok(answer);
                }
                Err(cause) => cause,
            };
            let (class, after) = (cause.class(), cause.retry_after());
            match attempts.failed(class, true, after, Instant::now(), random()) {
                Verdict::Again(pause) => {
                    tracing::debug!(
                        operation = ask.operation,
                        attempt = attempts.made(),
                        %cause,
                        ?pause,
                        "asking the service again"
                    );
                    fresh = matches!(cause, Cause::Transport(_));
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                }
                Verdict::GiveUp(_) => {
                    return Err(Failure {
                        cause,
                        operation: ask.operation,
                        key: ask.cid.map(ToString::to_string),
                        attempts: attempts.made(),
                        elapsed: started.elapsed(),
                    });
                }
            }
        }
    }

    async fn send(
        &self,
        ask: &Ask<'_>,
        deadline: Instant,
        fresh: bool,
    ) -> Result<Response<Bytes>, Cause> {
        let uri = self.url.uri(&ask.path).map_err(Cause::Own)?;
        let origin = self.http.origin(&uri).map_err(Cause::Transport)?;
        let limits = Limits {
            deadline,
            max_body: ask.max_body,
            fresh,
        };
        self.counters.sent(ask.body.len());
        let answer = self
            .http
            .exchange(&origin, self.request(ask, &uri), limits)
            .await;
        tracing::trace!(
            operation = ask.operation,
            status = answer.as_ref().ok().map(|answer| answer.status().as_u16()),
            "request to the service"
        );
        match answer {
            Ok(answer) => {
                self.counters.received(answer.body().len());
                if matches!(answer.status(), StatusCode::OK | StatusCode::NO_CONTENT) {
                    not_a_web_page(&answer)?;
                    Ok(answer)
                } else {
                    Err(Cause::Refused(Refusal::new(&answer).into()))
                }
            }
            Err(TransportError::TooLarge { .. }) if ask.operation != "get" => {
                Err(Cause::Unfit("more than was asked for"))
            }
            Err(error) => Err(Cause::Transport(error)),
        }
    }

    /// The request, in origin form.
    fn request(&self, ask: &Ask<'_>, uri: &Uri) -> Request<Bytes> {
        let mut request = Request::new(ask.body.clone());
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = Uri::from(
            uri.path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
        );
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(self.url.authority.as_str());
        headers.insert(header::HOST, host.expect("an authority is visible ASCII"));
        headers.insert(header::USER_AGENT, USER_AGENT);
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, token.header());
        }
        if let Some(kind) = ask.content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Some(kind) = ask.accept {
            headers.insert(header::ACCEPT, HeaderValue::from_static(kind));
        }
        request
    }
}

/// Shows no token.
impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("url", &self.url.to_string())
            .field("token", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

/// A request to the service.
struct Ask<'a> {
    operation: &'static str,
    method: http::Method,
    path: String,
    cid: Option<&'a Cid>,
    body: Bytes,
    content_type: Option<&'static str>,
    accept: Option<&'static str>,
    max_body: usize,
}

impl<'a> Ask<'a> {
    fn new(operation: &'static str, method: http::Method, path: String) -> Self {
        Self {
            operation,
            method,
            path,
            cid: None,
            body: Bytes::new(),
            content_type: None,
            accept: None,
            max_body: SMALL_ANSWER,
        }
    }

    fn document(operation: &'static str, path: String) -> Self {
        Self {
            accept: Some(ENCODING.media_type()),
            ..Self::new(operation, http::Method::GET, path)
        }
    }

    fn post(operation: &'static str, path: String, body: Vec<u8>) -> Self {
        Self {
            body: body.into(),
            content_type: Some(ENCODING.media_type()),
            ..Self::new(operation, http::Method::POST, path)
        }
    }

    fn block(operation: &'static str, method: http::Method, cid: &'a Cid) -> Self {
        Self {
            cid: Some(cid),
            ..Self::new(operation, method, format!("/v1/blocks/{cid}"))
        }
    }
}

/// Whether the service says that it has no such block.
fn is_absent(failure: &Failure) -> bool {
    failure.code() == Some(cidbucket_direct::Code::NotFound)
}

/// The same of an answer that has no body. It bears the type that the body would have, so that a
/// balancer's own answer is not taken for the service's.
fn is_absent_by_head(failure: &Failure) -> bool {
    matches!(&failure.cause, Cause::Refused(refusal) if refusal.status == StatusCode::NOT_FOUND && refusal.is_problem)
}

/// Refuses the sign-in page of a network, which answers for every host and every request.
fn not_a_web_page(answer: &Response<Bytes>) -> Result<(), Cause> {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.len() >= 9 && kind[..9].eq_ignore_ascii_case(b"text/html")
    });
    if is_page {
        return Err(Cause::Unfit("a web page in place of the service's answer"));
    }
    Ok(())
}

fn decode<T: DeserializeOwned>(answer: &Response<Bytes>) -> Result<T> {
    decoded("read answer", answer).map_err(Error::from)
}

fn decoded<T: DeserializeOwned>(
    operation: &'static str,
    answer: &Response<Bytes>,
) -> Result<T, Failure> {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let encoding = kind
        .and_then(|kind| Encoding::of_content_type(kind.to_str().ok()?))
        .ok_or_else(|| unfit(operation, "the answer is neither JSON nor DAG-CBOR"))?;
    encoding.decode("answer", answer.body()).map_err(|error| {
        let report = Report::new(operation, "the service's answer is not of the protocol");
        let error = Error::Protocol(report.with_source(error).into());
        own(operation, error)
    })
}

fn unfit(operation: &'static str, what: &'static str) -> Failure {
    own(
        operation,
        Error::Protocol(Report::new(operation, what).into()),
    )
}

fn own(operation: &'static str, error: Error) -> Failure {
    Failure {
        cause: Cause::Own(error),
        operation,
        key: None,
        attempts: 1,
        elapsed: Duration::ZERO,
    }
}
