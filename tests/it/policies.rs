//! Edge: the worked policies are free of faults, and faults are named where they stand.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::fs;
use std::path::{Path, PathBuf};

use faregate::policy::check::{PolicyFault, load, load_for};
use faregate::policy::customer::{OwnerPath, PayerChoice};
use faregate::rate::table;
use faregate::terms::ids::PayerId;
use faregate::terms::time::Timestamp;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies")
}

fn read(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

fn worked() -> Vec<(String, String)> {
    [
        "sellers",
        "customers",
        "prepaid",
        "tariffs",
        "access",
        "modes",
    ]
    .iter()
    .flat_map(|folder| read(&root().join(folder)))
    .collect()
}

/// The faults after one text in one of the worked files was replaced.
fn spoiled(file: &str, from: &str, to: &str) -> Vec<PolicyFault> {
    let mut files = worked();
    let (_, text) = files
        .iter_mut()
        .find(|(path, _)| path.ends_with(file))
        .unwrap();
    assert!(text.contains(from), "{from}");
    *text = text.replacen(from, to, 1);
    load(&files).unwrap_err()
}

#[test]
fn the_worked_policies_have_no_fault_and_cost_what_their_tables_say() {
    let rules = load(&worked()).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let (mut charges, mut verdicts) = (0, 0);
    for (path, text) in read(&root().join("tests")) {
        let told = |faults: Vec<PolicyFault>| -> usize { panic!("{faults:#?}") };
        charges += table::run(&path, &text, &rules).unwrap_or_else(told);
        verdicts += faregate::policy::table::run(&path, &text, &rules).unwrap_or_else(told);
    }
    assert!(charges >= 5 && verdicts >= 14, "{charges} {verdicts}");
}

#[test]
fn a_table_that_does_not_come_out_is_named_by_its_line() {
    let rules = load(&worked()).unwrap();
    let mut tables = read(&root().join("tests")).into_iter();
    let (path, text) = tables
        .find(|(path, _)| path.ends_with("standard.toml"))
        .unwrap();
    let text = text.replacen("vcpu = \"0.24\"", "vcpu = \"0.25\"", 1);
    let faults = table::run(&path, &text, &rules).unwrap_err();
    assert_eq!((faults.len(), faults[0].line), (1, 4));
}

const TARIFF: &str = "2026-01-01-standard.toml";
/// Where it prices what is sent.
const SENT: usize = 135;

/// File, text in it, what it becomes, the fault, its line.
const FAULTS: &[(&str, &str, &str, &str, usize)] = &[
    (
        "prepaid/standard.toml",
        "window = \"10m\"",
        "window = \"10s\"",
        "window `10s` is out of range",
        33,
    ),
    (
        "prepaid/standard.toml",
        "window = \"10m\"",
        "window_min = \"20m\"",
        "window of `standard` is shorter than window_min",
        33,
    ),
    (
        "prepaid/standard.toml",
        "window = \"10m\"",
        "window_share = \"1.1\"",
        "window_share `1.1` is out of range",
        33,
    ),
    (
        "prepaid/standard.toml",
        "window = \"10m\"",
        "estimate = \"200\"",
        "estimate `200` is out of range",
        33,
    ),
    (
        "prepaid/standard.toml",
        "window = \"10m\"",
        "estimate_floor = [{ component = \"vcpu\", per_hour = \"1\" }]",
        "`vcpu` is not one of the words known here",
        33,
    ),
    (
        TARIFF,
        "component = \"sent_gib\"",
        "component = \"sent_gib\"\nunit = \"hour\"",
        "line `traffic-sent` prices an amount by the hour",
        SENT + 1,
    ),
    (
        "house.toml",
        "\"0.19\"",
        "\"19\"",
        "rate `19` is over 100 %",
        18,
    ),
    (
        TARIFF,
        "id = \"ram\"",
        "id = \"tax\"",
        "`tax` cannot be the id of a line",
        16,
    ),
    (
        TARIFF,
        "id = \"ram\"",
        "id = \"a/b\"",
        "`a/b` cannot be the id of a line",
        16,
    ),
    (
        TARIFF,
        "\"0.0120\"",
        "\"-0.0120\"",
        "price `-0.0120` is negative",
        12,
    ),
    (TARIFF, "\"0.0120\"", "\"0,012\"", "is not a decimal", 12),
    (
        TARIFF,
        "\"0.0120\"",
        "0.012",
        "invalid type: floating point",
        12,
    ),
    (
        TARIFF,
        "currency = \"EUR\"",
        "currency = \"EUX\"",
        "currency `EUX` is not known",
        4,
    ),
    (
        TARIFF,
        "price = \"0.0120\"",
        "prize = \"0.0120\"",
        "unknown field `prize`",
        12,
    ),
    (
        TARIFF,
        "component = \"vcpu\"",
        "component = \"cpu\"",
        "`cpu` is not one of",
        11,
    ),
    (
        TARIFF,
        "id = \"ram\"",
        "id = \"vcpu\"",
        "line id `vcpu` stands twice",
        16,
    ),
    (
        TARIFF,
        "component = \"ram_gib\"",
        "component = \"vcpu\"",
        "price the same thing",
        16,
    ),
    (
        TARIFF,
        "component = \"ram_gib\"",
        "component = \"vcpu\"\nbasis = \"allocated\"",
        "while running (`vcpu`) and while allocated (`ram`)",
        16,
    ),
    (
        TARIFF,
        "Europe/Berlin",
        "Berlin",
        "time zone `Berlin` is not known",
        5,
    ),
    (
        "standard.toml",
        "\"1h\"",
        "\"11m\"",
        "is under 2 renewals and the worst delay",
        4,
    ),
    (
        "examples.toml",
        "\"domestic\"",
        "\"foreign\"",
        "has no tax profile `foreign`",
        13,
    ),
    (
        "examples.toml",
        "book = \"standard\"",
        "book = \"gold\"",
        "book `gold` is not known",
        14,
    ),
    (
        "examples.toml",
        "domain = \"11",
        "dom = \"11",
        "unknown field `dom`",
        16,
    ),
    (
        "house.toml",
        "rate = \"0.19\"",
        "rate = \"19 %\"",
        "is not a decimal",
        18,
    ),
];

#[test]
fn every_kind_of_fault_is_named_with_its_file_and_line() {
    for &(file, from, to, what, line) in FAULTS {
        let faults = spoiled(file, from, to);
        let found = faults.iter().any(|fault| {
            fault.file.ends_with(file) && fault.line == line && fault.what.contains(what)
        });
        assert!(found, "{what} at {line}: {faults:#?}");
        assert!(faults.iter().all(|fault| !fault.instead.is_empty()));
    }
}

#[test]
fn a_hole_or_an_overlap_in_the_dates_is_refused() {
    let version = |from: &str, until: &str| {
        let line = "[[line]]\nid = \"vcpu\"\ncomponent = \"vcpu\"\nprice = \"1\"\n\
                    class = \"c\"\ntext = \"t\"\n";
        let head = "[book]\nid = \"standard\"\ncurrency = \"EUR\"\n";
        format!("{head}from = {from}\n{until}\n{line}")
    };
    let case = |first: (&str, &str), second: (&str, &str)| {
        let mut files = worked();
        files.retain(|(path, _)| !path.ends_with(TARIFF));
        files.push(("a.toml".to_owned(), version(first.0, first.1)));
        files.push(("b.toml".to_owned(), version(second.0, second.1)));
        load(&files)
    };
    let until = "until = 2026-03-01";
    assert!(case(("2026-01-01", until), ("2026-03-01", "")).is_ok());
    assert!(case(("2026-01-01", ""), ("2026-03-01", "")).is_ok());
    for (from, what) in [
        ("2026-03-02", "has a hole in its dates"),
        ("2026-02-28", "overlaps `a.toml`"),
        ("2026-01-01", "overlaps"),
    ] {
        let faults = case(("2026-01-01", until), (from, "")).unwrap_err();
        assert!(
            faults.iter().any(|fault| fault.what.contains(what)),
            "{faults:#?}"
        );
    }
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let mut files = worked();
    for (_, text) in &mut files {
        *text = text
            .replace("price = \"0.0120\"", "price = \"-1\"")
            .replace("price = \"2.19\"", "price = \"two\"")
            .replace("rate = \"0.19\"", "rate = \"x\"");
    }
    let faults = load(&files).unwrap_err();
    let what: Vec<&str> = faults.iter().map(|fault| fault.what.as_str()).collect();
    let wanted = [
        "rate `x` is not a decimal",
        "price `-1` is negative",
        "price `two` is not a decimal",
    ];
    assert!(
        wanted.iter().all(|wanted| what.contains(wanted)),
        "{what:#?}"
    );
}

#[test]
fn a_tariff_for_an_unknown_offering_is_refused() {
    let mut files = worked();
    let (_, text) = files
        .iter_mut()
        .find(|(path, _)| path.contains("tariffs"))
        .unwrap();
    *text = text.replacen(
        "price = \"0.0120\"",
        "price = \"1\"\nmatch = { offering = \"o1\" }",
        1,
    );
    assert!(load_for(&files, Some(&["o1".to_owned()])).is_ok());
    let faults = load_for(&files, Some(&["o2".to_owned()])).unwrap_err();
    assert!(
        faults[0].what.contains("unknown offering `o1`"),
        "{faults:#?}"
    );
}

#[test]
fn a_reseller_buys_through_one_wallet_of_his_own_and_never_from_himself() {
    let reseller = "sellers/reseller.toml";
    let told = |from: &str, to: &str| -> Vec<(usize, String)> {
        let faults = spoiled(reseller, from, to).into_iter();
        let here = faults.filter(|fault| fault.file.ends_with(reseller));
        here.map(|fault| (fault.line, fault.what)).collect()
    };
    let wallet = "wholesale = \"reseller-example\"";
    let faults = told(wallet, "wholesale = \"nobody\"");
    let unknown = "wholesale wallet `nobody` is not a customer";
    assert_eq!(faults, [(14, unknown.to_owned())]);
    let faults = told(wallet, "wholesale = \"retail-example\"");
    let circle = "seller `reseller` sells to himself through `retail-example`";
    assert_eq!(faults, [(14, circle.to_owned())]);

    let text = fs::read_to_string(root().join(reseller)).unwrap();
    let second = text.replace("id = \"reseller\"", "id = \"second\"");
    let mut files = worked();
    files.push(("second.toml".to_owned(), second));
    let faults = load(&files).unwrap_err();
    let shared = "wholesale wallet `reseller-example` is seller `reseller`'s already";
    let here = |fault: &&PolicyFault| fault.file == "second.toml";
    let found = faults.iter().find(here).unwrap();
    assert_eq!((found.line, found.what.as_str()), (14, shared));

    // Two resellers that buy from each other, each through a wallet of his own.
    let mut files = worked();
    let customers = files
        .iter_mut()
        .find(|(path, _)| path.ends_with("customers/reseller.toml"))
        .unwrap();
    customers.1 = customers
        .1
        .replace("seller = \"house\"", "seller = \"second\"");
    let second = text
        .replace("id = \"reseller\"", "id = \"second\"")
        .replace(wallet, "wholesale = \"retail-example\"");
    files.push(("second.toml".to_owned(), second));
    let faults = load(&files).unwrap_err();
    let circles = faults
        .iter()
        .filter(|fault| fault.what.contains("sells to himself"));
    assert_eq!(circles.count(), 2, "{faults:#?}");
}

#[test]
fn a_chain_goes_up_to_the_house_and_a_reseller_pays_for_all_below_him() {
    let rules = load(&worked()).unwrap();
    let ids = |all: Vec<PayerId>| -> Vec<String> { all.iter().map(PayerId::to_string).collect() };
    let (retail, reseller) = ("retail-example", "reseller-example");
    assert_eq!(
        ids(rules.chain_of(&PayerId::from(retail))),
        [retail, reseller]
    );
    assert_eq!(ids(rules.chain_of(&PayerId::from(reseller))), [reseller]);
    let below = rules.supplied_through(&PayerId::from(reseller));
    assert_eq!(ids(below), [reseller, retail]);
    let below = rules.supplied_through(&PayerId::from(retail));
    assert_eq!(ids(below), [retail]);
}

#[test]
fn the_longest_match_pays_and_a_project_never_pays_by_an_account() {
    let base = worked();
    let mut files = base.clone();
    files.push((
        "more.toml".to_owned(),
        "[[customer]]\nid = \"team\"\nname = \"T\"\naddress = []\nseller = \"house\"\n\
         mode = \"prepaid\"\ntax = \"domestic\"\nbook = \"standard\"\n\
         owns = [{ account = \"acc\" }, { domain = \"leaf\" }]\n"
            .to_owned(),
    ));
    let rules = load(&files).unwrap();
    let top = "22222222-2222-4222-8222-222222222222";
    let project = "33333333-3333-4333-8333-333333333333";
    let june = Timestamp::from_seconds(1_781_000_000);
    let august = Timestamp::from_seconds(1_786_000_000);
    let pays = |project, account, domains: &[&str], at| {
        let owner = OwnerPath {
            project,
            account,
            domains,
        };
        match rules.payer_for(&owner, at) {
            PayerChoice::Payer(payer) => payer,
            PayerChoice::Refuse => PayerId::from("refused"),
            PayerChoice::House => PayerId::from("house"),
        }
    };
    let table = [
        (None, Some("acc"), vec!["root", top], june, "team"),
        (
            None,
            Some("other"),
            vec!["root", top],
            june,
            "postpaid-example",
        ),
        (None, Some("other"), vec!["root", top, "leaf"], june, "team"),
        (
            None,
            Some("other"),
            vec!["root", "leaf", "below"],
            june,
            "team",
        ),
        (None, Some("other"), vec!["root"], june, "refused"),
        (
            Some("p"),
            Some("acc"),
            vec!["root", top],
            june,
            "postpaid-example",
        ),
        (Some("p"), Some("acc"), vec!["root"], june, "refused"),
        (Some(project), None, vec!["root", "leaf"], june, "team"),
        (
            Some(project),
            None,
            vec!["root", "leaf"],
            august,
            "postpaid-example",
        ),
    ];
    for (project, account, domains, at, payer) in table {
        assert_eq!(
            pays(project, account, &domains, at).as_str(),
            payer,
            "{domains:?}"
        );
    }
}
