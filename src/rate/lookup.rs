//! Pure: which price lines price a meter, and how many units of them it has.

use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::Attributes;
use crate::policy::tariff::{Basis, BookVersion, Component, Match, PriceLine};
use std::collections::BTreeMap;

/// What a version of a book says about a meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pricing<'a> {
    /// These lines (none where a VM's price stands on its other meter).
    Priced(Vec<&'a PriceLine>),
    /// No line fits: the meter has no price, which is something else than being free.
    Unpriced,
}

/// The lines of a version that count this meter: for each component and basis the one that names
/// most of the meter's keys, and every surcharge that fits. The parts of a VM may be priced on
/// either of its two meters: it is priced if any of them fits.
#[must_use]
pub fn pricing<'a>(
    version: &'a BookVersion,
    usage_type: UsageType,
    attributes: &Attributes,
) -> Pricing<'a> {
    let of_vm = matches!(usage_type, UsageType::RunningVm | UsageType::AllocatedVm);
    let mut any = false;
    let mut best: BTreeMap<(Component, Basis), &PriceLine> = BTreeMap::new();
    let mut lines = Vec::new();
    for line in &version.lines {
        let counted = line.component.usage_type(line.basis) == usage_type;
        let related = counted || (of_vm && line.component.is_of_vm());
        if !related || !fits(&line.matches, attributes) {
            continue;
        }
        any = true;
        if !counted {
            continue;
        }
        if line.surcharge {
            lines.push(line);
            continue;
        }
        let place = best.entry((line.component, line.basis)).or_insert(line);
        if line.matches.keys() > place.matches.keys() {
            *place = line;
        }
    }
    lines.extend(best.into_values());
    if any {
        Pricing::Priced(lines)
    } else {
        Pricing::Unpriced
    }
}

fn fits(wanted: &Match, attributes: &Attributes) -> bool {
    let text = |wanted: &Option<String>, has: &Option<String>| wanted.is_none() || wanted == has;
    text(&wanted.offering, &attributes.offering)
        && text(&wanted.zone, &attributes.zone)
        && text(&wanted.template, &attributes.template)
        && text(&wanted.state, &attributes.state)
        && wanted
            .source_nat
            .is_none_or(|wanted| wanted == attributes.source_nat)
}

/// Metered units (vCPUs, MiB, bytes, operations, pieces) of a component; the name of what is
/// missing where the meter does not say.
pub fn units(component: Component, attributes: &Attributes) -> Result<i64, &'static str> {
    match component {
        Component::Vcpu => attributes.vcpus.ok_or("number of vCPUs"),
        Component::RamGib => attributes.memory_mib.ok_or("memory"),
        _ if component.is_amount() => Ok(attributes.count),
        _ if component.divisor() > 1 => attributes.size_bytes.ok_or("size"),
        _ => Ok(attributes.count.max(1)),
    }
}
