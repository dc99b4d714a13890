//! Edge: who owns what a raising call makes, as the gate finds it, against the cloud's own word:
//! every priced command, every kind of caller, every way to name an owner.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

use crate::sandbox::{Keys, map_of};
use crate::sandbox_world::{DISK, ISOLATED, MEDIUM, SMALL, TEMPLATE, World, ZONE, text};
use faregate::clock::Clock;
use faregate::cloudstack::command::{Class, CommandTable, PriceRule};
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::signature;
use faregate::gate::ask::Asker;
use faregate::gate::authenticate::{self, Caller, KeyEntry, Person};
use faregate::gate::parse::{self, RawRequest, Routed};
use faregate::gate::refusal::Refusal;
use faregate::gate::typed;
use faregate::gate::whose::{self, Whose};
use faregate::upstream::directory::Directory;
use faregate::upstream::service::Service;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A firm: a domain with an administrator, a department below it, a project with one member.
struct Firm {
    world: World,
    domain: String,
    department: String,
    project: String,
    callers: Vec<(&'static str, Keys)>,
    directory: Directory,
    asker: Asker,
    table: CommandTable,
}

/// What an owner has that a call can name.
struct Things {
    network: String,
    vm: String,
    volume: String,
    /// The VM's own.
    root: String,
}

impl Firm {
    async fn new(name: &str) -> Self {
        let world = World::new(name).await;
        let domain = domain(&world, "firm", None).await;
        let department = domain_below(&world, "dept", &domain).await;
        let mut callers = vec![
            ("dora", world.account("dora", "2", Some(&domain)).await),
            ("emil", world.account("emil", "0", Some(&department)).await),
            ("fay", world.account("fay", "0", Some(&domain)).await),
            ("gus", world.account("gus", "0", Some(&domain)).await),
            ("hal", world.account("hal", "0", Some(&domain)).await),
            ("ann", copy(&world.ann)),
            ("root", copy(&world.admin)),
        ];
        let fay = callers.iter().find(|(name, _)| *name == "fay").unwrap();
        let made = [
            ("command", "createProject"),
            ("name", "proj"),
            ("displaytext", "p"),
        ];
        let begun = world.ok(&fay.1, &made).await;
        world.job(&fay.1, &begun["jobid"]).await;
        let project = text(&begun["id"]);
        let member = [
            ("command", "addAccountToProject"),
            ("projectid", project.as_str()),
            ("account", "gus"),
        ];
        world.done(&world.admin, &member).await;
        callers.sort_by_key(|(name, _)| *name);
        let service = Arc::new(Service::new(
            world.at.to_string(),
            "x".to_owned(),
            world.admin.api_key.clone(),
            world.admin.secret.clone().into(),
            Clock::system(),
        ));
        Self {
            domain,
            department,
            project,
            callers,
            directory: Directory::new(service.clone()),
            asker: Asker::new(service),
            table: CommandTable::new(&[]).unwrap(),
            world,
        }
    }

    fn keys(&self, name: &str) -> &Keys {
        &self.callers.iter().find(|(of, _)| *of == name).unwrap().1
    }

    /// A network, a stopped VM and a volume of the owner that these words name.
    async fn things(&self, owner: &[(&str, &str)]) -> Things {
        let admin = &self.world.admin;
        let with = |words: &[(&'static str, &'static str)]| {
            let mut all: Vec<(&str, &str)> = words.to_vec();
            all.extend(owner.iter().map(|(name, value)| (*name, *value)));
            all.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<Vec<_>>()
        };
        let network = with(&[
            ("command", "createNetwork"),
            ("name", "n"),
            ("zoneid", ZONE),
            ("networkofferingid", ISOLATED),
        ]);
        let network = self.world.ok(admin, &borrowed(&network)).await;
        let network = text(&network["network"]["id"]);
        let mut vm = with(&[
            ("command", "deployVirtualMachine"),
            ("zoneid", ZONE),
            ("templateid", TEMPLATE),
            ("serviceofferingid", SMALL),
        ]);
        vm.push(("networkids".to_owned(), network.clone()));
        let vm = self.world.ok(admin, &borrowed(&vm)).await;
        self.world.job(admin, &vm["jobid"]).await;
        let id = text(&vm["id"]);
        let stop = [("command", "stopVirtualMachine"), ("id", id.as_str())];
        self.world.done(admin, &stop).await;
        let roots = [
            ("command", "listVolumes"),
            ("virtualmachineid", id.as_str()),
            ("listall", "true"),
            ("projectid", "-1"),
        ];
        let roots = self.world.ok(admin, &roots).await;
        let volume = with(&[
            ("command", "createVolume"),
            ("name", "v"),
            ("zoneid", ZONE),
            ("diskofferingid", DISK),
            ("size", "1"),
        ]);
        let volume = self.world.ok(admin, &borrowed(&volume)).await;
        self.world.job(admin, &volume["jobid"]).await;
        Things {
            network,
            vm: id,
            volume: text(&volume["id"]),
            root: text(&roots["volume"][0]["id"]),
        }
    }

    async fn caller(&self, keys: &Keys) -> Caller {
        let asked = [("command", "getUser"), ("userapikey", &keys.api_key)];
        let user = self.world.ok(&self.world.admin, &asked).await["user"].clone();
        let domain = text(&user["domainid"]);
        let path = self.directory.path(&domain.as_str().into()).await.unwrap();
        let person = Person {
            user: Some(text(&user["id"])),
            account: text(&user["accountid"]).into(),
            account_name: text(&user["account"]),
            account_kind: user["accounttype"].as_i64().unwrap(),
            role: None,
            domains: path.unwrap(),
        };
        let entry = KeyEntry {
            api_key: keys.api_key.clone(),
            secret: keys.secret.clone().into(),
            person: Arc::new(person),
            enabled: true,
        };
        let mut map = map_of(&[("command", "listZones"), ("apikey", &keys.api_key)]);
        let signed = signature::sign(&map, keys.secret.as_bytes());
        map.insert("signature", &signed);
        let target = format!("/client/api?{}", map.to_wire());
        let raw = RawRequest {
            method: "GET",
            target: target.as_bytes(),
            headers: &[("host", b"x")],
            body: b"",
        };
        let Ok(Routed::Api(call)) = parse::request(&raw) else {
            panic!("{target}");
        };
        authenticate::caller(&call, Some(&Arc::new(entry)), Clock::system().wall()).unwrap()
    }

    /// Whose the gate says that it is.
    async fn whose(&self, keys: &Keys, words: &[(&str, &str)]) -> Result<Whose, Refusal> {
        let mut params: ParamMap = map_of(words);
        let name = params.command().to_owned();
        let command = self.table.get(&name).unwrap();
        typed::parameters(&name, &self.table, &mut params)?;
        let caller = self.caller(keys).await;
        let facts = self.asker.for_call(command, &params).await.unwrap();
        whose::whose(command, &params, &caller, &facts, &self.directory).await
    }

    /// Whose a thing is, as root admin sees it: the project, or `account@domain`.
    async fn owner(&self, list: &str, id: &str) -> String {
        let asked = [
            ("command", list),
            ("id", id),
            ("listall", "true"),
            ("projectid", "-1"),
        ];
        let list = self.world.ok(&self.world.admin, &asked).await;
        let rows = list.as_object().unwrap().values().find_map(Value::as_array);
        let row = rows.unwrap_or_else(|| panic!("{id} is in no list: {list}"))[0].clone();
        match row["projectid"].as_str() {
            Some(project) => project.to_owned(),
            None => format!("{}@{}", text(&row["account"]), text(&row["domainid"])),
        }
    }
}

async fn domain(world: &World, name: &str, parent: Option<&str>) -> String {
    let mut words = vec![("command", "createDomain"), ("name", name)];
    words.extend(parent.map(|parent| ("parentdomainid", parent)));
    text(&world.ok(&world.admin, &words).await["domain"]["id"])
}

async fn domain_below(world: &World, name: &str, parent: &str) -> String {
    domain(world, name, Some(parent)).await
}

fn copy(keys: &Keys) -> Keys {
    Keys {
        api_key: keys.api_key.clone(),
        secret: keys.secret.clone(),
    }
}

fn borrowed(words: &[(String, String)]) -> Vec<(&str, &str)> {
    words
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

fn printed(whose: &Whose) -> String {
    let owner = &whose.owner;
    match (&owner.project, &owner.account_name) {
        (Some(project), _) => project.to_string(),
        (None, Some(name)) => format!("{name}@{}", owner.domain),
        (None, None) => "nobody".to_owned(),
    }
}

/// A command, its parameters, and the list that shows what it made or changed; `None` as id takes
/// the one from the answer.
struct Case {
    command: &'static str,
    words: Vec<(&'static str, String)>,
    list: &'static str,
    id: Option<String>,
}

fn case(
    command: &'static str,
    words: &[(&'static str, &str)],
    list: &'static str,
    id: Option<&str>,
) -> Case {
    let words = words
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    Case {
        command,
        words: words.collect(),
        list,
        id: id.map(str::to_owned),
    }
}

/// Commands that name an existing thing, on an owner's things.
fn on_things(things: &Things) -> Vec<Case> {
    let Things {
        network,
        vm,
        volume,
        root,
    } = things;
    let vms = "listVirtualMachines";
    vec![
        case(
            "changeServiceForVirtualMachine",
            &[("id", vm), ("serviceofferingid", MEDIUM)],
            vms,
            Some(vm),
        ),
        case("startVirtualMachine", &[("id", vm)], vms, Some(vm)),
        case(
            "startVirtualMachine",
            &[("ID", &vm.to_uppercase())],
            vms,
            Some(vm),
        ),
        case(
            "scaleVirtualMachine",
            &[("id", vm), ("serviceofferingid", MEDIUM)],
            vms,
            Some(vm),
        ),
        case(
            "resizeVolume",
            &[("id", volume), ("size", "2")],
            "listVolumes",
            Some(volume),
        ),
        case(
            "createSnapshot",
            &[("volumeid", root)],
            "listSnapshots",
            None,
        ),
        case(
            "associateIpAddress",
            &[("networkid", network)],
            "listPublicIpAddresses",
            None,
        ),
        deploy(network, &[]),
    ]
}

fn deploy(network: &str, owner: &[(&'static str, &str)]) -> Case {
    let mut words = vec![
        ("zoneid", ZONE),
        ("templateid", TEMPLATE),
        ("serviceofferingid", SMALL),
        ("startvm", "false"),
        ("networkids", network),
    ];
    words.extend_from_slice(owner);
    case("deployVirtualMachine", &words, "listVirtualMachines", None)
}

/// Commands whose owner the parameters name.
fn named(owner: &[(&'static str, &str)], things: &Things) -> Vec<Case> {
    let with = |words: &[(&'static str, &'static str)]| {
        let mut all: Vec<(&'static str, &str)> = words.to_vec();
        all.extend_from_slice(owner);
        all.iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect::<Vec<_>>()
    };
    let volume = with(&[
        ("name", "v"),
        ("zoneid", ZONE),
        ("diskofferingid", DISK),
        ("size", "1"),
    ]);
    let network = with(&[
        ("name", "n"),
        ("zoneid", ZONE),
        ("networkofferingid", ISOLATED),
    ]);
    let mut address = with(&[]);
    address.push(("networkid", things.network.clone()));
    let of = |command, words, list| Case {
        command,
        words,
        list,
        id: None,
    };
    vec![
        of("createVolume", volume, "listVolumes"),
        of("createNetwork", network, "listNetworks"),
        of("associateIpAddress", address, "listPublicIpAddresses"),
        deploy(&things.network, owner),
    ]
}

/// Every case, with every caller: what succeeds belongs to whom the gate said, without doubt, and
/// what the cloud denies was in doubt.
async fn compare(firm: &Firm, cases: &[Case], seen: &mut BTreeSet<&'static str>) -> (usize, usize) {
    let (mut sure, mut doubtful) = (0, 0);
    for case in cases {
        for (name, keys) in &firm.callers {
            let mut words = vec![("command", case.command)];
            words.extend(case.words.iter().map(|(n, v)| (*n, v.as_str())));
            let at = format!("{name}: {words:?}");
            let whose = firm
                .whose(keys, &words)
                .await
                .unwrap_or_else(|e| panic!("{at}: {e:?}"));
            let (status, body) = firm.world.any(keys, &words).await;
            if !matches!(status, 200 | 531 | 432) {
                // What it may touch is not in the right state for it.
                assert_eq!(body["cserrorcode"], 4350, "{at}: {body}");
                continue;
            }
            if status != 200 {
                // Who may act for two owners may not mix their things all the same: then nothing
                // is held but of himself, or of somebody whom an administrator acts for.
                let is_own = printed(&whose).starts_with(&format!("{name}@"));
                let fair = is_own || matches!(*name, "dora" | "root");
                assert!(fair || whose.doubt.is_some(), "{at}: {whose:?} but {body}");
                doubtful += usize::from(whose.doubt.is_some());
                continue;
            }
            assert_eq!(whose.doubt, None, "{at}: {whose:?} but {body}");
            if let Some(job) = body.get("jobid") {
                firm.world.job(keys, job).await;
            }
            let made = body["id"].as_str().or(body["network"]["id"].as_str());
            let id = case
                .id
                .as_deref()
                .or(made)
                .unwrap_or_else(|| panic!("{at}: {body}"));
            assert_eq!(printed(&whose), firm.owner(case.list, id).await, "{at}");
            sure += 1;
            seen.insert(case.command);
        }
    }
    (sure, doubtful)
}

#[tokio::test]
async fn every_priced_command_belongs_to_whom_the_gate_said_for_every_caller() {
    let firm = Firm::new("whose").await;
    lift_limits(&firm).await;
    let department = firm.department.clone();
    let project = firm.project.clone();
    let loud = project.to_uppercase();
    let emils = [("account", "emil"), ("domainid", department.as_str())];
    let projects = [("projectid", project.as_str())];
    let of_emil = firm.things(&emils).await;
    let of_project = firm.things(&projects).await;
    let mut cases = Vec::new();
    cases.extend(on_things(&of_emil));
    cases.extend(on_things(&of_project));
    cases.extend(named(
        &[("ACCOUNT", "EMIL"), ("domainId", &department)],
        &of_emil,
    ));
    cases.extend(named(&[("projectId", &loud)], &of_project));
    cases.extend(named(&[], &of_emil));
    let mut seen = BTreeSet::new();
    let (sure, doubtful) = compare(&firm, &cases, &mut seen).await;
    assert!(
        sure > 60 && doubtful > 60,
        "{sure} sure, {doubtful} in doubt"
    );
    let priced: BTreeSet<&str> = firm
        .table
        .iter()
        .filter(|one| one.class == Class::Raises)
        .filter(|one| !matches!(one.price, PriceRule::Missing | PriceRule::Free))
        .map(|one| one.name.as_str())
        .collect();
    let in_sandbox: BTreeSet<&str> = priced.intersection(&seen).copied().collect();
    let known = priced.difference(&seen).collect::<Vec<_>>();
    assert_eq!(in_sandbox.len(), 9, "not compared: {known:?}");
}

async fn lift_limits(firm: &Firm) {
    for kind in ["0", "1", "2", "3", "5", "6", "8", "9", "10", "11"] {
        for (domain, account) in [
            (firm.department.as_str(), "emil"),
            (&firm.domain, "dora"),
            (&firm.domain, "fay"),
            (&firm.domain, "gus"),
            (&firm.domain, "hal"),
        ] {
            let words = [
                ("command", "updateResourceLimit"),
                ("account", account),
                ("domainid", domain),
                ("resourcetype", kind),
                ("max", "-1"),
            ];
            firm.world.any(&firm.world.admin, &words).await;
        }
        let words = [
            ("command", "updateResourceLimit"),
            ("projectid", firm.project.as_str()),
            ("resourcetype", kind),
            ("max", "-1"),
        ];
        firm.world.any(&firm.world.admin, &words).await;
    }
}

#[tokio::test]
async fn what_does_not_exist_is_nobodys_and_held_against_the_caller() {
    let firm = Firm::new("nobodys").await;
    let nothing = "00000000-0000-4000-8000-000000000001";
    let fay = firm.keys("fay");
    for words in [
        vec![("command", "startVirtualMachine"), ("id", nothing)],
        vec![("command", "createSnapshot"), ("volumeid", nothing)],
        vec![
            ("command", "createVolume"),
            ("name", "v"),
            ("zoneid", ZONE),
            ("diskofferingid", nothing),
        ],
        vec![
            ("command", "createVolume"),
            ("name", "v"),
            ("zoneid", ZONE),
            ("diskofferingid", DISK),
            ("projectid", nothing),
        ],
        vec![
            ("command", "createVolume"),
            ("name", "v"),
            ("zoneid", ZONE),
            ("diskofferingid", DISK),
            ("account", "nobody"),
            ("domainid", firm.domain.as_str()),
        ],
    ] {
        let whose = firm.whose(fay, &words).await.unwrap();
        assert_eq!(whose.doubt, Some(whose::Doubt::NotThere), "{words:?}");
        assert!(printed(&whose).starts_with("fay@"), "{whose:?}");
    }
}

#[tokio::test]
async fn who_leaves_a_project_may_not_act_for_it_any_more() {
    let firm = Firm::new("leaves").await;
    let words = [
        ("command", "createVolume"),
        ("name", "v"),
        ("zoneid", ZONE),
        ("diskofferingid", DISK),
        ("size", "1"),
        ("projectid", firm.project.as_str()),
    ];
    let (gus, hal) = (firm.keys("gus"), firm.keys("hal"));
    assert_eq!(firm.whose(gus, &words).await.unwrap().doubt, None);
    let stranger = Some(whose::Doubt::Stranger);
    assert_eq!(firm.whose(hal, &words).await.unwrap().doubt, stranger);
    for (command, account) in [
        ("deleteAccountFromProject", "gus"),
        ("addAccountToProject", "hal"),
    ] {
        let change = [
            ("command", command),
            ("projectid", firm.project.as_str()),
            ("account", account),
        ];
        firm.world.done(&firm.world.admin, &change).await;
    }
    // Who is let in is known at once; who goes, when the gate forgets.
    assert_eq!(firm.whose(hal, &words).await.unwrap().doubt, None);
    firm.directory.forget();
    assert_eq!(firm.whose(gus, &words).await.unwrap().doubt, stranger);
}

#[tokio::test]
async fn an_error_of_the_cloud_is_not_taken_for_a_thing_that_is_not_there() {
    let firm = Firm::new("errors").await;
    let service = Arc::new(Service::new(
        firm.world.at.to_string(),
        "x".to_owned(),
        firm.world.admin.api_key.clone(),
        "another".to_owned().into(),
        Clock::system(),
    ));
    let (directory, asker) = (Directory::new(service.clone()), Asker::new(service));
    let start = firm.table.get("startVirtualMachine").unwrap();
    let params = map_of(&[("command", "startVirtualMachine"), ("id", "anything")]);
    assert!(asker.for_call(start, &params).await.is_err());
    assert!(asker.catalogue().await.is_err());
    assert!(directory.project(&firm.project).await.is_err());
    let domain = firm.domain.as_str().into();
    assert!(directory.account("fay", &domain).await.is_err());
    // A project's member that cannot be asked for is 503, neither friend nor stranger.
    let params = map_of(&[("command", "createVolume"), ("projectid", &firm.project)]);
    let volume = firm.table.get("createVolume").unwrap();
    let hal = firm.caller(firm.keys("hal")).await;
    let facts = faregate::gate::plan::Facts::new();
    let whose = whose::whose(volume, &params, &hal, &facts, &directory).await;
    assert!(matches!(whose, Err(Refusal::CannotAsk(_))), "{whose:?}");
}

#[tokio::test]
async fn a_rule_is_its_addresss_whoever_is_named_and_a_template_is_its_callers() {
    let firm = Firm::new("rules").await;
    let department = firm.department.clone();
    let emils = [("account", "emil"), ("domainid", department.as_str())];
    let things = firm.things(&emils).await;
    let dora = firm.keys("dora");
    let take = [
        ("command", "associateIpAddress"),
        ("networkid", things.network.as_str()),
    ];
    let address = firm.world.ok(dora, &take).await;
    firm.world.job(dora, &address["jobid"]).await;
    let address = text(&address["id"]);
    let (emil, fay) = (format!("emil@{department}"), format!("fay@{}", firm.domain));
    let dora_is = format!("dora@{}", firm.domain);
    let on = ("publicipid", address.as_str());
    let for_fay = [("account", "fay"), ("domainid", firm.domain.as_str())];
    let volume = ("volumeid", things.root.as_str());
    for (command, words, expected) in [
        ("createLoadBalancerRule", vec![on], &emil),
        (
            "createLoadBalancerRule",
            vec![on, for_fay[0], for_fay[1]],
            &emil,
        ),
        ("createLoadBalancerRule", for_fay.to_vec(), &fay),
        (
            "createRemoteAccessVpn",
            vec![on, for_fay[0], for_fay[1]],
            &emil,
        ),
        ("createTemplate", vec![volume], &dora_is),
        ("createTemplate", vec![volume, for_fay[0], for_fay[1]], &fay),
        ("addVpnUser", for_fay.to_vec(), &fay),
    ] {
        let mut all = vec![("command", command)];
        all.extend(words);
        let whose = firm.whose(dora, &all).await.unwrap();
        assert_eq!((&printed(&whose), whose.doubt), (expected, None), "{all:?}");
    }
    // A rule is seen by the cloud as the gate says.
    let rule = [
        ("command", "createPortForwardingRule"),
        ("ipaddressid", address.as_str()),
        ("privateport", "22"),
        ("publicport", "22"),
        ("protocol", "tcp"),
        ("virtualmachineid", things.vm.as_str()),
    ];
    let whose = firm.whose(dora, &rule).await.unwrap();
    assert_eq!(printed(&whose), emil);
    let stranger = firm.whose(firm.keys("hal"), &rule).await.unwrap();
    assert_eq!(stranger.doubt, Some(whose::Doubt::Stranger));
    assert_eq!(firm.world.any(firm.keys("hal"), &rule).await.0, 531);
}
