//! `cidbucket token issue`

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cidbucket::Hash;
use cidbucket_access::{
    Capability, Claims, Flaw, Operation, Operations, Quota, Rate, SigningKey, Tenant, Window,
};
use data_encoding::HEXLOWER;
use serde_json::json;

use super::{bad_key, key_path};
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use crate::{codec, quantity};

/// Issue a token: who has it may do what it says
///
/// What is not narrowed is allowed: without --tenant all shared blocks, without --max-bytes any
/// number of bytes. A token cannot be taken back before it expires, except with its key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket token issue --key issuer.json --sub alice --ops read --expires 30d
  cidbucket token issue --key issuer.json --ops write --tenant team-7 --max-bytes 10GiB
  export CIDBUCKET_TOKEN_KEY=issuer.json
  export CIDBUCKET_TOKEN=$(cidbucket token issue --window 1GiB/24h --rate 20)")]
pub(crate) struct Args {
    /// The key that signs [env: CIDBUCKET_TOKEN_KEY]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Who it is for, as shown in logs
    #[arg(long, value_name = "NAME")]
    sub: Option<String>,
    /// What may be done: read, write, list, delete
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "read,write",
        value_parser = |text: &str| text.parse::<Operation>()
    )]
    ops: Vec<Operation>,
    /// A tenant's own blocks instead of the shared ones
    #[arg(long, value_name = "NAME", value_parser = |text: &str| text.parse::<Tenant>())]
    tenant: Option<Tenant>,
    /// Only blocks of these hash functions, such as sha2-256,blake3
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = hash)]
    hashes: Option<Vec<u64>>,
    /// Only CIDs of these codecs, such as raw,dag-pb
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = codec::parse)]
    codecs: Option<Vec<u64>>,
    /// The largest block that may be written
    #[arg(long, value_name = "SIZE", value_parser = quantity::parse_size)]
    max_block: Option<u64>,
    /// How many bytes may be written in all
    #[arg(long, value_name = "SIZE", value_parser = quantity::parse_size)]
    max_bytes: Option<u64>,
    /// How many bytes may be written in a time, such as 1GiB/24h
    #[arg(long, value_name = "SIZE/TIME", value_parser = window)]
    window: Option<Window>,
    /// How many requests may be made a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// How many requests may be made at once, after a pause [default: as --rate]
    #[arg(long, value_name = "N", requires = "rate")]
    burst: Option<NonZeroU32>,
    /// Answer writes with "stored already": saves uploads, tells that somebody has the block
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    answer_stored: Option<bool>,
    /// How long it lives
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = quantity::parse_duration)]
    expires: Duration,
    /// The service it is for, by the name that the service was given; may be repeated
    #[arg(long, value_name = "NAME")]
    audience: Vec<String>,
    /// Who issues it
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Its id, by which bytes and requests are counted [default: a random one]
    #[arg(long, value_name = "TEXT")]
    id: Option<String>,
}

pub(crate) fn run(mut args: Args, session: &mut Session<'_>) -> Outcome {
    let Some(path) = key_path(args.key.take(), session) else {
        return Err(Failure::usage("no key is given")
            .with_hint(
                "give --key FILE or set CIDBUCKET_TOKEN_KEY; \
                 `cidbucket token key -o FILE` makes one",
            )
            .into());
    };
    let key = SigningKey::load(&path).map_err(|error| bad_key(&path, &error))?;
    let claims = args.claims(SystemTime::now())?;
    let token = claims.issue(&key).map_err(|flaw| not_issued(&flaw))?;
    if session.json {
        let capability = &claims.capability;
        return session.json_line(&json!({
            "token": token,
            "id": capability.token,
            "key": key.id(),
            "expires": capability.expires,
        }));
    }
    session.line(token)
}

impl Args {
    fn claims(self, now: SystemTime) -> Outcome<Claims> {
        let now = now
            .duration_since(UNIX_EPOCH)
            .map_err(|_| Failure::usage("this machine's clock is before 1970"))?
            .as_secs();
        if self.expires < Duration::from_secs(1) {
            return Err(Failure::usage("--expires must be at least 1s").into());
        }
        let id = match self.id {
            Some(id) => id,
            None => random_id()?,
        };
        let mut capability = Capability::new(
            self.sub.unwrap_or_default(),
            id,
            Operations::from_iter(self.ops),
        );
        capability.tenant = self.tenant;
        capability.hashes = self.hashes;
        capability.codecs = self.codecs;
        capability.max_block = self.max_block;
        if self.max_bytes.is_some() || self.window.is_some() {
            capability.quota = Some(Quota {
                total: self.max_bytes,
                window: self.window,
            });
        }
        capability.answer_stored = self.answer_stored;
        capability.rate = self.rate.map(|per_second| Rate {
            per_second,
            burst: self.burst.unwrap_or(per_second),
        });
        capability.expires = Some(now.saturating_add(self.expires.as_secs()));
        let mut claims = Claims::new(capability);
        claims.audience = self.audience;
        claims.issuer = self.issuer;
        claims.issued = Some(now);
        Ok(claims)
    }
}

/// 64 random bits: enough that no two tokens of a service share a quota by chance.
fn random_id() -> Outcome<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::io("no randomness", &std::io::Error::other(error)))?;
    Ok(HEXLOWER.encode(&random))
}

fn not_issued(flaw: &Flaw) -> Failure {
    Failure::new(
        Exit::Usage,
        "invalid",
        format!("no service would accept this token: {flaw}"),
    )
}

fn hash(name: &str) -> Result<u64, String> {
    Hash::from_name(name).map(Hash::code).ok_or_else(|| {
        let mut names: Vec<_> = Hash::ALL.iter().map(|hash| hash.name()).collect();
        names.dedup();
        format!("accepted are {}", names.join(", "))
    })
}

fn window(text: &str) -> Result<Window, String> {
    let (size, time) = text
        .split_once('/')
        .ok_or("give a size and a time: 1GiB/24h")?;
    let seconds = quantity::parse_duration(time)?.as_secs();
    if seconds == 0 {
        return Err("the time must be at least 1s".into());
    }
    Ok(Window {
        bytes: quantity::parse_size(size)?,
        seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        assert_eq!(
            window("1GiB/24h"),
            Ok(Window {
                bytes: 1 << 30,
                seconds: 86_400
            })
        );
        for bad in ["", "1GiB", "1GiB/", "/24h", "1GiB/0", "1GiB/500ms", "1/2/3"] {
            assert!(window(bad).is_err(), "{bad}");
        }
    }
}
