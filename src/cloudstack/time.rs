//! Pure: instants as CloudStack prints and reads them: `2026-11-22T23:47:00+0000`.

use crate::terms::time::Timestamp;

/// The whole second of an instant, in UTC, as CloudStack prints it.
#[must_use]
pub fn print(instant: Timestamp) -> String {
    jiff::Timestamp::from_second(instant.seconds())
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string())
        .unwrap_or_default()
}

/// The instant of a printed second; none for any other form.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let at = jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text).ok()?;
    Some(Timestamp::from_micros(at.as_microsecond()))
}

/// A year that is no leap year, as 9998 and 9999 are.
const YEAR_MICROS: i64 = 365 * 86_400 * 1_000_000;

/// The instant of a client's `expires`, in the forms that CloudStack's `DateUtil.parseTZDateString`
/// was seen to accept; none for those it was seen to refuse.
#[must_use]
pub fn parse_expires(text: &str) -> Option<Timestamp> {
    let text = text.to_ascii_uppercase();
    let text = text
        .strip_suffix("+0000")
        .filter(|rest| rest.ends_with('Z'))
        .unwrap_or(&text);
    let (local, zone) = split_zone(text)?;
    let (date, clock) = local.split_once('T')?;
    let digits = |part: &str, sizes: &[usize], separator: char| {
        let parts: Vec<&str> = part.split(separator).collect();
        parts.len() == sizes.len()
            && parts.iter().zip(sizes).all(|(piece, size)| {
                piece.len() == *size && piece.bytes().all(|b| b.is_ascii_digit())
            })
    };
    let (whole, fraction) = clock
        .split_once('.')
        .map_or((clock, None), |(w, f)| (w, Some(f)));
    let is_fraction = fraction.is_none_or(|f| {
        let sizes = if zone.len() == 5 { 6..=6 } else { 1..=9 };
        sizes.contains(&f.len()) && f.bytes().all(|b| b.is_ascii_digit())
    });
    let has_seconds = digits(whole, &[2, 2, 2], ':');
    let is_clock = has_seconds || (digits(whole, &[2, 2], ':') && fraction.is_none());
    if !digits(date, &[4, 2, 2], '-') || !is_clock || !is_fraction || whole.starts_with("24") {
        return None;
    }
    if whole.ends_with(":60") && has_seconds {
        return None;
    }
    let seconds = if has_seconds { "" } else { ":00" };
    let offset = if zone == "Z" {
        "+00:00".to_owned()
    } else {
        with_colons(zone)?
    };
    let fraction = fraction.map(|f| format!(".{f}")).unwrap_or_default();
    // Clients write the last second of the year 9999 for "never", which is past what is read here.
    let (date, later) = match date.strip_prefix("9999") {
        Some(rest) => (format!("9998{rest}"), YEAR_MICROS),
        None => (date.to_owned(), 0),
    };
    let at: jiff::Timestamp = format!("{date}T{whole}{seconds}{fraction}{offset}")
        .parse()
        .ok()?;
    Some(Timestamp::from_micros(
        at.as_microsecond().checked_add(later)?,
    ))
}

/// Local part and zone: `Z`, `+hhmm`, `+hh:mm`, `+hh`, `+hh:mm:ss`.
fn split_zone(text: &str) -> Option<(&str, &str)> {
    if let Some(local) = text.strip_suffix('Z') {
        return Some((local, "Z"));
    }
    let at = text.rfind(['+', '-']).filter(|at| *at > 10)?;
    Some((text.get(..at)?, text.get(at..)?))
}

fn with_colons(zone: &str) -> Option<String> {
    let (sign, digits) = zone.split_at_checked(1)?;
    let plain: String = digits.chars().filter(|c| *c != ':').collect();
    if !plain.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match (plain.len(), digits.len()) {
        (2, 2) => Some(format!("{sign}{plain}:00")),
        (4, 4 | 5) => Some(format!("{sign}{}:{}", plain.get(..2)?, plain.get(2..)?)),
        (6, 8) if plain.ends_with("00") => {
            Some(format!("{sign}{}:{}", plain.get(..2)?, plain.get(2..4)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_second_reads_back() {
        let at = Timestamp::from_seconds(1_795_391_220);
        assert_eq!(parse(&print(at)), Some(at));
        assert_eq!(parse("2026-11-22T23:47:00"), None);
    }

    #[test]
    fn expires_is_read_in_the_forms_that_cloudstack_reads() {
        let accepted = [
            "2030-01-02T03:04:05+0000",
            "2030-01-02T03:04:05-0530",
            "2030-01-02T03:04:05Z",
            "2030-01-02t03:04:05z",
            "2030-01-02T03:04:05+00:00",
            "2030-01-02T03:04:05+05",
            "2030-01-02T03:04:05+00:00:00",
            "2030-01-02T03:04Z",
            "2030-01-02T03:04:05.1Z",
            "2030-01-02T03:04:05.123456789Z",
            "2030-01-02T03:04:05.123456+0000",
            "2030-01-02T03:04:05Z+0000",
            "9999-12-31T23:59:59Z",
        ];
        for text in accepted {
            assert!(parse_expires(text).is_some(), "{text}");
        }
        let refused = [
            "2030-01-02T03:04:05 0000",
            "2030-01-02T03:04:05",
            "2030-01-02T03:04:05.123+0000",
            "2030-01-02 03:04:05",
            "2030-1-2T3:4:5Z",
            "1893553445",
            "2030-01-02T24:00:00Z",
            "2030-01-02T03:04:60Z",
            "",
        ];
        for text in refused {
            assert!(parse_expires(text).is_none(), "{text}");
        }
    }
}
