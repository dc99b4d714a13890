//! Caps, as customers meet them: one amount for many, counted in the step that makes the hold.

use crate::stage::{Stage, pairs, until};
use std::sync::atomic::{AtomicUsize, Ordering};

/// 2 × 0.432240 fit into the whole cloud's month, 3 do not.
const CAPS: &str = r#"
[[caps]]
id = "cloud"
per = "domain"
amount = "1.00"
period = "month"
reason = "so much was agreed for a month"
"#;

#[test]
fn a_domains_cap_admits_what_it_covers_of_many_and_gives_room_when_something_ends() {
    let mut stage = Stage::start("budgets", &[]);
    stage.top_up("prepaid-paula", "1000", "more");
    stage.with_policy("caps.toml", CAPS);
    let (paula, vm) = (stage.customer(0), stage.small_vm(0));
    let (accepted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let heard = paula.deploy(&vm).unwrap();
                match heard.status {
                    200 => accepted.fetch_add(1, Ordering::Relaxed),
                    535 => {
                        let text = heard.inside()["errortext"].as_str().unwrap().to_owned();
                        assert_eq!(text, "cap cloud: so much was agreed for a month");
                        refused.fetch_add(1, Ordering::Relaxed)
                    }
                    _ => panic!("{heard:?}"),
                };
            });
        }
    });
    assert_eq!((accepted.into_inner(), refused.into_inner()), (2, 18));
    until("two run", || stage.machines("Running").len() == 2);

    // Who asks beforehand is told the same.
    let dry = "X-Faregate-Estimate: 1\r\n";
    let heard = paula.call_with(dry, "json", "deployVirtualMachine", &pairs(&vm));
    let told = heard.unwrap().inside()["estimate"].clone();
    assert_eq!(told["allowed"], false, "{told}");
    assert_eq!(told["refusedby"], "cloud");
    let words: Vec<String> = vm
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let call = format!("command=deployVirtualMachine&{}", words.join("&"));
    let config = stage.config();
    let question = [
        "policy", "explain", &call, "--as", &paula.key, "--config", &config,
    ];
    let told = stage.faregate(&question);
    assert!(told.contains("cap      cloud (cloud/domain/"), "{told}");
    assert!(told.contains("verdict  cloud (535)"), "{told}");

    // Another payer of the same domain tree finds the cap used up as well.
    let heard = stage.customer(1).deploy(&stage.small_vm(1)).unwrap();
    assert_eq!(heard.status, 535, "{heard:?}");

    // What ends leaves the cap with the next renewal; a start of the gate forgets nothing.
    stage.kill_gate();
    stage.start_again();
    let paula = stage.customer(0);
    assert_eq!(paula.deploy(&vm).unwrap().status, 535);
    let one = stage.machines("Running").pop().unwrap();
    let gone = [("id", one.as_str()), ("expunge", "true")];
    let heard = paula.call("destroyVirtualMachine", &gone).unwrap();
    let job = heard.inside()["jobid"].as_str().unwrap().to_owned();
    assert_eq!(paula.job_end(&job), 1);
    until("there is room", || paula.deploy(&vm).unwrap().status == 200);
    until("two run again", || stage.machines("Running").len() == 2);
    assert_eq!(paula.deploy(&vm).unwrap().status, 535);
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(!told.contains("fault"), "{told}");
}
