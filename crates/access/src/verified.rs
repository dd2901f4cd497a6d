//! Tokens that were found good, so that a busy client's is not verified at every request.

use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use crate::Capability;

/// How many are remembered; about 4 MB with capabilities of the usual size.
const CAPACITY: usize = 4096;

/// By the SHA-256 of the token: so the token itself is not kept, and looking one up tells by its
/// time nothing of others.
#[derive(Debug)]
pub(crate) struct VerifiedTokens(Mutex<LruCache<[u8; 32], Verified>>);

/// A good token.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) capability: Arc<Capability>,
    pub(crate) not_before: Option<u64>,
    /// The edition of the keys by which it was found good; another edition may have dropped its
    /// key.
    pub(crate) edition: u64,
}

impl VerifiedTokens {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }

    pub(crate) fn get(&self, digest: &[u8; 32], edition: u64) -> Option<Verified> {
        let mut tokens = self.0.lock();
        let verified = tokens.get(digest)?;
        (verified.edition == edition).then(|| verified.clone())
    }

    pub(crate) fn put(&self, digest: [u8; 32], verified: Verified) {
        let mut tokens = self.0.lock();
        tokens.put(digest, verified);
        if tokens.len() > CAPACITY {
            tokens.pop_lru();
        }
    }
}
