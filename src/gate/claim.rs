//! Pure: what a planned call adds to what its payer has, and the things limits it has to keep.

use super::plan::Plan;
use crate::ledger::things::{Amounts, Bound, Claim, Measure, Things};
use crate::policy::customer::RuleSet;
use crate::policy::limits::{ThingLimit, things_of};
use crate::policy::tariff::Component;
use crate::rate::Planned;
use crate::terms::ids::PayerId;

/// What a plan adds: after less before, nothing where that is less than nothing.
#[must_use]
pub fn adds(plan: &Plan) -> Things {
    sums(&plan.after).beyond(&sums(&plan.before))
}

/// The claim of a call on what its payer may have.
#[must_use]
pub fn claim(rules: &RuleSet, payer: &PayerId, adds: &Things) -> Claim {
    let limits = things_of(&rules.things, payer);
    Claim {
        payer: payer.clone(),
        adds: adds.clone(),
        drawn: Things::default(),
        bounds: limits.into_iter().map(bound).collect(),
    }
}

fn sums(planned: &[Planned]) -> Things {
    let mut things = Things::default();
    for one in planned {
        let it = &one.attributes;
        let amounts = Amounts {
            pieces: it.count.max(1),
            vcpus: it.vcpus.unwrap_or_default(),
            memory_mib: it.memory_mib.unwrap_or_default(),
            bytes: it.size_bytes.unwrap_or_default(),
        };
        let zone = it.zone.as_deref().unwrap_or_default();
        things.add(one.usage_type.number(), zone, &amounts);
    }
    things
}

fn bound(limit: &ThingLimit) -> Bound {
    Bound {
        rule: limit.id.clone(),
        what: limit.component.name().to_owned(),
        usage_type: limit.component.usage_type(limit.basis).number(),
        zone: limit.zone.clone(),
        measure: measure(limit.component),
        divisor: limit.component.divisor(),
        most: limit.most,
        reason: limit.reason.clone(),
    }
}

const fn measure(component: Component) -> Measure {
    match component {
        Component::Vcpu => Measure::Vcpus,
        Component::RamGib => Measure::MemoryMib,
        _ if component.divisor() > 1 => Measure::Bytes,
        _ => Measure::Pieces,
    }
}
