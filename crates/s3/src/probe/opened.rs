//! Whether what was opened is open, and nothing else: asked as browsers and strangers ask.

use std::time::Duration;

use bytes::Bytes;
use cidbucket_blockstore::{Block, Error, Report, Result};
use cidbucket_presign::{Method as GrantMethod, browser_headers};
use tokio::time::{Instant, sleep};

use super::FOLDER;
use super::bucket::{self, STRANGER};
use super::check::{Check, Verdict};
use super::raw::{Answer, Ask, Raw, random_bytes, random_name};
use crate::{PutObject, S3Client};

/// For how long a server may take to go by a new setting.
const PATIENCE: Duration = Duration::from_secs(20);

impl S3Client {
    /// Asks the bucket as browsers do, whether pages of these origins may read and write by grant,
    /// and may see the errors. A `*` stands for any origin. Writes an object below the store's
    /// prefix, and removes it again. Right after a change it waits for the server to go by it.
    ///
    /// # Errors
    /// Where that object cannot be written.
    pub async fn verify_browser_access(&self, origins: &[String]) -> Result<Vec<Check>> {
        let (client, origins) = (self.clone(), origins.to_vec());
        to_its_end(async move {
            let raw = raw(&client).await?;
            let key = raw.fresh_key();
            let mut rows = Vec::new();
            let written = put(&raw, &key, random_bytes(64)).await;
            if written.is_ok() {
                for origin in &origins {
                    rows.extend(pages(&raw, &key, origin).await);
                }
            }
            remove(&raw, &mut rows).await;
            written.map(|()| rows)
        })
        .await
    }

    /// Asks the bucket as a stranger does, whether a block can be read without credentials, and
    /// whether listing and the service's own folder cannot. Writes a block that nobody else has
    /// and an object in that folder, and removes both again. Right after a change it waits for the
    /// server to go by it.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub async fn verify_public_read(&self) -> Result<Vec<Check>> {
        let client = self.clone();
        to_its_end(async move {
            let raw = raw(&client).await?;
            let mut rows = Vec::new();
            let written = strangers(&raw, &mut rows).await;
            remove(&raw, &mut rows).await;
            written.map(|()| rows)
        })
        .await
    }
}

/// Goes on to its end, and so to its cleaning up, even when the caller is dropped.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(Box::pin(work)).await.map_err(|error| {
        let report = Report::new("verify", "it was ended").with_source(error);
        Error::Unavailable(report.into())
    })?
}

async fn raw(client: &S3Client) -> Result<Raw> {
    let Some(signer) = client.signer().await? else {
        let report = Report::new("verify", "the store is opened without credentials");
        return Err(Error::Denied(report.into()));
    };
    let control = client.config().keys.control_prefix();
    // Among the probes', which sweep what one of them that was killed left behind.
    let folder = format!("{control}{FOLDER}{}/", random_name());
    Ok(Raw::new(client.clone(), signer, folder))
}

async fn put(raw: &Raw, key: &str, body: Bytes) -> Result<()> {
    raw.touch(key);
    let sha256 = Block::raw(body.clone()).sha256();
    let put = PutObject::new(body, sha256);
    raw.client.put_object(key, &put).await.map(|_| ())
}

async fn remove(raw: &Raw, rows: &mut Vec<Check>) {
    for key in raw.touched() {
        if let Err(error) = raw.client.delete_object(&key).await {
            let finding = format!("{key} could not be removed: {error}");
            let title = "Removal of what was written";
            rows.push(Check::new("clean-up", title, Verdict::Warn, finding));
        }
    }
}

/// What pages of one origin may do.
async fn pages(raw: &Raw, key: &str, origin: &str) -> [Check; 2] {
    let origin = match origin {
        "*" => STRANGER.to_owned(),
        origin => origin.replace('*', "cidbucket-probe"),
    };
    let row = |verdict, finding| Check::new("cors", "CORS", verdict, finding);
    let requests = [GrantMethod::Get, GrantMethod::Head, GrantMethod::Put]
        .map(|method| (method.as_str(), browser_headers(method, None).join(",")));
    let refused = until(
        || async {
            let mut refused = Vec::new();
            for (method, headers) in &requests {
                if !bucket::preflight(raw, key, &origin, method, headers).await? {
                    refused.push(*method);
                }
            }
            Ok(refused)
        },
        Vec::is_empty,
    )
    .await;
    let preflights = match refused {
        Ok(refused) if refused.is_empty() => row(
            Verdict::Ok,
            format!("preflights of pages at {origin} for GET, HEAD and PUT are granted"),
        ),
        Ok(refused) => row(
            Verdict::Fail,
            format!(
                "preflights of pages at {origin} for {} are refused",
                refused.join(", ")
            ),
        )
        .advise(
            "look for another rule with that origin before ours: some servers go by the first \
             rule of an origin, whatever else it says",
        ),
        Err(error) => row(Verdict::Unknown, error.to_string()),
    };
    [preflights, answers(raw, key, &origin).await]
}

/// Whether a page may see the answer: of a block, and of an error.
async fn answers(raw: &Raw, key: &str, origin: &str) -> Check {
    let row = |verdict, finding| Check::new("cors-answers", "Answers to pages", verdict, finding);
    let absent = raw.fresh_key();
    let headers = [("origin", origin)];
    let mut seen = Vec::new();
    for key in [key, &absent] {
        let ask = Ask {
            headers: &headers,
            ..Ask::get(key)
        };
        match raw.ask(&ask).await {
            Ok(answer) => seen.push(answer),
            Err(error) => return row(Verdict::Unknown, error.to_string()),
        }
    }
    let shown = |answer: &Answer| answer.names("access-control-allow-origin", origin);
    if !shown(&seen[0]) {
        let finding = format!("pages at {origin} may not see what they read");
        row(Verdict::Fail, finding)
    } else if !shown(&seen[1]) {
        let finding = format!("pages at {origin} see blocks, but not errors");
        row(Verdict::Warn, finding)
            .advise("a page there cannot tell an absent block from a broken connection")
    } else if !seen[0].names("access-control-expose-headers", "etag") {
        row(
            Verdict::Warn,
            format!("pages at {origin} see answers, but no ETag"),
        )
    } else {
        row(
            Verdict::Ok,
            format!("pages at {origin} see blocks, errors and ETags"),
        )
    }
}

/// What a stranger may do.
async fn strangers(raw: &Raw, rows: &mut Vec<Check>) -> Result<()> {
    let bytes = random_bytes(256);
    let block = Block::raw(bytes.clone());
    let block_key = raw.client.config().keys.key(block.cid());
    let own_key = raw.fresh_key();
    put(raw, &block_key, bytes.clone()).await?;
    put(raw, &own_key, random_bytes(64)).await?;

    let get = |key: &str| {
        let key = key.to_owned();
        async move {
            let ask = Ask {
                payload: None,
                ..Ask::get(&key)
            };
            raw.ask(&ask).await
        }
    };
    let row = |id, title, verdict, finding: String| Check::new(id, title, verdict, finding);
    let is_block = |answer: &Answer| answer.ok() && answer.body == bytes;
    let (id, title) = ("public-blocks", "Blocks, without credentials");
    rows.push(match until(|| get(&block_key), is_block).await {
        Ok(answer) if is_block(&answer) => row(
            id,
            title,
            Verdict::Ok,
            "anybody can read them by plain URL".into(),
        ),
        Ok(answer) => row(
            id,
            title,
            Verdict::Fail,
            format!("a plain URL is answered {answer}"),
        )
        .advise(
            "at AWS, Block Public Access overrides the policy; elsewhere a statement with \
                 Deny may, or the server does not let strangers in at all",
        ),
        Err(error) => row(id, title, Verdict::Unknown, error.to_string()),
    });
    let (id, title) = ("public-control", "The service's own folder");
    rows.push(match get(&own_key).await {
        Ok(answer) if answer.ok() => row(
            id,
            title,
            Verdict::Fail,
            "anybody can read leases, staged uploads and tenants' blocks".into(),
        )
        .advise(
            "this statement does not allow it: look for a wider one in the bucket's policy, \
                     an ACL, or a bucket that is public as a whole",
        ),
        Ok(answer) => row(
            id,
            title,
            Verdict::Ok,
            format!("strangers are answered {answer}"),
        ),
        Err(error) => row(id, title, Verdict::Unknown, error.to_string()),
    });
    let (id, title) = ("public-list", "Listing, without credentials");
    let list = Ask {
        query: &[("list-type", "2"), ("max-keys", "1")],
        payload: None,
        ..Ask::get("")
    };
    rows.push(match raw.ask(&list).await {
        Ok(answer) if answer.ok() => row(
            id,
            title,
            Verdict::Warn,
            "anybody can list the bucket".into(),
        )
        .advise("look for a wider statement in the bucket's policy, or an ACL"),
        Ok(answer) => row(
            id,
            title,
            Verdict::Ok,
            format!("strangers are answered {answer}"),
        ),
        Err(error) => row(id, title, Verdict::Unknown, error.to_string()),
    });
    Ok(())
}

/// Asks until the answer is as it should be, or until that took too long.
async fn until<T, F: Future<Output = Result<T>>>(
    ask: impl Fn() -> F,
    good: impl Fn(&T) -> bool,
) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) if !good(&answer) && Instant::now() < deadline => {
                sleep(Duration::from_millis(250)).await;
            }
            answer => return answer,
        }
    }
}
