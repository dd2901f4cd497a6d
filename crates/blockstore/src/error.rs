//! What can go wrong with a block store, by meaning.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The result of a block store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by meaning: match on the variant, print the rest.
///
/// An absent block is not an error: `get` and `size` answer `None`. So no variant here can be
/// mistaken for "not there", and "not there" can never hide a refusal or an outage.
///
/// Errors are cheap to clone: several callers that waited for one request all get its error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not hash to their CID. They were not handed out and not stored.
    #[error("corrupt block: {0}")]
    Corrupt(Box<Report>),
    /// The block is larger than the store's limit.
    #[error("block too large: {0}")]
    TooLarge(Box<Report>),
    /// The request itself cannot be carried out: an unknown or weak hash, a malformed key, a
    /// setting that contradicts another. Repeating it will not help.
    #[error("invalid: {0}")]
    Invalid(Box<Report>),
    /// The store refused: wrong or missing credentials, or no permission.
    #[error("denied: {0}")]
    Denied(Box<Report>),
    /// The store asks to slow down, and kept asking until the retries were used up.
    #[error("throttled: {0}")]
    Throttled(Box<Report>),
    /// The store could not be reached, or failed on its side, until the retries or the deadline
    /// were used up.
    #[error("unavailable: {0}")]
    Unavailable(Box<Report>),
    /// The bucket or folder that should hold the blocks does not exist.
    #[error("no such store: {0}")]
    NoStore(Box<Report>),
    /// A condition set by the caller did not hold (for example `If-None-Match`).
    #[error("conflict: {0}")]
    Conflict(Box<Report>),
    /// The store cannot do this at all.
    #[error("unsupported: {0}")]
    Unsupported(Box<Report>),
    /// The other side's answer makes no sense: not the protocol, cut off, or contradicting itself.
    #[error("protocol error: {0}")]
    Protocol(Box<Report>),
    /// The local disk or operating system failed.
    #[error("i/o error: {0}")]
    Io(Box<Report>),
}

impl Error {
    /// The particulars: operation, key, attempts, request id.
    pub fn report(&self) -> &Report {
        match self {
            Self::Corrupt(r)
            | Self::TooLarge(r)
            | Self::Invalid(r)
            | Self::Denied(r)
            | Self::Throttled(r)
            | Self::Unavailable(r)
            | Self::NoStore(r)
            | Self::Conflict(r)
            | Self::Unsupported(r)
            | Self::Protocol(r)
            | Self::Io(r) => r,
        }
    }

    /// The class as one stable lower-case word, for metrics and `--json`.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Corrupt(_) => "corrupt",
            Self::TooLarge(_) => "too-large",
            Self::Invalid(_) => "invalid",
            Self::Denied(_) => "denied",
            Self::Throttled(_) => "throttled",
            Self::Unavailable(_) => "unavailable",
            Self::NoStore(_) => "no-store",
            Self::Conflict(_) => "conflict",
            Self::Unsupported(_) => "unsupported",
            Self::Protocol(_) => "protocol",
            Self::Io(_) => "io",
        }
    }

    /// Whether the same request may succeed later without anything being changed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled(_) | Self::Unavailable(_))
    }
}

/// The particulars of an [`Error`].
///
/// A report never holds a secret or a signed query: whoever fills it in passes keys, not URLs.
#[derive(Clone)]
pub struct Report {
    operation: Cow<'static, str>,
    message: Cow<'static, str>,
    key: Option<String>,
    code: Option<String>,
    status: Option<u16>,
    request_id: Option<String>,
    attempts: u32,
    elapsed: Option<Duration>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Report {
    /// A report on `operation` (say `GetObject` or `put`) that says what happened and, where a
    /// person can do something about it, what to do.
    pub fn new(
        operation: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            operation: operation.into(),
            message: message.into(),
            key: None,
            code: None,
            status: None,
            request_id: None,
            attempts: 1,
            elapsed: None,
            source: None,
        }
    }

    /// Names the object key, file or CID that the operation was about.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The provider's error code, such as `SlowDown`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The provider's request id, to quote to its support.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// How many times the operation was tried.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How long the operation took, over all attempts.
    #[must_use]
    pub fn with_elapsed(mut self, elapsed: Duration) -> Self {
        self.elapsed = Some(elapsed);
        self
    }

    /// The error underneath.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The operation that failed.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The object key, file or CID.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The provider's error code.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The HTTP status.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The provider's request id.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Number of attempts, at least 1.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Time taken over all attempts, where it was measured.
    pub fn elapsed(&self) -> Option<Duration> {
        self.elapsed
    }

    /// The error underneath, also reachable by [`Report`]'s `std::error::Error::source`.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.source.as_deref()
    }
}

/// One line: operation, key, message, code and status, attempts, request id, cause.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operation)?;
        if let Some(key) = &self.key {
            // Debug quoting keeps a foreign key's control characters off the terminal.
            if key.chars().any(char::is_control) {
                write!(f, " {key:?}")?;
            } else {
                write!(f, " {key}")?;
            }
        }
        write!(f, ": {}", self.message)?;
        let mut notes = Vec::new();
        match (self.status, &self.code) {
            (Some(status), Some(code)) => notes.push(format!("{status} {code}")),
            (Some(status), None) => notes.push(format!("status {status}")),
            (None, Some(code)) => notes.push(code.clone()),
            (None, None) => {}
        }
        if self.attempts > 1 {
            notes.push(format!("{} attempts", self.attempts));
        }
        if let Some(elapsed) = self.elapsed {
            notes.push(format!("{elapsed:.1?}"));
        }
        if let Some(id) = &self.request_id {
            notes.push(format!("request id {id}"));
        }
        if !notes.is_empty() {
            write!(f, " ({})", notes.join(", "))?;
        }
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Report {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_everything_once() {
        let error = Error::Throttled(
            Report::new("PutObject", "the server asks to slow down")
                .with_key("blocks/CIQ")
                .with_code("SlowDown")
                .with_status(503)
                .with_attempts(4)
                .with_request_id("R1")
                .into(),
        );
        assert_eq!(
            error.to_string(),
            "throttled: PutObject blocks/CIQ: the server asks to slow down \
             (503 SlowDown, 4 attempts, request id R1)"
        );
        assert!(error.is_transient());
        assert_eq!(error.class(), "throttled");
    }

    #[test]
    fn control_characters_in_keys_are_quoted() {
        let report = Report::new("ListObjectsV2", "foreign").with_key("a\u{1b}[2Jb");
        assert!(!report.to_string().contains('\u{1b}'));
    }

    #[test]
    fn an_error_is_two_words() {
        assert!(size_of::<Error>() <= 2 * size_of::<usize>());
    }
}
