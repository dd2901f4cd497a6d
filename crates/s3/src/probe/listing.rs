//! Listing: what was just written is there, in pages, with its name intact.

use cidbucket_blockstore::{Error, Result};
use cidbucket_layout::Keys;

use super::check::{Check, Verdict};
use super::raw::{Ask, Raw, random_bytes};
use crate::{ListObjectsV2, S3Client};

/// How many keys of the bucket are looked at to tell its layout.
const SAMPLE: u16 = 1000;

pub(super) async fn list(raw: &Raw) -> Vec<Check> {
    match try_list(raw).await {
        Ok(checks) => checks,
        Err(error @ Error::Denied(_)) => vec![
            list_row(Verdict::Fail, error.to_string())
                .advise("allow s3:ListBucket on the bucket: without it ls, doctor and garbage collection cannot work"),
        ],
        Err(error) => vec![list_row(Verdict::Fail, error.to_string())],
    }
}

fn list_row(verdict: Verdict, finding: impl Into<String>) -> Check {
    Check::new("list", "Listing", verdict, finding)
}

async fn try_list(raw: &Raw) -> Result<Vec<Check>> {
    // Names that a wrong encoding or decoding would change.
    let folder = format!("{}list/", raw.folder);
    let mut keys: Vec<String> = ["a+b c", "a%2Fb", "ä&<b>", "plain"]
        .map(|name| format!("{folder}{name}"))
        .into();
    keys.sort();
    for key in &keys {
        let answer = raw.ask(&Ask::put(key, &random_bytes(8))).await?;
        if !answer.ok() {
            let finding = format!("a key with special characters is refused ({answer})");
            return Ok(vec![list_row(Verdict::Unknown, finding)]);
        }
    }
    let mut seen = Vec::new();
    let mut pages = 0;
    let mut token: Option<String> = None;
    loop {
        let mut list = ListObjectsV2::with_prefix(&folder);
        list.max_keys = Some(2);
        list.continuation_token = token.as_deref();
        let page = raw.client.list_objects_v2(&list).await?;
        pages += 1;
        seen.extend(page.objects.into_iter().map(|object| object.key));
        token = page.next_token;
        if !page.truncated || pages > keys.len() {
            break;
        }
    }
    let names = if seen == keys {
        list_row(
            Verdict::Ok,
            format!("what was just written is listed, in order, on {pages} pages"),
        )
    } else if seen.len() < keys.len() {
        list_row(
            Verdict::Fail,
            format!(
                "of {} keys just written {} are listed",
                keys.len(),
                seen.len()
            ),
        )
        .advise("listings lag behind writes here: do not collect garbage by them")
    } else {
        list_row(
            Verdict::Fail,
            "keys with special characters are listed as others",
        )
    };
    let mut list = ListObjectsV2::with_prefix(&folder);
    list.start_after = Some(&keys[1]);
    let after = raw.client.list_objects_v2(&list).await?;
    let start_after = if after.objects.len() == keys.len() - 2 {
        Check::new(
            "list-parallel",
            "Listing from a key on",
            Verdict::Ok,
            "start-after is honoured: a listing can be split and resumed",
        )
    } else {
        Check::new(
            "list-parallel",
            "Listing from a key on",
            Verdict::Fail,
            "start-after is not honoured",
        )
    };
    Ok(vec![names, start_after])
}

/// What the keys that lie there look like, against the configured layout; with its name.
pub(super) async fn layout(client: &S3Client) -> (String, Check) {
    let keys = &client.config().keys;
    let configured = keys.layout().to_string();
    let row = |verdict, finding: String| Check::new("layout", "Layout", verdict, finding);
    let mut list = ListObjectsV2::with_prefix(keys.list_prefix());
    list.max_keys = Some(SAMPLE);
    let past = keys.past_control();
    list.start_after = past.as_deref();
    let page = match client.list_objects_v2(&list).await {
        Ok(page) => page,
        Err(error) => {
            let finding = format!("{configured} as configured; not checked: {error}");
            return (configured, row(Verdict::Unknown, finding));
        }
    };
    let sample: Vec<&str> = page
        .objects
        .iter()
        .map(|object| object.key.as_str())
        .filter(|key| !keys.is_control(key))
        .collect();
    let fitting = sample
        .iter()
        .filter(|key| keys.multihash(key).is_some())
        .count();
    if sample.is_empty() {
        let finding = format!("{configured} as configured; the store is empty");
        return (configured, row(Verdict::Ok, finding));
    }
    let best = Keys::detect(sample.iter().copied()).into_iter().next();
    match best {
        Some(best) if best.matched > fitting => {
            let (layout, prefix) = (best.keys.layout().to_string(), best.keys.prefix());
            let finding = format!(
                "{} of {} keys are in the layout {layout} under the prefix {:?}, {fitting} in the \
                 configured one, {configured}",
                best.matched,
                sample.len(),
                prefix.as_str()
            );
            let advice = format!(
                "open it as s3://{}/{prefix}?layout={layout}",
                client.bucket().name()
            );
            let name = if fitting == 0 { layout } else { configured };
            (name, row(Verdict::Warn, finding).advise(advice))
        }
        _ if fitting == 0 => {
            let finding = format!(
                "{configured} as configured; none of the {} keys looked at is a block in a known \
                 layout",
                sample.len()
            );
            (
                configured,
                row(Verdict::Warn, finding).advise("give the store a prefix of its own"),
            )
        }
        _ => {
            let finding = format!("{configured}: {fitting} of {} keys fit", sample.len());
            (configured, row(Verdict::Ok, finding))
        }
    }
}
