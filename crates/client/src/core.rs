//! What all clones of a store share, and the choice of the way that a block goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cidbucket_blockstore::{Block, Cid, Error, Report, Result};
use cidbucket_direct::{Grant, Info};
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_s3::tls::Trust;
use cidbucket_s3::transport::{HttpClient, TransportOptions};
use cidbucket_s3::{GrantClient, GrantError};
use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::gather::{Gather, Room};
use crate::grants::Grants;
use crate::reach::{Leave, Reach};
use crate::read::{Granted, Looked};
use crate::service::Service;
use crate::traffic::Traffic;
use crate::upload::Finish;
use crate::{Direct, DirectConfig};

/// How long what a service says of itself is relied upon.
const INFO_HOLDS: Duration = Duration::from_mins(10);
/// How long the old answer is relied upon further where the service does not answer.
const INFO_HOLDS_ON: Duration = Duration::from_mins(1);
/// How many read grants are kept: about 5 MiB.
const GRANTS: usize = 16_384;
/// Connections that are tried before S3 counts as unreachable, where there is another way.
const CONNECTS: u32 = 2;
/// What a block takes of a request's body at most: for reads its CID, for writes also its size and
/// SHA-256, each with its frame, in bytes.
const READ_BYTES: usize = 100;
const WRITE_BYTES: usize = 200;

/// What all clones of a store share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: DirectConfig,
    pub(crate) service: Service,
    pub(crate) s3: GrantClient,
    pub(crate) grants: Mutex<Grants>,
    pub(crate) reads: Gather<Cid, Arc<Granted>>,
    pub(crate) looks: Gather<Cid, Arc<Looked>>,
    pub(crate) puts: Gather<Block, Finish>,
    reach: Mutex<Reach>,
    /// An answer of S3 has shown that the bucket is there.
    bucket_seen: AtomicBool,
    known: Mutex<Knowledge>,
}

/// What a service is, and what follows from that.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) info: Info,
    /// Whether a block can lie at one key only.
    pub(crate) one_key: bool,
    pub(crate) read_room: Room,
    pub(crate) write_room: Room,
}

type Asked = Result<Arc<Known>>;

#[derive(Debug, Default)]
struct Knowledge {
    known: Option<Arc<Known>>,
    until: Option<Instant>,
    asking: Option<WeakShared<BoxFuture<'static, Asked>>>,
}

impl Core {
    pub(crate) fn new(config: DirectConfig) -> Result<Self> {
        let mut options = TransportOptions::default();
        options.connect_timeout = config.timeouts.connect;
        options.first_byte_timeout = config.timeouts.first_byte;
        options.stall_timeout = config.timeouts.stall;
        options.max_idle = options.max_idle.max(config.concurrency);
        let trust = Trust::new(config.ca_file.as_deref())?;
        // Each side has its own, which counts its bytes.
        let to_service = HttpClient::new(options.clone(), trust.clone());
        let to_s3 = HttpClient::new(options, trust);
        let connects = match config.direct {
            Direct::Auto => CONNECTS,
            Direct::Always | Direct::Never => u32::MAX,
        };
        Ok(Self {
            service: Service::new(&config, to_service),
            s3: GrantClient::new(to_s3, config.retry, config.timeouts, connects),
            grants: Mutex::new(Grants::new(GRANTS)),
            reads: Gather::new(),
            looks: Gather::new(),
            puts: Gather::new(),
            reach: Mutex::default(),
            bucket_seen: AtomicBool::new(false),
            known: Mutex::default(),
            config,
        })
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.service.traffic(&self.s3.metrics())
    }

    /// What the service is: asked once, and again from time to time.
    pub(crate) async fn known(self: &Arc<Self>) -> Result<Arc<Known>> {
        let asking = {
            let mut knowledge = self.known.lock();
            if let Some(known) = &knowledge.known
                && knowledge.until.is_some_and(|until| Instant::now() < until)
            {
                return Ok(Arc::clone(known));
            }
            let asking = knowledge.asking.as_ref().and_then(WeakShared::upgrade);
            asking.unwrap_or_else(|| {
                let asking = Arc::clone(self).ask().boxed().shared();
                knowledge.asking = Shared::downgrade(&asking);
                asking
            })
        };
        asking.await
    }

    async fn ask(self: Arc<Self>) -> Asked {
        let asked = self.service.info().await;
        let mut knowledge = self.known.lock();
        match asked {
            Ok(info) => {
                let known = Arc::new(Known::new(info, &self.config));
                knowledge.known = Some(Arc::clone(&known));
                knowledge.until = Some(Instant::now() + INFO_HOLDS);
                Ok(known)
            }
            Err(error) => match &knowledge.known {
                Some(known) if error.is_transient() => {
                    tracing::debug!(%error, "the service does not say anew what it is");
                    let known = Arc::clone(known);
                    knowledge.until = Some(Instant::now() + INFO_HOLDS_ON);
                    Ok(known)
                }
                _ => Err(error),
            },
        }
    }

    /// Leave to go straight to S3, for a block that goes at once; `None`: through the service.
    pub(crate) fn leave(&self) -> Option<Leave> {
        match self.config.direct {
            Direct::Never => None,
            _ => self.reach.lock().leave(Instant::now()),
        }
    }

    /// Whether there would be leave to go straight to S3.
    pub(crate) fn has_leave(&self) -> bool {
        self.config.direct != Direct::Never && self.reach.lock().has_leave(Instant::now())
    }

    /// Learns from an answer of S3, or from the lack of one. Whether the block is to go through
    /// the service.
    pub(crate) fn learn<T>(&self, leave: Leave, answer: &Result<T, GrantError>) -> bool {
        let Err(GrantError::Unreachable(error)) = answer else {
            if answer.is_ok() {
                self.bucket_seen.store(true, Ordering::Relaxed);
            }
            if self.reach.lock().reached() {
                tracing::info!("S3 can be reached again; blocks go there straight");
            }
            return false;
        };
        if self.config.direct != Direct::Auto {
            return false;
        }
        let pause = self.reach.lock().not_reached(leave, Instant::now());
        if let Some(pause) = pause {
            tracing::warn!(%error, ?pause, "S3 cannot be reached; blocks go through the service");
        }
        self.service.counters.fallback();
        true
    }

    /// Whether something that S3 does not find must be the block.
    pub(crate) fn bucket_seen(&self) -> bool {
        self.bucket_seen.load(Ordering::Relaxed)
    }

    /// Refuses a grant that would take blocks, and itself, over the network in the clear.
    pub(crate) fn check(&self, grant: &Grant) -> Result<()> {
        let https = grant.url.starts_with("https://");
        if https || self.config.allow_http || !self.service.is_https() {
            return Ok(());
        }
        Err(Error::Protocol(
            Report::new(
                "check grant",
                "the service, reached by https, hands out plain http URLs of S3; where that is \
                 right, say allow_http=true, or direct=never",
            )
            .into(),
        ))
    }
}

/// Says at last where the bytes went.
impl Drop for Core {
    fn drop(&mut self) {
        let Traffic {
            service,
            s3,
            fallbacks,
        } = self.traffic();
        if service.requests > 0 {
            tracing::debug!(
                through_service_requests = service.requests,
                through_service_bytes = service.wire_in + service.wire_out,
                straight_to_s3_requests = s3.requests,
                straight_to_s3_bytes = s3.wire_in + s3.wire_out,
                fallbacks,
                "traffic"
            );
        }
    }
}

impl Known {
    fn new(info: Info, config: &DirectConfig) -> Self {
        let room = |bytes_a_block: usize| Room {
            items: config
                .batch_blocks
                .min(info.limits.max_blocks)
                .min(info.limits.max_body / bytes_a_block)
                .max(1),
            weight: config.batch_bytes,
        };
        Self {
            one_key: info.layout.as_deref().is_some_and(has_one_key),
            read_room: room(READ_BYTES),
            write_room: room(WRITE_BYTES),
            info,
        }
    }
}

/// Whether blocks lie at one key under this layout. A batch names the first of several.
fn has_one_key(layout: &str) -> bool {
    let (Ok(layout), Ok(prefix)) = (layout.parse::<Layout>(), Prefix::new("")) else {
        return false;
    };
    let cid = *Block::raw("").cid();
    Keys::new(prefix, layout).candidates(&cid).nth(1).is_none()
}

#[cfg(test)]
mod tests {
    use cidbucket_direct::Method;

    use super::*;

    fn core(url: &str) -> Core {
        Core::new(DirectConfig::new(url).unwrap()).unwrap()
    }

    fn grant(url: &str) -> Grant {
        Grant {
            method: Method::Get,
            url: url.to_owned(),
            headers: Vec::new(),
            expires: None,
        }
    }

    #[test]
    fn grants_in_the_clear_are_refused_over_https() {
        let (clear, safe) = (grant("http://s3/b/k"), grant("https://s3/b/k"));
        for (url, is_taken) in [
            ("http://h", true),
            ("https://h", false),
            ("https://h?allow_http=true", true),
        ] {
            let core = core(url);
            assert_eq!(core.check(&clear).is_ok(), is_taken, "{url}");
            assert!(core.check(&safe).is_ok(), "{url}");
        }
        let error = core("https://h").check(&clear).unwrap_err();
        assert!(matches!(error, Error::Protocol(_)));
        assert!(!error.to_string().contains("http://s3"), "{error}");
    }

    #[test]
    fn layouts_by_their_number_of_keys() {
        for (layout, one) in [
            ("kubo", true),
            ("flatfs", true),
            ("peergos", false),
            ("jclab-suffix", false),
            ("of-later", false),
        ] {
            assert_eq!(has_one_key(layout), one, "{layout}");
        }
    }
}
