//! A snapshot of the environment, so that nothing below reads global state.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The environment variables that configuration may look at, taken once and passed as an argument.
///
/// A variable set to the empty string counts as unset, as in the AWS tools.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Env {
    variables: BTreeMap<String, String>,
}

impl Env {
    /// An empty environment: nothing is looked up anywhere, not even in the home folder.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The variables of this process that matter to stores: `AWS_*`, the home folder's, and
    /// `CIDBUCKET_TOKEN`.
    ///
    /// Variables that are not UTF-8 are left out.
    pub fn from_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| Self::matters(name))
            .collect()
    }

    /// Whether a variable of this name has a meaning for stores.
    pub fn matters(name: &str) -> bool {
        name.starts_with("AWS_") || matches!(name, "HOME" | "USERPROFILE" | "CIDBUCKET_TOKEN")
    }

    /// The variable's value; `None` where it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// This environment with one variable set.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Whether the variable says `true` (in any case).
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The home folder.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.get("HOME")
            .or_else(|| self.get("USERPROFILE"))
            .map(PathBuf::from)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(variables: T) -> Self {
        Self {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_unset_and_debug_hides_values() {
        let env = Env::from_iter([("AWS_REGION", ""), ("AWS_SECRET_ACCESS_KEY", "canary")]);
        assert_eq!(env.get("AWS_REGION"), None);
        assert_eq!(env.get("AWS_SECRET_ACCESS_KEY"), Some("canary"));
        assert!(!format!("{env:?}").contains("canary"));
    }
}
