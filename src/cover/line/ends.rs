//! Edge: grants of gift credit come to their end.

use super::Renewals;
use crate::ledger::Command;
use crate::ledger::grants::Grant;
use crate::store::{Store, StoreError, Work};
use crate::terms::ids::PayerId;
use crate::terms::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Ends a payer's grants whose end has come by then.
///
/// # Errors
/// [`StoreError`]; what was ended before it stays ended.
pub async fn end_due(store: &Store, payer: &PayerId, at: Timestamp) -> Result<(), StoreError> {
    let due = |grant: &Grant| grant.is_due(at);
    for grant in store.grants(payer).await?.into_iter().filter(due) {
        let command = Command::PromoExpire {
            id: grant.id,
            payer: grant.payer,
            at,
        };
        store.submit(Work::of(command)).await?;
    }
    Ok(())
}

impl Renewals {
    /// Ends every grant whose end has come: of a payer for whom nothing runs too, and of one whom
    /// the policies name no more.
    pub(super) async fn end_grants(&self) {
        let now = self.clock.billing();
        let due = match self.store.grants_due(now).await {
            Ok(due) => due,
            Err(fault) => {
                tracing::error!(verb = "expire", %fault, "grants cannot be read");
                return;
            }
        };
        let payers: BTreeSet<PayerId> = due.into_iter().map(|grant| grant.payer).collect();
        for payer in payers {
            // What ran until the end is accrued first: it may be of the grant.
            if self.rules.load().profile_of(&payer).is_some() {
                self.renew_or_park(&payer).await;
            }
            if let Err(fault) = end_due(&self.store, &payer, now).await {
                tracing::error!(verb = "expire", %payer, %fault, "gift credit did not expire");
            }
        }
    }

    /// The last instants before grants of these payers end, where they were not renewed beyond
    /// them: a renewal of what ran across an end would count on what is over.
    pub(super) async fn before_ends(
        &self,
        chain: &[PayerId],
        now: Timestamp,
    ) -> Result<BTreeSet<Timestamp>, StoreError> {
        let due = self.store.grants_due(now).await?;
        if due.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut through = BTreeMap::new();
        for payer in chain {
            if let Some(state) = self.store.payer(payer).await? {
                through.insert(payer, state.accrued_through);
            }
        }
        let ends = due.iter().filter_map(|grant| {
            let last = grant.expires?.plus(-1);
            let known = through.get(&grant.payer)?;
            (last > *known).then_some(last)
        });
        Ok(ends.collect())
    }

    /// Ends what a renewal up to then may not count on.
    pub(super) async fn end_before(
        &self,
        chain: &[PayerId],
        through: Timestamp,
    ) -> Result<(), StoreError> {
        // One who was renewed further already sets the time of all.
        let mut at = through;
        for payer in chain {
            if let Some(state) = self.store.payer(payer).await? {
                at = at.max(state.accrued_through);
            }
        }
        for payer in chain {
            end_due(&self.store, payer, at).await?;
        }
        Ok(())
    }
}
