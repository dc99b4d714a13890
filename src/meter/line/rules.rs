//! Edge: what a call does to the rules that start things without one.

use super::super::commitment::{self, CommitmentChange};
use super::super::observe::ObservedCall;
use super::{Meter, MeterFault, Settlement};
use crate::store::{Intent, IntentChange};
use crate::terms::ids::PayerId;

impl Meter {
    /// The commitments that a call's rules become, and those that it ends. A rule is its owner's,
    /// whoever called.
    pub(super) async fn commitments(
        &self,
        calls: &[ObservedCall<'_>],
        settlement: &Settlement,
    ) -> Result<Vec<CommitmentChange>, MeterFault> {
        let Some(last) = calls.last() else {
            return Ok(Vec::new());
        };
        let mut changes = commitment::ended(last);
        if !changes.is_empty() {
            // Most volumes and machines that go have no rule.
            let stand = self.store.commitments(None).await?;
            changes.retain(|change| match change {
                CommitmentChange::End { key, .. } => {
                    stand.iter().any(|it| CommitmentChange::ends(key, it))
                }
                _ => true,
            });
        }
        if settlement.rules.is_empty() {
            return Ok(changes);
        }
        let call = settlement.intents.first().map(|intent| match intent {
            IntentChange::Update { call, .. } | IntentChange::Insert(Intent { call, .. }) => *call,
        });
        let payer = self.payer_of(&last.owner, last.answered).await?;
        if let (Some(call), Some(payer)) = (call, payer) {
            changes.extend(commitment::made(&settlement.rules, last, (&payer, call)));
        }
        Ok(changes)
    }

    /// Whose cover is another once these are stored.
    pub(super) async fn payers_of(&self, changes: &[CommitmentChange]) -> Vec<PayerId> {
        let mut payers = Vec::new();
        let stand = match changes {
            [] => return payers,
            _ => self.store.commitments(None).await.unwrap_or_default(),
        };
        for change in changes {
            match change {
                CommitmentChange::Put(it) => payers.push(it.payer.clone()),
                CommitmentChange::Members { id, .. } => {
                    let of = stand.iter().filter(|it| it.id == *id);
                    payers.extend(of.map(|it| it.payer.clone()));
                }
                CommitmentChange::End { key, .. } => {
                    let of = stand.iter().filter(|it| CommitmentChange::ends(key, it));
                    payers.extend(of.map(|it| it.payer.clone()));
                }
            }
        }
        payers
    }
}
