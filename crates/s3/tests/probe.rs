//! The probe, against the embedded server, and against servers that do not keep their word.

#[expect(dead_code, reason = "this test needs no script")]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use cidbucket_dev_s3::{DevS3, Fault, Rule};
use cidbucket_s3::{
    Check, CredentialsSource, Env, Error, ListObjectsV2, Probe, ProbeCache, S3Client, S3Config,
    Verdict,
};
use cidbucket_sigv4::Credentials;
use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use support::{Otherwise, Scripted, Seen, answer};

fn config(s3: &DevS3, bucket: &str) -> S3Config {
    let url = format!(
        "s3://{bucket}/pre/fix?endpoint={}&region={}",
        s3.endpoint(),
        s3.region()
    );
    let mut config = S3Config::from_url(&url, &Env::empty()).unwrap();
    config.credentials =
        CredentialsSource::Static(Credentials::new(s3.access_key(), s3.secret_key()));
    config
}

fn row<'a>(probe: &'a Probe, id: &str) -> &'a Check {
    probe
        .rows()
        .iter()
        .find(|check| check.id == id)
        .unwrap_or_else(|| panic!("no row {id}: {probe:#?}"))
}

async fn keys_left(client: &S3Client) -> Vec<String> {
    let page = client
        .list_objects_v2(&ListObjectsV2::with_prefix(""))
        .await
        .unwrap();
    page.objects.into_iter().map(|object| object.key).collect()
}

#[tokio::test]
async fn the_embedded_server_is_as_it_says() {
    let s3 = DevS3::builder().bucket("blocks").start().await.unwrap();
    let client = S3Client::new(config(&s3, "blocks")).unwrap();
    let probe = Probe::run(&client).await.unwrap();
    let json = probe.to_json();
    assert_eq!(json["seal"], "checksum", "{json:#}");
    assert_eq!(json["conditional_put"], true, "{json:#}");
    assert_eq!(json["conditional_replace"], true, "{json:#}");
    assert_eq!(json["conditional_copy"], true, "{json:#}");
    assert_eq!(json["checksum_header"], true, "{json:#}");
    assert_eq!(json["layout"], "kubo", "{json:#}");
    assert_eq!(json["endpoint"], *s3.endpoint(), "{json:#}");
    assert!(json["cors"].is_boolean(), "{json:#}");
    for check in probe.rows() {
        assert!(
            check.verdict != Verdict::Fail && check.verdict != Verdict::Unknown,
            "{check:?}"
        );
    }
    for (id, words) in [
        ("seal-checksum", "right bytes stored"),
        ("seal-payload-hash", "not usable"),
        ("seal-header", "right bytes stored"),
        ("upload-integrity", "is refused"),
    ] {
        let check = row(&probe, id);
        assert!(check.finding.contains(words), "{check:?}");
    }
    for id in [
        "range",
        "missing-key",
        "list",
        "list-parallel",
        "delete",
        "clock",
    ] {
        assert_eq!(
            row(&probe, id).verdict,
            Verdict::Ok,
            "{:?}",
            row(&probe, id)
        );
    }
    assert!(row(&probe, "anonymous-read").finding.starts_with("private"));
    assert!(probe.require_seal().is_ok());
    assert_eq!(keys_left(&client).await, Vec::<String>::new());
    s3.shutdown().await;
}

#[tokio::test]
async fn a_public_bucket_is_told_and_a_foreign_layout_found() {
    let s3 = DevS3::builder()
        .public_bucket("open")
        .start()
        .await
        .unwrap();
    let client = S3Client::new(config(&s3, "open")).unwrap();
    let key = "pre/fix/VT/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ.data";
    let put = cidbucket_s3::PutObject::new(
        "hello".into(),
        cidbucket_blockstore::Block::raw("hello").sha256(),
    );
    client.put_object(key, &put).await.unwrap();
    let probe = Probe::run(&client).await.unwrap();
    assert!(row(&probe, "anonymous-read").finding.starts_with("public"));
    assert_eq!(probe.layout, "flatfs");
    let layout = row(&probe, "layout");
    assert_eq!(layout.verdict, Verdict::Warn);
    assert!(
        layout.advice.as_ref().unwrap().contains("layout=flatfs"),
        "{layout:?}"
    );
    assert_eq!(keys_left(&client).await, [key]);
}

#[tokio::test]
async fn without_write_permission_there_is_no_seal() {
    let s3 = DevS3::builder()
        .public_bucket("open")
        .start()
        .await
        .unwrap();
    let mut config = config(&s3, "open");
    config.credentials = CredentialsSource::Anonymous;
    let client = S3Client::new(config).unwrap();
    match Probe::run(&client).await {
        Ok(probe) => {
            assert_eq!(probe.seal, None);
            let error = probe.require_seal().unwrap_err();
            assert!(matches!(error, Error::Unsupported(_)), "{error}");
        }
        // A bucket may be open for reads and closed for listing.
        Err(error) => assert!(matches!(error, Error::Denied(_)), "{error}"),
    }
}

#[tokio::test]
async fn wrong_credentials_and_missing_buckets_are_errors() {
    let s3 = DevS3::builder().bucket("blocks").start().await.unwrap();
    let mut wrong = config(&s3, "blocks");
    wrong.credentials = CredentialsSource::Static(Credentials::new(s3.access_key(), "wrong"));
    let error = Probe::run(&S3Client::new(wrong).unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error}");
    let missing = S3Client::new(config(&s3, "absent")).unwrap();
    let error = Probe::run(&missing).await.unwrap_err();
    assert!(matches!(error, Error::NoStore(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_is_busy_now_and_then_is_judged_the_same() {
    let s3 = DevS3::builder().bucket("blocks").start().await.unwrap();
    let client = S3Client::new(config(&s3, "blocks")).unwrap();
    for operation in ["PutObject", "GetObject"] {
        let slow_down = Fault::status(503, "SlowDown");
        s3.faults()
            .push(Rule::new(slow_down).operation(operation).skip(2).times(3));
    }
    let probe = Probe::run(&client).await.unwrap();
    assert_eq!(probe.to_json()["seal"], "checksum", "{probe:#?}");
    assert_eq!(keys_left(&client).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_cache_probes_once() {
    let s3 = DevS3::builder().bucket("blocks").start().await.unwrap();
    let client = S3Client::new(config(&s3, "blocks")).unwrap();
    let cache = Arc::new(ProbeCache::default());
    let (one, two) = tokio::join!(cache.get(&client), cache.get(&client));
    assert!(Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
}

#[tokio::test]
async fn a_dropped_probe_cleans_up_all_the_same() {
    let s3 = DevS3::builder().bucket("blocks").start().await.unwrap();
    let client = S3Client::new(config(&s3, "blocks")).unwrap();
    let soon = std::time::Duration::from_millis(30);
    let dropped = tokio::time::timeout(soon, Probe::run(&client)).await;
    assert!(dropped.is_err(), "too fast to be dropped");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let mut written = false;
    loop {
        let left = keys_left(&client).await;
        written |= !left.is_empty();
        if written && left.is_empty() {
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "left behind: {left:?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// What a lax server does with a put whose bytes do not match their checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lax {
    /// Stores them and says so.
    Stores,
    /// Answers `BadDigest`, and stores them all the same.
    RefusesAndStores,
    /// Answers 200, and stores nothing.
    PretendsToStore,
}

/// An S3 server that checks no signature and no condition, and is lax.
fn lax(kind: Lax) -> Otherwise {
    let objects: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::default();
    Arc::new(move |request: &Seen| {
        let mut objects = objects.lock();
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let key = path.strip_prefix("/blocks/").unwrap_or_default();
        let key = percent_decode_str(key).decode_utf8().unwrap().into_owned();
        match request.method.as_str() {
            "PUT" => {
                let claimed = request.header("x-amz-checksum-sha256");
                let digest = data_encoding::BASE64.encode(&Sha256::digest(&request.body));
                if claimed.is_some_and(|claimed| claimed != digest) {
                    match kind {
                        Lax::Stores => {}
                        Lax::RefusesAndStores => {
                            objects.insert(key, request.body.clone());
                            return answer(400, &[], "<Error><Code>BadDigest</Code></Error>");
                        }
                        Lax::PretendsToStore => return answer(200, &[("etag", "\"e\"")], ""),
                    }
                }
                objects.insert(key, request.body.clone());
                answer(200, &[("etag", "\"e\"")], "")
            }
            "DELETE" => {
                objects.remove(&key);
                answer(204, &[], "")
            }
            "GET" if query.contains("list-type=2") => {
                let prefix = query
                    .split('&')
                    .find_map(|pair| pair.strip_prefix("prefix="))
                    .unwrap_or_default()
                    .replace("%2F", "/");
                let mut page = String::from("<ListBucketResult>");
                for (key, body) in objects.iter().filter(|(key, _)| key.starts_with(&prefix)) {
                    let _ = write!(
                        page,
                        "<Contents><Key>{}</Key><Size>{}</Size></Contents>",
                        utf8_percent_encode(key, NON_ALPHANUMERIC),
                        body.len()
                    );
                }
                page.push_str(
                    "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated></ListBucketResult>",
                );
                answer(200, &[], page)
            }
            "GET" if !key.is_empty() => match objects.get(&key) {
                Some(body) => answer(200, &[], body),
                None => answer(404, &[], "<Error><Code>NoSuchKey</Code></Error>"),
            },
            _ => answer(501, &[], "<Error><Code>NotImplemented</Code></Error>"),
        }
    })
}

async fn probe_lax(kind: Lax) -> (Probe, S3Client) {
    let server = Scripted::start(lax(kind)).await;
    let url = format!("s3://blocks?endpoint={}", server.endpoint());
    let mut config = S3Config::from_url(&url, &Env::empty()).unwrap();
    config.credentials = CredentialsSource::Static(Credentials::new("AKID", "secret"));
    let client = S3Client::new(config).unwrap();
    let probe = Probe::run(&client).await.unwrap();
    assert_eq!(keys_left(&client).await, Vec::<String>::new());
    (probe, client)
}

#[tokio::test]
async fn a_server_that_checks_nothing_has_no_seal() {
    let (probe, _) = probe_lax(Lax::Stores).await;
    assert_eq!(probe.to_json()["seal"], serde_json::Value::Null);
    assert_eq!(probe.conditional_put, Some(false));
    assert_eq!(probe.conditional_replace, Some(false));
    assert_eq!(row(&probe, "direct-write").verdict, Verdict::Fail);
    assert_eq!(row(&probe, "upload-integrity").verdict, Verdict::Warn);
    let error = probe.require_seal().unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert!(error.to_string().contains("cidbucket doctor"), "{error}");
}

#[tokio::test]
async fn an_error_code_is_not_believed() {
    let (probe, _) = probe_lax(Lax::RefusesAndStores).await;
    assert_eq!(probe.seal, None, "{probe:#?}");
    let seal = row(&probe, "seal-checksum");
    assert!(seal.finding.contains("the server stored"), "{seal:?}");
}

#[tokio::test]
async fn what_counts_is_what_lies_there() {
    // It says yes to everything, but nothing wrong is ever there. The header of the seal can still
    // be left out, since it checks no signature.
    let (probe, _) = probe_lax(Lax::PretendsToStore).await;
    assert_eq!(probe.seal, None, "{probe:#?}");
    let seal = row(&probe, "seal-checksum");
    assert!(
        seal.finding.contains("body") || seal.finding.contains("left out"),
        "{seal:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_removed_is_named() {
    let s3 = DevS3::builder().bucket("blocks").start().await.unwrap();
    let client = S3Client::new(config(&s3, "blocks")).unwrap();
    let denied = Fault::status(403, "AccessDenied");
    s3.faults()
        .push(Rule::new(denied).operation("DeleteObject"));
    let probe = Probe::run(&client).await.unwrap();
    assert_eq!(row(&probe, "delete").verdict, Verdict::Fail);
    let clean_up = row(&probe, "clean-up");
    let advice = clean_up.advice.as_ref().unwrap();
    assert!(advice.contains("pre/fix/.cidbucket/probe/"), "{advice}");
    s3.faults().clear();
    assert!(!keys_left(&client).await.is_empty());
}
