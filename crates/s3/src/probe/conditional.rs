//! `If-None-Match: *`: whether the server knows it, and whether it holds under a race.

use cidbucket_blockstore::Result;
use futures::future::join_all;

use super::check::{Check, Verdict};
use super::raw::{Ask, Raw, Seen, random_bytes};

const RACERS: usize = 8;
const ONLY_IF_ABSENT: [(&str, &str); 1] = [("if-none-match", "*")];

/// How the server treats a put with `If-None-Match: *`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conditional {
    /// Exactly one of several at once wins, and later ones are refused.
    Holds,
    /// Refused when the object is there, but several at once can win.
    Races(usize),
    /// It overwrites as if nothing had been said.
    Ignored,
    /// A put with it fails even where nothing is there.
    Refused(String),
    /// It could not be found out.
    Unclear(String),
}

pub(super) async fn look(raw: &Raw) -> Conditional {
    match try_one(raw).await {
        Ok(Conditional::Holds) => race(raw).await,
        Ok(other) => other,
        Err(error) => Conditional::Unclear(error.to_string()),
    }
}

async fn try_one(raw: &Raw) -> Result<Conditional> {
    let key = raw.fresh_key();
    let (first, second) = (random_bytes(64), random_bytes(64));
    let put = |body| Ask {
        headers: &ONLY_IF_ABSENT,
        ..Ask::put(&key, body)
    };
    let answer = raw.ask(&put(&first)).await?;
    if !answer.ok() {
        return Ok(Conditional::Refused(answer.to_string()));
    }
    let answer = raw.ask(&put(&second)).await?;
    Ok(match raw.look(&key).await {
        Seen::Object(seen) if seen == first && !answer.ok() => Conditional::Holds,
        Seen::Object(seen) if seen == first => Conditional::Unclear(format!(
            "the second put was answered {answer}, but did not overwrite"
        )),
        Seen::Object(_) | Seen::Nothing => Conditional::Ignored,
        Seen::Unclear(why) => Conditional::Unclear(why),
    })
}

async fn race(raw: &Raw) -> Conditional {
    let key = &raw.fresh_key();
    let answers = join_all((0..RACERS).map(|_| async move {
        let body = random_bytes(64);
        let ask = Ask {
            headers: &ONLY_IF_ABSENT,
            ..Ask::put(key, &body)
        };
        // No answer may mean that it won, so it is no loser either.
        (raw.ask(&ask).await.ok(), body)
    }))
    .await;
    let winners: Vec<_> = answers
        .iter()
        .filter(|(answer, _)| answer.as_ref().is_some_and(super::raw::Answer::ok))
        .collect();
    match (winners.as_slice(), raw.look(key).await) {
        ([(_, body)], Seen::Object(seen)) if seen == *body => Conditional::Holds,
        ([], _) => Conditional::Unclear("of several puts at once none succeeded".into()),
        ([_], _) => Conditional::Unclear("the winner of a race was overwritten".into()),
        (several, _) => Conditional::Races(several.len()),
    }
}

pub(super) fn check(found: &Conditional) -> Check {
    let row = |verdict, finding: String| {
        Check::new(
            "conditional-put",
            "If-None-Match: * on put",
            verdict,
            finding,
        )
    };
    match found {
        Conditional::Holds => row(
            Verdict::Ok,
            format!("honoured: of {RACERS} puts at once exactly one won"),
        ),
        Conditional::Races(winners) => row(
            Verdict::Warn,
            format!("honoured one after the other, but {winners} of {RACERS} at once won"),
        )
        .advise("do not use it as a lock"),
        Conditional::Ignored => row(Verdict::Warn, "ignored: it overwrites".into())
            .advise("leave conditional= off; blocks are content-addressed and need no lock"),
        Conditional::Refused(answer) => row(
            Verdict::Warn,
            format!("not supported: a put with it is refused ({answer})"),
        )
        .advise("leave conditional= off, or every put fails"),
        Conditional::Unclear(why) => row(Verdict::Unknown, why.clone()),
    }
}
