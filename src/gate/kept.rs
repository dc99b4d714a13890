//! Edge: what the cover keeps already for the rules that a call changes: the call pays for the
//! rest alone.

use super::line::Gate;
use super::plan::Plan;
use super::refusal::Refusal;
use crate::meter::commitment::{self, Rule};
use crate::meter::resource::Interval;
use crate::terms::ids::PayerId;

/// The plan, with what is kept for its rules among what there is before it.
pub(super) async fn without_what_is_kept(
    gate: &Gate,
    payer: &PayerId,
    mut plan: Plan,
) -> Result<Plan, Refusal> {
    // While the books are away, nothing can be looked up; the call pays for all of it.
    if plan.rules.is_empty() || gate.store.is_away() {
        return Ok(plan);
    }
    let kept = gate
        .store
        .commitments(Some(std::slice::from_ref(payer)))
        .await;
    let mut kept = kept.map_err(|fault| Refusal::StoreAway(fault.to_string()))?;
    kept.retain(|it| {
        let same = |rule: &Rule| {
            rule.kind == it.rule.kind
                && (rule.id.as_ref() == Some(&it.id)
                    || !rule.of.is_empty() && rule.of == it.rule.of)
        };
        plan.rules.iter().any(same)
    });
    if kept.is_empty() {
        return Ok(plan);
    }
    let open: Vec<Interval> = gate.meter.running().await;
    let modes = gate.rules.load().commitments_of(payer);
    let more = commitment::kept_of(&kept, |it| it.paid(modes.of(it.rule.kind), &open));
    plan.before.extend(more);
    Ok(plan)
}
