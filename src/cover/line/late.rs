//! Edge: renewals with samples that came after their time.

use super::Renewals;
use crate::ledger::records::PayerState;
use crate::terms::ids::PayerId;
use crate::terms::time::{BillingMonth, Timestamp};

impl Renewals {
    /// Renews a payer whose samples came, the oldest of them of `since`: also in a month that he
    /// was renewed beyond already. One that cannot be renewed is parked.
    pub async fn take_samples(&self, payer: &PayerId, since: Timestamp) {
        self.renew_or_park(payer).await;
        let before = self.store.payer(payer).await;
        let late = matches!(before, Ok(Some(state)) if self.is_of_an_earlier_month(&state, since));
        if late && !self.halted() {
            let _turn = self.one_at_a_time.lock().await;
            let outcome = self.renew(payer, self.clock.billing(), Some(since)).await;
            self.note(payer, outcome);
        }
    }

    fn is_of_an_earlier_month(&self, state: &PayerState, since: Timestamp) -> bool {
        let rules = self.rules.load();
        let Some(terms) = rules.terms_of(&state.payer) else {
            return false;
        };
        let month = |at| BillingMonth::containing(at, &terms.zone).ok();
        month(since) < month(state.accrued_through)
    }
}
