//! Faults on demand, and counts of requests, for tests of clients.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Answer an S3 error in XML without doing anything. Status 200 makes the error in a success that
    /// `CopyObject` can give.
    Status {
        /// HTTP status.
        status: u16,
        /// S3 error code, such as `SlowDown`.
        code: String,
        /// Seconds for a `Retry-After` header.
        retry_after: Option<u32>,
    },
    /// Wait this long before anything else, then serve as usual.
    Delay(Duration),
    /// Reset the connection (RST) without doing anything.
    Reset,
    /// Do what is asked, then reset the connection instead of answering.
    LoseAnswer,
    /// Close the connection after this many bytes of the answer's body.
    CutBody {
        /// Bytes that are still sent.
        after: u64,
    },
    /// Reset the connection (RST) after this many bytes of the answer's body.
    ResetBody {
        /// Bytes that are still sent.
        after: u64,
    },
    /// Send nothing more after this many bytes of the answer's body, and keep the connection open.
    StallBody {
        /// Bytes that are still sent.
        after: u64,
    },
    /// Send the answer's body in pieces with pauses.
    SlowBody {
        /// Bytes in one piece.
        piece: usize,
        /// Before each piece.
        pause: Duration,
    },
    /// Send a body of the right length with its first byte wrong.
    CorruptBody,
}

impl Fault {
    /// An answer with this status and S3 error code.
    pub fn status(status: u16, code: &str) -> Self {
        Self::Status {
            status,
            code: code.to_owned(),
            retry_after: None,
        }
    }
}

/// A fault and the requests that meet it: all of them, unless narrowed.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    operation: Option<String>,
    method: Option<String>,
    key: Option<String>,
    skip: u64,
    times: u64,
}

impl Rule {
    /// Every request meets the fault.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            operation: None,
            method: None,
            key: None,
            skip: 0,
            times: u64::MAX,
        }
    }

    /// Only this operation, named as in the S3 API: `GetObject`.
    #[must_use]
    pub fn operation(mut self, name: &str) -> Self {
        self.operation = Some(name.to_owned());
        self
    }

    /// Only this HTTP method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_ascii_uppercase());
        self
    }

    /// Only keys that contain this text.
    #[must_use]
    pub fn key(mut self, part: &str) -> Self {
        self.key = Some(part.to_owned());
        self
    }

    /// Not the first `n` requests that match otherwise.
    #[must_use]
    pub fn skip(mut self, n: u64) -> Self {
        self.skip = n;
        self
    }

    /// At most `n` requests.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.times = n;
        self
    }

    /// At most one request.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    fn matches(&self, operation: &str, method: &str, key: &str) -> bool {
        self.operation.as_deref().is_none_or(|own| own == operation)
            && self.method.as_deref().is_none_or(|own| own == method)
            && self.key.as_deref().is_none_or(|part| key.contains(part))
    }
}

/// Handle on the faults and counts of a running server. Clones share them.
#[derive(Clone, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    requests: BTreeMap<&'static str, u64>,
    fired: u64,
}

impl Faults {
    /// Adds a rule. A request meets the first rule that matches it and is not used up.
    pub fn push(&self, rule: Rule) {
        self.state.lock().rules.push(rule);
    }

    /// Removes all rules; counts stay.
    pub fn clear(&self) {
        self.state.lock().rules.clear();
    }

    /// Requests of this operation since the start or [`reset_counts`](Self::reset_counts), also those
    /// that met a fault or were refused. Preflights count as `Preflight`.
    pub fn count(&self, operation: &str) -> u64 {
        let state = self.state.lock();
        state.requests.get(operation).copied().unwrap_or(0)
    }

    /// Requests by operation.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().requests.clone()
    }

    /// All requests.
    pub fn total(&self) -> u64 {
        self.state.lock().requests.values().sum()
    }

    /// Requests that met a fault.
    pub fn fired(&self) -> u64 {
        self.state.lock().fired
    }

    /// Sets all counts to zero; rules stay.
    pub fn reset_counts(&self) {
        let mut state = self.state.lock();
        state.requests.clear();
        state.fired = 0;
    }

    /// Counts a request and gives the fault it meets.
    pub(crate) fn meet(&self, operation: &'static str, method: &str, key: &str) -> Option<Fault> {
        let mut state = self.state.lock();
        *state.requests.entry(operation).or_default() += 1;
        let mut fault = None;
        for rule in &mut state.rules {
            if rule.times == 0 || !rule.matches(operation, method, key) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            fault = Some(rule.fault.clone());
            break;
        }
        state.fired += u64::from(fault.is_some());
        fault
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Faults")
            .field("rules", &state.rules)
            .field("requests", &state.requests)
            .field("fired", &state.fired)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_request_of_an_operation_on_a_key() {
        let faults = Faults::default();
        let rule = Rule::new(Fault::Reset).operation("GetObject");
        faults.push(rule.key("x").skip(1).once());
        let meet = |operation, key| faults.meet(operation, "GET", key);
        assert_eq!(meet("GetObject", "ax"), None);
        assert_eq!(meet("HeadObject", "ax"), None);
        assert_eq!(meet("GetObject", "b"), None);
        assert_eq!(meet("GetObject", "ax"), Some(Fault::Reset));
        assert_eq!(meet("GetObject", "ax"), None);
        assert_eq!(faults.count("GetObject"), 4);
        assert_eq!((faults.total(), faults.fired()), (5, 1));
    }
}
