//! Edge: money of those whom a call names, and of those who call: a stranger learns and moves
//! nothing of a victim's, and is held and told as of himself.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

use crate::stage::{Caller, Heard, Stage, address_of, exchange, until};

const NOTHING: &str = "00000000-0000-4000-8000-000000000001";

/// A stopped VM of the postpaid customer.
fn victims_vm(stage: &Stage) -> String {
    let pete = stage.customer(1);
    let heard = pete.deploy(&stage.small_vm(1)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let made = heard.inside();
    assert_eq!(pete.job_end(made["jobid"].as_str().unwrap()), 1);
    let vm = made["id"].as_str().unwrap().to_owned();
    let stopped = pete.call("stopVirtualMachine", &[("id", &vm)]).unwrap();
    assert_eq!(pete.job_end(stopped.inside()["jobid"].as_str().unwrap()), 1);
    vm
}

/// Holds in the books of a payer, and what is held now.
fn holds(stage: &Stage, payer: &str) -> (usize, String) {
    let config = stage.config();
    let rows = ["ledger", "transfers", "--config", &config, "--payer", payer];
    let rows = stage.faregate(&rows);
    let balances = stage.faregate(&["ledger", "balances", "--config", &config]);
    let line = balances
        .lines()
        .find(|line| line.starts_with(payer))
        .unwrap();
    let held = line.split("held ").nth(1).unwrap();
    let held = held.split("  ").next().unwrap().to_owned();
    let count = rows.lines().filter(|row| row.contains("  hold ")).count();
    (count, held)
}

fn start(caller: &Caller, vm: &str) -> Heard {
    caller.call("startVirtualMachine", &[("id", vm)]).unwrap()
}

#[test]
fn a_stranger_gets_clouds_own_answer_and_the_victims_books_stay_as_they_are() {
    let stage = Stage::start("stranger", &[]);
    let vm = victims_vm(&stage);
    stage.top_up("prepaid-paula", "50.00", "P-1");
    let paula = stage.customer(0);
    let direct = Caller {
        endpoint: stage.text("/sandbox/endpoint"),
        ..paula.clone()
    };
    let (before, _) = holds(&stage, "postpaid-pete");
    let (own, free) = holds(&stage, "prepaid-paula");
    for id in [vm.as_str(), NOTHING] {
        let (ours, clouds) = (start(&paula, id), start(&direct, id));
        assert_ne!(ours.status, 200, "{ours:?}");
        assert_eq!((ours.status, &ours.body), (clouds.status, &clouds.body));
    }
    assert_eq!(holds(&stage, "postpaid-pete").0, before);
    // Each was held against the caller, and given back.
    until("the holds are given back", || {
        holds(&stage, "prepaid-paula") == (own + 2, free.clone())
    });
    let vms = stage.machines("Stopped");
    assert!(vms.contains(&vm), "{vms:?}");
}

#[test]
fn a_stranger_without_money_is_told_the_same_of_a_victims_vm_as_of_none() {
    let stage = Stage::start("stranger-poor", &[]);
    let vm = victims_vm(&stage);
    let paula = stage.customer(0);
    let (of_victims, of_none) = (start(&paula, &vm), start(&paula, NOTHING));
    assert_eq!(of_victims.status, 535, "{of_victims:?}");
    assert_eq!(of_victims.body, of_none.body);
    // An offering that is not there is priced as the dearest that there is: the same as that one.
    let mut small = stage.small_vm(0);
    small[0].1 = NOTHING.to_owned();
    let unknown = paula.deploy(&small).unwrap();
    small[0].1 = stage.text("/offerings/medium");
    let medium = paula.deploy(&small).unwrap();
    assert_eq!((unknown.status, medium.status), (535, 535), "{unknown:?}");
    let price = |heard: &Heard| {
        let text = heard.inside()["errortext"].as_str().unwrap().to_owned();
        let price = text
            .split("price ")
            .nth(1)
            .unwrap_or_else(|| panic!("{text}"));
        price.split(',').next().unwrap().to_owned()
    };
    assert_eq!(
        price(&unknown).split('.').next(),
        price(&medium).split('.').next()
    );
}

#[test]
fn figures_of_a_payer_are_told_to_his_own_users_alone() {
    let stage = Stage::start("told", &[]);
    let paula = stage.customer(0);
    // More than the demo's opening balance pays for.
    let mut words = stage.small_vm(0);
    words[0].1 = stage.text("/offerings/medium");
    let own = paula.deploy(&words).unwrap();
    assert_eq!(own.status, 535, "{own:?}");
    let own = own.inside()["errortext"].as_str().unwrap().to_owned();
    assert!(own.contains("missing"), "{own}");
    // Root admin acts for her through the gate.
    let admin = Caller {
        endpoint: stage.text("/endpoint"),
        ..stage.admin()
    };
    let domain = stage.text("/customers/0/domain_id");
    words.push(("account".to_owned(), "prepaid-paula".to_owned()));
    words.push(("domainid".to_owned(), domain));
    let other = admin.deploy(&words).unwrap();
    assert_eq!(other.status, 535, "{other:?}");
    let other = other.inside()["errortext"].as_str().unwrap().to_owned();
    assert!(other.contains("not enough balance"), "{other}");
    assert!(!other.contains("EUR"), "{other}");
}

/// A project of the prepaid customer's account for which another customer pays.
fn team(stage: &mut Stage, book: &str) -> String {
    let direct = Caller {
        endpoint: stage.text("/sandbox/endpoint"),
        ..stage.customer(0)
    };
    let words = [("name", "team"), ("displaytext", "t")];
    let made = direct.call("createProject", &words).unwrap().inside();
    assert_eq!(direct.job_end(made["jobid"].as_str().unwrap()), 1);
    let project = made["id"].as_str().unwrap().to_owned();
    let file = stage.folder.join("policies/customers/demo.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str(&format!(
        "\n[[customer]]\nid = \"team\"\nname = \"team\"\naddress = [\"3 Sample Street\"]\n\
         seller = \"house\"\nmode = \"postpaid\"\ncredit_line = \"10.00\"\ntax = \"domestic\"\n\
         book = \"{book}\"\nprepaid = \"standard\"\nowns = [{{ project = \"{project}\" }}]\n"
    ));
    std::fs::write(&file, text).unwrap();
    stage.kill_gate();
    stage.start_again();
    project
}

/// A volume in a project, asked for by the prepaid customer.
fn volume_in(stage: &Stage, project: &str) -> Vec<(String, String)> {
    let paula = stage.customer(0);
    let offerings = paula.call("listDiskOfferings", &[("name", "Small")]);
    let offering = offerings.unwrap().inside()["diskoffering"][0]["id"].clone();
    [
        ("name", "v"),
        ("zoneid", &stage.text("/zone_id")),
        ("diskofferingid", offering.as_str().unwrap()),
        ("projectid", project),
    ]
    .map(|(name, value): (&str, &str)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

#[test]
fn what_a_call_in_doubt_made_all_the_same_is_its_owners_to_pay_with_an_alarm() {
    let mut stage = Stage::start("moved", &[]);
    let project = team(&mut stage, "demo");
    let paula = stage.customer(0);
    let words = volume_in(&stage, &project);
    let words = crate::stage::pairs(&words);
    let (before, free) = holds(&stage, "prepaid-paula");
    // The cloud says that she is no member, and takes her call.
    stage.fault("hides-members", 1);
    let heard = paula.call("createVolume", &words).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    until("her hold is given back", || {
        holds(&stage, "prepaid-paula") == (before + 1, free.clone())
    });
    until("operators are told", || live(&stage).contains("\"moved\""));
    let volume = heard.inside()["id"].as_str().unwrap().to_owned();
    assert_eq!(crate::metered_types::metered(&stage)[&volume], "team");
    // Nobody's doubt: the owner's own payer from the first.
    stage.fault("hides-members", 0);
    let heard = paula.call("createVolume", &words).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    until("it is metered", || {
        let id = heard.inside()["id"].as_str().unwrap().to_owned();
        crate::metered_types::metered(&stage).contains_key(&id)
    });
    assert_eq!(holds(&stage, "prepaid-paula"), (before + 1, free));
}

/// Amounts of a payer's one-off prices, as the books have them.
fn one_offs(stage: &Stage, payer: &str) -> Vec<String> {
    let config = stage.config();
    let rows = ["ledger", "transfers", "--config", &config, "--payer", payer];
    let rows = stage.faregate(&rows);
    rows.lines()
        .filter(|row| row.contains("  one-off "))
        .map(str::to_owned)
        .collect()
}

/// Each of the two has a set-up price of his own: 0.50 hers, 0.05 the team's, 20 % tax included at
/// use. She held hers and has it back; the team owes its own, once, for what succeeded.
#[test]
fn a_set_up_price_is_owed_by_whose_the_thing_is_and_at_his_own_price() {
    let mut stage = Stage::start("moved-set-up", &[]);
    let tariffs = stage.folder.join("policies/tariffs");
    let demo = tariffs.join("2020-01-01-demo.toml");
    let text = std::fs::read_to_string(&demo).unwrap();
    let with = |id: &str, one_off: &str| {
        let line = "component = \"volume_gib\"\n";
        let priced = format!("{line}one_off = \"{one_off}\"\n");
        let book = text.replace("id = \"demo\"", &format!("id = \"{id}\""));
        book.replace(line, &priced)
    };
    std::fs::write(&demo, with("demo", "0.50")).unwrap();
    std::fs::write(tariffs.join("2020-01-01-team.toml"), with("team", "0.05")).unwrap();
    let project = team(&mut stage, "team");
    stage.top_up("prepaid-paula", "5.00", "P-1");
    let words = volume_in(&stage, &project);
    let words = crate::stage::pairs(&words);
    let paula = stage.customer(0);
    stage.fault("hides-members", 1);
    let (before, free) = holds(&stage, "prepaid-paula");
    let heard = paula.call("createVolume", &words).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    until("her hold is given back", || {
        holds(&stage, "prepaid-paula") == (before + 1, free.clone())
    });
    assert_eq!(one_offs(&stage, "prepaid-paula"), Vec::<String>::new());
    let owed = one_offs(&stage, "team");
    assert!(owed.len() == 1 && owed[0].contains("0.060000"), "{owed:?}");
    // What fails is nobody's.
    stage.fault("job-fails", 1);
    let heard = paula.call("createVolume", &words).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    assert_eq!(paula.job_end(heard.inside()["jobid"].as_str().unwrap()), 2);
    until("her hold is given back again", || {
        holds(&stage, "prepaid-paula") == (before + 2, free.clone())
    });
    assert_eq!(one_offs(&stage, "team"), owed);
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(!told.contains("fault"), "{told}");
}

fn live(stage: &Stage) -> String {
    let address = address_of(&stage.text("/operator_page"));
    let request =
        format!("GET /live.json HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    exchange(&address, &request).unwrap().body
}
