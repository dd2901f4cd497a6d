//! What can be wrong with a token.

/// What is wrong with a token. The text holds nothing of the token but what a signed claim says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It is longer than [`MAX_TOKEN`](crate::MAX_TOKEN).
    #[error("it is longer than {max} bytes", max = crate::MAX_TOKEN)]
    TooLong,
    /// It does not have the form of a token.
    #[error("it does not have the form of a token: {0}")]
    Malformed(&'static str),
    /// Its key is not known, or it names none where there are several.
    #[error("it was signed with a key that is not known here")]
    UnknownKey,
    /// Its algorithm is not that of its key.
    #[error("its algorithm is not that of its key")]
    Algorithm,
    /// It was altered, or signed with another key.
    #[error("its signature is wrong")]
    Signature,
    /// Its claims are not those of a token of ours.
    #[error("its claims: {0}")]
    Claims(String),
    /// Its `nbf` has not come yet.
    #[error("it is not valid yet")]
    NotYet,
    /// Its `exp` has come.
    #[error("it has expired")]
    Expired,
    /// It is for others, or says for nobody where that is required.
    #[error("it is for another audience")]
    Audience,
    /// It is not from the issuer that is required.
    #[error("it is from another issuer")]
    Issuer,
}
