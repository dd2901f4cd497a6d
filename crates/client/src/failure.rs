//! Why a request to the service failed, how that is classed for the retry, and which error it is.

use std::time::Duration;

use cidbucket_blockstore::{Error, Report};
use cidbucket_direct::{Code, Encoding, Problem};
use cidbucket_s3::retry::Class;
use cidbucket_s3::transport::TransportError;
use http::{Response, StatusCode, header};

/// Why a request to the service failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    /// What was asked, in one word.
    pub(crate) operation: &'static str,
    /// The block that was meant, where it is one.
    pub(crate) key: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
}

#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// No whole answer.
    Transport(TransportError),
    /// The service said no.
    Refused(Box<Refusal>),
    /// An answer that claims success and makes no sense.
    Unfit(&'static str),
    /// The request cannot be made.
    Own(Error),
}

/// An answer that is no success.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// What the service says; `None` where the answer is none of a service's.
    pub(crate) problem: Option<Problem>,
    /// Whether its type is that of a problem. The answer to a HEAD tells no more.
    pub(crate) is_problem: bool,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(answer: &Response<impl AsRef<[u8]>>) -> Self {
        let header = answer.headers().get(header::RETRY_AFTER);
        let header = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let problem: Option<Problem> = Encoding::Json
            .decode("problem", answer.body().as_ref())
            .ok();
        let seconds = header.or(problem.as_ref().and_then(|problem| problem.retry_after));
        let kind = answer.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| Encoding::of_content_type(kind.to_str().ok()?));
        Self {
            status: answer.status(),
            is_problem: kind == Some(Encoding::Json),
            retry_after: seconds.map(Duration::from_secs),
            problem,
        }
    }

    pub(crate) fn code(&self) -> Option<Code> {
        self.problem.as_ref().map(|problem| problem.code)
    }
}

impl Cause {
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Transport(TransportError::Stale) => Class::Stale,
            Self::Transport(error) if error.is_retryable() => Class::Transient,
            Self::Refused(refusal) => match refusal.status.as_u16() {
                429 => Class::Throttled,
                408 | 500 | 502..=504 | 520..=527 => Class::Transient,
                _ => Class::Fatal,
            },
            Self::Unfit(_) => Class::Transient,
            Self::Transport(_) | Self::Own(_) => Class::Fatal,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Refused(refusal) => match &refusal.problem {
                Some(problem) => write!(f, "status {}: {problem}", refusal.status.as_u16()),
                None => write!(f, "status {}", refusal.status.as_u16()),
            },
            Self::Unfit(what) => f.write_str(what),
            Self::Own(error) => error.fmt(f),
        }
    }
}

impl Failure {
    /// What the service says, where it is a service.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        match &self.cause {
            Cause::Refused(refusal) => refusal.problem.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn code(&self) -> Option<Code> {
        self.problem().map(|problem| problem.code)
    }

    fn report(&self, message: String) -> Report {
        let mut report = Report::new(self.operation, message)
            .with_attempts(self.attempts.max(1))
            .with_elapsed(self.elapsed);
        if let Some(key) = &self.key {
            report = report.with_key(key.clone());
        }
        if let Cause::Refused(refusal) = &self.cause {
            report = report.with_status(refusal.status.as_u16());
            if let Some(code) = refusal.code().and_then(word) {
                report = report.with_code(code);
            }
        }
        report
    }
}

/// The error by meaning.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match &failure.cause {
            Cause::Own(error) => error.clone(),
            Cause::Unfit(what) => Self::Protocol(failure.report((*what).to_owned()).into()),
            Cause::Transport(error) => {
                let report = Box::new(failure.report(format!("the service: {error}")));
                match error {
                    TransportError::Tls(_)
                    | TransportError::Encoding(_)
                    | TransportError::Malformed(_)
                    | TransportError::Framing(_) => Self::Protocol(report),
                    TransportError::TooLarge { .. } => Self::TooLarge(report),
                    TransportError::Request(_) => Self::Invalid(report),
                    _ => Self::Unavailable(report),
                }
            }
            Cause::Refused(refusal) => {
                let (make, message) = meaning(refusal);
                let said = refusal.problem.as_ref().map(|problem| &problem.message);
                let message = match said.filter(|said| !said.is_empty()) {
                    Some(said) => format!("{message}: {}", printable(said)),
                    None => message.to_owned(),
                };
                make(failure.report(message).into())
            }
        }
    }
}

/// Which error a refusal is, and what to tell a person.
fn meaning(refusal: &Refusal) -> (fn(Box<Report>) -> Error, &'static str) {
    let status = refusal.status.as_u16();
    match (status, refusal.code()) {
        (401, _) => (
            Error::Denied,
            "the service does not take the token: it is missing, expired, or not one of this \
             service; set CIDBUCKET_TOKEN to a good one",
        ),
        (_, Some(Code::Quota)) if refusal.retry_after.is_some() => {
            (Error::Throttled, "the token's bytes are used up for now")
        }
        (_, Some(Code::Quota)) => (Error::Denied, "the token's bytes are used up"),
        (403, _) => (Error::Denied, "the token does not allow this"),
        (429, _) => (Error::Throttled, "the service asks to slow down"),
        (_, Some(Code::Corrupt)) => (
            Error::Corrupt,
            "the service received other bytes than were sent",
        ),
        (_, Some(Code::TooLarge)) => (Error::TooLarge, "the service takes nothing so large"),
        (_, Some(Code::Invalid)) => (Error::Invalid, "the service refuses the request"),
        (_, Some(Code::Method | Code::NotDirect)) => {
            (Error::Unsupported, "the service does not do this")
        }
        (_, Some(Code::Incomplete | Code::NoSuchLease)) => {
            (Error::Unavailable, "the upload could not be completed")
        }
        (408 | 500..=599, _) => (Error::Unavailable, "the service failed"),
        (300..=399, _) => (
            Error::Protocol,
            "the service sends us elsewhere; give its own URL",
        ),
        (_, None) => (
            Error::Protocol,
            "not answered in the words of a service; is this its URL?",
        ),
        _ => (Error::Protocol, "the service's answer makes no sense"),
    }
}

/// The code as it is written on the wire.
fn word(code: Code) -> Option<String> {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}

/// Foreign text on one line, and not too much of it.
fn printable(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(500).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str, after: Option<&str>) -> Failure {
        let mut answer = Response::new(body.to_owned());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(after) = after {
            let value = after.parse().unwrap();
            answer.headers_mut().insert(header::RETRY_AFTER, value);
        }
        Failure {
            cause: Cause::Refused(Refusal::new(&answer).into()),
            operation: "reads",
            key: None,
            attempts: 1,
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn refusals_are_sorted_by_meaning() {
        for (status, body, class, retry) in [
            (
                401,
                r#"{"code":"unauthorised","message":"m"}"#,
                "denied",
                Class::Fatal,
            ),
            (401, "<html>", "denied", Class::Fatal),
            (
                403,
                r#"{"code":"denied","message":"m"}"#,
                "denied",
                Class::Fatal,
            ),
            (
                403,
                r#"{"code":"quota","message":"m"}"#,
                "denied",
                Class::Fatal,
            ),
            (
                403,
                r#"{"code":"quota","message":"m","retry_after":60}"#,
                "throttled",
                Class::Fatal,
            ),
            (
                400,
                r#"{"code":"invalid","message":"m"}"#,
                "invalid",
                Class::Fatal,
            ),
            (
                400,
                r#"{"code":"corrupt","message":"m"}"#,
                "corrupt",
                Class::Fatal,
            ),
            (
                413,
                r#"{"code":"too-large","message":"m"}"#,
                "too-large",
                Class::Fatal,
            ),
            (
                429,
                r#"{"code":"rate","message":"m"}"#,
                "throttled",
                Class::Throttled,
            ),
            (
                503,
                r#"{"code":"unavailable","message":"m"}"#,
                "unavailable",
                Class::Transient,
            ),
            (502, "<html>", "unavailable", Class::Transient),
            (404, "<html>", "protocol", Class::Fatal),
            (
                404,
                r#"{"code":"not-found","message":"m"}"#,
                "protocol",
                Class::Fatal,
            ),
            (
                501,
                r#"{"code":"not-direct","message":"m"}"#,
                "unsupported",
                Class::Fatal,
            ),
            (301, "", "protocol", Class::Fatal),
            (
                400,
                r#"{"code":"of-later","message":"m"}"#,
                "protocol",
                Class::Fatal,
            ),
        ] {
            let failure = failure(status, body, None);
            assert_eq!(failure.cause.class(), retry, "{status} {body}");
            let error = Error::from(failure);
            assert_eq!(error.class(), class, "{status} {body}: {error}");
            assert_eq!(error.report().status(), Some(status));
        }
    }

    #[test]
    fn the_header_says_when_to_come_again() {
        let rate = r#"{"code":"rate","message":"a\nb","retry_after":7}"#;
        assert_eq!(
            failure(429, rate, Some("3")).cause.retry_after(),
            Some(Duration::from_secs(3))
        );
        let failure = failure(429, rate, Some("never"));
        assert_eq!(failure.cause.retry_after(), Some(Duration::from_secs(7)));
        let error = Error::from(failure);
        assert_eq!(error.report().code(), Some("rate"));
        assert!(error.to_string().contains("a b"), "{error}");
    }
}
