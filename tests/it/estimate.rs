//! A dry run says what the call then does, and does nothing.

use crate::stage::{Caller, Heard, Stage, pairs, until};
use serde_json::Value;

const DRY: &str = "X-Faregate-Estimate: 1\r\n";
const LIMITS: &str = "[[things]]\nid = \"two\"\ncomponent = \"vm\"\nmost = 2\nreason = \"small\"\n\
                      [[things]]\nid = \"memory\"\ncomponent = \"ram_gib\"\nbasis = \"running\"\n\
                      most = 64\nreason = \"small\"\n";

fn dry(caller: &Caller, command: &str, params: &[(&str, &str)]) -> Heard {
    caller.call_with(DRY, "json", command, params).unwrap()
}

fn estimate(heard: &Heard) -> Value {
    assert_eq!(heard.status, 200, "{heard:?}");
    heard.inside()["estimate"].clone()
}

#[test]
fn a_dry_run_tells_what_the_call_then_costs_and_makes_nothing() {
    let mut stage = Stage::start("estimate", &[]);
    stage.with_policy("things.toml", LIMITS);
    let paula = stage.customer(0);
    let vm = stage.small_vm(0);
    let vm = pairs(&vm);

    let told = estimate(&dry(&paula, "deployVirtualMachine", &vm));
    assert_eq!(told["allowed"], true, "{told}");
    assert_eq!(told["currency"], "EUR");
    assert_eq!(told["command"], "deployVirtualMachine");
    let ids: Vec<&str> = told["limit"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["two", "memory"]);
    let heard = dry(&paula, "deployVirtualMachine", &vm);
    assert_eq!(estimate(&heard), told, "a dry run changed something");
    assert!(stage.machines("Running").is_empty());

    // The same by a command of our own, for clients that cannot set a header.
    let mut asked = vec![("for", "deployVirtualMachine")];
    asked.extend(&vm);
    let heard = paula.call("faregateEstimate", &asked).unwrap();
    assert!(
        heard.body.starts_with("{\"faregateestimateresponse\""),
        "{heard:?}"
    );
    assert_eq!(estimate(&heard), told);

    // The call itself: same price, same hold, the balance that was foretold.
    let heard = paula.call("deployVirtualMachine", &vm).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let of = |name: &str| heard.header(&format!("X-Faregate-{name}")).unwrap();
    assert_eq!(Value::from(of("Price-Hour")), told["priceperhour"]);
    assert_eq!(Value::from(of("Held")), told["hold"]);
    assert_eq!(Value::from(of("Balance")), told["balanceafter"]);
    assert_eq!(of("Hours-Left"), told["hoursleft"].to_string());
    assert_eq!(of("Currency"), "EUR");
    until("it runs", || stage.machines("Running").len() == 1);

    // A call that lowers is not made either.
    let id = stage.machines("Running").pop().unwrap();
    let told = estimate(&dry(&paula, "destroyVirtualMachine", &[("id", &id)]));
    assert_eq!(
        (&told["allowed"], &told["hold"]),
        (&true.into(), &"0.000000".into()),
        "{told}"
    );
    assert_eq!(stage.machines("Running").len(), 1);

    // Which limit would say no, in the words of the refusal itself.
    assert_eq!(paula.call("deployVirtualMachine", &vm).unwrap().status, 200);
    let told = estimate(&dry(&paula, "deployVirtualMachine", &vm));
    assert_eq!(
        (&told["allowed"], &told["refusedby"]),
        (&false.into(), &"two".into()),
        "{told}"
    );
    let refused = paula.call("deployVirtualMachine", &vm).unwrap();
    assert_eq!(refused.status, 535);
    assert_eq!(refused.inside()["errortext"], told["reason"]);
}

#[test]
fn a_dry_run_is_verified_and_says_when_money_is_short() {
    let stage = Stage::start("estimate-money", &[]);
    let paula = stage.customer(0);
    let vm = stage.small_vm(0);
    let vm = pairs(&vm);
    let stranger = Caller {
        secret: "not-the-secret".to_owned(),
        ..paula.clone()
    };
    for command in ["deployVirtualMachine", "listZones", "faregateEstimate"] {
        let asked = [("for", "listZones")];
        let heard = dry(&stranger, command, &asked);
        assert_eq!(heard.status, 401, "{command}: {heard:?}");
    }
    let headers = "X-Faregate-Estimate: perhaps\r\n";
    let heard = paula
        .call_with(headers, "json", "deployVirtualMachine", &vm)
        .unwrap();
    assert_eq!(heard.status, 431, "{heard:?}");
    assert!(stage.machines("Running").is_empty());

    let heard = paula
        .call_with(DRY, "xml", "deployVirtualMachine", &vm)
        .unwrap();
    let start =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><deployvirtualmachineresponse><estimate>";
    assert!(heard.body.starts_with(start), "{heard:?}");
    assert!(heard.body.contains("<allowed>true</allowed>"), "{heard:?}");

    // Until the money is used up, dry runs and calls agree; then they agree on the refusal.
    for _ in 0..50 {
        let told = estimate(&dry(&paula, "deployVirtualMachine", &vm));
        let heard = paula.call("deployVirtualMachine", &vm).unwrap();
        if told["allowed"] == true {
            assert_eq!(heard.status, 200, "{heard:?}");
            continue;
        }
        assert_eq!(heard.status, 535, "{heard:?}");
        assert!(
            told["refusedby"].as_str().unwrap().starts_with("money."),
            "{told}"
        );
        return;
    }
    panic!("the first payment was not used up by fifty machines");
}
