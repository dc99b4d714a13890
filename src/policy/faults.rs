//! Pure: faults of policy files with their place, and the small readers that find them.

use jiff::civil;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use toml::Spanned;
use toml::value::Datetime;

use crate::terms::money::Currency;
use crate::terms::time::{HOUR, SECOND, Timestamp};

/// One thing wrong in a policy file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
#[error("{file}:{line}: {what}; {instead}")]
pub struct PolicyFault {
    /// Path of the file.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong, with the value.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

/// Collects the faults of one file.
pub(super) struct Faults<'a> {
    pub file: &'a str,
    pub text: &'a str,
    pub found: &'a mut Vec<PolicyFault>,
}

impl Faults<'_> {
    /// Notes a fault at a byte offset.
    pub fn at(&mut self, offset: usize, what: String, instead: &str) {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or("");
        self.found.push(PolicyFault {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            what,
            instead: instead.to_owned(),
        });
    }

    /// A decimal that is not negative.
    pub fn amount(&mut self, text: &Spanned<String>, what: &str) -> Option<Decimal> {
        let start = text.span().start;
        let Ok(value) = Decimal::from_str_exact(text.get_ref()) else {
            let fault = format!("{what} `{}` is not a decimal", text.get_ref());
            self.at(start, fault, "write digits in quotes, for example \"0.36\"");
            return None;
        };
        if value.is_sign_negative() && !value.is_zero() {
            let fault = format!("{what} `{}` is negative", text.get_ref());
            self.at(
                start,
                fault,
                "write nothing or more; a discount is a lower price",
            );
            return None;
        }
        Some(value)
    }

    /// A duration in microseconds: `90s`, `5m`, `1h`, `3d`.
    pub fn duration(&mut self, text: &Spanned<String>, what: &str) -> Option<i64> {
        let written = text.get_ref();
        let read = written
            .char_indices()
            .last()
            .and_then(|(at, unit)| {
                let factor = match unit {
                    's' => SECOND,
                    'm' => 60 * SECOND,
                    'h' => HOUR,
                    'd' => 24 * HOUR,
                    _ => return None,
                };
                written.get(..at)?.parse::<u32>().ok().map(|n| (n, factor))
            })
            .and_then(|(count, factor)| i64::from(count).checked_mul(factor));
        if read.is_none() {
            let fault = format!("{what} `{written}` is not a duration");
            self.at(text.span().start, fault, "write 90s, 5m, 1h or 3d");
        }
        read
    }

    /// A currency.
    pub fn currency(&mut self, text: &Spanned<String>) -> Option<Currency> {
        let read = text.get_ref().parse();
        if read.is_err() {
            let fault = format!("currency `{}` is not known", text.get_ref());
            self.at(
                text.span().start,
                fault,
                "write a code of ISO 4217, for example EUR",
            );
        }
        read.ok()
    }

    /// A time zone of the IANA database.
    pub fn zone(&mut self, text: &Spanned<String>) -> Option<TimeZone> {
        let read = TimeZone::get(text.get_ref());
        if read.is_err() {
            let fault = format!("time zone `{}` is not known", text.get_ref());
            self.at(
                text.span().start,
                fault,
                "write a name like Europe/Berlin or UTC",
            );
        }
        read.ok()
    }

    /// An instant: a date (midnight in the zone) or a date-time with its offset.
    pub fn instant(&mut self, date: &Spanned<Datetime>, zone: &TimeZone) -> Option<Timestamp> {
        let read = instant_of(date.get_ref(), zone);
        if read.is_none() {
            let fault = format!("`{}` is not an instant", date.get_ref());
            let instead = "write 2026-01-01, or 2026-01-01T00:00:00+01:00 with its offset";
            self.at(date.span().start, fault, instead);
        }
        read
    }

    /// One word of a list.
    pub fn word<T: Copy>(&mut self, text: &Spanned<String>, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| word == text.get_ref());
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let fault = format!("`{}` is not one of the words known here", text.get_ref());
            let instead = format!("write one of: {}", known.join(", "));
            self.at(text.span().start, fault, &instead);
        }
        found.map(|(_, value)| *value)
    }
}

fn instant_of(written: &Datetime, zone: &TimeZone) -> Option<Timestamp> {
    let text = written.to_string();
    if written.offset.is_some() {
        let at: jiff::Timestamp = text.parse().ok()?;
        return Some(Timestamp::from_micros(at.as_microsecond()));
    }
    written.date?;
    let local: civil::DateTime = if written.time.is_some() {
        text.parse().ok()?
    } else {
        text.parse::<civil::Date>()
            .ok()?
            .to_datetime(civil::Time::midnight())
    };
    let zoned = local.to_zoned(zone.clone()).ok()?;
    Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
}
