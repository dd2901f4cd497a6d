//! Whose blocks: the name of a tenant.

use std::fmt;
use std::str::FromStr;

/// The name of a tenant, whose blocks lie under a key prefix of their own.
///
/// 1 to 63 characters of `a`–`z`, `0`–`9` and, inside, `-`. So it is one segment of a key whatever
/// stands around it: it has no slash, no dot, no percent sign and nothing that some server folds or
/// decodes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Box<str>);

impl Tenant {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 63;

    /// Checks a name.
    ///
    /// # Errors
    /// [`TenantError`] says which rule is broken.
    pub fn new(name: &str) -> Result<Self, TenantError> {
        if name.is_empty() || name.len() > Self::MAX_LEN {
            return Err(TenantError::Length(name.len()));
        }
        if let Some(other) = name
            .chars()
            .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-'))
        {
            return Err(TenantError::Character(other));
        }
        if name.starts_with('-') || name.ends_with('-') {
            return Err(TenantError::Hyphen);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tenant {
    type Err = TenantError;

    fn from_str(name: &str) -> Result<Self, TenantError> {
        Self::new(name)
    }
}

/// Why a text is no name of a [`Tenant`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TenantError {
    /// It is empty or too long; its length in bytes.
    #[error("a tenant's name has 1 to {max} characters, not {0}", max = Tenant::MAX_LEN)]
    Length(usize),
    /// It has a character that it cannot have.
    #[error("a tenant's name has the characters a-z, 0-9 and -, not {0:?}")]
    Character(char),
    /// It begins or ends with a hyphen.
    #[error("a tenant's name begins and ends with a letter or a digit")]
    Hyphen,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["a", "0", "alice", "team-7", "a--b", &"x".repeat(63)] {
            assert_eq!(name.parse::<Tenant>().unwrap().as_str(), name);
        }
        let of = |name: &str| Tenant::new(name).unwrap_err();
        assert_eq!(of(""), TenantError::Length(0));
        assert_eq!(of(&"x".repeat(64)), TenantError::Length(64));
        assert_eq!(of("-a"), TenantError::Hyphen);
        assert_eq!(of("a-"), TenantError::Hyphen);
        assert_eq!(of("-"), TenantError::Hyphen);
        for wrong in [
            "A", "a/b", "..", ".", "a.b", "a%2fb", "a b", "a\n", "a\0", "ä", "a_b", "a\\b", "ａ",
        ] {
            assert!(matches!(of(wrong), TenantError::Character(_)), "{wrong:?}");
        }
    }
}
