//! A bucket opened to web pages and to strangers, on the embedded server: as far as is meant, and
//! no further.

use cidbucket_blockstore::{Block, Blockstore, Hash};
use cidbucket_dev_s3::{DevS3, Fault, Rule};
use cidbucket_s3::xml::CorsRule;
use cidbucket_s3::{
    Check, CredentialsSource, Env, ListObjectsV2, Probe, S3Blockstore, S3Client, S3Config, Verdict,
};
use cidbucket_sigv4::Credentials;

async fn server() -> DevS3 {
    DevS3::builder().bucket("blocks").start().await.unwrap()
}

fn client(server: &DevS3, store: &str) -> S3Client {
    let url = format!(
        "s3://{store}&endpoint={}&region={}",
        server.endpoint(),
        server.region()
    );
    let mut config = S3Config::from_url(&url, &Env::empty()).unwrap();
    config.credentials =
        CredentialsSource::Static(Credentials::new(server.access_key(), server.secret_key()));
    S3Client::new(config).unwrap()
}

fn row<'a>(rows: &'a [Check], id: &str) -> &'a Check {
    rows.iter()
        .find(|check| check.id == id)
        .unwrap_or_else(|| panic!("no row {id}: {rows:#?}"))
}

fn all_is_well(rows: &[Check]) -> bool {
    rows.iter().all(|check| check.verdict == Verdict::Ok)
}

/// Every layout whose folders a policy can name, with a prefix and without.
const STORES: [&str; 6] = [
    "blocks/a b/c?layout=kubo",
    "blocks?layout=kubo-unmounted",
    "blocks/x?layout=flatfs",
    "blocks?layout=helia",
    "blocks/y?layout=peergos:alice",
    "blocks/z?layout=piri",
];

#[tokio::test]
async fn blocks_are_public_and_nothing_else_is() {
    let server = server().await;
    for store in STORES {
        let client = client(&server, store);
        let access = client.public_access().await.unwrap();
        assert!(!access.is_complete(), "{store}");
        let before = client.get_bucket_policy().await.unwrap();
        let read = client.public_read().unwrap();
        let policy = read.merged(before.as_deref()).unwrap().to_string();
        client.put_bucket_policy(&policy).await.unwrap();

        let access = client.public_access().await.unwrap();
        assert!(access.is_complete() && !access.exposes_control, "{store}");
        let rows = client.verify_public_read().await.unwrap();
        assert_eq!(rows.len(), 3, "{rows:#?}");
        assert!(all_is_well(&rows), "{store}: {rows:#?}");

        // Whatever the hash, a stranger reads the block.
        let url = format!("s3://{store}&endpoint={}", server.endpoint());
        let mut config = S3Config::from_url(&url, &Env::empty()).unwrap();
        config.credentials = CredentialsSource::Anonymous;
        let stranger = S3Blockstore::new(config).unwrap();
        let ours = S3Blockstore::new(client.config().clone()).unwrap();
        for hash in Hash::every() {
            let block = Block::encode(0x55, hash, &b"for everybody"[..]).unwrap();
            ours.put(&block).await.unwrap();
            let got = stranger.get(block.cid()).await;
            assert_eq!(got.unwrap(), Some(block), "{store} {}", hash.name());
        }
    }
}

#[tokio::test]
async fn a_bucket_that_is_open_already_is_told() {
    let server = DevS3::builder()
        .public_bucket("blocks")
        .start()
        .await
        .unwrap();
    let client = client(&server, "blocks/x?layout=kubo");
    let rows = client.verify_public_read().await.unwrap();
    assert_eq!(row(&rows, "public-blocks").verdict, Verdict::Ok);
    assert_eq!(row(&rows, "public-control").verdict, Verdict::Fail);
    assert_eq!(row(&rows, "public-list").verdict, Verdict::Warn);
}

#[tokio::test]
async fn the_probe_knows_a_public_store() {
    let server = server().await;
    let client = client(&server, "blocks/x?layout=kubo");
    let policy = client.public_read().unwrap().merged(None).unwrap();
    client.put_bucket_policy(&policy.to_string()).await.unwrap();
    let probe = Probe::run(&client).await.unwrap();
    let finding = &row(probe.rows(), "anonymous-read").finding;
    assert!(finding.starts_with("public"), "{finding}");
}

#[tokio::test]
async fn pages_of_the_origins_that_are_named() {
    let server = server().await;
    let client = client(&server, "blocks/x?layout=kubo");
    let ours = "https://app.example.org".to_owned();
    client
        .put_bucket_cors(&[CorsRule::for_grants(vec![ours.clone()])])
        .await
        .unwrap();
    let access = client.browser_access(None).await.unwrap();
    assert!(access.writes(&ours) && !access.reads("https://evil.example"));
    let rows = client.verify_browser_access(&[ours]).await.unwrap();
    assert!(all_is_well(&rows) && rows.len() == 2, "{rows:#?}");

    client
        .put_bucket_cors(&[CorsRule::for_grants(vec!["*".into()])])
        .await
        .unwrap();
    let any = ["*".to_owned(), "https://*.example".to_owned()];
    let rows = client.verify_browser_access(&any).await.unwrap();
    assert!(all_is_well(&rows) && rows.len() == 4, "{rows:#?}");
}

#[tokio::test]
async fn what_was_written_to_look_is_removed() {
    let server = server().await;
    let client = client(&server, "blocks/x?layout=kubo");
    let policy = client.public_read().unwrap().merged(None).unwrap();
    client.put_bucket_policy(&policy.to_string()).await.unwrap();
    client.verify_public_read().await.unwrap();
    let list = ListObjectsV2::with_prefix("");
    assert_eq!(client.list_objects_v2(&list).await.unwrap().objects, []);
    // Where it cannot be, that is said.
    server
        .faults()
        .push(Rule::new(Fault::status(403, "AccessDenied")).operation("DeleteObject"));
    let rows = client.verify_public_read().await.unwrap();
    assert_eq!(row(&rows, "clean-up").verdict, Verdict::Warn);
}
