//! What the bucket and its server are set up as.

use std::time::{Duration, SystemTime};

use cidbucket_blockstore::{Error, Result};
use http::Method;

use super::check::{Check, Verdict};
use super::raw::{Ask, Raw};
use crate::date;
use crate::xml::{CorsRule, walk};

/// An origin that no rule names, to see what a rule for all lets through.
pub(super) const STRANGER: &str = "https://cidbucket-probe.example";

/// Whether web pages may read and write; `None` where it could not be found out.
pub(super) async fn cors(raw: &Raw, key: &str) -> (Option<bool>, Check) {
    let row = |verdict, finding: String| Check::new("cors", "CORS", verdict, finding);
    let rules = raw.client.get_bucket_cors().await;
    let origin = match &rules {
        Ok(rules) => origin_of(rules),
        Err(_) => STRANGER.to_owned(),
    };
    let mut allowed = Vec::new();
    for (method, headers) in [("GET", ""), ("PUT", "content-type,x-amz-checksum-sha256")] {
        match preflight(raw, key, &origin, method, headers).await {
            Ok(yes) => allowed.push(yes),
            Err(error) => return (None, row(Verdict::Unknown, error.to_string())),
        }
    }
    let advice = "if web pages are to reach blocks directly, `cidbucket doctor --fix-cors` sets \
                  the rule for it";
    match (allowed[0], allowed[1]) {
        (true, true) => (
            Some(true),
            row(
                Verdict::Ok,
                format!("a web page at {origin} may read and write by signed URL"),
            ),
        ),
        (true, false) => (
            Some(false),
            row(
                Verdict::Warn,
                format!("a web page at {origin} may read, but not write"),
            )
            .advise(advice),
        ),
        _ => {
            let finding = match &rules {
                Ok(rules) if rules.is_empty() => "no rules: web pages cannot reach blocks".into(),
                Ok(_) => format!("the rules let no page at {origin} read by signed URL"),
                Err(Error::Unsupported(_)) => "the server has no CORS".into(),
                Err(_) => "preflights are refused, and the rules cannot be read".into(),
            };
            (Some(false), row(Verdict::Warn, finding).advise(advice))
        }
    }
}

/// An origin that the rules for GET or PUT are for.
fn origin_of(rules: &[CorsRule]) -> String {
    rules
        .iter()
        .filter(|rule| rule.allowed_methods.iter().any(|method| method == "PUT"))
        .chain(rules)
        .flat_map(|rule| &rule.allowed_origins)
        .next()
        .map_or(STRANGER.to_owned(), |origin| match origin.as_str() {
            "*" => STRANGER.to_owned(),
            origin => origin.replace('*', "cidbucket-probe"),
        })
}

/// Asks as a browser does before a request with headers of its own (names, with commas).
pub(super) async fn preflight(
    raw: &Raw,
    key: &str,
    origin: &str,
    method: &str,
    headers: &str,
) -> Result<bool> {
    let mut announced = vec![
        ("origin", origin),
        ("access-control-request-method", method),
    ];
    if !headers.is_empty() {
        announced.push(("access-control-request-headers", headers));
    }
    let answer = raw
        .ask(&Ask {
            method: Method::OPTIONS,
            headers: &announced,
            payload: None,
            ..Ask::get(key)
        })
        .await?;
    Ok(answer.ok()
        && answer.names("access-control-allow-origin", origin)
        && answer.names("access-control-allow-methods", method)
        && headers
            .split(',')
            .filter(|name| !name.is_empty())
            .all(|name| answer.names("access-control-allow-headers", name)))
}

/// Whether overwritten and deleted objects are kept, and whether versions can be listed.
pub(super) async fn versioning(raw: &Raw) -> Check {
    let row = |verdict, finding: String| Check::new("versioning", "Versions", verdict, finding);
    let ask = Ask {
        query: &[("versioning", "")],
        ..Ask::get("")
    };
    let state = match raw.ask(&ask).await {
        Ok(answer) if answer.ok() => {
            let mut status = String::new();
            let read = walk(&answer.body, |path, text| {
                if path == "VersioningConfiguration/Status" {
                    text.trim().clone_into(&mut status);
                }
                Ok(())
            });
            match read {
                Ok(()) if status.is_empty() => "off".to_owned(),
                Ok(()) => status.to_ascii_lowercase(),
                Err(error) => return row(Verdict::Unknown, error.to_string()),
            }
        }
        Ok(answer) => format!("not known ({answer})"),
        Err(error) => return row(Verdict::Unknown, error.to_string()),
    };
    let list = Ask {
        query: &[("versions", ""), ("prefix", &raw.folder), ("max-keys", "1")],
        ..Ask::get("")
    };
    let listing = match raw.ask(&list).await {
        Ok(answer) if answer.ok() => "ListObjectVersions works".to_owned(),
        Ok(answer) => format!("ListObjectVersions is answered {answer}"),
        Err(error) => return row(Verdict::Unknown, error.to_string()),
    };
    let finding = format!("versioning is {state}; {listing}");
    if state == "enabled" {
        row(Verdict::Warn, finding).advise(
            "deleted blocks go on costing until a lifecycle rule expires noncurrent versions",
        )
    } else {
        row(Verdict::Ok, finding)
    }
}

/// How far this machine's clock is off the server's.
pub(super) async fn clock(raw: &Raw, key: &str) -> Check {
    let row = |verdict, finding: String| Check::new("clock", "Clock", verdict, finding);
    let before = SystemTime::now();
    let answer = match raw.ask(&Ask::get(key)).await {
        Ok(answer) => answer,
        Err(error) => return row(Verdict::Unknown, error.to_string()),
    };
    let after = SystemTime::now();
    let Some(server) = answer.header("date").and_then(date::from_http) else {
        return row(Verdict::Unknown, "the server tells no time".into());
    };
    // The header has whole seconds, rounded down at some time between the two.
    let behind = before.duration_since(server + Duration::from_secs(1));
    let ahead = server.duration_since(after);
    let (skew, word) = match (behind, ahead) {
        (Ok(skew), _) => (skew, "ahead of"),
        (_, Ok(skew)) => (skew, "behind"),
        _ => (Duration::ZERO, "with"),
    };
    let finding = if skew < Duration::from_secs(1) {
        "this machine and the server agree to the second".to_owned()
    } else {
        format!("this machine is {} s {word} the server", skew.as_secs())
    };
    if skew < Duration::from_secs(30) {
        row(Verdict::Ok, finding)
    } else {
        row(Verdict::Warn, finding)
            .advise("synchronise the clock: signed URLs live that much shorter or are refused")
    }
}

/// Whether the way to the server is encrypted.
pub(super) fn transport(raw: &Raw) -> Check {
    let row = |verdict, finding: &str| Check::new("transport", "Transport", verdict, finding);
    let host = raw.bucket.host();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let local = name
        .trim_matches(['[', ']'])
        .parse::<std::net::IpAddr>()
        .map_or_else(
            |_| name == "localhost" || name.ends_with(".localhost"),
            |ip| ip.is_loopback(),
        );
    match (raw.bucket.scheme(), local) {
        ("https", _) => row(Verdict::Ok, "https"),
        (_, true) => row(Verdict::Ok, "http on this machine"),
        _ => row(
            Verdict::Warn,
            "http: signed URLs and blocks can be read on the way",
        )
        .advise("use https outside a trusted network"),
    }
}
