//! What it costs to tell whether a token is good: the first time, and again.
//!
//! `cargo run --release --bin tokens` in `tests/bench`. Nanoseconds, the best of many rounds.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cidbucket_access::{
    Algorithm, Capability, Claims, Operations, Rate, RateLimiter, SigningKey, TokenAuthorizer,
};

const ROUNDS: usize = 200;
/// More than the authorizer remembers, so that in a round over all of them none is remembered.
const TOKENS: usize = 5_000;

fn main() {
    let now = SystemTime::now();
    let expires = now.duration_since(UNIX_EPOCH).unwrap().as_secs() + 86_400;
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm, &[7; 32]).unwrap();
        let tokens: Vec<String> = (0..TOKENS)
            .map(|i| {
                let mut capability =
                    Capability::new("alice", format!("token-{i}"), Operations::ALL);
                capability.hashes = Some(vec![0x12, 0x1e]);
                capability.expires = Some(expires);
                Claims::new(capability).issue(&key).unwrap()
            })
            .collect();
        let authorizer = TokenAuthorizer::new(key.verifying().unwrap());
        let verify = |token: &String| {
            black_box(authorizer.verify(token, now).unwrap());
        };
        let mut turns = tokens.iter().cycle();
        let first = best(20, || verify(turns.next().unwrap()));
        verify(&tokens[0]);
        let again = best(1000, || verify(&tokens[0]));
        println!(
            "{algorithm}, {} bytes: first {first:.0} ns, again {again:.0} ns, ratio {:.1}",
            tokens[0].len(),
            first / again
        );
    }

    let limiter = RateLimiter::default();
    let mut capability = Capability::new("alice", "token-0", Operations::ALL);
    capability.rate = NonZeroU32::new(u32::MAX).map(Rate::per_second);
    let take = best(1000, || {
        black_box(limiter.take(&capability, Instant::now()).unwrap());
    });
    println!("rate limiter: {take:.0} ns");
}

/// Nanoseconds of one call in the best round.
fn best(calls: u32, mut call: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        best = best.min(start.elapsed());
    }
    best.as_nanos() as f64 / f64::from(calls)
}
