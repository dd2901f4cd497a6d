//! The probe, against the embedded server.

use std::sync::Arc;

use cidbucket_dev_s3::{DevS3, Fault, Rule};
use cidbucket_s3::{
    Check, CredentialsSource, Env, Error, ListObjectsV2, Probe, ProbeCache, S3Client, S3Config,
    Verdict,
};
use cidbucket_sigv4::Credentials;

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
