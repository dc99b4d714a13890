//! Pure: what the usage server is known to get wrong, recognised by its own marks.

use super::{Cause, Context, Group, counted};
use crate::cloudstack::usage_type::UsageType;
use crate::meter::inventory::ByItself;
use crate::meter::resource::Interval;
use crate::terms::time::Period;

/// A known fault behind a difference in seconds.
pub(super) fn known(
    group: &Group<'_>,
    windows: &[Period],
    tolerance: i64,
    context: &Context<'_>,
) -> Option<Cause> {
    let apart = group.metered() - group.reported();
    let own = |window: &&Period| {
        let mut starts = group.records.iter().map(|record| record.window.start);
        starts.any(|start| window.contains(start))
    };
    let longest = windows
        .iter()
        .filter(own)
        .map(Period::micros)
        .max()
        .unwrap_or(0);
    let is = |amount: i64| amount > 0 && (apart - amount).abs() <= tolerance;
    match group.usage_type {
        UsageType::Template if group.records.is_empty() && !has_size(group) => {
            Some(Cause::TemplateWithoutSize)
        }
        UsageType::VpnUsers if apart < 0 && -apart <= longest + tolerance => {
            Some(Cause::VpnUserEndsLate)
        }
        UsageType::VmSnapshot
            if !group.records.is_empty() && apart.abs() <= longest + tolerance =>
        {
            Some(Cause::VmSnapshotByWindow)
        }
        UsageType::NetworkOffering if is(free_nics(group)) => Some(Cause::NicRemovalEndsAll),
        UsageType::AllocatedVm if is(overwritten(group, windows)) => {
            Some(Cause::LiveScaleOverwritesAllocation)
        }
        _ => None,
    }
    .or_else(|| {
        let hidden = |why: &ByItself| *why == ByItself::Hidden;
        (apart > 0 && marked(group, context, hidden)).then_some(Cause::HiddenVm)
    })
}

fn has_size(group: &Group<'_>) -> bool {
    let mut sizes = group
        .intervals
        .iter()
        .filter_map(|(open, _)| open.attributes.size_bytes);
    sizes.any(|size| size > 0)
}

/// Pairs of intervals of which the second starts where the first ends.
fn cuts<'g, 'a>(
    group: &'g Group<'a>,
) -> impl Iterator<Item = ((&'g Interval, Period), (&'g Interval, Period))> {
    let all = group.intervals.iter();
    all.flat_map(move |(one, part)| {
        let follows = move |(next, _): &&(&'a Interval, Period)| {
            one.end.is_some_and(|end| end.at == next.start.at) && !std::ptr::eq(*one, *next)
        };
        let next = group.intervals.iter().filter(follows);
        next.map(move |(next, cut)| ((*one, *part), (*next, *cut)))
    })
}

/// After one of several NICs on an offering is gone the others are free until they start anew.
fn free_nics(group: &Group<'_>) -> i64 {
    cuts(group)
        .filter(|((one, _), (next, _))| next.attributes.count < one.attributes.count)
        .map(|(_, (next, part))| counted(next, part))
        .sum()
}

/// The job's period before a live scale, of what was allocated all that time.
fn overwritten(group: &Group<'_>, windows: &[Period]) -> i64 {
    cuts(group)
        .filter(|((one, _), (next, _))| one.attributes.offering != next.attributes.offering)
        .filter_map(|((_, part), (next, _))| {
            let window = windows
                .iter()
                .find(|window| window.contains(next.start.at))?;
            Some(part.intersect(window)?.micros())
        })
        .sum()
}

/// The seconds agree, but not those of each offering.
pub(super) fn in_agreement(group: &Group<'_>, tolerance: i64) -> Option<Cause> {
    let cause = match group.usage_type {
        UsageType::RunningVm | UsageType::AllocatedVm => Cause::LiveScaleKeepsOldOffering,
        UsageType::Volume => Cause::VolumeOfferingNotReported,
        _ => return None,
    };
    let changed = cuts(group)
        .any(|((one, _), (next, _))| one.attributes.offering != next.attributes.offering);
    let offerings: Vec<&str> = group
        .intervals
        .iter()
        .filter_map(|(open, _)| open.attributes.offering.as_deref())
        .collect();
    let off = offerings.iter().any(|offering| {
        let metered: i64 = group
            .intervals
            .iter()
            .filter(|(open, _)| open.attributes.offering.as_deref() == Some(offering))
            .map(|(open, part)| counted(open, *part))
            .sum();
        let reported: i64 = group
            .records
            .iter()
            .filter(|record| record.offering.as_deref() == Some(offering))
            .filter_map(|record| record.micros())
            .sum();
        (metered - reported).abs() > tolerance
    });
    (changed && off && group.records.iter().all(|record| record.offering.is_some()))
        .then_some(cause)
}

/// Something of this group was marked so: itself, its VM, or, for what no call made, its owner.
fn marked(group: &Group<'_>, context: &Context<'_>, why: impl Fn(&ByItself) -> bool) -> bool {
    let vm = group
        .intervals
        .iter()
        .find_map(|(open, _)| open.attributes.vm.clone());
    context.by_itself.iter().any(|(cause, what, _)| {
        let thing = what
            .as_ref()
            .is_some_and(|what| what.as_str() == group.resource || Some(what) == vm.as_ref());
        why(cause) && thing
    })
}

/// What changes without a call explains what the meter did not see.
pub(super) fn by_itself(group: &Group<'_>, context: &Context<'_>) -> Option<Cause> {
    let of = |kind: ByItself| move |why: &ByItself| *why == kind;
    let owners = |kind: ByItself| {
        context.by_itself.iter().any(|(why, _, owner)| {
            let same = owner.project == group.owner.project
                && owner.domain == group.owner.domain
                && (owner.project.is_some() || owner.account_name == group.owner.account_name);
            *why == kind && same
        })
    };
    let unseen = group.intervals.is_empty();
    let of_vm = matches!(
        group.usage_type,
        UsageType::RunningVm
            | UsageType::AllocatedVm
            | UsageType::NetworkOffering
            | UsageType::Volume
    );
    if marked(group, context, of(ByItself::OwnerEnded)) {
        Some(Cause::OwnerDeleted)
    } else if marked(group, context, of(ByItself::Schedule)) {
        Some(Cause::VmSchedule)
    } else if unseen && group.usage_type == UsageType::Snapshot && owners(ByItself::SnapshotPolicy)
    {
        Some(Cause::SnapshotPolicy)
    } else if unseen && of_vm && owners(ByItself::Autoscale) {
        Some(Cause::Autoscale)
    } else {
        None
    }
}
