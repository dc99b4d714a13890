//! Edge: what a renewal is computed from, as it is stored now.

use super::super::caps::{self, Capped};
use super::super::window::WEEK;
use super::{RenewalFault, Renewals};
use crate::ledger::records::{Accrual, PayerState};
use crate::meter::commitment::{self, Commitment};
use crate::meter::resource::Interval;
use crate::policy::customer::RuleSet;
use crate::terms::ids::PayerId;
use crate::terms::time::{BillingMonth, Period, Timestamp};

/// What a renewal is computed from.
pub(super) struct Facts {
    pub state: PayerState,
    pub accruals: Vec<Accrual>,
    pub intervals: Vec<Interval>,
    pub capped: Capped,
    /// Rules of his, and of those whom he supplies, that start things without a call.
    pub commitments: Vec<Commitment>,
}

impl Facts {
    /// What the rules may still start, as if it ran: each customer's own policy says how much.
    pub(super) fn kept(&self, rules: &RuleSet, now: Timestamp) -> Vec<Interval> {
        commitment::kept_of(&self.commitments, |it| {
            let mode = rules.commitments_of(&it.payer).of(it.rule.kind);
            it.as_running(mode, &self.intervals, now)
        })
    }
}

impl Renewals {
    pub(super) async fn load(
        &self,
        payer: &PayerId,
        (rules, zone): (&RuleSet, &str),
        through: Timestamp,
        from: Option<Timestamp>,
    ) -> Result<Option<Facts>, RenewalFault> {
        let Some(mut state) = self.store.payer(payer).await? else {
            return Err(RenewalFault::NoCustomer(payer.clone()));
        };
        state.accrued_through = from.map_or(state.accrued_through, |from| {
            from.min(state.accrued_through)
        });
        let first = BillingMonth::containing(state.accrued_through, zone)?;
        let last = BillingMonth::containing(through.max(state.accrued_through), zone)?;
        let (capped, since) = self.capped(payer, rules, through).await?;
        let since = BillingMonth::containing(since, zone)?;
        let mut start = first.period()?.start.min(since.period()?.start);
        let book = rules.book_of(payer);
        if book.is_some_and(|book| self.windows.needs_a_week(book)) {
            start = start.min(through.plus(-WEEK));
        }
        let end = last.period()?.end;
        let mut months = vec![first];
        while let Some(month) = months.last().filter(|month| **month < last) {
            months.push(month.next());
        }
        let period = Period { start, end };
        let of = rules.supplied_through(payer);
        let read = self.store.renewable(payer, &of, &months, period).await?;
        let Some(read) = read else {
            return Err(RenewalFault::NoCustomer(payer.clone()));
        };
        // What was asked before belongs to the same figures, or it is all asked again.
        if read.state.version != state.version {
            return Ok(None);
        }
        let intervals = read.intervals.into_iter();
        let accrued_through = state.accrued_through;
        Ok(Some(Facts {
            state: PayerState {
                accrued_through,
                ..read.state
            },
            accruals: read.accruals,
            intervals: intervals.map(|stored| stored.interval).collect(),
            capped,
            commitments: read.commitments,
        }))
    }

    /// What counts in caps, and since when its cost matters; nothing where no cap is written.
    async fn capped(
        &self,
        payer: &PayerId,
        rules: &RuleSet,
        through: Timestamp,
    ) -> Result<(Capped, Timestamp), RenewalFault> {
        if rules.caps.is_empty() {
            return Ok((Capped::default(), through));
        }
        let since = caps::earliest(&rules.caps, through)?;
        let capped = Capped {
            resources: self.store.capped_resources(payer, since).await?,
            shares: self.store.cap_shares(payer).await?,
        };
        let since = if capped == Capped::default() {
            through
        } else {
            since
        };
        Ok((capped, since))
    }
}
