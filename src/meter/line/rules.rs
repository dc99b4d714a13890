//! Edge: what a call does to the rules that start things without one.

use super::super::commitment::{self, Changes, CommitmentChange};
use super::super::observe::ObservedCall;
use super::{Meter, MeterFault, Settlement};
use crate::store::{Intent, IntentChange};
use crate::terms::ids::PayerId;
use std::collections::BTreeSet;

impl Meter {
    /// The commitments that a call's rules become, and those that it ends. A rule is its owner's,
    /// whoever called.
    pub(super) async fn commitments(
        &self,
        calls: &[ObservedCall<'_>],
        settlement: &Settlement,
    ) -> Result<Changes, MeterFault> {
        let mut found = Changes::default();
        let Some(last) = calls.last() else {
            return Ok(found);
        };
        let ends = commitment::ended(last);
        if !ends.is_empty() {
            // Most volumes and machines that go have no rule.
            let stand = self.store.commitments(None).await?;
            for change in ends {
                let theirs = stand.iter().filter(|it| match &change {
                    CommitmentChange::End { key, .. } => CommitmentChange::ends(key, it),
                    _ => true,
                });
                let payers: BTreeSet<PayerId> = theirs.map(|it| it.payer.clone()).collect();
                if !payers.is_empty() {
                    found.payers.extend(payers);
                    found.changes.push(change);
                }
            }
        }
        if settlement.rules.is_empty() {
            return Ok(found);
        }
        let call = settlement.intents.first().map(|intent| match intent {
            IntentChange::Update { call, .. } | IntentChange::Insert(Intent { call, .. }) => *call,
        });
        let payer = self.payer_of(&last.owner, last.answered).await?;
        if let (Some(call), Some(payer)) = (call, payer) {
            for change in commitment::made(&settlement.rules, last, (&payer, call)) {
                found.add(&payer, change);
            }
        }
        Ok(found)
    }
}
