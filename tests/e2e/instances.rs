//! Several services over one bucket, with nothing before them: clients pick one at random, and one
//! of them is killed in the middle. No acknowledged block is lost, and no quota is exceeded. (That
//! every lease ends and gives back what it should is tried with simulated time, in `cidbucket-records`.)

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use cidbucket_blockstore::Block;
use cidbucket_direct::{Cid, Encoding, Granted, Problem, Write};
use cidbucket_presign::Upload;
use cidbucket_tests::service::text;
use cidbucket_tests::wire::Request;
use cidbucket_tests::{Service, Target, TokenKey};

const INSTANCES: usize = 3;
const CLIENTS: usize = 6;
/// Blocks in a request.
const BATCH: usize = 4;
const BLOCK: usize = 1000;
/// Bytes that the token with a quota may write.
const QUOTA: u64 = 150_000;

/// The services that still run. A client that finds one gone goes on to another.
struct Fleet {
    services: RwLock<Vec<Option<Service>>>,
}

impl Fleet {
    fn start(target: &Target, key: &TokenKey) -> Self {
        let services = (0..INSTANCES).map(|_| {
            let args = ["--seal", &*target.seal, "--verify", "list"];
            Some(Service::start(target, &key.path(), &args))
        });
        Self {
            services: RwLock::new(services.collect()),
        }
    }

    /// An answer of the `nth` service, if that still runs and answers.
    fn ask(
        &self,
        nth: usize,
        ask: impl FnOnce(&Service) -> Request,
    ) -> Option<cidbucket_tests::wire::Response> {
        let services = self.services.read().expect("no panic");
        let request = ask(services[nth % INSTANCES].as_ref()?);
        drop(services);
        request.send().ok()
    }

    fn kill(&self, nth: usize) {
        let service = self.services.write().expect("no panic")[nth].take();
        service.expect("it runs").into_process().kill();
    }

    fn any<T>(&self, with: impl FnOnce(&Service) -> T) -> T {
        let services = self.services.read().expect("no panic");
        with(services.iter().flatten().next().expect("one runs"))
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_no_quota_is_exceeded() {
    let target = Target::new();
    let key = TokenKey::new();
    let fleet = Fleet::start(&target, &key);
    let free = key.issue(&["--sub", "free", "--ops", "read,write"]);
    let quota = QUOTA.to_string();
    let metered = key.issue(&[
        "--sub",
        "metered",
        "--ops",
        "read,write",
        "--max-bytes",
        &quota,
    ]);

    let acknowledged: Mutex<HashMap<Cid, Vec<u8>>> = Mutex::default();
    let metered_bytes = AtomicU64::new(0);
    let refused = AtomicUsize::new(0);
    let rounds = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (fleet, free, metered) = (&fleet, &free, &metered);
        let (acknowledged, metered_bytes) = (&acknowledged, &metered_bytes);
        let (refused, rounds) = (&refused, &rounds);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ (client as u64 + 1);
                    let mut pick = move || {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        usize::try_from(random >> 33).expect("31 bits")
                    };
                    for round in 0..40 {
                        rounds.fetch_add(1, Ordering::Relaxed);
                        let token = if round % 2 == 0 { free } else { metered };
                        let blocks: Vec<Block> = (0..BATCH)
                            .map(|n| Block::raw(bytes(client, round, n)))
                            .collect();
                        match upload(fleet, token, &blocks, &mut pick) {
                            Uploaded::Acknowledged => {
                                if round % 2 == 1 {
                                    let bytes = (BATCH * BLOCK) as u64;
                                    metered_bytes.fetch_add(bytes, Ordering::Relaxed);
                                }
                                let mut all = acknowledged.lock().expect("no panic");
                                all.extend(blocks.iter().map(|b| (*b.cid(), b.data().to_vec())));
                            }
                            Uploaded::OverQuota => {
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                            Uploaded::GaveUp => {}
                        }
                    }
                })
            })
            .collect();
        // In the middle of it.
        while rounds.load(Ordering::Relaxed) < CLIENTS * 8 {
            std::thread::sleep(Duration::from_millis(5));
        }
        fleet.kill(1);
        for client in clients {
            client.join().expect("a client");
        }
    });

    let acknowledged = acknowledged.into_inner().expect("no panic");
    let metered_bytes = metered_bytes.into_inner();
    assert!(
        acknowledged.len() > CLIENTS * BATCH * 10,
        "{}",
        acknowledged.len()
    );
    assert!(metered_bytes <= QUOTA, "{metered_bytes} bytes of {QUOTA}");
    assert!(metered_bytes > QUOTA / 4, "only {metered_bytes} bytes");
    assert!(refused.into_inner() > 0, "the quota was never reached");

    for (cid, data) in &acknowledged {
        let path = format!("/v1/blocks/{cid}");
        let read = fleet.any(|service| service.ask("GET", &path, &free, Vec::new()));
        assert_eq!(read.status, 200, "{cid}: {}", text(&read));
        assert!(read.body == *data, "{cid}");
    }
}

enum Uploaded {
    Acknowledged,
    OverQuota,
    /// The services it asked were gone, or its lease was.
    GaveUp,
}

/// What a client does, with whichever service it picks for each request.
fn upload(
    fleet: &Fleet,
    token: &str,
    blocks: &[Block],
    pick: &mut impl FnMut() -> usize,
) -> Uploaded {
    let writes: Vec<Write> = blocks
        .iter()
        .map(|block| Write::new(*block.cid(), block.len() as u64))
        .collect();
    for _ in 0..6 {
        let answer = fleet.ask(pick(), |service| {
            let body = Encoding::Json.encode(&cidbucket_direct::Writes {
                blocks: writes.clone(),
                expires: None,
            });
            service.request("POST", "/v1/writes", token, body)
        });
        let Some(answer) = answer else { continue };
        if answer.status == 403 {
            let problem: Problem = serde_json::from_slice(&answer.body).expect("a problem");
            assert_eq!(problem.code, cidbucket_direct::Code::Quota, "{problem}");
            return Uploaded::OverQuota;
        }
        if answer.status == 503 {
            continue;
        }
        assert_eq!(answer.status, 200, "{}", text(&answer));
        let granted: Granted = serde_json::from_slice(&answer.body).expect("grants");
        let batch = granted.direct.as_ref().expect("a batch");
        for (nth, block) in blocks.iter().enumerate() {
            let upload = Upload::new(*block.cid(), block.len() as u64);
            let grant = batch.write(nth, &upload).expect("a grant");
            let grant = serde_json::to_value(&grant).expect("JSON");
            let put = Request::grant(&grant, block.data()).send();
            let put = put.expect("S3 answers");
            assert!(matches!(put.status, 200 | 412), "{}", text(&put));
        }
        for _ in 0..6 {
            let path = format!("/v1/writes/{}/complete", granted.lease);
            let answer = fleet.ask(pick(), |service| {
                service.request("POST", &path, token, Vec::new())
            });
            match answer {
                Some(answer) if answer.status == 200 => return Uploaded::Acknowledged,
                Some(answer) if answer.status == 404 => return Uploaded::GaveUp,
                Some(answer) if answer.status != 503 => panic!("{}", text(&answer)),
                _ => {}
            }
        }
        return Uploaded::GaveUp;
    }
    Uploaded::GaveUp
}

fn bytes(client: usize, round: usize, n: usize) -> Vec<u8> {
    format!("{client} {round} {n} ")
        .into_bytes()
        .into_iter()
        .cycle()
        .take(BLOCK)
        .collect()
}
