//! One small exchange with a service that hands out credentials.

use std::time::Duration;

use bytes::Bytes;
use cidbucket_blockstore::{Error, Report};
use http::{Request, Response, StatusCode};
use tokio::time::{Instant, sleep};

use crate::transport::{HttpClient, TransportError};

/// Sends a request up to `attempts` times, each for at most `patience`. An answer that says "not
/// now" (429, 5xx) is tried again like a lost connection, and is the answer when tries run out.
pub(super) async fn fetch(
    http: &HttpClient,
    request: &Request<Bytes>,
    patience: Duration,
    attempts: u32,
) -> Result<Response<Bytes>, TransportError> {
    let mut attempt = 1;
    loop {
        let result = http.send(request.clone(), Instant::now() + patience).await;
        let again = match &result {
            Ok(answer) => {
                answer.status() == StatusCode::TOO_MANY_REQUESTS
                    || answer.status().is_server_error()
            }
            Err(error) => error.is_retryable() || matches!(error, TransportError::Deadline),
        };
        if !again || attempt >= attempts {
            return result;
        }
        sleep(Duration::from_millis(100) * 2_u32.pow(attempt.min(5) - 1)).await;
        attempt += 1;
    }
}

/// The error for a service that gave no answer.
pub(super) fn unreachable(service: &str, error: &TransportError) -> Error {
    let report = Report::new("find credentials", format!("no answer from the {service}"))
        .with_source(error.clone());
    match error {
        // Waiting will not change a certificate or an address.
        TransportError::Tls(_) => Error::Protocol(report.into()),
        TransportError::Request(_) => Error::Invalid(report.into()),
        _ => Error::Unavailable(report.into()),
    }
}

/// The error for an answer that is none of success. Its body is not quoted: it may hold secrets.
pub(super) fn refused(service: &str, status: StatusCode, code: Option<&str>) -> Error {
    let mut report = Report::new(
        "find credentials",
        format!("the {service} gave no credentials"),
    )
    .with_status(status.as_u16());
    if let Some(code) = code {
        report = report.with_code(code);
    }
    match status {
        StatusCode::TOO_MANY_REQUESTS => Error::Throttled(report.into()),
        status if status.is_server_error() => Error::Unavailable(report.into()),
        _ => Error::Denied(report.into()),
    }
}

/// The error for an answer that cannot be read.
pub(super) fn senseless(service: &str, what: &str) -> Error {
    Error::Protocol(
        Report::new(
            "find credentials",
            format!("the {service}'s answer cannot be read: {what}"),
        )
        .into(),
    )
}
