//! The time of a request, as it is signed.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds in a day.
const DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z: the last second that has a year of four digits.
const LAST: u64 = 253_402_300_799;

/// A point in time: whole seconds since 1970-01-01 00:00:00 UTC, up to the year 9999.
///
/// The signer never looks at a clock: whoever calls it says what time it is, and so decides
/// whether a clock skew learnt from the server is taken into account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From seconds since 1970; later than the year 9999 counts as its last second.
    pub const fn from_unix(seconds: u64) -> Self {
        Self(if seconds > LAST { LAST } else { seconds })
    }

    /// Seconds since 1970.
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// The basic format of ISO 8601 that `x-amz-date` wants: `20130524T000000Z`.
    pub fn iso8601(self) -> String {
        self.stamp().as_str().to_owned()
    }

    /// The day in UTC, as the credential scope has it: `20130524`.
    pub fn date(self) -> String {
        self.stamp().date().to_owned()
    }

    /// This time plus `seconds`.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self::from_unix(self.0.saturating_add(seconds))
    }

    /// Days since 1970.
    pub(crate) const fn day(self) -> u64 {
        self.0 / DAY
    }

    pub(crate) fn stamp(self) -> Stamp {
        // Howard Hinnant's `civil_from_days`, for days since 1970 that are never negative:
        // eras of 400 years that begin on 1 March.
        let days = self.day() + 719_468;
        let era_day = days % 146_097;
        let year_of_era = (era_day - era_day / 1_460 + era_day / 36_524 - era_day / 146_096) / 365;
        let year_day = era_day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * year_day + 2) / 153;
        let day = year_day - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = days / 146_097 * 400 + year_of_era + u64::from(month <= 2);

        let time = self.0 % DAY;
        let mut text = *b"00000000T000000Z";
        for (at, value) in [
            (0, year / 100),
            (2, year % 100),
            (4, month),
            (6, day),
            (9, time / 3_600),
            (11, time / 60 % 60),
            (13, time % 60),
        ] {
            text[at] += digit(value / 10);
            text[at + 1] += digit(value % 10);
        }
        Stamp(text)
    }
}

/// Drops the fraction of a second. A time before 1970 counts as 1970.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self::from_unix(
            time.duration_since(UNIX_EPOCH)
                .unwrap_or(Duration::ZERO)
                .as_secs(),
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stamp().as_str())
    }
}

/// A formatted timestamp that needs no heap.
#[derive(Clone, Copy)]
pub(crate) struct Stamp([u8; 16]);

impl Stamp {
    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("ASCII digits")
    }

    pub(crate) fn date(&self) -> &str {
        &self.as_str()[..8]
    }
}

fn digit(value: u64) -> u8 {
    u8::try_from(value % 10).expect("below ten")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_known_times() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_800, "20000301T000000Z"),
            (1_369_353_600, "20130524T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"), // 2100 is no leap year
            (LAST, "99991231T235959Z"),
            (u64::MAX, "99991231T235959Z"),
        ] {
            let time = Timestamp::from_unix(seconds);
            assert_eq!(time.iso8601(), text);
            assert_eq!(time.date(), text[..8]);
            assert_eq!(time.to_string(), text);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let lengths = |year: u64| {
            let leap =
                year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
            [
                31,
                if leap { 29 } else { 28 },
                31,
                30,
                31,
                30,
                31,
                31,
                30,
                31,
                30,
                31,
            ]
        };
        let mut day = 0;
        for year in 1970..2410 {
            for (month, length) in (1..).zip(lengths(year)) {
                for date in 1..=length {
                    let expected = format!("{year:04}{month:02}{date:02}");
                    assert_eq!(Timestamp::from_unix(day * DAY + 43_210).date(), expected);
                    day += 1;
                }
            }
        }
    }

    #[test]
    fn system_time() {
        let time = UNIX_EPOCH + Duration::from_millis(1_369_353_600_999);
        assert_eq!(Timestamp::from(time).unix(), 1_369_353_600);
        assert_eq!(
            Timestamp::from(UNIX_EPOCH - Duration::from_secs(5)).unix(),
            0
        );
    }
}
