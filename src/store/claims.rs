//! Edge: the claims of a group's works, decided one after the other as its commands are.

use super::work::Work;
use crate::ledger::LedgerRefusal;
use crate::ledger::things::{self, Things};
use crate::terms::ids::PayerId;
use std::collections::{BTreeMap, BTreeSet};

/// Payers whose works have limits to keep: only their sums are read.
pub(super) fn bounded<'a>(works: &[&'a Work]) -> BTreeSet<&'a PayerId> {
    let claims = works.iter().filter_map(|work| work.claim.as_ref());
    claims
        .filter(|claim| !claim.bounds.is_empty())
        .map(|claim| &claim.payer)
        .collect()
}

/// Whether a work keeps its limits beside what its payer has, the works before it included.
pub(super) fn admit(work: &Work, things: &BTreeMap<PayerId, Things>) -> Result<(), LedgerRefusal> {
    let Some(claim) = &work.claim else {
        return Ok(());
    };
    let none = Things::default();
    let has = things.get(&claim.payer).unwrap_or(&none);
    things::admit(claim, has).map_err(LedgerRefusal::from)
}

/// Lets what a work adds count for the works after it.
pub(super) fn absorb(work: &Work, things: &mut BTreeMap<PayerId, Things>) {
    if let Some(claim) = &work.claim {
        let has = things.entry(claim.payer.clone()).or_default();
        *has = has.beyond(&claim.drawn);
        has.add_all(&claim.adds);
    }
}
