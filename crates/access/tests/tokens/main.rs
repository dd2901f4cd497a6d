//! Tokens as a service meets them: good ones, and every way of getting round one.

mod claims;
mod forged;
mod keys;
mod raw;
mod rotation;
mod secrets;
mod vectors;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cidbucket_access::{Algorithm, Capability, Claims, Operations, SigningKey};

/// The time in these tests, in seconds since 1970-01-01 UTC.
const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn key(algorithm: Algorithm, seed: u8) -> SigningKey {
    SigningKey::generate(algorithm, &[seed; 32]).unwrap()
}

/// A capability for everything, for an hour.
fn capability() -> Capability {
    let mut capability = Capability::new("alice", "t-1", Operations::ALL);
    capability.expires = Some(NOW + 3600);
    capability
}

fn issue(key: &SigningKey) -> String {
    Claims::new(capability()).issue(key).unwrap()
}
