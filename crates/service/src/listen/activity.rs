//! What goes on on a connection, and until when it may go on like that. The decision is pure.

use std::sync::{Arc, Weak};
use std::time::Duration;

use cidbucket_gateway::Seen;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::Body;
use crate::settings::Pace;

/// What goes on on a connection.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Requests under way.
    requests: usize,
    /// Whether there was one.
    begun: bool,
    /// HTTP/2, where a byte need not be the beginning of a request.
    http2: bool,
    /// When it began, or when the last request ended.
    since: Instant,
    /// When the first byte of the next request came.
    head: Option<Instant>,
    /// The streams that are being answered.
    streams: Vec<Weak<Mutex<Offer>>>,
}

/// The piece of a stream that the connection was given and has not come back for: when, and how
/// many bytes it has.
type Offer = Option<(Instant, u64)>;

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(State {
            requests: 0,
            begun: false,
            http2: false,
            since: now,
            head: None,
            streams: Vec::new(),
        }))
    }

    /// Bytes came.
    pub(super) fn received(&self, now: Instant) {
        let mut state = self.0.lock();
        if state.requests == 0 && state.head.is_none() {
            state.head = Some(now);
        }
    }

    /// The head of a request has come. The request ends when what is answered is dropped.
    pub(super) fn request(self: &Arc<Self>, http2: bool) -> Request {
        let mut state = self.0.lock();
        state.requests += 1;
        state.begun = true;
        state.http2 = http2;
        state.head = None;
        Request(Arc::clone(self))
    }

    /// Until when something has to happen; `None` while a request is under way.
    pub(super) fn deadline(&self, head: Duration, idle: Duration) -> Option<Instant> {
        let state = self.0.lock();
        if state.requests > 0 {
            return None;
        }
        // Who has connected is to ask something.
        if !state.begun {
            return Some(state.since + head);
        }
        let idle = state.since + idle;
        Some(match state.head {
            Some(at) if !state.http2 => idle.min(at + head),
            _ => idle,
        })
    }

    /// Whether the client has asked for a stream and takes no more of it. On HTTP/1.1 its socket
    /// tells that too; on HTTP/2 one stream may stand still while the others go on.
    pub(super) fn is_stalled(&self, pace: &Pace, now: Instant) -> bool {
        let mut state = self.0.lock();
        state.streams.retain(|stream| stream.strong_count() > 0);
        let offers = state.streams.iter().filter_map(Weak::upgrade);
        let mut offers = offers.filter_map(|offer| *offer.lock());
        offers.any(|(since, bytes)| since + pace.allowance(bytes) <= now)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Request(Arc<Activity>);

impl Request {
    /// The body, which is under way until the connection has taken it.
    pub(super) fn until_taken(self, body: Body) -> Body {
        if body.whole().is_some() {
            return body.holding(self);
        }
        let offer = Arc::<Mutex<Offer>>::default();
        self.0.0.lock().streams.push(Arc::downgrade(&offer));
        let body = body.holding(self);
        body.watched(move |seen| {
            *offer.lock() = match seen {
                Seen::Given(bytes) => Some((Instant::now(), bytes.len() as u64)),
                Seen::Asked | Seen::Ended | Seen::CutOff => None,
            };
        })
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.requests -= 1;
        if state.requests == 0 {
            state.since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_or_silent_is_waited_for_so_long() {
        let begun = Instant::now();
        let activity = Arc::new(Activity::new(begun));
        let left = |activity: &Activity| activity.deadline(HEAD, IDLE).map(|at| at - begun);
        let seconds = |n| Some(Duration::from_secs(n));
        // Silence, or a head that comes slowly.
        assert_eq!(left(&activity), seconds(10));
        activity.received(begun + Duration::from_secs(9));
        assert_eq!(left(&activity), seconds(10));
        // Requests may take their time.
        let first = activity.request(false);
        let second = activity.request(false);
        activity.received(begun);
        drop(first);
        assert_eq!(left(&activity), None);
        tokio::time::advance(Duration::from_secs(100)).await;
        drop(second);
        assert_eq!(left(&activity), seconds(175));
        // The next head.
        activity.received(begun + Duration::from_mins(2));
        activity.received(begun + Duration::from_secs(125));
        assert_eq!(left(&activity), seconds(130));
        // In HTTP/2 it may have been anything.
        drop(activity.request(true));
        activity.received(begun + Duration::from_secs(101));
        assert_eq!(left(&activity), seconds(175));
    }
}
