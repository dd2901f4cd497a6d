//! Why an attempt failed, how that is classed for the retry, and which error it becomes.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use cidbucket_blockstore::{Error, Report};
use http::header::AsHeaderName;
use http::{HeaderMap, Method, Response, StatusCode, header};

use crate::date;
use crate::operation::Operation;
use crate::retry::{Class, Reason};
use crate::transport::TransportError;
use crate::xml::{ErrorBody, parse_error};

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Cause {
    /// No whole answer.
    Transport(TransportError),
    /// S3, or something in its place, said no.
    Refused(Box<Refusal>),
    /// An answer that claims success and makes no sense.
    Unfit(Cow<'static, str>),
    /// The credentials could not be had, or the request cannot be signed with them.
    Own(Error),
}

/// What a refusing answer says.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// S3's own words; default where the answer was none of S3's.
    pub(crate) body: ErrorBody,
    pub(crate) is_head: bool,
    pub(crate) empty_body: bool,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) date: Option<SystemTime>,
}

impl Refusal {
    pub(crate) fn new(method: &Method, answer: &Response<impl AsRef<[u8]>>) -> Self {
        let headers = answer.headers();
        let bytes = answer.body().as_ref();
        let mut body = parse_error(bytes).unwrap_or_default();
        if body.request_id.is_none() {
            body.request_id = request_id(headers);
        }
        if let Some(region) = text(headers, "x-amz-bucket-region") {
            body.region = Some(region.to_owned());
        }
        // Ceph and Swift tell a code in HEAD answers too, in a header of their own; nobody else.
        Self {
            status: answer.status().as_u16(),
            body,
            is_head: *method == Method::HEAD,
            empty_body: bytes.is_empty(),
            retry_after: text(headers, header::RETRY_AFTER.as_str()).and_then(retry_after),
            date: text(headers, header::DATE.as_str()).and_then(date::from_http),
        }
    }

    /// An error body within an answer that claims success.
    pub(crate) fn within_success(body: ErrorBody) -> Self {
        Self {
            status: 200,
            body,
            ..Self::default()
        }
    }

    pub(crate) fn code(&self) -> &str {
        &self.body.code
    }

    /// Whether it is said, in S3's words, that the object is not there.
    pub(crate) fn no_such_key(&self) -> bool {
        self.status == 404
            && matches!(
                self.code(),
                "NoSuchKey" | "NoSuchObject" | "NoSuchVersion" | "NotFound" | "KeyNotFound"
            )
    }

    /// Whether something is not there, and it is not said what. A web page is another matter: it
    /// does not come from S3.
    pub(crate) fn not_found_in_silence(&self) -> bool {
        self.status == 404 && self.code().is_empty() && (self.is_head || self.empty_body)
    }

    /// Whether the credentials ran out. The answer to a HEAD cannot say so, it is a bare 400.
    pub(crate) fn expired(&self) -> bool {
        matches!(
            self.code(),
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired"
        ) || (self.is_head && self.status == 400)
    }

    /// Whether the request was signed for another region, or sent to the wrong host.
    pub(crate) fn wrong_place(&self) -> bool {
        matches!(self.status, 301 | 302 | 307 | 308)
            || matches!(
                self.code(),
                "AuthorizationHeaderMalformed"
                    | "PermanentRedirect"
                    | "TemporaryRedirect"
                    | "IllegalLocationConstraintException"
            )
            || (self.is_head && self.status == 400)
    }

    /// Whether our clock may be what is wrong.
    pub(crate) fn names_the_clock(&self) -> bool {
        matches!(self.code(), "RequestTimeTooSkewed" | "RequestExpired")
    }

    pub(crate) fn class(&self) -> Class {
        match self.code() {
            "SlowDown"
            | "SlowDownRead"
            | "SlowDownWrite"
            | "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequests"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "PriorRequestNotComplete" => Class::Throttled,
            "RequestTimeout"
            | "RequestTimeoutException"
            | "InternalError"
            | "InternalFailure"
            | "ServiceUnavailable"
            | "ConditionalRequestConflict"
            | "OperationAborted"
            | "IncompleteBody" => Class::Transient,
            // The bytes arrived otherwise than they were signed: sent again, they may not.
            _ if self.bad_digest() => Class::Transient,
            "NotImplemented" => Class::Fatal,
            _ => match self.status {
                429 => Class::Throttled,
                408 | 500 | 502 | 503 | 504 | 509 | 520..=527 | 598 | 599 => Class::Transient,
                _ => Class::Fatal,
            },
        }
    }

    /// Whether the server found other bytes than were signed.
    pub(crate) fn bad_digest(&self) -> bool {
        matches!(
            self.code(),
            "BadDigest"
                | "InvalidDigest"
                | "XAmzContentSHA256Mismatch"
                | "XAmzContentChecksumMismatch"
        )
    }

    /// Whether the server may have done what was asked in spite of this answer.
    fn carried_out(&self) -> bool {
        self.status == 200 || (self.status >= 500 && self.class() == Class::Transient)
    }
}

impl Cause {
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Transport(TransportError::Stale) => Class::Stale,
            Self::Transport(error) if error.is_retryable() => Class::Transient,
            Self::Refused(refusal) => refusal.class(),
            Self::Unfit(_) => Class::Transient,
            Self::Transport(_) | Self::Own(_) => Class::Fatal,
        }
    }

    /// Whether the server may have done what was asked.
    pub(crate) fn carried_out(&self) -> bool {
        match self {
            Self::Transport(error) => !matches!(
                error,
                TransportError::Connect(_)
                    | TransportError::ConnectTimeout(_)
                    | TransportError::Tls(_)
                    | TransportError::Request(_)
            ),
            Self::Refused(refusal) => refusal.carried_out(),
            Self::Unfit(_) => true,
            Self::Own(_) => false,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Refused(refusal) => {
                write!(f, "status {} {}", refusal.status, refusal.code())
            }
            Self::Unfit(what) => f.write_str(what),
            Self::Own(error) => error.fmt(f),
        }
    }
}

/// An operation that failed for good.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) operation: Operation,
    pub(crate) key: String,
    pub(crate) cause: Cause,
    pub(crate) reason: Reason,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    /// What failed before, where the last attempt was only cut short by the deadline.
    pub(crate) before: Option<String>,
}

impl Failed {
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match &self.cause {
            Cause::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.refusal().map_or(0, |refusal| refusal.status)
    }

    /// The error by meaning.
    pub(crate) fn into_error(self) -> Error {
        let why = match self.reason {
            Reason::Budget => "; too many requests fail to try again",
            Reason::Deadline => "; no time is left to try again",
            Reason::NotIdempotent => {
                "; it may have been carried out, and cannot be tried again safely"
            }
            Reason::Fatal | Reason::Attempts => "",
        };
        let report = |message: String| {
            let mut message = message + why;
            if let Some(before) = &self.before {
                message = format!("{message}; before that: {before}");
            }
            let report = Report::new(self.operation.name(), message)
                .with_attempts(self.attempts.max(1))
                .with_elapsed(self.elapsed);
            if self.key.is_empty() {
                report
            } else {
                report.with_key(self.key.clone())
            }
        };
        match self.cause {
            Cause::Own(error) => error,
            Cause::Unfit(ref what) => Error::Protocol(report(what.to_string()).into()),
            Cause::Transport(ref error) => {
                let report = Box::new(report(error.to_string()));
                match error {
                    TransportError::Tls(_)
                    | TransportError::Encoding(_)
                    | TransportError::Malformed(_)
                    | TransportError::Framing(_) => Error::Protocol(report),
                    TransportError::TooLarge { .. } => Error::TooLarge(report),
                    TransportError::Request(_) => Error::Invalid(report),
                    _ => Error::Unavailable(report),
                }
            }
            Cause::Refused(ref refusal) => {
                let (make, message) = meaning(refusal);
                let said = refusal.body.message.as_deref().unwrap_or_default();
                let message = if said.is_empty() {
                    message.to_owned()
                } else {
                    format!("{message}: {said}")
                };
                let mut report = report(message).with_status(refusal.status);
                if !refusal.code().is_empty() {
                    report = report.with_code(refusal.code());
                }
                if let Some(id) = &refusal.body.request_id {
                    report = report.with_request_id(id);
                }
                make(report.into())
            }
        }
    }
}

/// Which error a refusal is, and what to tell a person.
fn meaning(refusal: &Refusal) -> (fn(Box<Report>) -> Error, &'static str) {
    let class = refusal.class();
    match (refusal.status, refusal.code()) {
        (_, "NoSuchBucket") => (
            Error::NoStore,
            "there is no such bucket; check its name, the endpoint and the region",
        ),
        _ if class == Class::Throttled => (Error::Throttled, "the server asks to slow down"),
        _ if refusal.bad_digest() => (
            Error::Corrupt,
            "the server received other bytes than were sent",
        ),
        _ if class == Class::Transient => (Error::Unavailable, "the server failed"),
        _ if refusal.names_the_clock() => (
            Error::Denied,
            "the clocks of this machine and the server differ too much",
        ),
        (_, "SignatureDoesNotMatch") => (
            Error::Denied,
            "the signature does not match; check the secret key, and that no proxy changes requests",
        ),
        (_, "InvalidAccessKeyId" | "InvalidToken" | "ExpiredToken") => {
            (Error::Denied, "the credentials are not valid")
        }
        _ if refusal.wrong_place() && !(refusal.is_head && refusal.status == 400) => (
            Error::Invalid,
            "the bucket is in another region or at another endpoint; set region and endpoint to it",
        ),
        (401 | 403, _) | (_, "AccessDenied" | "AllAccessDisabled") => (
            Error::Denied,
            "the server refuses access; check the credentials and their permissions",
        ),
        (404, "") => (
            Error::Protocol,
            "not found, but not in the words of S3; is this an S3 endpoint?",
        ),
        (404, _) => (Error::NoStore, "not found"),
        (409 | 412, _) => (Error::Conflict, "a condition of the request did not hold"),
        (405 | 501, _) | (_, "NotImplemented" | "MethodNotAllowed") => {
            (Error::Unsupported, "the server does not support this")
        }
        (413, _) | (_, "EntityTooLarge") => {
            (Error::TooLarge, "the server takes no object so large")
        }
        (400..=499, "") => (
            Error::Protocol,
            "refused, but not in the words of S3; is this an S3 endpoint?",
        ),
        (400..=499, _) => (Error::Invalid, "the server refuses the request"),
        (500..=599, _) => (Error::Unavailable, "the server failed"),
        _ => (Error::Protocol, "the answer makes no sense"),
    }
}

/// Text of a header.
pub(crate) fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = text(headers, "x-amz-request-id")?;
    let sane = id.len() <= 200 && id.bytes().all(|b| b.is_ascii_graphic());
    sane.then(|| id.to_owned())
}

/// `Retry-After` in its form of seconds. The form with a date needs two clocks that agree.
fn retry_after(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

/// An answer that claims success and is not what was asked for.
pub(crate) fn unfit(what: impl Into<Cow<'static, str>>) -> Cause {
    Cause::Unfit(what.into())
}

/// Refuses what surely does not come from S3: the sign-in page of a network, which answers for
/// every host and every request. S3's own answers have headers that no such page has.
pub(crate) fn not_a_web_page<B>(answer: &Response<B>) -> Result<(), Cause> {
    let headers = answer.headers();
    let is_page = text(headers, header::CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.trim_start().as_bytes();
        kind.len() >= 9 && kind[..9].eq_ignore_ascii_case(b"text/html")
    });
    if is_page && !headers.contains_key(header::ETAG) && !headers.contains_key("x-amz-request-id") {
        return Err(unfit("a web page in place of S3's answer"));
    }
    Ok(())
}

/// Refuses an error in an answer that claims success.
pub(crate) fn no_error_within(answer: &Response<bytes::Bytes>) -> Result<(), Cause> {
    if answer.body().is_empty() {
        return Ok(());
    }
    match parse_error(answer.body()) {
        Some(body) => Err(Cause::Refused(Box::new(Refusal::within_success(body)))),
        None => Ok(()),
    }
}

/// Whether a status is one that S3 answers success with.
pub(crate) fn is_success(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 204 | 206)
}
