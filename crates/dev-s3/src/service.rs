//! The HTTP service of one connection: faults, CORS and checks around `s3s`.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use s3s::{Body, service::S3Service};
use sha2::{Digest, Sha256};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use crate::{
    body::{AnswerBody, spoil},
    cors,
    fault::{Fault, Faults},
    received::Received,
    scope,
    store::{Algorithm, Digests, Store},
    target::{Hosts, Target},
};

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) s3: S3Service,
    pub(crate) store: Arc<Store>,
    pub(crate) hosts: Hosts,
    pub(crate) region: String,
    pub(crate) faults: Faults,
    pub(crate) requests: AtomicU64,
}

/// Serves one connection.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) shared: Arc<Shared>,
    /// Set to have the connection end in a reset.
    pub(crate) reset: Arc<AtomicBool>,
}

type Answer = Response<AnswerBody>;

/// An XML document the request brings is read into memory up to this length.
const XML_MOST: usize = 4 * 1024 * 1024;

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Answer;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Self::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { service.serve(request).await })
    }
}

impl Service {
    async fn serve(
        self,
        request: Request<Incoming>,
    ) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        let shared = &*self.shared;
        let target = Target::of(&request, &shared.hosts);
        let method = request.method().clone();
        let origin = request.headers().get(header::ORIGIN).cloned();
        let key = target.key.as_deref().unwrap_or_default();
        let fault = shared.faults.meet(target.operation, method.as_str(), key);
        let mut answer = match &fault {
            Some(Fault::Reset) => return Err(self.reset()),
            Some(Fault::Status {
                status,
                code,
                retry_after,
            }) => {
                // Read what is sent, so that the client reads the answer and not a reset.
                let mut body = request.into_body();
                while let Some(Ok(_)) = body.frame().await {}
                let mut answer = error(*status, code, "a fault for tests", "");
                if let Some(seconds) = *retry_after {
                    answer
                        .headers_mut()
                        .insert(header::RETRY_AFTER, seconds.into());
                }
                answer
            }
            Some(Fault::Delay(wait)) => {
                tokio::time::sleep(*wait).await;
                shared.answer(request, &target).await?
            }
            _ => shared.answer(request, &target).await?,
        };
        if fault == Some(Fault::LoseAnswer) {
            return Err(self.reset());
        }
        let number = shared.requests.fetch_add(1, Ordering::Relaxed);
        if let Ok(id) = HeaderValue::from_str(&format!("DEV{number:013X}")) {
            answer.headers_mut().insert("x-amz-request-id", id);
        }
        // Where AWS says it to everybody, so that clients can find the region before they can sign.
        if target.operation == "HeadBucket"
            && answer.status() != StatusCode::NOT_FOUND
            && let Ok(region) = HeaderValue::from_str(&shared.region)
        {
            answer.headers_mut().insert("x-amz-bucket-region", region);
        }
        if let (Some(origin), Some(rules)) = (origin, shared.cors(&target))
            && method != Method::OPTIONS
        {
            cors::decorate(&rules, &origin, &method, answer.headers_mut());
        }
        Ok(match fault {
            Some(fault) => answer.map(|body| spoil(body, &fault, self.reset)),
            None => answer,
        })
    }

    fn reset(&self) -> Box<dyn Error + Send + Sync> {
        self.reset.store(true, Ordering::Relaxed);
        "the connection ends here by a fault".into()
    }
}

impl Shared {
    async fn answer(
        &self,
        request: Request<Incoming>,
        target: &Target,
    ) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        if request.method() == Method::OPTIONS {
            return Ok(self.preflight(request.headers(), target));
        }
        let request = Received::of(request);
        if let Err(refusal) = scope::check(&request, &self.region) {
            return Ok(self.refuse(&refusal));
        }
        let request = if matches!(
            target.operation,
            "DeleteObjects" | "PutBucketCors" | "PutBucketPolicy"
        ) {
            match check_document(request, target.operation).await {
                Ok(request) => request,
                Err(refusal) => return Ok(*refusal),
            }
        } else {
            request.map(Body::http_body)
        };
        // `s3s` logs whole requests, with signatures that are still valid.
        let call = self.s3.call(request).with_subscriber(NoSubscriber::new());
        let answer = call
            .await
            .map_err(Into::<Box<dyn Error + Send + Sync>>::into)?;
        if answer.status() == StatusCode::NOT_MODIFIED {
            let (mut head, _) = answer.into_parts();
            head.headers.remove(header::CONTENT_TYPE);
            head.headers.remove(header::CONTENT_LENGTH);
            return Ok(Response::from_parts(head, full(Bytes::new())));
        }
        Ok(answer.map(BodyExt::boxed_unsync))
    }

    fn cors(&self, target: &Target) -> Option<Vec<cors::Rule>> {
        let bucket = self.store.bucket(target.bucket.as_deref()?).ok()?;
        bucket.config().cors.clone()
    }

    fn preflight(&self, request: &HeaderMap, target: &Target) -> Answer {
        if !request.contains_key(header::ORIGIN)
            || !request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            let message = "a preflight has Origin and Access-Control-Request-Method";
            return error(400, "BadRequest", message, "");
        }
        let rules = self.cors(target).unwrap_or_default();
        let Some(headers) = cors::preflight(&rules, request) else {
            let message = "CORSResponse: no rule of the bucket allows this request";
            return error(403, "AccessForbidden", message, "");
        };
        let mut answer = Response::new(full(Bytes::new()));
        *answer.headers_mut() = headers;
        answer
    }

    /// Says which region is the right one, as AWS does, so that clients can find it.
    fn refuse(&self, refusal: &scope::Refusal) -> Answer {
        let region = &self.region;
        let element = format!("<Region>{region}</Region>");
        let mut answer = error(400, refusal.code, &refusal.message, &element);
        if let Ok(region) = HeaderValue::from_str(region) {
            answer.headers_mut().insert("x-amz-bucket-region", region);
        }
        answer
    }
}

/// Reads an XML or JSON document and checks it against the headers, which `s3s` does for none of
/// these or answers with 500.
async fn check_document(
    request: Request<Received>,
    operation: &str,
) -> Result<Request<Body>, Box<Answer>> {
    let refuse = |code, message: &str| Err(Box::new(error(400, code, message, "")));
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, XML_MOST).collect().await else {
        return refuse("IncompleteBody", "the document ended early or is too long");
    };
    let body = body.to_bytes();
    let claimed = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let hash = claimed("x-amz-content-sha256").unwrap_or_default();
    if hash.len() == 64 && !hash.eq_ignore_ascii_case(&HEXLOWER.encode(&Sha256::digest(&body))) {
        let message = "the body does not have the SHA-256 that x-amz-content-sha256 says";
        return refuse("XAmzContentSHA256Mismatch", message);
    }
    // In aws-chunked form the digests are of the document inside, which `s3s` checks by its signatures.
    if !hash.starts_with("STREAMING-") {
        let mut digests = Digests::new(&Algorithm::ALL);
        digests.update(&body);
        let (md5, checksums) = digests.finish();
        let mut any = false;
        if let Some(sent) = claimed("content-md5") {
            any = true;
            if sent != BASE64.encode(&md5) {
                return refuse(
                    "BadDigest",
                    "the body does not have the MD5 that Content-MD5 says",
                );
            }
        }
        for (name, value) in &checksums {
            if let Some(sent) = claimed(&format!("x-amz-checksum-{name}")) {
                any = true;
                if sent != value {
                    return refuse(
                        "BadDigest",
                        "the body does not have the checksum of its header",
                    );
                }
            }
        }
        if operation == "DeleteObjects" && !any {
            let message = "DeleteObjects needs Content-MD5 or an x-amz-checksum header";
            return refuse("InvalidRequest", message);
        }
    }
    Ok(Request::from_parts(head, Body::from(body)))
}

/// An S3 error document. `more` is XML to go into it.
fn error(status: u16, code: &str, message: &str, more: &str) -> Answer {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>{more}</Error>",
        escape(code),
        escape(message)
    );
    let mut answer = Response::new(full(Bytes::from(xml)));
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static("application/xml");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn full(bytes: Bytes) -> AnswerBody {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}
