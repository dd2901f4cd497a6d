//! The service: one request in, one answer out.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use cidbucket_access::{Capability, Operation};
use cidbucket_blockstore::{Block, Result};
use cidbucket_cache::CacheStats;
use cidbucket_direct::{Code, Encoding, Info, Problem, ReadMode, WriteMode};
use cidbucket_gateway::Gateway;
use cidbucket_s3::{MetricsSnapshot, S3Client};
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};

use crate::Body;
use crate::answer::{self, Answer};
use crate::assets::Assets;
use crate::body;
use crate::books::Books;
use crate::caller::Doorkeeper;
use crate::failure;
use crate::health::Health;
use crate::memory::{Memory, Share};
use crate::metrics::{self, Elsewhere, Metrics};
use crate::record::Record;
use crate::route::Route;
use crate::settings::Settings;
use crate::spaces::{Space, Spaces};

/// How many times its body a request for grants may take, with what is made of it: CIDs, keys,
/// signatures, the lease and the answer.
const GRANTING: usize = 8;
/// Above so many bytes of body, grants are made where they hold up no other request.
pub(crate) const LARGE: usize = 16 << 10;

/// The direct-access service. Clones are one service.
#[derive(Clone)]
pub struct Service {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) info: Info,
    pub(crate) assets: Assets,
    pub(crate) door: Doorkeeper,
    pub(crate) spaces: Arc<Spaces>,
    pub(crate) books: Books,
    pub(crate) health: Arc<Health>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) metrics: Metrics,
    gateway: Option<Gateway>,
    places: Arc<tokio::sync::Semaphore>,
    stopping: AtomicBool,
}

/// What a service is made of.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) info: Info,
    pub(crate) assets: Assets,
    pub(crate) door: Doorkeeper,
    pub(crate) spaces: Spaces,
    pub(crate) books: Books,
    pub(crate) health: Arc<Health>,
    pub(crate) client: Option<S3Client>,
}

/// A request without its body.
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Option<String>,
}

impl Head {
    /// A parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let query = self.query.as_deref()?;
        form_urlencoded::parse(query.as_bytes())
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.into_owned())
    }

    /// How the body is encoded, and how the answer is to be.
    pub(crate) fn encodings(&self) -> Result<(Encoding, Encoding), Problem> {
        let text = |name| {
            self.headers
                .get(name)
                .map(|value| value.to_str().unwrap_or("?"))
        };
        let request = match text(header::CONTENT_TYPE) {
            None => Encoding::default(),
            Some(value) => Encoding::of_content_type(value).ok_or_else(|| {
                Problem::new(
                    Code::MediaType,
                    format!(
                        "bodies are {} or {}",
                        cidbucket_direct::JSON,
                        cidbucket_direct::DAG_CBOR
                    ),
                )
            })?,
        };
        let answer = text(header::ACCEPT).map_or(request, |accept| request.accepted(accept));
        Ok((request, answer))
    }
}

impl Service {
    pub(crate) fn new(parts: Parts) -> Self {
        let settings = parts.settings;
        let spaces = Arc::new(parts.spaces);
        let memory = Arc::new(Memory::new(settings.memory, settings.patience));
        let counted = Counted {
            client: parts.client,
            spaces: Arc::clone(&spaces),
            memory: Arc::clone(&memory),
        };
        Self {
            inner: Arc::new(Inner {
                metrics: Metrics::new(counted, settings.prices),
                places: Arc::new(tokio::sync::Semaphore::new(settings.max_requests)),
                gateway: settings.gateway.as_ref().map(|settings| {
                    let mut options = cidbucket_gateway::Options::default();
                    options.files = settings.files;
                    options.host.clone_from(&settings.host);
                    Gateway::new(options)
                }),
                info: parts.info,
                assets: parts.assets,
                door: parts.door,
                books: parts.books,
                health: parts.health,
                stopping: AtomicBool::new(false),
                settings,
                spaces,
                memory,
            }),
        }
    }

    /// What the service says of itself at `/v1/info`.
    pub fn info(&self) -> &Info {
        &self.inner.info
    }

    /// Answers a request. Needs a tokio runtime with time.
    ///
    /// The body may be a stream, and end with an error: then the connection must not end it as if
    /// it were whole.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        let (parts, body) = request.into_parts();
        let inner = &self.inner;
        let gateway = inner
            .gateway
            .as_ref()
            .filter(|gateway| gateway.is_for(&parts));
        let route = match gateway {
            Some(_) => Route::Gateway,
            None => Route::of(parts.uri.path()),
        };
        let mut record = Record::begin(inner, route, &parts.method, body::length(&body));
        let is_head = parts.method == Method::HEAD;
        let mut answer = if let Some(gateway) = gateway {
            self.at_gateway(gateway, parts, &mut record.subject).await
        } else {
            let head = Head {
                method: parts.method,
                headers: parts.headers,
                query: parts.uri.query().map(str::to_owned),
            };
            // As a box, so that the gateway does not pay for what bodies take.
            let answer = self.answer(route, &head, body, &mut record.subject);
            Box::pin(answer).await
        };
        answer::finish(answer.headers_mut());
        if is_head && let Some(whole) = answer.body().whole() {
            let length = whole.len();
            let headers = answer.headers_mut();
            headers
                .entry(header::CONTENT_LENGTH)
                .or_insert(length.into());
            *answer.body_mut() = Body::empty();
        }
        record.answered(answer.status());
        match answer.body().whole() {
            Some(whole) => {
                record.sent = whole.len() as u64;
                answer
            }
            None if is_head => answer,
            None => answer.map(|body| body.watched(move |seen| record.saw(seen))),
        }
    }

    async fn answer<B>(
        &self,
        route: Route<'_>,
        head: &Head,
        body: B,
        subject: &mut String,
    ) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        if head.method == Method::OPTIONS {
            return answer::options(route);
        }
        if !route.methods().contains(&head.method) {
            return answer::no_such_method(route, &head.method);
        }
        let result = match route {
            Route::Healthz => Ok(answer::ok("text/plain; charset=utf-8", "ok\n")),
            Route::Readyz => self.readyz().await,
            Route::Metrics => Ok(answer::ok(metrics::MEDIA_TYPE, self.inner.metrics.text())),
            Route::File(path) => self.inner.assets.answer(path, &head.headers),
            Route::Info => self.inner.info(head).await,
            _ => self.work(route, head, body, subject).await,
        };
        result.unwrap_or_else(|problem| answer::problem(&problem))
    }

    /// What takes memory or the store.
    async fn work<B>(
        &self,
        route: Route<'_>,
        head: &Head,
        body: B,
        subject: &mut String,
    ) -> Result<Answer, Problem>
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        let inner = &self.inner;
        let place = inner.place()?;
        let operation = match (route, &head.method) {
            (Route::Writes | Route::Complete(_), _) | (Route::Block(_), &Method::PUT) => {
                Operation::Write
            }
            (Route::Block(_), &Method::DELETE) => Operation::Delete,
            (Route::Blocks, _) => Operation::List,
            _ => Operation::Read,
        };
        let caller = inner.caller(&head.headers, operation).await?;
        subject.clone_from(&caller.capability.subject);
        let limits = &inner.settings.limits;
        let mut answer = match route {
            Route::Reads | Route::Writes => {
                let (body, share) = self.read(body, limits.max_body, GRANTING).await?;
                let mut answer = if route == Route::Reads {
                    self.reads(head, &caller, body).await?
                } else {
                    self.writes(head, &caller, body).boxed().await?
                };
                hold(&mut answer, share);
                answer
            }
            Route::Complete(lease) => {
                body::read(body, 1024, inner.settings.pace).await?;
                self.complete(lease, head, &caller).boxed().await?
            }
            Route::Blocks => self.list(head, &caller).await?,
            Route::Block(cid) => match head.method {
                Method::PUT => {
                    let (body, _share) = self.read(body, self.max_block(), 1).await?;
                    self.put(cid, &caller, body).await?
                }
                Method::DELETE => self.delete(cid, &caller).await?,
                _ => self.get(cid, head, &caller).boxed().await?,
            },
            _ => return Err(failure::not_found()),
        };
        // The place is taken until the connection has taken the answer.
        hold(&mut answer, place);
        Ok(answer)
    }

    /// Reads a body, once there is memory for it `times` over.
    async fn read<B>(&self, body: B, limit: usize, times: usize) -> Result<(Bytes, Share), Problem>
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        // Whoever does not say how much is to come is taken to send all that may.
        let length = match body.size_hint().upper() {
            Some(length) => usize::try_from(length).unwrap_or(usize::MAX),
            None => limit,
        };
        if length > limit {
            return Err(body::too_large(limit));
        }
        let share = self.inner.memory.take(length.saturating_mul(times)).await?;
        let body = body::read(body, limit, self.inner.settings.pace).await?;
        Ok((body, share))
    }

    async fn readyz(&self) -> Result<Answer, Problem> {
        let inner = &self.inner;
        if inner.stopping.load(Ordering::Relaxed) {
            return Err(Problem::new(Code::Unavailable, "the service is stopping"));
        }
        let absent = blocks_decoy();
        let store = &*inner.spaces.shared().store;
        if inner.health.is_ready(store, &absent).await {
            Ok(answer::ok("text/plain; charset=utf-8", "ready\n"))
        } else {
            Err(Problem::new(Code::Unavailable, "the store does not answer"))
        }
    }

    /// Says at `/readyz` that no more requests should come.
    pub fn stop(&self) {
        self.inner.stopping.store(true, Ordering::Relaxed);
    }

    /// Tidies what the service keeps in the bucket, for as long as it is polled: lets leases expire,
    /// settles quotas, removes what is left over. [`Server`](crate::Server) does so by itself; a
    /// program that calls [`Service::handle`] alone spawns this.
    pub async fn upkeep(&self) {
        self.inner.books.upkeep().await;
    }

    /// Hands back what this process holds of quotas. To be called last.
    ///
    /// # Errors
    /// As the store's. What was not handed back counts as used until a sweep reclaims it.
    pub async fn close(&self) -> Result<()> {
        self.inner.books.close().await
    }
}

/// Who asks, and whose blocks are meant.
pub(crate) struct Caller {
    pub(crate) capability: Arc<Capability>,
    pub(crate) space: Arc<Space>,
}

impl Inner {
    /// What holds for who asks: the blocks of a tenant are not among those that anybody reads.
    async fn info(&self, head: &Head) -> Result<Answer, Problem> {
        let (_, encoding) = head.encodings()?;
        let mut info = Cow::Borrowed(&self.info);
        if info.reads == ReadMode::Public && self.door.is_tenant(&head.headers).await {
            let own = info.to_mut();
            own.reads = ReadMode::Authorised;
            own.public = None;
        }
        let mut answer = answer::encoded(encoding, encoding.encode(&*info));
        let vary = HeaderValue::from_static("accept, authorization");
        answer.headers_mut().insert(header::VARY, vary);
        Ok(answer)
    }

    /// A place among the requests under way.
    pub(crate) fn place(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let text = "the service is busy with other requests";
            Problem::new(Code::Unavailable, text).after(1)
        })
    }

    /// Who asks, if they may do `operation`.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        operation: Operation,
    ) -> Result<Caller, Problem> {
        let capability = self.door.admit(headers, operation).await?;
        Ok(Caller {
            space: self.space(&capability)?,
            capability,
        })
    }

    fn space(&self, capability: &Capability) -> Result<Arc<Space>, Problem> {
        self.spaces.of(capability.tenant.as_ref()).map_err(|error| {
            tracing::debug!(%error, "no place for a tenant");
            Problem::new(Code::Denied, "this service has no place for tenants")
        })
    }

    /// Whether clients write at S3 themselves.
    pub(crate) fn writes_directly(&self) -> bool {
        self.info.writes == WriteMode::Direct
    }

    pub(crate) fn check_writable(&self) -> Result<(), Problem> {
        if self.info.writes == WriteMode::None {
            return Err(Problem::new(Code::Denied, "this service writes nothing"));
        }
        Ok(())
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("settings", &self.inner.settings)
            .field("spaces", &self.inner.spaces)
            .finish_non_exhaustive()
    }
}

/// Has an answer's body hold on to something.
pub(crate) fn hold<T: Send + 'static>(answer: &mut Answer, what: T) {
    let body = std::mem::replace(answer.body_mut(), Body::empty());
    *answer.body_mut() = body.holding(what);
}

/// A CID at which nothing lies.
fn blocks_decoy() -> cidbucket_blockstore::Cid {
    crate::blocks::decoy(Block::raw("").cid())
}

/// What the metrics look up.
#[derive(Debug)]
struct Counted {
    client: Option<S3Client>,
    spaces: Arc<Spaces>,
    memory: Arc<Memory>,
}

impl Elsewhere for Counted {
    fn s3(&self) -> Option<MetricsSnapshot> {
        self.client.as_ref().map(S3Client::metrics)
    }

    fn cache(&self) -> CacheStats {
        self.spaces.cache_stats()
    }

    fn memory(&self) -> u64 {
        self.memory.used() as u64
    }
}
