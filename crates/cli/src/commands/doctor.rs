//! `cidbucket doctor`: what this store is, and what it enforces.

mod fix;
mod service;

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use cidbucket::presign::Seal;
use cidbucket::s3::{Check, Probe, S3Client, S3Config, Verdict};
use cidbucket::{Block, Blockstore, Error, FolderBlockstore, Location};
use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::env::Env;
use crate::failure::{Failure, Outcome};
use crate::session::Session;
use crate::{quantity, seal_cache, table};

/// Try out what this store is and enforces, and say what to change
///
/// In a bucket it writes some small objects under the store's prefix, right and wrong ones, looks
/// what became of them, and removes them again. It takes about a hundred requests. Of a service it
/// shows what that says of itself, and tries which way a block goes.
///
/// With one of the fixes it looks at that alone, shows what it would change in the bucket's
/// settings, asks, changes it, and tries out whether it works.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket doctor
  cidbucket doctor --json | jq .seal
  cidbucket doctor --fix-cors --origin https://app.example.org
  cidbucket doctor --fix-public-read --yes")]
pub(crate) struct Args {
    /// Let web pages read and write blocks by signed URL: one CORS rule, others stay
    #[arg(long)]
    fix_cors: bool,
    /// An origin whose pages may; again for more [default: all]
    #[arg(long = "origin", value_name = "URL", requires = "fix_cors", value_parser = origin)]
    origins: Vec<String>,
    /// Let anybody read blocks, and nothing else: one policy statement, others stay
    #[arg(long)]
    fix_public_read: bool,
    /// Make the change that is shown without asking
    #[arg(long)]
    yes: bool,
}

impl Args {
    /// The origins that are named, or all.
    fn origins(&self) -> Vec<String> {
        if self.origins.is_empty() {
            vec!["*".to_owned()]
        } else {
            self.origins.clone()
        }
    }
}

/// An origin as browsers write it: scheme, host, and port where it is not the scheme's own. It may
/// have one `*`.
fn origin(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let (scheme, host) = text
        .split_once("://")
        .ok_or("an origin is SCHEME://HOST[:PORT], as https://app.example.org")?;
    let host = host.strip_suffix('/').unwrap_or(host);
    let in_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    let in_host = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]*".contains(&b);
    if scheme.is_empty() || !scheme.bytes().all(in_scheme) {
        return Err("its scheme has letters, digits, + - and . alone".to_owned());
    }
    if host.is_empty() || !host.bytes().all(in_host) {
        return Err("an origin ends with host and port: no path, query or user".to_owned());
    }
    if host.matches('*').count() > 1 {
        return Err("an origin has at most one *".to_owned());
    }
    Ok(format!("{scheme}://{host}").to_ascii_lowercase())
}

/// What was found out.
struct Report {
    location: Location,
    rows: Vec<Row>,
    /// What it comes to, in sentences.
    verdict: String,
    json: Value,
}

/// One thing that was looked at.
struct Row {
    id: &'static str,
    title: &'static str,
    verdict: Verdict,
    finding: String,
    advice: Option<String>,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    if args.fix_cors || args.fix_public_read {
        return Box::pin(fix::run(&args, session)).await;
    }
    if args.yes {
        let failure = Failure::usage("--yes goes with --fix-cors or --fix-public-read");
        return Err(failure.into());
    }
    let location = session.location()?;
    let bar = session.bar("trying the store", None);
    bar.enable_steady_tick(Duration::from_millis(200));
    let report = match &location {
        Location::S3 { config, .. } => bucket(config, session.env).await,
        Location::Direct { config, .. } => service::service(&location, config).await,
        Location::Folder(path) => folder(path).await.map(|rows| local(&location, rows)),
        _ => Ok(local(&location, vec![memory()])),
    };
    bar.finish_and_clear();
    let report = report?;
    if session.json {
        return session.json_line(&report.json);
    }
    let text = report.text(session);
    session.line(text.trim_end())
}

async fn bucket(config: &S3Config, env: &Env) -> Result<Report, Error> {
    let probe = Probe::run(&S3Client::new(config.clone())?).await?;
    // What was just found out is what `presign put` needs to know.
    seal_cache::keep(env, config, (&probe).into());
    Ok(Report {
        location: Location::S3 {
            config: Box::new(config.clone()),
            cache: None,
        },
        rows: probe.rows().iter().map(Row::from).collect(),
        verdict: verdict(probe.seal),
        json: probe.to_json(),
    })
}

fn verdict(seal: Option<Seal>) -> String {
    match seal {
        Some(seal) => format!(
            "Blocks can be read and written directly: presign put seals with {seal}, and S3 \
             itself refuses other bytes."
        ),
        None => "Blocks can be written through cidbucket only: this bucket was not seen to check \
                 the SHA-256 of an upload, so presign put refuses."
            .into(),
    }
}

/// A folder or memory: the same report, without what only S3 has.
fn local(location: &Location, rows: Vec<Row>) -> Report {
    let works = rows.iter().all(|row| row.verdict == Verdict::Ok);
    let layout = rows.iter().find(|row| row.id == "layout");
    Report {
        verdict: if works {
            "Blocks can be read and written. There are no URLs to sign: presign needs S3.".into()
        } else {
            "This store does not work as it should.".into()
        },
        json: json!({
            "store": location.to_string(),
            "seal": null,
            "conditional_put": null,
            "conditional_replace": null,
            "conditional_copy": null,
            "cors": null,
            "layout": layout.map(|row| &row.finding),
            "checks": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
        }),
        location: location.clone(),
        rows,
    }
}

async fn folder(path: &std::path::Path) -> Result<Vec<Row>, Error> {
    let store = FolderBlockstore::open(path).await?;
    let layout = Row::new(
        "layout",
        "Layout",
        Verdict::Ok,
        format!("flatfs, {}", store.sharding()),
    );
    let place = Row::new(
        "folder",
        "Folder",
        Verdict::Ok,
        store.path().display().to_string(),
    );
    Ok(vec![place, layout, round(&store).await])
}

/// A block of its own goes in, comes out, and is removed.
async fn round(store: &dyn Blockstore) -> Row {
    let mark = RandomState::new().hash_one(0);
    let block = Block::raw(format!("cidbucket doctor {mark:016x}"));
    let tried = async {
        store.put(&block).await?;
        let found = store.get(block.cid()).await?;
        store.delete(block.cid()).await?;
        Ok::<_, Error>(found.is_some() && !store.has(block.cid()).await?)
    };
    let (verdict, finding) = match tried.await {
        Ok(true) => (
            Verdict::Ok,
            format!(
                "{} went in, came out, and were removed",
                quantity::size(block.len() as u64)
            ),
        ),
        Ok(false) => (Verdict::Fail, "a block that was put was not there".into()),
        Err(error) => (Verdict::Fail, error.to_string()),
    };
    Row::new("round", "A block", verdict, finding)
}

fn memory() -> Row {
    Row::new(
        "memory",
        "Memory",
        Verdict::Ok,
        "gone when the command ends".into(),
    )
    .advise("for blocks that are to stay, use dir:PATH or s3://BUCKET")
}

impl Row {
    fn new(id: &'static str, title: &'static str, verdict: Verdict, finding: String) -> Self {
        Self {
            id,
            title,
            verdict,
            finding,
            advice: None,
        }
    }

    fn advise(mut self, advice: &str) -> Self {
        self.advice = Some(advice.into());
        self
    }

    fn to_json(&self) -> Value {
        let mut row = json!({
            "id": self.id,
            "title": self.title,
            "verdict": self.verdict.name(),
            "finding": self.finding,
        });
        if let Some(advice) = &self.advice {
            row["advice"] = json!(advice);
        }
        row
    }
}

impl From<&Check> for Row {
    fn from(check: &Check) -> Self {
        Self {
            id: check.id,
            title: check.title,
            verdict: check.verdict,
            finding: check.finding.clone(),
            advice: check.advice.as_deref().map(Into::into),
        }
    }
}

impl Report {
    fn text(&self, session: &Session<'_>) -> String {
        let verdict = table::wrap(&self.verdict, "", "", session.io.columns);
        let rows = render(&self.rows, session);
        format!("{}\n\n{rows}\n{verdict}\n", self.location)
    }
}

/// A table of rows, and what they advise.
fn render(rows: &[Row], session: &Session<'_>) -> String {
    let width = session.io.columns;
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let mark = session.result_style(&format!("{:<7}", row.verdict), style(row.verdict));
            [mark, row.title.to_owned(), row.finding.clone()]
        })
        .collect();
    let mut out = table::render(&cells, 7, width);
    for (heading, of_good) in [
        ("What to change:", false),
        ("What you could also do:", true),
    ] {
        let mut heading = Some(heading);
        for row in rows {
            if let Some(advice) = &row.advice
                && (row.verdict == Verdict::Ok) == of_good
            {
                if let Some(heading) = heading.take() {
                    let _ = writeln!(out, "\n{heading}");
                }
                let advice = format!("{}: {advice}", row.title);
                let _ = writeln!(out, "{}", table::wrap(&advice, "- ", "  ", width));
            }
        }
    }
    out
}

fn style(verdict: Verdict) -> Style {
    let color = match verdict {
        Verdict::Ok => AnsiColor::Green,
        Verdict::Warn => AnsiColor::Yellow,
        Verdict::Fail => AnsiColor::Red,
        Verdict::Unknown => return Style::new().dimmed(),
    };
    Style::new().fg_color(Some(color.into()))
}

#[cfg(test)]
mod tests {
    use cidbucket::MemoryBlockstore;

    use super::*;

    #[tokio::test]
    async fn a_round_leaves_nothing() {
        let store = MemoryBlockstore::new();
        assert_eq!(round(&store).await.verdict, Verdict::Ok);
        assert!(store.is_empty());
    }

    #[test]
    fn origins() {
        for (text, expected) in [
            ("*", "*"),
            ("https://App.example.org", "https://app.example.org"),
            ("https://app.example.org/", "https://app.example.org"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("https://*.example.org", "https://*.example.org"),
            ("http://[::1]:80", "http://[::1]:80"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(expected));
        }
        for text in [
            "",
            "null",
            "app.example.org",
            "https://",
            "https://a.example/path",
            "https://u@a.example",
            "https://*.*.example",
            "https://a.example?q",
            "://a.example",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_verdict_names_the_seal() {
        assert!(verdict(Some(Seal::PayloadHash)).contains("payload-hash"));
        assert!(verdict(None).contains("refuses"));
    }
}
