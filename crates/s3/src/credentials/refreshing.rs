//! Keeps credentials, and renews them before they end, once for everybody who asks.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cidbucket_blockstore::{Error, Report, Result};
use parking_lot::RwLock;

use super::{CredentialsProvider, Found, Issued, Source};

/// How long before their end credentials are renewed.
const WINDOW: Duration = Duration::from_mins(5);
/// The window grows by a random part of this, so that a fleet does not renew in one second.
const JITTER: Duration = Duration::from_mins(1);
/// How long a failed renewal is left alone while the old credentials are still valid.
const PAUSE: Duration = Duration::from_secs(30);

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The clock of this machine.
pub fn system_clock() -> Clock {
    Arc::new(SystemTime::now)
}

/// Credentials of a [`Source`], kept until shortly before they end.
///
/// - However many callers need new credentials at once, the source is asked once; where it fails,
///   all who waited get its error.
/// - While the old credentials are valid, one caller renews them and the others go on with the
///   old ones; a renewal that fails is logged and tried again later.
/// - A caller that gives up waiting does not take the others with it: one of them goes on.
pub struct Refreshing<S> {
    source: S,
    clock: Clock,
    state: RwLock<State>,
    gate: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    issued: Option<Arc<Issued>>,
    /// When to renew.
    renew: Option<SystemTime>,
    /// How often the source was asked, and the error of the last time.
    asked: u64,
    error: Option<Error>,
}

impl<S: Source> Refreshing<S> {
    /// Nothing is asked before the first call.
    pub fn new(source: S, clock: Clock) -> Self {
        Self {
            source,
            clock,
            state: RwLock::default(),
            gate: tokio::sync::Mutex::new(()),
        }
    }

    /// The credentials held, if they are valid; and whether they should be renewed.
    fn held(&self) -> Option<(Arc<Issued>, bool)> {
        let now = (self.clock)();
        let state = self.state.read();
        let issued = state.issued.as_ref()?;
        if issued.expires.is_some_and(|end| end <= now) {
            return None;
        }
        Some((
            issued.clone(),
            state.renew.is_some_and(|renew| renew <= now),
        ))
    }

    /// Asks the source, unless somebody else did since `asked`.
    async fn ask(&self, asked: u64) -> Result<Arc<Issued>> {
        let _gate = self.gate.lock().await;
        {
            let state = self.state.read();
            if state.asked != asked {
                if let Some(error) = &state.error {
                    return Err(error.clone());
                }
                if let Some(issued) = &state.issued {
                    return Ok(issued.clone());
                }
            }
        }
        self.ask_now().await
    }

    /// Asks the source; the caller holds the gate.
    async fn ask_now(&self) -> Result<Arc<Issued>> {
        let result = self.load().await;
        let now = (self.clock)();
        let mut state = self.state.write();
        state.asked += 1;
        match result {
            Ok(issued) => {
                let issued = Arc::new(issued);
                state.renew = issued.expires.map(|end| renewal(now, end));
                state.issued = Some(issued.clone());
                state.error = None;
                Ok(issued)
            }
            Err(error) => {
                state.renew = Some(now + PAUSE);
                state.error = Some(error.clone());
                Err(error)
            }
        }
    }

    async fn load(&self) -> Result<Issued> {
        match self.source.load().await? {
            Found::Credentials(issued) => {
                if issued.expires.is_some_and(|end| end <= (self.clock)()) {
                    return Err(Error::Denied(
                        Report::new(
                            "find credentials",
                            format!(
                                "the credentials from the {} have ended already; renew them, or \
                                 set this machine's clock",
                                self.source.name()
                            ),
                        )
                        .into(),
                    ));
                }
                Ok(issued)
            }
            Found::Nothing(why) => Err(Error::Denied(
                Report::new("find credentials", format!("no credentials found: {why}")).into(),
            )),
        }
    }
}

#[async_trait]
impl<S: Source> CredentialsProvider for Refreshing<S> {
    async fn credentials(&self) -> Result<Arc<Issued>> {
        let asked = self.state.read().asked;
        match self.held() {
            Some((issued, false)) => Ok(issued),
            Some((issued, true)) => {
                let Ok(_gate) = self.gate.try_lock() else {
                    return Ok(issued); // somebody is at it
                };
                if self.state.read().asked != asked {
                    return Ok(issued); // somebody was
                }
                match self.ask_now().await {
                    Ok(renewed) => Ok(renewed),
                    Err(error) => {
                        tracing::warn!(%error, "could not renew the credentials, which are still valid");
                        Ok(issued)
                    }
                }
            }
            None => self.ask(asked).await,
        }
    }

    async fn refresh(&self, refused: &Arc<Issued>) -> Result<Arc<Issued>> {
        let asked = {
            let state = self.state.read();
            match &state.issued {
                Some(issued) if !Arc::ptr_eq(issued, refused) => return Ok(issued.clone()),
                _ => state.asked,
            }
        };
        self.ask(asked).await
    }
}

impl<S: Source> fmt::Debug for Refreshing<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refreshing")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// When to renew credentials that end at `end`: the window before it, or, where they do not live
/// that long, after three quarters of their time.
fn renewal(now: SystemTime, end: SystemTime) -> SystemTime {
    let left = end.duration_since(now).unwrap_or_default();
    let window = (WINDOW + JITTER.mul_f64(random_fraction())).min(left / 4);
    end - window
}

fn random_fraction() -> f64 {
    // Good enough to spread a fleet over a minute; the standard library seeds it per process.
    use std::hash::{BuildHasher, RandomState};
    let bits = u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or_default();
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::time::UNIX_EPOCH;

    use cidbucket_sigv4::Credentials;
    use parking_lot::Mutex;
    use tokio::sync::Semaphore;

    use super::*;

    /// Hands out what it is told, one permit a call.
    #[derive(Debug)]
    struct Scripted {
        calls: AtomicUsize,
        permits: Semaphore,
        lifetime: Mutex<Result<Option<u64>>>,
        now: Arc<AtomicU64>,
    }

    #[async_trait]
    impl Source for Arc<Scripted> {
        fn name(&self) -> &'static str {
            "script"
        }

        async fn load(&self) -> Result<Found> {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            self.permits.acquire().await.unwrap().forget();
            let credentials = Credentials::new(format!("AKID{call}"), "secret");
            let now = self.now.load(Ordering::SeqCst);
            Ok(Found::Credentials(match self.lifetime.lock().clone()? {
                Some(life) => {
                    Issued::until(credentials, UNIX_EPOCH + Duration::from_secs(now + life))
                }
                None => Issued::new(credentials),
            }))
        }
    }

    struct Setup {
        script: Arc<Scripted>,
        provider: Arc<Refreshing<Arc<Scripted>>>,
    }

    impl Setup {
        fn new(permits: usize, lifetime: Option<u64>) -> Self {
            let now = Arc::new(AtomicU64::new(1_000_000));
            let script = Arc::new(Scripted {
                calls: AtomicUsize::new(0),
                permits: Semaphore::new(permits),
                lifetime: Mutex::new(Ok(lifetime)),
                now: now.clone(),
            });
            let clock: Clock =
                Arc::new(move || UNIX_EPOCH + Duration::from_secs(now.load(Ordering::SeqCst)));
            let provider = Arc::new(Refreshing::new(script.clone(), clock));
            Self { script, provider }
        }

        async fn id(&self) -> Result<String> {
            let issued = self.provider.credentials().await?;
            Ok(issued.credentials.access_key_id().to_owned())
        }

        fn pass(&self, seconds: u64) {
            self.script.now.fetch_add(seconds, Ordering::SeqCst);
        }

        fn calls(&self) -> usize {
            self.script.calls.load(Ordering::SeqCst)
        }

        fn fail(&self) {
            *self.script.lifetime.lock() =
                Err(Error::Unavailable(Report::new("test", "down").into()));
        }

        fn spawn(&self, count: usize) -> Vec<tokio::task::JoinHandle<Result<Arc<Issued>>>> {
            (0..count)
                .map(|_| {
                    let provider = self.provider.clone();
                    tokio::spawn(async move { provider.credentials().await })
                })
                .collect()
        }
    }

    async fn settle() {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_hundred_callers_ask_once() {
        let setup = Setup::new(0, Some(3600));
        let callers = setup.spawn(100);
        settle().await;
        assert_eq!(setup.calls(), 1);
        setup.script.permits.add_permits(100);
        for caller in callers {
            let issued = caller.await.unwrap().unwrap();
            assert_eq!(issued.credentials.access_key_id(), "AKID1");
        }
        assert_eq!(setup.calls(), 1);
    }

    #[tokio::test]
    async fn a_hundred_callers_get_one_error() {
        let setup = Setup::new(0, None);
        setup.fail();
        let callers = setup.spawn(100);
        settle().await;
        setup.script.permits.add_permits(100);
        for caller in callers {
            assert!(matches!(caller.await.unwrap(), Err(Error::Unavailable(_))));
        }
        assert_eq!(setup.calls(), 1);
        // The next caller asks again.
        *setup.script.lifetime.lock() = Ok(None);
        assert_eq!(setup.id().await.unwrap(), "AKID2");
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_the_work_to_the_next() {
        let setup = Setup::new(0, Some(3600));
        let first = setup.spawn(1).remove(0);
        settle().await;
        let second = setup.spawn(1).remove(0);
        settle().await;
        first.abort();
        settle().await;
        assert_eq!(setup.calls(), 2);
        setup.script.permits.add_permits(1);
        assert!(second.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn renews_before_the_end_and_lets_others_go_on() {
        let setup = Setup::new(1, Some(3600));
        assert_eq!(setup.id().await.unwrap(), "AKID1");
        setup.pass(3600 - 361); // before window and jitter
        assert_eq!(setup.id().await.unwrap(), "AKID1");
        assert_eq!(setup.calls(), 1);
        setup.pass(62); // within the window, whatever the jitter
        let renewing = setup.spawn(1).remove(0);
        settle().await;
        assert_eq!(setup.calls(), 2);
        assert_eq!(setup.id().await.unwrap(), "AKID1");
        setup.script.permits.add_permits(1);
        let renewed = renewing.await.unwrap().unwrap();
        assert_eq!(renewed.credentials.access_key_id(), "AKID2");
        assert_eq!(setup.id().await.unwrap(), "AKID2");
        assert_eq!(setup.calls(), 2);
    }

    #[tokio::test]
    async fn keeps_valid_credentials_when_renewal_fails() {
        let setup = Setup::new(10, Some(3600));
        assert_eq!(setup.id().await.unwrap(), "AKID1");
        setup.fail();
        setup.pass(3600 - 200);
        assert_eq!(setup.id().await.unwrap(), "AKID1");
        assert_eq!(setup.id().await.unwrap(), "AKID1");
        assert_eq!(
            setup.calls(),
            2,
            "a failed renewal is left alone for a while"
        );
        setup.pass(31);
        assert_eq!(setup.id().await.unwrap(), "AKID1");
        assert_eq!(setup.calls(), 3);
        setup.pass(200); // past their end
        assert!(matches!(setup.id().await, Err(Error::Unavailable(_))));
    }

    #[tokio::test]
    async fn short_lived_credentials_are_used_for_most_of_their_life() {
        let setup = Setup::new(10, Some(40));
        assert_eq!(setup.id().await.unwrap(), "AKID1");
        setup.pass(29);
        assert_eq!(setup.id().await.unwrap(), "AKID1");
        setup.pass(2);
        assert_eq!(setup.id().await.unwrap(), "AKID2");
    }

    #[tokio::test]
    async fn refused_credentials_are_replaced_once() {
        let setup = Setup::new(10, None);
        let refused = setup.provider.credentials().await.unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (provider, refused) = (setup.provider.clone(), refused.clone());
                tokio::spawn(async move { provider.refresh(&refused).await })
            })
            .collect();
        for task in tasks {
            let issued = task.await.unwrap().unwrap();
            assert_eq!(issued.credentials.access_key_id(), "AKID2");
        }
        assert_eq!(setup.calls(), 2);
    }

    #[tokio::test]
    async fn credentials_that_have_ended_are_an_error() {
        let setup = Setup::new(10, Some(0));
        let error = setup.id().await.unwrap_err();
        assert!(matches!(error, Error::Denied(_)), "{error}");
        assert!(error.to_string().contains("ended already"), "{error}");
    }
}
