//! Pure: what is undone leaves no trace, and what is touched is all that changed.

use super::*;
use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::BorderSource;
use crate::terms::time::Timestamp;
use proptest::prelude::*;

const TYPES: [UsageType; 2] = [UsageType::Volume, UsageType::RunningVm];

fn id(number: u8) -> ResourceId {
    format!("r-{}", number % 6).as_str().into()
}

fn owner(number: u8) -> Owner {
    Owner {
        account: None,
        account_name: Some(format!("a-{}", number % 3)),
        domain: "d".into(),
        project: None,
    }
}

fn border(number: u8) -> Border {
    let source = if number.is_multiple_of(2) {
        BorderSource::Printed
    } else {
        BorderSource::Sweep
    };
    Border {
        at: Timestamp::from_micros(i64::from(number)),
        source,
    }
}

/// One step of a history, by four drawn numbers.
fn step(inventory: &mut Inventory, (kind, a, b, c): (u8, u8, u8, u8)) {
    let meter = MeterId {
        usage_type: TYPES[usize::from(b) % 2],
        resource: id(a),
        part: String::new(),
    };
    let attributes = Attributes {
        size_bytes: Some(i64::from(c % 4)),
        ..Attributes::default()
    };
    let at = border(c);
    let change = match kind % 12 {
        0..=2 => Change::Open(Interval {
            meter,
            owner: owner(b),
            attributes,
            start: at,
            end: None,
        }),
        3 => Change::Close { meter, at },
        4 => Change::CloseAll {
            resource: id(a),
            at,
        },
        5 => Change::Reshape {
            meter,
            at,
            attributes,
        },
        6 => Change::Move {
            resource: id(a),
            at,
            owner: owner(b),
        },
        7 => return inventory.learn(Fact::Named(id(a), id(b))),
        8 => return inventory.learn(Fact::Child(id(a), id(b))),
        9 => return inventory.learn(Fact::Orphan(id(a))),
        10 => return inventory.learn(Fact::Vm(id(a), KnownVm::default())),
        _ => return inventory.learn(Fact::Loose(id(a), at, i64::from(b))),
    };
    inventory.apply(change);
}

fn history() -> impl Strategy<Value = Vec<(u8, u8, u8, u8)>> {
    prop::collection::vec(any::<(u8, u8, u8, u8)>(), 0..40)
}

proptest! {
    #[test]
    fn what_is_rolled_back_never_was(before in history(), tried in history()) {
        let mut inventory = Inventory::default();
        before.into_iter().for_each(|drawn| step(&mut inventory, drawn));
        inventory.settle();
        let kept = inventory.clone();
        tried.into_iter().for_each(|drawn| step(&mut inventory, drawn));
        inventory.take_ended();
        inventory.roll_back();
        prop_assert_eq!(inventory, kept);
    }

    #[test]
    fn what_is_not_touched_runs_as_before(before in history(), then in history()) {
        let mut inventory = Inventory::default();
        before.into_iter().for_each(|drawn| step(&mut inventory, drawn));
        inventory.settle();
        let kept = inventory.clone();
        then.into_iter().for_each(|drawn| step(&mut inventory, drawn));
        let touched = inventory.touched();
        for meter in kept.open.keys().chain(inventory.open.keys()) {
            if kept.open.get(meter) != inventory.open.get(meter) {
                prop_assert!(touched.contains(meter), "{meter:?} changed and is not touched");
            }
        }
    }

    #[test]
    fn what_is_looked_up_is_what_a_search_finds(steps in history()) {
        let mut inventory = Inventory::default();
        steps.into_iter().for_each(|drawn| step(&mut inventory, drawn));
        for number in 0..6 {
            let thing = id(number);
            let searched = inventory.running().filter(|of| of.meter.resource == thing);
            let mut searched: Vec<&Interval> = searched.collect();
            searched.sort_by(|a, b| a.meter.cmp(&b.meter));
            let found: Vec<&Interval> = inventory.open_of_resource(&thing).collect();
            prop_assert_eq!(found, searched);
            let belongs = |(_, of): &(&ResourceId, &ResourceId)| **of == thing;
            let searched = inventory.parents.iter().filter(belongs);
            let searched: Vec<&ResourceId> = searched.map(|(child, _)| child).collect();
            let found: Vec<&ResourceId> = inventory.children(&thing).collect();
            prop_assert_eq!(found, searched);
        }
    }
}
