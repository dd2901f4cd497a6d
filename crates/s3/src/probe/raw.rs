//! Single requests as a probe needs them: right or wrong on purpose, and every answer an answer.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cidbucket_blockstore::{Block, Error, Report, Result};
use cidbucket_presign::{Bucket, Grant};
use cidbucket_sigv4::{Payload, Request as ToSign, Signer, Timestamp, encode_path, encode_query};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::S3Client;
use crate::transport::TransportError;
use crate::xml::parse_error;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// A probe must not take a busy server's "not now" for a finding.
const ATTEMPTS: u32 = 4;

/// Sends single requests under the probe's own folder.
pub(super) struct Raw {
    pub(super) client: S3Client,
    pub(super) signer: Arc<Signer>,
    pub(super) bucket: Bucket,
    /// The probe's folder, with a slash at its end.
    pub(super) folder: String,
    /// Every key that a request of ours may have made.
    touched: Mutex<Vec<String>>,
    /// The status with which a missing key is answered: 404, or 403 without `ListBucket`.
    missing: Mutex<StatusCode>,
}

/// One request to the bucket.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) key: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: Bytes,
    /// `None`: not signed at all.
    pub(super) payload: Option<Payload>,
}

impl<'a> Ask<'a> {
    pub(super) fn get(key: &'a str) -> Self {
        Self {
            method: Method::GET,
            key,
            query: &[],
            headers: &[],
            body: Bytes::new(),
            payload: Some(Payload::Empty),
        }
    }

    /// A put that is signed for the body it has.
    pub(super) fn put(key: &'a str, body: &Bytes) -> Self {
        Self {
            method: Method::PUT,
            body: body.clone(),
            payload: Some(Payload::Sha256(Block::raw(body.clone()).sha256())),
            ..Self::get(key)
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn ok(&self) -> bool {
        self.status.is_success()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the list in a header has `item`, in whichever case, or is for all.
    pub(super) fn names(&self, header: &str, item: &str) -> bool {
        self.headers
            .get_all(header)
            .iter()
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .any(|has| has == "*" || has.eq_ignore_ascii_case(item))
    }
}

/// Status and S3's code: `403 AccessDenied`.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        match parse_error(&self.body) {
            Some(error) if !error.code.is_empty() => write!(f, " {}", error.code),
            _ => Ok(()),
        }
    }
}

/// What lies under a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing.
    Nothing,
    /// These bytes.
    Object(Bytes),
    /// It could not be seen, for this reason.
    Unclear(String),
}

impl Raw {
    pub(super) fn new(client: S3Client, signer: Arc<Signer>, folder: String) -> Self {
        Self {
            bucket: client.bucket(),
            client,
            signer,
            folder,
            touched: Mutex::default(),
            missing: Mutex::new(StatusCode::NOT_FOUND),
        }
    }

    /// A key of the probe's folder that nothing was ever written to.
    pub(super) fn fresh_key(&self) -> String {
        format!("{}{}", self.folder, random_name())
    }

    /// Sends a request.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer> {
        if ask.method == Method::PUT && !ask.key.is_empty() {
            self.touched.lock().push(ask.key.to_owned());
        }
        let path = self.bucket.path(ask.key);
        let mut url = format!(
            "{}://{}{}",
            self.bucket.scheme(),
            self.bucket.host(),
            encode_path(&path)
        );
        if !ask.query.is_empty() {
            url.push('?');
            url.push_str(&encode_query(ask.query));
        }
        let mut headers = vec![("host", self.bucket.host())];
        headers.extend_from_slice(ask.headers);
        if self.client.config().requester_pays {
            headers.push(("x-amz-request-payer", "requester"));
        }
        let mut attempt = 1;
        loop {
            let mut request = Request::new(ask.body.clone());
            *request.method_mut() = ask.method.clone();
            *request.uri_mut() = url.parse().map_err(|_| invalid("the key makes no URL"))?;
            for (name, value) in &headers {
                put_header(request.headers_mut(), name, value)?;
            }
            if let Some(payload) = ask.payload {
                let to_sign = ToSign {
                    method: ask.method.as_str(),
                    path: &path,
                    query: ask.query,
                    headers: &headers,
                };
                let signed = self
                    .signer
                    .sign(&to_sign, payload, Timestamp::from(self.client.now()))
                    .map_err(|error| invalid(error.to_string()))?;
                for (name, value) in signed.iter() {
                    put_header(request.headers_mut(), name, value)?;
                }
            }
            match self.send(request, attempt).await {
                Some(result) => return result,
                None => attempt += 1,
            }
        }
    }

    /// Uses a write grant for `body`, and leaves out one of its headers if asked to.
    pub(super) async fn use_grant(
        &self,
        grant: &Grant,
        key: &str,
        body: &Bytes,
        leave_out: Option<&str>,
    ) -> Result<Answer> {
        self.touched.lock().push(key.to_owned());
        let mut attempt = 1;
        loop {
            let mut request = Request::new(body.clone());
            *request.method_mut() = Method::PUT;
            *request.uri_mut() = grant
                .url
                .parse()
                .map_err(|_| invalid("the grant has no valid URL"))?;
            for (name, value) in &grant.headers {
                // The length is that of the body, whatever was granted: that is the trial.
                if name != "host" && name != "content-length" && Some(name.as_str()) != leave_out {
                    put_header(request.headers_mut(), name, value)?;
                }
            }
            match self.send(request, attempt).await {
                Some(result) => return result,
                None => attempt += 1,
            }
        }
    }

    /// Sends once; `None` where it should be sent again.
    async fn send(&self, request: Request<Bytes>, attempt: u32) -> Option<Result<Answer>> {
        let last = attempt >= ATTEMPTS;
        let result = self
            .client
            .http()
            .send(request, Instant::now() + PATIENCE)
            .await;
        let again = match &result {
            Ok(answer) => matches!(answer.status().as_u16(), 429 | 502 | 503 | 504),
            Err(error) => error.is_retryable(),
        };
        if again && !last {
            sleep(Duration::from_millis(100) * 3_u32.pow(attempt - 1)).await;
            return None;
        }
        Some(match result {
            Ok(answer) => {
                let (parts, body) = answer.into_parts();
                Ok(Answer {
                    status: parts.status,
                    headers: parts.headers,
                    body,
                })
            }
            Err(error) => Err(lost(error)),
        })
    }

    /// Looks what lies under `key`.
    pub(super) async fn look(&self, key: &str) -> Seen {
        match self.ask(&Ask::get(key)).await {
            Ok(answer) if answer.ok() => Seen::Object(answer.body),
            Ok(answer) if answer.status == *self.missing.lock() => Seen::Nothing,
            Ok(answer) => Seen::Unclear(format!("reading back was answered {answer}")),
            Err(error) => Seen::Unclear(error.to_string()),
        }
    }

    /// Finds out how a missing key is answered.
    pub(super) async fn calibrate(&self) -> Result<StatusCode> {
        let answer = self.ask(&Ask::get(&self.fresh_key())).await?;
        if matches!(answer.status.as_u16(), 403 | 404) {
            *self.missing.lock() = answer.status;
        }
        Ok(answer.status)
    }

    /// Says that `key` may exist, so that it is removed in the end.
    pub(super) fn touch(&self, key: &str) {
        self.touched.lock().push(key.to_owned());
    }

    pub(super) fn touched(&self) -> Vec<String> {
        let mut keys = self.touched.lock().clone();
        keys.sort();
        keys.dedup();
        keys
    }
}

fn put_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<()> {
    let (Ok(name), Ok(mut value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value))
    else {
        return Err(invalid(format!("{name} is not valid in a header")));
    };
    value.set_sensitive(name == "authorization" || name == "x-amz-security-token");
    headers.insert(name, value);
    Ok(())
}

pub(super) fn random_name() -> String {
    format!("{:016x}", RandomState::new().hash_one(0_u8))
}

/// Random bytes: nobody has this block, so nothing that lies there is anybody else's.
pub(super) fn random_bytes(len: usize) -> Bytes {
    let random = RandomState::new();
    let words = (0_u64..).map(|n| random.hash_one(n).to_le_bytes());
    words.flatten().take(len).collect::<Vec<u8>>().into()
}

fn lost(error: TransportError) -> Error {
    Error::Unavailable(Report::new("probe", "no answer").with_source(error).into())
}

fn invalid(message: impl Into<String>) -> Error {
    Error::Invalid(Report::new("probe", message.into()).into())
}
