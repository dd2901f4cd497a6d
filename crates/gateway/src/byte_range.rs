//! `Range` (RFC 9110 §14): one range of bytes. Pure.

use std::ops::Range;

use http::{HeaderMap, HeaderValue, header};

/// What `Range` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: there is no `Range`, or one that is to be ignored because it has another unit, is
    /// not understood, or names several ranges (which a server need not give, §14.2).
    All,
    /// These bytes; there is at least one.
    Part(Range<u64>),
    /// Nothing that is there.
    Outside,
}

/// What the `Range` of a request asks for of `size` bytes.
pub(crate) fn wanted(headers: &HeaderMap, size: u64) -> Wanted {
    let mut values = headers.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Wanted::All;
    };
    let spec = value.to_str().ok().and_then(|value| {
        let (unit, spec) = value.split_once('=')?;
        unit.trim()
            .eq_ignore_ascii_case("bytes")
            .then_some(spec.trim())
    });
    let Some((first, last)) = spec.and_then(|spec| spec.split_once('-')) else {
        return Wanted::All;
    };
    match (number(first), number(last)) {
        // The last so many.
        (None, Some(length)) if first.is_empty() => part(size.saturating_sub(length)..size),
        (Some(first), None) if last.is_empty() => part(first..size),
        (Some(first), Some(last)) if first <= last => part(first..last.saturating_add(1).min(size)),
        _ => Wanted::All,
    }
}

fn part(range: Range<u64>) -> Wanted {
    if range.is_empty() {
        Wanted::Outside
    } else {
        Wanted::Part(range)
    }
}

/// Digits only; numbers beyond all sizes are as good as the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// `Content-Range` of a part; `None` for what is outside.
pub(crate) fn content_range(part: Option<&Range<u64>>, size: u64) -> HeaderValue {
    let text = match part {
        Some(part) => format!("bytes {}-{}/{size}", part.start, part.end - 1),
        None => format!("bytes */{size}"),
    };
    HeaderValue::from_str(&text).expect("numbers are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (value, expected) in [
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=7-9", Wanted::Part(7..10)),
            ("Bytes = 7-9", Wanted::Part(7..10)),
            ("bytes=90-", Wanted::Part(90..100)),
            ("bytes=99-1000", Wanted::Part(99..100)),
            ("bytes=-10", Wanted::Part(90..100)),
            ("bytes=-1000", Wanted::Part(0..100)),
            ("bytes=0-99999999999999999999999", Wanted::Part(0..100)),
            ("bytes=100-", Wanted::Outside),
            ("bytes=99999999999999999999999-", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=9-7", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("bytes=--5", Wanted::All),
            ("rows=0-1", Wanted::All),
            ("", Wanted::All),
        ] {
            let headers = HeaderMap::from_iter([(header::RANGE, value.parse().unwrap())]);
            assert_eq!(wanted(&headers, 100), expected, "{value}");
        }
        assert_eq!(wanted(&HeaderMap::new(), 100), Wanted::All);
        let headers = HeaderMap::from_iter([(header::RANGE, "bytes=0-".parse().unwrap())]);
        assert_eq!(wanted(&headers, 0), Wanted::Outside);
        assert_eq!(content_range(Some(&(7..10)), 100), "bytes 7-9/100");
        assert_eq!(content_range(None, 100), "bytes */100");
    }
}
