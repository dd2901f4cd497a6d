//! Whose blocks: the shared space, and one for each tenant.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cidbucket_access::Tenant;
use cidbucket_blockstore::{Block, Blockstore, Cid, Error, Report, Result};
use cidbucket_cache::{CacheOptions, CacheStats, CachedBlockstore};
use cidbucket_layout::Keys;
use cidbucket_presign::{Granter, Policy};
use cidbucket_s3::{S3Blockstore, S3Client};
use lru::LruCache;
use parking_lot::Mutex;

use crate::health::{Health, Watched};

/// How many tenants' spaces are kept open.
const TENANTS: NonZeroUsize = NonZeroUsize::new(16).unwrap();
/// How long a granter is used: its credentials may be renewed meanwhile.
const GRANTER_LIFE: Duration = Duration::from_mins(1);

/// The blocks of those who share them, or of one tenant.
pub(crate) struct Space {
    /// The blocks as they lie there.
    pub(crate) store: Arc<dyn Blockstore>,
    /// The same, with hot blocks in memory.
    cache: Option<CachedBlockstore<Arc<dyn Blockstore>>>,
    /// Where blocks are in S3.
    pub(crate) direct: Option<Direct>,
}

/// How the blocks of a space are reached directly.
pub(crate) struct Direct {
    client: S3Client,
    /// The keys of its blocks.
    pub(crate) keys: Keys,
    policy: Policy,
    granter: Mutex<Option<(Instant, Arc<Granter>)>>,
}

impl Space {
    /// The blocks, to read and write single ones through the service.
    pub(crate) fn blocks(&self) -> &dyn Blockstore {
        match &self.cache {
            Some(cache) => cache,
            None => &*self.store,
        }
    }

    /// A block that is in memory, at once. `None` says nothing about the store.
    pub(crate) fn hot(&self, cid: &Cid) -> Option<Block> {
        self.cache.as_ref()?.hot(cid)
    }
}

impl Direct {
    /// A granter for the blocks, with credentials of the last minute.
    pub(crate) async fn granter(&self) -> Result<Arc<Granter>> {
        if let Some((at, granter)) = &*self.granter.lock()
            && at.elapsed() < GRANTER_LIFE
        {
            return Ok(Arc::clone(granter));
        }
        let granter = self.granter_of(self.keys.clone()).await?;
        let granter = Arc::new(granter);
        *self.granter.lock() = Some((Instant::now(), Arc::clone(&granter)));
        Ok(granter)
    }

    /// A granter for other keys of the bucket.
    pub(crate) async fn granter_of(&self, keys: Keys) -> Result<Granter> {
        self.client.granter(keys, self.policy.clone()).await
    }
}

/// All spaces of a store.
pub(crate) struct Spaces {
    shared: Arc<Space>,
    tenants: Option<Tenants>,
}

struct Tenants {
    client: S3Client,
    policy: Policy,
    cache: usize,
    health: Arc<Health>,
    open: Mutex<LruCache<Tenant, Arc<Space>>>,
    /// What the caches of closed spaces have counted.
    closed: Mutex<CacheStats>,
}

impl Spaces {
    /// The spaces of a store that is not in S3: all share its blocks.
    pub(crate) fn of_store(store: Arc<dyn Blockstore>, cache: usize, health: &Arc<Health>) -> Self {
        let shared = Space::new(store, None, cache, health);
        Self {
            shared: Arc::new(shared),
            tenants: None,
        }
    }

    /// The spaces of a bucket. Half of the cache is for the shared blocks, half for the tenants.
    pub(crate) fn of_bucket(
        client: &S3Client,
        policy: &Policy,
        cache: usize,
        health: &Arc<Health>,
    ) -> Self {
        let keys = client.config().keys.clone();
        let shared = Space::in_bucket(client, keys, policy, cache / 2, health);
        Self {
            shared: Arc::new(shared),
            tenants: Some(Tenants {
                client: client.clone(),
                policy: policy.clone(),
                cache: cache / 2 / TENANTS.get(),
                health: Arc::clone(health),
                open: Mutex::new(LruCache::new(TENANTS)),
                closed: Mutex::default(),
            }),
        }
    }

    /// The space that all share.
    pub(crate) fn shared(&self) -> &Arc<Space> {
        &self.shared
    }

    /// A tenant's space; the shared one for no tenant.
    ///
    /// # Errors
    /// `Unsupported` where the store has no place for tenants.
    pub(crate) fn of(&self, tenant: Option<&Tenant>) -> Result<Arc<Space>> {
        let Some(tenant) = tenant else {
            return Ok(Arc::clone(&self.shared));
        };
        let unsupported = |why| Error::Unsupported(Report::new("open tenant", why).into());
        let Some(tenants) = &self.tenants else {
            return Err(unsupported("tenants need a store in S3"));
        };
        let mut open = tenants.open.lock();
        if let Some(space) = open.get(tenant) {
            return Ok(Arc::clone(space));
        }
        let keys = tenants.client.config().keys.tenant(tenant.as_str());
        let keys =
            keys.map_err(|_| unsupported("the store's prefix leaves no room for tenants"))?;
        let space = Arc::new(Space::in_bucket(
            &tenants.client,
            keys,
            &tenants.policy,
            tenants.cache,
            &tenants.health,
        ));
        if let Some((_, closed)) = open.push(tenant.clone(), Arc::clone(&space)) {
            let mut stats = closed.stats();
            // They are gone, and only what was counted stays.
            (stats.blocks, stats.bytes) = (0, 0);
            *tenants.closed.lock() += stats;
        }
        Ok(space)
    }

    /// What the caches have done.
    pub(crate) fn cache_stats(&self) -> CacheStats {
        let mut stats = self.shared.stats();
        if let Some(tenants) = &self.tenants {
            stats += *tenants.closed.lock();
            for (_, space) in &*tenants.open.lock() {
                stats += space.stats();
            }
        }
        stats
    }
}

impl Space {
    fn in_bucket(
        client: &S3Client,
        keys: Keys,
        policy: &Policy,
        cache: usize,
        health: &Arc<Health>,
    ) -> Self {
        let store = S3Blockstore::with_keys(client.clone(), keys.clone());
        let direct = Direct {
            client: client.clone(),
            keys,
            policy: policy.clone(),
            granter: Mutex::default(),
        };
        Self::new(Arc::new(store), Some(direct), cache, health)
    }

    fn new(
        store: Arc<dyn Blockstore>,
        direct: Option<Direct>,
        cache: usize,
        health: &Arc<Health>,
    ) -> Self {
        let store: Arc<dyn Blockstore> = Arc::new(Watched {
            store,
            health: Arc::clone(health),
        });
        let cache = (cache > 0).then(|| {
            let options = CacheOptions {
                capacity: cache,
                // Others write to the store and delete from it: only bytes are remembered, which
                // cannot become wrong.
                presence_entries: 0,
                negative_ttl: Duration::ZERO,
                ..CacheOptions::default()
            };
            CachedBlockstore::new(Arc::clone(&store), options)
        });
        Self {
            store,
            cache,
            direct,
        }
    }

    fn stats(&self) -> CacheStats {
        self.cache
            .as_ref()
            .map(CachedBlockstore::stats)
            .unwrap_or_default()
    }
}

impl fmt::Debug for Spaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spaces")
            .field("shared", &self.shared.store)
            .finish_non_exhaustive()
    }
}
