//! `cidbucket doctor`: what this store is, and what it enforces.

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use cidbucket::presign::Seal;
use cidbucket::s3::{Check, Probe, S3Client, S3Config, Verdict};
use cidbucket::{Block, Blockstore, Error, FolderBlockstore, Location};
use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::env::Env;
use crate::failure::Outcome;
use crate::session::Session;
use crate::{quantity, seal_cache, table};

/// Try out what this store is and enforces, and say what to change
///
/// In a bucket it writes some small objects under the store's prefix, right and wrong ones, looks
/// what became of them, and removes them again. It takes about a hundred requests.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket doctor
  cidbucket doctor --json | jq .seal")]
pub(crate) struct Args {}

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

pub(crate) async fn run(_: Args, session: &mut Session<'_>) -> Outcome {
    let location = session.location()?;
    let bar = session.bar("trying the store", None);
    bar.enable_steady_tick(Duration::from_millis(200));
    let report = match &location {
        Location::S3 { config, .. } => bucket(config, session.env).await,
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
    seal_cache::keep(env, config, probe.seal);
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
        let width = session.io.columns;
        let mut out = format!("{}\n\n", self.location);
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                let mark = session.result_style(&format!("{:<7}", row.verdict), style(row.verdict));
                [mark, row.title.to_owned(), row.finding.clone()]
            })
            .collect();
        out.push_str(&table::render(&rows, 7, width));
        for (heading, of_good) in [
            ("What to change:", false),
            ("What you could also do:", true),
        ] {
            let mut heading = Some(heading);
            for row in &self.rows {
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
        let _ = write!(out, "\n{}\n", table::wrap(&self.verdict, "", "", width));
        out
    }
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
    fn the_verdict_names_the_seal() {
        assert!(verdict(Some(Seal::PayloadHash)).contains("payload-hash"));
        assert!(verdict(None).contains("refuses"));
    }
}
