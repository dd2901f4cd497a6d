//! The client: signs a request, sends it, and tries again where that helps.

use std::borrow::Cow;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cidbucket_blockstore::{Error, Report, Result};
use cidbucket_layout::Keys;
use cidbucket_presign::{Bucket, Granter, Policy};
use cidbucket_sigv4::{Request as ToSign, Signer, Timestamp, encode_path, encode_query};
use futures::future::{Either, select};
use http::{HeaderName, HeaderValue, Response, Uri, header};
use http_body_util::Full;
use parking_lot::{Mutex, RwLock};
use tokio::time::{Instant, timeout_at};

use crate::config::{CredentialsSource, S3Config, Timeouts};
use crate::credentials::{self, CredentialsProvider, Issued};
use crate::failure::{Cause, Failed, Refusal, is_success, not_a_web_page, unfit};
use crate::hedge::{Hedging, Read};
use crate::metrics::{Metrics, MetricsSnapshot};
use crate::operation::{Call, Operation};
use crate::place::Place;
use crate::retry::{Attempts, Budget, Class, Verdict, random};
use crate::tls::Trust;
use crate::transport::{HttpClient, Limits, Outgoing, TransportError, TransportOptions};

/// How far our clock may be off the server's before a refusal is put down to it. S3 allows 15
/// minutes, some servers 5.
const SKEW: Duration = Duration::from_mins(4);
/// How often a request is corrected (clock, region, credentials) before its refusal stands.
const MAX_CORRECTIONS: u32 = 4;
pub(crate) const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("cidbucket/", env!("CARGO_PKG_VERSION")));

/// A client for one bucket. Clones are cheap and share connections, credentials and counters.
#[derive(Clone)]
pub struct S3Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: S3Config,
    http: HttpClient,
    /// `None`: requests are not signed.
    credentials: Option<Arc<dyn CredentialsProvider>>,
    /// Where the bucket is, as far as we know.
    place: RwLock<Arc<Place>>,
    /// The signer for the latest credentials and region.
    signing: Mutex<Option<(Arc<Issued>, Arc<Signer>)>>,
    /// Seconds that the server's clock is ahead of ours.
    skew: AtomicI64,
    budget: Budget,
    hedging: Hedging,
    metrics: Metrics,
    bucket_seen: AtomicBool,
}

impl S3Client {
    /// A client as `config` says. Nothing is sent yet.
    ///
    /// # Errors
    /// `Invalid` or `Io` where the certificates to trust cannot be read.
    pub fn new(config: S3Config) -> Result<Self> {
        let Timeouts {
            connect,
            first_byte,
            stall,
            ..
        } = config.timeouts;
        let mut options = TransportOptions::default();
        options.connect_timeout = connect;
        options.first_byte_timeout = first_byte;
        options.stall_timeout = stall;
        options.max_idle = options.max_idle.max(config.concurrency);
        let http = HttpClient::new(options, Trust::new(config.ca_file.as_deref())?);
        Self::with_http(config, http)
    }

    fn with_http(config: S3Config, http: HttpClient) -> Result<Self> {
        let place = Place::new(config.bucket.clone(), &http)?;
        Ok(Self {
            inner: Arc::new(Inner {
                credentials: credentials::provider(&config.credentials, &http),
                place: RwLock::new(Arc::new(place)),
                signing: Mutex::default(),
                skew: AtomicI64::new(0),
                budget: Budget::new(config.retry.budget),
                hedging: Hedging::default(),
                metrics: Metrics::default(),
                bucket_seen: AtomicBool::new(false),
                http,
                config,
            }),
        })
    }

    /// The bucket, with the region that was found to be right.
    pub fn bucket(&self) -> Bucket {
        self.inner.place.read().bucket.clone()
    }

    /// The bucket as others reach it ([`S3Config::public`]), with the region that was found to be
    /// right.
    ///
    /// # Errors
    /// `Invalid` where the region makes no address.
    pub fn public_bucket(&self) -> Result<Bucket> {
        let bucket = self.bucket();
        let Some(public) = &self.inner.config.public else {
            return Ok(bucket);
        };
        Bucket::new(
            &public.endpoint(),
            public.name(),
            bucket.region(),
            public.style(),
        )
        .map_err(|error| {
            Error::Invalid(
                Report::new("public endpoint", "the bucket cannot be addressed")
                    .with_source(error)
                    .into(),
            )
        })
    }

    /// How it was configured.
    pub fn config(&self) -> &S3Config {
        &self.inner.config
    }

    /// The counters.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.inner.metrics.snapshot(self.inner.http.wire())
    }

    /// The connections, for requests beside S3's own: what a signed URL holds, say.
    pub fn http(&self) -> &HttpClient {
        &self.inner.http
    }

    /// The time, by the server's clock as far as it is known.
    pub fn now(&self) -> SystemTime {
        let skew = self.inner.skew.load(Ordering::Relaxed);
        let by = Duration::from_secs(skew.unsigned_abs());
        let now = SystemTime::now();
        if skew < 0 { now - by } else { now + by }
    }

    /// The signer for the credentials of this moment; `None` where requests go unsigned.
    ///
    /// # Errors
    /// As [`CredentialsProvider::credentials`].
    pub async fn signer(&self) -> Result<Option<Arc<Signer>>> {
        let place = Arc::clone(&self.inner.place.read());
        let Some(provider) = &self.inner.credentials else {
            return Ok(None);
        };
        let (_, signer) = self.signing(provider, &place).await?;
        Ok(Some(signer))
    }

    /// A granter of signed URLs for this bucket, as others reach it: with the credentials of this
    /// moment, their end, and the region that was found to be right. Nothing is sent to S3.
    ///
    /// Grant at [`S3Client::now`], the server's time as far as it is known. Its grants end with the
    /// credentials, so ask for another one every few minutes; it is cheap. Without credentials
    /// (`anonymous=true`) its reads are plain URLs, and it grants no writes.
    ///
    /// # Errors
    /// As [`CredentialsProvider::credentials`]; `Invalid` where the credentials or the policy
    /// cannot be right.
    pub async fn granter(&self, keys: Keys, policy: Policy) -> Result<Granter> {
        let invalid = |error: cidbucket_presign::Error| {
            Error::Invalid(
                Report::new("make granter", "cannot grant")
                    .with_source(error)
                    .into(),
            )
        };
        let bucket = self.public_bucket()?;
        let Some(provider) = &self.inner.credentials else {
            return Granter::public(bucket, keys, policy).map_err(invalid);
        };
        let issued = provider.credentials().await?;
        let granter =
            Granter::new(bucket, keys, issued.credentials.clone(), policy).map_err(invalid)?;
        Ok(match issued.expires {
            Some(end) => granter.with_credentials_expiry(end.into()),
            None => granter,
        })
    }

    /// Whether an answer has shown that the bucket is there.
    pub(crate) fn bucket_seen(&self) -> &AtomicBool {
        &self.inner.bucket_seen
    }

    /// Makes a call: tries until it succeeds, or until it makes no sense to go on.
    ///
    /// `accept` makes the result of an answer whose status is a success. Where it says the answer
    /// does not fit, that counts as a failed attempt.
    pub(crate) async fn call<T: Send>(
        &self,
        call: &Call<'_>,
        accept: impl Fn(Response<Bytes>) -> Result<T, Cause> + Sync,
    ) -> Result<T, Box<Failed>> {
        self.call_as(call, Ok, |head, body| accept(head.map(|()| body)))
            .await
    }

    /// As [`Self::call`], in two steps: what `head` keeps of an answer, and what `accept` makes of
    /// that and the body. It saves the read buffers that headers hold on to while a body is read.
    pub(crate) async fn call_as<H: Send, T: Send>(
        &self,
        call: &Call<'_>,
        head: impl Fn(Response<()>) -> Result<H, Cause> + Sync,
        body: impl Fn(H, Bytes) -> Result<T, Cause> + Sync,
    ) -> Result<T, Box<Failed>> {
        let accept = Accept { head, body };
        let inner = &*self.inner;
        let started = Instant::now();
        let deadline = started + inner.config.timeouts.total;
        let mut attempts = Attempts::new(
            &inner.config.retry,
            &inner.budget,
            deadline,
            call.idempotent,
        );
        let mut fresh = call.fresh;
        let mut corrections = Corrections::default();
        let mut before = None;
        loop {
            attempts.begin();
            let mut used = Used::default();
            let tried = self
                .attempt(call, deadline, fresh, &mut used, &accept)
                .await;
            let cause = match tried {
                Ok(value) => {
                    attempts.succeeded();
                    return Ok(value);
                }
                Err(cause) => cause,
            };
            let class = match &cause {
                Cause::Refused(refusal) if corrections.made < MAX_CORRECTIONS => {
                    if self.correct(refusal, &used, &mut corrections).await {
                        corrections.made += 1;
                        Class::Corrected
                    } else {
                        refusal.class()
                    }
                }
                cause => cause.class(),
            };
            let verdict = attempts.failed(
                class,
                cause.carried_out(),
                cause.retry_after(),
                Instant::now(),
                random(),
            );
            match verdict {
                Verdict::Again(pause) => {
                    tracing::debug!(
                        operation = call.operation.name(),
                        key = call.key,
                        attempt = attempts.made(),
                        %cause,
                        ?pause,
                        "trying again"
                    );
                    inner.metrics.retry();
                    before = Some(cause.to_string());
                    fresh = class != Class::Corrected;
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                }
                Verdict::GiveUp(reason) => {
                    let failed = Failed {
                        operation: call.operation,
                        key: call.key.to_owned(),
                        before: before.filter(|_| {
                            matches!(cause, Cause::Transport(TransportError::Deadline))
                        }),
                        cause,
                        reason,
                        attempts: attempts.made(),
                        elapsed: started.elapsed(),
                    };
                    tracing::debug!(
                        operation = call.operation.name(),
                        key = call.key,
                        attempts = failed.attempts,
                        cause = %failed.cause,
                        "failed"
                    );
                    return Err(Box::new(failed));
                }
            }
        }
    }

    /// One attempt. A read whose answer takes long is hedged: sent a second time.
    async fn attempt<H: Send, T: Send>(
        &self,
        call: &Call<'_>,
        deadline: Instant,
        fresh: bool,
        used: &mut Used,
        accept: &Accept<
            impl Fn(Response<()>) -> Result<H, Cause> + Sync,
            impl Fn(H, Bytes) -> Result<T, Cause> + Sync,
        >,
    ) -> Result<T, Cause> {
        let inner = &*self.inner;
        let mut ready = self.prepare(call, deadline, used).await?;
        let first = pin!(self.send(call, &mut ready, deadline, fresh, accept));
        let Some(read) = self.hedged(call) else {
            return first.await;
        };
        let started = Instant::now();
        let delay = inner.hedging.sent(read);
        let patience = pin!(tokio::time::sleep_until(started + delay));
        let result = match select(first, patience).await {
            Either::Left((result, _)) => result,
            Either::Right(((), first)) if inner.hedging.take() => {
                tracing::debug!(
                    operation = call.operation.name(),
                    key = call.key,
                    ?delay,
                    "no answer yet; sending a second request"
                );
                inner.metrics.hedge();
                self.race(first, call, deadline, used, accept).await
            }
            Either::Right(((), first)) => first.await,
        };
        if result.is_ok() {
            inner.hedging.answered(read, started.elapsed());
        }
        result
    }

    /// What kind of read a call is, where it is one that may be hedged: of an object no larger
    /// than a block, as only these take about the same time.
    fn hedged(&self, call: &Call<'_>) -> Option<Read> {
        let config = &self.inner.config;
        match call.operation {
            _ if !config.hedge_reads => None,
            Operation::GetObject if call.max_body <= config.limits.max_block => Some(Read::Get),
            Operation::HeadObject => Some(Read::Head),
            _ => None,
        }
    }

    /// Sends a call a second time, on a new connection. The answer that comes first counts, and the
    /// other request is dropped, which closes its connection. Where one of them fails, the other is
    /// waited for.
    ///
    /// The second is boxed: it is rare, and should not make every call's future larger.
    async fn race<H: Send, T: Send>(
        &self,
        first: Pin<&mut (impl Future<Output = Result<T, Cause>> + Send)>,
        call: &Call<'_>,
        deadline: Instant,
        used: &mut Used,
        accept: &Accept<
            impl Fn(Response<()>) -> Result<H, Cause> + Sync,
            impl Fn(H, Bytes) -> Result<T, Cause> + Sync,
        >,
    ) -> Result<T, Cause> {
        let second = Box::pin(async {
            let mut used = Used::default();
            let result = match self.prepare(call, deadline, &mut used).await {
                Ok(mut ready) => self.send(call, &mut ready, deadline, true, accept).await,
                Err(cause) => Err(cause),
            };
            (result, used)
        });
        let (result, with) = match select(first, second).await {
            Either::Left((result, second)) => {
                if is_final(&result) {
                    return result;
                }
                let (later, with) = second.await;
                if says_less(&later) {
                    return result;
                }
                (later, with)
            }
            Either::Right(((result, with), first)) => {
                if !is_final(&result) {
                    let later = first.await;
                    if !says_less(&later) {
                        return later;
                    }
                }
                (result, with)
            }
        };
        *used = with;
        result
    }

    /// A request of a call, signed for this moment.
    async fn prepare(
        &self,
        call: &Call<'_>,
        deadline: Instant,
        used: &mut Used,
    ) -> Result<Ready, Cause> {
        let place = Arc::clone(&self.inner.place.read());
        used.place = Some(Arc::clone(&place));
        let signing = match &self.inner.credentials {
            None => None,
            Some(provider) => Some(match self.known_signing(&place) {
                Some(known) => known,
                // As a box: it is large and rare.
                None => Box::pin(timeout_at(deadline, self.signing(provider, &place)))
                    .await
                    .map_err(|_| Cause::Transport(TransportError::Deadline))?
                    .map_err(Cause::Own)?,
            }),
        };
        let now = self.now();
        let (issued, signer) = signing.unzip();
        used.signed = issued.map(|issued| (issued, now));
        let request = self
            .request(call, &place, signer.as_deref(), now.into())
            .map_err(Cause::Own)?;
        Ok(Ready {
            place,
            request: Some(request),
        })
    }

    /// Sends a request, reads its answer, and makes of that what was asked for.
    async fn send<H: Send, T>(
        &self,
        call: &Call<'_>,
        ready: &mut Ready,
        deadline: Instant,
        fresh: bool,
        accept: &Accept<
            impl Fn(Response<()>) -> Result<H, Cause> + Sync,
            impl Fn(H, Bytes) -> Result<T, Cause> + Sync,
        >,
    ) -> Result<T, Cause> {
        let inner = &*self.inner;
        let limits = Limits {
            deadline,
            max_body: call.max_body,
            fresh,
        };
        let mut counted = inner.metrics.request(call.operation, call.body.len());
        let mut status = None;
        let result = inner
            .http
            .exchange_as(&ready.place.origin, &mut ready.request, limits, |answer| {
                status = Some(answer.status());
                if is_success(answer.status()) {
                    Ok(not_a_web_page(&answer).and_then(|()| (accept.head)(answer)))
                } else {
                    Err(answer)
                }
            })
            .await;
        if let (Some(status), Ok((_, body))) = (status, &result) {
            counted.answered(status, body.len());
        }
        tracing::trace!(
            operation = call.operation.name(),
            key = call.key,
            status = status
                .filter(|_| result.is_ok())
                .map(|status| status.as_u16()),
            "request"
        );
        match result {
            Ok((Ok(head), body)) => (accept.body)(head?, body),
            Ok((Err(answer), body)) => Err(Cause::Refused(Box::new(Refusal::new(
                &call.method,
                &answer.map(|()| body),
            )))),
            Err(TransportError::TooLarge { .. }) if !call.may_be_larger => {
                Err(unfit("more than was asked for"))
            }
            Err(error) => Err(Cause::Transport(error)),
        }
    }

    /// The HTTP request of a call: signed, in origin form.
    fn request(
        &self,
        call: &Call<'_>,
        place: &Place,
        signer: Option<&Signer>,
        now: Timestamp,
    ) -> Result<Outgoing> {
        let invalid = |message: String| {
            Error::Invalid(
                Report::new(call.operation.name(), message)
                    .with_key(call.key)
                    .into(),
            )
        };
        let mut request = Outgoing::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();

        let mut own = [("", ""); MAX_HEADERS];
        own[0] = ("host", place.host());
        let mut count = 1;
        let payer = self.inner.config.requester_pays.then_some("requester");
        for header in call
            .headers
            .iter()
            .copied()
            .chain(payer.map(|payer| ("x-amz-request-payer", payer)))
        {
            own[count] = header;
            count += 1;
        }
        let own = &own[..count];

        // The path and the values of all headers are one text, which costs one allocation, and one
        // more for the sharing.
        let mut text = String::with_capacity(
            USUAL_TEXT + call.key.len() + own.iter().map(|(_, value)| value.len()).sum::<usize>(),
        );
        place.bucket.write_path(call.key, &mut text);
        let path = text.len();
        let mut values = [const { ("", 0..0) }; MAX_HEADERS + 5];
        let mut count = 0;
        for (name, value) in &own[1..] {
            values[count] = (*name, text.len()..text.len() + value.len());
            text.push_str(value);
            count += 1;
        }
        if !call.body.is_empty() {
            // hyper would make a value of its own.
            let start = text.len();
            text.push_str(itoa::Buffer::new().format(call.body.len()));
            values[count] = ("content-length", start..text.len());
            count += 1;
        }
        if let Some(signer) = signer {
            let to_sign = ToSign {
                method: call.method.as_str(),
                path: "",
                query: call.query,
                headers: own,
            };
            let signed = signer
                .sign_behind(text, path, &to_sign, call.payload, now)
                .map_err(|error| invalid(error.to_string()))?;
            let ranges;
            (text, ranges) = signed.into_text();
            for value in ranges {
                values[count] = value;
                count += 1;
            }
        }
        let text = Bytes::from(text);

        let headers = request.headers_mut();
        headers.reserve(count + 2);
        headers.insert(header::HOST, place.host_value());
        headers.insert(header::USER_AGENT, USER_AGENT);
        for (name, range) in &values[..count] {
            let mut value = HeaderValue::from_maybe_shared(text.slice(range.clone()))
                .map_err(|_| invalid(format!("the value of {name} is not valid in a header")))?;
            value.set_sensitive(matches!(*name, "authorization" | "x-amz-security-token"));
            headers.insert(header_name(name), value);
        }

        let path = text.slice(..path);
        let encoded = encode_path(str::from_utf8(&path).expect("it was a text"));
        let target = match encoded {
            // The keys of blocks are their own encoding.
            Cow::Borrowed(_) if call.query.is_empty() => path.clone(),
            encoded => {
                let mut target = encoded.into_owned();
                if !call.query.is_empty() {
                    target.push('?');
                    target.push_str(&encode_query(call.query));
                }
                target.into()
            }
        };
        *request.uri_mut() = Uri::from_maybe_shared(target)
            .map_err(|_| invalid("the key makes no valid URL".into()))?;
        Ok(request)
    }

    /// What to sign with, where nobody needs to be asked: the credentials never change.
    fn known_signing(&self, place: &Place) -> Option<Signing> {
        let CredentialsSource::Static(_) = self.inner.config.credentials else {
            return None;
        };
        let signing = self.inner.signing.lock();
        let (issued, signer) = signing.as_ref()?;
        (signer.region() == place.bucket.region()).then(|| (Arc::clone(issued), Arc::clone(signer)))
    }

    /// The credentials of this moment with their signer, which keeps the day's signing key.
    async fn signing(
        &self,
        provider: &Arc<dyn CredentialsProvider>,
        place: &Place,
    ) -> Result<Signing> {
        let issued = provider.credentials().await?;
        let mut cached = self.inner.signing.lock();
        if let Some((for_issued, signer)) = &*cached
            && Arc::ptr_eq(for_issued, &issued)
            && signer.region() == place.bucket.region()
        {
            return Ok((issued, Arc::clone(signer)));
        }
        let signer = Signer::new(issued.credentials.clone(), place.bucket.region())
            .map(Arc::new)
            .map_err(|error| Error::Invalid(Report::new("sign", error.to_string()).into()))?;
        *cached = Some((Arc::clone(&issued), Arc::clone(&signer)));
        Ok((issued, signer))
    }

    /// Puts right what a refusal says is wrong on our side; whether anything was.
    async fn correct(&self, refusal: &Refusal, used: &Used, done: &mut Corrections) -> bool {
        let inner = &*self.inner;
        if refusal.wrong_place()
            && let Some(region) = refusal.body.region.as_deref()
            && let Some(place) = &used.place
            && self.move_to(place, region)
        {
            tracing::info!(region, "the bucket is in another region than configured");
            return true;
        }
        let Some((issued, time)) = &used.signed else {
            return false;
        };
        if matches!(refusal.status, 400 | 403)
            && !done.clock
            && let Some(date) = refusal.date
            && (refusal.names_the_clock() || apart(date, *time) > SKEW)
        {
            done.clock = true;
            let skew = seconds(date) - seconds(SystemTime::now());
            inner.skew.store(skew, Ordering::Relaxed);
            tracing::warn!(skew, "this machine's clock differs from the server's");
            return true;
        }
        if refusal.expired()
            && !done.credentials
            && let Some(provider) = &inner.credentials
        {
            done.credentials = true;
            return match provider.refresh(issued).await {
                Ok(renewed) => !Arc::ptr_eq(&renewed, issued),
                Err(error) => {
                    tracing::warn!(%error, "the credentials expired and could not be renewed");
                    false
                }
            };
        }
        false
    }

    /// Goes on in another region, unless that was tried; whether there is a change.
    fn move_to(&self, from: &Place, region: &str) -> bool {
        let mut current = self.inner.place.write();
        if current.bucket.region() == region {
            // Another request found out first; then ours was still signed for the old region.
            return from.bucket.region() != region;
        }
        match current.in_region(region, &self.inner.http) {
            Some(place) => {
                *current = Arc::new(place);
                true
            }
            None => false,
        }
    }
}

impl fmt::Debug for S3Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Client")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

/// The name of a header. Those of nearly every request are constants, as making one of a text takes
/// looking at all of it.
fn header_name(name: &'static str) -> HeaderName {
    match name {
        "authorization" => header::AUTHORIZATION,
        "content-length" => header::CONTENT_LENGTH,
        "content-type" => header::CONTENT_TYPE,
        "x-amz-content-sha256" => const { HeaderName::from_static("x-amz-content-sha256") },
        "x-amz-checksum-sha256" => const { HeaderName::from_static("x-amz-checksum-sha256") },
        "x-amz-date" => const { HeaderName::from_static("x-amz-date") },
        name => HeaderName::from_static(name),
    }
}

/// Most headers of a request beside the signature's.
const MAX_HEADERS: usize = 20;
/// Bytes that a bucket's name and the signature's values take as a rule, without a session token.
const USUAL_TEXT: usize = 512;

/// What to make of an answer whose status is a success, first of its head, then of its body.
struct Accept<A, B> {
    head: A,
    body: B,
}

/// What to sign with.
type Signing = (Arc<Issued>, Arc<Signer>);

/// A signed request, and where it goes.
struct Ready {
    place: Arc<Place>,
    /// Until it is sent.
    request: Option<Outgoing>,
}

/// What an attempt was made with.
#[derive(Default)]
struct Used {
    place: Option<Arc<Place>>,
    /// With what, and at what time, where it was signed.
    signed: Option<(Arc<Issued>, SystemTime)>,
}

/// Whether one of two requests has the answer: what was asked for, or a refusal that the other
/// would get too.
fn is_final<T>(result: &Result<T, Cause>) -> bool {
    match result {
        Ok(_) | Err(Cause::Transport(TransportError::TooLarge { .. })) => true,
        Err(Cause::Refused(refusal)) => refusal.class() == Class::Fatal,
        Err(_) => false,
    }
}

/// Whether a second failure says less than the first, so that the first one counts: it would end
/// the tries, and not because the server says so.
fn says_less<T>(result: &Result<T, Cause>) -> bool {
    !is_final(result) && matches!(result, Err(cause) if cause.class() == Class::Fatal)
}

/// What was already put right for a call. Once is enough: what is wrong again is wrong.
#[derive(Default)]
struct Corrections {
    made: u32,
    clock: bool,
    credentials: bool,
}

fn apart(a: SystemTime, b: SystemTime) -> Duration {
    a.duration_since(b).unwrap_or_else(|error| error.duration())
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
