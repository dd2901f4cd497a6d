//! The report on a direct-access service: what it says of itself, and where a block goes.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use cidbucket::direct::protocol::{Info, ReadMode, WriteMode};
use cidbucket::direct::{DirectBlockstore, DirectConfig};
use cidbucket::s3::Verdict;
use cidbucket::{Block, Blockstore, Error, Location};
use serde_json::json;

use super::{Report, Row};
use crate::quantity;

/// Size of the block that is tried: larger than those that go through the service anyway.
const TRIED: usize = 20_000;

pub(super) async fn service(location: &Location, config: &DirectConfig) -> Result<Report, Error> {
    let store = DirectBlockstore::new(config.clone())?;
    let info = store.info().await?;
    let mut rows = facts(&info);
    if config.token.is_some() {
        rows.push(round(&store).await);
    } else {
        let finding = "none is set, so only what this service gives to anybody was looked at";
        rows.push(
            Row::new("token", "Token", Verdict::Unknown, finding.into())
                .advise("set CIDBUCKET_TOKEN, or token_file= in the store's URL"),
        );
    }
    Ok(Report {
        verdict: verdict(&info),
        json: json!({
            "store": location.to_string(),
            "info": info,
            "checks": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
        }),
        location: location.clone(),
        rows,
    })
}

/// What the service says of itself.
fn facts(info: &Info) -> Vec<Row> {
    let row = |id, title, finding: String| Row::new(id, title, Verdict::Ok, finding);
    let reads = match (info.direct_reads, info.reads) {
        (false, _) => "through the service",
        (true, ReadMode::Public) => "straight from S3, by anybody",
        (true, ReadMode::Authorised) => "straight from S3, by whoever has a token",
    };
    let writes = match (info.writes, info.seal) {
        (WriteMode::Direct, Some(seal)) => format!("straight to S3, sealed by {seal}"),
        (WriteMode::Direct, None) => "straight to S3".into(),
        (WriteMode::Proxied, _) => "through the service".into(),
        (WriteMode::None, _) => "none".into(),
    };
    let limits = &info.limits;
    let life = |seconds: u32| humantime::format_duration(Duration::from_secs(seconds.into()));
    let mut rows = vec![
        row("server", "Service", info.server.clone()),
        row("reads", "Reads", reads.into()),
        row("writes", "Writes", writes),
        row(
            "limits",
            "Limits",
            format!(
                "blocks of {}, {} blocks a request",
                quantity::size(limits.max_block),
                limits.max_blocks
            ),
        ),
        row(
            "life",
            "Grants",
            format!(
                "to read for {}, to write for {}",
                life(limits.read_expires),
                life(limits.write_expires)
            ),
        ),
    ];
    if let Some(layout) = &info.layout {
        rows.push(row("layout", "Layout", layout.clone()));
    }
    rows
}

/// A block of its own goes in, comes out, and is removed; which way, the counters tell.
async fn round(store: &DirectBlockstore) -> Row {
    let mark = RandomState::new().hash_one(0).to_le_bytes();
    let block = Block::raw(mark.repeat(TRIED / mark.len()));
    let row = |verdict, finding: String| Row::new("round", "A block", verdict, finding);
    if let Err(error) = store.put(&block).await {
        return match error {
            Error::Denied(_) | Error::Unsupported(_) => row(Verdict::Unknown, error.to_string())
                .advise("with a token that may write, read and delete, a block is tried too"),
            error => row(Verdict::Fail, error.to_string()),
        };
    }
    let got = store.get(block.cid()).await;
    let traffic = store.traffic();
    let removed = store.delete(block.cid()).await;
    let straight = |bytes: u64| {
        if bytes >= block.len() as u64 {
            "straight"
        } else {
            "through the service"
        }
    };
    let row = match got {
        Ok(Some(_)) => {
            let into = straight(traffic.s3.bytes_out);
            let out = straight(traffic.s3.bytes_in);
            row(Verdict::Ok, format!("went in {into}, came out {out}"))
        }
        Ok(None) => row(Verdict::Fail, "a block that was put was not there".into()),
        Err(error @ Error::Denied(_)) => row(Verdict::Unknown, error.to_string()),
        Err(error) => row(Verdict::Fail, error.to_string()),
    };
    let row = if traffic.fallbacks > 0 {
        Row {
            verdict: Verdict::Warn,
            ..row
        }
        .advise("S3 cannot be reached from this machine; -v shows why")
    } else {
        row
    };
    match removed {
        Ok(()) => row,
        Err(_) => row.advise(&format!(
            "the block of this trial could not be removed: {}",
            block.cid()
        )),
    }
}

fn verdict(info: &Info) -> String {
    match (info.direct_reads, info.writes) {
        (true, WriteMode::Direct) => {
            "Blocks are read and written at S3 itself; this service only signs."
        }
        (true, WriteMode::Proxied) => {
            "Blocks are read at S3 itself, and written through this service."
        }
        (true, WriteMode::None) => "Blocks are read at S3 itself; this service takes none.",
        (false, WriteMode::None) => "Blocks are read through this service; it takes none.",
        (false, _) => "Blocks go through this service.",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use cidbucket::direct::protocol::Limits;

    use super::*;

    #[test]
    fn a_service_is_described_in_words() {
        let mut info = Info::new("cidbucket/1", Limits::default());
        let text = |info: &Info| {
            let rows = facts(info);
            let rows = rows
                .iter()
                .map(|row| format!("{}: {}\n", row.title, row.finding));
            rows.collect::<String>() + &verdict(info)
        };
        assert!(text(&info).contains("Blocks go through this service."));
        info.direct_reads = true;
        info.writes = WriteMode::Direct;
        info.seal = Some(cidbucket::presign::Seal::Checksum);
        info.layout = Some("kubo".into());
        let text = text(&info);
        for part in [
            "Service: cidbucket/1",
            "Reads: straight from S3, by whoever has a token",
            "Writes: straight to S3, sealed by checksum",
            "to read for 10m, to write for 15m",
            "Layout: kubo",
            "only signs",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
