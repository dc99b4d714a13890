//! Edge: what every raising call is planned to start, by the command table, the typing and the
//! questions of the gate, against a small cloud.

use faregate::cloudstack::command::{Class, CommandTable, Parent, PriceRule};
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::tree::Node;
use faregate::gate::plan::{Facts, Plan, Thing, more, needs, plan};
use faregate::gate::refusal::Refusal;
use faregate::gate::reserve::{self, Priced};
use faregate::gate::typed;
use faregate::policy::check::load;
use faregate::policy::customer::RuleSet;
use faregate::rate::{Planned, RateError};
use faregate::terms::ids::PayerId;
use faregate::terms::quantity::UnitMicros;
use faregate::terms::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const CLOUD: &str = include_str!("../fixtures/plans/cloud.json");
const CALLS: &str = include_str!("../fixtures/plans/calls.tsv");
const GIB: i64 = 1 << 30;

/// Everything that the cloud would answer.
fn cloud() -> Facts {
    let cloud: Value = serde_json::from_str(CLOUD).unwrap();
    let mut facts = Facts::new();
    for (key, item, thing) in [
        ("serviceoffering", "serviceoffering", Thing::ServiceOffering),
        ("diskoffering", "diskoffering", Thing::DiskOffering),
        ("networkoffering", "networkoffering", Thing::NetworkOffering),
        ("template", "template", Thing::Template),
        ("iso", "iso", Thing::Template),
        ("range", "vlaniprange", Thing::AddressRange),
    ] {
        for one in cloud[key].as_array().unwrap() {
            let id = one["id"].as_str().unwrap().to_owned();
            facts.insert((thing, id), Node::from_json(item, one));
        }
    }
    for (key, values) in cloud.as_object().unwrap() {
        let parent = Parent::named(key);
        for one in values.as_array().into_iter().flatten() {
            let id = one["id"].as_str().unwrap().to_owned();
            if let Some(parent) = parent {
                let node = Node::from_json(parent.listing().item, one);
                facts.insert((Thing::Owned(parent), id), node);
            }
        }
    }
    for (key, thing) in [
        ("volumes", Thing::VolumesOf),
        ("vpnusers", Thing::VpnUsersOf),
        ("vmsin", Thing::VmsIn),
        ("groups", Thing::GroupsOf),
    ] {
        for (id, items) in cloud[key].as_object().unwrap() {
            let list = Node::from_json("list", &serde_json::json!({thing.items().unwrap(): items}));
            facts.insert((thing, id.clone()), list);
        }
    }
    for (key, thing) in [
        ("sourcenat", Thing::SourceNatOf),
        ("roots", Thing::RootVolumeOf),
        ("unmanagedvm", Thing::UnmanagedVm),
        ("unmanagedvolume", Thing::UnmanagedVolume),
    ] {
        for (id, one) in cloud[key].as_object().unwrap() {
            facts.insert((thing, id.clone()), Node::from_json("one", one));
        }
    }
    for (name, value) in cloud["setting"].as_object().unwrap() {
        let setting = serde_json::json!({"name": name, "value": value.to_string()});
        facts.insert(
            (Thing::Setting, name.clone()),
            Node::from_json("configuration", &setting),
        );
    }
    let zones = serde_json::json!({"zone": cloud["zones"]});
    facts.insert(
        (Thing::Zones, "all".to_owned()),
        Node::from_json("list", &zones),
    );
    for (id, volumes) in cloud["volumes"].as_object().unwrap() {
        let root = volumes
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["type"] == "ROOT");
        if let Some(root) = root {
            facts.insert(
                (Thing::RootVolumeOf, id.clone()),
                Node::from_json("volume", root),
            );
        }
    }
    facts
}

/// Types the call and asks in rounds, as the gate does: no fact is known that was not asked for.
fn judged(query: &str, cloud: &Facts) -> Result<Option<Plan>, Refusal> {
    let table = CommandTable::new(&[]).unwrap();
    let mut params = ParamMap::parse(query.as_bytes(), b"").unwrap();
    let name = params.command().to_owned();
    let (class, rule) = table.get(&name).unwrap().judged(&params);
    assert_eq!(class, Class::Raises, "{query}");
    typed::parameters(&name, &table, &mut params)?;
    let mut facts = Facts::new();
    let mut asked = BTreeSet::new();
    let mut questions = needs(rule, &params);
    for _ in 0..6 {
        questions.retain(|question| asked.insert(question.clone()));
        for question in &questions {
            if let Some(answer) = cloud.get(question) {
                facts.insert(question.clone(), answer.clone());
            }
        }
        questions = more(rule, &params, &facts);
    }
    questions.retain(|question| !asked.contains(question));
    assert!(questions.is_empty(), "{query}: still open {questions:?}");
    plan(rule, &name, &params, &facts)
}

fn short(meters: &[Planned]) -> String {
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
            assert_eq!(size % (GIB / 2), 0, "{meter:?}");
            let half = if size % GIB == 0 { "" } else { ".5" };
            text = format!("{text} {}{half}G", size / GIB);
        }
        if of.source_nat {
            text.push_str(" nat");
        }
        if let Some(zone) = &of.zone {
            text = format!("{text} @{zone}");
        }
        if of.count != 1 {
            text = format!("{text} *{}", of.count);
        }
        text
    };
    let mut all: Vec<String> = meters.iter().map(one).collect();
    all.sort();
    if all.is_empty() {
        "-".to_owned()
    } else {
        all.join(", ")
    }
}

#[test]
fn every_raising_call_starts_the_meters_that_the_table_of_calls_says() {
    let cloud = cloud();
    let mut wrong = Vec::new();
    for line in CALLS.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        let query = fields.next().unwrap();
        let plan = judged(query, &cloud)
            .unwrap()
            .unwrap_or_else(|| panic!("{query}: unknown"));
        let found = format!("{query}\t{}\t{}", short(&plan.before), short(&plan.after));
        if found != line {
            wrong.push(found);
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_command_that_can_raise_stands_in_the_table_of_calls() {
    let called: BTreeSet<&str> = CALLS
        .lines()
        .filter_map(|line| line.strip_prefix("command=")?.split('&').next())
        .collect();
    let table = CommandTable::new(&[]).unwrap();
    for command in table.iter() {
        if command.class == Class::Raises || !command.raises_if.is_empty() {
            assert!(called.contains(command.name.as_str()), "{}", command.name);
        }
    }
}

/// The worked policies, as a new operator gets them.
fn rules() -> RuleSet {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut files = Vec::new();
    for folder in ["sellers", "customers", "prepaid", "tariffs"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            files.push((
                path.display().to_string(),
                std::fs::read_to_string(&path).unwrap(),
            ));
        }
    }
    files.sort();
    load(&files).unwrap()
}

fn price(rules: &RuleSet, plan: &Plan) -> Result<Priced, RateError> {
    let (payer, now) = (
        PayerId::from("prepaid-example"),
        Timestamp::from_micros(NOW),
    );
    reserve::price(rules, &payer, plan, |_| UnitMicros::default(), now)
}

/// 2026-11-01.
const NOW: i64 = 1_793_491_200_000_000;

#[test]
fn the_standard_book_prices_every_meter_that_a_raising_call_can_start() {
    let (cloud, rules) = (cloud(), rules());
    let mut kinds = BTreeSet::new();
    for line in CALLS.lines().filter(|line| !line.starts_with('#')) {
        let query = line.split('\t').next().unwrap();
        let plan = judged(query, &cloud).unwrap().unwrap();
        let priced = price(&rules, &plan).unwrap_or_else(|e| panic!("{query}: {e}"));
        assert_eq!(priced.unpriced, [], "{query}");
        kinds.extend(plan.after.iter().map(|one| one.usage_type.number()));
    }
    // Every usage type but traffic and disk I/O, which no call starts.
    let expected = [
        1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 25, 26, 27, 28, 29, 30, 31,
    ];
    assert_eq!(kinds, BTreeSet::from(expected));
}

#[test]
fn a_call_costs_by_the_month_what_its_meters_cost_in_the_book() {
    let (cloud, rules) = (cloud(), rules());
    for (query, net_and_tax) in [
        // 20 GiB at 0.0146, 19 % tax.
        (
            "command=createBucket&name=b&objectstorageid=o&quota=20",
            "0.347480",
        ),
        // 30 less 10 GiB.
        ("command=updateBucket&id=bucket&quota=30", "0.347480"),
        // Two addresses more at 2.92.
        (
            "command=updateVlanIpRange&id=range&endip=10.0.0.10",
            "6.949600",
        ),
        // Four GiB more at 0.0876.
        ("command=resizeVolume&id=vol&size=9", "0.416976"),
        // Six machines with 1 vCPU and half a GiB at 0.0120 and 0.0060 an hour, with 2 and 3 GiB,
        // less the one that runs.
        (
            "command=updateAutoScaleVmGroup&id=group&maxmembers=6",
            "67.758600",
        ),
        // Eight snapshots of 5 GiB at 0.0438 in each of two zones.
        (
            "command=createSnapshotPolicy&volumeid=vol&intervaltype=DAILY&schedule=x&timezone=UTC\
             &maxsnaps=8&zoneids=y",
            "4.169760",
        ),
    ] {
        let plan = judged(query, &cloud).unwrap().unwrap();
        let priced = price(&rules, &plan).unwrap();
        assert_eq!(priced.per_month.to_string(), net_and_tax, "{query}");
    }
}

#[test]
fn more_is_never_cheaper_and_never_wraps() {
    let (cloud, rules) = (cloud(), rules());
    let deploy = "command=deployVirtualMachine&zoneid=z&templateid=t&networkids=used";
    let values = [
        1,
        2,
        7,
        1 << 31,
        1 << 33,
        1 << 34,
        (1 << 33) + 1,
        1 << 53,
        i64::MAX / 1024,
        i64::MAX,
    ];
    for query in [
        format!("{deploy}&serviceofferingid=custom&details[0].memory=64&details[0].cpuNumber="),
        format!("{deploy}&serviceofferingid=custom&details[0].cpuNumber=1&details[0].memory="),
        format!("{deploy}&serviceofferingid=small&rootdisksize="),
        format!("{deploy}&serviceofferingid=small&diskofferingid=any&size="),
        format!(
            "{deploy}&serviceofferingid=small&datadisksdetails[0].diskofferingid=any\
             &datadisksdetails[0].size="
        ),
        "command=createVolume&zoneid=z&diskofferingid=any&size=".to_owned(),
        "command=scaleKubernetesCluster&id=k8s&size=".to_owned(),
        "command=updateAutoScaleVmGroup&id=group&maxmembers=".to_owned(),
        "command=createBucket&name=b&objectstorageid=o&quota=".to_owned(),
    ] {
        let mut last = None;
        let mut sorted = values;
        sorted.sort_unstable();
        for value in sorted {
            let plan = judged(&format!("{query}{value}"), &cloud);
            let total = plan
                .ok()
                .flatten()
                .and_then(|plan| price(&rules, &plan).ok());
            let total = total.map(|priced| priced.total);
            match (last, total) {
                (Some(Some(before)), Some(now)) => assert!(now >= before, "{query}{value}"),
                (Some(None), Some(_)) => panic!("{query}{value} is cheaper than what is refused"),
                _ => {}
            }
            last = Some(total);
        }
        assert_eq!(last, Some(None), "{query}: the largest number is refused");
    }
}

const HUGE: &str = "9223372036854775807";

#[test]
fn a_size_that_no_price_can_hold_is_refused_and_never_wraps() {
    let cloud = cloud();
    let deploy = "command=deployVirtualMachine&zoneid=z&templateid=t&networkids=used";
    for query in [
        format!("{deploy}&serviceofferingid=small&rootdisksize={HUGE}"),
        format!("{deploy}&serviceofferingid=small&diskofferingid=any&size={HUGE}"),
        format!("{deploy}&serviceofferingid=small&details[0].rootdisksize={HUGE}"),
        format!("command=createVolume&diskofferingid=any&size={HUGE}"),
        format!("command=resizeVolume&id=vol&size={HUGE}"),
        format!("command=createBucket&name=b&objectstorageid=o&quota={HUGE}"),
        format!(
            "command=createSnapshotPolicy&volumeid=vol&maxsnaps={HUGE}&intervaltype=x&schedule=x&timezone=x"
        ),
        format!(
            "command=createBackupSchedule&virtualmachineid=runs&maxbackups={HUGE}&intervaltype=x&schedule=x&timezone=x"
        ),
        format!(
            "command=createKubernetesCluster&name=k&zoneid=z&serviceofferingid=small&size={HUGE}"
        ),
        format!(
            "command=createKubernetesCluster&name=k&zoneid=z&serviceofferingid=small&size=1&controlnodes={HUGE}"
        ),
        format!("command=scaleKubernetesCluster&id=k8s&size={HUGE}"),
        format!("command=updateAutoScaleVmGroup&id=group&maxmembers={HUGE}"),
        format!(
            "command=createSharedFileSystem&name=f&zoneid=z&filesystem=XFS&serviceofferingid=small&diskofferingid=any&size={HUGE}&networkid=used"
        ),
    ] {
        let refusal = judged(&query, &cloud);
        assert!(
            matches!(refusal, Err(Refusal::Parameter { .. })),
            "{query}: {refusal:?}"
        );
    }
    // Numbers that fit are priced as they are, however large: the books refuse what they cost.
    let custom = format!(
        "{deploy}&serviceofferingid=custom&details[0].cpuNumber={HUGE}&details[0].memory=1"
    );
    let plan = judged(&custom, &cloud).unwrap().unwrap();
    assert_eq!(plan.after[0].attributes.vcpus, Some(i64::MAX));
    assert!(price(&rules(), &plan).is_err());
}

#[test]
fn what_nothing_bounds_or_what_is_sent_in_two_ways_is_refused() {
    let cloud = cloud();
    let deploy = "command=deployVirtualMachine&zoneid=z&templateid=t&networkids=used";
    for query in [
        format!("{deploy}&serviceofferingid=custom&details[0].cpuNumber=1"),
        format!("{deploy}&serviceofferingid=custom&details[0].cpuNumber=1&details[1].cpuNumber=9&details[0].memory=64"),
        format!("{deploy}&serviceofferingid=small&details[0].rootdisksize=1&details[1].rootdisksize=9"),
        format!("{deploy}&serviceofferingid=small&datadisksdetails[0].diskofferingid=13"),
        format!("{deploy}&serviceofferingid=small&datadisksdetails[0].diskofferingid=five%20"),
        format!("{deploy}&serviceofferingid=small&iptonetworklist[0].networkid=204"),
        format!("{deploy}&serviceofferingid=small&nicnetworklist[0].network=204"),
        "command=createVolume&zoneid=z".to_owned(),
        "command=createBucket&name=b&objectstorageid=o&quota=0".to_owned(),
        "command=createKubernetesCluster&name=k&zoneid=z&serviceofferingid=small".to_owned(),
        "command=addResourceDetail&resourceid=13&resourcetype=UserVm&details[0].key=cpuNumber&details[0].value=8".to_owned(),
        "command=addResourceDetail&resourceid=nowhere&resourcetype=UserVm&details[0].key=memory&details[0].value=8".to_owned(),
        "command=runCustomAction&customactionid=a&resourceid=13".to_owned(),
        "command=createVlanIpRange&zoneid=z&account=a&domainid=d&startip=10.0.0.9&endip=10.0.0.1".to_owned(),
    ] {
        let refusal = judged(&query, &cloud);
        assert!(matches!(refusal, Err(Refusal::Parameter { .. })), "{query}: {refusal:?}");
    }
}

#[test]
fn a_stopped_deployment_costs_what_is_allocated_and_nothing_that_runs() {
    let cloud = cloud();
    let query = "command=deployVirtualMachine&zoneid=z&serviceofferingid=small&templateid=t\
                 &networkids=new&startvm=FALSE";
    let plan = judged(query, &cloud).unwrap().unwrap();
    assert_eq!(short(&plan.after), "2 small 1x512 @z, 6 2G @z");
}

#[test]
fn a_thing_that_is_not_there_is_left_to_cloudstack() {
    let cloud = cloud();
    for query in [
        "command=startVirtualMachine&id=nowhere",
        "command=createSnapshot&volumeid=nowhere",
        "command=restoreBackup&id=nowhere",
        "command=startKubernetesCluster&id=nowhere",
    ] {
        assert_eq!(judged(query, &cloud), Ok(None), "{query}");
    }
}

#[test]
fn without_a_setting_the_bound_is_cloudstacks_own_default() {
    let mut cloud = cloud();
    cloud.retain(|(thing, _), _| *thing != Thing::Setting);
    let query = "command=registerTemplate&name=x&url=http://x&format=QCOW2&hypervisor=KVM&zoneid=z";
    let plan = judged(query, &cloud).unwrap().unwrap();
    assert_eq!(short(&plan.after), "7 50G @z");
}

#[test]
fn the_rule_of_a_neutral_call_prices_it_only_when_it_raises() {
    let table = CommandTable::new(&[]).unwrap();
    let rename = ParamMap::parse(b"command=updateVirtualMachine&id=x&displayname=y", b"").unwrap();
    let judged = table.get("updateVirtualMachine").unwrap().judged(&rename);
    assert_eq!(judged, (Class::Neutral, PriceRule::Free));
}
