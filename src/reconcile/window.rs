//! Pure: the usage server's windows, and how to ask for them without falling into its date traps.
//!
//! A window is `[start, end)` here; CloudStack prints its last second instead. Windows differ in
//! length: after an outage, and where a remainder is merged, they are longer than the range; so
//! the length is read from each record. CloudStack reads a date without an offset, and one with
//! milliseconds, as the whole day, without an error: [`query_date`] writes the only form that is
//! read exactly whatever the server's own zone is.

use crate::terms::time::{Period, SECOND, Timestamp};

/// A window's two dates for `listUsageRecords`: both inclusive, whole seconds.
#[must_use]
pub fn query_dates(window: Period) -> (String, String) {
    let last = window.end.plus(-SECOND);
    (query_date(window.start), query_date(last))
}

/// An instant as `2026-11-22T23:47:00+0000`, cut to the second.
#[must_use]
pub fn query_date(at: Timestamp) -> String {
    let cut = Timestamp::from_seconds(at.seconds()).to_string();
    format!("{}+0000", cut.trim_end_matches('Z'))
}

/// Why the windows of a reading cannot be taken for the whole period.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WindowFault {
    /// No record of anything lies here: the server was down, or nothing ran at all.
    Gap(Period),
    /// Two windows overlap: read twice in different cuts, or a rewound job.
    Overlap(Period, Period),
}

/// The distinct windows of records, in order.
#[must_use]
pub fn distinct(windows: impl IntoIterator<Item = Period>) -> Vec<Period> {
    let mut found: Vec<Period> = windows.into_iter().collect();
    found.sort();
    found.dedup();
    found
}

/// Gaps and overlaps between ordered windows.
#[must_use]
pub fn faults(ordered: &[Period]) -> Vec<WindowFault> {
    let mut found = Vec::new();
    for pair in ordered.windows(2) {
        let [one, next] = pair else { continue };
        if next.start > one.end {
            found.push(WindowFault::Gap(Period {
                start: one.end,
                end: next.start,
            }));
        } else if next.start < one.end {
            found.push(WindowFault::Overlap(*one, *next));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_asked_for_by_its_first_and_last_second_with_an_offset() {
        let start = Timestamp::from_seconds(1_795_391_220);
        let window = Period {
            start,
            end: start.plus(60 * SECOND),
        };
        let asked = query_dates(window);
        assert_eq!(asked.0, "2026-11-22T23:47:00+0000");
        assert_eq!(asked.1, "2026-11-22T23:47:59+0000");
        assert_eq!(query_date(start.plus(999_000)), asked.0);
    }

    #[test]
    fn windows_of_differing_length_follow_each_other_without_a_fault() {
        let at = |second| Timestamp::from_seconds(second);
        let window = |start, end| Period {
            start: at(start),
            end: at(end),
        };
        let windows = [window(0, 76), window(76, 136), window(136, 256)];
        assert_eq!(faults(&windows), []);
        let broken = [window(0, 60), window(120, 180), window(150, 210)];
        assert_eq!(faults(&broken).len(), 2);
    }
}
