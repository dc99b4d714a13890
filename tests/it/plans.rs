//! Edge: what the gate plans for recorded calls, against the usage records that came of them.

use faregate::cloudstack::command::{Class, CommandTable, Parent, PriceRule};
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::tree::Node;
use faregate::gate::plan::{Facts, Plan, Thing, needs, plan};
use faregate::gate::typed;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const CALLS: &str = include_str!("../fixtures/usage/lifecycle-A.calls.jsonl");
const RECORDS: &str = include_str!("../fixtures/usage/lifecycle-A.usage-records.jsonl");
/// The one template of that server and its size, as its `listTemplates` prints it.
const TEMPLATE: (&str, i64) = ("9a04d019-e6ca-11f1-b146-02fc00000001", 2_147_483_648);

fn rows(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Facts as they stood when each call was sent: offerings and networks from the answers that made
/// them, a network implemented once a VM was deployed or started in it.
#[derive(Default)]
struct Known {
    facts: Facts,
}

impl Known {
    fn learn(&mut self, thing: Thing, node: &Node) {
        if let Some(id) = node.text_of("id") {
            self.facts.insert((thing, id.to_owned()), node.clone());
        }
    }
    fn hear(&mut self, call: &Value) {
        let answer = call["answer"]
            .as_object()
            .and_then(|answer| answer.values().next());
        let node = Node::from_json("answer", answer.unwrap_or(&Value::Null));
        for (item, thing) in [
            ("serviceoffering", Thing::ServiceOffering),
            ("diskoffering", Thing::DiskOffering),
            ("network", Thing::Owned(Parent::Network)),
            ("volume", Thing::Owned(Parent::Volume)),
        ] {
            for one in node.all(item) {
                self.learn(thing, one);
            }
        }
    }
    fn implement(&mut self, networks: &str) {
        for id in networks.split(',') {
            let of = (Thing::Owned(Parent::Network), id.to_owned());
            let Some(network) = self.facts.get_mut(&of) else {
                continue;
            };
            for field in network
                .children
                .iter_mut()
                .filter(|field| field.name == "state")
            {
                "Implemented".clone_into(&mut field.text);
            }
        }
    }
}

fn params_of(call: &Value) -> ParamMap {
    let mut map = ParamMap::default();
    map.insert("command", call["command"].as_str().unwrap());
    for (name, value) in call["params"].as_object().unwrap() {
        map.insert(name, value.as_str().unwrap());
    }
    map
}

/// Usage records of all windows, in the default form.
fn records() -> Vec<Value> {
    let pages = rows(RECORDS)
        .into_iter()
        .filter(|page| page["variant"] == "default");
    pages
        .flat_map(|page| {
            let list = &page["answer"]["listusagerecordsresponse"]["usagerecord"];
            list.as_array().cloned().unwrap_or_default()
        })
        .collect()
}

/// Type, offering, size and shape of every meter that was planned, NICs one by one.
fn planned(plan: &Plan) -> Vec<String> {
    let mut all = Vec::new();
    for meter in &plan.after {
        let of = &meter.attributes;
        let shape = match meter.usage_type.number() {
            kind @ (1 | 2) => format!(
                "{kind} {} {}x{}",
                of.offering.as_deref().unwrap_or("?"),
                of.vcpus.unwrap(),
                of.memory_mib.unwrap()
            ),
            6 => format!("6 {}", of.size_bytes.unwrap()),
            13 => format!("13 {} *{}", of.offering.as_deref().unwrap_or("?"), of.count),
            _ => continue,
        };
        all.push(shape);
    }
    all.sort();
    all
}

/// The same of what the usage server reported of a VM: in its first window of each type, and of
/// its volumes by the number in their names.
fn reported(records: &[Value], vm: &str) -> Vec<String> {
    let of_vm = records.iter().filter(|one| one["virtualmachineid"] == vm);
    let mut first: BTreeMap<(i64, String), &Value> = BTreeMap::new();
    for one in of_vm {
        let kind = one["usagetype"].as_i64().unwrap();
        let part = if kind == 13 {
            one["offeringid"].to_string()
        } else {
            String::new()
        };
        let held = first.entry((kind, part)).or_insert(one);
        if one["startdate"].as_str() < held["startdate"].as_str() {
            *held = one;
        }
    }
    let mut all = Vec::new();
    let mut number = None;
    for ((kind, _), one) in &first {
        let offering = one["offeringid"].as_str().unwrap_or("?");
        match kind {
            1 | 2 => {
                let text = one["description"].as_str().unwrap();
                number = text
                    .split("(i-")
                    .nth(1)
                    .and_then(|rest| rest.split('-').nth(1));
                all.push(format!(
                    "{kind} {offering} {}x{}",
                    one["cpunumber"], one["memory"]
                ));
            }
            13 => all.push(format!("13 {offering} *1")),
            _ => {}
        }
    }
    let number = number.unwrap();
    for kind in ["ROOT", "DATA"] {
        let name = format!("for {kind}-{number} ");
        let volume = records.iter().find(|one| {
            one["usagetype"] == 6 && one["description"].as_str().unwrap().contains(&name)
        });
        all.extend(volume.map(|one| format!("6 {}", one["size"])));
    }
    all.sort();
    all
}

#[test]
fn a_recorded_deploy_is_planned_as_the_usage_server_later_counts_it() {
    let (records, mut known) = (records(), Known::default());
    let template = serde_json::json!({"id": TEMPLATE.0, "size": TEMPLATE.1});
    known.learn(Thing::Template, &Node::from_json("template", &template));
    let mut compared = BTreeSet::new();
    for call in rows(CALLS).iter().filter(|row| row["kind"] == "call") {
        let params = params_of(call);
        if call["command"] == "deployVirtualMachine" && call["status"] == 200 {
            let plan = plan(PriceRule::Deploy, "deploy", &params, &known.facts)
                .unwrap()
                .unwrap();
            let vm = call["answer"]["deployvirtualmachineresponse"]["id"]
                .as_str()
                .unwrap();
            let ran = records
                .iter()
                .any(|one| one["usagetype"] == 1 && one["virtualmachineid"] == vm);
            let stays_stopped = params.get("startvm") == Some("false");
            if ran && !stays_stopped {
                assert_eq!(
                    planned(&plan),
                    reported(&records, vm),
                    "{}",
                    call["params"]["name"]
                );
                compared.insert(call["params"]["name"].to_string());
            }
            if !stays_stopped {
                known.implement(params.get("networkids").unwrap());
            }
        }
        known.hear(call);
    }
    assert!(compared.len() >= 10, "{compared:?}");
}

#[test]
fn the_first_vm_in_a_network_takes_its_address_and_the_second_does_not() {
    let mut known = Known::default();
    let template = serde_json::json!({"id": TEMPLATE.0, "size": TEMPLATE.1});
    known.learn(Thing::Template, &Node::from_json("template", &template));
    let mut addresses: BTreeMap<String, usize> = BTreeMap::new();
    for call in rows(CALLS).iter().filter(|row| row["kind"] == "call") {
        let params = params_of(call);
        if call["command"] == "deployVirtualMachine" && call["status"] == 200 {
            let plan = plan(PriceRule::Deploy, "deploy", &params, &known.facts)
                .unwrap()
                .unwrap();
            let nat = plan
                .after
                .iter()
                .filter(|one| one.attributes.source_nat)
                .count();
            addresses.insert(call["params"]["name"].as_str().unwrap().to_owned(), nat);
            if params.get("startvm") != Some("false") {
                known.implement(params.get("networkids").unwrap());
            }
        }
        known.hear(call);
    }
    for (name, expected) in [
        ("ann-web", 1),
        ("ben-idle", 0),
        ("proj-vm", 1),
        ("vpc-vm1", 0),
        ("vpc-vm2", 0),
        ("sam-l2vm", 0),
        ("ben-aff", 0),
        ("ann-mover", 1),
    ] {
        assert_eq!(addresses.get(name), Some(&expected), "{name}");
    }
}

#[test]
fn every_recorded_priced_call_is_typed_and_says_what_to_ask() {
    let table = CommandTable::new(&[]).unwrap();
    let mut seen = BTreeSet::new();
    for call in rows(CALLS).iter().filter(|row| row["kind"] == "call") {
        let mut params = params_of(call);
        let name = params.command().to_owned();
        let (class, price) = table.get(&name).unwrap().judged(&params);
        if class != Class::Raises || price == PriceRule::Missing {
            continue;
        }
        let sent = params.clone();
        assert_eq!(
            typed::parameters(&name, &table, &mut params),
            Ok(()),
            "{}",
            call["params"]
        );
        assert_eq!(params, sent, "{name}");
        let asked = needs(price, &params);
        let none = [
            PriceRule::Address,
            PriceRule::LbRule,
            PriceRule::PfRule,
            PriceRule::VpnUser,
            PriceRule::Vpc,
            PriceRule::Bucket,
            PriceRule::Template,
            PriceRule::Upload,
        ];
        assert_eq!(asked.is_empty(), none.contains(&price), "{name}");
        seen.insert(name);
    }
    assert_eq!(seen.len(), 29, "{seen:?}");
}
