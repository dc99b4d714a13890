//! Bundles: several calls held all or nothing, and drawn down by the calls as they come.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

mod books;

use crate::stage::{Caller, Heard, Stage, pairs, until};
use faregate::store::Store;
use serde_json::Value;

/// 7 × 0.432240 fit, 8 do not.
const MORE: &str = "2.30";
const ONE: &str = "0.432240";

type Params = Vec<(String, String)>;

/// The parameters of a plan of these calls.
fn plan(calls: &[(&str, &Params)], more: &[(&str, &str)]) -> Params {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut params: Params = more.iter().map(own).collect();
    for (at, (command, of_call)) in calls.iter().enumerate() {
        params.push((format!("call[{at}].command"), (*command).to_owned()));
        for (name, value) in *of_call {
            params.push((format!("call[{at}].{name}"), value.clone()));
        }
    }
    params
}

/// So many small machines of the first customer.
fn machines(stage: &Stage, count: usize, more: &[(&str, &str)]) -> Params {
    let vm = stage.small_vm(0);
    plan(&vec![("deployVirtualMachine", &vm); count], more)
}

fn create(caller: &Caller, plan: &Params) -> Heard {
    caller.call("createFaregateBundle", &pairs(plan)).unwrap()
}

fn made(caller: &Caller, plan: &Params) -> Value {
    let heard = create(caller, plan);
    assert_eq!(heard.status, 200, "{heard:?}");
    assert!(heard.body.starts_with("{\"createfaregatebundleresponse\""));
    heard.inside()["bundle"].clone()
}

fn id_of(bundle: &Value) -> String {
    bundle["id"].as_str().unwrap().to_owned()
}

fn listed(caller: &Caller, id: &str) -> Value {
    let heard = caller.call("listFaregateBundles", &[("id", id)]).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    assert_eq!(heard.inside()["count"], 1);
    heard.inside()["bundle"][0].clone()
}

fn states(bundle: &Value) -> Vec<String> {
    let calls = bundle["call"].as_array().unwrap().iter();
    calls
        .map(|call| call["state"].as_str().unwrap().to_owned())
        .collect()
}

/// A small machine, paid from a bundle. Each has a name of its own: an equal request is a resend.
fn deploy(stage: &Stage, caller: &Caller, bundle: &str, name: &str) -> Heard {
    let mut vm = stage.small_vm(0);
    vm.push(("name".to_owned(), name.to_owned()));
    let header = match bundle {
        "" => String::new(),
        id => format!("X-Faregate-Bundle: {id}\r\n"),
    };
    caller
        .call_with(&header, "json", "deployVirtualMachine", &pairs(&vm))
        .unwrap()
}

/// What the first customer could still spend.
fn balance(stage: &Stage) -> String {
    let (paula, vm) = (stage.customer(0), stage.small_vm(0));
    let dry = "X-Faregate-Estimate: 1\r\n";
    let heard = paula.call_with(dry, "json", "deployVirtualMachine", &pairs(&vm));
    let told = heard.unwrap().inside();
    told["estimate"]["balance"].as_str().unwrap().to_owned()
}

fn told(heard: &Heard) -> String {
    heard.inside()["errortext"].as_str().unwrap().to_owned()
}

/// The gate's books, once it has stopped: sums, purses, holds, and figures made anew.
fn sound(stage: &mut Stage) {
    stage.stop();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::open(&stage.folder.join("state")).await.unwrap();
        let verified = store.verify().await.unwrap();
        assert_eq!(verified.faults, []);
        assert_eq!(verified.payers, verified.rebuilt);
        store.close().await;
    });
}

#[test]
fn a_bundle_is_held_whole_or_not_at_all() {
    let mut stage = Stage::start("bundle-whole", &[]);
    stage.top_up("prepaid-paula", MORE, "more");
    let paula = stage.customer(0);
    let before = balance(&stage);

    let heard = create(&paula, &machines(&stage, 8, &[]));
    assert_eq!(heard.status, 535, "{heard:?}");
    let text = told(&heard);
    for part in [
        "price 3.457920 EUR",
        "missing ",
        &format!("call[0] deployVirtualMachine {ONE} EUR"),
        &format!("call[7] deployVirtualMachine {ONE} EUR"),
    ] {
        assert!(text.contains(part), "no `{part}`: {text}");
    }
    assert_eq!(balance(&stage), before, "a refused bundle holds nothing");
    let none = paula.call("listFaregateBundles", &[]).unwrap();
    assert_eq!(none.inside()["count"], 0);

    let bundle = made(&paula, &machines(&stage, 7, &[]));
    assert_eq!(
        (&bundle["price"], &bundle["held"], &bundle["state"]),
        (&"3.025680".into(), &"3.025680".into(), &"Open".into()),
        "{bundle}"
    );
    assert_eq!(bundle["call"][6]["price"], ONE);
    assert_eq!(bundle["call"].as_array().unwrap().len(), 7);
    let heard = deploy(&stage, &paula, "", "beside");
    assert_eq!(
        heard.status, 535,
        "what is held is not available: {heard:?}"
    );
    assert!(stage.machines("Running").is_empty());

    let asked = [("id", bundle["id"].as_str().unwrap())];
    let heard = paula
        .call_in("xml", "deleteFaregateBundle", &asked)
        .unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    assert!(
        heard.body.contains("<deletefaregatebundleresponse><")
            && heard.body.contains("<success>true</success>")
            && heard.body.contains("<state>Returned</state>"),
        "{heard:?}"
    );
    assert_eq!(balance(&stage), before);
    sound(&mut stage);
}

#[test]
fn calls_of_a_bundle_draw_it_down_and_the_rest_comes_back() {
    let mut stage = Stage::start("bundle-drawn", &[]);
    stage.top_up("prepaid-paula", MORE, "more");
    let paula = stage.customer(0);
    let vm = stage.small_vm(0);
    let none = Params::new();
    let calls = [
        ("deployVirtualMachine", &vm),
        ("listZones", &none),
        ("deployVirtualMachine", &vm),
        ("deployVirtualMachine", &vm),
    ];
    let bundle = id_of(&made(&paula, &plan(&calls, &[])));
    assert_eq!(
        states(&listed(&paula, &bundle)),
        ["Held", "Free", "Held", "Held"]
    );
    let held = balance(&stage);

    // With the header it costs nothing more; without, it is paid from what is available.
    let heard = deploy(&stage, &paula, &bundle, "one");
    assert_eq!(heard.status, 200, "{heard:?}");
    assert_eq!(heard.header("X-Faregate-Held").unwrap(), ONE);
    assert_eq!(balance(&stage), held);
    assert_eq!(deploy(&stage, &paula, "", "two").status, 200);
    assert_ne!(balance(&stage), held);
    assert_eq!(
        states(&listed(&paula, &bundle)),
        ["Drawn", "Free", "Held", "Held"]
    );
    // A call that is not in it takes nothing, and is not paid from elsewhere unasked.
    let header = format!("X-Faregate-Bundle: {bundle}\r\n");
    let mut other = vm.clone();
    other.push(("startvm".to_owned(), "false".to_owned()));
    other.retain(|(name, _)| name != "networkids");
    let heard = paula.call_with(&header, "json", "deployVirtualMachine", &pairs(&other));
    let heard = heard.unwrap();
    assert_eq!(heard.status, 431, "{heard:?}");
    assert!(told(&heard).contains("has no line left for this"));
    // Reading with the header is reading.
    let read = paula.call_with(&header, "json", "listZones", &[]).unwrap();
    assert_eq!(read.status, 200, "{read:?}");

    assert_eq!(deploy(&stage, &paula, &bundle, "three").status, 200);
    let asked = [("id", bundle.as_str())];
    let heard = paula.call("deleteFaregateBundle", &asked).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let ended = listed(&paula, &bundle);
    assert_eq!(states(&ended), ["Drawn", "Free", "Drawn", "Returned"]);
    assert_eq!(
        (&ended["state"], &ended["held"]),
        (&"Ended".into(), &"0.000000".into())
    );
    let heard = deploy(&stage, &paula, &bundle, "four");
    assert_eq!(heard.status, 431, "{heard:?}");
    assert!(told(&heard).contains("ended at"), "{heard:?}");
    until("three run", || stage.machines("Running").len() == 3);
    sound(&mut stage);
}

#[test]
fn an_expired_bundle_gives_the_money_back() {
    let mut stage = Stage::start("bundle-expired", &[]);
    stage.top_up("prepaid-paula", MORE, "more");
    let paula = stage.customer(0);
    let before = balance(&stage);
    let long = create(&paula, &machines(&stage, 1, &[("lifetime", "3601")]));
    assert_eq!(long.status, 431, "the policy keeps it an hour: {long:?}");
    let bundle = id_of(&made(&paula, &machines(&stage, 3, &[("lifetime", "2")])));
    assert_ne!(balance(&stage), before);
    until("the money is back", || balance(&stage) == before);
    assert_eq!(listed(&paula, &bundle)["state"], "Ended");
    let heard = deploy(&stage, &paula, &bundle, "late");
    assert_eq!(heard.status, 431, "{heard:?}");
    assert!(told(&heard).contains("ended at"), "{heard:?}");
    assert!(stage.machines("Running").is_empty());
    sound(&mut stage);
}

#[test]
fn a_bundle_is_nobody_elses() {
    let stage = Stage::start("bundle-strangers", &[]);
    stage.top_up("prepaid-paula", MORE, "more");
    let (paula, peter) = (stage.customer(0), stage.customer(1));
    let bundle = id_of(&made(&paula, &machines(&stage, 2, &[])));
    let nobodys = "bnd_00000000000000000000000000000001";
    let of = |caller: &Caller, id: &str| {
        let header = format!("X-Faregate-Bundle: {id}\r\n");
        let vm = stage.small_vm(1);
        let call = caller.call_with(&header, "json", "deployVirtualMachine", &pairs(&vm));
        let list = caller.call("listFaregateBundles", &[("id", id)]);
        let delete = caller.call("deleteFaregateBundle", &[("id", id)]);
        [call, list, delete].map(|heard| {
            let heard = heard.unwrap();
            (heard.status, told(&heard).replace(id, "<id>"))
        })
    };
    let strange = of(&peter, &bundle);
    assert_eq!(
        strange,
        of(&peter, nobodys),
        "a stranger learns of a bundle"
    );
    assert!(strange.iter().all(|(status, _)| *status == 431));
    assert!(
        strange[0]
            .1
            .contains("is not known here; nothing was started")
    );
    let none = peter.call("listFaregateBundles", &[]).unwrap();
    assert_eq!(none.inside()["count"], 0, "{none:?}");
    let forged = Caller {
        secret: "not-the-secret".to_owned(),
        ..paula.clone()
    };
    for command in [
        "createFaregateBundle",
        "listFaregateBundles",
        "deleteFaregateBundle",
    ] {
        let heard = forged.call(command, &[("id", &bundle)]).unwrap();
        assert_eq!(heard.status, 401, "{command}: {heard:?}");
    }
    assert_eq!(states(&listed(&paula, &bundle)), ["Held", "Held"]);
    // Two bundles in one call could both be meant.
    let twice = format!("X-Faregate-Bundle: {bundle}\r\nX-Faregate-Bundle: {bundle}\r\n");
    let vm = stage.small_vm(0);
    let heard = paula.call_with(&twice, "json", "deployVirtualMachine", &pairs(&vm));
    assert_eq!(heard.unwrap().status, 431);
    assert!(stage.machines("Running").is_empty());
}

#[test]
fn a_bundle_said_twice_is_one_bundle() {
    let mut stage = Stage::start("bundle-twice", &[]);
    stage.top_up("prepaid-paula", MORE, "more");
    let paula = stage.customer(0);
    let named = machines(&stage, 2, &[("clientkey", "order-7")]);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| id_of(&made(&paula, &named))))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let all = paula.call("listFaregateBundles", &[]).unwrap().inside();
    assert_eq!(all["count"], 1, "{all}");
    assert_eq!(all["bundle"][0]["held"], "0.864480");
    assert_eq!(all["bundle"][0]["clientkey"], "order-7");

    let other = create(&paula, &machines(&stage, 1, &[("clientkey", "order-7")]));
    assert_eq!(other.status, 431, "{other:?}");
    assert!(told(&other).contains("order-7"), "{other:?}");
    // Drawn or ended, it is the same one still.
    assert_eq!(deploy(&stage, &paula, &ids[0], "one").status, 200);
    let again = made(&paula, &named);
    assert_eq!(
        (id_of(&again), states(&again)[0].as_str()),
        (ids[0].clone(), "Drawn")
    );
    // Without a name each is one of its own.
    let nameless = machines(&stage, 1, &[]);
    assert_ne!(
        id_of(&made(&paula, &nameless)),
        id_of(&made(&paula, &nameless))
    );
    sound(&mut stage);
}

#[test]
fn of_two_bundles_with_money_for_one_one_is_made_and_equal_calls_take_a_line_each() {
    let mut stage = Stage::start("bundle-race", &[]);
    stage.top_up("prepaid-paula", MORE, "more");
    let paula = stage.customer(0);
    let five = machines(&stage, 5, &[]);
    let heard: Vec<Heard> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| create(&paula, &five)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (made, refused): (Vec<_>, Vec<_>) = heard.iter().partition(|one| one.status == 200);
    assert_eq!(made.len(), 1, "{heard:?}");
    assert!(refused.iter().all(|one| one.status == 535), "{heard:?}");
    let bundle = id_of(&made[0].inside()["bundle"]);
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let (stage, paula, bundle) = (&stage, &paula, &bundle);
        let calls = (0..8).map(|at| {
            scope.spawn(move || deploy(stage, paula, bundle, &format!("vm-{at}")).status)
        });
        let calls: Vec<_> = calls.collect();
        calls.into_iter().map(|one| one.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 431, 431, 431]);
    assert_eq!(listed(&paula, &bundle)["state"], "Drawn");
    until("five run", || stage.machines("Running").len() == 5);
    sound(&mut stage);
}

#[test]
fn a_bundle_outlives_the_gate_that_made_it() {
    let mut stage = Stage::start("bundle-killed", &[]);
    stage.top_up("prepaid-paula", MORE, "more");
    let bundle = id_of(&made(&stage.customer(0), &machines(&stage, 2, &[])));
    stage.kill_gate();
    stage.start_again();
    let paula = stage.customer(0);
    assert_eq!(states(&listed(&paula, &bundle)), ["Held", "Held"]);
    assert_eq!(deploy(&stage, &paula, &bundle, "one").status, 200);
    stage.kill_gate();
    stage.start_again();
    let paula = stage.customer(0);
    assert_eq!(states(&listed(&paula, &bundle)), ["Drawn", "Held"]);
    until("it runs", || stage.machines("Running").len() == 1);
    sound(&mut stage);
}

#[test]
fn a_line_is_refused_as_its_call_would_be_and_limits_count_it_once() {
    let mut stage = Stage::start("bundle-judged", &[]);
    stage.with_policy(
        "things.toml",
        "[[things]]\nid = \"two\"\ncomponent = \"vm\"\nmost = 2\nreason = \"small\"\n\
         [[access]]\nid = \"no-volumes\"\nverdict = \"deny\"\ncommand = [\"createVolume\"]\n\
         reason = \"not here\"\n",
    );
    stage.top_up("prepaid-paula", MORE, "more");
    let paula = stage.customer(0);
    let vm = stage.small_vm(0);
    let before = balance(&stage);
    let refusal = |plan: &Params| {
        let heard = create(&paula, plan);
        (heard.status, told(&heard))
    };
    let volume: Params = vec![("name".to_owned(), "v".to_owned())];
    let denied = refusal(&plan(
        &[("deployVirtualMachine", &vm), ("createVolume", &volume)],
        &[],
    ));
    let text = "call[1] (createVolume): not here (rule no-volumes); nothing of the bundle is held";
    assert_eq!(denied, (531, text.to_owned()));
    let mut strange = vm.clone();
    strange[0].1 = "00000000-0000-4000-8000-000000000000".to_owned();
    let unknown = refusal(&plan(&[("deployVirtualMachine", &strange)], &[]));
    assert_eq!(unknown.0, 431, "{unknown:?}");
    assert_eq!(refusal(&plan(&[("deployMoon", &vm)], &[])).0, 432);
    let three = refusal(&machines(&stage, 3, &[]));
    assert!(three.0 == 535 && three.1.contains("limit two"), "{three:?}");
    assert_eq!(balance(&stage), before, "what was refused holds nothing");

    let bundle = id_of(&made(&paula, &machines(&stage, 2, &[])));
    let beside = deploy(&stage, &paula, "", "beside");
    assert_eq!(beside.status, 535, "its lines count: {beside:?}");
    for name in ["one", "two"] {
        let heard = deploy(&stage, &paula, &bundle, name);
        assert_eq!(heard.status, 200, "its calls do not count again: {heard:?}");
    }
    until("two run", || stage.machines("Running").len() == 2);
    assert_eq!(deploy(&stage, &paula, "", "beside").status, 535);
    sound(&mut stage);
}
