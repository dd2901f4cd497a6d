//! Dates as S3 writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The form of dates in headers; `_` is any byte.
const HTTP: &[u8] = b"___, __ ___ ____ __:__:__ GMT";

/// Reads the `Date` header's form (RFC 9110 §5.6.7): `Wed, 21 Oct 2015 07:28:00 GMT`.
pub(crate) fn from_http(text: &str) -> Option<SystemTime> {
    // By place, since it is read with every object.
    let text = text.trim().as_bytes();
    let fits = |(byte, place): (&u8, &u8)| *place == b'_' || byte == place;
    if text.len() != HTTP.len() || !text.iter().zip(HTTP).all(fits) {
        return None;
    }
    let month = match &text[8..11] {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    };
    let time = [
        decimal(&text[17..19])?,
        decimal(&text[20..22])?,
        decimal(&text[23..25])?,
    ];
    at(decimal(&text[12..16])?, month, decimal(&text[5..7])?, time)
}

/// Reads the form of `LastModified` in XML (ISO 8601): `2009-10-12T17:50:30.000Z`.
pub(crate) fn from_iso8601(text: &str) -> Option<SystemTime> {
    let text = text.trim().strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut nanos = 0;
    for (digit, unit) in fraction.bytes().zip([100_000_000, 10_000_000, 1_000_000]) {
        nanos += u32::from(digit.is_ascii_digit().then(|| digit - b'0')?) * unit;
    }
    let mut parts = time.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let time = [number(hour)?, number(minute)?, number(second)?];
    let whole = at(number(year)?, number(month)?, number(day)?, time)?;
    Some(whole + Duration::from_nanos(nanos.into()))
}

fn at(year: u64, month: u64, day: u64, time: [u64; 3]) -> Option<SystemTime> {
    let [hour, minute, second] = time;
    let sane = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !sane {
        return None;
    }
    // Days since 1970 in the proleptic Gregorian calendar, with years that begin on 1 March.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    UNIX_EPOCH.checked_add(Duration::from_secs(
        days * 86_400 + hour * 3_600 + minute * 60 + second,
    ))
}

fn number(text: &str) -> Option<u64> {
    decimal(text.as_bytes()).filter(|_| (1..=4).contains(&text.len()))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(time: Option<SystemTime>) -> Option<u128> {
        time.map(|t| t.duration_since(UNIX_EPOCH).unwrap().as_millis())
    }

    #[test]
    fn http_dates() {
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(1_445_412_480_000)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199_000)),
            ("Wed, 21 Oct 2015 07:28:00", None),
            ("Wed, 21 Oct 2015 24:28:00 GMT", None),
            ("Wed, 21 Foo 2015 07:28:00 GMT", None),
            ("Wed, -1 Oct 2015 07:28:00 GMT", None),
            ("Wed, 1 Oct 2015 07:28:00 GMT", None),
            ("Wed, 21 Oct 2015 07:28:00 GMT+1", None),
            (" Wed, 21 Oct 2015 07:28:00 GMT ", Some(1_445_412_480_000)),
            ("", None),
        ] {
            assert_eq!(unix(from_http(text)), expected, "{text}");
        }
    }

    #[test]
    fn iso_dates() {
        for (text, expected) in [
            ("2009-10-12T17:50:30.000Z", Some(1_255_369_830_000)),
            ("2009-10-12T17:50:30.125Z", Some(1_255_369_830_125)),
            ("2009-10-12T17:50:30Z", Some(1_255_369_830_000)),
            ("2000-03-01T00:00:00Z", Some(951_868_800_000)),
            ("2009-10-12 17:50:30Z", None),
            ("2009-13-12T17:50:30Z", None),
            ("2009-10-12T17:50:30.x0Z", None),
            ("2009-10-12T17:50:30. 0Z", None),
        ] {
            assert_eq!(unix(from_iso8601(text)), expected, "{text}");
        }
    }
}
