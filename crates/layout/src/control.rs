//! The service's own folder beside the blocks: `.cidbucket/` directly under the store's prefix.
//!
//! No layout's key begins with it: keys of blocks begin with a letter, a digit, `_` or `-`.

use crate::{Keys, Layout, Prefix, PrefixError};

/// The folder's name, with the slash. The service keeps its own records there, uploads that were
/// not checked yet, and tenants' blocks: nobody else is to read them.
pub(crate) const FOLDER: &str = ".cidbucket/";
/// Behind the names of everything the service writes into its folder: these are ASCII letters,
/// digits, `.`, `-`, `_` and `/`.
const LAST: &str = "~";
/// Longest name of a tenant or a staging area, in bytes.
const MAX_NAME: usize = 64;

impl Keys {
    /// The folder of the service's own records, with a slash at its end: `ipfs/.cidbucket/`, and
    /// `.cidbucket/` for a store in the bucket's root. No listing of blocks shows what lies there.
    pub fn control_prefix(&self) -> String {
        let prefix = self.prefix().as_str();
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("{prefix}{slash}{FOLDER}")
    }

    /// Whether a key lies in the folder of the service's own records. Does not allocate.
    pub fn is_control(&self, key: &str) -> bool {
        let prefix = self.prefix().as_str();
        let tail = if prefix.is_empty() {
            Some(key)
        } else {
            key.strip_prefix(prefix)
                .and_then(|tail| tail.strip_prefix('/'))
        };
        tail.is_some_and(|tail| tail.starts_with(FOLDER))
    }

    /// Where to go on (`start-after`) to pass over everything in the folder of the service's own
    /// records; `None` where a listing of the store does not come by it.
    pub fn past_control(&self) -> Option<String> {
        let mut key = self.control_prefix();
        key.starts_with(self.list_prefix()).then(|| {
            key.push_str(LAST);
            key
        })
    }

    /// The keys of a tenant, who has blocks of its own in the same layout:
    /// `ipfs/.cidbucket/tenants/NAME/…`.
    ///
    /// # Errors
    /// [`PrefixError::Name`] where the name is not 1 to 64 of `A`–`Z`, `a`–`z`, `0`–`9`, `-`, `_`
    /// and `.`, or begins with a dot; [`PrefixError::TooLong`] where the store's prefix leaves too
    /// little room.
    pub fn tenant(&self, name: &str) -> Result<Self, PrefixError> {
        self.within("tenants", name, self.layout().clone())
    }

    /// The keys of uploads whose hash was not recomputed yet, under the name that the service gave
    /// to them: `ipfs/.cidbucket/staging/NAME/CIQ…`, in the layout [`Layout::Kubo`] whatever the
    /// store's is.
    ///
    /// # Errors
    /// As [`Keys::tenant`].
    pub fn staging(&self, name: &str) -> Result<Self, PrefixError> {
        self.within("staging", name, Layout::Kubo)
    }

    fn within(&self, folder: &str, name: &str, layout: Layout) -> Result<Self, PrefixError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let valid = (1..=MAX_NAME).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(allowed);
        if !valid {
            return Err(PrefixError::Name);
        }
        let prefix = Prefix::new(&format!("{}{folder}/{name}", self.control_prefix()))?;
        Ok(Self::new(prefix, layout))
    }
}

/// Whether a key lies in such a folder of whatever store.
pub(crate) fn is_in_control_folder(key: &str) -> bool {
    key.starts_with(FOLDER) || key.contains("/.cidbucket/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(prefix: &str, layout: &str) -> Keys {
        Keys::new(Prefix::new(prefix).unwrap(), layout.parse().unwrap())
    }

    #[test]
    fn the_folder_lies_directly_under_the_prefix() {
        for (prefix, folder) in [("", ".cidbucket/"), ("a/b", "a/b/.cidbucket/")] {
            for layout in Layout::examples() {
                let keys = keys(prefix, &layout.to_string());
                assert_eq!(keys.control_prefix(), folder);
                assert!(keys.is_control(&format!("{folder}leases/x")));
                assert!(keys.is_control(folder));
                let is_listed = layout != Layout::KuboUnmounted;
                assert_eq!(
                    keys.past_control(),
                    is_listed.then(|| format!("{folder}~")),
                    "{layout}"
                );
            }
            let keys = keys(prefix, "kubo");
            for other in [
                ".cidbucket",
                "a/b/.cidbucket",
                "a/b.cidbucket/x",
                "x/.cidbucket/x",
                "cidbucket/x",
                "",
            ] {
                assert!(!keys.is_control(other), "{prefix} {other}");
            }
        }
    }

    #[test]
    fn tenants_have_keys_of_their_own() {
        let store = keys("ipfs", "flatfs");
        let tenant = store.tenant("acme-1").unwrap();
        assert_eq!(tenant.prefix().as_str(), "ipfs/.cidbucket/tenants/acme-1");
        assert_eq!(tenant.layout(), store.layout());
        assert!(store.is_control(&tenant.control_prefix()));
        let staging = store.staging("0065a1b2c3-abc").unwrap();
        assert_eq!(
            staging.list_prefix(),
            "ipfs/.cidbucket/staging/0065a1b2c3-abc/"
        );
        assert_eq!(staging.layout(), &Layout::Kubo);
        for name in [
            "",
            ".",
            "..",
            ".x",
            "a/b",
            "a%2Fb",
            "a b",
            "é",
            "a\n",
            &"x".repeat(65),
        ] {
            assert_eq!(store.tenant(name), Err(PrefixError::Name), "{name:?}");
            assert_eq!(store.staging(name), Err(PrefixError::Name), "{name:?}");
        }
        let long = keys(&"x".repeat(Prefix::MAX_LEN), "kubo");
        assert!(matches!(long.tenant("a"), Err(PrefixError::TooLong(_))));
    }
}
