//! Receives the body of an upload and checks it against everything the request says of it.
//!
//! Nothing here is visible to readers: a body that fails a check is dropped with its temporary file.

use std::{collections::BTreeMap, error::Error as StdError, path::PathBuf};

use bytes::BytesMut;
use data_encoding::BASE64;
use futures::StreamExt;
use http::HeaderMap;
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders, dto::StreamingBlob, s3_error};

use super::blocking;
use crate::store::{self, Algorithm, Staged, Staging};

/// What a request says of its body.
#[derive(Debug)]
pub(super) struct Claims {
    length: i64,
    md5: Option<[u8; 16]>,
    /// By header, in base64.
    checksums: BTreeMap<&'static str, String>,
    /// To come after the body.
    trailers: Vec<Algorithm>,
    /// To be computed, claimed or not.
    algorithms: Vec<Algorithm>,
}

impl Claims {
    /// Reads `Content-MD5`, `x-amz-checksum-*`, `x-amz-trailer` and the length (after aws-chunked).
    pub(super) fn new(
        headers: &HeaderMap,
        length: Option<i64>,
        also: Option<&str>,
    ) -> S3Result<Self> {
        let length = length.ok_or_else(|| {
            s3_error!(
                MissingContentLength,
                "send Content-Length, also for an empty body"
            )
        })?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let md5 = text("content-md5")
            .map(|md5| {
                let bytes = BASE64.decode(md5.as_bytes()).ok();
                bytes
                    .and_then(|bytes| bytes.try_into().ok())
                    .ok_or_else(|| {
                        s3_error!(InvalidDigest, "Content-MD5 is not 16 bytes in base64")
                    })
            })
            .transpose()?;
        let mut checksums = BTreeMap::new();
        for algorithm in Algorithm::ALL {
            if let Some(value) = text(&format!("x-amz-checksum-{}", algorithm.name())) {
                checksums.insert(algorithm.name(), value.to_owned());
            }
        }
        let trailers: Vec<_> = text("x-amz-trailer")
            .into_iter()
            .flat_map(|names| names.split(','))
            .filter_map(|name| Algorithm::from_name(name.trim().strip_prefix("x-amz-checksum-")?))
            .collect();
        let algorithms = Algorithm::ALL
            .into_iter()
            .filter(|algorithm| {
                checksums.contains_key(algorithm.name())
                    || trailers.contains(algorithm)
                    || also.and_then(Algorithm::from_name) == Some(*algorithm)
            })
            .collect();
        Ok(Self {
            length,
            md5,
            checksums,
            trailers,
            algorithms,
        })
    }
}

/// Bytes gathered before they are written by one blocking task.
const BATCH: usize = 512 * 1024;

/// Takes in the whole body; on success it is what the request claims.
pub(super) async fn receive(
    tmp: PathBuf,
    body: Option<StreamingBlob>,
    mut claims: Claims,
    trailing: Option<TrailingHeaders>,
) -> S3Result<Staged> {
    let algorithms = claims.algorithms.clone();
    let io = |source| store::Error::Io {
        what: "cannot write an incoming body",
        path: PathBuf::from("tmp"),
        source,
    };
    let mut staging = blocking(move || Staging::new(&tmp, &algorithms).map_err(io)).await?;
    let mut size = 0;
    if let Some(mut body) = body {
        let mut batch = BytesMut::new();
        loop {
            let chunk = body.next().await.transpose().map_err(|e| broken(&*e))?;
            let end = chunk.is_none();
            if let Some(chunk) = chunk {
                size += super::length(chunk.len() as u64);
                batch.extend_from_slice(&chunk);
            }
            if batch.len() >= BATCH || (end && !batch.is_empty()) {
                let full = batch.split();
                staging = blocking(move || {
                    staging.write(&full).map_err(io)?;
                    Ok(staging)
                })
                .await?;
            }
            if end {
                break;
            }
        }
    }
    if size != claims.length {
        return Err(s3_error!(
            IncompleteBody,
            "the body has {size} bytes, {} were declared",
            claims.length
        ));
    }
    let trailer = trailing.and_then(|trailing| trailing.take());
    for algorithm in &claims.trailers {
        let name = format!("x-amz-checksum-{}", algorithm.name());
        let value = trailer.as_ref().and_then(|headers| headers.get(name));
        let value = value
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| s3_error!(InvalidRequest, "an announced checksum trailer is missing"))?;
        claims.checksums.insert(algorithm.name(), value.to_owned());
    }
    let staged = staging.finish();
    if claims.md5.is_some_and(|md5| md5 != staged.md5) {
        return Err(s3_error!(
            BadDigest,
            "the body does not have the MD5 that Content-MD5 says"
        ));
    }
    for (name, claimed) in &claims.checksums {
        if staged.checksums.get(*name) != Some(claimed) {
            return Err(s3_error!(
                BadDigest,
                "the body does not have the checksum that x-amz-checksum-{name} says"
            ));
        }
    }
    Ok(staged)
}

/// What it means that the body's stream failed.
fn broken(error: &(dyn StdError + Send + Sync + 'static)) -> S3Error {
    // The types of these errors are private to `s3s`; it is pinned, and tests hold these words to it.
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        let mut error = S3Error::with_message(
            S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
            "the body does not have the SHA-256 that x-amz-content-sha256 says",
        );
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return error;
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(
            SignatureDoesNotMatch,
            "a chunk of the body has a wrong signature"
        );
    }
    s3_error!(IncompleteBody, "the body ended early or is malformed")
}
