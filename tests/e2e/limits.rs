//! A crowd at the service: a thousand connections at once, some of which never get on, and what it
//! takes of memory.

use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cidbucket_blockstore::Block;
use cidbucket_direct::{Encoding, Reads};
use cidbucket_tests::service::text;
use cidbucket_tests::{Service, Target, TokenKey};

/// Connections that are open at once.
const CROWD: usize = 1000;
/// Of these, how many send a byte now and then and never finish.
const SLOW: usize = 200;
/// What the service may take beyond what it took before, in MiB: `docs/serve.md` states it.
const BUDGET: u64 = 192;

#[test]
fn a_thousand_clients_are_served_within_the_budget() {
    let target = Target::new();
    let key = TokenKey::new();
    let service = Service::start(&target, &key.path(), &["--seal", &target.seal]);
    let token = key.issue(&["--sub", "crowd", "--ops", "read,write"]);
    let blocks: Vec<Block> = (0..500_u32)
        .map(|n| Block::raw(n.to_be_bytes().to_vec()))
        .collect();
    let body = Encoding::Json.encode(&Reads::of(blocks.iter().map(|block| *block.cid())));
    // Warm.
    let first = service.ask("POST", "/v1/reads", &token, body.clone());
    assert_eq!(first.status, 200, "{}", text(&first));
    let before = resident(service.process().id());

    let head = |length: usize| {
        format!(
            "POST /v1/reads HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            service.authority()
        )
    };
    let mut slow: Vec<TcpStream> = (0..SLOW).map(|_| connect(&service)).collect();
    for (nth, stream) in slow.iter_mut().enumerate() {
        // Half a head, or half a body.
        let text = if nth % 2 == 0 {
            head(10)[..40].to_owned()
        } else {
            head(body.len()) + "{"
        };
        stream.write_all(text.as_bytes()).expect("sent");
    }
    let mut crowd: Vec<TcpStream> = (SLOW..CROWD).map(|_| connect(&service)).collect();
    let served = AtomicUsize::new(0);
    let started = Instant::now();
    let mut peak = 0;
    for _ in 0..3 {
        for stream in &mut crowd {
            stream.write_all(head(body.len()).as_bytes()).expect("sent");
            stream.write_all(&body).expect("sent");
        }
        peak = peak.max(resident(service.process().id()));
        std::thread::scope(|scope| {
            for part in crowd.chunks_mut(CROWD / 8) {
                let served = &served;
                scope.spawn(move || {
                    for stream in part {
                        let status = answer(stream);
                        // Above the limit of what is under way, it asks to come back.
                        assert!(matches!(status, 200 | 429 | 503), "{status}");
                        if status == 200 {
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        peak = peak.max(resident(service.process().id()));
    }
    let served = served.into_inner();
    let took = started.elapsed();
    assert!(served >= (CROWD - SLOW) * 2, "{served} in {took:?}");
    assert!(took < Duration::from_mins(1), "{took:?}");
    let grown = peak.saturating_sub(before) >> 20;
    assert!(grown <= BUDGET, "{grown} MiB more than before");
    // Whoever does not get on is let go, and the others are served meanwhile.
    let started = Instant::now();
    for mut stream in slow {
        let timeout = Duration::from_secs(90).saturating_sub(started.elapsed());
        stream.set_read_timeout(Some(timeout)).expect("a timeout");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        let rest = String::from_utf8_lossy(&rest);
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 4"), "{rest}");
    }
    assert!(started.elapsed() < Duration::from_secs(90));
    let last = service.ask("POST", "/v1/reads", &token, body);
    assert_eq!(last.status, 200, "{}", text(&last));
}

fn connect(service: &Service) -> TcpStream {
    let stream = TcpStream::connect(service.authority()).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .expect("a timeout");
    stream
}

/// Reads one answer of a kept connection, and gives its status.
fn answer(stream: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = stream.read(&mut buffer).expect("an answer");
        assert!(read > 0, "the service closed the connection");
        answer.extend_from_slice(&buffer[..read]);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map(|length| length.trim().parse::<usize>().expect("a length"));
        let whole = match length {
            Some(length) => answer.len() >= end + 4 + length,
            None => answer.ends_with(b"0\r\n\r\n"),
        };
        if whole {
            return head[9..12].parse().expect("a status");
        }
    }
}

/// Resident memory of a process, in bytes.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux's /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok())
        .expect("a size");
    kib << 10
}
