//! Which seals hold: what lies there after right and wrong uploads under a write grant.

use bytes::Bytes;
use cidbucket_blockstore::{Block, Result};
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_presign::{Grant, Granter, Policy, Seal, Upload};
use cidbucket_sigv4::Timestamp;
use futures::future::join_all;
use md5::Digest;

use super::check::{Check, Verdict};
use super::raw::{Raw, Seen, random_bytes};

/// Size of the blocks of most trials.
const SMALL: usize = 1024;
/// Servers treat large bodies otherwise than small ones, so a seal that holds is tried again.
const LARGE: usize = 256 * 1024;
/// Life of the grants, in seconds.
const LIFE: u32 = 300;
/// The headers by which a seal binds the bytes.
const BINDING: [&str; 3] = [
    "x-amz-checksum-sha256",
    "x-amz-content-sha256",
    "content-md5",
];

/// What a seal came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// Right bytes are stored, and nothing else ever is.
    Holds,
    /// Even the right bytes are refused, with this answer.
    RefusesRight(String),
    /// This was stored, and should not have been.
    StoresWrong(&'static str),
    /// It could not be found out, for this reason.
    Unclear(String),
}

/// Tries every seal.
pub(super) async fn try_seals(raw: &Raw) -> Vec<(Seal, Finding)> {
    join_all(Seal::ALL.map(|seal| async move {
        let finding = match Trial::new(raw, seal) {
            Ok(trial) => trial.run().await,
            Err(error) => Finding::Unclear(error.to_string()),
        };
        (seal, finding)
    }))
    .await
}

/// The seal to grant writes under: the first that binds the SHA-256 and holds.
pub(super) fn best(findings: &[(Seal, Finding)]) -> Option<Seal> {
    findings
        .iter()
        .find(|(seal, finding)| !seal.needs_read_back() && *finding == Finding::Holds)
        .map(|(seal, _)| *seal)
}

/// The rows on seals. One that does not hold is a warning to whoever would use it; nothing has to
/// change as long as another holds.
pub(super) fn checks(findings: &[(Seal, Finding)]) -> Vec<Check> {
    let best = best(findings);
    let summary = match best {
        Some(seal) => Check::new(
            "direct-write",
            "Direct writes",
            Verdict::Ok,
            format!("S3 itself refuses other bytes under the seal {seal}"),
        ),
        None => Check::new(
            "direct-write",
            "Direct writes",
            Verdict::Fail,
            "no seal makes this server check a block's SHA-256",
        )
        .advise(
            "uploads must go through a process that hashes them; do not hand out signed PUT URLs \
             for this bucket",
        ),
    };
    let mut rows = vec![summary];
    for (seal, finding) in findings {
        let (id, title) = match seal {
            Seal::Checksum => ("seal-checksum", "Seal checksum"),
            Seal::PayloadHash => ("seal-payload-hash", "Seal payload-hash"),
            Seal::Header => ("seal-header", "Seal header"),
            Seal::ChecksumMd5 => ("seal-checksum-md5", "Seal checksum+content-md5"),
        };
        rows.push(match finding {
            Finding::Holds if seal.needs_read_back() && best.is_none() => Check::new(
                id,
                title,
                Verdict::Warn,
                "holds, but perhaps by MD5 alone, which an uploader can defeat",
            )
            .advise("a block so written counts only after it was read back and hashed"),
            Finding::Holds => Check::new(
                id,
                title,
                Verdict::Ok,
                "right bytes stored; wrong bytes, wrong length and a missing header all refused",
            ),
            Finding::RefusesRight(answer) => Check::new(
                id,
                title,
                Verdict::Warn,
                format!("not usable: even the right bytes are refused ({answer})"),
            ),
            Finding::StoresWrong(what) => Check::new(
                id,
                title,
                Verdict::Warn,
                format!("not enforced: the server stored {what}"),
            ),
            Finding::Unclear(why) => Check::new(id, title, Verdict::Unknown, why.as_str()),
        });
    }
    rows
}

struct Trial<'a> {
    raw: &'a Raw,
    granter: Granter,
    keys: Keys,
}

/// A block of the probe's own, a write grant for it, and its key.
struct Granted {
    bytes: Bytes,
    grant: Grant,
    key: String,
}

impl<'a> Trial<'a> {
    fn new(raw: &'a Raw, seal: Seal) -> Result<Self> {
        let unfit = |error: String| {
            cidbucket_blockstore::Error::Invalid(
                cidbucket_blockstore::Report::new("probe", error).into(),
            )
        };
        let prefix = Prefix::new(&raw.folder).map_err(|error| unfit(error.to_string()))?;
        let keys = Keys::new(prefix, Layout::Kubo);
        let granter = Granter::new(
            raw.bucket.clone(),
            keys.clone(),
            raw.signer.credentials().clone(),
            Policy {
                seal: Some(seal),
                ..Policy::default()
            },
        )
        .map_err(|error| unfit(error.to_string()))?;
        Ok(Self { raw, granter, keys })
    }

    async fn run(&self) -> Finding {
        match self.all().await {
            Ok(()) => Finding::Holds,
            Err(finding) => finding,
        }
    }

    async fn all(&self) -> Result<(), Finding> {
        let right = self.grant(SMALL)?;
        self.right(&right).await?;
        self.wrong(
            &right,
            &random_bytes(SMALL),
            None,
            "other bytes over the right ones",
            Some(&right.bytes),
        )
        .await?;

        let fresh = self.grant(SMALL)?;
        self.wrong(
            &fresh,
            &random_bytes(SMALL),
            None,
            "other bytes of the same length",
            None,
        )
        .await?;

        let fresh = self.grant(SMALL)?;
        let longer: Bytes = [&fresh.bytes[..], b"!"].concat().into();
        self.wrong(&fresh, &longer, None, "a longer body", None)
            .await?;
        let shorter = fresh.bytes.slice(..SMALL - 1);
        self.wrong(&fresh, &shorter, None, "a shorter body", None)
            .await?;

        for header in BINDING {
            let fresh = self.grant(SMALL)?;
            if fresh.grant.headers.iter().any(|(name, _)| name == header) {
                self.wrong(
                    &fresh,
                    &random_bytes(SMALL),
                    Some(header),
                    "other bytes when the sealing header was left out",
                    None,
                )
                .await?;
            }
        }

        let large = self.grant(LARGE)?;
        self.wrong(
            &large,
            &random_bytes(LARGE),
            None,
            "other bytes of a large block",
            None,
        )
        .await?;
        self.right(&large).await
    }

    fn grant(&self, size: usize) -> Result<Granted, Finding> {
        let bytes = random_bytes(size);
        let block = Block::raw(bytes.clone());
        let upload = Upload {
            md5: Some(md5::Md5::digest(&bytes).into()),
            ..Upload::new(*block.cid(), size as u64)
        };
        let now = Timestamp::from(self.raw.client.now());
        let grant = self
            .granter
            .write(&upload, LIFE, now)
            .map_err(|error| Finding::Unclear(error.to_string()))?;
        let key = self.keys.key(block.cid());
        Ok(Granted { bytes, grant, key })
    }

    /// The right bytes must be taken, and lie there whole.
    async fn right(&self, granted: &Granted) -> Result<(), Finding> {
        let answer = self
            .raw
            .use_grant(&granted.grant, &granted.key, &granted.bytes, None)
            .await
            .map_err(|error| Finding::Unclear(error.to_string()))?;
        if !answer.ok() {
            return Err(Finding::RefusesRight(answer.to_string()));
        }
        match self.raw.look(&granted.key).await {
            Seen::Object(seen) if seen == granted.bytes => Ok(()),
            Seen::Object(_) => Err(Finding::StoresWrong("something else than was sent")),
            Seen::Nothing => Err(Finding::StoresWrong("nothing, though it said it did")),
            Seen::Unclear(why) => Err(Finding::Unclear(why)),
        }
    }

    /// `body` must leave things as they were, whatever the server answers.
    async fn wrong(
        &self,
        granted: &Granted,
        body: &Bytes,
        leave_out: Option<&str>,
        what: &'static str,
        before: Option<&Bytes>,
    ) -> Result<(), Finding> {
        // Even a request without an answer may have stored something.
        let sent = self
            .raw
            .use_grant(&granted.grant, &granted.key, body, leave_out)
            .await;
        match (self.raw.look(&granted.key).await, before) {
            (Seen::Unclear(why), _) => Err(Finding::Unclear(why)),
            (Seen::Nothing, None) => sent
                .map(|_| ())
                .map_err(|error| Finding::Unclear(error.to_string())),
            (Seen::Object(seen), Some(before)) if seen == *before => Ok(()),
            (Seen::Nothing, Some(_)) => Err(Finding::StoresWrong(
                "nothing: wrong bytes removed the right ones",
            )),
            (Seen::Object(_), _) => Err(Finding::StoresWrong(what)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_seal_of_the_sha256_that_holds_is_chosen() {
        let refuses = Finding::RefusesRight("403".into());
        let stores = Finding::StoresWrong("x");
        let findings = |checksum: &Finding, payload: &Finding, header: &Finding, md5: &Finding| {
            Seal::ALL
                .into_iter()
                .zip([checksum, payload, header, md5].map(Finding::clone))
                .collect::<Vec<_>>()
        };
        let holds = &Finding::Holds;
        assert_eq!(
            best(&findings(holds, &refuses, &stores, holds)),
            Some(Seal::Checksum)
        );
        assert_eq!(
            best(&findings(&stores, holds, holds, holds)),
            Some(Seal::PayloadHash)
        );
        assert_eq!(
            best(&findings(&stores, &refuses, holds, holds)),
            Some(Seal::Header)
        );
        let none = findings(&stores, &refuses, &Finding::Unclear("?".into()), holds);
        assert_eq!(best(&none), None);
        let rows = checks(&none);
        assert_eq!(rows[0].verdict, Verdict::Fail);
        assert_eq!(rows[4].verdict, Verdict::Warn, "MD5 alone is no proof");
        assert_eq!(rows[3].verdict, Verdict::Unknown);
    }
}
