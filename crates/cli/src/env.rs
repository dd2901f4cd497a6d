//! The environment, as an argument.

use std::collections::BTreeMap;
use std::fmt;

/// The environment variables a run may look at.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// This process's variables. One that is not UTF-8 is left out.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The variable's value; `None` where it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The part that S3 stores are configured by.
    pub(crate) fn for_stores(&self) -> cidbucket::s3::Env {
        self.0
            .iter()
            .filter(|(name, _)| cidbucket::s3::Env::matters(name))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(variables: T) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_unset_and_debug_hides_values() {
        let env = Env::from_iter([("AWS_SECRET_ACCESS_KEY", "canary"), ("TERM", "")]);
        assert_eq!(env.get("AWS_SECRET_ACCESS_KEY"), Some("canary"));
        assert_eq!(env.get("TERM"), None);
        assert!(!format!("{env:?}").contains("canary"));
    }

    #[test]
    fn stores_see_only_what_configures_them() {
        let env = Env::from_iter([("AWS_REGION", "r"), ("HOME", "/h"), ("PATH", "/bin")]);
        let seen = env.for_stores();
        assert_eq!(
            (seen.get("AWS_REGION"), seen.get("HOME")),
            (Some("r"), Some("/h"))
        );
        assert_eq!(seen.get("PATH"), None);
    }
}
