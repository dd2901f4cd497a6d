//! Copies within the bucket: whether the server makes them, and only of the source that is meant.

use cidbucket_blockstore::{Error, Result};

use super::check::{Check, Verdict};
use super::raw::{Ask, Raw, Seen, random_bytes};
use crate::CopyObject;

/// How the server treats a copy with `x-amz-copy-source-if-match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Copying {
    /// With the right tag it copies, with another it refuses.
    Pinned,
    /// It copies whatever the tag.
    Unpinned,
    /// It does not copy.
    Refused(String),
    /// It could not be found out.
    Unclear(String),
}

pub(super) async fn look(raw: &Raw) -> Copying {
    match try_one(raw).await {
        Ok(found) => found,
        Err(error) => Copying::Unclear(error.to_string()),
    }
}

async fn try_one(raw: &Raw) -> Result<Copying> {
    let (source, right, wrong) = (raw.fresh_key(), raw.fresh_key(), raw.fresh_key());
    let mut tags = Vec::new();
    let body = random_bytes(64);
    for body in [&random_bytes(64), &body] {
        let answer = raw.ask(&Ask::put(&source, body)).await?;
        match answer.header("etag").filter(|_| answer.ok()) {
            Some(tag) => tags.push(tag.to_owned()),
            None => return Ok(Copying::Unclear(format!("a put was answered {answer}"))),
        }
    }
    for key in [&right, &wrong] {
        raw.touch(key);
    }
    let mut copy = CopyObject::from(&source);
    copy.if_match = Some(&tags[1]);
    let copied = raw.client.copy_object(&right, &copy).await;
    match (copied, raw.look(&right).await) {
        (Ok(_), Seen::Object(seen)) if seen == body => {}
        (Err(error @ Error::Unavailable(_)), _) => return Err(error),
        (Err(error), _) => return Ok(Copying::Refused(error.class().to_owned())),
        (Ok(_), _) => return Ok(Copying::Refused("a copy that is none".into())),
    }
    // The tag of what lay there before.
    copy.if_match = Some(&tags[0]);
    let copied = raw.client.copy_object(&wrong, &copy).await;
    Ok(match (copied, raw.look(&wrong).await) {
        (Err(_), Seen::Nothing) => Copying::Pinned,
        (_, Seen::Unclear(why)) => Copying::Unclear(why),
        _ => Copying::Unpinned,
    })
}

pub(super) fn check(found: &Copying) -> Check {
    let row = |verdict, finding: String| {
        Check::new(
            "conditional-copy",
            "Copies of one version",
            verdict,
            finding,
        )
    };
    let advice = "blocks of other hashes than sha2-256 are then put by the service once more";
    match found {
        Copying::Pinned => row(Verdict::Ok, "x-amz-copy-source-if-match is honoured".into()),
        Copying::Unpinned => row(
            Verdict::Warn,
            "x-amz-copy-source-if-match is ignored: whatever lies there is copied".into(),
        )
        .advise(advice),
        Copying::Refused(why) => row(Verdict::Warn, format!("a copy fails ({why})")).advise(advice),
        Copying::Unclear(why) => row(Verdict::Unknown, why.clone()),
    }
}
