//! Pure: what happens as a prepaid customer's money ends: who is stopped in which order, how
//! hard, what is kept for how long, and whether anything is ever deleted.

use crate::policy::faults::Faults;
use crate::policy::shape;
use crate::terms::time::{HOUR, SECOND};

/// Who pays for storage after a stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetentionBy {
    /// The customer, beforehand: its price is part of holds and of the cover.
    Funded,
    /// The seller waits for it: it accrues and is owed.
    Granted,
}

/// The customer's and the operator's say in the end. Times in microseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// The tag of a machine whose number says when it is stopped: low numbers first.
    pub order_tag: String,
    /// The tag of machines that are stopped last of all.
    pub protect_tag: String,
    /// Stops that are under way at once.
    pub at_once: usize,
    /// How long after an orderly stop was sent a forced one follows; wall time.
    pub force_after: i64,
    /// How long after a failed stop it is sent again; wall time.
    pub retry_after: i64,
    /// No action so long after a start of the gate or an alarm of the clock; wall time.
    pub quiet: i64,
    /// Who pays for storage after a stop.
    pub retention_by: RetentionBy,
    /// How long after the stop stopped machines are deleted; never where none.
    pub delete_after: Option<i64>,
    /// Notices so long before a deletion, longest first.
    pub delete_notices: Vec<i64>,
    /// Whether a top-up starts what was stopped.
    pub restarts: bool,
}

impl Default for Ending {
    fn default() -> Self {
        Self {
            order_tag: "faregate.stop-order".to_owned(),
            protect_tag: "faregate.protected".to_owned(),
            at_once: 10,
            force_after: 300 * SECOND,
            retry_after: 60 * SECOND,
            quiet: 900 * SECOND,
            retention_by: RetentionBy::Funded,
            delete_after: None,
            delete_notices: vec![168 * HOUR, 24 * HOUR],
            restarts: false,
        }
    }
}

/// Reads what a `[[prepaid]]` says of the end. `retention` is how long storage is kept paid.
pub(super) fn read(shape: &shape::Prepaid, retention: i64, faults: &mut Faults<'_>) -> Ending {
    let mut ending = Ending {
        restarts: shape.restarts,
        ..Ending::default()
    };
    let times = [
        (&shape.stop_grace, "stop_grace", &mut ending.force_after),
        (&shape.retry_after, "retry_after", &mut ending.retry_after),
        (&shape.quiet, "quiet", &mut ending.quiet),
    ];
    for (text, what, place) in times {
        if let Some(read) = text.as_ref().and_then(|text| faults.duration(text, what)) {
            *place = read;
        }
    }
    let tags = [
        (&shape.stop_order_tag, &mut ending.order_tag),
        (&shape.protect_tag, &mut ending.protect_tag),
    ];
    for (text, place) in tags {
        if let Some(text) = text {
            place.clone_from(text);
        }
    }
    if let Some(count) = &shape.stops_at_once {
        match usize::try_from(*count.get_ref()) {
            Ok(at_once @ 1..=1_000) => ending.at_once = at_once,
            _ => {
                let what = format!("stops_at_once = {} is out of range", count.get_ref());
                faults.at(count.span().start, what, "write a number from 1 to 1000");
            }
        }
    }
    let words = [
        ("funded", RetentionBy::Funded),
        ("granted", RetentionBy::Granted),
    ];
    if let Some(text) = &shape.retention_by
        && let Some(word) = faults.word(text, &words)
    {
        ending.retention_by = word;
    }
    deletion(shape, retention, &mut ending, faults);
    ending
}

/// Deletion waits for the end of the retention, and for its own notices.
fn deletion(shape: &shape::Prepaid, retention: i64, ending: &mut Ending, faults: &mut Faults<'_>) {
    if let Some(notices) = &shape.delete_notices {
        ending.delete_notices = notices
            .iter()
            .filter_map(|text| faults.duration(text, "delete_notice"))
            .collect();
    }
    ending.delete_notices.sort_unstable_by(|a, b| b.cmp(a));
    let Some(text) = &shape.delete_after else {
        return;
    };
    let start = text.span().start;
    ending.delete_after = faults.duration(text, "delete_after");
    let Some(after) = ending.delete_after else {
        return;
    };
    if !shape.stops {
        let what = "delete_after without stops = true".to_owned();
        faults.at(start, what, "only what was stopped is ever deleted");
    }
    if after < retention {
        let what = format!(
            "delete_after `{}` is shorter than retention",
            text.get_ref()
        );
        faults.at(start, what, "write the same time or more");
    }
    if ending.delete_notices.is_empty() || ending.delete_notices.iter().any(|one| *one >= after) {
        let what = format!(
            "delete_notices do not all lie within delete_after `{}`",
            text.get_ref()
        );
        faults.at(
            start,
            what,
            "write at least one, each shorter than delete_after",
        );
    }
}
