//! Pure: instants, half-open periods, and months of a named time zone.
//!
//! Pure code takes `now` as an argument; only `clock.rs` reads a clock.

use jiff::civil;
use jiff::tz::TimeZone;
use std::fmt;

/// Microseconds of one second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of one hour.
pub const HOUR: i64 = 3_600 * SECOND;

/// An instant: microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant so many microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// The instant so many seconds after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(SECOND))
    }
    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }
    /// Whole seconds since the epoch, cut, never rounded (as CloudStack prints them).
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND)
    }
    /// The instant so many microseconds later, held at the ends of the range.
    #[must_use]
    pub const fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
    /// Microseconds from `earlier` to this.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A half-open stretch of time, `[start, end)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Period {
    /// First instant in it.
    pub start: Timestamp,
    /// First instant after it.
    pub end: Timestamp,
}

impl Period {
    /// Microseconds it lasts; nothing where it ends before it starts.
    #[must_use]
    pub fn micros(&self) -> i64 {
        self.end.since(self.start).max(0)
    }
    /// What both have in common, if anything.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let both = Self {
            start: self.start.max(other.start),
            end: self.end.min(other.end),
        };
        (both.start < both.end).then_some(both)
    }
    /// Whether the instant is in it.
    #[must_use]
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }
}

/// Why a month could not be named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MonthError {
    /// The zone is not in the time zone database.
    #[error("`{0}` is not a time zone of the IANA database (for example Europe/Berlin)")]
    UnknownZone(String),
    /// Not of the form 2026-11.
    #[error("`{0}` is not a month of the form 2026-11")]
    NotAMonth(String),
}

/// A calendar month in a seller's named zone. Its period is stored when it is used, so that a
/// later change of the zone database moves nothing that was billed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BillingMonth {
    year: i16,
    month: i8,
    zone: String,
}

impl BillingMonth {
    /// The month that holds the instant. Refuses an unknown zone.
    pub fn containing(instant: Timestamp, zone: &str) -> Result<Self, MonthError> {
        let tz = zone_named(zone)?;
        let at = jiff::Timestamp::from_microsecond(instant.micros())
            .map_err(|_| MonthError::NotAMonth(instant.to_string()))?;
        let local = tz.to_datetime(at);
        Ok(Self {
            year: local.year(),
            month: local.month(),
            zone: zone.to_owned(),
        })
    }
    /// The month written `2026-11`. Refuses another form and an unknown zone.
    pub fn parse(text: &str, zone: &str) -> Result<Self, MonthError> {
        zone_named(zone)?;
        let fault = || MonthError::NotAMonth(text.to_owned());
        let (year, month) = text.split_once('-').ok_or_else(fault)?;
        let year: i16 = year.parse().map_err(|_| fault())?;
        let month: i8 = month.parse().map_err(|_| fault())?;
        civil::Date::new(year, month, 1).map_err(|_| fault())?;
        Ok(Self {
            year,
            month,
            zone: zone.to_owned(),
        })
    }
    /// The name of its time zone.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }
    /// Its two instants. Refuses an unknown zone.
    pub fn period(&self) -> Result<Period, MonthError> {
        Ok(Period {
            start: self.first_instant()?,
            end: self.next().first_instant()?,
        })
    }
    /// The month after.
    #[must_use]
    pub fn next(&self) -> Self {
        let (year, month) = if self.month == 12 {
            (self.year + 1, 1)
        } else {
            (self.year, self.month + 1)
        };
        Self {
            year,
            month,
            zone: self.zone.clone(),
        }
    }
    fn first_instant(&self) -> Result<Timestamp, MonthError> {
        let fault = || MonthError::NotAMonth(self.to_string());
        let first = civil::Date::new(self.year, self.month, 1).map_err(|_| fault())?;
        let zoned = first
            .to_zoned(zone_named(&self.zone)?)
            .map_err(|_| fault())?;
        Ok(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
    }
}

impl fmt::Display for BillingMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

fn zone_named(zone: &str) -> Result<TimeZone, MonthError> {
    TimeZone::get(zone).map_err(|_| MonthError::UnknownZone(zone.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_with_a_change_of_clocks_is_an_hour_longer_or_shorter() {
        let hours = |text| {
            BillingMonth::parse(text, "Europe/Berlin")
                .unwrap()
                .period()
                .unwrap()
                .micros()
                / HOUR
        };
        assert_eq!(
            [hours("2026-03"), hours("2026-10"), hours("2026-11")],
            [743, 745, 720]
        );
    }

    #[test]
    fn months_follow_each_other_without_a_gap() {
        let december = BillingMonth::parse("2026-12", "America/New_York").unwrap();
        assert_eq!(
            december.period().unwrap().end,
            december.next().period().unwrap().start
        );
        assert_eq!(december.next().to_string(), "2027-01");
    }
}
