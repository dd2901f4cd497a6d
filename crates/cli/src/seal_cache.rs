//! What a bucket was found to enforce, kept between runs so that `presign put` and `serve` need not
//! try it out each time.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cidbucket::presign::Seal;
use cidbucket::s3::{Probe, S3Client, S3Config};
use cidbucket_service::{Conditions, Enforced};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use crate::env::Env;
use crate::failure::Outcome;

/// A server that is upgraded may change what it enforces.
const LIFETIME: Duration = Duration::from_hours(6);

/// Seals by the URL of the bucket.
type Known = BTreeMap<String, Entry>;

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    seal: Seal,
    /// Seconds since 1970.
    probed: u64,
    /// What else a service has to know; not there where an earlier version kept the seal.
    #[serde(flatten)]
    conditional: Option<Conditional>,
}

/// Which conditional requests hold.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Conditional {
    #[serde(rename = "conditional_put")]
    put: bool,
    #[serde(rename = "conditional_replace")]
    replace: bool,
    #[serde(rename = "conditional_copy")]
    copy: bool,
}

impl Entry {
    /// Neither too old nor from the future, as after a correction of the clock.
    fn is_fresh(&self) -> bool {
        now()
            .checked_sub(self.probed)
            .is_some_and(|age| age < LIFETIME.as_secs())
    }
}

/// The seal of a bucket: the one kept, or the one that trying finds. A bucket that was found to
/// enforce none is tried anew each time, since that is what its owner will want to change.
pub(crate) async fn seal(config: &S3Config, env: &Env, bar: &ProgressBar) -> Outcome<Option<Seal>> {
    if let Some(seal) = kept(config, env) {
        return Ok(Some(seal));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let probe = Probe::run(&S3Client::new(config.clone())?).await?;
    bar.finish_and_clear();
    keep(env, config, Enforced::from(&probe));
    Ok(probe.seal)
}

/// What a bucket enforces: what is kept, or what trying finds, as [`seal`].
pub(crate) async fn enforced(config: &S3Config, env: &Env, bar: &ProgressBar) -> Outcome<Enforced> {
    if let Some(entry) = entry(config, env)
        && let Some(conditional) = entry.conditional
    {
        return Ok(Enforced {
            seal: Some(entry.seal),
            conditions: Conditions {
                create: conditional.put,
                replace: conditional.replace,
            },
            conditional_copy: conditional.copy,
        });
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let probe = Probe::run(&S3Client::new(config.clone())?).await;
    bar.finish_and_clear();
    let enforced = Enforced::from(&probe?);
    keep(env, config, enforced);
    Ok(enforced)
}

/// Has our own puts send the SHA-256 as `x-amz-checksum-sha256` too, where the bucket was found to
/// check it: some servers check nothing else.
pub(crate) fn send_what_is_checked(config: &mut S3Config, env: &Env) {
    if kept(config, env) == Some(Seal::Checksum) {
        config.send_checksum = true;
    }
}

/// Keeps what was found. Where it cannot be kept, the next run tries again.
pub(crate) fn keep(env: &Env, config: &S3Config, enforced: Enforced) {
    let Some(path) = path(env) else { return };
    let mut known = load(&path);
    known.retain(|_, entry| entry.is_fresh());
    let name = config.bucket.to_string();
    match enforced.seal {
        Some(seal) => {
            let entry = Entry {
                seal,
                probed: now(),
                conditional: Some(Conditional {
                    put: enforced.conditions.create,
                    replace: enforced.conditions.replace,
                    copy: enforced.conditional_copy,
                }),
            };
            known.insert(name, entry);
        }
        None => drop(known.remove(&name)),
    }
    if let Err(error) = store(&path, &known) {
        tracing::debug!(path = %path.display(), %error, "could not keep the bucket's seal");
    }
}

/// The seal that was found for a bucket not long ago.
fn kept(config: &S3Config, env: &Env) -> Option<Seal> {
    entry(config, env).map(|entry| entry.seal)
}

/// What was found for a bucket not long ago.
fn entry(config: &S3Config, env: &Env) -> Option<Entry> {
    let entry = load(&path(env)?).remove(&config.bucket.to_string())?;
    entry.is_fresh().then_some(entry)
}

/// What is kept; nothing where the file is missing or damaged.
fn load(path: &Path) -> Known {
    fs::read(path)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

fn store(path: &Path, known: &Known) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".seals-")
        .tempfile_in(folder)?;
    file.write_all(&serde_json::to_vec_pretty(known)?)?;
    file.persist(path)?;
    Ok(())
}

/// `$XDG_CACHE_HOME/cidbucket/seals.json`, or under `~/.cache`.
fn path(env: &Env) -> Option<PathBuf> {
    let base = match env.get("XDG_CACHE_HOME") {
        Some(base) => PathBuf::from(base),
        None => Path::new(env.get("HOME")?).join(".cache"),
    };
    Some(base.join("cidbucket").join("seals.json"))
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use cidbucket::Location;

    use super::*;

    fn config(bucket: &str) -> S3Config {
        let url = format!("s3://{bucket}?region=r");
        match Location::parse_with(&url, &cidbucket::s3::Env::empty()).unwrap() {
            Location::S3 { config, .. } => *config,
            other => panic!("{other:?}"),
        }
    }

    fn sealed(seal: Option<Seal>) -> Enforced {
        Enforced {
            seal,
            ..Enforced::NOTHING
        }
    }

    #[test]
    fn what_was_found_is_kept_by_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let env = Env::from_iter([("XDG_CACHE_HOME", folder.path().to_str().unwrap())]);
        let path = path(&env).unwrap();
        keep(&env, &config("one"), sealed(Some(Seal::Checksum)));
        keep(&env, &config("two"), sealed(Some(Seal::PayloadHash)));
        let seals: Vec<_> = load(&path).values().map(|entry| entry.seal).collect();
        assert_eq!(seals, [Seal::Checksum, Seal::PayloadHash]);
        for (bucket, sends) in [("one", true), ("two", false), ("three", false)] {
            let mut config = config(bucket);
            send_what_is_checked(&mut config, &env);
            assert_eq!(config.send_checksum, sends, "{bucket}");
        }
        keep(&env, &config("one"), Enforced::NOTHING);
        assert_eq!(load(&path).len(), 1);
        // What is old goes, and is not used.
        fs::write(
            &path,
            "{\"https://one/\":{\"seal\":\"checksum\",\"probed\":5}}",
        )
        .unwrap();
        assert_eq!(load(&path).len(), 1);
        keep(&env, &config("two"), sealed(Some(Seal::PayloadHash)));
        assert_eq!(load(&path).values().next().unwrap().seal, Seal::PayloadHash);
        assert_eq!(load(&path).len(), 1);
        // A damaged file is as good as none.
        fs::write(&path, "{").unwrap();
        keep(&env, &config("one"), sealed(Some(Seal::Header)));
        assert_eq!(load(&path).len(), 1);
    }

    #[tokio::test]
    async fn what_a_service_has_to_know_is_kept_too() {
        let folder = tempfile::tempdir().unwrap();
        let env = Env::from_iter([("XDG_CACHE_HOME", folder.path().to_str().unwrap())]);
        let found = Enforced {
            seal: Some(Seal::Header),
            conditions: Conditions {
                create: true,
                replace: false,
            },
            conditional_copy: true,
        };
        keep(&env, &config("one"), found);
        let bar = ProgressBar::hidden();
        assert_eq!(enforced(&config("one"), &env, &bar).await.unwrap(), found);
        // A file of an earlier version has the seal alone: enough for a grant.
        let text = format!(
            "{{\"{}\":{{\"seal\":\"checksum\",\"probed\":{}}}}}",
            config("one").bucket,
            now()
        );
        fs::write(path(&env).unwrap(), text).unwrap();
        assert_eq!(kept(&config("one"), &env), Some(Seal::Checksum));
        assert!(entry(&config("one"), &env).unwrap().conditional.is_none());
    }
}
