use super::*;
use crate::terms::time::SECOND;
use serde_json::{Value, json};

const T: i64 = 1_795_391_000;

fn owner() -> Owner {
    Owner {
        account: Some("a-1".into()),
        account_name: Some("ann".to_owned()),
        domain: "d-1".into(),
        project: None,
    }
}

fn printed(second: i64) -> String {
    let at = Timestamp::from_seconds(T + second).to_string();
    format!("{}+0000", at.trim_end_matches('Z'))
}

fn job(status: i64, completed: i64, result: &Value) -> ObservedJob {
    ObservedJob {
        created: Some(Timestamp::from_seconds(T)),
        completed: Some(Timestamp::from_seconds(T + completed)),
        status,
        result: Some(Node::from_json("jobresult", result)).filter(|node| !node.children.is_empty()),
        instance: Some("vm-1".into()),
        seen: Timestamp::from_seconds(T + completed + 1),
    }
}

/// One call sent at `at`, answered half a second later.
fn call(
    inventory: &mut Inventory,
    command: &str,
    params: &[(&str, &str)],
    at: i64,
    answer: &Value,
    job: Option<&ObservedJob>,
) -> Vec<FactQuestion> {
    let answer = Node::from_json("answer", answer);
    let find = |name: &str| {
        let found = params.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| *value)
    };
    let sent = Timestamp::from_seconds(T + at);
    let observed = observe(
        &ObservedCall {
            command,
            params: &find,
            owner: owner(),
            sent,
            answered: sent.plus(SECOND / 2),
            answer: &answer,
            job,
        },
        inventory,
    );
    let questions = observed.questions.clone();
    observed.apply_to(inventory);
    questions
}

fn vm(state: &str, created: i64, updated: i64) -> Value {
    json!({ "virtualmachine": {
        "id": "vm-1", "name": "web", "account": "ann", "domainid": "d-1", "state": state,
        "created": printed(created), "lastupdated": printed(updated), "serviceofferingid": "small",
        "templateid": "t", "cpunumber": 1, "cpuspeed": 100, "memory": 128,
        "instancename": "i-2-77-VM", "nic": [{ "id": "n", "networkid": "net-1" }],
    }})
}

/// A network, and a VM in it that runs since second 8.
fn running() -> Inventory {
    let mut inventory = Inventory::default();
    let network = json!({ "network": {
        "id": "net-1", "name": "net", "account": "ann", "domainid": "d-1", "state": "Allocated",
        "networkofferingid": "isolated", "created": printed(0), "service": [{"name": "SourceNat"}],
    }});
    call(&mut inventory, "createNetwork", &[], 0, &network, None);
    let first = json!({ "id": "vm-1", "jobid": "j" });
    let params = [
        ("serviceofferingid", "small"),
        ("networkids", "net-1"),
        ("rootdisksize", "3"),
    ];
    call(
        &mut inventory,
        "deployVirtualMachine",
        &params,
        2,
        &first,
        None,
    );
    let done = job(1, 9, &vm("Running", 2, 8));
    call(
        &mut inventory,
        "deployVirtualMachine",
        &params,
        2,
        &first,
        Some(&done),
    );
    inventory
}

/// Start and end in seconds of every interval of that type.
fn spans(inventory: &Inventory, kind: UsageType) -> Vec<(i64, Option<i64>)> {
    let seconds = |at: Timestamp| at.seconds() - T;
    inventory
        .intervals()
        .filter(|one| one.meter.usage_type == kind)
        .map(|one| (seconds(one.start.at), one.end.map(|end| seconds(end.at))))
        .collect()
}

#[test]
fn a_deployment_starts_every_meter_at_the_second_cloudstack_counts_from() {
    let inventory = running();
    assert_eq!(spans(&inventory, UsageType::AllocatedVm), [(2, None)]);
    assert_eq!(spans(&inventory, UsageType::RunningVm), [(8, None)]);
    assert_eq!(spans(&inventory, UsageType::NetworkOffering), [(8, None)]);
    assert_eq!(spans(&inventory, UsageType::Volume), [(2, None)]);
    assert_eq!(spans(&inventory, UsageType::IpAddress), [(9, None)]);
    let network = inventory
        .running()
        .find(|one| one.meter.usage_type == UsageType::Network)
        .unwrap();
    assert_eq!(network.attributes.state.as_deref(), Some("Implemented"));
}

#[test]
fn a_destroyed_vm_stops_running_at_the_first_answer_and_is_allocated_until_destroyed() {
    let mut inventory = running();
    let done = job(1, 27, &vm("Destroyed", 2, 26));
    let first = json!({ "jobid": "j" });
    let params = [("id", "vm-1")];
    call(
        &mut inventory,
        "destroyVirtualMachine",
        &params,
        20,
        &first,
        None,
    );
    assert_eq!(spans(&inventory, UsageType::RunningVm), [(8, None)]);
    call(
        &mut inventory,
        "destroyVirtualMachine",
        &params,
        20,
        &first,
        Some(&done),
    );
    assert_eq!(spans(&inventory, UsageType::RunningVm), [(8, Some(20))]);
    assert_eq!(spans(&inventory, UsageType::AllocatedVm), [(2, Some(26))]);
    assert_eq!(spans(&inventory, UsageType::Volume), [(2, Some(26))]);
    assert_eq!(spans(&inventory, UsageType::IpAddress), [(9, None)]);
}

#[test]
fn an_observation_made_twice_changes_nothing_more() {
    let mut inventory = running();
    let once: Vec<_> = inventory.intervals().cloned().collect();
    let done = job(1, 9, &vm("Running", 2, 8));
    let first = json!({ "id": "vm-1", "jobid": "j" });
    let params = [("serviceofferingid", "small"), ("rootdisksize", "3")];
    call(
        &mut inventory,
        "deployVirtualMachine",
        &params,
        2,
        &first,
        Some(&done),
    );
    let twice: Vec<_> = inventory.intervals().cloned().collect();
    assert_eq!(once, twice);
}

#[test]
fn a_deployment_that_failed_is_undone_at_its_jobs_end() {
    let mut inventory = Inventory::default();
    let first = json!({ "id": "vm-1", "jobid": "j" });
    call(
        &mut inventory,
        "deployVirtualMachine",
        &[("templateid", "t")],
        0,
        &first,
        None,
    );
    assert_eq!(spans(&inventory, UsageType::AllocatedVm), [(0, None)]);
    let failed = job(
        2,
        4,
        &json!({ "errorcode": 530, "errortext": "Unable to start a VM" }),
    );
    call(
        &mut inventory,
        "deployVirtualMachine",
        &[("templateid", "t")],
        0,
        &first,
        Some(&failed),
    );
    assert_eq!(spans(&inventory, UsageType::AllocatedVm), [(0, Some(4))]);
    assert_eq!(spans(&inventory, UsageType::Volume), [(0, Some(4))]);
}

#[test]
fn a_job_that_died_with_its_server_leaves_the_vm_and_asks() {
    let mut inventory = Inventory::default();
    let first = json!({ "id": "vm-1", "jobid": "j" });
    let died = job(2, 4, &json!({}));
    let asked = call(
        &mut inventory,
        "deployVirtualMachine",
        &[],
        0,
        &first,
        Some(&died),
    );
    assert!(asked.contains(&FactQuestion::Vm("vm-1".into())));
    assert_eq!(spans(&inventory, UsageType::AllocatedVm), [(0, None)]);
}

#[test]
fn a_scale_takes_its_size_from_the_result_and_not_from_the_request() {
    let mut inventory = running();
    let mut result = vm("Running", 2, 8);
    result["virtualmachine"]["memory"] = json!(256);
    let done = job(1, 30, &result);
    let params = [("id", "vm-1"), ("serviceofferingid", "huge")];
    call(
        &mut inventory,
        "scaleVirtualMachine",
        &params,
        28,
        &json!({"jobid": "j"}),
        Some(&done),
    );
    assert_eq!(
        spans(&inventory, UsageType::RunningVm),
        [(8, Some(30)), (30, None)]
    );
    let now = inventory
        .open_of(&meter(UsageType::RunningVm, &"vm-1".into()))
        .unwrap();
    assert_eq!(now.attributes.memory_mib, Some(256));
    assert_eq!(now.attributes.offering.as_deref(), Some("small"));
}

#[test]
fn a_list_tells_the_ids_that_no_job_told() {
    let mut inventory = running();
    let volumes = json!({ "volume": [{
        "id": "root-1", "name": "ROOT-77", "type": "ROOT", "virtualmachineid": "vm-1", "size": 9,
    }]});
    call(&mut inventory, "listVolumes", &[], 10, &volumes, None);
    let addresses = json!({ "publicipaddress": [{
        "id": "ip-1", "ipaddress": "192.0.2.1", "issourcenat": true, "allocated": printed(5),
        "associatednetworkid": "net-1",
    }]});
    call(
        &mut inventory,
        "listPublicIpAddresses",
        &[],
        10,
        &addresses,
        None,
    );
    let root = meter(UsageType::Volume, &"root-1".into());
    assert_eq!(
        inventory.open_of(&root).unwrap().attributes.size_bytes,
        Some(9)
    );
    assert_eq!(spans(&inventory, UsageType::Volume), [(2, None)]);
    assert_eq!(spans(&inventory, UsageType::IpAddress), [(5, None)]);
}

#[test]
fn a_released_address_takes_its_rules_along() {
    let mut inventory = running();
    let address = json!({ "ipaddress": { "id": "ip-2", "allocated": printed(40),
        "account": "ann", "domainid": "d-1", "issourcenat": false }});
    let done = job(1, 40, &address);
    let first = json!({ "id": "ip-2", "jobid": "j" });
    call(
        &mut inventory,
        "associateIpAddress",
        &[("networkid", "net-1")],
        40,
        &first,
        Some(&done),
    );
    let rule = job(1, 43, &json!({ "portforwardingrule": { "id": "pf" }}));
    let first = json!({ "id": "pf", "jobid": "j" });
    let params = [("ipaddressid", "ip-2")];
    call(
        &mut inventory,
        "createPortForwardingRule",
        &params,
        42,
        &first,
        Some(&rule),
    );
    let done = job(1, 51, &json!({ "success": true }));
    let first = json!({ "jobid": "j" });
    call(
        &mut inventory,
        "disassociateIpAddress",
        &[("id", "ip-2")],
        50,
        &first,
        Some(&done),
    );
    assert_eq!(
        spans(&inventory, UsageType::PortForwardingRule),
        [(42, Some(51))]
    );
    assert_eq!(
        spans(&inventory, UsageType::IpAddress),
        [(40, Some(51)), (9, None)]
    );
}

#[test]
fn a_volume_listed_before_its_deployment_was_answered_has_its_size_all_the_same() {
    let mut inventory = Inventory::default();
    let volumes = json!({"volume": [{
        "id": "v-1", "name": "ROOT-1", "type": "ROOT", "virtualmachineid": "vm-1",
        "size": 10_737_418_240_i64,
    }]});
    call(&mut inventory, "listVolumes", &[], 0, &volumes, None);
    let started = json!({"id": "vm-1", "jobid": "j-1"});
    let done = job(
        1,
        2,
        &json!({"virtualmachine": {
            "id": "vm-1", "state": "Running", "created": printed(0), "lastupdated": printed(2),
        }}),
    );
    call(
        &mut inventory,
        "deployVirtualMachine",
        &[],
        0,
        &started,
        None,
    );
    call(
        &mut inventory,
        "deployVirtualMachine",
        &[],
        0,
        &started,
        Some(&done),
    );
    call(&mut inventory, "listVolumes", &[], 3, &volumes, None);
    let open = inventory
        .open_of(&meter(UsageType::Volume, &"v-1".into()))
        .unwrap();
    assert_eq!(open.attributes.size_bytes, Some(10_737_418_240));
}

#[test]
fn a_volume_whose_job_died_with_its_server_runs_on_and_is_not_begun_again() {
    let mut inventory = Inventory::default();
    let first = json!({ "id": "vol-1", "jobid": "j" });
    let died = job(2, 9, &json!({}));
    let failed = job(2, 9, &json!({ "errorcode": 530, "errortext": "no" }));
    for (ended, span) in [(&died, (2, None)), (&failed, (2, Some(9)))] {
        call(&mut inventory, "createVolume", &[], 2, &first, None);
        call(&mut inventory, "createVolume", &[], 2, &first, Some(ended));
        assert_eq!(spans(&inventory, UsageType::Volume), [span]);
    }
}
