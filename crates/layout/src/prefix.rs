//! The "folder" of a bucket under which a store keeps its blocks.

use std::fmt;
use std::str::FromStr;

/// Where in a bucket a store keeps its blocks: `""` for the bucket's root, else `a/b/c`.
///
/// A given prefix is put into the form that go-ds-s3's `rootDirectory` takes on object keys
/// (Go's `path.Join`): slashes at either end, doubled slashes and `.` segments fall away.
///
/// ```
/// use cidbucket_layout::Prefix;
///
/// assert_eq!(Prefix::new("/lead//dir/")?.as_str(), "lead/dir");
/// assert!(Prefix::new("a/../b").is_err());
/// # Ok::<(), cidbucket_layout::PrefixError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(String);

impl Prefix {
    /// Longest prefix in bytes. S3 allows keys of 1,024 bytes, and the longest layout adds less
    /// than half of that.
    pub const MAX_LEN: usize = 512;

    /// Normalises and checks a prefix.
    ///
    /// # Errors
    /// [`PrefixError`] says which rule is broken.
    pub fn new(text: &str) -> Result<Self, PrefixError> {
        let mut normal = String::with_capacity(text.len());
        for segment in text.split('/') {
            match segment {
                "" | "." => continue,
                ".." => return Err(PrefixError::ParentSegment),
                _ => {}
            }
            if let Some(character) = segment.chars().find(|c| c.is_control()) {
                return Err(PrefixError::ControlCharacter(character));
            }
            if has_escaped_path(segment) {
                return Err(PrefixError::PercentEscape);
            }
            if !normal.is_empty() {
                normal.push('/');
            }
            normal.push_str(segment);
        }
        if normal.len() > Self::MAX_LEN {
            return Err(PrefixError::TooLong(normal.len()));
        }
        Ok(Self(normal))
    }

    /// The prefix, without a slash at either end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the bucket's root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        Self::new(text)
    }
}

/// Why a text is no [`Prefix`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// It has a `..` segment.
    #[error("a prefix cannot contain `..`: write the path it stands for")]
    ParentSegment,
    /// It has a control character, such as a line break.
    #[error("a prefix cannot contain the control character {0:?}")]
    ControlCharacter(char),
    /// It has a percent-escaped `/`, `\` or `.`, which some servers and proxies would undo.
    #[error("a prefix cannot contain %2F, %2E or %5C: write the character itself")]
    PercentEscape,
    /// It is too long.
    #[error("a prefix of {0} bytes; the limit is {max}", max = Prefix::MAX_LEN)]
    TooLong(usize),
    /// A tenant cannot have that name.
    #[error("a tenant's name has 1 to 64 of A-Z, a-z, 0-9, '-', '_' and '.', and no dot in front")]
    Name,
}

fn has_escaped_path(segment: &str) -> bool {
    segment.as_bytes().windows(3).any(|window| {
        [b"%2f", b"%2e", b"%5c"]
            .iter()
            .any(|escape| window.eq_ignore_ascii_case(*escape))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        for (given, expected) in [
            ("", ""),
            ("/", ""),
            (".", ""),
            ("ipfs", "ipfs"),
            ("/ipfs/", "ipfs"),
            ("/lead/dir/", "lead/dir"),
            ("a//b/./c", "a/b/c"),
            ("...", "..."),
            ("grüße/100%", "grüße/100%"),
        ] {
            let prefix = Prefix::new(given).unwrap();
            assert_eq!(prefix.as_str(), expected);
            assert_eq!(Prefix::new(prefix.as_str()).unwrap(), prefix);
        }
    }

    #[test]
    fn refused() {
        for (given, expected) in [
            ("..", PrefixError::ParentSegment),
            ("a/../b", PrefixError::ParentSegment),
            ("a\r\nb", PrefixError::ControlCharacter('\r')),
            ("a\0", PrefixError::ControlCharacter('\0')),
            ("a%2Fb", PrefixError::PercentEscape),
            ("%2e%2E", PrefixError::PercentEscape),
            ("a%5cb", PrefixError::PercentEscape),
        ] {
            assert_eq!(Prefix::new(given), Err(expected));
        }
        assert_eq!(
            Prefix::new(&"x".repeat(513)),
            Err(PrefixError::TooLong(513))
        );
        assert!(Prefix::new(&"x".repeat(512)).is_ok());
    }
}
