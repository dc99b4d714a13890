use super::*;
use serde_json::{Value, json};

const GIB_BYTES: i64 = 1_073_741_824;

/// Facts from a thing, its item's name and what CloudStack says of it.
fn facts(of: &[(Thing, &str, Value)]) -> Facts {
    let one = |(thing, item, value): &(Thing, &str, Value)| {
        let id = value["asked"].as_str().or(value["id"].as_str()).unwrap();
        ((*thing, id.to_owned()), Node::from_json(item, value))
    };
    of.iter().map(one).collect()
}

fn offerings() -> Facts {
    let service = |value| (Thing::ServiceOffering, "serviceoffering", value);
    let disk = |value| (Thing::DiskOffering, "diskoffering", value);
    let network = |id: &str, lasts: bool| {
        let service = json!([{"name": "SourceNat"}, {"name": "Dhcp"}]);
        let value = json!({"id": id, "ispersistent": lasts, "service": service});
        (Thing::NetworkOffering, "networkoffering", value)
    };
    facts(&[
        service(
            json!({"id": "small", "cpunumber": 1, "cpuspeed": 500, "memory": 512,
            "rootdisksize": 0}),
        ),
        service(
            json!({"id": "big", "cpunumber": 4, "cpuspeed": 500, "memory": 4096,
            "rootdisksize": 20}),
        ),
        service(json!({"id": "custom", "cpuspeed": 100, "iscustomized": true, "rootdisksize": 0})),
        disk(json!({"id": "five", "disksize": 5})),
        disk(json!({"id": "any", "disksize": 0, "iscustomized": true})),
        network("isolated", false),
        network("lasting", true),
    ])
}

fn cloud() -> Facts {
    let template = |item, value| (Thing::Template, item, value);
    let network = |value: Value| {
        let mut value = value;
        value["service"] = json!([{"name": "SourceNat"}, {"name": "Dhcp"}]);
        (NETWORK, "network", value)
    };
    let vm = |value| (VM, "virtualmachine", value);
    let mut all = facts(&[
        template("template", json!({"id": "t", "size": 2 * GIB_BYTES})),
        template("iso", json!({"id": "iso", "size": 1})),
        network(json!({"id": "new", "state": "Allocated", "networkofferingid": "isolated"})),
        network(json!({"id": "used", "state": "Implemented", "networkofferingid": "isolated"})),
        network(
            json!({"id": "tier", "state": "Allocated", "networkofferingid": "tiers",
            "vpcid": "v"}),
        ),
        vm(
            json!({"id": "vm", "state": "Stopped", "cpunumber": 2, "memory": 256, "cpuspeed": 100,
            "serviceofferingid": "custom", "nic": [{"networkid": "new"}, {"networkid": "used"}]}),
        ),
        vm(
            json!({"id": "runs", "state": "Running", "cpunumber": 1, "memory": 512,
            "cpuspeed": 500, "serviceofferingid": "small", "nic": [{"networkid": "used"}]}),
        ),
        (
            VOLUME,
            "volume",
            json!({"id": "vol", "size": 5 * GIB_BYTES, "zoneid": "z",
            "diskofferingid": "any", "type": "DATADISK"}),
        ),
        (
            SNAPSHOT,
            "snapshot",
            json!({"id": "snap", "virtualsize": 3 * GIB_BYTES}),
        ),
        (
            Thing::RootVolumeOf,
            "volume",
            json!({"id": "r", "asked": "runs", "type": "ROOT",
            "size": 2 * GIB_BYTES}),
        ),
    ]);
    all.extend(offerings());
    all
}

fn params(query: &str) -> ParamMap {
    ParamMap::parse(query.as_bytes(), b"").unwrap()
}

fn planned_of(rule: PriceRule, query: &str) -> Result<Option<Plan>, Refusal> {
    plan(rule, "it", &params(query), &cloud())
}

/// A meter in short: type, offering, GiB or vCPUs and MiB, count, and what marks it.
fn short(meters: &[Planned]) -> Vec<String> {
    let one = |meter: &Planned| {
        let of = &meter.attributes;
        let mut text = meter.usage_type.number().to_string();
        for word in [&of.offering, &of.state].into_iter().flatten() {
            text = format!("{text} {word}");
        }
        if let Some(vcpus) = of.vcpus {
            text = format!("{text} {vcpus}x{}", of.memory_mib.unwrap_or(0));
        }
        if let Some(size) = of.size_bytes {
            text = format!("{text} {}G", size / GIB_BYTES);
        }
        if of.source_nat {
            text.push_str(" nat");
        }
        if of.count != 1 {
            text = format!("{text} *{}", of.count);
        }
        text
    };
    let mut all: Vec<String> = meters.iter().map(one).collect();
    all.sort();
    all
}

fn deployed(query: &str) -> Vec<String> {
    let base = "serviceofferingid=small&templateid=t&zoneid=z";
    let plan = planned_of(PriceRule::Deploy, &format!("{base}{query}"));
    short(&plan.unwrap().unwrap().after)
}

#[test]
fn a_deployment_starts_every_meter_that_its_parameters_name() {
    for (query, expected) in [
        (
            "&networkids=used",
            "1 small 1x512, 13 isolated, 2 small 1x512, 6 2G",
        ),
        (
            "&networkids=new",
            "1 small 1x512, 13 isolated, 2 small 1x512, 3 nat, 30 isolated Implemented, 6 2G",
        ),
        (
            "&networkids=tier,used",
            "1 small 1x512, 13 isolated, 13 tiers, 2 small 1x512, 30 tiers Implemented, 6 2G",
        ),
        (
            "&iptonetworklist[0].networkid=used&iptonetworklist[0].ip=10.1.1.9",
            "1 small 1x512, 13 isolated, 2 small 1x512, 6 2G",
        ),
        ("", "1 small 1x512, 13, 2 small 1x512, 3 nat, 6 2G"),
    ] {
        assert_eq!(deployed(query).join(", "), expected, "{query}");
    }
}

#[test]
fn a_deployment_starts_every_volume_that_its_parameters_name() {
    for (query, expected) in [
        ("", "2 small 1x512, 6 2G"),
        ("&networkids=new", "2 small 1x512, 6 2G"),
        (
            "&rootdisksize=3&diskofferingid=five",
            "2 small 1x512, 6 3G, 6 five 5G",
        ),
        (
            "&rootdisksize=5&details[0].rootdisksize=9",
            "2 small 1x512, 6 9G",
        ),
        ("&overridediskofferingid=five", "2 small 1x512, 6 5G"),
        (
            "&datadisksdetails[0].diskofferingid=five&datadisksdetails[1].diskofferingid=any\
             &datadisksdetails[1].size=7",
            "2 small 1x512, 6 2G, 6 any 7G, 6 five 5G",
        ),
    ] {
        let stopped = format!("&startvm=false{query}");
        assert_eq!(deployed(&stopped).join(", "), expected, "{query}");
    }
}

#[test]
fn a_custom_offering_is_sized_by_the_details() {
    let base = "serviceofferingid=custom&templateid=t&startvm=false";
    let sized = format!("{base}&details[0].cpuNumber=2&details[1].memory=256");
    let plan = planned_of(PriceRule::Deploy, &sized).unwrap().unwrap();
    assert_eq!(short(&plan.after), ["2 custom 2x256", "6 2G"]);
    for query in [
        base.to_owned(),
        format!("{base}&details[0].cpuNumber=2"),
        format!("{sized}&details[2].cpuNumber=1"),
        format!("{base}&details[0].cpuNumber=0&details[0].memory=256"),
        format!("{base}&details[0].cpuNumber=%2B2&details[0].memory=256"),
    ] {
        let refusal = planned_of(PriceRule::Deploy, &query);
        assert!(matches!(refusal, Err(Refusal::Parameter { .. })), "{query}");
    }
}

#[test]
fn the_disk_offering_of_an_iso_is_the_root_volumes() {
    let base = "serviceofferingid=small&templateid=iso&startvm=false";
    let with = planned_of(PriceRule::Deploy, &format!("{base}&diskofferingid=five"));
    assert_eq!(
        short(&with.unwrap().unwrap().after),
        ["2 small 1x512", "6 5G"]
    );
    let custom = format!("{base}&diskofferingid=any&size=8");
    let custom = planned_of(PriceRule::Deploy, &custom).unwrap().unwrap();
    assert_eq!(short(&custom.after), ["2 small 1x512", "6 8G"]);
}

#[test]
fn a_custom_disk_without_a_size_is_refused() {
    for (rule, query) in [
        (
            PriceRule::Deploy,
            "serviceofferingid=small&templateid=t&diskofferingid=any",
        ),
        (PriceRule::Volume, "diskofferingid=any"),
        (
            PriceRule::Deploy,
            "serviceofferingid=small&templateid=t&datadisksdetails[0].diskofferingid=any",
        ),
    ] {
        let refusal = planned_of(rule, query);
        assert!(matches!(refusal, Err(Refusal::Parameter { .. })), "{query}");
    }
}

#[test]
fn what_a_call_names_and_nobody_knows_is_left_to_cloudstack() {
    let query = "serviceofferingid=none&templateid=t";
    assert_eq!(planned_of(PriceRule::Deploy, query), Ok(None));
    assert_eq!(planned_of(PriceRule::Start, "id=none"), Ok(None));
}

#[test]
fn a_start_asks_for_the_networks_of_the_vm_and_implements_them() {
    let query = params("id=vm");
    let mut known = facts(&[]);
    assert_eq!(needs(PriceRule::Start, &query), [(VM, "vm".to_owned())]);
    known.insert(
        (VM, "vm".to_owned()),
        cloud()[&(VM, "vm".to_owned())].clone(),
    );
    let asked = more(PriceRule::Start, &query, &known);
    assert_eq!(
        asked,
        [(NETWORK, "new".to_owned()), (NETWORK, "used".to_owned())]
    );
    let plan = planned_of(PriceRule::Start, "id=vm").unwrap().unwrap();
    let expected = [
        "1 custom 2x256",
        "13 isolated *2",
        "3 nat",
        "30 isolated Implemented",
    ];
    assert_eq!(short(&plan.after), expected);
    assert_eq!(short(&plan.before), ["30 isolated Allocated"]);
}

#[test]
fn starting_what_runs_costs_nothing_more() {
    let plan = planned_of(PriceRule::Start, "id=runs").unwrap().unwrap();
    assert_eq!(plan.after, plan.before);
}

#[test]
fn another_offering_is_priced_by_the_difference() {
    let plan = planned_of(PriceRule::Scale, "id=runs&serviceofferingid=big")
        .unwrap()
        .unwrap();
    assert_eq!(
        short(&plan.before),
        ["1 small 1x512", "2 small 1x512", "6 2G"]
    );
    assert_eq!(
        short(&plan.after),
        ["1 big 4x4096", "2 big 4x4096", "6 20G"]
    );
    let query = "id=vm&serviceofferingid=custom&details[0].memory=128";
    let plan = planned_of(PriceRule::Scale, query).unwrap().unwrap();
    assert_eq!(short(&plan.before), ["2 custom 2x256"]);
    assert_eq!(short(&plan.after), ["2 custom 2x128"]);
}

#[test]
fn a_volume_takes_its_size_from_the_call_the_offering_or_the_snapshot() {
    for (query, expected) in [
        ("diskofferingid=five", "6 five 5G"),
        ("diskofferingid=any&size=7", "6 any 7G"),
        ("snapshotid=snap", "6 3G"),
        ("snapshotid=snap&diskofferingid=any", "6 any 3G"),
        ("snapshotid=snap&size=4", "6 4G"),
    ] {
        let plan = planned_of(PriceRule::Volume, query).unwrap().unwrap();
        assert_eq!(short(&plan.after), [expected], "{query}");
    }
}

#[test]
fn a_resize_is_priced_by_the_difference_and_may_lower() {
    for (query, expected) in [
        ("id=vol&size=9", "6 any 9G"),
        ("id=vol&size=1", "6 any 1G"),
        ("id=vol&diskofferingid=five", "6 five 5G"),
        ("id=vol&maxiops=5", "6 any 5G"),
    ] {
        let plan = planned_of(PriceRule::Resize, query).unwrap().unwrap();
        assert_eq!(short(&plan.before), ["6 any 5G"], "{query}");
        assert_eq!(short(&plan.after), [expected], "{query}");
    }
    let huge = planned_of(PriceRule::Resize, "id=vol&size=9223372036854775807");
    assert!(matches!(huge, Err(Refusal::Parameter { .. })));
}

#[test]
fn a_persistent_network_is_implemented_at_once() {
    let after = |query: &str| {
        let plan = planned_of(PriceRule::Network, query).unwrap().unwrap();
        short(&plan.after)
    };
    assert_eq!(
        after("networkofferingid=isolated"),
        ["30 isolated Allocated"]
    );
    assert_eq!(
        after("networkofferingid=lasting"),
        ["3 nat", "30 lasting Implemented"]
    );
    assert_eq!(
        after("networkofferingid=lasting&vpcid=v"),
        ["30 lasting Implemented"]
    );
}

#[test]
fn a_snapshot_costs_in_each_zone_at_most_its_volumes_size() {
    let plan = planned_of(PriceRule::Snapshot, "volumeid=vol&zoneids=z,y,x")
        .unwrap()
        .unwrap();
    assert_eq!(short(&plan.after), ["9 5G", "9 5G", "9 5G"]);
}

#[test]
fn a_command_without_a_rule_is_refused_by_name() {
    let refusal = plan(PriceRule::Missing, "createVPC", &params(""), &cloud());
    assert_eq!(
        refusal,
        Err(Refusal::Unpriced("command createVPC".to_owned()))
    );
}

#[test]
fn a_rule_that_goes_on_by_itself_is_priced_for_what_its_payers_policy_says() {
    use crate::policy::commitment::{Commitment, Commitments};
    let mut known = cloud();
    known.extend(facts(&[
        (
            Thing::Owned(Parent::AutoScaleProfile),
            "autoscalevmprofile",
            json!({"id": "profile", "serviceofferingid": "small", "templateid": "tmpl",
            "zoneid": "z"}),
        ),
        (
            Thing::Owned(Parent::AutoScaleGroup),
            "autoscalevmgroup",
            json!({"id": "group", "vmprofileid": "profile", "minmembers": 1, "maxmembers": 4,
            "availablevirtualmachinecount": 2}),
        ),
        (
            Thing::Template,
            "template",
            json!({"id": "tmpl", "size": GIB_BYTES}),
        ),
        (
            Thing::Owned(Parent::Kubernetes),
            "kubernetescluster",
            json!({"id": "k", "size": 2, "state": "Running", "serviceofferingid": "small",
            "zoneid": "z"}),
        ),
        (
            Thing::VolumesOf,
            "list",
            json!({"asked": "runs", "id": "runs", "volume": [{"id": "r",
            "size": 2 * GIB_BYTES}]}),
        ),
    ]));
    let made = "vmprofileid=profile&minmembers=2&maxmembers=4";
    let scales = "id=k&autoscalingenabled=true&minsize=1&maxsize=5";
    let snaps = "volumeid=vol&maxsnaps=8";
    let backups = "virtualmachineid=runs&schedule=1&maxbackups=7";
    // Pieces of the first meter; for backups GiB.
    for (rule, query, mode, expected) in [
        (PriceRule::AutoScale, made, Commitment::Maximum, 4),
        (PriceRule::AutoScale, made, Commitment::Next, 2),
        (PriceRule::AutoScale, made, Commitment::First, 2),
        (PriceRule::AutoScale, "id=group", Commitment::Maximum, 4),
        (PriceRule::AutoScale, "id=group", Commitment::Next, 3),
        (PriceRule::AutoScale, "id=group", Commitment::First, 2),
        (PriceRule::KubernetesScale, scales, Commitment::Maximum, 5),
        (PriceRule::KubernetesScale, scales, Commitment::Next, 3),
        (PriceRule::KubernetesScale, scales, Commitment::First, 2),
        (
            PriceRule::KubernetesScale,
            "id=k&size=4",
            Commitment::First,
            4,
        ),
        (PriceRule::SnapshotPolicy, snaps, Commitment::Maximum, 8),
        (PriceRule::SnapshotPolicy, snaps, Commitment::Next, 1),
        (PriceRule::SnapshotPolicy, snaps, Commitment::First, 1),
        (PriceRule::Backup, backups, Commitment::Maximum, 14),
        (PriceRule::Backup, backups, Commitment::Next, 2),
        (PriceRule::Backup, backups, Commitment::First, 2),
    ] {
        let whole = plan(rule, "it", &params(query), &known).unwrap().unwrap();
        let later = whole.later;
        let how = Commitments {
            autoscale: mode,
            snapshots: mode,
            backups: mode,
            kubernetes: mode,
        };
        let asked = whole.committed(&how);
        let first = &asked.after[0].attributes;
        let pieces = match rule {
            PriceRule::Backup => first.size_bytes.unwrap() / GIB_BYTES,
            _ => first.count.max(1),
        };
        assert_eq!(pieces, expected, "{query}, {mode:?}");
        assert_eq!(asked.later, later, "{query}, {mode:?}");
    }
}
