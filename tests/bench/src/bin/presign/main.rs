//! Signing URLs: ours beside its rivals and the floor, in one run.
//!
//! ```text
//! cargo run --release --bin presign                     # ours and the floor
//! cargo run --release --features rivals --bin presign   # the whole table
//! ```
//!
//! The floor is the SHA-256 compressions that cannot be avoided, and nothing else, in one call of
//! `sha2` for each message, on blocks padded beforehand: those of a canonical request of the same
//! length, those of the string to sign after its first block (which is the same for all requests
//! of one second), and the outer one of HMAC. The key is prepared, as it is for a whole day.
//!
//! All candidates take turns in every round. Times are CPU times of the thread, medians over the rounds; ratios are medians
//! of each round's own ratio, which is what a noisy machine leaves intact. Allocations are those of
//! one call.

use std::hint::black_box;
use std::time::Duration;

use cidbucket_bench::alloc;
use cidbucket_layout::{Cid, Keys, Layout, Prefix};
use cidbucket_presign::{
    Bucket, Credentials, Granter, Policy, Read, Seal, Style, Timestamp, Upload,
};
use cidbucket_sigv4::{Payload, Presign, Request, Signer, Template};
use rustix::time::{ClockId, clock_gettime};
use sha2::block_api::compress256;

#[cfg(feature = "rivals")]
mod rivals;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

const ROUNDS: usize = 301;
/// How long a candidate's turn lasts.
const TURN: Duration = Duration::from_micros(200);
/// Blocks of the batch rows.
const BATCH: usize = 10_000;

pub(crate) const ENDPOINT: &str = "https://s3.example.com";
pub(crate) const HOST: &str = "s3.example.com";
pub(crate) const BUCKET: &str = "blocks";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const KEY: &str = "ipfs/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ";
pub(crate) const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
pub(crate) const CHECKSUM: &str = "x9AUiQgIWMUABlg2xlj4R6bKZ8SGRhkhK+T4IA5Lus4=";
pub(crate) const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub(crate) const EXPIRES: u32 = 900;
pub(crate) const SIZE: u64 = 262_144;
const NOW: Timestamp = Timestamp::from_unix(1_369_353_600);

/// One row of a table.
pub(crate) struct Candidate {
    name: &'static str,
    call: Box<dyn FnMut()>,
    /// How many URLs one call makes.
    urls: usize,
}

impl Candidate {
    pub(crate) fn new<T>(name: &'static str, mut call: impl FnMut() -> T + 'static) -> Self {
        Self {
            name,
            call: Box::new(move || {
                black_box(call());
            }),
            urls: 1,
        }
    }

    fn of_many(self, urls: usize) -> Self {
        Self { urls, ..self }
    }
}

fn main() {
    // The AWS SDK wants a runtime around it, though it waits for nothing.
    #[cfg(feature = "rivals")]
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    #[cfg(feature = "rivals")]
    let _context = runtime.enter();
    let get = get();
    let put = put();
    print_table("GET", get);
    print_table(
        "PUT, sealed by x-amz-checksum-sha256 and content-length",
        put,
    );
}

fn signer() -> Signer {
    Signer::new(Credentials::new(ACCESS_KEY, SECRET), REGION).expect("credentials")
}

fn granter() -> Granter {
    Granter::new(
        Bucket::new(ENDPOINT, BUCKET, REGION, Style::Path).expect("bucket"),
        Keys::new(Prefix::new("ipfs").expect("prefix"), Layout::Kubo),
        Credentials::new(ACCESS_KEY, SECRET),
        Policy {
            seal: Some(Seal::Checksum),
            octet_stream: false,
            ..Policy::default()
        },
    )
    .expect("granter")
}

fn presign() -> Presign<'static> {
    Presign {
        scheme: "https",
        payload: Payload::Unsigned,
        now: NOW,
        expires: EXPIRES,
    }
}

fn get() -> Vec<Candidate> {
    fn request(path: &str) -> Request<'_> {
        Request {
            method: "GET",
            path,
            query: &[],
            headers: &[("host", HOST)],
        }
    }
    let path = format!("/{BUCKET}/{KEY}");
    let (one, many, granter, batch) = (signer(), signer(), granter(), granter());
    let mut template = template(&many, request("/blocks/ipfs/"), &[]);
    let mut bare = self::template(&many, request("/blocks/ipfs/"), &[]);
    let tail = &KEY["ipfs/".len()..];
    let cid: Cid = CID.parse().expect("CID");
    let cids = cids();

    let url = one.presign(&request(&path), &presign()).expect("URL");
    assert_eq!(template.url(tail, &[]).expect("URL"), url);
    let query = url.split_once('?').expect("query").1;
    let query = query.split_once("&X-Amz-Signature").expect("signature").0;
    let canonical = format!("GET\n{path}\n{query}\nhost:{HOST}\n\nhost\nUNSIGNED-PAYLOAD").len();

    #[cfg_attr(not(feature = "rivals"), expect(unused_mut))]
    let mut rows = vec![
        floor(canonical),
        Candidate::new("ours: a signature of a batch", move || bare.sign(tail, &[])),
        Candidate::new("ours: a URL of a batch", move || template.url(tail, &[])),
        Candidate::new("ours: a URL", move || {
            one.presign(&request(&path), &presign())
        }),
        Candidate::new("ours: a grant from a CID", move || {
            granter.read(&cid, &Read::default(), EXPIRES, NOW)
        }),
        Candidate::new("ours: 10,000 grants from CIDs, compact", move || {
            batch.read_batch(&cids, &Read::default(), EXPIRES, NOW)
        })
        .of_many(BATCH),
    ];
    #[cfg(feature = "rivals")]
    rows.extend(rivals::get());
    rows
}

fn put() -> Vec<Candidate> {
    const FIXED: &[(&str, &str)] = &[("host", HOST)];
    const HEADERS: &[(&str, &str)] = &[
        ("host", HOST),
        ("content-length", "262144"),
        ("x-amz-checksum-sha256", CHECKSUM),
    ];
    const VARYING: &[&str] = &["content-length", "x-amz-checksum-sha256"];
    const VALUES: &[&str] = &["262144", CHECKSUM];
    fn request<'a>(path: &'a str, headers: &'a [(&'a str, &'a str)]) -> Request<'a> {
        Request {
            method: "PUT",
            path,
            query: &[],
            headers,
        }
    }
    let path = format!("/{BUCKET}/{KEY}");
    let (one, many, granter, batch) = (signer(), signer(), granter(), granter());
    let mut template = template(&many, request("/blocks/ipfs/", FIXED), VARYING);
    let mut bare = self::template(&many, request("/blocks/ipfs/", FIXED), VARYING);
    let tail = &KEY["ipfs/".len()..];
    let upload = Upload::new(CID.parse().expect("CID"), SIZE);
    let uploads: Vec<Upload> = cids()
        .into_iter()
        .map(|cid| Upload::new(cid, SIZE))
        .collect();

    let url = one
        .presign(&request(&path, HEADERS), &presign())
        .expect("URL");
    assert_eq!(template.url(tail, VALUES).expect("URL"), url);
    assert_eq!(
        granter.write(&upload, EXPIRES, NOW).expect("grant").url,
        url
    );
    let query = url.split_once('?').expect("query").1;
    let query = query.split_once("&X-Amz-Signature").expect("signature").0;
    let canonical = format!(
        "PUT\n{path}\n{query}\ncontent-length:{SIZE}\nhost:{HOST}\n\
         x-amz-checksum-sha256:{CHECKSUM}\n\ncontent-length;host;x-amz-checksum-sha256\n\
         UNSIGNED-PAYLOAD"
    )
    .len();

    #[cfg_attr(not(feature = "rivals"), expect(unused_mut))]
    let mut rows = vec![
        floor(canonical),
        Candidate::new("ours: a signature of a batch", move || {
            bare.sign(tail, VALUES)
        }),
        Candidate::new("ours: a URL of a batch", move || template.url(tail, VALUES)),
        Candidate::new("ours: a URL", move || {
            one.presign(&request(&path, HEADERS), &presign())
        }),
        Candidate::new("ours: a grant from a CID", move || {
            granter.write(&upload, EXPIRES, NOW)
        }),
        Candidate::new("ours: 10,000 grants from CIDs, compact", move || {
            batch.write_batch(&uploads, EXPIRES, NOW)
        })
        .of_many(BATCH),
    ];
    #[cfg(feature = "rivals")]
    rows.extend(rivals::put());
    rows
}

fn template(signer: &Signer, request: Request<'_>, varying: &[&str]) -> Template {
    signer
        .template(&request, varying, &presign())
        .expect("template")
}

/// As many CIDs as a batch has, all different.
fn cids() -> Vec<Cid> {
    let like: Cid = CID.parse().expect("CID");
    (0..BATCH)
        .map(|index| {
            let mut bytes = like.to_bytes();
            let end = bytes.len() - 8;
            bytes[end..].copy_from_slice(&index.to_be_bytes());
            Cid::try_from(bytes).expect("CID")
        })
        .collect()
}

/// The compressions for a canonical request of this length, and no other work.
fn floor(canonical_request: usize) -> Candidate {
    let string_to_sign = format!(
        "AWS4-HMAC-SHA256\n{NOW}\n{}/{REGION}/s3/aws4_request\n",
        NOW.date()
    )
    .len()
        + 64;
    // Padding takes a byte, and the length eight.
    let blocks = |bytes: usize| (bytes + 9).div_ceil(64);
    let request = vec![[0x5a; 64]; blocks(canonical_request)];
    let to_sign = vec![[0xa5; 64]; blocks(string_to_sign) - 1];
    println!(
        "floor: {canonical_request} bytes of canonical request, {string_to_sign} of string to \
         sign: {} + {} + 1 compressions",
        request.len(),
        to_sign.len()
    );
    Candidate::new("floor", move || {
        let mut state = [0x6a09_e667; 8];
        compress256(&mut state, black_box(&request));
        let mut inner = state;
        compress256(&mut inner, black_box(&to_sign));
        let mut outer = inner;
        compress256(&mut outer, black_box(&[[0x36; 64]]));
        outer
    })
}

fn print_table(title: &str, mut rows: Vec<Candidate>) {
    let iterations: Vec<u32> = rows.iter_mut().map(calibrate).collect();
    let allocations: Vec<u64> = rows
        .iter_mut()
        .map(|row| {
            let before = alloc::count();
            (row.call)();
            alloc::count() - before
        })
        .collect();
    let mut times = vec![Vec::with_capacity(ROUNDS); rows.len()];
    for _ in 0..ROUNDS {
        for ((row, iterations), times) in rows.iter_mut().zip(&iterations).zip(&mut times) {
            let start = cpu();
            for _ in 0..*iterations {
                (row.call)();
            }
            let urls = f64::from(*iterations) * row.urls as f64;
            times.push((cpu() - start).as_nanos() as f64 / urls);
        }
    }
    println!("\n| {title} | ns per URL | x floor | allocations |\n|---|---:|---:|---:|");
    for ((row, own), allocations) in rows.iter().zip(&times).zip(allocations) {
        let ratios = own
            .iter()
            .zip(&times[0])
            .map(|(own, floor)| own / floor)
            .collect();
        println!(
            "| {} | {:.0} | {:.2} | {allocations} |",
            row.name,
            median(own.clone()),
            median(ratios)
        );
    }
    for (row, own) in rows.iter().zip(&times).filter(|(row, _)| row.urls > 1) {
        let total = median(own.clone()) * row.urls as f64 / 1e6;
        println!("\n{}: {total:.2} ms in all", row.name);
    }
    println!();
}

/// How many calls fill a turn.
fn calibrate(row: &mut Candidate) -> u32 {
    let mut iterations = 1;
    loop {
        let start = cpu();
        for _ in 0..iterations {
            (row.call)();
        }
        if cpu() - start >= TURN {
            return iterations;
        }
        iterations *= 2;
    }
}

/// CPU time of this thread: other processes do not count.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().expect("positive"),
        time.tv_nsec.try_into().expect("below 10^9"),
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
