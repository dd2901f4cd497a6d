//! Why a request got no answer, or not a whole one.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why an HTTP request got no usable answer.
///
/// An answer with an error status is an answer, not a `TransportError`.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection came about: name not resolved, refused, unreachable.
    #[error("could not connect: {}", chain(&**.0))]
    Connect(Arc<dyn StdError + Send + Sync>),
    /// No connection came about within this time.
    #[error("could not connect within {0:.1?}")]
    ConnectTimeout(Duration),
    /// The TLS handshake failed: a certificate that does not check, or no TLS at all. Trying again
    /// will not help, and there is no fall-back to less.
    #[error("TLS handshake failed: {}", chain(&**.0))]
    Tls(Arc<dyn StdError + Send + Sync>),
    /// A kept-alive connection had been closed by the server before the request got anywhere.
    #[error("the kept-alive connection was closed")]
    Stale,
    /// The connection broke before the head of the answer was complete.
    #[error("connection lost before the answer: {0}")]
    Lost(#[source] Arc<hyper::Error>),
    /// No answer began within this time after the request was sent.
    #[error("no answer within {0:.1?}")]
    NoAnswer(Duration),
    /// The body came slower than the minimum rate.
    #[error("the body stalled after {0} bytes")]
    Stalled(u64),
    /// The operation's own deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// The connection broke within the body, or the body was shorter than declared.
    #[error("the body was cut off after {read} bytes: {source}")]
    Short {
        /// Bytes received.
        read: u64,
        /// What hyper says of it.
        source: Arc<hyper::Error>,
    },
    /// The body is, or is declared, larger than the caller takes. It was not read.
    #[error("the body is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// The size declared by `Content-Length`.
        declared: Option<u64>,
    },
    /// The answer carries a `Content-Encoding` that was not asked for.
    #[error("the answer has an unwanted content-encoding {0:?}")]
    Encoding(String),
    /// What came back is not HTTP/1.1.
    #[error("not an HTTP answer: {0}")]
    Malformed(#[source] Arc<hyper::Error>),
    /// The framing of the answer contradicts itself.
    #[error("contradictory answer: {0}")]
    Framing(&'static str),
    /// The request itself cannot be sent.
    #[error("cannot send this request: {0}")]
    Request(&'static str),
}

impl TransportError {
    /// Sorts a failed connection attempt.
    pub(super) fn connecting(error: Box<dyn StdError + Send + Sync>) -> Self {
        let error: Arc<dyn StdError + Send + Sync> = error.into();
        if is_tls(&*error) {
            Self::Tls(error)
        } else {
            Self::Connect(error)
        }
    }

    /// Sorts a failure before the head of the answer. `reused`: the connection had served before.
    pub(super) fn before_answer(error: hyper::Error, reused: bool) -> Self {
        if error.is_parse() {
            Self::Malformed(Arc::new(error))
        } else if reused {
            Self::Stale
        } else {
            Self::Lost(Arc::new(error))
        }
    }

    /// Whether the same request may succeed when sent again on a new connection.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::ConnectTimeout(_)
            | Self::Stale
            | Self::Lost(_)
            | Self::NoAnswer(_)
            | Self::Stalled(_)
            | Self::Short { .. }
            | Self::Encoding(_)
            | Self::Malformed(_)
            | Self::Framing(_) => true,
            Self::Tls(_) | Self::Deadline | Self::TooLarge { .. } | Self::Request(_) => false,
        }
    }
}

/// Whether rustls refused. An I/O error during the handshake is none of these.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        // An `io::Error` leaves out its own payload when asked for its source.
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    false
}

/// An error and all that is under it, as one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        next = error.source();
    }
    text
}
