//! Call limits and things limits, as customers meet them.

use crate::stage::{Caller, Heard, Stage, until};
use std::sync::atomic::{AtomicUsize, Ordering};

const CALLS: &str = r#"
[[limit]]
id = "zones"
per = "account"
commands = ["listzones"]
calls = 5
period = "1h"
reason = "zones seldom change"

[[limit]]
id = "deploys"
per = "key"
commands = ["deploy*"]
class = "raises"
calls = 2
period = "1h"
reason = "machines are not that urgent"

[[limit]]
id = "door"
per = "address"
commands = ["listusers"]
calls = 3
period = "1h"
reason = "one address asks for everybody"
"#;

fn machines_limit(most: u32) -> String {
    format!(
        "[[things]]\nid = \"machines\"\npayer = \"prepaid-paula\"\ncomponent = \"vm\"\n\
         most = {most}\nreason = \"so it was agreed\"\n"
    )
}

fn stranger(of: &Caller) -> Caller {
    Caller {
        secret: "not-the-secret".to_owned(),
        ..of.clone()
    }
}

/// A deploy like no other: an equal one that a crash cut off would get the first one's answer.
pub fn another(caller: &Caller, vm: &[(String, String)]) -> Heard {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut vm = vm.to_vec();
    vm.push(("displayname".to_owned(), format!("another-{count}")));
    caller.deploy(&vm).unwrap()
}

fn statuses(count: usize, call: impl Fn() -> u16) -> Vec<u16> {
    (0..count).map(|_| call()).collect()
}

#[test]
fn who_calls_too_often_gets_cloudstacks_429_and_harms_nobody_else() {
    let mut stage = Stage::start("limits-calls", &[]);
    stage.with_policy("calls.toml", CALLS);
    let (paula, other) = (stage.customer(0), stage.customer(1));
    let zones = |caller: &Caller| caller.call("listZones", &[]).unwrap().status;

    // Who only knows her key uses up nothing of hers.
    let unverified = stranger(&paula);
    assert_eq!(statuses(10, || zones(&unverified)), [401; 10]);
    assert_eq!(statuses(5, || zones(&paula)), [200; 5]);
    let heard = paula.call("listZones", &[]).unwrap();
    assert_eq!(heard.status, 429, "{heard:?}");
    let inside = heard.inside();
    assert_eq!(inside["errorcode"], 429);
    assert_eq!(inside["cserrorcode"], 9999);
    let text = inside["errortext"].as_str().unwrap();
    let words = "The given user has reached his/her account api limit, please retry after ";
    assert!(text.starts_with(words) && text.contains("zones"), "{text}");
    assert!(heard.body.contains("\"listzonesresponse\""), "{heard:?}");
    let wait: u64 = heard.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    let heard = paula.call_in("xml", "listZones", &[]).unwrap();
    assert!(
        heard.body.contains("<errorcode>429</errorcode>"),
        "{heard:?}"
    );
    assert_eq!(zones(&other), 200);

    // Other commands of hers go on; her address is counted whoever calls from it.
    assert_eq!(
        paula
            .call("listTemplates", &[("templatefilter", "all")])
            .unwrap()
            .status,
        200
    );
    let users = |caller: &Caller| caller.call("listUsers", &[]).unwrap().status;
    assert_eq!(users(&unverified), 401);
    assert_eq!(users(&paula), 200);
    assert_eq!(users(&other), 200);
    assert_eq!([users(&unverified), users(&paula), users(&other)], [429; 3]);

    // A refused deploy holds nothing.
    let vm = stage.small_vm(0);
    let deploys = statuses(3, || paula.deploy(&vm).unwrap().status);
    assert_eq!(deploys, [200, 200, 429]);
    until("two run", || stage.machines("Running").len() == 2);
}

#[test]
fn of_fifty_parallel_deploys_with_a_limit_of_seven_exactly_seven_run() {
    let mut stage = Stage::start("limits-things", &[]);
    stage.top_up("prepaid-paula", "1000", "more");
    stage.with_policy("things.toml", &machines_limit(7));
    let paula = stage.customer(0);
    let vm = stage.small_vm(0);
    let (accepted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let heard = paula.deploy(&vm).unwrap();
                match heard.status {
                    200 => accepted.fetch_add(1, Ordering::Relaxed),
                    535 => {
                        assert!(
                            heard.body.contains("limit machines: 7 vm at most"),
                            "{heard:?}"
                        );
                        refused.fetch_add(1, Ordering::Relaxed)
                    }
                    _ => panic!("{heard:?}"),
                };
            });
        }
    });
    assert_eq!((accepted.into_inner(), refused.into_inner()), (7, 43));
    until("seven run", || stage.machines("Running").len() == 7);

    // A start counts what runs anew, and finds the same.
    stage.kill_gate();
    stage.start_again();
    assert_eq!(another(&paula, &vm).status, 535);
    // Lowering is never counted, and makes room once it is done.
    let one = stage.machines("Running").pop().unwrap();
    let heard = paula.call(
        "destroyVirtualMachine",
        &[("id", &one), ("expunge", "true")],
    );
    let job = heard.unwrap().inside()["jobid"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(paula.job_end(&job), 1);
    until("there is room", || another(&paula, &vm).status == 200);
    assert_eq!(another(&paula, &vm).status, 535);
    until("seven run again", || stage.machines("Running").len() == 7);
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(!told.contains("fault"), "{told}");
}

#[test]
fn a_gate_killed_among_deploys_lets_no_machine_too_many_through() {
    let mut stage = Stage::start("limits-kill", &[]);
    stage.top_up("prepaid-paula", "1000", "more");
    stage.with_policy("things.toml", &machines_limit(7));
    let (paula, vm) = (stage.customer(0), stage.small_vm(0));
    std::thread::scope(|scope| {
        for index in 0..20 {
            let (stage, paula, vm) = (&stage, &paula, &vm);
            scope.spawn(move || {
                // Whoever is cut off has no answer; that is what the test is about.
                let _ = paula.deploy(vm);
                if index == 3 {
                    stage.kill_from_outside();
                }
            });
        }
    });
    stage.kill_gate();
    stage.start_again();
    let allocated = |stage: &Stage| {
        let states = ["Running", "Starting", "Stopped"];
        states
            .map(|state| stage.machines(state).len())
            .iter()
            .sum::<usize>()
    };
    // The rest of the seven fits and nothing more; what was cut off before it was sent keeps its
    // place until it is known that nothing came of it.
    until("there is room for no other", || {
        let heard = another(&paula, &vm);
        let now = allocated(&stage);
        assert!(now <= 7, "{now} machines, 7 allowed");
        heard.status == 535
    });
    let made = allocated(&stage);
    stage.kill_gate();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let waiting = runtime.block_on(async {
        let store = faregate::store::Store::open(&stage.folder.join("state")).await;
        store.unwrap().open_intents().await.unwrap().len()
    });
    assert!(
        made <= 7 && made + waiting >= 7,
        "{made} made, {waiting} wait"
    );
}
