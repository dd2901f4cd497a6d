//! Unused connections, per origin.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::connection::Connection;

/// Boxed: a connection's state is large, and it moves with every request.
type Idle = Box<Connection>;

/// A scheme, host and port, with the unused connections to it.
pub struct Origin {
    uri: Uri,
    idle: Mutex<Vec<Idle>>,
}

impl Origin {
    fn new(https: bool, authority: &Authority) -> Self {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(if https { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        Self {
            uri: Uri::from_parts(parts).expect("scheme, authority and path make a URI"),
            idle: Mutex::default(),
        }
    }

    /// Host and port, as in the `host` header.
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", Authority::as_str)
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The connection used last, so that a burst's surplus grows old and is closed.
    pub(super) fn take(&self, now: Instant, idle_timeout: Duration) -> Option<Idle> {
        let mut idle = self.idle.lock();
        discard_old(&mut idle, now, idle_timeout);
        idle.pop()
    }

    /// Keeps a connection that was used until now.
    pub(super) fn put_back(&self, connection: Idle, max_idle: usize, idle_timeout: Duration) {
        let mut idle = self.idle.lock();
        discard_old(&mut idle, connection.idle_since, idle_timeout);
        if idle.len() < max_idle {
            idle.push(connection);
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("uri", &self.uri)
            .field("idle", &self.idle.lock().len())
            .finish()
    }
}

/// All origins a client has spoken to.
#[derive(Debug, Default)]
pub(super) struct Origins(Mutex<HashMap<(bool, Authority), Arc<Origin>>>);

impl Origins {
    pub(super) fn get(&self, https: bool, authority: &Authority) -> Arc<Origin> {
        let mut origins = self.0.lock();
        if let Some(origin) = origins.get(&(https, authority.clone())) {
            return Arc::clone(origin);
        }
        let origin = Arc::new(Origin::new(https, authority));
        origins.insert((https, authority.clone()), Arc::clone(&origin));
        origin
    }
}

/// The oldest come first.
fn discard_old(idle: &mut Vec<Idle>, now: Instant, idle_timeout: Duration) {
    let old = idle
        .iter()
        .take_while(|connection| {
            now.saturating_duration_since(connection.idle_since) >= idle_timeout
        })
        .count();
    idle.drain(..old);
}
