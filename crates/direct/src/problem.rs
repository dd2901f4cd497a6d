//! Errors as they go over the wire.

use serde::{Deserialize, Serialize};

/// What is wrong. Always JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
#[non_exhaustive]
pub struct Problem {
    /// The class, for programs.
    pub code: Code,
    /// What happened and what to do, for people.
    pub message: String,
    /// Which block of the request is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// After how many seconds it may work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Blocks of a lease that are not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<usize>,
    /// Blocks of a lease that are not what they were said to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<usize>,
}

impl Problem {
    /// A problem without particulars.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            index: None,
            retry_after: None,
            missing: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// Names the block of the request that is meant.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }

    /// Says after how many seconds it may work.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

/// The class of a [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Code {
    /// Not understood.
    Invalid,
    /// Bytes that are not those of the CID.
    Corrupt,
    /// No token, or not a good one.
    Unauthorised,
    /// The token does not allow it.
    Denied,
    /// It would exceed the token's bytes.
    Quota,
    /// No such block or path.
    NotFound,
    /// No such lease of this token, or it ended.
    NoSuchLease,
    /// No such method here.
    Method,
    /// The request took too long to come.
    Timeout,
    /// Blocks of the lease are missing or wrong.
    Incomplete,
    /// Above a limit.
    TooLarge,
    /// Neither JSON nor DAG-CBOR.
    MediaType,
    /// Too many requests.
    Rate,
    /// The store cannot be reached directly.
    NotDirect,
    /// S3 does not answer, or asks to slow down.
    Unavailable,
    /// A code of a later version.
    #[serde(other)]
    Unknown,
}

impl Code {
    /// All codes of this version.
    pub const ALL: [Self; 15] = [
        Self::Invalid,
        Self::Corrupt,
        Self::Unauthorised,
        Self::Denied,
        Self::Quota,
        Self::NotFound,
        Self::NoSuchLease,
        Self::Method,
        Self::Timeout,
        Self::Incomplete,
        Self::TooLarge,
        Self::MediaType,
        Self::Rate,
        Self::NotDirect,
        Self::Unavailable,
    ];

    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::Invalid | Self::Corrupt => 400,
            Self::Unauthorised => 401,
            Self::Denied | Self::Quota => 403,
            Self::NotFound | Self::NoSuchLease => 404,
            Self::Method => 405,
            Self::Timeout => 408,
            Self::Incomplete => 409,
            Self::TooLarge => 413,
            Self::MediaType => 415,
            Self::Rate => 429,
            Self::NotDirect => 501,
            Self::Unavailable => 503,
            Self::Unknown => 500,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form() {
        let problem = Problem::new(Code::TooLarge, "too large").at(4);
        let json = serde_json::to_string(&problem).unwrap();
        assert_eq!(
            json,
            r#"{"code":"too-large","message":"too large","index":4}"#
        );
        assert_eq!(serde_json::from_str::<Problem>(&json).unwrap(), problem);
        let later = r#"{"code":"what-is-this","message":"m","more":1}"#;
        let later: Problem = serde_json::from_str(later).unwrap();
        assert_eq!(later.code, Code::Unknown);
    }
}
