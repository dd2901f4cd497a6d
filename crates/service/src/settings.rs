//! What the service is told.

use std::collections::HashSet;
use std::time::Duration;

use cidbucket_blockstore::Multihash;
use cidbucket_direct::Limits;

/// How the service behaves, whatever it listens on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// What can be asked for: sizes, numbers and lives of grants.
    pub limits: Limits,
    /// Whether anybody may read the shared blocks without a token. Off unless set.
    pub public_reads: bool,
    /// What a completion checks. [`Verify::Trust`] unless set.
    pub verify: Verify,
    /// Whether writes are answered with "stored already", where the token does not say. Off unless
    /// set: it asks S3 for every block, and tells those who share blocks what others have.
    pub answer_stored: bool,
    /// How long a lease lives beyond its grants, to upload what was begun and to complete it.
    /// 10 min.
    pub lease_slack: Duration,
    /// Requests under way at once; one more is answered 503. 1,024.
    pub max_requests: usize,
    /// Bytes of memory for the bodies of all requests and answers under way, with what is made of
    /// them. A request waits for its share. 256 MiB.
    pub memory: usize,
    /// How long a request waits for its share of the memory before it is answered 503. 5 s.
    pub patience: Duration,
    /// How fast a body has to come.
    pub pace: Pace,
    /// What S3 charges for requests, to tell what they cost.
    pub prices: Prices,
    /// The gateway at `/ipfs/`; `None`: there is none. Trustless, for whoever may read.
    pub gateway: Option<GatewaySettings>,
}

/// How the gateway behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Whether files and directories are shown under `/ipfs/`, without scripts. Off unless set.
    pub files: bool,
    /// The name under which each CID has an origin of its own, `{cid}.ipfs.{host}`, where files and
    /// directories are shown as they are. Without a port.
    pub host: Option<String>,
    /// Whether a GET of a whole block is sent to S3, by 307 with a read grant. Kubo, and others that
    /// follow no redirects, then read nothing. Off unless set.
    pub redirect: bool,
    /// What the gateway does not hand out, though the store has it: 410. None unless set.
    pub denied: HashSet<Multihash>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            public_reads: false,
            verify: Verify::Trust,
            answer_stored: false,
            lease_slack: Duration::from_mins(10),
            max_requests: 1024,
            memory: 256 << 20,
            patience: Duration::from_secs(5),
            pace: Pace::default(),
            prices: Prices::default(),
            gateway: Some(GatewaySettings::default()),
        }
    }
}

/// What a completion checks of the blocks that S3 was to check. Staged ones are always read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verify {
    /// Nothing: S3 refused all other bytes.
    #[default]
    Trust,
    /// That every block is there, with its size.
    List,
    /// That every block is there, with its bytes.
    Read,
}

impl Verify {
    /// `trust`, `list` or `read`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::List => "list",
            Self::Read => "read",
        }
    }
}

/// How fast bytes have to come or go, so that nobody holds on to a connection by being slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long they may take in any case. 15 s.
    pub grace: Duration,
    /// Bytes a second that have to come beyond that. 16 KiB/s.
    pub rate: u32,
    /// How long they may take at most. 5 min.
    pub total: Duration,
}

impl Pace {
    /// How long after the beginning the next byte has to come where `bytes` have come.
    pub fn allowance(&self, bytes: u64) -> Duration {
        let earned = Duration::from_secs(bytes / u64::from(self.rate.max(1)));
        self.grace.saturating_add(earned).min(self.total)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(15),
            rate: 16 << 10,
            total: Duration::from_mins(5),
        }
    }
}

/// What S3 charges, in USD for 1,000 requests. AWS's prices of us-east-1 unless set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// For PUT, COPY, POST and LIST.
    pub put: f64,
    /// For GET and HEAD.
    pub get: f64,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            put: 0.005,
            get: 0.0004,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_earn_time() {
        let pace = Pace {
            grace: Duration::from_secs(10),
            rate: 1000,
            total: Duration::from_mins(1),
        };
        for (bytes, seconds) in [
            (0, 10),
            (999, 10),
            (5_000, 15),
            (50_000, 60),
            (u64::MAX, 60),
        ] {
            assert_eq!(
                pace.allowance(bytes),
                Duration::from_secs(seconds),
                "{bytes}"
            );
        }
        // A rate of nothing is no division by zero.
        let none = Pace { rate: 0, ..pace };
        assert_eq!(none.allowance(5), Duration::from_secs(15));
    }
}
