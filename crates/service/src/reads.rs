//! Grants to read. Pure: from a request's body to the answer's.

use cidbucket_access::Capability;
use cidbucket_blockstore::{Cid, Hash};
use cidbucket_direct::{Code, Encoding, Limits, Problem, Reads};
use cidbucket_presign::{Granter, Method, Read, Timestamp};

use crate::failure;

/// Grants what a body asks for; the answer's body, and for how many blocks.
pub(crate) fn grant(
    body: &[u8],
    request: Encoding,
    answer: Encoding,
    limits: &Limits,
    capability: &Capability,
    granter: &Granter,
    now: Timestamp,
) -> Result<(Vec<u8>, usize), Problem> {
    let reads: Reads = decode(request, "request for reads", body)?;
    check_count(reads.cids.len(), limits)?;
    let head = match reads.method {
        None | Some(Method::Get) => false,
        Some(Method::Head) => true,
        Some(Method::Put) => {
            return Err(invalid("`method` is GET or HEAD"));
        }
    };
    let expires = expires(reads.expires, limits.read_expires)?;
    let cids: Vec<Cid> = reads.cids.into_iter().map(|link| link.0).collect();
    for (index, cid) in cids.iter().enumerate() {
        if check_hash(cid, index)? == Hash::Identity {
            let text = "an identity CID holds its block itself: there is nothing to read";
            return Err(invalid(text).at(index));
        }
        check_covered(capability, cid, index)?;
    }
    let read = Read {
        head,
        ..Read::default()
    };
    let batch = granter
        .read_batch(&cids, &read, expires, now)
        .map_err(|error| not_granted(&error))?;
    Ok((answer.encode(&batch), cids.len()))
}

/// Decodes a body; what is wrong with it is for the client to know.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(
    encoding: Encoding,
    what: &'static str,
    body: &[u8],
) -> Result<T, Problem> {
    let decoded = encoding.decode(what, body);
    decoded.map_err(|error| invalid(error.to_string()))
}

pub(crate) fn check_count(blocks: usize, limits: &Limits) -> Result<(), Problem> {
    if blocks == 0 {
        return Err(invalid("it names no block"));
    }
    if blocks > limits.max_blocks {
        return Err(Problem::new(
            Code::TooLarge,
            format!("{blocks} blocks, the limit is {}", limits.max_blocks),
        ));
    }
    Ok(())
}

/// For how many seconds.
pub(crate) fn expires(asked: Option<u32>, limit: u32) -> Result<u32, Problem> {
    match asked {
        None => Ok(limit),
        Some(seconds) if (1..=limit).contains(&seconds) => Ok(seconds),
        Some(_) => Err(invalid(format!("`expires` is 1 to {limit} seconds"))),
    }
}

/// The hash function of a block; only those on the list are accepted.
pub(crate) fn check_hash(cid: &Cid, index: usize) -> Result<Hash, Problem> {
    Hash::of(cid).map_err(|_| unaccepted().at(index))
}

pub(crate) fn unaccepted() -> Problem {
    invalid("the CID's hash function, or the length of its digest, is not accepted")
}

pub(crate) fn check_covered(
    capability: &Capability,
    cid: &Cid,
    index: usize,
) -> Result<(), Problem> {
    if capability.covers(cid) {
        return Ok(());
    }
    Err(not_covered().at(index))
}

pub(crate) fn not_covered() -> Problem {
    Problem::new(
        Code::Denied,
        "the token does not cover the hash or the codec of this CID",
    )
}

pub(crate) fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(Code::Invalid, message)
}

/// What was checked before cannot come here; what is left is about credentials.
pub(crate) fn not_granted(error: &cidbucket_presign::Error) -> Problem {
    tracing::warn!(%error, "cannot grant");
    Problem::new(Code::Unavailable, "the service cannot sign at the moment").after(failure::RETRY)
}
