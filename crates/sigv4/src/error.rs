//! Why a request cannot be signed.

use std::fmt;

/// Why a request cannot be signed. Every case is a mistake in what was passed in: the same call
/// fails the same way again. No secret is ever part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The access key id, region or service is empty or holds a character that cannot be part of a
    /// credential scope, such as a line break left over from reading a file.
    Scope {
        /// Which part it is.
        part: &'static str,
    },
    /// The secret access key or session token is empty or holds a control character.
    Secret {
        /// Which of the two it is.
        part: &'static str,
    },
    /// The method is not a token of HTTP.
    Method,
    /// The path does not begin with `/`.
    Path,
    /// The scheme of a URL is neither `http` nor `https`.
    Scheme,
    /// There is not exactly one `host` header, or it is not a host with an optional port.
    Host,
    /// A header's name is not a token of HTTP.
    HeaderName,
    /// A header's value holds a control character, say a line break.
    HeaderValue {
        /// The header's name.
        name: String,
    },
    /// A header that the signer itself adds was among the headers to sign.
    ReservedHeader {
        /// The header's name.
        name: String,
    },
    /// A query parameter that the signer itself adds was among the parameters to sign.
    ReservedParameter {
        /// The parameter's name.
        name: String,
    },
    /// A signed URL must live between 1 second and 7 days.
    Expires {
        /// What was asked for, in seconds.
        seconds: u32,
    },
    /// A template was given more or fewer values than it has varying headers.
    Values {
        /// The number of varying headers.
        expected: usize,
        /// The number of values given.
        given: usize,
    },
}

/// The result of signing.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope { part } => write!(
                f,
                "the {part} is empty or holds a character that it cannot have; \
                 look for spaces, slashes and line breaks"
            ),
            Self::Secret { part } => write!(
                f,
                "the {part} is empty or holds a control character; look for line breaks"
            ),
            Self::Method => f.write_str("the method is not a token of HTTP"),
            Self::Path => f.write_str("the path does not begin with '/'"),
            Self::Scheme => f.write_str("the scheme of a signed URL must be http or https"),
            Self::Host => {
                f.write_str("a request needs exactly one host header: a host with an optional port")
            }
            Self::HeaderName => f.write_str("a header's name is not a token of HTTP"),
            Self::HeaderValue { name } => {
                write!(
                    f,
                    "the value of the header {name} holds a control character"
                )
            }
            Self::ReservedHeader { name } => {
                write!(f, "the header {name} is added by the signer; leave it out")
            }
            Self::ReservedParameter { name } => {
                write!(
                    f,
                    "the parameter {name} is added by the signer; leave it out"
                )
            }
            Self::Expires { seconds } => write!(
                f,
                "a signed URL must live between 1 and {} seconds, not {seconds}",
                crate::MAX_EXPIRES
            ),
            Self::Values { expected, given } => write!(
                f,
                "the template has {expected} varying headers, but {given} values were given"
            ),
        }
    }
}

impl std::error::Error for Error {}
