//! Numbers and times as Go writes them.

use std::time::Duration;

/// A duration of Go: numbers with units, such as `1h2.5s` or `300ms`. `None` for anything else, and
/// for what is negative.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let length = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(length);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = tail;
    }
    Some(total)
}

/// An integer of Go with its base in front, as `strconv.ParseInt` reads it with base 0: `0x1f`,
/// `0o17`, `017`, `0b11`.
pub(crate) fn parse_integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // The standard library would take another sign.
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let number = i128::from(u64::from_str_radix(digits, base).ok()?);
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go() {
        for (text, millis) in [
            ("2s", 2000),
            ("1h2m3s", 3_723_000),
            ("1.5s", 1500),
            ("300ms", 300),
            ("0", 0),
            ("+1m", 60_000),
        ] {
            let expected = Some(Duration::from_millis(millis));
            assert_eq!(parse_duration(text), expected, "{text}");
        }
        for text in [
            "",
            "5",
            "-1s",
            "1x",
            "s",
            "1s2",
            "1..2s",
            "1e400h",
            "+",
            "99999999999999999999h",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn integers_of_go() {
        for (text, number) in [
            ("0", 0),
            ("10", 10),
            ("-1", -1),
            ("0x1F", 31),
            ("0644", 420),
            ("0o17", 15),
            ("0b11", 3),
            ("18446744073709551615", i128::from(u64::MAX)),
        ] {
            assert_eq!(parse_integer(text), Some(number), "{text}");
        }
        for text in [
            "",
            "-",
            "1.5",
            "0x",
            "08",
            "--1",
            "0x-1",
            "18446744073709551616",
            "é",
        ] {
            assert_eq!(parse_integer(text), None, "{text}");
        }
    }
}
