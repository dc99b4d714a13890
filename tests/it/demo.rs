//! What a newcomer does, as the demo prints it.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

use crate::stage::{Stage, until};
use std::path::PathBuf;
use std::process::Command;

/// `cs` from PyPI: from the environment that `tests/run` made, else made here.
fn cs() -> PathBuf {
    let made = std::env::var("FAREGATE_TEST_VENV").map(PathBuf::from);
    let folder = made.unwrap_or_else(|_| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("venv"));
    let program = folder.join("bin/cs");
    if !program.exists() {
        let made = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&folder)
            .status();
        assert!(
            made.is_ok_and(|s| s.success()),
            "python3 -m venv {folder:?} fails"
        );
        let pip = Command::new(folder.join("bin/pip"))
            .args(["install", "-q", "cs==5.2.0"])
            .status();
        assert!(
            pip.is_ok_and(|s| s.success()),
            "cs cannot be installed from PyPI"
        );
    }
    program
}

fn pairs(params: &[(String, String)]) -> Vec<String> {
    params
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

#[test]
fn the_pasted_commands_behave_as_printed_with_cs_from_pypi() {
    let stage = Stage::start("pasted", &[]);
    let run = |arguments: &[String]| {
        let out = Command::new(cs())
            .args(arguments)
            .envs(stage.customer(0).environment())
            .output()
            .unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        (out.status.success(), said)
    };
    let mut deploy = vec!["deployVirtualMachine".to_owned()];
    deploy.extend(pairs(&stage.small_vm(0)));
    let (ok, first) = run(&deploy);
    assert!(ok && first.contains("jobid"), "{first}");
    let (ok, second) = run(&deploy);
    assert!(ok, "{second}");
    let (ok, third) = run(&deploy);
    assert!(
        !ok && third.contains("535") && third.contains("not enough balance"),
        "{third}"
    );
    until("two machines run", || stage.machines("Running").len() == 2);
    for id in stage.machines("Running") {
        let (ok, said) = run(&["destroyVirtualMachine".to_owned(), format!("id={id}")]);
        assert!(ok, "{said}");
    }
    until("none runs", || stage.machines("Running").is_empty());
}

#[test]
fn a_refusal_for_money_says_price_balance_missing_and_where_to_top_up() {
    let stage = Stage::start("refused", &[]);
    let paula = stage.customer(0);
    let vm = stage.small_vm(0);
    assert_eq!(paula.deploy(&vm).unwrap().status, 200);
    assert_eq!(paula.deploy(&vm).unwrap().status, 200);
    let json = paula.deploy(&vm).unwrap();
    assert_eq!(json.status, 535);
    let inside = json.inside();
    let text = inside["errortext"].as_str().unwrap();
    for word in [
        "price 0.432240 EUR",
        "balance",
        "missing",
        "https://cloud.example.com/top-up",
    ] {
        assert!(text.contains(word), "{text}");
    }
    assert!(
        json.body.starts_with("{\"deployvirtualmachineresponse\":"),
        "{}",
        json.body
    );
    assert!(
        json.head.contains(&format!("X-Description: {text}")),
        "{}",
        json.head
    );
    let named: Vec<(&str, &str)> = vm.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let xml = paula
        .call_in("xml", "deployVirtualMachine", &named)
        .unwrap();
    assert_eq!(xml.status, 535);
    assert!(
        xml.body
            .contains("<deployvirtualmachineresponse><errorcode>535"),
        "{}",
        xml.body
    );
    let ids = stage.machines("Running");
    until("both run", || stage.machines("Running").len() == 2);
    let _ = ids;
    for id in stage.machines("Running") {
        let heard = paula.call("destroyVirtualMachine", &[("id", &id)]).unwrap();
        assert_eq!(heard.status, 200, "{heard:?}");
    }
}

#[test]
fn a_second_demo_goes_on_where_it_was_and_fresh_starts_anew() {
    let mut stage = Stage::start("again", &[]);
    let key = stage.text("/customers/0/api_key");
    stage.top_up("prepaid-paula", "5.00", "t-1");
    stage.stop();
    stage.start_again();
    assert_eq!(stage.text("/customers/0/api_key"), key);
    assert_eq!(stage.text("/customers/0/balance"), "6.000000");
    stage.stop();
    let folder = stage.folder.clone();
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(told.contains("transfers"), "{told}");
    assert!(folder.join("demo.json").exists());
}

#[test]
fn a_postpaid_customer_deploys_without_money_up_to_his_line() {
    let stage = Stage::start("postpaid", &[]);
    for _ in 0..4 {
        assert_eq!(
            stage.customer(1).deploy(&stage.small_vm(1)).unwrap().status,
            200
        );
    }
}

#[test]
fn a_skipped_month_is_renewed_and_invoiced() {
    let stage = Stage::start("month", &["--speed", "3600"]);
    let pete = stage.customer(1);
    let heard = pete.deploy(&stage.small_vm(1)).unwrap();
    let job = heard.inside()["jobid"].as_str().unwrap().to_owned();
    assert_eq!(pete.job_end(&job), 1);
    let state = stage.folder.display().to_string();
    stage.faregate(&["demo", "skip", "1d", "--state", &state]);
    stage.faregate(&["demo", "skip", "month", "--state", &state]);
    let issued = stage.folder.join("invoices/house");
    until("an invoice is written", || {
        std::fs::read_dir(&issued).is_ok_and(|files| {
            files
                .flatten()
                .any(|file| file.path().extension().is_some_and(|e| e == "html"))
        })
    });
}
