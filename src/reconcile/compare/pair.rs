//! Pure: which records belong to which meter.
//!
//! Most records name the thing. Networks and VPCs name an internal number only, rules and VPN users
//! lose their id once they are gone, and root volumes and source NAT addresses may be metered
//! before their id is known. Those are matched by name, then by when they lived, then by sum.

use super::super::record::UsageRecord;
use super::Group;
use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::{Interval, Owner};
use crate::terms::time::{Period, SECOND, Timestamp};
use std::collections::BTreeMap;

/// Lives that far apart may still be one: borders of both sides are known to some seconds.
const NEAR: i64 = 10 * SECOND;

/// An owner as both sides can name him: the project, else account name and domain.
fn label(owner: &Owner) -> (String, String) {
    match (&owner.project, &owner.account_name, &owner.account) {
        (Some(project), _, _) => (project.to_string(), String::new()),
        (None, Some(name), _) => (name.clone(), owner.domain.to_string()),
        (None, None, id) => {
            let id = id.as_ref().map(ToString::to_string);
            (id.unwrap_or_default(), owner.domain.to_string())
        }
    }
}

/// Type, owner, thing, part.
type Key = (UsageType, (String, String), String, String);

/// Every meter with its records, every record with its meter, each in one group at most.
pub(super) fn groups<'a>(
    intervals: &'a [Interval],
    records: &[&'a UsageRecord],
    period: Period,
) -> Vec<Group<'a>> {
    let mut metered: BTreeMap<Key, Group<'a>> = BTreeMap::new();
    for interval in intervals {
        let Some(part) = part_of(interval, period) else {
            continue;
        };
        let meter = &interval.meter;
        let thing = meter.resource.to_string();
        let key = (
            meter.usage_type,
            label(&interval.owner),
            thing.clone(),
            meter.part.clone(),
        );
        let fresh = || empty(meter.usage_type, thing, &interval.owner);
        let group = metered.entry(key).or_insert_with(fresh);
        group.name.clone_from(&interval.attributes.name);
        group.intervals.push((interval, part));
    }
    let mut reported: BTreeMap<Key, Group<'a>> = BTreeMap::new();
    for record in records {
        let thing = record.resource.as_ref().map(ToString::to_string);
        let thing = thing
            .or_else(|| record.described.clone())
            .unwrap_or_default();
        let key = (
            record.usage_type,
            label(&record.owner),
            thing.clone(),
            record.part.clone(),
        );
        let fresh = || empty(record.usage_type, thing, &record.owner);
        let group = reported.entry(key).or_insert_with(fresh);
        group.name = record.described.clone().unwrap_or_default();
        group.records.push(record);
    }
    let mut done = Vec::new();
    by_id(&mut metered, &mut reported, &mut done);
    by_name(&mut metered, &mut reported, &mut done);
    by_life(&mut metered, &mut reported, &mut done);
    by_reuse(&mut metered, &mut done);
    by_sum(&mut metered, &mut reported, &mut done);
    by_lost_id(&mut reported, &mut done);
    done.extend(metered.into_values().chain(reported.into_values()));
    done
}

/// The part in the period. What lasted no time at all is kept: it may have a record of a second.
fn part_of(interval: &Interval, period: Period) -> Option<Period> {
    let instant = Period {
        start: interval.start.at,
        end: interval.start.at,
    };
    let none = interval.end.is_some_and(|end| end.at <= interval.start.at);
    let inside = none && period.contains(instant.start);
    interval.within(period).or(inside.then_some(instant))
}

fn empty<'a>(usage_type: UsageType, resource: String, owner: &Owner) -> Group<'a> {
    Group {
        usage_type,
        resource,
        name: String::new(),
        owner: owner.clone(),
        intervals: Vec::new(),
        records: Vec::new(),
    }
}

type Side<'a> = BTreeMap<Key, Group<'a>>;

fn by_id<'a>(metered: &mut Side<'a>, reported: &mut Side<'a>, done: &mut Vec<Group<'a>>) {
    let both: Vec<Key> = metered
        .keys()
        .filter(|key| reported.contains_key(*key))
        .cloned()
        .collect();
    for key in both {
        join(metered, &key, reported, &key, done);
    }
}

fn join<'a>(
    metered: &mut Side<'a>,
    ours: &Key,
    reported: &mut Side<'a>,
    theirs: &Key,
    done: &mut Vec<Group<'a>>,
) {
    if let (Some(mut group), Some(other)) = (metered.remove(ours), reported.remove(theirs)) {
        group.records = other.records;
        if group.name.is_empty() {
            group.name = other.name;
        }
        done.push(group);
    }
}

/// A volume whose id is not known yet has its deployment's name, `ROOT-77`, once.
fn by_name<'a>(metered: &mut Side<'a>, reported: &mut Side<'a>, done: &mut Vec<Group<'a>>) {
    let unnamed: Vec<Key> = metered
        .keys()
        .filter(|key| key.2.contains('@'))
        .cloned()
        .collect();
    for ours in unnamed {
        let name = metered
            .get(&ours)
            .map(|group| group.name.clone())
            .unwrap_or_default();
        let mut alike = reported.iter().filter(|(theirs, group)| {
            (theirs.0, &theirs.1) == (ours.0, &ours.1) && !name.is_empty() && group.name == name
        });
        if let (Some((theirs, _)), None) = (alike.next(), alike.next()) {
            let theirs = theirs.clone();
            join(metered, &ours, reported, &theirs, done);
        }
    }
}

/// What both sides have left of these types is matched by the nearest start and end.
fn by_life<'a>(metered: &mut Side<'a>, reported: &mut Side<'a>, done: &mut Vec<Group<'a>>) {
    let mut near: Vec<(i64, Key, Key)> = Vec::new();
    for (ours, group) in metered.iter() {
        let numbered = matches!(ours.0, UsageType::Network | UsageType::Vpc);
        if !numbered && !ours.2.contains('@') {
            continue;
        }
        for (theirs, other) in reported.iter() {
            if (theirs.0, &theirs.1) == (ours.0, &ours.1) && alike(group, other) {
                let (a, b) = (metered_life(group), reported_life(other));
                if a.start <= b.end.plus(NEAR) && b.start <= a.end.plus(NEAR) {
                    let apart = a.start.since(b.start).abs() + a.end.since(b.end).abs();
                    near.push((apart, ours.clone(), theirs.clone()));
                }
            }
        }
    }
    near.sort();
    for (_, ours, theirs) in near {
        if metered.contains_key(&ours) && reported.contains_key(&theirs) {
            join(metered, &ours, reported, &theirs, done);
        }
    }
}

/// A source NAT address whose id is not known may have one that its owner had before.
fn by_reuse<'a>(metered: &mut Side<'a>, done: &mut [Group<'a>]) {
    let unnamed = |key: &&Key| key.0 == UsageType::IpAddress && key.2.contains('@');
    let unnamed: Vec<Key> = metered.keys().filter(unnamed).cloned().collect();
    for ours in unnamed {
        let Some(group) = metered.get(&ours) else {
            continue;
        };
        let (amount, life) = (group.metered(), metered_life(group));
        let apart = |other: &Group<'_>| (other.reported() - other.metered() - amount).abs();
        let better = |other: &&mut Group<'a>| {
            let free = other
                .intervals
                .iter()
                .all(|(_, part)| part.intersect(&life).is_none());
            let same = other.usage_type == ours.0 && label(&other.owner) == ours.1;
            let nat = other.records.iter().any(|record| record.source_nat);
            same && free && nat && apart(other) < (other.reported() - other.metered()).abs()
        };
        let nearest = done
            .iter_mut()
            .filter(better)
            .min_by_key(|other| apart(other));
        if let Some(other) = nearest {
            let intervals = metered.remove(&ours).map(|group| group.intervals);
            other.intervals.extend(intervals.into_iter().flatten());
        }
    }
}

/// A source NAT address is not another; a root volume has a template, a data disk none.
fn alike(group: &Group<'_>, other: &Group<'_>) -> bool {
    let (Some((ours, _)), Some(theirs)) = (group.intervals.first(), other.records.first()) else {
        return false;
    };
    match group.usage_type {
        UsageType::IpAddress => other.records.iter().any(|record| record.source_nat),
        UsageType::Volume => ours.attributes.template == theirs.template,
        _ => true,
    }
}

fn metered_life(group: &Group<'_>) -> Period {
    let parts = || group.intervals.iter().map(|(_, part)| part);
    Period {
        start: parts().map(|part| part.start).min().unwrap_or_default(),
        end: parts().map(|part| part.end).max().unwrap_or_default(),
    }
}

/// A life as its records show it: it starts late in the first window and ends early in the last.
fn reported_life(group: &Group<'_>) -> Period {
    let windows = || group.records.iter().map(|record| record.window);
    let (first, last) = (windows().min(), windows().max());
    let (Some(first), Some(last)) = (first, last) else {
        return Period {
            start: Timestamp::default(),
            end: Timestamp::default(),
        };
    };
    if first == last {
        return first;
    }
    Period {
        start: first
            .end
            .plus(-group.reported_in(first).min(first.micros())),
        end: last.start.plus(group.reported_in(last).min(last.micros())),
    }
}

/// Rules and VPN users without an id: all of an owner's, by their sum.
fn by_sum<'a>(metered: &mut Side<'a>, reported: &mut Side<'a>, done: &mut Vec<Group<'a>>) {
    let nameless: Vec<Key> = reported
        .keys()
        .filter(|key| key.2.is_empty())
        .cloned()
        .collect();
    for theirs in nameless {
        let ours: Vec<Key> = metered
            .keys()
            .filter(|ours| (ours.0, &ours.1) == (theirs.0, &theirs.1))
            .cloned()
            .collect();
        let Some((first, rest)) = ours.split_first() else {
            continue;
        };
        let mut others = Vec::new();
        for key in rest {
            others.extend(metered.remove(key).map(|group| group.intervals));
        }
        if let Some(group) = metered.get_mut(first) {
            group.intervals.extend(others.into_iter().flatten());
        }
        join(metered, first, reported, &theirs, done);
    }
}

/// Records that lost their id beside others of the same thing that kept it (a cold migration
/// leaves the old ones nameless): they belong where they close a gap.
fn by_lost_id<'a>(reported: &mut Side<'a>, done: &mut [Group<'a>]) {
    let nameless = |(_, group): &(&Key, &Group<'a>)| {
        group.records.iter().all(|record| record.resource.is_none())
    };
    let nameless: Vec<Key> = reported
        .iter()
        .filter(nameless)
        .map(|(key, _)| key.clone())
        .collect();
    for theirs in nameless {
        let amount = reported.get(&theirs).map_or(0, Group::reported);
        let lacks = |other: &Group<'_>| other.metered() - other.reported();
        let closes = |other: &&mut Group<'a>| {
            let same = other.usage_type == theirs.0 && label(&other.owner) == theirs.1;
            same && (lacks(other) - amount).abs() < lacks(other).abs()
        };
        let nearest = done.iter_mut().filter(closes);
        let nearest = nearest.min_by_key(|other| (lacks(other) - amount).abs());
        if let Some(other) = nearest {
            let records = reported.remove(&theirs).map(|group| group.records);
            other.records.extend(records.into_iter().flatten());
        }
    }
}
