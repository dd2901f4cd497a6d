//! Reading, writing and deleting single objects.

use std::time::{Duration, Instant};

use cidbucket_blockstore::{Block, Result};
use cidbucket_sigv4::Payload;
use data_encoding::BASE64;
use http::{Method, StatusCode};

use super::check::{Check, Verdict};
use super::raw::{Ask, Raw, Seen, random_bytes};

/// Whether the server checks what this client itself writes.
pub(super) async fn upload_integrity(raw: &Raw) -> Check {
    let row = |verdict, finding: &str| {
        Check::new(
            "upload-integrity",
            "Uploads checked by the server",
            verdict,
            finding,
        )
    };
    let result: Result<Check> = async {
        let plain = stores_wrong_bytes(raw, false).await?;
        if plain == Some(false) {
            return Ok(row(
                Verdict::Ok,
                "a body that does not match its signed SHA-256 is refused",
            ));
        }
        let accepted = takes_checksum(raw).await?;
        let checked = stores_wrong_bytes(raw, true).await?;
        Ok(match (plain, accepted, checked) {
            (Some(true), true, Some(false)) => row(
                Verdict::Warn,
                "a wrong signed SHA-256 is stored all the same, a wrong x-amz-checksum-sha256 is \
                 refused",
            )
            .advise("add checksum=true to the store URL: put then sends that header too"),
            (Some(true), _, _) => row(
                Verdict::Warn,
                "a body is stored even if it does not match its SHA-256",
            )
            .advise("only TLS protects uploads on the way; every read is checked all the same"),
            _ => row(Verdict::Unknown, "what was stored cannot be read back"),
        })
    }
    .await;
    result.unwrap_or_else(|error| row(Verdict::Unknown, &error.to_string()))
}

/// Sends bytes under the SHA-256 of others; whether they were stored.
async fn stores_wrong_bytes(raw: &Raw, with_checksum: bool) -> Result<Option<bool>> {
    let key = raw.fresh_key();
    let claimed = Block::raw(random_bytes(512)).sha256();
    let checksum = BASE64.encode(&claimed);
    let headers = [("x-amz-checksum-sha256", checksum.as_str())];
    let ask = Ask {
        headers: if with_checksum { &headers } else { &[] },
        payload: Some(Payload::Sha256(claimed)),
        ..Ask::put(&key, &random_bytes(512))
    };
    raw.ask(&ask).await?;
    Ok(match raw.look(&key).await {
        Seen::Nothing => Some(false),
        Seen::Object(_) => Some(true),
        Seen::Unclear(_) => None,
    })
}

/// Whether a put with a right `x-amz-checksum-sha256` is taken.
pub(super) async fn takes_checksum(raw: &Raw) -> Result<bool> {
    let key = raw.fresh_key();
    let body = random_bytes(512);
    let checksum = BASE64.encode(&Block::raw(body.clone()).sha256());
    let ask = Ask {
        headers: &[("x-amz-checksum-sha256", &checksum)],
        ..Ask::put(&key, &body)
    };
    let answer = raw.ask(&ask).await?;
    Ok(answer.ok() && raw.look(&key).await == Seen::Object(body))
}

pub(super) fn checksum_check(taken: &Result<bool>) -> Check {
    let row = |verdict, finding: &str| {
        Check::new(
            "checksum-header",
            "x-amz-checksum-sha256 on put",
            verdict,
            finding,
        )
    };
    match taken {
        Ok(true) => row(Verdict::Ok, "accepted"),
        Ok(false) => row(Verdict::Warn, "refused").advise("leave checksum= off"),
        Err(error) => row(Verdict::Unknown, &error.to_string()),
    }
}

/// Whether a part of an object can be read.
pub(super) async fn range(raw: &Raw, key: &str, body: &[u8]) -> Check {
    let row = |verdict, finding: String| Check::new("range", "Range reads", verdict, finding);
    let ask = Ask {
        headers: &[("range", "bytes=3-9")],
        ..Ask::get(key)
    };
    match raw.ask(&ask).await {
        Err(error) => row(Verdict::Unknown, error.to_string()),
        Ok(answer)
            if answer.status == StatusCode::PARTIAL_CONTENT && answer.body == body[3..10] =>
        {
            row(Verdict::Ok, "206 with exactly the bytes asked for".into())
        }
        Ok(answer) if answer.ok() && answer.body == body[3..10] => row(
            Verdict::Warn,
            format!("the bytes asked for, but status {answer} instead of 206"),
        ),
        Ok(answer) => row(Verdict::Fail, format!("answered {answer} with other bytes"))
            .advise("whole blocks can be read, parts of them cannot"),
    }
}

/// How a missing key is answered.
pub(super) fn missing_key(status: &Result<StatusCode>) -> Check {
    let row =
        |verdict, finding: String| Check::new("missing-key", "Missing keys", verdict, finding);
    match status {
        Ok(StatusCode::NOT_FOUND) => row(Verdict::Ok, "404".into()),
        Ok(StatusCode::FORBIDDEN) => row(
            Verdict::Fail,
            "403: an absent block cannot be told from a forbidden one".into(),
        )
        .advise("allow s3:ListBucket on the bucket"),
        Ok(status) => row(Verdict::Fail, format!("answered {}", status.as_u16())),
        Err(error) => row(Verdict::Unknown, error.to_string()),
    }
}

/// Whether anybody may read. Neither is wrong, but one should know.
pub(super) async fn anonymous_read(raw: &Raw, key: &str, body: &[u8]) -> Check {
    let row = |verdict, finding: String| {
        Check::new(
            "anonymous-read",
            "Reads without credentials",
            verdict,
            finding,
        )
    };
    let ask = Ask {
        payload: None,
        ..Ask::get(key)
    };
    match raw.ask(&ask).await {
        Err(error) => row(Verdict::Unknown, error.to_string()),
        Ok(answer) if answer.ok() && answer.body == body => row(
            Verdict::Ok,
            "public: anybody can read blocks by plain URL".into(),
        ),
        // The probe's own objects are no blocks, so the policy has to say what of blocks is.
        Ok(answer) => match raw.client.public_access().await {
            Ok(access) if access.is_complete() => row(
                Verdict::Ok,
                "public: the bucket's policy lets anybody read blocks, and not the rest".into(),
            ),
            _ => row(
                Verdict::Ok,
                format!("private: a plain URL is answered {answer}"),
            ),
        },
    }
}

/// Single and bulk deletes.
pub(super) async fn delete(raw: &Raw) -> Check {
    let row = |verdict, finding: String| Check::new("delete", "Deletes", verdict, finding);
    let result: Result<Check> = async {
        let (one, two, absent) = (raw.fresh_key(), raw.fresh_key(), raw.fresh_key());
        for key in [&one, &two] {
            let answer = raw.ask(&Ask::put(key, &random_bytes(16))).await?;
            if !answer.ok() {
                return Ok(row(
                    Verdict::Unknown,
                    format!("a put was refused ({answer})"),
                ));
            }
        }
        let single = Ask {
            method: Method::DELETE,
            ..Ask::get(&one)
        };
        let answer = raw.ask(&single).await?;
        if !answer.ok() || raw.look(&one).await != Seen::Nothing {
            return Ok(
                row(Verdict::Fail, format!("a delete was answered {answer}"))
                    .advise("allow s3:DeleteObject, or blocks can never be removed"),
            );
        }
        let bulk = raw.client.delete_objects(&[&two, &absent]).await;
        let gone = raw.look(&two).await == Seen::Nothing;
        Ok(match bulk {
            Ok(each) if gone && each.iter().all(Result::is_ok) => row(
                Verdict::Ok,
                "one by one and in bulk; an absent key counts as deleted".into(),
            ),
            Ok(_) => row(
                Verdict::Warn,
                "single deletes work; a bulk delete says it did, and did not".into(),
            ),
            Err(error) => row(
                Verdict::Warn,
                format!("single deletes work, bulk deletes do not: {error}"),
            )
            .advise("many deletes cost a request each"),
        })
    }
    .await;
    result.unwrap_or_else(|error| row(Verdict::Unknown, error.to_string()))
}

/// How long a small read takes.
pub(super) async fn latency(raw: &Raw, key: &str) -> (Option<Duration>, Check) {
    let row = |verdict, finding| Check::new("latency", "Latency of a read", verdict, finding);
    let (reads, heads) = match (
        times(raw, key, Method::GET, 7).await,
        times(raw, key, Method::HEAD, 3).await,
    ) {
        (Ok(reads), Ok(heads)) => (reads, heads),
        (Err(error), _) | (_, Err(error)) => {
            return (None, row(Verdict::Unknown, error.to_string()));
        }
    };
    let (median, worst) = (reads[reads.len() / 2], reads[reads.len() - 1]);
    let finding = format!(
        "median {median:.1?}, slowest {worst:.1?} of {}",
        reads.len()
    );
    let row = if DELAYED_ACK.contains(&median.saturating_sub(heads[heads.len() / 2])) {
        row(Verdict::Warn, finding).advise(
            "every body comes 40 ms late: the server waits for an acknowledgement that this \
             machine delays. Set TCP_NODELAY there (Ceph: tcp_nodelay=1 in rgw frontends)",
        )
    } else if median < Duration::from_millis(500) {
        row(Verdict::Ok, finding)
    } else {
        row(Verdict::Warn, finding).advise("use a bucket nearer to this machine, or a cache")
    };
    (Some(median), row)
}

/// By how much a body is late where Nagle's algorithm at the server meets Linux's delayed
/// acknowledgements: the server sends the head and then waits before it sends the body.
const DELAYED_ACK: std::ops::Range<Duration> = Duration::from_millis(35)..Duration::from_millis(60);

/// Times of some requests, in ascending order, on a connection that is kept alive.
async fn times(raw: &Raw, key: &str, method: Method, count: usize) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        let ask = Ask {
            method: method.clone(),
            ..Ask::get(key)
        };
        raw.ask(&ask).await?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times)
}
