//! `If-Match`: whether the server knows it on a put, in which form, and whether it holds under a race.

use bytes::Bytes;
use cidbucket_blockstore::Result;
use futures::future::join_all;

use super::check::{Check, Verdict};
use super::raw::{Answer, Ask, Raw, Seen, random_bytes};

const RACERS: usize = 8;

/// How the server treats a put with `If-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Replace {
    /// Only the right tag is taken, and of several at once one wins. `bare`: only without its quotes.
    Holds { bare: bool },
    /// Only the right tag is taken, but several at once can win.
    Races(usize),
    /// It overwrites as if nothing had been said.
    Ignored,
    /// A put with the right tag fails.
    Refused(String),
    /// It could not be found out.
    Unclear(String),
}

pub(super) async fn look(raw: &Raw) -> Replace {
    match try_one(raw).await {
        Ok(found) => found,
        Err(error) => Replace::Unclear(error.to_string()),
    }
}

async fn try_one(raw: &Raw) -> Result<Replace> {
    let key = raw.fresh_key();
    let first = random_bytes(64);
    let answer = raw.ask(&Ask::put(&key, &first)).await?;
    let Some(tag) = answer.header("etag").filter(|_| answer.ok()) else {
        return Ok(Replace::Unclear(format!("a put was answered {answer}")));
    };
    // The right tag.
    let second = random_bytes(64);
    let mut bare = false;
    let mut answer = replace(raw, &key, &second, tag).await?;
    if !answer.ok() && raw.look(&key).await == Seen::Object(first) {
        bare = true;
        answer = replace(raw, &key, &second, tag.trim_matches('"')).await?;
    }
    match raw.look(&key).await {
        Seen::Object(seen) if seen == second => {}
        Seen::Unclear(why) => return Ok(Replace::Unclear(why)),
        _ => return Ok(Replace::Refused(answer.to_string())),
    }
    let Some(next) = answer.header("etag").filter(|_| answer.ok()) else {
        return Ok(Replace::Unclear(format!("it was answered {answer}")));
    };
    // The tag of before.
    let form = |tag: &str| {
        if bare {
            tag.trim_matches('"').to_owned()
        } else {
            tag.to_owned()
        }
    };
    let third = random_bytes(64);
    let stale = replace(raw, &key, &third, &form(tag)).await?;
    match raw.look(&key).await {
        Seen::Object(seen) if seen == second && !stale.ok() => {}
        Seen::Object(seen) if seen == second => {
            return Ok(Replace::Unclear(format!(
                "a put with an old tag was answered {stale}, but did not overwrite"
            )));
        }
        Seen::Unclear(why) => return Ok(Replace::Unclear(why)),
        _ => return Ok(Replace::Ignored),
    }
    Ok(race(raw, &key, &form(next), bare).await)
}

async fn race(raw: &Raw, key: &str, tag: &str, bare: bool) -> Replace {
    let answers = join_all((0..RACERS).map(|_| async move {
        let body = random_bytes(64);
        // No answer may mean that it won, so it is no loser either.
        (replace(raw, key, &body, tag).await.ok(), body)
    }))
    .await;
    let winners: Vec<_> = answers
        .iter()
        .filter(|(answer, _)| answer.as_ref().is_some_and(Answer::ok))
        .collect();
    match (winners.as_slice(), raw.look(key).await) {
        ([(_, body)], Seen::Object(seen)) if seen == *body => Replace::Holds { bare },
        ([], _) => Replace::Unclear("of several puts at once none succeeded".into()),
        ([_], _) => Replace::Unclear("the winner of a race was overwritten".into()),
        (several, _) => Replace::Races(several.len()),
    }
}

async fn replace(raw: &Raw, key: &str, body: &Bytes, tag: &str) -> Result<Answer> {
    let ask = Ask {
        headers: &[("if-match", tag)],
        ..Ask::put(key, body)
    };
    raw.ask(&ask).await
}

pub(super) fn check(found: &Replace) -> Check {
    let row = |verdict, finding: String| {
        Check::new("conditional-replace", "If-Match on put", verdict, finding)
    };
    let advice = "several instances of the service cannot count quotas here: see docs/records.md";
    match found {
        Replace::Holds { bare: false } => row(
            Verdict::Ok,
            format!("honoured: of {RACERS} puts at once exactly one won"),
        ),
        Replace::Holds { bare: true } => row(
            Verdict::Ok,
            format!(
                "honoured, but only without the tag's quotes: of {RACERS} puts at once exactly one \
                 won"
            ),
        ),
        Replace::Races(winners) => row(
            Verdict::Warn,
            format!("honoured one after the other, but {winners} of {RACERS} at once won"),
        )
        .advise(advice),
        Replace::Ignored => row(Verdict::Warn, "ignored: it overwrites".into()).advise(advice),
        Replace::Refused(answer) => row(
            Verdict::Warn,
            format!("not supported: a put with the right tag is refused ({answer})"),
        )
        .advise(advice),
        Replace::Unclear(why) => row(Verdict::Unknown, why.clone()),
    }
}
