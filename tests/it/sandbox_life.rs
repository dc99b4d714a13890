//! Edge: the sandbox's own promises: states, limits, owners, events, usage, sessions, its file.

use crate::sandbox::{Keys, call, map_of};
use crate::sandbox_world::{DISK, MEDIUM, SMALL, World, ZONE, raw, text};
use serde_json::Value;

#[tokio::test]
async fn a_vm_lives_through_all_its_states() {
    let world = World::new("states").await;
    let ann = &world.ann;
    let network = world.network(ann, "n").await;
    let vm = world.vm(ann, &network, "web").await;
    assert_eq!(world.state(ann, &vm).await, "Running");
    world
        .done(ann, &[("command", "stopVirtualMachine"), ("id", &vm)])
        .await;
    assert_eq!(world.state(ann, &vm).await, "Stopped");
    let change = [
        ("command", "changeServiceForVirtualMachine"),
        ("id", vm.as_str()),
        ("serviceofferingid", MEDIUM),
    ];
    let changed = world.ok(ann, &change).await;
    assert_eq!(changed["virtualmachine"]["memory"], 4096);
    world
        .done(ann, &[("command", "startVirtualMachine"), ("id", &vm)])
        .await;
    world
        .done(ann, &[("command", "destroyVirtualMachine"), ("id", &vm)])
        .await;
    assert_eq!(world.state(ann, &vm).await, "Destroyed");
    world
        .ok(ann, &[("command", "recoverVirtualMachine"), ("id", &vm)])
        .await;
    assert_eq!(world.state(ann, &vm).await, "Stopped");
    let gone = [
        ("command", "destroyVirtualMachine"),
        ("id", &vm),
        ("expunge", "true"),
    ];
    world.done(ann, &gone).await;
    assert_eq!(world.state(ann, &vm).await, "");
    let start = [("command", "startVirtualMachine"), ("id", vm.as_str())];
    let (status, refusal) = world.any(ann, &start).await;
    assert_eq!((status, refusal["cserrorcode"].as_i64()), (431, Some(4350)));
}

#[tokio::test]
async fn a_start_of_a_running_vm_fails_and_changes_nothing() {
    let world = World::new("running").await;
    let network = world.network(&world.ann, "n").await;
    let vm = world.vm(&world.ann, &network, "web").await;
    let start = [("command", "startVirtualMachine"), ("id", vm.as_str())];
    let begun = world.ok(&world.ann, &start).await;
    let job = world.job(&world.ann, &begun["jobid"]).await;
    assert_eq!(job["jobresultcode"], 431);
    assert_eq!(job["jobresult"]["errorcode"], 431);
    assert_eq!(world.state(&world.ann, &vm).await, "Running");
}

#[tokio::test]
async fn limits_refuse_before_anything_is_made() {
    let world = World::new("limits").await;
    let domains = world.ok(&world.admin, &[("command", "listDomains")]).await;
    let root = text(&domains["domain"][0]["id"]);
    let limit = |kind: &'static str, max: &'static str| {
        let words = [
            ("command", "updateResourceLimit"),
            ("account", "ann"),
            ("domainid", root.as_str()),
            ("resourcetype", kind),
            ("max", max),
        ];
        let map = map_of(&words);
        let (at, admin) = (world.at, &world.admin);
        async move { assert_eq!(call(at, &map, admin).await.0, 200) }
    };
    let network = world.network(&world.ann, "n").await;
    limit("0", "0").await;
    let (status, body) = world.deploy(&world.ann, &[("networkids", &network)]).await;
    assert_eq!((status, body["cserrorcode"].as_i64()), (535, Some(9999)));
    limit("0", "20").await;
    world.vm(&world.ann, &network, "web").await;
    limit("1", "1").await;
    let associate = [
        ("command", "associateIpAddress"),
        ("networkid", network.as_str()),
    ];
    let (status, body) = world.any(&world.ann, &associate).await;
    assert_eq!((status, body["cserrorcode"].as_i64()), (532, Some(4280)));
    let volume = [
        ("command", "createVolume"),
        ("zoneid", ZONE),
        ("diskofferingid", DISK),
        ("name", "big"),
        ("size", "1000"),
    ];
    let (status, body) = world.any(&world.ann, &volume).await;
    assert_eq!((status, body["cserrorcode"].as_i64()), (535, Some(4370)));
    let vms = world
        .ok(&world.ann, &[("command", "listVirtualMachines")])
        .await;
    assert_eq!(vms["count"], 1);
}

#[tokio::test]
async fn of_many_deploys_at_once_only_those_within_the_limit_are_made() {
    let world = World::new("crowd").await;
    let network = world.network(&world.ann, "n").await;
    let on = [("networkids", network.as_str())];
    let deploys = (0..100).map(|_| world.deploy(&world.ann, &on));
    let answers = futures_util::future::join_all(deploys).await;
    let made: Vec<&Value> = answers
        .iter()
        .filter(|(status, _)| *status == 200)
        .map(|(_, body)| body)
        .collect();
    assert_eq!(made.len(), 20);
    assert!(
        answers
            .iter()
            .all(|(status, _)| matches!(status, 200 | 535))
    );
    for begun in made {
        assert_eq!(world.job(&world.ann, &begun["jobid"]).await["jobstatus"], 1);
    }
    let state = raw(
        world.at,
        "GET /sandbox/state HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    let state = state.await;
    let (_, body) = state.split_once("\r\n\r\n").unwrap();
    let state: Value = serde_json::from_str(body).unwrap();
    assert_eq!(state["running"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn nobody_touches_what_is_somebody_elses() {
    let world = World::new("owners").await;
    let domain = world
        .ok(
            &world.admin,
            &[("command", "createDomain"), ("name", "north")],
        )
        .await;
    let north = text(&domain["domain"]["id"]);
    let dad = world.account("dad", "2", Some(&north)).await;
    let ben = world.account("ben", "0", Some(&north)).await;
    let network = world.network(&ben, "n").await;
    let vm = world.vm(&ben, &network, "web").await;
    let stop = [("command", "stopVirtualMachine"), ("id", vm.as_str())];
    assert_eq!(world.any(&world.ann, &stop).await.0, 531);
    assert_eq!(world.state(&world.ann, &vm).await, "");
    let all = [("command", "listVirtualMachines"), ("listall", "true")];
    assert_eq!(world.ok(&dad, &all).await["count"], 1);
    assert_eq!(world.ok(&world.ann, &all).await, serde_json::json!({}));
    let for_ben = [
        ("networkids", network.as_str()),
        ("account", "BEN"),
        ("domainid", north.as_str()),
        ("startvm", "false"),
    ];
    assert_eq!(world.deploy(&world.ann, &for_ben).await.0, 531);
    assert_eq!(world.deploy(&dad, &for_ben).await.0, 200);
    let foreign = [("networkids", network.as_str())];
    assert_eq!(world.deploy(&world.ann, &foreign).await.0, 531);
    let half = [("networkids", network.as_str()), ("account", "ben")];
    assert_eq!(world.deploy(&dad, &half).await.0, 431);
    let role = [("command", "createDomain"), ("name", "x")];
    assert_eq!(world.any(&world.ann, &role).await.0, 432);
}

#[tokio::test]
async fn a_project_owns_what_is_made_in_it_and_listall_leaves_it_out() {
    let world = World::new("project").await;
    let made = [
        ("command", "createProject"),
        ("name", "proj"),
        ("displaytext", "p"),
    ];
    let begun = world.ok(&world.ann, &made).await;
    world.job(&world.ann, &begun["jobid"]).await;
    let project = text(&begun["id"]);
    let (status, body) = world
        .deploy(&world.ann, &[("projectid", &project), ("startvm", "false")])
        .await;
    assert_eq!(status, 200, "{body}");
    let count = |words: Vec<(&'static str, String)>| {
        let words: Vec<(&str, &str)> = words.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let map = map_of(&words);
        let (at, admin) = (world.at, &world.admin);
        async move {
            let (_, body) = call(at, &map, admin).await;
            body["listvirtualmachinesresponse"]["count"]
                .as_i64()
                .unwrap_or(0)
        }
    };
    let list = |name: &'static str, value: &str| {
        vec![
            ("command", "listVirtualMachines".to_owned()),
            (name, value.to_owned()),
        ]
    };
    assert_eq!(count(list("listall", "true")).await, 0);
    assert_eq!(count(list("projectid", "-1")).await, 1);
    assert_eq!(count(list("id", body["id"].as_str().unwrap())).await, 1);
    let own = [
        ("command", "listVirtualMachines"),
        ("projectid", project.as_str()),
    ];
    let vm = &world.ok(&world.ann, &own).await["virtualmachine"][0];
    assert_eq!(vm["projectid"], project.as_str());
    assert!(vm.get("account").is_none());
}

#[tokio::test]
async fn events_come_in_pages_newest_first_and_oldest_first_within() {
    let world = World::new("events").await;
    let network = world.network(&world.ann, "n").await;
    let vm = world.vm(&world.ann, &network, "web").await;
    let of_vm = [
        ("command", "listEvents"),
        ("resourceid", vm.as_str()),
        ("resourcetype", "VirtualMachine"),
    ];
    let events = world.ok(&world.ann, &of_vm).await;
    let states: Vec<&str> = events["event"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["Scheduled", "Started", "Completed"]);
    assert_eq!(events["event"][1]["parentid"], events["event"][0]["id"]);
    let mut page = of_vm.to_vec();
    page.extend([("page", "1"), ("pagesize", "2")]);
    let newest = world.ok(&world.ann, &page).await;
    assert_eq!(newest["count"], 3);
    assert_eq!(newest["event"][0]["state"], "Started");
    assert_eq!(newest["event"][1]["state"], "Completed");
    let (status, _) = world.any(&world.ann, &of_vm[..2]).await;
    assert_eq!(status, 431);
}

#[tokio::test]
async fn a_session_needs_its_cookie_and_its_key() {
    let world = World::new("session").await;
    let form = "command=login&username=ann&password=p&domain=/&response=json";
    let login = format!(
        "POST /client/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = raw(world.at, &login).await;
    let cookie = |name: &str| {
        let at = answer.find(&format!("{name}=")).expect("a cookie") + name.len() + 1;
        answer[at..].split(';').next().unwrap().to_owned()
    };
    let (session, key) = (cookie("JSESSIONID"), cookie("sessionkey"));
    let list = |key: &str| {
        let request = format!(
            "GET /client/api?command=listZones&response=json&sessionkey={key} HTTP/1.1\r\nHost: \
             x\r\nConnection: close\r\nCookie: JSESSIONID={session}; sessionkey={key}\r\n\r\n"
        );
        let at = world.at;
        async move { raw(at, &request).await }
    };
    assert!(list(&key).await.starts_with("HTTP/1.1 200"));
    assert!(list("wrong").await.starts_with("HTTP/1.1 401"));
    assert!(
        list(&key).await.starts_with("HTTP/1.1 401"),
        "the session was ended"
    );
}

#[tokio::test]
async fn a_key_works_in_any_case_and_not_after_new_keys() {
    let world = World::new("keys").await;
    let loud = Keys {
        api_key: format!("{} ", world.ann.api_key.to_uppercase()),
        secret: world.ann.secret.clone(),
    };
    let zones = [("command", "listZones")];
    assert_eq!(world.any(&loud, &zones).await.0, 200);
    let asked = [
        ("command", "getUser"),
        ("userapikey", loud.api_key.as_str()),
    ];
    let user = world.ok(&world.admin, &asked).await;
    assert_eq!(user["user"]["apikey"], world.ann.api_key.as_str());
    let id = text(&user["user"]["id"]);
    world
        .ok(
            &world.admin,
            &[("command", "registerUserKeys"), ("id", &id)],
        )
        .await;
    assert_eq!(world.any(&world.ann, &zones).await.0, 401);
}

#[tokio::test]
async fn data_disks_outlive_their_vm_and_sizes_only_grow() {
    let world = World::new("disks").await;
    let ann = &world.ann;
    let network = world.network(ann, "n").await;
    let vm = world.vm(ann, &network, "web").await;
    let made = [
        ("command", "createVolume"),
        ("zoneid", ZONE),
        ("diskofferingid", DISK),
        ("name", "data"),
        ("size", "2"),
    ];
    let volume = world.ok(ann, &made).await;
    world.job(ann, &volume["jobid"]).await;
    let volume = text(&volume["id"]);
    let attach = [
        ("command", "attachVolume"),
        ("id", volume.as_str()),
        ("virtualmachineid", vm.as_str()),
    ];
    assert_eq!(
        world.done(ann, &attach).await["jobresult"]["volume"]["deviceid"],
        1
    );
    let shrink = [
        ("command", "resizeVolume"),
        ("id", volume.as_str()),
        ("size", "1"),
    ];
    let begun = world.ok(ann, &shrink).await;
    assert_eq!(world.job(ann, &begun["jobid"]).await["jobresultcode"], 431);
    let grow = [
        ("command", "resizeVolume"),
        ("id", volume.as_str()),
        ("size", "5"),
    ];
    let grown = world.done(ann, &grow).await;
    assert_eq!(grown["jobresult"]["volume"]["size"], 5_i64 << 30);
    let gone = [
        ("command", "destroyVirtualMachine"),
        ("id", &vm),
        ("expunge", "true"),
    ];
    world.done(ann, &gone).await;
    let left = world.ok(ann, &[("command", "listVolumes")]).await;
    assert_eq!(
        (left["count"].as_i64(), &left["volume"][0]["id"]),
        (Some(1), &volume.into())
    );
}

#[tokio::test]
async fn a_scale_of_a_running_vm_only_grows_it() {
    let world = World::new("scale").await;
    let ann = &world.ann;
    let network = world.network(ann, "n").await;
    let vm = world.vm(ann, &network, "web").await;
    let to = |offering: &'static str| {
        [
            ("command", "scaleVirtualMachine"),
            ("id", vm.as_str()),
            ("serviceofferingid", offering),
        ]
    };
    assert_eq!(
        world.done(ann, &to(MEDIUM)).await["jobresult"]["virtualmachine"]["cpunumber"],
        2
    );
    let begun = world.ok(ann, &to(SMALL)).await;
    assert_eq!(world.job(ann, &begun["jobid"]).await["jobresultcode"], 431);
    let state = world
        .ok(ann, &[("command", "listVirtualMachines"), ("id", &vm)])
        .await;
    assert_eq!(state["virtualmachine"][0]["cpunumber"], 2);
}
