//! HTTP/1.1 over TCP and TLS: connections, their pool, and the limits on time and size.
//!
//! Nothing in here knows S3. One call is one attempt: sorting failures and trying again is
//! `retry`'s part. The exception is a kept-alive connection found closed before anything
//! of the request was written, which is replaced on the spot.

mod body;
mod connection;
mod error;
mod io;
mod pool;
mod resolver;
mod tcp;
mod timer;
mod waker;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body::Body as _;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use body::Oversize;
use connection::{Connection, Socket};
use resolver::Resolver;
use tcp::Tcp;
use timer::Timer;

use crate::tls::Trust;

pub(crate) use io::Wire;

pub use error::TransportError;
pub use pool::Origin;

/// How much of the body of an error answer is kept, in bytes.
const MAX_ERROR_BODY: usize = 64 << 10;
/// Largest body of a plain request's answer, in bytes.
const MAX_PLAIN_BODY: usize = 1 << 20;

/// Limits of the transport.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TransportOptions {
    /// How long connecting may take, with name resolution and TLS handshake.
    pub connect_timeout: Duration,
    /// How long a server may be silent between the last byte of the request and the answer.
    pub first_byte_timeout: Duration,
    /// A body that brings less than 1 KiB per second over this time is given up.
    pub stall_timeout: Duration,
    /// How long an unused connection is kept. S3 closes its side after 5 to 20 s.
    pub idle_timeout: Duration,
    /// How many unused connections are kept per host.
    pub max_idle: usize,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(15),
            max_idle: 64,
        }
    }
}

/// A request on its way.
pub(crate) type Outgoing = Request<Full<Bytes>>;

/// Limits of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// When the whole operation ends.
    pub deadline: Instant,
    /// Largest body of a successful answer, in bytes.
    pub max_body: usize,
    /// Use a new connection, with the name resolved anew: what S3 asks of a retry.
    pub fresh: bool,
}

/// An HTTP/1.1 client. Clones share their connections.
#[derive(Clone)]
pub struct HttpClient {
    inner: Arc<Inner>,
}

struct Inner {
    tcp: Tcp,
    trust: Trust,
    /// Made of both at the first `https` connection.
    tls: OnceCell<HttpsConnector<Tcp>>,
    options: TransportOptions,
    origins: pool::Origins,
}

impl HttpClient {
    /// A client that connects by TCP, and for `https` by TLS to whom it trusts.
    pub fn new(options: TransportOptions, trust: Trust) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        tcp.set_connect_timeout(Some(options.connect_timeout));
        Self {
            inner: Arc::new(Inner {
                tcp: Tcp::new(tcp),
                trust,
                tls: OnceCell::new(),
                options,
                origins: pool::Origins::default(),
            }),
        }
    }

    /// Bytes that went through all its sockets, heads, bodies and TLS: read and written.
    pub fn bytes(&self) -> (u64, u64) {
        (self.wire().read(), self.wire().written())
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.inner.tcp.wire
    }

    /// Sends a request with an absolute URI and reads the answer, of up to 1 MiB.
    ///
    /// For what is not S3: token services and metadata endpoints. Redirects are not followed.
    ///
    /// # Errors
    /// [`TransportError`] where no whole answer came by `deadline`.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        deadline: Instant,
    ) -> Result<Response<Bytes>, TransportError> {
        let origin = self.origin(request.uri())?;
        let (mut parts, body) = request.into_parts();
        parts.uri = Uri::from(
            parts
                .uri
                .path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
        );
        if !parts.headers.contains_key(header::HOST) {
            let host = HeaderValue::from_str(origin.authority())
                .map_err(|_| TransportError::Request("the host is not valid in a header"))?;
            parts.headers.insert(header::HOST, host);
        }
        let mut limits = Limits {
            deadline,
            max_body: MAX_PLAIN_BODY,
            fresh: false,
        };
        loop {
            let request = Request::from_parts(parts.clone(), body.clone());
            match self.exchange(&origin, request, limits).await {
                Err(TransportError::Stale) if !limits.fresh => limits.fresh = true,
                result => return result,
            }
        }
    }

    /// The origin (scheme, host, port) of an absolute URI, with its pool of connections.
    ///
    /// # Errors
    /// [`TransportError::Request`] where the URI is not absolute or not HTTP.
    pub fn origin(&self, uri: &Uri) -> Result<Arc<Origin>, TransportError> {
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(TransportError::Request("the scheme must be http or https")),
        };
        let authority = uri
            .authority()
            .ok_or(TransportError::Request("the URI has no host"))?;
        if authority.as_str().contains('@') {
            return Err(TransportError::Request("the URI has user information"));
        }
        Ok(self.inner.origins.get(https, authority))
    }

    /// One attempt at a request in origin form (path and query, with a `host` header).
    ///
    /// The body of an answer that is no success is cut at 64 KiB.
    ///
    /// # Errors
    /// [`TransportError`] where no whole answer came within the limits.
    pub async fn exchange(
        &self,
        origin: &Origin,
        request: Request<Bytes>,
        limits: Limits,
    ) -> Result<Response<Bytes>, TransportError> {
        let mut request = Some(request.map(Full::new));
        let (head, body) = self
            .exchange_as(origin, &mut request, limits, |head| head)
            .await?;
        Ok(head.map(|()| body))
    }

    /// As [`Self::exchange`]; `keep` takes what is needed of the answer's head before the body is
    /// read. The headers are parts of hyper's read buffer: while they live, it takes new ones.
    ///
    /// The request is taken from where it is once it is sent, since moving it costs more the more
    /// futures it goes through.
    pub(crate) async fn exchange_as<H>(
        &self,
        origin: &Origin,
        request: &mut Option<Outgoing>,
        limits: Limits,
        keep: impl FnOnce(Response<()>) -> H,
    ) -> Result<(H, Bytes), TransportError> {
        let options = &self.inner.options;
        let mut uploading = false;
        if let Some(request) = request {
            uploading = !request.body().is_end_stream();
            if !uploading && matches!(*request.method(), Method::PUT | Method::POST) {
                // hyper leaves it out, and S3 wants it.
                let zero = HeaderValue::from_static("0");
                request.headers_mut().insert(header::CONTENT_LENGTH, zero);
            }
        }
        let begun = Instant::now();
        let sleep = pin!(tokio::time::sleep_until(limits.deadline));
        let mut timer = Timer::new(sleep, limits.deadline);
        let (mut connection, answer) = loop {
            let mut since = begun;
            let pooled = self.pooled(origin, limits.fresh, begun).await;
            let mut connection = if let Some(connection) = pooled {
                connection
            } else {
                // As a box: it is large, rare, and would be moved about with every request.
                let new = Box::pin(self.connect(origin, limits.deadline)).await?;
                since = Instant::now();
                new
            };
            let sent = connection
                .send(request, since, options.first_byte_timeout, &mut timer)
                .await;
            match sent {
                Ok(answer) => break (connection, answer),
                // A kept-alive connection closed under our hands: nothing was sent.
                Err(_) if request.is_some() && connection.reused => {}
                Err(error) => return Err(error),
            }
        };

        let (parts, body) = answer.into_parts();
        check_framing(&parts.headers)?;
        let success = parts.status.is_success();
        let (limit, oversize) = if success {
            (limits.max_body, Oversize::Fail)
        } else {
            (MAX_ERROR_BODY, Oversize::Cut)
        };
        let head = keep(Response::from_parts(parts, ()));
        let read = body::read(
            &mut connection,
            body,
            limit,
            oversize,
            options.stall_timeout,
            &mut timer,
        )
        .await?;
        // A server that refuses an upload may not have read all of it: what it would take for the
        // next request is then the rest of this one.
        if read.whole && (success || !uploading) && connection.is_usable().await {
            connection.reused = true;
            connection.idle_since = Instant::now();
            origin.put_back(connection, options.max_idle, options.idle_timeout);
        }
        Ok((head, read.bytes))
    }

    async fn pooled(&self, origin: &Origin, fresh: bool, now: Instant) -> Option<Box<Connection>> {
        if fresh {
            return None;
        }
        while let Some(mut connection) = origin.take(now, self.inner.options.idle_timeout) {
            if connection.is_usable().await {
                return Some(connection);
            }
        }
        None
    }

    async fn connect(
        &self,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Box<Connection>, TransportError> {
        let timeout = self.inner.options.connect_timeout;
        let until = Instant::now() + timeout;
        match timeout_at(until.min(deadline), self.open(origin.uri().clone())).await {
            Ok(io) => Ok(Box::new(Connection::begin(io?).await?)),
            Err(_) if deadline < until => Err(TransportError::Deadline),
            Err(_) => Err(TransportError::ConnectTimeout(timeout)),
        }
    }

    /// Opens a connection. (An `HttpConnector` is always ready to be called.)
    async fn open(&self, to: Uri) -> Result<Socket, TransportError> {
        let inner = &*self.inner;
        if to.scheme() != Some(&Scheme::HTTPS) {
            let tcp = inner.tcp.clone().call(to).await;
            return tcp
                .map(MaybeHttpsStream::Http)
                .map_err(|error| TransportError::connecting(error.into()));
        }
        let connector = inner
            .tls
            .get_or_init(async || {
                let trust = inner.trust.clone();
                let config = spawn_blocking(move || trust.client_config())
                    .await
                    .expect("reading certificates does not panic");
                HttpsConnectorBuilder::new()
                    .with_tls_config(config)
                    .https_only()
                    .enable_http1()
                    .wrap_connector(inner.tcp.clone())
            })
            .await;
        connector
            .clone()
            .call(to)
            .await
            .map_err(TransportError::connecting)
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

/// Refuses answers whose length two readers could understand differently (request smuggling), and
/// encodings that were not asked for.
fn check_framing(headers: &http::HeaderMap) -> Result<(), TransportError> {
    if headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH)
    {
        return Err(TransportError::Framing(
            "both Content-Length and Transfer-Encoding",
        ));
    }
    // Some servers keep `aws-chunked` of the upload as if it were the object's encoding; the bytes
    // they send are the object's all the same.
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let encoding = value.to_str().unwrap_or("?").trim();
        let harmless = encoding.is_empty()
            || encoding.eq_ignore_ascii_case("identity")
            || encoding.eq_ignore_ascii_case("aws-chunked");
        if !harmless {
            return Err(TransportError::Encoding(encoding.to_owned()));
        }
    }
    Ok(())
}
