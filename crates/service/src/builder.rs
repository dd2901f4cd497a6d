//! Making a service.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use cidbucket_access::{Authorizer, Capability, Flaw, RateLimiter, Refused};
use cidbucket_blockstore::{Blockstore, Error, Report, Result};
use cidbucket_direct::{Info, ReadMode, WriteMode};
use cidbucket_presign::{Granter, Policy, Read, Seal, Timestamp};
use cidbucket_records::Conditions;
use cidbucket_s3::{Probe, S3Client};

use crate::assets::Assets;
use crate::books::Books;
use crate::caller::Doorkeeper;
use crate::health::Health;
use crate::service::{Parts, Service};
use crate::settings::Settings;
use crate::spaces::Spaces;

/// What a bucket was seen to enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enforced {
    /// The seal of write grants. `None`: all writes go through the service.
    pub seal: Option<Seal>,
    /// Which conditional writes hold. Without them quotas cannot be counted, and of completing a
    /// lease and letting it expire both can happen.
    pub conditions: Conditions,
    /// Whether a copy honours a condition on its source; otherwise what was staged is written by the
    /// service.
    pub conditional_copy: bool,
}

impl Enforced {
    /// Nothing.
    pub const NOTHING: Self = Self {
        seal: None,
        conditions: Conditions {
            create: false,
            replace: false,
        },
        conditional_copy: false,
    };
}

/// What a probe has found.
impl From<&Probe> for Enforced {
    fn from(probe: &Probe) -> Self {
        Self {
            seal: probe.seal,
            conditions: Conditions {
                create: probe.conditional_put == Some(true),
                replace: probe.conditional_replace == Some(true),
            },
            conditional_copy: probe.conditional_copy == Some(true),
        }
    }
}

/// Makes a [`Service`].
#[derive(Debug)]
pub struct ServiceBuilder {
    store: Store,
    settings: Settings,
    authorizer: Arc<dyn Authorizer>,
    cache: usize,
    instance: String,
}

#[derive(Debug)]
enum Store {
    Bucket(S3Client, Enforced),
    Other(Arc<dyn Blockstore>),
}

impl ServiceBuilder {
    /// A service over a bucket, which enforces what is said here. Clients reach their blocks there
    /// directly.
    pub fn bucket(client: S3Client, enforced: Enforced) -> Self {
        Self::new(Store::Bucket(client, enforced))
    }

    /// A service over any other store. All blocks go through it, tenants and quotas are refused, and
    /// leases are kept in memory.
    pub fn store(store: Arc<dyn Blockstore>) -> Self {
        Self::new(Store::Other(store))
    }

    fn new(store: Store) -> Self {
        Self {
            store,
            settings: Settings::default(),
            authorizer: Arc::new(Nobody),
            cache: 0,
            instance: String::new(),
        }
    }

    /// How it behaves.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Who decides what the bearer of a token may do. Without one, nobody may do anything, but read
    /// where that is public.
    #[must_use]
    pub fn authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizer = authorizer;
        self
    }

    /// Bytes of memory for hot blocks that go through the service. Over a bucket, half is for the
    /// shared blocks and half for tenants. None unless set.
    #[must_use]
    pub fn cache(mut self, bytes: usize) -> Self {
        self.cache = bytes;
        self
    }

    /// What this process is called in the records, for people.
    #[must_use]
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = name.into();
        self
    }

    /// Makes the service. Nothing is sent to the store yet.
    ///
    /// # Errors
    /// `Invalid` for settings that contradict each other, or a seal that cannot be granted under.
    pub fn build(self) -> Result<Service> {
        let settings = self.settings;
        check(&settings)?;
        let health = Arc::<Health>::default();
        let server = concat!("cidbucket/", env!("CARGO_PKG_VERSION"));
        let mut info = Info::new(server, settings.limits);
        if settings.public_reads {
            info.reads = ReadMode::Public;
        }
        let mut assets = Assets::new(None);
        let (spaces, books, client) = match self.store {
            Store::Other(store) => {
                let spaces = Spaces::of_store(store, self.cache, &health);
                (spaces, Books::in_memory(), None)
            }
            Store::Bucket(client, enforced) => {
                let signs = !client.config().credentials.is_anonymous();
                let policy = policy(&client, &settings, enforced.seal)?;
                let keys = client.config().keys.clone();
                assets = Assets::new(Some(&client.public_bucket()?.url("")));
                info.layout = Some(keys.layout().to_string());
                info.direct_reads = true;
                info.writes = match enforced.seal {
                    _ if !signs => WriteMode::None,
                    Some(_) => WriteMode::Direct,
                    None => WriteMode::Proxied,
                };
                info.seal = enforced.seal.filter(|_| info.writes == WriteMode::Direct);
                if settings.public_reads {
                    let bucket = client.public_bucket()?;
                    let plain = Granter::public(bucket, keys, policy.clone())
                        .and_then(|granter| {
                            let now = Timestamp::from_unix(0);
                            granter.read_batch(&[], &Read::default(), 1, now)
                        })
                        .map_err(|error| invalid(error.to_string()))?;
                    info.public = Some(plain);
                }
                let spaces = Spaces::of_bucket(&client, &policy, self.cache, &health);
                let books = Books::of_bucket(&client, enforced, &self.instance);
                (spaces, books, Some(client))
            }
        };
        Ok(Service::new(Parts {
            door: Doorkeeper {
                authorizer: self.authorizer,
                limiter: RateLimiter::default(),
                public_reads: settings.public_reads,
            },
            settings,
            info,
            assets,
            spaces,
            books,
            health,
            client,
        }))
    }
}

fn check(settings: &Settings) -> Result<()> {
    let limits = &settings.limits;
    let longest = 604_800;
    for (name, expires) in [
        ("read_expires", limits.read_expires),
        ("write_expires", limits.write_expires),
    ] {
        if !(1..=longest).contains(&expires) {
            return Err(invalid(format!("{name} is 1 to {longest} seconds")));
        }
    }
    if !(1..=cidbucket_presign::MAX_BATCH).contains(&limits.max_blocks) {
        let most = cidbucket_presign::MAX_BATCH;
        return Err(invalid(format!("max_blocks is 1 to {most}")));
    }
    if limits.max_block == 0 || limits.max_body == 0 || settings.max_requests == 0 {
        return Err(invalid("a limit of nothing lets nothing through"));
    }
    Ok(())
}

fn policy(client: &S3Client, settings: &Settings, seal: Option<Seal>) -> Result<Policy> {
    if seal.is_some_and(Seal::needs_read_back) {
        return Err(invalid(format!(
            "under the seal {} uploads cannot be granted by this service",
            seal.map_or("", Seal::name)
        )));
    }
    let limits = &settings.limits;
    Ok(Policy {
        max_block: limits.max_block,
        max_expires: limits.read_expires.max(limits.write_expires),
        seal,
        cache_control: client.config().cache_control.clone(),
        ..Policy::default()
    })
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::Invalid(Report::new("make service", message).into())
}

/// Lets nobody in.
struct Nobody;

#[async_trait]
impl Authorizer for Nobody {
    async fn authorize(
        &self,
        bearer: Option<&str>,
        _: SystemTime,
    ) -> Result<Arc<Capability>, Refused> {
        Err(match bearer {
            None => Refused::Missing,
            Some(_) => Flaw::UnknownKey.into(),
        })
    }
}

impl fmt::Debug for Nobody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nobody")
    }
}
