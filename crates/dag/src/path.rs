//! Content paths: a CID, and names from there.

use std::fmt;
use std::str::FromStr;

use cidbucket_blockstore::Cid;

use crate::DagError;

/// A CID, and the names that lead from it to what is meant.
///
/// It is read from `CID`, `CID/a/b`, `/ipfs/CID/a/b` and `ipfs://CID/a/b`. Names are taken as they
/// stand: whoever has a URL decodes its percent signs before. Empty names (`a//b`, `a/`) and `.` are
/// left out, and `..` takes back the name before it, as the [UnixFS specification] has it.
///
/// [UnixFS specification]: https://specs.ipfs.tech/unixfs/#unixfs-paths
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentPath {
    /// Where the path begins.
    pub root: Cid,
    /// The names, none of which is empty, `.` or `..`, or has a `/` in it.
    pub segments: Vec<String>,
}

impl From<Cid> for ContentPath {
    fn from(root: Cid) -> Self {
        Self {
            root,
            segments: Vec::new(),
        }
    }
}

impl FromStr for ContentPath {
    type Err = DagError;

    fn from_str(text: &str) -> Result<Self, DagError> {
        let invalid = |what: &str| Err(DagError::Invalid(format!("path {text:?}: {what}")));
        if text.starts_with("/ipns/") || text.starts_with("ipns://") {
            return invalid("IPNS names are not resolved here; give the CID: /ipfs/CID");
        }
        let bare = (text.strip_prefix("/ipfs/"))
            .or_else(|| text.strip_prefix("ipfs://"))
            .unwrap_or(text);
        let (root, rest) = bare.split_once('/').unwrap_or((bare, ""));
        let root = match root.parse() {
            Ok(root) => root,
            Err(error) => return invalid(&format!("{root:?} is not a CID: {error}")),
        };
        let mut segments: Vec<String> = Vec::new();
        for segment in rest.split('/') {
            match segment {
                "" | "." => {}
                ".." => {
                    if segments.pop().is_none() {
                        return invalid("it leads out of its root");
                    }
                }
                _ => segments.push(segment.into()),
            }
        }
        Ok(Self { root, segments })
    }
}

/// `CID/a/b`, which reads back as the same path.
impl fmt::Display for ContentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)?;
        (self.segments.iter()).try_for_each(|segment| write!(f, "/{segment}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CID: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";

    #[test]
    fn every_form_is_the_same_path() {
        for form in ["", "/ipfs/", "ipfs://"] {
            for (rest, segments) in [
                ("", &[][..]),
                ("/", &[]),
                ("/a/b c/ä%20", &["a", "b c", "ä%20"]),
                ("//a/./b/../c/", &["a", "c"]),
                ("/a/..", &[]),
            ] {
                let path: ContentPath = format!("{form}{CID}{rest}").parse().unwrap();
                assert_eq!(path.root.to_string(), CID);
                assert_eq!(path.segments, segments);
                assert_eq!(path.to_string().parse::<ContentPath>().unwrap(), path);
            }
        }
    }

    #[test]
    fn what_is_no_path_says_so() {
        for (text, says) in [
            ("", "is not a CID"),
            ("/ipfs/", "is not a CID"),
            ("hello/world", "\"hello\" is not a CID"),
            ("/ipns/example.net", "IPNS"),
            (&format!("{CID}/../b"), "leads out"),
            (&format!("{CID}/a/../../b"), "leads out"),
            (&format!("//{CID}"), "is not a CID"),
        ] {
            match text.parse::<ContentPath>() {
                Err(DagError::Invalid(message)) => assert!(message.contains(says), "{message}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
