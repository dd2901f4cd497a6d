//! Content as it is typed and shown: paths, names, kinds.

use std::borrow::Cow;

use cidbucket_dag::ContentPath;
use cidbucket_dag::unixfs::{Kind, Mtime};

/// A path such as `CID`, `CID/a/b`, `/ipfs/CID/a/b`.
pub(crate) fn parse(text: &str) -> Result<ContentPath, String> {
    text.parse()
        .map_err(|error: cidbucket_dag::DagError| error.to_string())
}

/// Whether a text is more than a CID: `CID/…`, be there anything after it or not.
pub(crate) fn has_path(text: &str) -> bool {
    let bare = (text.strip_prefix("/ipfs/")).or_else(|| text.strip_prefix("ipfs://"));
    bare.unwrap_or(text).contains('/')
}

/// A name of unknown origin, on a line of its own: what could end the line or reach the terminal as
/// a command is escaped.
pub(crate) fn name(name: &str) -> Cow<'_, str> {
    if name.chars().any(|c| c.is_control() || is_invisible(c)) {
        Cow::Owned(name.escape_debug().to_string())
    } else {
        Cow::Borrowed(name)
    }
}

/// Marks that turn the text around them, so that a name looks like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A kind in one word.
pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File | Kind::Raw => "file",
        Kind::Directory | Kind::Shard => "directory",
        Kind::Symlink => "symlink",
        Kind::Metadata => "metadata",
    }
}

/// A time as the system has it; `None` where it cannot.
pub(crate) fn time(mtime: Mtime) -> Option<std::time::SystemTime> {
    use std::time::{Duration, SystemTime};
    let whole = Duration::from_secs(mtime.seconds.unsigned_abs());
    let second = if mtime.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    second?.checked_add(Duration::from_nanos(mtime.nanoseconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_more_than_a_cid() {
        for (text, more) in [
            ("Qm", false),
            ("/ipfs/Qm", false),
            ("ipfs://Qm", false),
            ("Qm/", true),
            ("/ipfs/Qm/a", true),
            ("ipfs://Qm/", true),
        ] {
            assert_eq!(has_path(text), more, "{text}");
        }
    }

    #[test]
    fn names_stay_on_their_line() {
        assert_eq!(name("naïve name.txt"), "naïve name.txt");
        assert_eq!(name("a\nb"), r"a\nb");
        assert_eq!(name("\u{1b}[2J"), r"\u{1b}[2J");
        assert_eq!(name("gpj.\u{202e}exe"), r"gpj.\u{202e}exe");
    }

    #[test]
    fn times_before_1970() {
        let time = time(Mtime {
            seconds: -1,
            nanoseconds: 500_000_000,
        })
        .unwrap();
        let before = std::time::SystemTime::UNIX_EPOCH.duration_since(time);
        assert_eq!(before.unwrap().as_millis(), 500);
    }
}
