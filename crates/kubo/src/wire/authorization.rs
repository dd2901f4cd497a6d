//! Who may call what: `API.Authorizations` of Kubo's configuration.

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::BASE64;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::call::ROOT;

/// What everybody with a secret may call: clients ask it before every command.
const VERSION: &str = "/api/v0/version";

/// Who may call what: users with their secrets and the paths that are open to them, as in Kubo's
/// configuration.
///
/// Secrets are kept as hashes, and shown by nothing.
#[derive(Clone)]
pub struct Authorizations {
    users: Vec<User>,
}

#[derive(Clone)]
struct User {
    name: String,
    /// SHA-256 of the `Authorization` header that is expected, so that comparing it tells nothing
    /// about it.
    header: [u8; 32],
    paths: Vec<String>,
}

/// Why [`Authorizations`] cannot be read. Secrets are not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizationsError {
    /// It is not the JSON of such an object.
    #[error(
        "not an object of users, each with AuthSecret and AllowedPaths (line {line}, column {column})"
    )]
    Json {
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// Without a user nobody could call anything.
    #[error("there is no user in it")]
    Empty,
    /// A user's secret is empty, or of a kind that is not known.
    #[error("the AuthSecret of {user:?} is neither bearer:TOKEN nor basic:USER:PASSWORD")]
    Secret {
        /// The user.
        user: String,
    },
    /// A path that leads to no call.
    #[error("the AllowedPaths of {user:?} must begin with {ROOT}, unlike {path:?}")]
    Path {
        /// The user.
        user: String,
        /// The path.
        path: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    #[serde(rename = "AuthSecret")]
    secret: String,
    #[serde(rename = "AllowedPaths", default)]
    paths: Vec<String>,
}

impl Authorizations {
    /// Reads the JSON object that `API.Authorizations` is in Kubo's configuration:
    /// `{"alice": {"AuthSecret": "bearer:…", "AllowedPaths": ["/api/v0"]}}`.
    ///
    /// # Errors
    /// [`AuthorizationsError`].
    pub fn parse(json: &[u8]) -> Result<Self, AuthorizationsError> {
        // The parser's own message might quote a secret.
        let scopes: BTreeMap<String, Scope> =
            serde_json::from_slice(json).map_err(|error| AuthorizationsError::Json {
                line: error.line(),
                column: error.column(),
            })?;
        if scopes.is_empty() {
            return Err(AuthorizationsError::Empty);
        }
        let mut users = Vec::new();
        for (name, scope) in scopes {
            let Some(header) = header(&scope.secret) else {
                return Err(AuthorizationsError::Secret { user: name });
            };
            if let Some(path) = scope.paths.iter().find(|path| !path.starts_with(ROOT)) {
                return Err(AuthorizationsError::Path {
                    path: path.clone(),
                    user: name,
                });
            }
            users.push(User {
                name,
                header: Sha256::digest(header).into(),
                paths: scope.paths,
            });
        }
        Ok(Self { users })
    }

    /// Whether the holder of this `Authorization` header may call `path`, which was
    /// percent-decoded.
    pub(crate) fn allow(&self, header: Option<&[u8]>, path: &str) -> bool {
        let Some(header) = header else {
            return false;
        };
        let header: [u8; 32] = Sha256::digest(header).into();
        self.users
            .iter()
            .filter(|user| user.header == header)
            .any(|user| path == VERSION || user.paths.iter().any(|prefix| is_within(path, prefix)))
    }
}

/// Names and paths only.
impl fmt::Debug for Authorizations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users = self.users.iter().map(|user| (&user.name, &user.paths));
        f.debug_map().entries(users).finish()
    }
}

/// Whether a path lies under another: not `/api/v0/idle` under `/api/v0/id`.
fn is_within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
}

/// The `Authorization` header of a secret in Kubo's form.
fn header(secret: &str) -> Option<String> {
    match secret.split_once(':') {
        None if secret.is_empty() => None,
        None => Some(format!("Bearer {secret}")),
        Some(("bearer", token)) if !token.is_empty() => Some(format!("Bearer {token}")),
        Some(("basic", pair)) if pair.contains(':') => {
            Some(format!("Basic {}", BASE64.encode(pair.as_bytes())))
        }
        Some(("basic", encoded)) if !encoded.is_empty() => Some(format!("Basic {encoded}")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "Alice": {"AuthSecret": "basic:alice:canary", "AllowedPaths": ["/api/v0/id", "/api/v0/dag/"]},
        "Bob": {"AuthSecret": "bearer:canary-b", "AllowedPaths": ["/api/v0"]},
        "Carol": {"AuthSecret": "canary-c"}
    }"#;

    #[test]
    fn users_may_call_what_lies_under_their_paths() {
        let users = Authorizations::parse(TEXT.as_bytes()).unwrap();
        let alice = Some(&b"Basic YWxpY2U6Y2FuYXJ5"[..]);
        let bob = Some(&b"Bearer canary-b"[..]);
        let carol = Some(&b"Bearer canary-c"[..]);
        for (header, path, allowed) in [
            (alice, "/api/v0/id", true),
            (alice, "/api/v0/id/x", true),
            (alice, "/api/v0/idle", false),
            (alice, "/api/v0/dag/get", true),
            (alice, "/api/v0/pin/rm", false),
            (alice, "/api/v0/version", true),
            (bob, "/api/v0/pin/rm", true),
            (bob, "/api/v0/", true),
            (carol, "/api/v0/version", true),
            (carol, "/api/v0/id", false),
            (None, "/api/v0/version", false),
            (Some(b"Bearer canary"), "/api/v0/version", false),
            (Some(b"bearer canary-b"), "/api/v0/id", false),
            (Some(b""), "/api/v0/id", false),
        ] {
            assert_eq!(users.allow(header, path), allowed, "{path}");
        }
    }

    #[test]
    fn secrets_are_shown_by_nothing() {
        let users = Authorizations::parse(TEXT.as_bytes()).unwrap();
        let shown = format!("{users:?}");
        assert!(
            shown.contains("Alice") && !shown.contains("canary"),
            "{shown}"
        );
        for text in [
            r#"{"a": {"AuthSecret": "bearer:canary", "Allowed": []}}"#,
            r#"{"a": {"AuthSecret": "unknown:canary"}}"#,
            r#"{"a": {"AuthSecret": ""}}"#,
            r#"{"a": {"AuthSecret": "bearer:"}}"#,
            r#"{"a": {"AuthSecret": "x", "AllowedPaths": ["/canary"]}}"#,
            r#"{"a": "canary"}"#,
            "{}",
            "",
        ] {
            let error = Authorizations::parse(text.as_bytes()).unwrap_err();
            let is_path = matches!(error, AuthorizationsError::Path { .. });
            assert!(is_path || !error.to_string().contains("canary"), "{error}");
        }
    }
}
