//! An observed domain is refused nothing; what would have been refused is noted with its price.

use crate::reload::write;
use crate::stage::{Stage, until};

#[test]
fn an_observed_domain_is_refused_nothing_and_reported_with_its_price() {
    let stage = Stage::start("observe", &[]);
    let paula = stage.customer(0);
    let vm = stage.small_vm(0);
    let deploy = || paula.deploy(&vm).unwrap();
    until("her money is held", || deploy().status == 535);
    let held = stage.machines("Running").len();
    until("what was paid runs", || {
        stage.machines("Running").len() >= 2
    });

    let mode = "[[mode]]\nmode = \"observe\"\n";
    let rule = "[[access]]\nid = \"no-zones\"\nverdict = \"deny\"\ncommand = [\"listZones\"]\n\
                reason = \"zones are not told\"\n[[access]]\nid = \"later\"\nverdict = \"deny\"\n\
                command = [\"createNetwork\"]\nreason = \"later\"\n";
    write(&stage, "modes/test.toml", mode);
    write(&stage, "access/test.toml", rule);
    let before = stage.machines("Running").len().max(held);
    until("the domain is observed", || deploy().status == 200);
    until("it runs without a hold", || {
        stage.machines("Running").len() > before
    });
    assert_eq!(paula.call("listZones", &[]).unwrap().status, 200);

    // A parameter that no command has: refused in an enforced domain.
    let mut odd = vm.clone();
    odd.push(("frobnicate".to_owned(), "1".to_owned()));
    assert_eq!(paula.deploy(&odd).unwrap().status, 200);
    // What could do harm is refused everywhere.
    let mut bad = vm.clone();
    bad.push(("displayname".to_owned(), "a\\u0041".to_owned()));
    assert_eq!(paula.deploy(&bad).unwrap().status, 431);
    // Who is not verified gets CloudStack's own refusal.
    let stranger = crate::stage::Caller {
        secret: "wrong".to_owned(),
        ..paula.clone()
    };
    assert_eq!(stranger.deploy(&vm).unwrap().status, 401);

    let config = stage.config();
    let span = [
        "--from",
        "2020-01-01T00:00:00Z",
        "--to",
        "2100-01-01T00:00:00Z",
    ];
    let asked = [&["policy", "report", "--config", &config], &span[..]].concat();
    until("the report tells all", || {
        let told = stage.faregate(&asked);
        let has = |parts: &[&str]| {
            told.lines()
                .any(|line| parts.iter().all(|part| line.contains(part)))
        };
        has(&[
            "money.not-enough",
            "prepaid-paula",
            "deployVirtualMachine",
            "EUR an hour",
        ]) && has(&["access no-zones", "listZones"])
            && has(&["C7", "deployVirtualMachine"])
    });

    // The metered hours of what runs without a hold are hers.
    let told = stage.faregate(&["ledger", "verify", "--config", &config]);
    assert!(!told.contains("fault:"), "{told}");

    write(&stage, "modes/test.toml", "[[mode]]\nmode = \"enforce\"\n");
    until("it is enforced again", || deploy().status == 535);
    assert_eq!(paula.call("listZones", &[]).unwrap().status, 531);
}

#[test]
fn one_domain_is_enforced_while_the_platform_is_observed() {
    let stage = Stage::start("observe-one", &[]);
    let (paula, pete) = (stage.customer(0), stage.customer(1));
    let asked = stage
        .admin()
        .call("listDomains", &[("name", "prepaid-paula")]);
    let list = asked.unwrap().inside();
    let domain = list["domain"][0]["id"].as_str().unwrap();
    let text = format!(
        "[[mode]]\nmode = \"observe\"\n[[mode]]\ndomain = \"{domain}\"\nmode = \"enforce\"\n\
         [[access]]\nid = \"x\"\nverdict = \"deny\"\ncommand = [\"listUsers\"]\nreason = \"r\"\n"
    );
    write(&stage, "modes/test.toml", &text);
    until("the rule is in force", || {
        paula.call("listUsers", &[]).unwrap().status == 531
    });
    assert_eq!(pete.call("listUsers", &[]).unwrap().status, 200);
    // A command without a class: CloudStack's own 432 tells pete that it does not know it either.
    let told = |caller: &crate::stage::Caller| caller.call("frobnicate", &[]).unwrap().body;
    assert!(
        told(&paula).contains("not known to the gate"),
        "{}",
        told(&paula)
    );
    assert!(
        !told(&pete).contains("not known to the gate"),
        "{}",
        told(&pete)
    );
    // One who is not known may be of the enforced domain.
    let stranger = crate::stage::Caller {
        secret: "wrong".to_owned(),
        ..pete.clone()
    };
    assert_eq!(stranger.call("listUsers", &[]).unwrap().status, 531);
    assert_eq!(stranger.deploy(&stage.small_vm(1)).unwrap().status, 401);
}
