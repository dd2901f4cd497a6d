//! Blocks by way of a service, with the binary as a person would use it, and with the library.

use std::fs;

use cidbucket_blockstore::{Blockstore, conformance};
use cidbucket_client::{Direct, DirectBlockstore, DirectConfig, Token};
use cidbucket_tests::{Cidbucket, Curl, DevServer, Relay, Service, Target, TokenKey};

const ALL: &str = "read,write,list,delete";
const ABSENT: &str = "bafkreigq25o3hzc5x7qphxbfmtf6tvem63pmbpoufasaddd765a23l7d4u";
/// A block that is too large to go through the service.
const SIZE: usize = 1_500_000;

/// A service over the bucket under test, and the key for its tokens.
struct Fixture {
    target: Target,
    key: TokenKey,
    service: Service,
}

impl Fixture {
    fn start() -> Self {
        Self::over(Target::new())
    }

    fn over(target: Target) -> Self {
        let key = TokenKey::new();
        let service = Service::start(&target, &key.path(), &[]);
        Self {
            target,
            key,
            service,
        }
    }

    fn token(&self) -> String {
        self.key.issue(&["--ops", ALL])
    }

    fn cidbucket(&self, url: &str) -> Cidbucket {
        Cidbucket::new()
            .env("CIDBUCKET_STORE", url)
            .env("CIDBUCKET_TOKEN", self.token())
    }

    fn store(&self, token: &str, direct: Direct) -> DirectBlockstore {
        let mut config = DirectConfig::new(&self.service.url()).unwrap();
        config.token = Some(Token::new(token).unwrap());
        config.direct = direct;
        DirectBlockstore::new(config).unwrap()
    }
}

/// Whether this server checks what is uploaded, so that uploads go straight to it.
fn is_direct(service: &Service) -> bool {
    service.info()["writes"] == "direct"
}

fn large_file(folder: &std::path::Path) -> (String, Vec<u8>) {
    let path = folder.join("big.file");
    let data: Vec<u8> = (0..SIZE)
        .map(|n| (n * 7 + n / 251).to_le_bytes()[0])
        .collect();
    fs::write(&path, &data).unwrap();
    (path.to_str().unwrap().to_owned(), data)
}

#[test]
fn a_file_goes_straight_to_s3_and_back() {
    let direct = Fixture::start();
    let relay = Relay::to(direct.service.authority());
    let cidbucket = direct.cidbucket(&relay.url());
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = large_file(folder.path());

    let put = cidbucket.run(["put", &path]).ok();
    let cid = put.text().trim().to_owned();
    if is_direct(&direct.service) {
        let through = relay.bytes();
        assert!(
            through < 8_000,
            "{through} bytes of {SIZE} went through the service"
        );
    }
    let before = relay.bytes();
    let got = cidbucket.run(["get", &cid]).ok();
    assert!(got.stdout == data, "other bytes came back");
    let through = relay.bytes() - before;
    assert!(
        through < 5_000,
        "{through} bytes of {SIZE} went through the service"
    );

    // It lies where the store itself has it.
    let own = direct.target.cidbucket().run(["has", &cid]);
    own.ok();
    assert_eq!(
        cidbucket.run(["stat", &cid]).ok().text(),
        format!("{cid} {SIZE} raw sha2-256\n")
    );
    assert_eq!(cidbucket.run(["ls"]).ok().lines(), [&*cid]);
    cidbucket.run(["has", &cid, ABSENT]).failed_with(3);

    let presign = [
        "presign",
        "get",
        &cid,
        "--expires",
        "5m",
        "--format",
        "json",
    ];
    let grant = cidbucket.run(presign).ok().json();
    let url = grant["url"].as_str().unwrap();
    assert!(url.starts_with(&direct.target.endpoint), "{url}");
    let (status, read) = Curl::grant(&grant).send();
    assert_eq!(status, 200);
    assert!(read == data, "curl reads other bytes");
    let presign = cidbucket.run(["presign", "put", &path]).failed_with(2);
    assert!(presign.stderr.contains("cidbucket put"), "{presign:?}");

    cidbucket.run(["rm", &cid]).ok();
    cidbucket.run(["get", &cid]).failed_with(3);
    assert!(cidbucket.run(["ls"]).ok().text().is_empty());
}

#[test]
fn many_files_make_few_requests() {
    let direct = Fixture::start();
    let relay = Relay::to(direct.service.authority());
    let cidbucket = direct.cidbucket(&relay.url());
    let folder = tempfile::tempdir().unwrap();
    let mut put = vec!["put".to_owned()];
    for n in 0..60_u8 {
        let path = folder.path().join(n.to_string());
        fs::write(&path, vec![n; 30_000]).unwrap();
        put.push(path.to_str().unwrap().to_owned());
    }
    let cids = cidbucket.run(&put).ok().text().to_owned();
    assert_eq!(cids.lines().count(), 60);
    if is_direct(&direct.service) {
        let through = relay.bytes();
        assert!(
            through < 180_000,
            "{through} of 1800000 bytes went through the service"
        );
    }
    let got = cidbucket.run_with(["get", "-"], cids.as_bytes()).ok();
    assert_eq!(got.stdout.len(), 60 * 30_000);
    cidbucket.run_with(["rm", "-"], cids.as_bytes()).ok();
    assert!(cidbucket.run(["ls"]).ok().text().is_empty());
}

#[test]
fn tokens_that_are_not_good_are_denied_and_not_printed() {
    let direct = Fixture::start();
    let url = direct.service.url();
    let stranger = TokenKey::new().issue(&["--ops", ALL]);
    let soon = direct.key.issue(&["--ops", ALL, "--expires", "1s"]);
    let cidbucket = direct.cidbucket(&url).env("CIDBUCKET_LOG", "trace");
    // It is good for a moment, at most.
    let expired = cidbucket.clone().env("CIDBUCKET_TOKEN", soon.as_str());
    while expired.run(["ls"]).code == Some(0) {}

    let reads_only = direct.key.issue(&["--ops", "read"]);
    for (token, command) in [
        ("", vec!["get", ABSENT]),
        ("no.token.at-all", vec!["get", ABSENT]),
        (&*stranger, vec!["get", ABSENT]),
        (&*soon, vec!["get", ABSENT]),
        (&*soon, vec!["put"]),
        (&*soon, vec!["rm", ABSENT]),
        (&*soon, vec!["stat", ABSENT]),
        (&*reads_only, vec!["put"]),
        (&*reads_only, vec!["ls"]),
        (&*reads_only, vec!["rm", ABSENT]),
    ] {
        let ended = cidbucket
            .clone()
            .env("CIDBUCKET_TOKEN", token)
            .run_with(&command, b"a block")
            .failed_with(4);
        let log = ended.stderr;
        assert!(!log.is_empty());
        assert!(token.is_empty() || !log.contains(token), "{log}");
        assert!(!log.contains("X-Amz-Signature"), "{log}");
    }
    // What may be read may be: the block is only absent.
    let reader = cidbucket.env("CIDBUCKET_TOKEN", reads_only.as_str());
    let ended = reader.run(["get", ABSENT]).failed_with(3);
    assert!(!ended.stderr.contains(&reads_only) && !ended.stderr.contains("X-Amz-Signature"));

    let in_url = url.replace("http://", "http://user:canary@");
    let ended = reader.run(["--store", &in_url, "ls"]).failed_with(2);
    assert!(!ended.stderr.contains("canary"), "{ended:?}");
}

#[test]
fn a_token_can_be_in_a_file_that_the_configuration_names() {
    let direct = Fixture::start();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, direct.token() + "\n").unwrap();
    let config = folder.path().join("config.toml");
    let (url, file) = (direct.service.url(), token.display());
    let text = format!("store = \"s\"\n[stores.s]\nurl = \"{url}\"\ntoken_file = \"{file}\"\n");
    fs::write(&config, text).unwrap();
    let cidbucket = Cidbucket::new().env("CIDBUCKET_CONFIG", config.to_str().unwrap());
    let put = cidbucket.run_with(["put"], b"a block").ok();
    let got = cidbucket.run(["get", put.text().trim()]).ok();
    assert_eq!(got.text(), "a block");
}

#[test]
fn doctor_and_bench_know_services() {
    let direct = Fixture::start();
    let cidbucket = direct.cidbucket(&direct.service.url());
    let doctor = cidbucket.run(["doctor"]).ok();
    let text = doctor.text();
    assert!(text.contains("came out straight"), "{text}");
    if is_direct(&direct.service) {
        assert!(text.contains("went in straight"), "{text}");
    }
    let json = cidbucket.run(["doctor", "--json"]).ok().json();
    assert_eq!(json["info"]["version"], 1, "{json}");
    let bench = ["bench", "--blocks", "20", "--size", "20KiB", "--json"];
    assert_eq!(cidbucket.run(bench).ok().json()["blocks"], 20);
    assert!(
        cidbucket.run(["ls"]).ok().text().is_empty(),
        "both clear up"
    );
}

/// What is printed first is all that is needed.
#[test]
fn the_development_server_is_a_service_too() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path(), &Cidbucket::new(), &[]);
    let cidbucket = Cidbucket::new()
        .env("CIDBUCKET_STORE", server.field("service"))
        .env("CIDBUCKET_TOKEN", server.field("token"));
    let (path, bytes) = large_file(data.path());
    let put = cidbucket.run(["-v", "put", &path]).ok();
    let (_, straight) = put.stderr.split_once("straight_to_s3_bytes=").unwrap();
    let straight: usize = straight.split(' ').next().unwrap().parse().unwrap();
    assert!((SIZE..SIZE + 5_000).contains(&straight), "{put:?}");
    let cid = put.text().trim().to_owned();
    assert!(cidbucket.run(["get", &cid]).ok().stdout == bytes);
    assert_eq!(cidbucket.run(["ls"]).ok().lines(), [&*cid]);
    cidbucket.run(["rm", &cid]).ok();
}

/// Clients are told of an S3 that they cannot reach, while the service can.
#[test]
fn an_s3_out_of_reach_is_gone_round() {
    let target = Target::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = closed.local_addr().unwrap();
    drop(closed);
    let key = TokenKey::new();
    let store = format!("{}&public-endpoint=http://{nowhere}", target.store());
    let service = Service::start(&target, &key.path(), &["--store", &store]);
    let cidbucket = Cidbucket::new()
        .env("CIDBUCKET_STORE", service.url())
        .env("CIDBUCKET_TOKEN", key.issue(&["--ops", ALL]));
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = large_file(folder.path());
    let put = cidbucket.run(["put", &path]).ok();
    let cid = put.text().trim().to_owned();
    assert!(cidbucket.run(["get", &cid]).ok().stdout == data);
    let always = format!("{}?direct=always", service.url());
    let ended = cidbucket
        .run(["--store", &always, "get", &cid])
        .failed_with(6);
    assert!(ended.stderr.contains("could not connect"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_is_kept_over_shared_blocks() {
    let direct = Fixture::start();
    conformance::all(&direct.store(&direct.token(), Direct::Always)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_is_kept_over_a_tenant_s_blocks() {
    let direct = Fixture::start();
    let token = direct.key.issue(&["--ops", ALL, "--tenant", "one"]);
    let other = direct.key.issue(&["--ops", ALL, "--tenant", "two"]);
    let neighbour = direct.store(&other, Direct::Auto);
    let block = cidbucket_blockstore::Block::raw("the neighbour's");
    neighbour.put(&block).await.unwrap();
    conformance::all(&direct.store(&token, Direct::Auto)).await;
    assert!(neighbour.has(block.cid()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_is_kept_through_the_service() {
    let direct = Fixture::start();
    conformance::all(&direct.store(&direct.token(), Direct::Never)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_behaves_as_the_reference_model() {
    let direct = Fixture::start();
    let token = direct.key.issue(&["--ops", ALL, "--tenant", "one"]);
    conformance::model(&direct.store(&token, Direct::Auto), 1, 200).await;
    conformance::model(&direct.store(&direct.token(), Direct::Auto), 2, 200).await;
}
