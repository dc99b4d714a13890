//! Pure: when a certificate ends, read from its DER (RFC 5280 §4.1), and nothing else of it.

use crate::terms::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// From when until when it is valid; none where the bytes are no certificate.
#[must_use]
pub fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (certificate, _) = value(der, SEQUENCE)?;
    let (mut signed, _) = value(certificate, SEQUENCE)?;
    if let Some((_, rest)) = value(signed, VERSION) {
        signed = rest;
    }
    let (_, rest) = value(signed, INTEGER)?;
    let (_algorithm, rest) = value(rest, SEQUENCE)?;
    let (_issuer, rest) = value(rest, SEQUENCE)?;
    let (validity, _) = value(rest, SEQUENCE)?;
    let (from, rest) = instant(validity)?;
    let (until, _) = instant(rest)?;
    Some((from, until))
}

/// The contents of the value with that tag at the start, and what follows it.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = digits.iter().try_fold(0_usize, |sum, digit| {
                sum.checked_mul(256)?.checked_add(usize::from(*digit))
            })?;
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// `YYMMDDhhmmssZ` (until 2049) or `YYYYMMDDhhmmssZ`.
fn instant(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (digits, rest) = match value(bytes, UTC_TIME) {
        Some((short, rest)) => {
            let century = if short.first()? < &b'5' { "20" } else { "19" };
            (
                format!("{century}{}", std::str::from_utf8(short).ok()?),
                rest,
            )
        }
        None => {
            let (long, rest) = value(bytes, GENERALIZED_TIME)?;
            (std::str::from_utf8(long).ok()?.to_owned(), rest)
        }
    };
    let digits = digits.strip_suffix('Z').filter(|d| d.len() == 14)?;
    let part = |from: usize, to: usize| digits.get(from..to)?.parse::<i64>().ok();
    let year = i16::try_from(part(0, 4)?).ok()?;
    let narrow = |value: Option<i64>| i8::try_from(value?).ok();
    let (month, day) = (narrow(part(4, 6))?, narrow(part(6, 8))?);
    let (hour, minute, second) = (
        narrow(part(8, 10))?,
        narrow(part(10, 12))?,
        narrow(part(12, 14))?,
    );
    let civil = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let at = civil.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some((Timestamp::from_seconds(at.as_second()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_time_are_read_and_others_are_not() {
        let time = |tag: u8, text: &str| {
            let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
            der.extend(text.bytes());
            instant(&der).map(|(at, _)| at.seconds())
        };
        assert_eq!(time(UTC_TIME, "261123000000Z"), Some(20_780 * 86_400));
        assert_eq!(
            time(GENERALIZED_TIME, "20261123000001Z"),
            Some(20_780 * 86_400 + 1)
        );
        assert_eq!(time(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(time(UTC_TIME, "2611230000Z"), None);
        assert_eq!(time(UTC_TIME, "261323000000Z"), None);
        assert_eq!(time(0x04, "261123000000Z"), None);
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_end() {
        for bytes in [
            &b""[..],
            b"\x30",
            b"\x30\x84\xff\xff\xff\xff",
            b"-----BEGIN",
            &[0x30; 64],
        ] {
            assert_eq!(validity(bytes), None);
        }
    }
}
