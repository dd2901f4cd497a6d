//! One row of a probe's findings.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, with something to know or to change.
    Warn,
    /// Does not work.
    Fail,
    /// Could not be found out.
    Unknown,
}

impl Verdict {
    /// `ok`, `warn`, `fail` or `unknown`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// A stable name for scripts, such as `conditional-put`.
    pub id: &'static str,
    /// What was looked at, for people.
    pub title: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What was seen.
    pub finding: String,
    /// What to do about it, where there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<Cow<'static, str>>,
}

impl Check {
    pub(super) fn new(
        id: &'static str,
        title: &'static str,
        verdict: Verdict,
        finding: impl Into<String>,
    ) -> Self {
        Self {
            id,
            title,
            verdict,
            finding: finding.into(),
            advice: None,
        }
    }

    pub(super) fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}
