//! Sizes, durations and dates as they are typed and shown.

use std::time::{Duration, SystemTime};

use bytesize::ByteSize;

/// A size such as `256KiB`, `1MB` or a plain number of bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| "give bytes, or a unit: 65536, 64KiB, 1MB".into())
}

/// A duration such as `15m`, `1h 30m` or a plain number of seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text).map_err(|_| "give seconds, or a unit: 900, 15m, 12h, 7d".into())
}

/// A size for people: `2 MiB`, `1.5 KiB`, `12 B`.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize::b(bytes)
        .display()
        .iec()
        .to_string()
        .replace(".0 ", " ")
}

/// A point in time as RFC 3339 in UTC, to the second.
pub(crate) fn date(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_go_both_ways() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("64KiB", 65536),
            ("64 KiB", 65536),
            ("1MB", 1_000_000),
            ("2MiB", 2 << 20),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "x", "-1", "1 parsec"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert_eq!(size(12), "12 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(2 << 20), "2 MiB");
    }

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("900", 900),
            ("15m", 900),
            ("1h 30m", 5400),
            ("7d", 604_800),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "m", "-5m", "soon"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_are_utc() {
        let time = humantime::parse_rfc3339("2013-05-24T00:00:00.9Z").unwrap();
        assert_eq!(date(time), "2013-05-24T00:00:00Z");
    }
}
