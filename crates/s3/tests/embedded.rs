//! The store and the client on the embedded server: every request is parsed, its signature checked
//! and its body hashed by somebody else's code.

use std::time::Duration;

use cidbucket_blockstore::{
    Block, Blockstore, Bytes, Cid, Cursor, Error, Hash, Multihash, conformance, raw_cid,
};
use cidbucket_dev_s3::DevS3;
use cidbucket_layout::{Keys, Prefix};
use cidbucket_presign::{Bucket, Style};
use cidbucket_s3::xml::CorsRule;
use cidbucket_s3::{
    CopyObject, CredentialsSource, GetObject, ListObjectVersions, ListObjectsV2, Operation,
    ProbeCache, Put, PutObject, S3Blockstore, S3Client, S3Config,
};
use cidbucket_sigv4::Credentials;
use futures::StreamExt;
use futures::stream;

const BUCKET: &str = "blocks";

async fn server() -> DevS3 {
    DevS3::builder().bucket(BUCKET).start().await.unwrap()
}

fn config(server: &DevS3) -> S3Config {
    let bucket = Bucket::new(server.endpoint(), BUCKET, server.region(), Style::Path).unwrap();
    let keys = Keys::new(Prefix::new("ipfs").unwrap(), "kubo".parse().unwrap());
    let mut config = S3Config::new(bucket, keys);
    config.credentials =
        CredentialsSource::Static(Credentials::new(server.access_key(), server.secret_key()));
    config.retry.min_delay = Duration::from_millis(1);
    config
}

fn store(server: &DevS3) -> S3Blockstore {
    S3Blockstore::new(config(server)).unwrap()
}

fn blocks(n: u32) -> Vec<Block> {
    (0..n)
        .map(|i| Block::raw(Bytes::from(format!("block {i}"))))
        .collect()
}

async fn put_all(store: &S3Blockstore, blocks: &[Block]) {
    let results = store
        .put_many(stream::iter(blocks.to_vec()).boxed())
        .collect::<Vec<_>>()
        .await;
    for (cid, result) in results {
        result.unwrap_or_else(|error| panic!("{cid}: {error}"));
    }
}

#[tokio::test]
async fn conformance_in_sharded_and_cid_layouts() {
    for layout in ["flatfs", "peergos"] {
        let server = server().await;
        let mut config = config(&server);
        config.keys = Keys::new(Prefix::new("a/b").unwrap(), layout.parse().unwrap());
        let store = S3Blockstore::new(config).unwrap();
        conformance::all(&store).await;
        server.shutdown().await;
    }
}

#[tokio::test]
async fn conformance_with_conditional_puts_checksums_and_without_prefix() {
    let server = server().await;
    let mut config = config(&server);
    config.keys = Keys::new(Prefix::new("").unwrap(), "kubo".parse().unwrap());
    config.conditional_put = true;
    config.send_checksum = true;
    config.concurrency = 1;
    conformance::all(&S3Blockstore::new(config).unwrap()).await;
}

#[tokio::test]
async fn behaves_like_a_map() {
    let server = server().await;
    conformance::model(&store(&server), 7, 300).await;
}

#[tokio::test]
async fn a_put_is_one_put_and_a_get_one_get() {
    let server = server().await;
    let store = store(&server);
    let block = Block::raw(&b"once"[..]);
    store.put(&block).await.unwrap();
    assert_eq!(store.get(block.cid()).await.unwrap().as_ref(), Some(&block));
    assert_eq!(server.faults().count("PutObject"), 1);
    assert_eq!(server.faults().count("GetObject"), 1);
    assert_eq!(server.faults().total(), 2);
    let metrics = store.client().metrics();
    assert_eq!(metrics.of(Operation::PutObject).success, 1);
    assert_eq!((metrics.bytes_out, metrics.bytes_in), (4, 4));
}

#[tokio::test]
async fn a_probed_store_sends_the_checksum_where_it_is_checked() {
    let server = server().await;
    let (probes, block) = (ProbeCache::default(), Block::raw(&b"probed"[..]));
    let client = S3Client::new(config(&server)).unwrap();
    let probed = S3Blockstore::probed(client, &probes).await.unwrap();
    for (store, expected) in [
        (store(&server), "checksum: false"),
        (probed, "checksum: true"),
    ] {
        assert!(format!("{store:?}").contains(expected), "{store:?}");
        store.put(&block).await.unwrap();
    }
}

#[tokio::test]
async fn every_hash_is_stored_under_a_signed_sha256() {
    let server = server().await;
    let store = store(&server);
    for &hash in Hash::ALL {
        let block = Block::encode(0x71, hash, &b"some dag-cbor"[..]).unwrap();
        store.put(&block).await.unwrap();
        assert_eq!(store.get(block.cid()).await.unwrap(), Some(block));
    }
}

#[tokio::test]
async fn a_large_block_and_one_that_is_too_large() {
    let server = server().await;
    let store = store(&server);
    let block = Block::raw(Bytes::from(vec![7; 2 << 20]));
    store.put(&block).await.unwrap();
    assert_eq!(store.get(block.cid()).await.unwrap(), Some(block));

    let large = Block::raw(Bytes::from(vec![7; (2 << 20) + 1]));
    assert!(matches!(store.put(&large).await, Err(Error::TooLarge(_))));
    // One that somebody else put there is not read.
    let key = store.keys().key(large.cid());
    let put = PutObject::new(large.data().clone(), large.sha256());
    store.client().put_object(&key, &put).await.unwrap();
    let before = store.client().metrics().bytes_in;
    let error = store.get(large.cid()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error}");
    assert_eq!(store.client().metrics().bytes_in, before);
}

#[tokio::test]
async fn wrong_bytes_in_the_bucket_are_corrupt_and_not_handed_out() {
    let server = server().await;
    let store = store(&server);
    let block = Block::raw(&b"right"[..]);
    let key = store.keys().key(block.cid());
    for wrong in [&b"wrong"[..], b""] {
        let wrong = Block::raw(Bytes::from_static(wrong));
        let put = PutObject::new(wrong.data().clone(), wrong.sha256());
        store.client().put_object(&key, &put).await.unwrap();
        let error = store.get(block.cid()).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt(_)), "{error}");
        assert_eq!(error.report().key(), Some(key.as_str()));
    }
    assert!(matches!(
        store.has(block.cid()).await,
        Err(Error::Corrupt(_))
    ));
    store.put(&block).await.unwrap();
    assert_eq!(store.get(block.cid()).await.unwrap(), Some(block));
}

#[tokio::test]
async fn lists_thousands_beside_foreign_keys_and_resumes_anywhere() {
    let server = server().await;
    let store = store(&server);
    let blocks = blocks(2500);
    put_all(&store, &blocks).await;
    // A well-formed key, but its hash (murmur3) proves nothing.
    let weak = Cid::new_v1(0x55, Multihash::wrap(0x22, &[7; 8]).unwrap());
    let weak = store.keys().key(&weak);
    for key in [
        "ipfs/README",
        "ipfs/CIQnot",
        "ipfs/zz/é +%",
        &weak,
        "ipfs2/CIQ",
        "other",
    ] {
        let put = PutObject::new(Bytes::new(), Block::raw(Bytes::new()).sha256());
        store.client().put_object(key, &put).await.unwrap();
    }
    let mut expected: Vec<Cid> = blocks.iter().map(|b| raw_cid(*b.multihash())).collect();
    expected.sort();

    let mut listing = store.list(Cursor::start());
    let mut found = Vec::new();
    while let Some(listed) = listing.next().await {
        found.push(listed.unwrap().cid);
    }
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(listing.foreign(), 4);

    // A new listing after every page, from the page's cursor.
    let mut cursor = Cursor::start();
    let mut found = Vec::new();
    let mut pages = 0;
    loop {
        let page = store.list(cursor).into_pages().next().await;
        let Some(page) = page else { break };
        let page = page.unwrap();
        found.extend(page.blocks.iter().map(|listed| listed.cid));
        cursor = page.cursor;
        pages += 1;
        assert!(pages < 100);
    }
    found.sort();
    assert_eq!(found, expected);
    assert!(pages > 3, "{pages}");
}

#[tokio::test]
async fn a_small_listing_is_one_request() {
    let server = server().await;
    let store = store(&server);
    put_all(&store, &blocks(10)).await;
    assert_eq!(store.list(Cursor::start()).count().await, 10);
    assert_eq!(server.faults().count("ListObjectsV2"), 1);
}

#[tokio::test]
async fn the_services_folder_is_in_no_listing_and_costs_one_request() {
    let server = server().await;
    // User names may sort before the folder, the keys of the other layouts come after it.
    for (layout, count) in [
        ("kubo", 1_050),
        ("kubo-unmounted", 30),
        ("peergos:-a", 1_050),
        ("piri", 30),
    ] {
        let mut config = config(&server);
        config.keys = Keys::new(Prefix::new(layout).unwrap(), layout.parse().unwrap());
        let keys = config.keys.clone();
        let store = S3Blockstore::new(config).unwrap();
        let client = store.client();
        let put = PutObject::new("x".into(), Block::raw("x").sha256());
        let tenant = keys.tenant("t").unwrap();
        let names = (0..count).map(|n: u32| match n % 3 {
            0 => format!("{}leases/{n}", keys.control_prefix()),
            1 => tenant.key(Block::raw(n.to_be_bytes().to_vec()).cid()),
            _ => format!("{}staging/{n}/x", keys.control_prefix()),
        });
        // These are foreign, on both sides of the folder.
        let foreign = ["!", ".cid", ".cidbucket0", ".cidbuckets/x"]
            .map(|name| format!("{}{name}", keys.list_prefix()));
        stream::iter(names.chain(foreign))
            .for_each_concurrent(16, |key| {
                let put = &put;
                async move {
                    client.put_object(&key, put).await.unwrap();
                }
            })
            .await;
        put_all(&store, &blocks(10)).await;

        let before = server.faults().count("ListObjectsV2");
        let mut listing = store.list(Cursor::start());
        let mut found = Vec::new();
        let mut cursors = Vec::new();
        while let Some(listed) = listing.next().await {
            found.push(listed.unwrap().cid);
            cursors.push(listing.cursor().clone());
        }
        let requests = server.faults().count("ListObjectsV2") - before;
        assert_eq!(listing.foreign(), 4, "{layout}");
        assert_eq!(found.len(), 10, "{layout}");
        // The first page, and then a range each.
        assert!(requests <= 1 + 16, "{layout}: {requests}");
        for cursor in cursors {
            assert!(!cursor.as_str().contains("leases"), "{cursor}");
            assert!(!cursor.as_str().contains("tenants"), "{cursor}");
            assert!(store.list(cursor).count().await <= 10);
        }
    }
}

#[tokio::test]
async fn every_byte_on_the_wire_is_counted() {
    let server = server().await;
    let store = store(&server);
    let block = Block::raw(vec![7; 1 << 20]);
    store.put(&block).await.unwrap();
    let up = store.client().metrics();
    let body = up.bytes_out;
    assert_eq!(body, 1 << 20);
    assert!((body + 200..body + 2_000).contains(&up.wire_out), "{up:?}");
    assert!((100..2_000).contains(&up.wire_in), "{up:?}");
    store.get(block.cid()).await.unwrap().unwrap();
    let down = store.client().metrics();
    let (sent, got) = (down.wire_out - up.wire_out, down.wire_in - up.wire_in);
    assert!((200..2_000).contains(&sent), "{down:?}");
    assert!((body + 100..body + 2_000).contains(&got), "{down:?}");
}

#[tokio::test]
async fn many_deletes_are_few_requests() {
    let server = server().await;
    let store = store(&server);
    let blocks = blocks(1500);
    put_all(&store, &blocks).await;
    let cids = blocks.iter().map(|block| *block.cid()).collect::<Vec<_>>();
    let results: Vec<_> = store
        .delete_many(stream::iter(cids.clone()).boxed())
        .collect()
        .await;
    assert_eq!(
        results.iter().map(|(cid, _)| *cid).collect::<Vec<_>>(),
        cids
    );
    assert!(results.iter().all(|(_, result)| result.is_ok()));
    assert_eq!(server.faults().count("DeleteObjects"), 2);
    assert_eq!(server.faults().count("DeleteObject"), 0);
    assert_eq!(store.list(Cursor::start()).count().await, 0);
}

#[tokio::test]
async fn operations_on_objects() {
    let server = server().await;
    let client = S3Client::new(config(&server)).unwrap();
    let data = Block::raw(&b"0123456789"[..]);
    let put = PutObject::new(data.data().clone(), data.sha256());

    // Keys with everything that has to be encoded.
    for key in ["a b+c%2F&=?é/ü//..", "plain", "x/~-_.!*'()"] {
        let Put::Written { etag } = client.put_object(key, &put).await.unwrap() else {
            panic!("not written")
        };
        let got = client
            .get_object(key, &GetObject::whole(10))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&got.data, data.data());
        assert_eq!(got.etag.as_ref(), Some(&etag));
        assert!(got.modified.is_some());
        let part = client
            .get_object(key, &GetObject::range(3..7))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((&part.data[..], part.size), (&b"3456"[..], 10));
        let end = client
            .get_object(key, &GetObject::range(8..100))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&end.data[..], b"89");
        assert!(matches!(
            client.get_object(key, &GetObject::range(10..20)).await,
            Err(Error::Invalid(_))
        ));
        let info = client.head_object(key).await.unwrap().unwrap();
        assert_eq!((info.size, &info.etag), (10, &Some(etag)));

        let listed = client
            .list_objects_v2(&ListObjectsV2::with_prefix(key))
            .await
            .unwrap();
        assert_eq!(listed.objects.len(), 1, "{key}");
        assert_eq!(listed.objects[0].key, key);

        let copy = CopyObject::from(key);
        assert!(client.copy_object("copies/of it", &copy).await.unwrap());
        assert!(client.head_object("copies/of it").await.unwrap().is_some());
        client.delete_object(key).await.unwrap();
        client.delete_object(key).await.unwrap();
        assert!(client.head_object(key).await.unwrap().is_none());
        assert!(
            client
                .get_object(key, &GetObject::whole(10))
                .await
                .unwrap()
                .is_none()
        );
        assert!(!client.copy_object("y", &copy).await.unwrap());
    }
}

#[tokio::test]
async fn conditions() {
    let server = server().await;
    let client = S3Client::new(config(&server)).unwrap();
    let (one, two) = (Block::raw(&b"one"[..]), Block::raw(&b"two"[..]));
    let mut put = PutObject::new(one.data().clone(), one.sha256());
    put.if_absent = true;
    let Put::Written { etag } = client.put_object("k", &put).await.unwrap() else {
        panic!("not written")
    };
    assert_eq!(client.put_object("k", &put).await.unwrap(), Put::Exists);

    let mut put = PutObject::new(two.data().clone(), two.sha256());
    put.if_match = Some("\"0123456789abcdef0123456789abcdef\"");
    let error = client.put_object("k", &put).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
    put.if_match = Some(&etag);
    client.put_object("k", &put).await.unwrap();

    let mut copy = CopyObject::from("k");
    copy.if_match = Some(&etag);
    let error = client.copy_object("c", &copy).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
}

#[tokio::test]
async fn operations_on_the_bucket() {
    let server = server().await;
    let client = S3Client::new(config(&server)).unwrap();
    client.head_bucket().await.unwrap();
    assert!(!client.create_bucket().await.unwrap());

    assert_eq!(client.get_bucket_cors().await.unwrap(), []);
    let rules = [CorsRule {
        id: Some("ours".into()),
        allowed_origins: vec!["https://app.example".into()],
        allowed_methods: vec!["GET".into(), "PUT".into()],
        allowed_headers: vec!["*".into()],
        expose_headers: vec!["ETag".into()],
        max_age_seconds: Some(600),
    }];
    client.put_bucket_cors(&rules).await.unwrap();
    assert_eq!(client.get_bucket_cors().await.unwrap(), rules);

    assert_eq!(client.get_bucket_policy().await.unwrap(), None);

    let mut other = config(&server);
    other.bucket = Bucket::new(server.endpoint(), "another", server.region(), Style::Path).unwrap();
    let other = S3Client::new(other).unwrap();
    assert!(matches!(other.head_bucket().await, Err(Error::NoStore(_))));
    assert!(other.create_bucket().await.unwrap());
    other.head_bucket().await.unwrap();
}

#[tokio::test]
async fn versions_are_listed_or_unsupported() {
    let server = server().await;
    let client = S3Client::new(config(&server)).unwrap();
    match client
        .list_object_versions(&ListObjectVersions::default())
        .await
    {
        Ok(page) => assert!(page.versions.is_empty()),
        Err(error) => assert!(matches!(error, Error::Unsupported(_)), "{error}"),
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_no_absent_block() {
    let server = server().await;
    let mut config = config(&server);
    config.bucket =
        Bucket::new(server.endpoint(), "nowhere", server.region(), Style::Path).unwrap();
    let store = S3Blockstore::new(config).unwrap();
    let block = Block::raw(&b"x"[..]);
    assert!(matches!(
        store.get(block.cid()).await,
        Err(Error::NoStore(_))
    ));
    assert!(matches!(
        store.has(block.cid()).await,
        Err(Error::NoStore(_))
    ));
    assert!(matches!(store.put(&block).await, Err(Error::NoStore(_))));
    assert!(matches!(
        store.delete(block.cid()).await,
        Err(Error::NoStore(_))
    ));
    let listed = store.list(Cursor::start()).next().await.unwrap();
    assert!(matches!(listed, Err(Error::NoStore(_))));
}

#[tokio::test]
async fn wrong_keys_are_denied_and_the_region_is_found() {
    let server = DevS3::builder()
        .bucket(BUCKET)
        .region("eu-west-9")
        .start()
        .await
        .unwrap();
    let block = Block::raw(&b"x"[..]);
    let mut wrong = config(&server);
    wrong.credentials = CredentialsSource::Static(Credentials::new(server.access_key(), "wrong"));
    let store = S3Blockstore::new(wrong).unwrap();
    let error = store.get(block.cid()).await.unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error}");
    assert!(matches!(
        store.has(block.cid()).await,
        Err(Error::Denied(_))
    ));

    let mut elsewhere = config(&server);
    elsewhere.bucket = Bucket::new(server.endpoint(), BUCKET, "us-east-1", Style::Path).unwrap();
    let store = S3Blockstore::new(elsewhere).unwrap();
    store.put(&block).await.unwrap();
    assert_eq!(store.client().bucket().region(), "eu-west-9");
    assert!(store.has(block.cid()).await.unwrap());
}

#[tokio::test]
async fn session_token_virtual_hosts_and_anonymous_reads() {
    let server = DevS3::builder()
        .bucket(BUCKET)
        .public_bucket("open")
        .domain("localhost")
        .session_token("a+token/=")
        .start()
        .await
        .unwrap();
    let block = Block::raw(&b"x"[..]);
    let mut config = config(&server);
    let endpoint = format!("http://localhost:{}", server.addr().port());
    config.credentials = CredentialsSource::Static(
        Credentials::new(server.access_key(), server.secret_key()).with_session_token("a+token/="),
    );
    config.bucket = Bucket::new(&endpoint, "open", server.region(), Style::Virtual).unwrap();
    let store = S3Blockstore::new(config.clone()).unwrap();
    store.put(&block).await.unwrap();
    assert_eq!(store.list(Cursor::start()).count().await, 1);

    config.credentials = CredentialsSource::Anonymous;
    let public = S3Blockstore::new(config.clone()).unwrap();
    assert_eq!(
        public.get(block.cid()).await.unwrap().as_ref(),
        Some(&block)
    );
    assert!(matches!(public.put(&block).await, Err(Error::Denied(_))));
    config.bucket = Bucket::new(&endpoint, BUCKET, server.region(), Style::Virtual).unwrap();
    let private = S3Blockstore::new(config).unwrap();
    assert!(matches!(
        private.get(block.cid()).await,
        Err(Error::Denied(_))
    ));
}
