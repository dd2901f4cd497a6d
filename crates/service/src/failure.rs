//! What goes wrong in the store, as the client is told.

use cidbucket_access::Refused;
use cidbucket_blockstore::Error;
use cidbucket_direct::{Code, Problem};
use cidbucket_records::{LeaseError, LedgerError};

/// After how many seconds to try again where S3 does not answer.
pub(crate) const RETRY: u64 = 2;
/// The same where it asks to slow down.
const RETRY_THROTTLED: u64 = 5;

/// A failure of the store. The client is told its class; the particulars (keys, S3's own words) go to
/// the log.
pub(crate) fn store(error: &Error) -> Problem {
    let unavailable = |message| Problem::new(Code::Unavailable, message);
    let problem = match error {
        Error::Invalid(_) => Problem::new(Code::Invalid, "the store cannot do this as asked"),
        Error::TooLarge(_) => Problem::new(Code::TooLarge, "the block is above the store's limit"),
        Error::Corrupt(_) => unavailable("the stored bytes are not those of the block"),
        Error::Throttled(_) => unavailable("the store asks to slow down").after(RETRY_THROTTLED),
        Error::Unavailable(_) => unavailable("the store does not answer").after(RETRY),
        Error::Denied(_) => unavailable("the store refuses the service's own request"),
        Error::NoStore(_) => unavailable("the bucket or folder of the store is not there"),
        Error::Io(_) => unavailable("the store's disk failed"),
        _ => unavailable("the store failed"),
    };
    if problem.code == Code::Unavailable {
        tracing::warn!(%error, "the store failed");
    } else {
        tracing::debug!(%error, "the store refused");
    }
    problem
}

/// A token that is not good.
pub(crate) fn refused(refused: &Refused) -> Problem {
    match refused {
        Refused::Unavailable(source) => {
            tracing::warn!(error = %source, "it cannot be told whether a token is good");
            Problem::new(Code::Unavailable, refused.to_string()).after(RETRY)
        }
        refused => Problem::new(Code::Unauthorised, refused.to_string()),
    }
}

/// A lease that was not opened, found or completed.
pub(crate) fn lease(error: &LeaseError) -> Problem {
    match error {
        LeaseError::Store(error) => store(error),
        LeaseError::Late => Problem::new(
            Code::Unavailable,
            "the store took too long to keep the lease",
        )
        .after(RETRY),
        _ => no_such_lease(),
    }
}

/// No such lease, or one that is another's.
pub(crate) fn no_such_lease() -> Problem {
    Problem::new(
        Code::NoSuchLease,
        "this token has no such lease, or it ended: ask for grants again",
    )
}

/// Bytes that were not reserved.
pub(crate) fn quota(error: &LedgerError) -> Problem {
    match error {
        LedgerError::Exceeded(exceeded) => {
            let problem = Problem::new(Code::Quota, "it would exceed the token's bytes");
            match exceeded.retry_after {
                Some(after) => problem.after(after.as_secs().max(1)),
                None => problem,
            }
        }
        LedgerError::Unsupported => no_quotas(),
        LedgerError::Unavailable(error) => store(error),
        _ => Problem::new(Code::Unavailable, "the quota cannot be counted").after(RETRY),
    }
}

/// The token has a limit that this store cannot keep.
pub(crate) fn no_quotas() -> Problem {
    Problem::new(
        Code::Denied,
        "the token limits bytes, and this store cannot count them: that takes a bucket with \
         conditional writes",
    )
}

/// An absent block: the same words for every reason there may be.
pub(crate) fn not_found() -> Problem {
    Problem::new(Code::NotFound, "no such block")
}
