//! What a bucket really is and enforces, found out by trying.
//!
//! No answer is believed: after each upload, right or wrong, the probe looks what lies there.

mod bucket;
mod cache;
mod check;
mod conditional;
mod copy;
mod listing;
mod object;
mod opened;
mod raw;
mod replace;
mod seal;

use std::time::{Duration, SystemTime};

use cidbucket_blockstore::{Error, Report, Result};
use cidbucket_presign::{Bucket, Seal};
use futures::{StreamExt as _, join};
use serde_json::{Value, json};

use crate::{ListObjectsV2, PutObject, S3Client};
use conditional::Conditional;
use copy::Copying;
use raw::{Raw, random_bytes, random_name};
use replace::Replace;

pub use cache::ProbeCache;
pub use check::{Check, Verdict};

/// The folder of all probes, within the service's own.
const FOLDER: &str = "probe/";
/// What an interrupted probe left is removed by a later one after this time.
const STALE: Duration = Duration::from_hours(1);

/// What a bucket is and enforces.
///
/// ```no_run
/// # async fn example(client: &cidbucket_s3::S3Client) -> cidbucket_s3::Result<()> {
/// use cidbucket_s3::Probe;
///
/// let probe = Probe::run(client).await?;
/// for check in probe.rows() {
///     println!("{:<8} {}: {}", check.verdict, check.title, check.finding);
/// }
/// let seal = probe.require_seal()?; // for cidbucket_presign::Policy
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Probe {
    /// The bucket.
    pub bucket: Bucket,
    /// The seal to grant writes under; `None` where none binds a block's SHA-256.
    pub seal: Option<Seal>,
    /// Whether `If-None-Match: *` holds, also under a race; `None` where it is not known.
    pub conditional_put: Option<bool>,
    /// Whether `If-Match` holds on a put, also under a race; `None` where it is not known.
    pub conditional_replace: Option<bool>,
    /// Whether the server copies objects, and honours `x-amz-copy-source-if-match`; `None` where it
    /// is not known.
    pub conditional_copy: Option<bool>,
    /// Whether a put with `x-amz-checksum-sha256` is accepted; `None` where it is not known.
    pub checksum_header: Option<bool>,
    /// Whether web pages may read and write by signed URL; `None` where it is not known.
    pub cors: Option<bool>,
    /// The layout of the keys that lie there, or the configured one.
    pub layout: String,
    /// Median time of a small read; `None` where nothing could be read.
    pub latency: Option<Duration>,
    rows: Vec<Check>,
    /// Whether it could write, and so find out anything about writes.
    wrote: bool,
}

impl Probe {
    /// Tries what the bucket does. Takes some 130 small requests; everything it writes lies in
    /// one folder of its own, `.cidbucket/probe/NAME/` under the store's prefix, and is removed in
    /// the end.
    ///
    /// It goes on to its end, and so to its cleaning up, even when the future is dropped. Needs a
    /// tokio runtime. In a versioned bucket the old versions of what it wrote stay until a
    /// lifecycle rule expires them.
    ///
    /// With credentials that may not write it reports what can be seen without writing; no seal
    /// then, since nothing proves one.
    ///
    /// # Errors
    /// Where the bucket can be neither written nor listed: `Denied`, `NoStore`, `Unavailable`…
    pub async fn run(client: &S3Client) -> Result<Self> {
        let probing = tokio::spawn(Box::pin(probe(client.clone())));
        probing.await.map_err(|error| {
            Error::Unavailable(
                Report::new("probe", "the probe was ended")
                    .with_source(error)
                    .into(),
            )
        })?
    }

    /// One row for every check.
    pub fn rows(&self) -> &[Check] {
        &self.rows
    }

    /// The seal to grant direct writes under.
    ///
    /// # Errors
    /// `Unsupported` where no seal makes the server check a block's SHA-256: writes then have to
    /// go through a process that hashes them.
    pub fn require_seal(&self) -> Result<Seal> {
        self.seal.ok_or_else(|| {
            Error::Unsupported(
                Report::new(
                    "grant a direct write",
                    "this bucket was not seen to check the SHA-256 of an upload, so anybody with \
                     a signed URL could store wrong bytes: write through cidbucket, or use a \
                     server that checks (see `cidbucket doctor`)",
                )
                .with_key(self.bucket.to_string())
                .into(),
            )
        })
    }

    /// The probe as JSON: `endpoint`, `bucket`, `region`, `style`, `seal` (`checksum`,
    /// `payload-hash`, `header` or null), `conditional_put`, `conditional_replace`,
    /// `conditional_copy`, `checksum_header` and `cors` (true, false, or null where not known),
    /// `layout`, `latency_ms`, and `checks`: a row each with `id`, `title`, `verdict` (`ok`, `warn`,
    /// `fail`, `unknown`), `finding`, and `advice` where there is some.
    pub fn to_json(&self) -> Value {
        json!({
            "endpoint": self.bucket.endpoint(),
            "bucket": self.bucket.name(),
            "region": self.bucket.region(),
            "style": self.bucket.style().name(),
            "seal": self.seal.map(Seal::name),
            "conditional_put": self.conditional_put,
            "conditional_replace": self.conditional_replace,
            "conditional_copy": self.conditional_copy,
            "checksum_header": self.checksum_header,
            "cors": self.cors,
            "layout": self.layout,
            "latency_ms": self.latency.map(|latency| latency.as_secs_f64() * 1000.0),
            "checks": self.rows,
        })
    }
}

async fn probe(client: S3Client) -> Result<Probe> {
    let sweep_prefix = client.config().keys.control_prefix() + FOLDER;
    let folder = format!("{sweep_prefix}{}/", random_name());

    let Some(signer) = client.signer().await? else {
        return read_only(&client, "the store is opened without credentials").await;
    };
    // Some servers make a missing bucket at the first put (`SeaweedFS`), so look before. Without the
    // right to list, this is denied, which says nothing yet.
    if let Err(error @ Error::NoStore(_)) = client.head_bucket().await {
        return Err(error);
    }
    // The first put by the client itself, which finds out region and clock.
    let body = random_bytes(256);
    let key = format!("{folder}first");
    let put = PutObject::new(
        body.clone(),
        cidbucket_blockstore::Block::raw(body.clone()).sha256(),
    );
    match client.put_object(&key, &put).await {
        Ok(_) => {}
        Err(error @ Error::Denied(_)) => {
            // Wrong credentials, or ones that may only read?
            return match read_only(&client, "the credentials may not write").await {
                Ok(probe) => Ok(probe),
                Err(_) => Err(error),
            };
        }
        Err(error) => return Err(error),
    }
    // Region and credentials as that put found them.
    let signer = client.signer().await?.unwrap_or(signer);
    let raw = Raw::new(client.clone(), signer, folder);
    raw.touch(&key);
    let mut probe = Box::pin(look(&raw, &key, &body)).await;
    let left = clean(&raw, &sweep_prefix).await;
    if left > 0 {
        let finding = format!("{left} objects of this probe could not be removed");
        let row = Check::new(
            "clean-up",
            "Removal of what was written",
            Verdict::Warn,
            finding,
        );
        let advice = format!("delete what lies under {:?}", raw.folder);
        probe.rows.push(row.advise(advice));
    }
    Ok(probe)
}

/// Everything that is looked at.
async fn look(raw: &Raw, key: &str, body: &[u8]) -> Probe {
    let missing = raw.calibrate().await;
    let (latency, latency_row) = object::latency(raw, key).await;
    let (seals, conditional, replace, copying) = join!(
        seal::try_seals(raw),
        conditional::look(raw),
        replace::look(raw),
        copy::look(raw),
    );
    let (integrity, checksum, range, anonymous, delete, list) = join!(
        object::upload_integrity(raw),
        object::takes_checksum(raw),
        object::range(raw, key, body),
        object::anonymous_read(raw, key, body),
        object::delete(raw),
        listing::list(raw),
    );
    let ((cors, cors_row), versioning, clock, (layout, layout_row)) = join!(
        bucket::cors(raw, key),
        bucket::versioning(raw),
        bucket::clock(raw, key),
        listing::layout(&raw.client),
    );
    let mut rows = vec![bucket::transport(raw), clock, latency_row, layout_row];
    rows.extend(seal::checks(&seals));
    rows.extend([integrity, object::checksum_check(&checksum)]);
    rows.extend([
        conditional::check(&conditional),
        replace::check(&replace),
        copy::check(&copying),
        range,
    ]);
    rows.push(object::missing_key(&missing));
    rows.extend(list);
    rows.extend([delete, cors_row, anonymous, versioning]);
    Probe {
        bucket: raw.bucket.clone(),
        seal: seal::best(&seals),
        conditional_put: match conditional {
            Conditional::Holds => Some(true),
            Conditional::Races(_) | Conditional::Ignored | Conditional::Refused(_) => Some(false),
            Conditional::Unclear(_) => None,
        },
        conditional_replace: match replace {
            Replace::Holds { .. } => Some(true),
            Replace::Races(_) | Replace::Ignored | Replace::Refused(_) => Some(false),
            Replace::Unclear(_) => None,
        },
        conditional_copy: match copying {
            Copying::Pinned => Some(true),
            Copying::Unpinned | Copying::Refused(_) => Some(false),
            Copying::Unclear(_) => None,
        },
        checksum_header: checksum.ok(),
        cors,
        layout,
        latency,
        rows,
        wrote: true,
    }
}

/// What can be said without writing.
async fn read_only(client: &S3Client, why: &str) -> Result<Probe> {
    // This is where wrong credentials and a missing bucket show.
    let mut list = ListObjectsV2::with_prefix(client.config().keys.list_prefix());
    list.max_keys = Some(1);
    client.list_objects_v2(&list).await?;
    let (layout, layout_row) = listing::layout(client).await;
    let write = Check::new(
        "write",
        "Writes",
        Verdict::Unknown,
        format!("{why}; nothing that takes a write to find out was tried"),
    );
    Ok(Probe {
        bucket: client.bucket(),
        seal: None,
        conditional_put: None,
        conditional_replace: None,
        conditional_copy: None,
        checksum_header: None,
        cors: None,
        layout,
        latency: None,
        rows: vec![
            write,
            layout_row,
            Check::new("list", "Listing", Verdict::Ok, "the store can be listed"),
        ],
        wrote: false,
    })
}

/// Removes what this probe wrote, and what earlier ones left behind; how many deletes failed.
async fn clean(raw: &Raw, sweep_prefix: &str) -> usize {
    let mut keys = raw.touched();
    let mut token: Option<String> = None;
    loop {
        let mut list = ListObjectsV2::with_prefix(sweep_prefix);
        list.continuation_token = token.as_deref();
        let Ok(page) = raw.client.list_objects_v2(&list).await else {
            break; // without the right to list, the keys we know have to do
        };
        let now = raw.client.now();
        let stale = |modified: Option<SystemTime>| {
            modified.is_some_and(|at| now.duration_since(at).is_ok_and(|age| age > STALE))
        };
        keys.extend(page.objects.into_iter().filter_map(|object| {
            (object.key.starts_with(&raw.folder) || stale(object.modified)).then_some(object.key)
        }));
        token = page.next_token;
        if !page.truncated {
            break;
        }
    }
    keys.sort();
    keys.dedup();
    futures::stream::iter(keys)
        .map(|key| async move { raw.client.delete_object(&key).await })
        .buffer_unordered(8)
        .filter(|deleted| std::future::ready(deleted.is_err()))
        .count()
        .await
}
