//! Edge: single requests to a real server, asked again: status, wrapper, names, types, order of
//! elements, codes and texts of refusals must be the sandbox's too.
//!
//! What differs stands in `tests/sandbox-deviations.md`, each with its reason; a line there that
//! nothing needs any more fails the test.

use crate::sandbox::compare;
use crate::sandbox_world::{World, ZONE, raw, text};
use faregate::clock::Clock;
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::{signature, time, tree::Node, xml};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sandbox/");
/// The disk offering of 5 GiB.
const DISK_5: &str = "d4ff56d1-b0f4-4a87-839f-622c944ecbcd";
const DEVIATIONS: &str = include_str!("../sandbox-deviations.md");

/// What stands in for the recorded server's things.
struct Stage {
    world: World,
    /// Recorded key → (recorded secret, our key, our secret).
    keys: BTreeMap<String, (String, String, String)>,
    /// Networks of the plain user and of the account whose limits are reached.
    networks: (String, String),
    /// VM and its deploy job, in an isolated network; the same in an L2 network.
    vm: (String, String),
    plain_vm: (String, String),
    /// Jobs that are pending, destroyed their VM, failed, were cancelled.
    jobs: BTreeMap<&'static str, String>,
    user: String,
    account: String,
}

impl Stage {
    async fn new(name: &str) -> Self {
        // A day after it was recorded, a signature of the recordings had expired.
        let recorded = time::parse("2026-11-22T23:44:00+0000").unwrap();
        let world = World::at(name, Clock::seeded(recorded, 1)).await;
        let limited = world.account("lim", "0", None).await;
        let ben = world.account("ben", "0", None).await;
        let networks = (
            world.network(&world.ann, "alice-net").await,
            world.network(&limited, "lim-net").await,
        );
        let vm = deployed(&world, &networks.0, "web1").await;
        let l2 = [
            ("command", "createNetwork"),
            ("name", "l2"),
            ("zoneid", ZONE),
            ("networkofferingid", "671ff29c-d7f3-4514-8ffc-55c9ad27fb87"),
        ];
        let l2 = text(&world.ok(&world.ann, &l2).await["network"]["id"]);
        let plain_vm = deployed(&world, &l2, "r1xml").await;
        let jobs = jobs(&world, &networks.0).await;
        let on = [("networkids", networks.1.as_str()), ("startvm", "false")];
        let (status, body) = world.deploy(&limited, &on).await;
        assert_eq!(status, 200, "{body}");
        let asked = [
            ("command", "getUser"),
            ("userapikey", world.ann.api_key.as_str()),
        ];
        let user = world.ok(&world.admin, &asked).await;
        let recorded =
            std::fs::read_to_string(format!("{FOLDER}../cloudstack/users.json")).unwrap();
        let recorded: Value = serde_json::from_str(&recorded).unwrap();
        let users = recorded["users"].as_object().unwrap();
        let keys = users.iter().filter_map(|(name, user)| {
            let ours = match name.as_str() {
                "admin" | "faregate" => &world.admin,
                "r1lim" => &limited,
                "r1ben" => &ben,
                _ => &world.ann,
            };
            let secret = user["secret"].as_str()?.to_owned();
            let pair = (secret, ours.api_key.clone(), ours.secret.clone());
            Some((user["key"].as_str()?.to_owned(), pair))
        });
        Self {
            keys: keys.collect(),
            networks,
            vm,
            plain_vm,
            jobs,
            user: text(&user["user"]["id"]),
            account: text(&user["user"]["accountid"]),
            world,
        }
    }

    /// Sets the limits that a case was recorded with.
    async fn prepare(&self, case: &str) {
        let limits: &[(&str, &str, &str)] = match case {
            _ if case.starts_with("535.limit") => &[("lim", "0", "1")],
            "limit.volume.createVolume" => &[("lim", "2", "1")],
            "limit.primary_storage.createVolume" => &[("lim", "2", "20"), ("lim", "10", "0")],
            "limit.project.createProject" => &[("lim", "5", "0")],
            "limit.public_ip.associateIpAddress~2" => &[("ann", "1", "0")],
            _ => &[],
        };
        let domains = self
            .world
            .ok(&self.world.admin, &[("command", "listDomains")])
            .await;
        let root = text(&domains["domain"][0]["id"]);
        for (account, kind, max) in limits {
            let words = [
                ("command", "updateResourceLimit"),
                ("account", *account),
                ("domainid", root.as_str()),
                ("resourcetype", *kind),
                ("max", *max),
            ];
            self.world.ok(&self.world.admin, &words).await;
        }
    }

    /// Our parameters for the recorded ones; the signature is made anew where it was right.
    fn translate(&self, mut map: ParamMap, case: &str) -> ParamMap {
        let key = map.get("apikey").unwrap_or_default().to_owned();
        let Some((secret, our_key, our_secret)) = self.keys.get(&key) else {
            return map;
        };
        let is_limited = *our_key != self.world.ann.api_key;
        let (vm, job) = match case {
            "query.done" | "list.vm" | "stop.displayname-with-markup" => &self.plain_vm,
            _ => &self.vm,
        };
        let job = self.jobs.get(case).unwrap_or(job);
        let network = if is_limited {
            &self.networks.1
        } else {
            &self.networks.0
        };
        let was_right = signature::agrees(&map, secret.as_bytes());
        let command = map.command().to_owned();
        let is_uuid = |text: &str| text.len() == 36 && text.matches('-').count() == 4;
        let names: Vec<String> = map.iter().map(|(lower, _)| lower.to_owned()).collect();
        for name in names {
            let value = map.get(&name).unwrap_or_default().to_owned();
            if !is_uuid(&value) || value.starts_with("11111111") {
                continue;
            }
            let ours = match (name.as_str(), command.as_str()) {
                ("networkids" | "networkid", _) => network,
                ("jobid", _) => job,
                ("resourceid" | "virtualmachineid", _) => vm,
                ("id", "listAccounts") => &self.account,
                ("id", "listUsers" | "getUserKeys") => &self.user,
                ("id", _) => vm,
                ("diskofferingid", _) => &DISK_5.to_owned(),
                _ => continue,
            };
            map.set_value(&name, ours.clone());
        }
        if map
            .get("userapikey")
            .is_some_and(|key| self.keys.contains_key(key))
        {
            map.set_value("userapikey", self.world.ann.api_key.clone());
        }
        let ann = (&self.world.ann.api_key, &self.world.ann.secret);
        let asks_job = map.command() == "queryAsyncJobResult";
        let (our_key, our_secret) = if asks_job { ann } else { (our_key, our_secret) };
        map.set_value("apikey", our_key.clone());
        if was_right {
            map.remove("signature");
            let signed = signature::sign(&map, our_secret.as_bytes());
            map.insert("signature", &signed);
        }
        map
    }

    /// The answer to a recorded request: head and body.
    async fn ask(&self, request: &Value, case: &str) -> (String, String) {
        let target = request["target"].as_str().unwrap();
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let form = request["body"].as_str().unwrap_or_default();
        let map = ParamMap::parse_as_cloudstack(query.as_bytes(), form.as_bytes()).unwrap();
        let wire = self.translate(map, case).to_wire();
        let request = match request["method"].as_str().unwrap() {
            "POST" => format!(
                "POST /client/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: \
                 application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{wire}",
                wire.len()
            ),
            method => {
                format!(
                    "{method} /client/api?{wire} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                )
            }
        };
        let answer = raw(self.world.at, &request).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        (head.to_owned(), body.to_owned())
    }
}

/// Deploys a VM that runs; gives its id and its job's.
async fn deployed(world: &World, network: &str, name: &str) -> (String, String) {
    let on = [("networkids", network), ("name", name)];
    let (_, begun) = world.deploy(&world.ann, &on).await;
    world.job(&world.ann, &begun["jobid"]).await;
    (text(&begun["id"]), text(&begun["jobid"]))
}

/// A job of each kind, by the case that asks for it.
async fn jobs(world: &World, network: &str) -> BTreeMap<&'static str, String> {
    let ann = &world.ann;
    let mut jobs = BTreeMap::new();
    let (vm, _) = deployed(world, network, "gone").await;
    let gone = [
        ("command", "destroyVirtualMachine"),
        ("id", vm.as_str()),
        ("expunge", "true"),
    ];
    jobs.insert(
        "query.destroyed",
        text(&world.done(ann, &gone).await["jobid"]),
    );
    let faults = [
        ("job-fails", "query.failed"),
        ("job-fails-after-vm", "restart.query-3min"),
    ];
    let mut left = Vec::new();
    for (fault, case) in faults {
        world.fault(fault, 1).await;
        let (vm, job) = deployed(world, network, fault).await;
        jobs.insert(case, job);
        left.push(vm);
    }
    for vm in left {
        let gone = [
            ("command", "destroyVirtualMachine"),
            ("id", &vm),
            ("expunge", "true"),
        ];
        world.done(ann, &gone).await;
    }
    world.fault("slow-jobs", 60_000).await;
    let (_, begun) = world
        .deploy(ann, &[("networkids", network), ("name", "slow")])
        .await;
    jobs.insert("query.pending", text(&begun["jobid"]));
    world.fault("slow-jobs", 0).await;
    jobs
}

/// A text without ids, numbers and names that differ from server to server.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive([' ', '[', ']', '"', '=', ':', ',', '.', ';']) {
        let bare = word.trim_end_matches([' ', '[', ']', '"', '=', ':', ',', '.', ';']);
        let rest = &word[bare.len()..];
        let is_id = bare.len() == 36 && bare.matches('-').count() == 4;
        let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = matches!(bare, "ann" | "lim" | "alice" | "r1ann" | "r1lim");
        out.push_str(match bare {
            _ if is_id => "ID",
            _ if is_number => "N",
            _ if is_name => "NAME",
            other => other,
        });
        out.push_str(rest);
    }
    out
}

fn compare_refusals(recorded: &Value, ours: &Value, found: &mut Vec<String>) {
    let inside = |body: &Value| body.as_object().and_then(|b| b.values().next()).cloned();
    let (Some(a), Some(b)) = (inside(recorded), inside(ours)) else {
        return;
    };
    if a["cserrorcode"] != b["cserrorcode"] {
        found.push(format!(
            "cserrorcode {} against {}",
            a["cserrorcode"], b["cserrorcode"]
        ));
    }
    let (a, b) = (a["errortext"].as_str(), b["errortext"].as_str());
    if a.map(plain) != b.map(plain) {
        found.push(format!("text {a:?} against {b:?}"));
    }
}

/// Names of elements, in order, of the first of each list, down the tree.
fn compare_order(path: &str, recorded: &Node, ours: &Node, found: &mut Vec<String>) {
    fn names(node: &Node) -> Vec<&str> {
        // Whether the first event of a page has a parent depends on where the page begins.
        let names = node.children.iter().map(|c| c.name.as_str());
        let mut names: Vec<&str> = names.filter(|name| *name != "parentid").collect();
        names.dedup();
        names
    }
    let (a, mut b) = (names(recorded), names(ours));
    let mut seen = BTreeSet::new();
    b.retain(|name| seen.insert(*name));
    if a != b {
        let missing: Vec<_> = a.iter().filter(|name| !b.contains(name)).collect();
        let extra: Vec<_> = b.iter().filter(|name| !a.contains(name)).collect();
        let what = match (missing.is_empty(), extra.is_empty()) {
            (true, true) => format!("order {a:?} against {b:?}"),
            _ => format!("missing {missing:?} extra {extra:?}"),
        };
        found.push(format!("{path}: {what}"));
    }
    for name in a {
        if let (Some(a), Some(b)) = (recorded.child(name), ours.child(name)) {
            compare_order(&format!("{path}.{name}"), a, b, found);
        }
    }
}

/// The recorded answer with the items first in its lists that ours has first too, by id.
fn aligned(recorded: &Value, ours: &Value) -> Value {
    match (recorded, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let fields = a.iter().map(|(name, a)| {
                let a = b.get(name).map_or_else(|| a.clone(), |b| aligned(a, b));
                (name.clone(), a)
            });
            Value::Object(fields.collect())
        }
        (Value::Array(a), Value::Array(b)) => {
            let same = |item: &&Value| {
                let key = if item.get("id").is_some() {
                    "id"
                } else {
                    "name"
                };
                item.get(key).is_some() && item.get(key) == b.first().and_then(|b| b.get(key))
            };
            let first = a.iter().find(same).or(a.first());
            let pair = first.zip(b.first());
            Value::Array(pair.map(|(a, b)| aligned(a, b)).into_iter().collect())
        }
        _ => recorded.clone(),
    }
}

/// The same for XML.
fn aligned_nodes(recorded: &Node, ours: &Node) -> Node {
    let mut out = Node::leaf(&recorded.name, &recorded.text);
    let mut done = BTreeSet::new();
    for child in &recorded.children {
        if !done.insert(child.name.clone()) {
            continue;
        }
        let other = ours.child(&child.name);
        let same = |item: &&Node| {
            let key = if item.child("id").is_some() {
                "id"
            } else {
                "name"
            };
            item.text_of(key).is_some() && item.text_of(key) == other.and_then(|o| o.text_of(key))
        };
        let item = recorded.all(&child.name).find(same).unwrap_or(child);
        out.children
            .push(other.map_or_else(|| item.clone(), |other| aligned_nodes(item, other)));
    }
    out
}

fn compare_bodies(recorded: &str, ours: &str, found: &mut Vec<String>) {
    if recorded.starts_with('{') {
        let parse = |text: &str| serde_json::from_str::<Value>(text);
        let (Ok(a), Ok(b)) = (parse(recorded), parse(ours)) else {
            return found.push(format!("not JSON: {ours}"));
        };
        compare("", &aligned(&a, &b), &b, found);
        compare_refusals(&a, &b, found);
    } else if recorded.starts_with('<') {
        let (Ok(a), Ok(b)) = (xml::read(recorded.as_bytes()), xml::read(ours.as_bytes())) else {
            return found.push(format!("not XML: {ours}"));
        };
        if a.name != b.name {
            found.push(format!("wrapper {} against {}", a.name, b.name));
        }
        compare_order("", &aligned_nodes(&a, &b), &b, found);
        let version = |text: &str| text.contains("cloud-stack-version");
        if version(recorded) != version(ours) {
            found.push(format!("version attribute: {}", version(recorded)));
        }
    } else if recorded != ours {
        found.push(format!("body {recorded:?} against {ours:?}"));
    }
}

/// What differs in a file, as `case: what`.
async fn differences(stage: &Stage, file: &str) -> (usize, Vec<String>) {
    let (mut calls, mut found) = (0, Vec::new());
    let lines = std::fs::read_to_string(format!("{FOLDER}{file}")).unwrap();
    for line in lines.lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let case = recorded["case"].as_str().unwrap();
        stage.prepare(case).await;
        let (head, body) = stage.ask(&recorded["request"], case).await;
        calls += 1;
        let mut here = Vec::new();
        let status = recorded["response"]["status"].as_u64().unwrap();
        let ours: u64 = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status != ours {
            here.push(format!("status {status} against {ours} {body}"));
        }
        let described = |name: &str| name.eq_ignore_ascii_case("x-description");
        let headers = recorded["response"]["headers"].as_array().unwrap();
        let told = headers
            .iter()
            .any(|pair| described(pair[0].as_str().unwrap()));
        let tells = head
            .lines()
            .any(|line| described(line.split(':').next().unwrap()));
        if told != tells {
            here.push(format!("X-Description: {told} against {tells}"));
        }
        compare_bodies(
            recorded["response"]["body"].as_str().unwrap(),
            &body,
            &mut here,
        );
        found.extend(
            here.into_iter()
                .map(|what| format!("{file} {case}: {what}")),
        );
    }
    (calls, found)
}

/// Beginnings of what may differ: the first table's first column.
fn allowed() -> Vec<&'static str> {
    let (table, _) = DEVIATIONS.split_once("\nKnown,").expect("two tables");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`'))
        .map(|(key, _)| key)
        .collect()
}

#[tokio::test]
async fn recorded_requests_are_answered_alike_but_for_the_listed_deviations() {
    let stage = Stage::new("recorded").await;
    let (mut calls, mut found) = (0, Vec::new());
    for file in ["lists.jsonl", "errors.jsonl", "xml.jsonl"] {
        let (asked, differ) = differences(&stage, file).await;
        calls += asked;
        found.extend(differ);
    }
    let allowed = allowed();
    let mut used = BTreeSet::new();
    let mut left = Vec::new();
    for what in found {
        let all = what.replace(" ~", " ");
        match allowed.iter().find(|key| fits(&all, key)) {
            Some(key) => {
                used.insert(*key);
            }
            None => left.push(what),
        }
    }
    assert!(calls > 140, "{calls}");
    assert!(
        left.is_empty(),
        "{calls} calls, differences:\n{}",
        left.join("\n")
    );
    let unused: Vec<_> = allowed.iter().filter(|key| !used.contains(*key)).collect();
    assert!(
        unused.is_empty(),
        "deviations that nothing shows any more: {unused:?}"
    );
}

/// `*` stands for anything.
fn fits(text: &str, key: &str) -> bool {
    let mut parts = key.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// What is inside the wrapper of each recorded answer about jobs, by case.
fn recorded_jobs() -> BTreeMap<String, Value> {
    let lines = std::fs::read_to_string(format!("{FOLDER}jobs.jsonl")).unwrap();
    lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let body = line["response"]["body"].as_str().unwrap();
            let body: Value = serde_json::from_str(body).unwrap();
            (
                text(&line["case"]),
                body.as_object().unwrap().values().next().unwrap().clone(),
            )
        })
        .collect()
}

#[tokio::test]
async fn jobs_look_like_the_recorded_ones() {
    let world = World::new("jobs").await;
    let ann = &world.ann;
    let recorded = recorded_jobs();
    let mut found = Vec::new();
    let network = world.network(ann, "n").await;
    let (_, begun) = world
        .deploy(ann, &[("networkids", &network), ("name", "web")])
        .await;
    compare("deploy", &recorded["deploy.plain"], &begun, &mut found);
    let done = world.job(ann, &begun["jobid"]).await;
    // The recorded one is in an L2 network: its NIC has no address.
    let l2 = ["ipaddress", "netmask", "gateway", "boot"];
    compare("done", &recorded["query.done.deploy"], &done, &mut found);
    found.retain(|what| !l2.iter().any(|name| what.contains(name)));
    let vm = text(&begun["id"]);
    let stop = world
        .done(ann, &[("command", "stopVirtualMachine"), ("id", &vm)])
        .await;
    let mut stopped = Vec::new();
    compare(
        "stop",
        &recorded["life.stopVirtualMachine.job"],
        &stop,
        &mut stopped,
    );
    let statistics = ["cpuused", "network", "disk", "memory"];
    stopped.retain(|what| {
        !l2.iter()
            .chain(&statistics)
            .any(|name| what.contains(&format!("machine.{name}")))
            && !l2.iter().any(|name| what.contains(name))
    });
    found.extend(stopped);
    let gone = [
        ("command", "destroyVirtualMachine"),
        ("id", &vm),
        ("expunge", "true"),
    ];
    let gone = world.done(ann, &gone).await;
    compare(
        "destroy",
        &recorded["life.destroyVirtualMachine.job~2"],
        &gone,
        &mut found,
    );
    world.fault("job-fails-after-vm", 1).await;
    let (_, begun) = world.deploy(ann, &[("networkids", &network)]).await;
    let cancelled = world.job(ann, &begun["jobid"]).await;
    let recorded_cancelled = &recorded["restart.query-after.deploy.r1ann"];
    compare("cancelled", recorded_cancelled, &cancelled, &mut found);
    world.fault("job-fails", 1).await;
    let (_, begun) = world.deploy(ann, &[("networkids", &network)]).await;
    let failed = world.job(ann, &begun["jobid"]).await;
    compare(
        "failed",
        &recorded["query.failed.huge"],
        &failed,
        &mut found,
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
}
