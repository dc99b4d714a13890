//! Login sessions through the gate: priced like signed calls, charged to whose session it is, and
//! answered as the management server itself would answer.

use crate::browser::Browser;
use crate::stage::{Heard, Stage, until};

const PAULA: &str = "prepaid-paula";

fn borrowed(params: &[(String, String)]) -> Vec<(&str, &str)> {
    params
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

fn deploy(browser: &mut Browser, params: &[(String, String)]) -> Heard {
    browser.call("deployVirtualMachine", &borrowed(params))
}

/// The other customer's name, as the demo has it.
fn names(stage: &Stage) -> [String; 2] {
    [0, 1].map(|index| stage.text(&format!("/customers/{index}/name")))
}

#[test]
fn a_session_pays_for_what_it_starts_until_its_money_is_short() {
    let stage = Stage::start("session-pays", &[]);
    let mut paula = Browser::login(&stage.text("/endpoint"), PAULA);
    let vm = stage.small_vm(0);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(deploy(&mut paula, &vm));
    }
    let statuses: Vec<u16> = seen.iter().map(|heard| heard.status).collect();
    assert_eq!(statuses, [200, 200, 535], "{seen:?}");
    assert!(seen[2].body.contains("not enough balance"), "{seen:?}");
    until("two machines run", || stage.machines("Running").len() == 2);
    let job = seen[0].inside()["jobid"].as_str().unwrap().to_owned();
    let asked = paula.call("queryAsyncJobResult", &[("jobid", &job)]);
    assert_eq!(asked.inside()["jobstatus"], 1, "{asked:?}");
    for id in stage.machines("Running") {
        let heard = paula.call("destroyVirtualMachine", &[("id", &id)]);
        assert_eq!(heard.status, 200, "{heard:?}");
    }
    until("none runs", || stage.machines("Running").is_empty());
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(!told.contains("fault"), "{told}");
}

#[test]
fn two_sessions_at_once_are_each_their_own_payers() {
    let stage = Stage::start("session-two", &[]);
    let [paula, pete] = names(&stage);
    assert_eq!(paula, PAULA);
    let endpoint = stage.text("/endpoint");
    let mut first = Browser::login(&endpoint, &paula);
    let mut again = Browser::login(&endpoint, &paula);
    let mut other = Browser::login(&endpoint, &pete);
    assert_ne!(first.cookie("JSESSIONID"), again.cookie("JSESSIONID"));
    // Paula has money for two, from whichever session; the other customer has his own.
    let vm = stage.small_vm(0);
    assert_eq!(deploy(&mut first, &vm).status, 200);
    assert_eq!(deploy(&mut again, &vm).status, 200);
    assert_eq!(deploy(&mut first, &vm).status, 535);
    assert_eq!(deploy(&mut again, &vm).status, 535);
    let heard = deploy(&mut other, &stage.small_vm(1));
    assert_eq!(heard.status, 200, "{heard:?}");
    until("three machines run", || {
        stage.machines("Running").len() == 3
    });
}

#[test]
fn a_session_without_its_key_starts_nothing_and_holds_nothing() {
    let stage = Stage::start("session-keyless", &[]);
    let endpoint = stage.text("/endpoint");
    let vm = stage.small_vm(0);
    let spoils: [(&str, fn(&mut Browser)); 5] = [
        ("no cookie", |b| {
            b.cookies.retain(|(n, _)| n != "sessionkey")
        }),
        ("no parameter", |b| b.key.clear()),
        ("another key", |b| {
            b.key = "x".repeat(27);
            b.set_cookie("sessionkey", &"x".repeat(27));
        }),
        ("two values", |b| b.key = "y".repeat(27)),
        ("a dead session", |b| {
            b.set_cookie("JSESSIONID", "node0dead.node0")
        }),
    ];
    for (what, spoil) in spoils {
        let mut thief = Browser::login(&endpoint, PAULA);
        let before = thief.clone();
        spoil(&mut thief);
        let heard = deploy(&mut thief, &vm);
        assert_eq!(heard.status, 401, "{what}: {heard:?}");
        assert!(
            heard.body.contains("deployvirtualmachineresponse"),
            "{what}: {heard:?}"
        );
        drop(before);
    }
    // What was vouched for with its key is not taken without it.
    let mut paula = Browser::login(&endpoint, PAULA);
    assert_eq!(deploy(&mut paula, &vm).status, 200);
    let mut thief = paula.clone();
    thief.key.clear();
    assert_eq!(deploy(&mut thief, &vm).status, 401);
    // As at the server itself, that ended the session.
    assert_eq!(deploy(&mut paula, &vm).status, 401);
    let mut paula = Browser::login(&endpoint, PAULA);
    assert_eq!(deploy(&mut paula, &vm).status, 200, "nothing else was held");
}

#[test]
fn several_equal_session_key_cookies_are_one_and_different_ones_raise_nothing() {
    let stage = Stage::start("session-cookies", &[]);
    let endpoint = stage.text("/endpoint");
    let vm = stage.small_vm(0);
    let mut paula = Browser::login(&endpoint, PAULA);
    let key = paula.cookie("sessionkey");
    paula.cookies.push(("sessionkey".to_owned(), key));
    assert_eq!(deploy(&mut paula, &vm).status, 200);
    paula.cookies.pop();
    paula
        .cookies
        .push(("sessionkey".to_owned(), "other".to_owned()));
    assert_eq!(deploy(&mut paula, &vm).status, 401);
    // The server reads the first; a call that raises nothing passes as it would there.
    assert_eq!(paula.call("listZones", &[]).status, 200);
}

#[test]
fn after_logout_expiry_or_another_login_a_session_starts_nothing() {
    let stage = Stage::start("session-ends", &[]);
    let endpoint = stage.text("/endpoint");
    let vm = stage.small_vm(0);
    let mut paula = Browser::login(&endpoint, PAULA);
    assert_eq!(deploy(&mut paula, &vm).status, 200);
    let kept = paula.clone();
    assert_eq!(paula.call("logout", &[]).status, 200);
    assert_eq!(deploy(&mut kept.clone(), &vm).status, 401);
    // A login that carries a live session ends that one.
    let mut paula = Browser::login(&endpoint, PAULA);
    let kept = paula.clone();
    assert_eq!(paula.send_login(PAULA, "demo-password").status, 200);
    assert_eq!(deploy(&mut kept.clone(), &vm).status, 401);
    // A session that the server forgot while the gate still knew it: its money comes back.
    assert_eq!(deploy(&mut paula, &vm).status, 200);
    until("two machines run", || stage.machines("Running").len() == 2);
    stage.top_up(PAULA, "1.00", "more");
    stage.fault("restart-cancels-jobs", 1);
    assert_eq!(deploy(&mut paula, &vm).status, 401);
    let mut paula = Browser::login(&endpoint, PAULA);
    assert_eq!(deploy(&mut paula, &vm).status, 200, "the hold came back");
}

#[test]
fn a_signed_call_with_another_customers_live_cookies_is_the_signers() {
    let stage = Stage::start("session-signed", &[]);
    let [_, pete] = names(&stage);
    let other = Browser::login(&stage.text("/endpoint"), &pete);
    let mut map = faregate::cloudstack::query::ParamMap::default();
    let paula = stage.customer(0);
    map.insert("command", "deployVirtualMachine");
    map.insert("response", "json");
    map.insert("apiKey", &paula.key);
    map.insert("sessionkey", &other.key);
    for (name, value) in stage.small_vm(0) {
        map.insert(&name, &value);
    }
    let signed = faregate::cloudstack::signature::sign(&map, paula.secret.as_bytes());
    map.insert("signature", &signed);
    let heard = other
        .clone()
        .raw("GET", &format!("/client/api?{}", map.to_wire()), "");
    assert_eq!(heard.status, 200, "{heard:?}");
    until("it runs", || stage.machines("Running").len() == 1);
    assert_eq!(owner_of(&stage, &stage.machines("Running")[0]), PAULA);
    // The session lives on: its cookies never left the gate.
    assert_eq!(other.clone().call("listZones", &[]).status, 200);
}

/// The account that owns a machine, as the sandbox says.
fn owner_of(stage: &Stage, id: &str) -> String {
    let asked = [("id", id), ("listall", "true"), ("projectid", "-1")];
    let heard = stage.admin().call("listVirtualMachines", &asked).unwrap();
    let list = heard.inside();
    list["virtualmachine"][0]["account"]
        .as_str()
        .unwrap()
        .to_owned()
}
