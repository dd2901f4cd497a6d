//! Why a request is not answered as asked, as its client is told.

use cidbucket_blockstore::Error;
use cidbucket_dag::DagError;
use http::{HeaderValue, Response, StatusCode, header};

use crate::Body;

/// After how many seconds to try again where the store does not answer.
const RETRY: u64 = 2;
/// The same where it asks to slow down.
const RETRY_THROTTLED: u64 = 5;

/// Why a request is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// What happened and what to do, for people. Nothing of the request is repeated in it.
    pub message: String,
    /// After how many seconds it may work.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// A refusal.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Says after how many seconds it may work.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// 400: not understood.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 406: understood, and not to be had here.
    pub(crate) fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, message)
    }

    /// 404: the same words for every reason there may be.
    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "this gateway does not have the block, or the path leads nowhere",
        )
    }

    /// The refusal as an answer: text, which nobody is to keep.
    pub fn answer(self) -> Response<Body> {
        let mut text = self.message;
        text.push('\n');
        let mut answer = Response::new(Body::from(text));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        answer
    }
}

/// A failure of the store. Its particulars go to the log, not to the client.
impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let unavailable = |message| Self::new(StatusCode::SERVICE_UNAVAILABLE, message);
        let fault = |message| Self::new(StatusCode::INTERNAL_SERVER_ERROR, message);
        let refusal = match error {
            Error::Invalid(_) => return Self::bad("the CID is not of a kind that can be stored"),
            Error::TooLarge(_) => fault("the block is above the store's limit"),
            Error::Corrupt(_) => fault("the stored bytes are not those of the block"),
            Error::Throttled(_) => {
                unavailable("the store asks to slow down").after(RETRY_THROTTLED)
            }
            Error::Unavailable(_) => unavailable("the store does not answer").after(RETRY),
            _ => fault("the store failed"),
        };
        tracing::warn!(%error, "the store failed");
        refusal
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

/// A DAG that cannot be read: the path-gateway specification has 404 for what is missing and 400 for
/// what cannot be understood.
impl From<DagError> for Refusal {
    fn from(error: DagError) -> Self {
        match error {
            DagError::Store(error) => Self::from(&error),
            DagError::Missing { .. } | DagError::NoLink { .. } | DagError::NotADirectory { .. } => {
                Self::not_found()
            }
            DagError::Malformed { .. } => Self::bad("a block on the way is not valid"),
            DagError::UnknownCodec { .. } => {
                Self::bad("the codec is not one whose links are known; ask for ?format=raw")
            }
            DagError::NotAFile { .. } => {
                Self::not_acceptable("this is no file: ask for ?format=raw or ?format=car")
            }
            DagError::Limit { .. } => {
                Self::bad("the path or the DAG goes deeper than this gateway follows")
            }
            DagError::Invalid(_) => Self::bad("the request cannot be understood"),
            error => {
                tracing::warn!(%error, "a DAG cannot be read");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the DAG cannot be read")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::{Block, Report};

    use super::*;

    #[test]
    fn only_faults_are_server_errors() {
        let cid = *Block::raw("x").cid();
        let report = || Box::new(Report::new("get", "secret"));
        for (error, status, retry) in [
            (DagError::Missing { cid, parent: None }, 404, None),
            (
                DagError::NoLink {
                    cid,
                    segment: "a".into(),
                },
                404,
                None,
            ),
            (DagError::UnknownCodec { cid, code: 1 }, 400, None),
            (Error::Throttled(report()).into(), 503, Some(5)),
            (Error::Unavailable(report()).into(), 503, Some(2)),
            (Error::Corrupt(report()).into(), 500, None),
            (Error::Denied(report()).into(), 500, None),
        ] {
            let refusal = Refusal::from(error);
            assert_eq!(
                (refusal.status.as_u16(), refusal.retry_after),
                (status, retry)
            );
            assert!(!refusal.message.contains("secret"));
        }
    }
}
