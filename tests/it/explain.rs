//! Edge: `faregate policy explain --facts`: what the example policies would do with a call, asked
//! without a node and without a cloud.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
const FACTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/explain/facts.toml"
);
const ROSA: &str = "66666666-6666-4666-8666-777777777777";

/// A folder of this test alone.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("explain-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn deploy(offering: &str) -> String {
    format!(
        "command=deployVirtualMachine&serviceofferingid=88888888-8888-4888-8888-{offering}\
         &templateid=99999999-9999-4999-8999-999999999999\
         &zoneid=44444444-4444-4444-8444-444444444444\
         &networkids=aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
    )
}

fn small() -> String {
    deploy("888888888888")
}

fn ask(call: &str, further: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(["policy", "explain", call])
        .args(further)
        // Books of the operator's own that would be touched by mistake would not answer.
        .env(
            "FAREGATE_POSTGRES_URL",
            "postgres://nobody@127.0.0.1:1/none",
        )
        .env("FAREGATE_NODE", "gate-1")
        .output()
        .unwrap()
}

fn told(call: &str, further: &[&str]) -> String {
    let facts = ["--facts", FACTS, "--policies", POLICIES];
    let output = ask(call, &[&facts, further].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{why}");
    text
}

/// The lines that begin with this word, without it.
fn lines<'a>(told: &'a str, word: &str) -> Vec<&'a str> {
    told.lines()
        .filter_map(|line| line.strip_prefix(word))
        .map(str::trim)
        .collect()
}

#[test]
fn each_price_line_and_the_hold_are_told_without_a_cloud() {
    let told = told(&small(), &["--as", "paulas-key"]);
    assert_eq!(lines(&told, "payer "), ["prepaid-example"], "{told}");
    let price = lines(&told, "price ");
    let wanted = [
        "meter                   price line  quantity       net price   an hour    a month      \
         once  tax",
        "+ Volume (6)            disk              10  0.0876 a month  0.001428   1.042440  \
         0.000000  DE.19 19 %",
        "+ RunningVm (1)         ram                4  0.0060 an hour  0.028560  20.848800  \
         0.000000  DE.19 19 %",
        "+ RunningVm (1)         vcpu               2  0.0120 an hour  0.028560  20.848800  \
         0.000000  DE.19 19 %",
        "+ NetworkOffering (13)  nic                1            free  0.000000   0.000000  \
         0.000000  DE.19 19 %",
        "0.058548 EUR an hour, 42.740040 EUR a month of 730 hours, 0.000000 EUR once",
    ];
    assert_eq!(price, wanted, "{told}");
    let hold = "0.058548 EUR for 3600 s: 0.058548 EUR of the wallet, 0.000000 EUR of gift credit";
    assert_eq!(lines(&told, "hold "), [hold]);
    let before = "25.000000 EUR, gift credit 0.000000 EUR, credit line 0.000000 EUR (prepaid)";
    assert_eq!(lines(&told, "balance "), [before]);
    let after = "24.941452 EUR, gift credit 0.000000 EUR; what runs then can go on for 427 h";
    assert_eq!(lines(&told, "after "), [after]);
    assert!(
        told.contains("limit    example-machines: 0 of 5 vm, 1 more asked for ("),
        "{told}"
    );
    assert!(told.contains("counts   limit account-deploys: 60 calls in 3600 s, 20 at once"));
    assert_eq!(lines(&told, "verdict "), ["held and forwarded"]);
}

#[test]
fn json_tells_the_same_figures() {
    let told = told(&small(), &["--as", "paulas-key", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let text = |at: &str| told.pointer(at).unwrap().as_str().unwrap().to_owned();
    assert_eq!(text("/command"), "deployVirtualMachine");
    assert_eq!(text("/class"), "raises");
    assert_eq!(text("/payer"), "prepaid-example");
    assert_eq!(text("/money/price/hold"), "0.058548");
    assert_eq!(text("/money/balance/after"), "24.941452");
    assert_eq!(text("/verdict/what"), "held and forwarded");
    let meters = told.pointer("/money/meter").unwrap().as_array().unwrap();
    let of = |line: &str| meters.iter().find(|one| one["line"] == line).unwrap();
    assert_eq!(of("ram")["quantity"], "4");
    assert_eq!(of("ram")["unitprice"], "0.0060");
    assert_eq!(of("ram")["unit"], "hour");
    assert_eq!(of("disk")["permonth"], "1.042440");
    assert_eq!(of("nic")["free"], true);
    assert_eq!(told.pointer("/things/0/id").unwrap(), "example-machines");
}

#[test]
fn what_would_refuse_is_named() {
    // A limit of things; a rule for a domain, in the words of its contract; nobody verified.
    let huge = told(&deploy("999999999999"), &["--as", "paulas-key"]);
    assert!(huge.contains("limit    memory: 0 of 1024 ram_gib, 2048 more asked for: refuses"));
    let verdict = lines(&huge, "verdict ");
    assert!(
        verdict[0].starts_with("refused: ") && verdict[0].contains("(535)"),
        "{huge}"
    );
    assert!(verdict[0].contains("limit memory"), "{huge}");
    assert!(lines(&huge, "after ").is_empty(), "{huge}");

    let snapshot = "command=createNetwork&name=n&zoneid=55555555-5555-4555-8555-555555555555\
                    &networkofferingid=cccccccc-cccc-4ccc-8ccc-cccccccccccc";
    let denied = told(snapshot, &["--account", ROSA]);
    assert!(
        denied.contains("access   reseller-list decides"),
        "{denied}"
    );
    assert!(
        denied.contains("verdict  refused: access (531)"),
        "{denied}"
    );

    let stranger = told(&small(), &[]);
    assert!(
        stranger.contains("verdict  refused: C10 (401)"),
        "{stranger}"
    );
    assert!(told("command=listZones", &[]).contains("forwarded: it cannot raise cost"));
}

#[test]
fn an_empty_wallet_refuses_and_the_price_is_told_all_the_same() {
    let folder = scratch("empty");
    let facts = std::fs::read_to_string(FACTS).unwrap();
    let path = folder.join("facts.toml");
    std::fs::write(&path, facts.replace("\"25.00\"", "\"0.05\"")).unwrap();
    let facts = path.to_str().unwrap();
    let asked = [
        "--facts",
        facts,
        "--policies",
        POLICIES,
        "--as",
        "paulas-key",
    ];
    let told = String::from_utf8(ask(&small(), &asked).stdout).unwrap();
    assert!(told.contains("hold     0.058548 EUR"), "{told}");
    assert!(told.contains("balance  0.050000 EUR"), "{told}");
    let verdict = lines(&told, "verdict ");
    assert!(
        verdict[0].starts_with("refused: money") && verdict[0].contains("(535)"),
        "{told}"
    );
}

#[test]
fn a_meter_without_a_price_is_shown_and_refused() {
    let folder = scratch("unpriced");
    let copied = Command::new("cp")
        .args(["-r", POLICIES])
        .arg(&folder)
        .status();
    assert!(copied.unwrap().success());
    let policies = folder.join("policies");
    let tariff = policies.join("tariffs/2026-01-01-standard.toml");
    let text = std::fs::read_to_string(&tariff).unwrap();
    // The line prices something else from here on, so nothing prices a network card.
    let text = text.replace("component = \"nic\"", "component = \"volume\"");
    std::fs::write(&tariff, text).unwrap();
    let policies = policies.to_str().unwrap();
    let asked = [
        "--facts",
        FACTS,
        "--policies",
        policies,
        "--as",
        "paulas-key",
    ];
    let told = String::from_utf8(ask(&small(), &asked).stdout).unwrap();
    assert!(told.contains("+ NetworkOffering (13)  no price"), "{told}");
    let verdict = lines(&told, "verdict ");
    assert!(
        verdict[0].starts_with("refused") && verdict[0].contains("NetworkOffering"),
        "{told}"
    );
}

#[test]
fn facts_may_be_answers_of_cloudstack_in_json() {
    let folder = scratch("json");
    let toml = std::fs::read_to_string(FACTS).unwrap();
    let mut rows: serde_json::Value = toml::from_str(&toml).unwrap();
    let offerings = rows
        .as_object_mut()
        .unwrap()
        .remove("serviceoffering")
        .unwrap();
    let (rest, answer) = (folder.join("rest.json"), folder.join("offerings.json"));
    std::fs::write(&rest, rows.to_string()).unwrap();
    let printed = serde_json::json!({
        "listserviceofferingsresponse": { "count": 2, "serviceoffering": offerings }
    });
    std::fs::write(&answer, printed.to_string()).unwrap();
    let (rest, answer) = (rest.to_str().unwrap(), answer.to_str().unwrap());
    let files = ["--facts", rest, "--facts", answer, "--policies", POLICIES];
    let output = ask(&small(), &[&files[..], &["--as", "paulas-key"]].concat());
    let heard = String::from_utf8(output.stdout).unwrap();
    assert!(heard.contains("hold     0.058548 EUR"), "{heard}");
    assert!(heard.contains("verdict  held and forwarded"), "{heard}");
}

#[test]
fn a_mistake_in_a_facts_file_is_named_with_its_line() {
    let folder = scratch("mistakes");
    let cases = [
        (
            "[[zone]]\nid = 1\n[[serviceofering]]\nid = \"a\"\n",
            ":3:",
            "serviceofering",
        ),
        ("[[zone]]\nname = \"x\"\n", ":1:", "has no `id`"),
        ("[[zone]\n", ":1:", "TOML"),
        (
            "[[payer]]\nid = \"prepaid-example\"\navailable = 25\n",
            ":1:",
            "not in quotes",
        ),
        (
            "[[payer]]\nid = \"prepaid-example\"\navailible = \"25\"\n",
            ":1:",
            "availible",
        ),
        (
            "[[payer]]\nid = \"nobody\"\navailable = \"25\"\n",
            "nobody",
            "do not know",
        ),
        (
            "[[account]]\nid = \"a\"\nname = \"n\"\ndomainid = \"d9\"\n",
            "d9",
            "[[domain]]",
        ),
        ("zone = 5\n", ":1:", "no list of rows"),
    ];
    for (text, place, what) in cases {
        let path = folder.join("facts.toml");
        std::fs::write(&path, text).unwrap();
        let facts = path.to_str().unwrap();
        let output = ask(
            "command=listZones",
            &["--facts", facts, "--policies", POLICIES],
        );
        let heard = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{text}");
        assert!(
            heard.contains(place) && heard.contains(what),
            "{text}\n{heard}"
        );
    }
    let missing = ask("command=listZones", &["--facts", "/nowhere/facts.toml"]);
    let heard = String::from_utf8_lossy(&missing.stderr);
    assert!(
        heard.contains("/nowhere/facts.toml cannot be read"),
        "{heard}"
    );
}
