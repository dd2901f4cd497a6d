//! The service and its grants under attack: ten thousand bent requests and forged tokens, none of
//! which gets anything done that was not granted.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cidbucket_blockstore::{Block, Hash};
use cidbucket_direct::{Batch, Cid, Code, Encoding, Granted, Reads, Write};
use cidbucket_presign::{Grant, Upload};
use cidbucket_s3::{Env, ListObjectsV2, S3Client, S3Config};
use cidbucket_tests::mutation::{Mutation, bodies_mutated, is_accepted, requests_mutated};
use cidbucket_tests::service::{code, text};
use cidbucket_tests::wire::{Request, Response};
use cidbucket_tests::{Service, Target, TokenKey};
use data_encoding::BASE64URL_NOPAD;

/// How many requests are under way at once.
const ATTACKERS: usize = 8;

/// The service over the target, and who uses it.
struct Siege {
    target: Target,
    key: TokenKey,
    service: Service,
    shared: String,
    alice: String,
    mallory: String,
}

impl Siege {
    fn new() -> Self {
        let target = Target::new();
        let key = TokenKey::new();
        let service = Service::start(&target, &key.path(), &["--seal", &target.seal]);
        Self {
            shared: key.issue(&["--sub", "shared", "--ops", "read,write"]),
            alice: key.issue(&["--sub", "alice", "--ops", "read,write", "--tenant", "alice"]),
            mallory: key.issue(&[
                "--sub",
                "mallory",
                "--ops",
                "read,write",
                "--tenant",
                "mallory",
            ]),
            target,
            key,
            service,
        }
    }

    /// Grants for one block, with the lease.
    fn write(&self, token: &str, block: &Block) -> (Granted, Request) {
        let mut write = Write::new(*block.cid(), block.len() as u64);
        let mut upload = Upload::new(*block.cid(), write.size);
        let staged = Hash::of(block.cid()).expect("a hash we know") != Hash::Sha2_256;
        if staged {
            let raw = Block::raw(block.data().clone());
            write.sha256 = Some(raw.sha256());
            upload.cid = *raw.cid();
        }
        let granted = self.service.writes(token, vec![write]);
        let batch = if staged {
            &granted.staged
        } else {
            &granted.direct
        };
        let batch = batch.as_ref().expect("a batch");
        let grant = batch.write(0, &upload).expect("a grant");
        let request = wire(&grant, block.data());
        (granted, request)
    }

    /// A grant to read a block.
    fn read(&self, token: &str, cid: &Cid) -> Request {
        let reads = Encoding::Json.encode(&Reads::of([*cid]));
        let answer = self.service.ask("POST", "/v1/reads", token, reads);
        assert_eq!(answer.status, 200, "{}", text(&answer));
        let batch = Batch::from_json(&answer.body).expect("a batch");
        wire(&batch.read(0, cid).expect("a grant"), b"")
    }

    /// Stores a block as its uploader would.
    fn store(&self, token: &str, block: &Block) {
        let (granted, request) = self.write(token, block);
        let put = request.send().expect("a response");
        assert!(matches!(put.status, 200 | 412), "{}", text(&put));
        let completed = self.service.complete(token, &granted.lease);
        assert_eq!(completed.status, 200, "{}", text(&completed));
    }

    /// Everything that lies under the target's prefix: key, size.
    fn objects(&self) -> BTreeMap<String, u64> {
        let env = Env::from_iter([
            ("AWS_ACCESS_KEY_ID", self.target.access_key.as_str()),
            ("AWS_SECRET_ACCESS_KEY", self.target.secret_key.as_str()),
        ]);
        let config = S3Config::from_url(&self.target.store(), &env).expect("the target's store");
        let client = S3Client::new(config).expect("a client");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut objects = BTreeMap::new();
            let prefix = format!("{}/", self.target.prefix);
            let mut token: Option<String> = None;
            loop {
                let mut list = ListObjectsV2::with_prefix(&prefix);
                list.continuation_token = token.as_deref();
                let page = client.list_objects_v2(&list).await.expect("a listing");
                for object in page.objects {
                    let key = object.key[prefix.len()..].to_owned();
                    // The service tries at its start what the bucket lets pages do.
                    if !key.starts_with(".cidbucket/probe/") {
                        objects.insert(key, object.size);
                    }
                }
                match page.next_token {
                    Some(next) if page.truncated => token = Some(next),
                    _ => return objects,
                }
            }
        })
    }
}

/// Ten thousand write and read grants, each bent in one place: its key, method, size, hash, headers,
/// query, signature, host, expiry; with the parts of another grant; out of staging.
#[test]
fn no_bent_grant_is_accepted() {
    let siege = Siege::new();
    let mut attacks = Vec::new();
    let mut granted = Vec::new();

    // What may be there in the end, by key: only the blocks themselves.
    for (round, token) in [&siege.shared, &siege.alice, &siege.mallory]
        .into_iter()
        .cycle()
        .take(21)
        .enumerate()
    {
        let size = 700 + round * 97;
        let block = Block::raw(bytes(size, round));
        let (_, direct) = siege.write(token, &block);
        let block = Block::encode(0x55, Hash::Blake3, bytes(size, 100 + round)).expect("a block");
        let (_, staged) = siege.write(token, &block);
        for write in [direct, staged] {
            attacks.extend(requests_mutated(
                &write,
                &[("x-amz-acl", "public-read"), ("partNumber", "1")],
            ));
            attacks.extend(bodies_mutated(&write));
            attacks.extend(escapes(&write));
            granted.push(write);
        }
    }
    // Parts of one grant with those of another.
    let pairs = granted.iter().zip(granted.iter().cycle().skip(1));
    attacks.extend(pairs.flat_map(|(one, other)| mixed(one, other)));
    assert!(attacks.len() >= 10_000, "only {} attacks", attacks.len());

    let accepted = assault(&attacks, |mutation, outcome| {
        // A server that reads it as what was granted has done what was granted, and not more: what
        // lies there in the end is looked at below.
        is_accepted(outcome) && !mutation.respelled
    });
    assert!(accepted.is_empty(), "accepted:\n{}", accepted.join("\n"));
    let bodies: BTreeMap<&str, &[u8]> = granted
        .iter()
        .map(|write| (write.path.as_str(), &*write.body))
        .collect();
    let root = format!("/{}/{}/", siege.target.bucket, siege.target.prefix);
    for (key, size) in siege.objects() {
        if key.starts_with(".cidbucket/leases/") {
            continue;
        }
        let path = format!("{root}{key}");
        let body = bodies.get(path.as_str());
        let body = body.unwrap_or_else(|| panic!("{key} was never granted"));
        assert_eq!(size, body.len() as u64, "{key}");
    }

    // None was refused for a fault of the grant itself.
    for write in &granted {
        let response = write.send().expect("a response");
        assert!(matches!(response.status, 200 | 412), "{}", text(&response));
    }
}

#[test]
fn no_bent_read_tells_anything() {
    let siege = Siege::new();
    let secret = b"nobody without a grant is to read this";
    let block = Block::raw(&secret[..]);
    let other = Block::raw(&b"another one"[..]);
    siege.store(&siege.alice, &block);
    siege.store(&siege.alice, &other);
    let grant = siege.read(&siege.alice, block.cid());
    let foreign = siege.read(&siege.mallory, block.cid());
    let other = siege.read(&siege.alice, other.cid());
    let mut attacks = requests_mutated(&grant, &[("response-content-type", "text/html")]);
    attacks.extend(escapes(&grant));
    for bent in [&foreign, &other] {
        attacks.extend(mixed(&grant, bent));
        attacks.extend(mixed(bent, &grant));
    }
    let told = assault(&attacks, |mutation, outcome| {
        let Ok(response) = outcome else { return false };
        let tells = response
            .body
            .windows(secret.len())
            .any(|part| part == secret);
        tells && !mutation.respelled || is_accepted(outcome) && !tells && mutation.respelled
    });
    assert!(told.is_empty(), "told:\n{}", told.join("\n"));
    let response = grant.send().expect("a response");
    assert_eq!((response.status, &*response.body), (200, &secret[..]));
}

/// Another tenant's block, one that is not there, and one of a shared store: the same to see.
#[test]
fn another_tenants_block_looks_absent() {
    let siege = Siege::new();
    let there = Block::raw(bytes(5000, 1));
    let nowhere = Block::raw(bytes(5000, 2));
    siege.store(&siege.alice, &there);
    for (method, path) in [("GET", ""), ("HEAD", ""), ("GET", "?redirect=false")] {
        let [foreign, absent] = [&there, &nowhere].map(|block| {
            let path = format!("/v1/blocks/{}{path}", block.cid());
            siege.service.ask(method, &path, &siege.mallory, Vec::new())
        });
        assert_eq!(foreign.status, 404, "{}", text(&foreign));
        let shown = |response: &Response, cid: &Cid| {
            let head: Vec<String> = response
                .head
                .lines()
                .filter(|line| !line.to_ascii_lowercase().starts_with("date:"))
                .map(|line| line.replace(&cid.to_string(), "CID"))
                .collect();
            let body = String::from_utf8_lossy(&response.body).replace(&cid.to_string(), "CID");
            (head, body)
        };
        assert_eq!(
            shown(&foreign, there.cid()),
            shown(&absent, nowhere.cid()),
            "{method}"
        );
    }
    // At S3, by a grant.
    let [foreign, absent] = [&there, &nowhere].map(|block| {
        let read = siege.read(&siege.mallory, block.cid());
        read.send().expect("a response").status
    });
    assert_eq!((foreign, absent), (404, 404));
    // A write says nothing of what is there to somebody who does not share it.
    for block in [&there, &nowhere] {
        let write = Write::new(*block.cid(), 5000);
        for token in [&siege.mallory, &siege.shared] {
            let granted = siege.service.writes(token, vec![write]);
            assert!(granted.stored.is_empty(), "{granted:?}");
        }
    }
    // And the time it takes is the same: medians of reads that take turns.
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..150 {
        for (block, times) in [&there, &nowhere].into_iter().zip(&mut times) {
            let path = format!("/v1/blocks/{}", block.cid());
            let started = std::time::Instant::now();
            siege.service.ask("GET", &path, &siege.mallory, Vec::new());
            times.push(started.elapsed());
        }
    }
    let [foreign, absent] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    });
    let ratio = foreign / absent;
    assert!((0.6..1.67).contains(&ratio), "{foreign} s, {absent} s");
}

/// Whoever holds a valid grant of a block with a hash that S3 cannot check still cannot put other
/// bytes where readers look.
#[test]
fn nobody_poisons_a_block() {
    let siege = Siege::new();
    let target = Block::encode(0x55, Hash::Blake3, bytes(900, 1)).expect("a block");
    let poison = Block::raw(bytes(900, 2));
    // The CID of one, the SHA-256 of the other.
    let mut write = Write::new(*target.cid(), 900);
    write.sha256 = Some(poison.sha256());
    let granted = siege.service.writes(&siege.shared, vec![write]);
    assert_eq!(granted.staged_blocks, [0]);
    let batch = granted.staged.as_ref().expect("a batch");
    let grant = batch
        .write(0, &Upload::new(*poison.cid(), 900))
        .expect("a grant");
    let put = wire(&grant, poison.data());
    assert_eq!(put.send().expect("a response").status, 200);

    let path = format!("/v1/blocks/{}", target.cid());
    let is_absent = || {
        let proxied = siege.service.ask("GET", &path, &siege.shared, Vec::new());
        assert_eq!(code(&proxied), Code::NotFound);
        let direct = siege.read(&siege.shared, target.cid()).send();
        assert_eq!(direct.expect("a response").status, 404);
    };
    is_absent();
    let refused = siege.service.complete(&siege.shared, &granted.lease);
    assert_eq!(code(&refused), Code::Incomplete, "{}", text(&refused));
    is_absent();
    // Nor does the right block, uploaded by somebody else at the same time, get replaced.
    siege.store(&siege.shared, &target);
    put.send().expect("a response");
    siege.service.complete(&siege.shared, &granted.lease);
    for _ in 0..2 {
        let read = siege.read(&siege.shared, target.cid()).send();
        assert_eq!(read.expect("a response").body, target.data().to_vec());
        let read = siege.service.ask("GET", &path, &siege.shared, Vec::new());
        assert_eq!((read.status, read.body), (200, target.data().to_vec()));
        put.send().expect("a response");
    }
    // By the service, with bytes that are not the CID's.
    let other = Block::encode(0x55, Hash::Blake3, bytes(900, 3)).expect("a block");
    let path = format!("/v1/blocks/{}", other.cid());
    let refused = siege
        .service
        .ask("PUT", &path, &siege.shared, poison.data().to_vec());
    assert_eq!(code(&refused), Code::Corrupt);
    let read = siege.service.ask("GET", &path, &siege.shared, Vec::new());
    assert_eq!(code(&read), Code::NotFound);
}

/// Every byte of a token counts, and nothing but our own keys' signatures do.
#[test]
fn no_forged_token_is_accepted() {
    let siege = Siege::new();
    let reads = Encoding::Json.encode(&Reads::of([*Block::raw("x").cid()]));
    let good = &siege.alice;
    let answer = siege.service.ask("POST", "/v1/reads", good, reads.clone());
    assert_eq!(answer.status, 200, "{}", text(&answer));

    let mut forged = Vec::new();
    for at in 0..good.len() {
        let mut token = good.clone().into_bytes();
        token[at] = if token[at] == b'A' { b'B' } else { b'A' };
        forged.push(String::from_utf8(token).expect("ASCII"));
    }
    let parts: Vec<&str> = good.split('.').collect();
    let [head, claims, signature] = parts[..] else {
        panic!("three parts")
    };
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let other_key = TokenKey::new();
    for token in [
        // No signature, or none at all.
        format!("{}.{claims}.", encode(r#"{"alg":"none","typ":"JWT"}"#)),
        format!("{}.{claims}", encode(r#"{"alg":"none"}"#)),
        format!("{}.{claims}.{signature}", encode(r#"{"alg":"None"}"#)),
        format!("{head}.{claims}."),
        format!("{head}.{claims}"),
        format!("{head}..{signature}"),
        format!("{head}.{claims}.{signature}="),
        format!("{head}.{claims}.{signature}.{signature}"),
        // Of another key.
        other_key.issue(&["--sub", "alice", "--ops", "read,write"]),
        // Of the other tenant, with this one's signature.
        format!(
            "{head}.{}.{signature}",
            siege.mallory.split('.').nth(1).expect("claims")
        ),
        // Of another algorithm.
        format!("{}.{claims}.{signature}", encode(r#"{"alg":"HS512"}"#)),
        format!("{}.{claims}.{signature}", encode(r#"{"alg":"RS256"}"#)),
        // Expired.
        expired(&siege.key),
        String::from("x"),
        "a".repeat(20_000),
    ] {
        forged.push(token);
    }
    for token in &forged {
        let request = siege
            .service
            .request("POST", "/v1/reads", token, reads.clone());
        let response = request.send().expect("a response");
        assert!(
            matches!(response.status, 401 | 431 | 400),
            "{token}: {}",
            text(&response)
        );
        assert!(!text(&response).contains(token.as_str()) || token.len() < 10);
    }
    for header in ["Basic dTpw", "Bearer", "bearer  ", "Token x"] {
        let mut request = siege
            .service
            .request("POST", "/v1/reads", "", reads.clone());
        request.set_header("authorization", header);
        let response = request.send().expect("a response");
        assert_eq!(code(&response), Code::Unauthorised, "{header}");
    }
    // What a token does not allow.
    let reader = siege.key.issue(&["--sub", "r", "--ops", "read"]);
    let write = Write::new(*Block::raw("x").cid(), 1);
    let refused = siege.service.ask_for_writes(&reader, vec![write]);
    assert_eq!(code(&refused), Code::Denied);
    let writer = siege.key.issue(&["--sub", "w", "--ops", "write"]);
    let refused = siege
        .service
        .ask("POST", "/v1/reads", &writer, reads.clone());
    assert_eq!(code(&refused), Code::Denied);
    // Somebody else's lease.
    let granted = siege.service.writes(&siege.alice, vec![write]);
    let refused = siege.service.complete(&siege.mallory, &granted.lease);
    assert_eq!(code(&refused), Code::NoSuchLease);
    let nowhere = siege
        .service
        .complete(&siege.mallory, &granted.lease.replace('a', "b"));
    assert_eq!(code(&nowhere), Code::NoSuchLease);
    for lease in ["..", "%2e%2e", "x%2f..%2fy", "a%0d%0ab", "%00", "\u{e9}"] {
        let refused = siege.service.complete(&siege.alice, lease);
        assert!(matches!(refused.status, 400 | 404), "{}", text(&refused));
    }
}

/// Bodies and paths that are not what they should be.
#[test]
fn no_malformed_request_is_taken() {
    let siege = Siege::new();
    let cid = Block::raw("x").cid().to_string();
    for body in [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        r#"{"blocks":[]}x"#.to_owned(),
        format!(r#"{{"blocks":[{{"cid":"{cid}","size":-1}}]}}"#),
        format!(r#"{{"blocks":[{{"cid":"{cid}","size":1.5}}]}}"#),
        format!(r#"{{"blocks":[{{"cid":"{cid}","size":"1"}}]}}"#),
        format!(r#"{{"blocks":[{{"cid":"{cid}","size":1,"sha256":"00"}}]}}"#),
        format!(r#"{{"blocks":[{{"cid":"{cid}/../x","size":1}}]}}"#),
        format!(r#"{{"blocks":[{{"cid":"{cid}\r\nx-amz-acl: public-read","size":1}}]}}"#),
        format!(r#"{{"blocks":[{{"cid":"{cid}","size":1}}],"prefix":"/"}}"#),
        format!(r#"{{"blocks":[{{"cid":"{cid}","size":1}}],"expires":0}}"#),
    ] {
        let response = siege
            .service
            .ask("POST", "/v1/writes", &siege.shared, body.clone().into());
        assert_eq!(code(&response), Code::Invalid, "{body}");
    }
    let too_large = Write::new(*Block::raw("x").cid(), u64::MAX);
    let response = siege.service.ask_for_writes(&siege.shared, vec![too_large]);
    assert_eq!(code(&response), Code::TooLarge);
    for path in [
        format!("/v1/blocks/{cid}/.."),
        format!("/v1/blocks/..%2f{cid}"),
        format!("/v1/blocks/{cid}%0d%0a"),
        "/v1/blocks/x".to_owned(),
        "/v1/blocks/%2e%2e".to_owned(),
        "/v1//blocks".to_owned(),
        "/v1/../metrics".to_owned(),
    ] {
        let response = siege.service.ask("GET", &path, &siege.shared, Vec::new());
        assert!(
            matches!(response.status, 400 | 404),
            "{path}: {}",
            text(&response)
        );
    }
    let leases = siege.objects();
    assert!(leases.is_empty(), "{leases:?}");
}

/// Sends all attacks, and answers with those that `succeeded` says something of.
fn assault(
    attacks: &[Mutation],
    succeeded: impl Fn(&Mutation, &std::io::Result<Response>) -> bool + Sync,
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..ATTACKERS {
            scope.spawn(|| {
                while let Some(mutation) = attacks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = mutation.request.send();
                    if succeeded(mutation, &outcome) {
                        let line = format!(
                            "{}: {} {}\n  {outcome:?}",
                            mutation.what, mutation.request.method, mutation.request.path
                        );
                        found.lock().expect("no panic").push(line);
                    }
                }
            });
        }
    });
    found.into_inner().expect("no panic")
}

/// The request aimed at other places of the bucket.
fn escapes(grant: &Request) -> Vec<Mutation> {
    let (folder, name) = grant.path.rsplit_once('/').expect("a key with a prefix");
    let bucket = grant.path.split('/').nth(1).expect("a bucket");
    let mut all = Vec::new();
    for path in [
        format!("{folder}/../{name}"),
        format!("{folder}/%2e%2e/{name}"),
        format!("{folder}/%2E%2E/{name}"),
        format!("{folder}%2F..%2F{name}"),
        format!("{folder}/..%2f{name}"),
        format!("{folder}\\..\\{name}"),
        format!("{folder}/{name}%00"),
        format!("{folder}/{name}%0d%0ax-amz-acl:%20public-read"),
        format!("{folder}/{name};x"),
        format!("{folder}/{name}/"),
        format!("/{bucket}/{name}"),
        format!("/{bucket}/../{bucket}/{name}"),
        format!("//{bucket}{}", &grant.path[bucket.len() + 1..]),
        grant.path.replace("/.cidbucket/staging/", "/"),
        grant.path.replace("/.cidbucket/tenants/alice/", "/"),
        grant.path.replace("/alice/", "/mallory/"),
        grant.path.replace("/mallory/", "/alice/"),
        grant.path.replace(".cidbucket", ".cidbucket/leases"),
        format!("{folder}/.cidbucket/leases/{name}"),
        format!("{folder}/.cidbucket/quotas/{name}"),
    ] {
        if path != grant.path {
            all.push(Mutation {
                what: format!("aimed at {path}"),
                request: Request {
                    path,
                    ..grant.clone()
                },
                respelled: false,
            });
        }
    }
    // Another spelling of the same key.
    all.push(Mutation {
        what: "with its last slash escaped".to_owned(),
        request: Request {
            path: format!("{folder}%2f{name}"),
            ..grant.clone()
        },
        respelled: true,
    });
    for (name, value) in [
        ("x-amz-tagging", "a=b\r\nx-amz-acl: public-read"),
        ("content-type", "text/html"),
        ("content-encoding", "aws-chunked"),
        ("transfer-encoding", "chunked"),
    ] {
        // Those that are not signed may be taken or not; what lies there must be the block.
        let mut request = grant.clone();
        request.set_header(name, value);
        all.push(Mutation {
            what: format!("with header {name}: {value:?}"),
            request,
            respelled: true,
        });
    }
    all
}

/// Parts of one grant with those of another.
fn mixed(one: &Request, other: &Request) -> Vec<Mutation> {
    let mut all = Vec::new();
    let mut push = |what: &str, request: Request| {
        if request != *one && request != *other {
            all.push(Mutation {
                what: what.to_owned(),
                request,
                respelled: false,
            });
        }
    };
    push(
        "the key of another grant",
        Request {
            path: other.path.clone(),
            ..one.clone()
        },
    );
    push(
        "the query of another grant",
        Request {
            query: other.query.clone(),
            ..one.clone()
        },
    );
    let mut request = one.clone();
    for (name, value) in &mut request.query {
        if name == "X-Amz-Signature" {
            let found = other.query.iter().find(|(known, _)| known == name);
            value.clone_from(&found.expect("a signature").1);
        }
    }
    push("the signature of another grant", request);
    if one.method == "PUT" && other.method == "PUT" {
        let mut request = one.clone();
        request.body.clone_from(&other.body);
        request.set_header("content-length", &other.body.len().to_string());
        push("the body of another grant", request.clone());
        request.headers.clone_from(&other.headers);
        push("the body and headers of another grant", request);
    }
    all
}

/// A grant as bytes.
fn wire(grant: &Grant, body: &[u8]) -> Request {
    Request::grant(&serde_json::to_value(grant).expect("JSON"), body)
}

/// A token that was good until a moment ago.
fn expired(key: &TokenKey) -> String {
    let token = key.issue(&["--sub", "late", "--ops", "read,write", "--expires", "1s"]);
    std::thread::sleep(std::time::Duration::from_millis(2100));
    token
}

fn bytes(size: usize, seed: usize) -> Vec<u8> {
    (0..size)
        .map(|at| u8::try_from((at * 31 + seed * 7919 + at / 251 * seed) % 251).expect("below 251"))
        .collect()
}
