//! Which seal a bucket was found to enforce, kept between runs so that `presign put` need not try
//! it out each time.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cidbucket::presign::Seal;
use cidbucket::s3::{Probe, S3Client, S3Config};
use cidbucket_service::Enforced;
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
    let seal = Probe::run(&S3Client::new(config.clone())?).await?.seal;
    bar.finish_and_clear();
    keep(env, config, seal);
    Ok(seal)
}

/// What a bucket enforces. The seal that is kept is used; all else is tried out.
pub(crate) async fn enforced(config: &S3Config, env: &Env, bar: &ProgressBar) -> Outcome<Enforced> {
    bar.enable_steady_tick(Duration::from_millis(200));
    let probe = Probe::run(&S3Client::new(config.clone())?).await;
    bar.finish_and_clear();
    let probe = probe?;
    keep(env, config, probe.seal);
    Ok(Enforced::from(&probe))
}

/// Has our own puts send the SHA-256 as `x-amz-checksum-sha256` too, where the bucket was found to
/// check it: some servers check nothing else.
pub(crate) fn send_what_is_checked(config: &mut S3Config, env: &Env) {
    if kept(config, env) == Some(Seal::Checksum) {
        config.send_checksum = true;
    }
}

/// Keeps what was found. Where it cannot be kept, the next run tries again.
pub(crate) fn keep(env: &Env, config: &S3Config, seal: Option<Seal>) {
    let Some(path) = path(env) else { return };
    let mut known = load(&path);
    known.retain(|_, entry| entry.is_fresh());
    let name = config.bucket.to_string();
    match seal {
        Some(seal) => {
            let probed = now();
            known.insert(name, Entry { seal, probed });
        }
        None => drop(known.remove(&name)),
    }
    if let Err(error) = store(&path, &known) {
        tracing::debug!(path = %path.display(), %error, "could not keep the bucket's seal");
    }
}

/// The seal that was found for a bucket not long ago.
fn kept(config: &S3Config, env: &Env) -> Option<Seal> {
    let entry = load(&path(env)?).remove(&config.bucket.to_string())?;
    entry.is_fresh().then_some(entry.seal)
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

    #[test]
    fn what_was_found_is_kept_by_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let env = Env::from_iter([("XDG_CACHE_HOME", folder.path().to_str().unwrap())]);
        let path = path(&env).unwrap();
        keep(&env, &config("one"), Some(Seal::Checksum));
        keep(&env, &config("two"), Some(Seal::PayloadHash));
        let seals: Vec<_> = load(&path).values().map(|entry| entry.seal).collect();
        assert_eq!(seals, [Seal::Checksum, Seal::PayloadHash]);
        for (bucket, sends) in [("one", true), ("two", false), ("three", false)] {
            let mut config = config(bucket);
            send_what_is_checked(&mut config, &env);
            assert_eq!(config.send_checksum, sends, "{bucket}");
        }
        keep(&env, &config("one"), None);
        assert_eq!(load(&path).len(), 1);
        // What is old goes, and is not used.
        fs::write(
            &path,
            "{\"https://one/\":{\"seal\":\"checksum\",\"probed\":5}}",
        )
        .unwrap();
        assert_eq!(load(&path).len(), 1);
        keep(&env, &config("two"), Some(Seal::PayloadHash));
        assert_eq!(load(&path).values().next().unwrap().seal, Seal::PayloadHash);
        assert_eq!(load(&path).len(), 1);
        // A damaged file is as good as none.
        fs::write(&path, "{").unwrap();
        keep(&env, &config("one"), Some(Seal::Header));
        assert_eq!(load(&path).len(), 1);
    }
}
