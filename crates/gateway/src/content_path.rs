//! The content path of a request: `/ipfs/{cid}[/{path}]`. Pure.

use cidbucket_blockstore::{Cid, Hash};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::Refusal;

/// Names below the CID that are followed at most.
const MAX_SEGMENTS: usize = 128;
/// Longest text of a CID, in bytes.
const MAX_CID: usize = 512;

/// What stands unescaped in a segment of a path (RFC 3986 §3.3, less what HTML and shells know).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A content path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentPath {
    pub(crate) root: Cid,
    /// The root as text, which several headers hold.
    pub(crate) root_text: String,
    /// Names below it, percent-decoded, none empty.
    pub(crate) segments: Vec<String>,
    /// Whether the path ends in `/`.
    pub(crate) slash: bool,
}

impl ContentPath {
    /// Reads what comes after `/ipfs/` in a URL's path.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let (sent, rest) = text.split_once('/').unwrap_or((text, ""));
        let root = parse_cid(sent)?;
        Self::of(root, text_of(&root, sent), rest, text.ends_with('/'))
    }

    /// Reads the path below a CID.
    pub(crate) fn under(root: Cid, rest: &str, slash: bool) -> Result<Self, Refusal> {
        Self::of(root, root.to_string(), rest, slash)
    }

    fn of(root: Cid, root_text: String, rest: &str, slash: bool) -> Result<Self, Refusal> {
        let segments = rest
            .split('/')
            .filter(|segment| !segment.is_empty())
            .take(MAX_SEGMENTS + 1)
            .map(|segment| match percent_decode_str(segment).decode_utf8() {
                Ok(name) if name == "." || name == ".." => {
                    Err(Refusal::bad("the path has `.` or `..` in it"))
                }
                Ok(name) => Ok(name.into_owned()),
                Err(_) => Err(Refusal::bad("the path is not UTF-8, percent-encoded")),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if segments.len() > MAX_SEGMENTS {
            return Err(Refusal::bad(format!(
                "the path has more than {MAX_SEGMENTS} names"
            )));
        }
        Ok(Self {
            root,
            root_text,
            segments,
            slash,
        })
    }

    /// The path below the root as it stands in a URL, without a `/` in front.
    pub(crate) fn below(&self) -> String {
        let names: Vec<_> = self.segments.iter().map(|name| encode(name)).collect();
        names.join("/")
    }

    /// The whole path as it stands in a URL, without a `/` at the end.
    pub(crate) fn url(&self) -> String {
        let mut url = ["/ipfs/", &self.root_text].concat();
        if !self.segments.is_empty() {
            url.push('/');
            url.push_str(&self.below());
        }
        url
    }

    /// The last name.
    pub(crate) fn name(&self) -> Option<&str> {
        self.segments.last().map(String::as_str)
    }
}

/// A segment of a URL's path.
pub(crate) fn encode(segment: &str) -> String {
    utf8_percent_encode(segment, SEGMENT).to_string()
}

/// A CID as text, in its own base, however it was sent.
fn text_of(cid: &Cid, sent: &str) -> String {
    // In base32 in lower case, in which CIDs are mostly sent, only one text of this length decodes to
    // the CID, and a longer one has something after it.
    let length = 1 + (cid.encoded_len() * 8).div_ceil(5);
    let lower = !sent.bytes().any(|byte| byte.is_ascii_uppercase());
    if sent.starts_with('b') && lower && sent.len() == length {
        sent.to_owned()
    } else {
        cid.to_string()
    }
}

/// A CID of the request, whose hash is accepted. Its text is not repeated: it may be anything.
pub(crate) fn parse_cid(text: &str) -> Result<Cid, Refusal> {
    let cid: Cid = (text.len() <= MAX_CID)
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| Refusal::bad("the path names no CID: it is /ipfs/{cid}[/{path}]"))?;
    Hash::of(&cid)
        .map_err(|_| Refusal::bad("the CID has a hash function that is not accepted here"))?;
    Ok(cid)
}

#[cfg(test)]
mod tests {
    use cid::multibase::Base;

    use super::*;

    const CID: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";

    fn parse(text: &str) -> Result<(Vec<String>, bool), u16> {
        ContentPath::parse(&text.replace("CID", CID))
            .map(|path| (path.segments, path.slash))
            .map_err(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn paths() {
        for (text, segments, slash) in [
            ("CID", &[][..], false),
            ("CID/", &[], true),
            ("CID/a/b", &["a", "b"], false),
            ("CID//a///b/", &["a", "b"], true),
            ("CID/a%20b/%C3%A4", &["a b", "ä"], false),
            ("CID/100%", &["100%"], false),
            ("CID/a%2Fb", &["a/b"], false),
            ("CID/...", &["..."], false),
        ] {
            let (found, ends) = parse(text).unwrap();
            assert_eq!(
                (&found[..], ends),
                (
                    &segments.iter().map(ToString::to_string).collect::<Vec<_>>()[..],
                    slash
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            "/",
            "x",
            "CIDx",
            "CID/%ff",
            "CID/..",
            "CID/%2e%2e/a",
            "CID/./a",
            // murmur3, which is not accepted.
            "bafksecbjrq3dtynrfm",
        ] {
            assert_eq!(parse(text), Err(400), "{text}");
        }
        assert_eq!(parse(&format!("CID{}", "/a".repeat(129))), Err(400));
        assert!(parse(&format!("CID{}", "/a".repeat(128))).is_ok());
    }

    #[test]
    fn a_root_has_one_text() {
        let own = ContentPath::parse(CID).unwrap();
        assert_eq!(own.root_text, CID);
        let upper = own.root.to_string_of_base(Base::Base32Upper).unwrap();
        assert_eq!(ContentPath::parse(&upper).unwrap().root_text, CID);
        // Whatever else is read as a CID is written as that CID.
        let signs = "abcdefghijklmnopqrstuvwxyzABZ01234567=-_";
        let mut read = 0;
        for at in 1..=CID.len() {
            for sign in signs.chars() {
                for end in [at, CID.len().min(at + 1)] {
                    let text = format!("{}{sign}{}", &CID[..at], &CID[end..]);
                    if let Ok(path) = ContentPath::parse(&text) {
                        read += 1;
                        assert_eq!(path.root_text, path.root.to_string(), "{text}");
                    }
                }
            }
        }
        assert!(read > 1000, "{read}");
    }

    #[test]
    fn the_url_is_safe_anywhere() {
        let path = ContentPath::parse(&format!("{CID}/a b/<x>\"'/%0d%0a")).unwrap();
        assert_eq!(
            path.url(),
            format!("/ipfs/{CID}/a%20b/%3Cx%3E%22%27/%0D%0A")
        );
    }
}
