//! Changed policies: in force without a restart, refused whole with a fault, and no call lost.

use crate::stage::{Stage, address_of, exchange, until};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Writes a policy file of the stage; the node reads it by itself.
pub fn write(stage: &Stage, name: &str, text: &str) {
    let path = stage.folder.join("policies").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A figure of the operators' socket.
pub fn figure(stage: &Stage, name: &str) -> String {
    let address = address_of(&stage.text("/operator_page"));
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let heard = exchange(&address, &request).unwrap();
    let line = heard
        .body
        .lines()
        .find(|line| line.starts_with(&format!("{name} ")));
    line.and_then(|line| line.split(' ').nth(1))
        .unwrap_or_default()
        .to_owned()
}

const NO_ZONES: &str = "[[access]]\nid = \"no-zones\"\nverdict = \"deny\"\ncommand = \
                        [\"listZones\"]\nreason = \"zones are not told\"\n";

#[test]
fn changed_policies_are_in_force_at_once_and_faulty_ones_never() {
    let stage = Stage::start("reload", &[]);
    let caller = stage.customer(0);
    let zones = || caller.call("listZones", &[]).unwrap();
    assert_eq!(zones().status, 200);

    write(&stage, "access/test.toml", NO_ZONES);
    until("the rule is in force", || zones().status == 531);
    assert!(
        zones().body.contains("zones are not told (rule no-zones)"),
        "{:?}",
        zones()
    );
    let vm = stage.small_vm(0);
    assert_eq!(caller.deploy(&vm).unwrap().status, 200);

    // One fault, far from the rule: the set in force stays whole.
    write(&stage, "modes/test.toml", "[[mode]]\nmode = \"perhaps\"\n");
    until("the fault is counted", || {
        figure(&stage, "faregate_policy_faults") == "1"
    });
    assert_eq!(figure(&stage, "faregate_alarms"), "1");
    write(&stage, "access/test.toml", "");
    until("it is read again", || {
        figure(&stage, "faregate_policy_faults") == "1"
    });
    assert_eq!(zones().status, 531);

    write(&stage, "modes/test.toml", "");
    until("the mended set is in force", || zones().status == 200);
    assert_eq!(figure(&stage, "faregate_policy_faults"), "0");
}

#[test]
fn no_call_is_lost_while_policies_change() {
    let stage = Stage::start("reload-calls", &[]);
    let caller = stage.customer(0);
    let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let heard = caller.call("listZones", &[]).expect("an answer");
                    assert!(matches!(heard.status, 200 | 531), "{heard:?}");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..3 {
            for (text, status) in [(NO_ZONES, 531), ("", 200)] {
                write(&stage, "access/test.toml", text);
                until("it is in force", || {
                    caller.call("listZones", &[]).unwrap().status == status
                });
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(calls.load(Ordering::Relaxed) > 20);
}

#[test]
fn a_customer_who_was_written_meanwhile_can_pay_at_once() {
    let stage = Stage::start("reload-customer", &[]);
    let path = stage.folder.join("policies/customers/demo.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let block = "\n[[customer]]\nid = \"late\"\nname = \"Late\"\naddress = [\"1 Street\"]\nseller \
                 = \"house\"\nmode = \"prepaid\"\ntax = \"domestic\"\nbook = \"demo\"\nprepaid = \
                 \"standard\"\nowns = [{ account = \"nobody-yet\" }]\n";
    std::fs::write(&path, format!("{text}{block}")).unwrap();
    until("his books are open", || {
        let told = stage.faregate(&["ledger", "balances", "--config", &stage.config()]);
        told.contains("late  available")
    });
    stage.top_up("late", "5.00", "first");
}
