//! Points in time, to the second, as signed texts spell them (SPEC entry 1.5).

use alloc::string::ToString;
use core::{fmt, ops};

use jiff::{Timestamp, civil::DateTime, tz::Offset};

/// A point in time: seconds since 1970-01-01T00:00:00Z, from the year 1 to 9998.
///
/// Nothing in this crate asks a clock: whoever judges validity says at which time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Time(i64);

/// 0001-01-01T00:00:00Z.
const FIRST: i64 = -62_135_596_800;
/// 9998-12-31T23:59:59Z.
const LAST: i64 = 253_370_764_799;

impl Time {
    /// Takes seconds since 1970; what lies outside the years 1 to 9998 becomes the nearest end.
    pub const fn from_unix(seconds: i64) -> Self {
        if seconds < FIRST {
            Self(FIRST)
        } else if seconds > LAST {
            Self(LAST)
        } else {
            Self(seconds)
        }
    }

    /// Seconds since 1970.
    pub const fn as_unix(self) -> i64 {
        self.0
    }

    /// Reads exactly `YYYY-MM-DDThh:mm:ssZ`.
    ///
    /// # Errors
    /// Says what a time looks like when the text is anything else, a leap second included.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "is not a time of the form 2026-11-23T14:05:00Z";
        let civil: DateTime = text
            .strip_suffix('Z')
            .and_then(|t| t.parse().ok())
            .ok_or(SHAPE)?;
        let time = Offset::UTC
            .to_timestamp(civil)
            .map_err(|_| SHAPE)?
            .as_second();
        // The library also reads other spellings of the same moment; a signed text has one.
        if !(FIRST..=LAST).contains(&time) || Self(time).to_string() != text {
            return Err(SHAPE);
        }
        Ok(Self(time))
    }

    /// The calendar year, for archives.
    pub fn year(self) -> i16 {
        self.civil().year()
    }

    /// Seconds from `earlier` to `self`; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    fn civil(self) -> DateTime {
        let timestamp = Timestamp::from_second(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        Offset::UTC.to_datetime(timestamp)
    }
}

impl ops::Add<i64> for Time {
    type Output = Self;

    fn add(self, seconds: i64) -> Self {
        Self::from_unix(self.0.saturating_add(seconds))
    }
}

impl ops::Sub<i64> for Time {
    type Output = Self;

    fn sub(self, seconds: i64) -> Self {
        Self::from_unix(self.0.saturating_sub(seconds))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.civil();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_spelling_is_read() {
        let good = "2026-11-23T14:05:00Z";
        assert_eq!(
            Time::parse(good).map(|t| t.to_string()),
            Ok(good.to_string())
        );
        for bad in [
            "",
            "2026-11-23",
            "2026-11-23T14:05:00",
            "2026-11-23t14:05:00Z",
            "2026-11-23T14:05:00z",
            "2026-11-23 14:05:00Z",
            "2026-11-23T14:05:00.0Z",
            "2026-11-23T14:05Z",
            "2026-11-23T14:05:60Z",
            "2026-02-29T00:00:00Z",
            "2026-11-23T14:05:00+00:00Z",
            "0000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "+002026-11-23T14:05:00Z",
        ] {
            assert!(Time::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_ends_hold() {
        for (text, unix) in [
            ("0001-01-01T00:00:00Z", FIRST),
            ("9998-12-31T23:59:59Z", LAST),
        ] {
            assert_eq!(Time::parse(text), Ok(Time(unix)));
            assert_eq!(Time::from_unix(unix).to_string(), text);
        }
        assert_eq!(Time::from_unix(i64::MAX) + 1, Time(LAST));
        assert_eq!(Time::from_unix(i64::MIN) - 1, Time(FIRST));
    }

    proptest! {
        #[test]
        fn printing_is_read_back(unix in FIRST..=LAST) {
            let time = Time::from_unix(unix);
            prop_assert_eq!(Time::parse(&time.to_string()), Ok(time));
        }
    }
}
