//! `DeleteObjects`.

use bytes::Bytes;
use cidbucket_blockstore::{Error, Report, Result};
use cidbucket_sigv4::Payload;
use data_encoding::BASE64;
use md5::Digest;

use super::{Call, Operation};
use crate::S3Client;
use crate::failure::{Cause, Refusal, no_error_within, unfit};
use crate::xml::{DeleteResult, ErrorBody, parse_delete_result, write_delete};

/// Most keys of one request.
pub const MAX_DELETE: usize = 1000;

impl S3Client {
    /// Deletes up to [`MAX_DELETE`] objects with one request; a result for each key, in order.
    /// Keys that are not there count as deleted.
    ///
    /// # Errors
    /// Where the request as a whole failed. `Unsupported` where the server has no such operation:
    /// delete one by one then.
    pub async fn delete_objects(&self, keys: &[&str]) -> Result<Vec<Result<()>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        if keys.len() > MAX_DELETE {
            return Err(Error::Invalid(
                Report::new(
                    Operation::DeleteObjects.name(),
                    format!(
                        "{} keys, at most {MAX_DELETE} go into one request",
                        keys.len()
                    ),
                )
                .into(),
            ));
        }
        let body = Bytes::from(write_delete(keys.iter().copied()));
        // Asked for by S3, and the only form that all servers take.
        let md5 = BASE64.encode(&md5::Md5::digest(&body));
        let sha256 = cidbucket_blockstore::Block::raw(body.clone()).sha256();
        let call = Call {
            query: &[("delete", "")],
            headers: &[("content-md5", &md5), ("content-type", "application/xml")],
            body,
            payload: Payload::Sha256(sha256),
            ..Call::new(Operation::DeleteObjects, "")
        };
        let result = self
            .call(&call, |answer| {
                no_error_within(&answer)?;
                let result =
                    parse_delete_result(answer.body()).map_err(|error| unfit(error.to_string()))?;
                check_complete(keys, &result)?;
                Ok(result)
            })
            .await
            .map_err(|failed| failed.into_error())?;
        let failed: std::collections::HashMap<&str, &crate::xml::DeleteFailure> = result
            .failed
            .iter()
            .filter(|failure| !matches!(failure.code.as_str(), "NoSuchKey" | "NotFound"))
            .map(|failure| (failure.key.as_str(), failure))
            .collect();
        Ok(keys
            .iter()
            .map(|key| match failed.get(key) {
                None => Ok(()),
                Some(failure) => Err(single(key, &failure.code, &failure.message)),
            })
            .collect())
    }
}

/// Every key must have an answer, or it is not known what became of it.
fn check_complete(keys: &[&str], result: &DeleteResult) -> Result<(), Cause> {
    let answered: std::collections::HashSet<&str> = result
        .deleted
        .iter()
        .map(String::as_str)
        .chain(result.failed.iter().map(|failure| failure.key.as_str()))
        .collect();
    if keys.iter().all(|key| answered.contains(key)) {
        Ok(())
    } else {
        Err(unfit("the answer leaves out some of the keys"))
    }
}

/// The error of one key, classed as if it had been deleted alone.
fn single(key: &str, code: &str, message: &str) -> Error {
    let status = match code {
        "AccessDenied" => 403,
        "SlowDown" => 503,
        "NotImplemented" => 501,
        _ => 500,
    };
    crate::failure::Failed {
        operation: Operation::DeleteObjects,
        key: key.to_owned(),
        cause: Cause::Refused(Box::new(Refusal {
            status,
            body: ErrorBody {
                code: code.to_owned(),
                message: (!message.is_empty()).then(|| message.to_owned()),
                ..ErrorBody::default()
            },
            ..Refusal::default()
        })),
        reason: crate::retry::Reason::Fatal,
        attempts: 1,
        elapsed: std::time::Duration::ZERO,
        before: None,
    }
    .into_error()
}
