//! Edge: caps that renewals found used up, for the ladder of those that stop.

use super::Renewals;
use crate::ledger::caps::Cap;
use crate::policy::caps::by_name;
use crate::policy::customer::RuleSet;
use crate::terms::ids::CapId;
use std::collections::BTreeSet;
use std::sync::PoisonError;

impl Renewals {
    /// Caps with `stops` that were used up when a renewal last looked. After a start each payer's
    /// next renewal finds his again.
    #[must_use]
    pub fn used_up(&self) -> BTreeSet<CapId> {
        self.used_up
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn note_used_up(&self, rules: &RuleSet, rows: &[Cap]) {
        let mut noted = self.used_up.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let cap = by_name(&rules.caps, row.id.as_str()).filter(|cap| cap.stops);
            let over = |most| row.used().is_ok_and(|used| used > most);
            match cap.is_some_and(|cap| over(cap.most)) {
                true => noted.insert(row.id.clone()),
                false => noted.remove(&row.id),
            };
        }
    }
}
