//! Pure: stand-ins of what is not known.

use super::*;
use crate::cloudstack::command::PriceRule;
use crate::gate::plan::{Facts, plan};

fn offering(id: &str, cpus: Option<&str>, memory: Option<&str>) -> Node {
    let fields = [("id", Some(id)), ("cpunumber", cpus), ("memory", memory)];
    node("serviceoffering", &fields)
}

fn catalogue() -> Catalogue {
    Catalogue {
        services: vec![
            offering("small", Some("1"), Some("1024")),
            offering("large", Some("8"), Some("16384")),
            offering("custom", None, None),
        ],
        disks: vec![node(
            "diskoffering",
            &[("id", Some("disk")), ("disksize", Some("20"))],
        )],
        networks: vec![node("networkoffering", &[("id", Some("net"))])],
        largest_template: None,
    }
}

#[test]
fn a_custom_offering_is_one_only_where_the_call_says_its_size() {
    let of = |params: &ParamMap| {
        let all = stand_ins(Thing::ServiceOffering, &catalogue(), params, &[]);
        all.len()
    };
    let mut params = ParamMap::default();
    assert_eq!(of(&params), 2);
    params.insert("details[0].cpuNumber", "4");
    params.insert("details[0].memory", "2048");
    assert_eq!(of(&params), 3);
}

#[test]
fn what_has_no_zone_in_the_call_could_be_in_each_that_prices_know() {
    let zones = ["east".to_owned(), "west".to_owned()];
    let mut params = ParamMap::default();
    let vm = Thing::Owned(Parent::Vm);
    assert_eq!(stand_ins(vm, &catalogue(), &params, &zones).len(), 6);
    params.insert("zoneid", "east");
    assert_eq!(stand_ins(vm, &catalogue(), &params, &zones).len(), 2);
}

#[test]
fn an_unknown_vm_can_be_planned_like_one_that_is_known() {
    let mut params = ParamMap::default();
    params.insert("id", "nobody-knows");
    let mut facts = Facts::new();
    for (thing, id) in [
        (Thing::Owned(Parent::Vm), "nobody-knows"),
        (Thing::Owned(Parent::Network), SOME_NETWORK),
    ] {
        let (found, _) = stand_ins(thing, &catalogue(), &params, &[]).remove(0);
        facts.insert((thing, id.to_owned()), found);
    }
    let planned = plan(PriceRule::Start, "start", &params, &facts).unwrap();
    let types: Vec<UsageType> = planned
        .unwrap()
        .after
        .iter()
        .map(|one| one.usage_type)
        .collect();
    assert!(types.contains(&UsageType::RunningVm), "{types:?}");
    assert!(types.contains(&UsageType::IpAddress), "{types:?}");
}

#[test]
fn every_thing_that_a_price_hangs_on_has_a_stand_in() {
    let params = ParamMap::default();
    for thing in [
        Thing::ServiceOffering,
        Thing::DiskOffering,
        Thing::NetworkOffering,
        Thing::Template,
        Thing::RootVolumeOf,
        Thing::Owned(Parent::Vm),
        Thing::Owned(Parent::Volume),
        Thing::Owned(Parent::Snapshot),
        Thing::Owned(Parent::Network),
    ] {
        assert!(
            !stand_ins(thing, &catalogue(), &params, &[]).is_empty(),
            "{thing:?}"
        );
    }
}
