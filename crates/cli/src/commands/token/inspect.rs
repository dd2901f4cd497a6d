//! `cidbucket token inspect`

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cidbucket::Hash;
use cidbucket_access::{
    Claims, Flaw, Inspection, MAX_TOKEN, Operation, Signature, TokenKeys, inspect,
};
use clap::builder::styling::{AnsiColor, Style};
use serde_json::json;

use super::{bad_key, key_path};
use crate::failure::{Exit, Failure, Outcome, Stop};
use crate::session::Session;
use crate::{codec, quantity};

/// Show what a token says, and whether it is good
///
/// Nothing in a token is to be believed before its signature was verified: give the key, or the
/// service's set of keys. The exit code is 4 where a service would refuse the token.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket token inspect                            the one in CIDBUCKET_TOKEN
  cidbucket token inspect --key keys.json < token.txt
  cidbucket token inspect --json TOKEN")]
pub(crate) struct Args {
    /// The token; - reads it from standard input [default: CIDBUCKET_TOKEN, else -]
    #[arg(value_name = "TOKEN")]
    token: Option<String>,
    /// Keys to verify it by: a key, or a set of keys [env: CIDBUCKET_TOKEN_KEY]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Outcome {
    let keys = match key_path(args.key.clone(), session) {
        Some(path) => Some(TokenKeys::load(&path).map_err(|error| bad_key(&path, &error))?),
        None => None,
    };
    let token = token(args.token.as_deref(), session)?;
    let now = SystemTime::now();
    let seen = inspect(token.trim(), keys.as_ref(), now).map_err(|flaw| {
        Failure::new(Exit::Usage, "invalid", format!("not a token: {flaw}"))
            .with_hint("a token is three parts of letters and digits with dots between")
    })?;
    if session.json {
        session.json_line(&as_json(&seen))?;
    } else {
        show(&seen, now, session)?;
    }
    match refused(&seen) {
        Some(_) => Err(Stop::Code(Exit::Denied as u8)),
        None => Ok(()),
    }
}

/// The token that was given; from standard input no more than a token can have.
fn token(given: Option<&str>, session: &mut Session<'_>) -> Outcome<String> {
    let given = given.or_else(|| session.env.get("CIDBUCKET_TOKEN"));
    if let Some(token) = given.filter(|token| *token != "-") {
        return Ok(token.into());
    }
    let mut token = String::new();
    let limit = MAX_TOKEN as u64 * 2;
    session
        .io
        .take_stdin()
        .take(limit)
        .read_to_string(&mut token)
        .map_err(|error| Failure::io("cannot read standard input", &error))?;
    Ok(token)
}

/// Why a service would refuse it, as far as it can be told.
fn refused(seen: &Inspection) -> Option<&Flaw> {
    match &seen.signature {
        Signature::Refused(flaw) => Some(flaw),
        _ => seen.time.as_ref().err(),
    }
}

fn as_json(seen: &Inspection) -> serde_json::Value {
    let (signature, key) = match &seen.signature {
        Signature::Verified { key, .. } => ("verified", key.as_deref()),
        Signature::Refused(_) => ("refused", None),
        _ => ("unchecked", None),
    };
    json!({
        "signature": signature,
        "key": key,
        "refused": refused(seen).map(ToString::to_string),
        "header": seen.header,
        "claims": seen.payload,
    })
}

fn show(seen: &Inspection, now: SystemTime, session: &mut Session<'_>) -> Outcome {
    let good = Style::new().fg_color(Some(AnsiColor::Green.into()));
    let bad = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    let unknown = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
    let (word, style, rest) = match &seen.signature {
        Signature::Verified { key, algorithm } => {
            let key = key
                .as_ref()
                .map_or_else(|| "the key".into(), |id| format!("key {id}"));
            ("good", good, format!("by {key} ({algorithm})"))
        }
        Signature::Refused(flaw) => ("REFUSED", bad, flaw.to_string()),
        _ => (
            "NOT VERIFIED",
            unknown,
            "anybody can have written this; --key FILE verifies it".into(),
        ),
    };
    let word = session.result_style(word, style);
    row(session, "signature", &format!("{word}: {rest}"))?;
    match &seen.claims {
        Err(flaw) => {
            let word = session.result_style("REFUSED", bad);
            row(session, "claims", &format!("{word}: {flaw}"))?;
            row(session, "says", &json!(seen.payload).to_string())
        }
        Ok(claims) => {
            let (word, style) = match &seen.time {
                Ok(()) => ("now", good),
                Err(_) => ("NOT NOW", bad),
            };
            let word = session.result_style(word, style);
            row(session, "valid", &format!("{word}: {}", times(claims, now)))?;
            for (name, text) in rows(claims) {
                row(session, name, &text)?;
            }
            Ok(())
        }
    }
}

fn row(session: &mut Session<'_>, name: &str, text: &str) -> Outcome {
    session.line(format_args!("{name:<10} {text}"))
}

/// What the claims say, in the order in which it is asked.
fn rows(claims: &Claims) -> Vec<(&'static str, String)> {
    let capability = &claims.capability;
    let mut rows = Vec::new();
    let mut given = |name, text: Option<String>| rows.extend(text.map(|text| (name, text)));
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let list = |codes: &Option<Vec<u64>>, name: fn(u64) -> String| {
        codes.as_ref().map(|codes| {
            let names: Vec<_> = codes.iter().map(|&code| name(code)).collect();
            names.join(", ")
        })
    };
    given("for", text(&capability.subject));
    given("id", text(&capability.token));
    given("issuer", claims.issuer.clone());
    given("audience", text(&claims.audience.join(", ")));
    let operations: Vec<_> = capability.operations.iter().map(Operation::name).collect();
    given("may", Some(operations.join(", ")));
    given(
        "blocks",
        Some(match &capability.tenant {
            Some(tenant) => format!("of the tenant {tenant}"),
            None => "shared".into(),
        }),
    );
    given("hashes", list(&capability.hashes, hash_name));
    given("codecs", list(&capability.codecs, codec::name));
    given("max block", capability.max_block.map(quantity::size));
    if let Some(quota) = capability.quota {
        let total = quota
            .total
            .map(|bytes| format!("{} in all", quantity::size(bytes)));
        let window = quota.window.map(|window| {
            let time = Duration::from_secs(window.seconds);
            format!(
                "{} in {}",
                quantity::size(window.bytes),
                humantime::format_duration(time)
            )
        });
        let both: Vec<_> = total.into_iter().chain(window).collect();
        given("bytes", Some(both.join(", ")));
    }
    given(
        "requests",
        capability
            .rate
            .map(|rate| format!("{} a second, {} at once", rate.per_second, rate.burst)),
    );
    given(
        "stored",
        capability.answer_stored.map(|answer| {
            let word = if answer { "may" } else { "may not" };
            format!("{word} learn that a block is stored already")
        }),
    );
    rows
}

fn times(claims: &Claims, now: SystemTime) -> String {
    let from = claims
        .not_before
        .map(|seconds| format!("from {}, ", date(seconds, now)));
    let until = claims.capability.expires.unwrap_or_default();
    format!("{}until {}", from.unwrap_or_default(), date(until, now))
}

/// A date, and how far it is away. Years beyond the calendar stay numbers.
fn date(seconds: u64, now: SystemTime) -> String {
    /// The end of the year 9999.
    const LAST: u64 = 253_402_300_799;
    if seconds > LAST {
        return format!("second {seconds} of 1970");
    }
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    let away = |duration: Duration| {
        // The two largest units say enough.
        let whole = humantime::format_duration(Duration::from_secs(duration.as_secs()));
        let parts: Vec<_> = whole
            .to_string()
            .split(' ')
            .take(2)
            .map(str::to_owned)
            .collect();
        parts.join(" ")
    };
    let date = quantity::date(time);
    match time.duration_since(now) {
        Ok(left) => format!("{date} (in {})", away(left)),
        Err(error) => format!("{date} ({} ago)", away(error.duration())),
    }
}

fn hash_name(code: u64) -> String {
    Hash::from_code(code).map_or_else(|| format!("{code:#x}"), Hash::name)
}
