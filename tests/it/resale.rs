//! Resale, as a reseller and his customers meet it: one call, both books, all or none; a month
//! that bills him at his own prices for what his customers ran.

mod ends;

use crate::postgres::on_both;
use crate::stage::{Caller, Heard, Stage, pairs, until};
use crate::store::Folder;
use arc_swap::ArcSwap;
use faregate::bill::line::{Context, close};
use faregate::clock::Clock;
use faregate::cloudstack::usage_type::UsageType;
use faregate::cover::line::Renewals;
use faregate::gate::plan::Plan;
use faregate::gate::reserve;
use faregate::ledger::command::{Terms, TopUp};
use faregate::ledger::records::{BillingMode, Purse};
use faregate::ledger::{Command, LedgerRefusal};
use faregate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId, Owner};
use faregate::policy::check::load;
use faregate::policy::customer::RuleSet;
use faregate::rate::Planned;
use faregate::store::{IntervalChange, Store, StoreError, StoredInterval, Work};
use faregate::terms::ids::{CallId, HoldId, IntervalId, PayerId, SellerId};
use faregate::terms::money::{Currency, Micros};
use faregate::terms::quantity::UnitMicros;
use faregate::terms::time::{BillingMonth, SECOND, Timestamp};
use std::sync::Arc;

const MINUTE: i64 = 60 * SECOND;

/// A reseller with books of his own, who buys from the house as `rita`.
const SHOP: &str = r#"
[[seller]]
id = "shop"
name = "Shop Ltd"
address = ["3 Way"]
vat_id = "XX2"
currency = "EUR"
zone = "UTC"
tax_mode = "at-use"
invoice_series = "SHOP"
top_up_url = "https://shop.example/top-up"
wholesale = "rita"
[[seller.tax]]
profile = "domestic"
group = "standard"
code = "DE.20"
rate = "0.20"

[[customer]]
id = "rita"
name = "The shop as a customer"
address = ["3 Way"]
seller = "house"
mode = "prepaid"
tax = "domestic"
book = "wholesale"
"#;

/// The demo's first customer becomes the shop's: retail 0.432240 an hour and a small VM, of which
/// the shop pays 0.300240.
fn resold(name: &str) -> Stage {
    resold_with(name, ["", ""])
}

/// The same, with more said of a vCPU in the retail book and in the wholesale book.
fn resold_with(name: &str, [retail, wholesale]: [&str; 2]) -> Stage {
    let mut stage = Stage::start(name, &[]);
    stage.kill_gate();
    let policies = stage.folder.join("policies");
    let path = policies.join("customers/demo.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let blocks = text.split("[[customer]]").map(|block| {
        if !block.contains("prepaid-paula") {
            return block.to_owned();
        }
        let block = block.replace("id = \"prepaid-paula\"", "id = \"carol\"");
        block.replace("seller = \"house\"", "seller = \"shop\"")
    });
    let text = blocks.collect::<Vec<_>>().join("[[customer]]");
    assert!(text.contains("\"carol\"") && text.contains("\"shop\""));
    std::fs::write(&path, text).unwrap();
    let tariff = policies.join("tariffs/2020-01-01-demo.toml");
    let book = std::fs::read_to_string(&tariff).unwrap();
    let vcpu = "price = \"0.20\"";
    let more = book.replace(vcpu, &format!("{vcpu}\n{retail}"));
    std::fs::write(&tariff, more).unwrap();
    let book = book.replace("id = \"demo\"", "id = \"wholesale\"");
    let book = book.replace(vcpu, &format!("price = \"0.15\"\n{wholesale}"));
    let book = book.replace("price = \"0.16\"", "price = \"0.10\"");
    std::fs::write(policies.join("tariffs/wholesale.toml"), book).unwrap();
    stage.with_policy("shop.toml", SHOP);
    stage
}

/// Available, held and accrued of a payer, as the books print them.
fn money(stage: &Stage, payer: &str) -> [String; 3] {
    let told = stage.faregate(&["ledger", "balances", "--config", &stage.config()]);
    let mut lines = told.lines();
    let line = lines.find(|line| line.split("  ").next() == Some(payer));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    [words[2], words[4], words[6]].map(str::to_owned)
}

fn sum(of: &[String; 3]) -> i64 {
    let micros = |text: &String| text.parse::<rust_decimal::Decimal>().unwrap() * million();
    let all = of.iter().map(micros).sum::<rust_decimal::Decimal>();
    all.try_into().unwrap()
}

fn million() -> rust_decimal::Decimal {
    rust_decimal::Decimal::from(1_000_000)
}

fn holds(stage: &Stage, payer: &str) -> usize {
    let config = stage.config();
    let told = ["ledger", "transfers", "--config", &config, "--payer", payer];
    let told = stage.faregate(&told);
    told.lines().filter(|row| row.contains("  hold ")).count()
}

fn deploy(caller: &Caller, vm: &[(String, String)]) -> Heard {
    caller.deploy(vm).unwrap()
}

fn destroy(caller: &Caller, vm: &str) {
    let gone = [("id", vm), ("expunge", "true")];
    let heard = caller.call("destroyVirtualMachine", &gone).unwrap();
    let job = heard.inside()["jobid"].as_str().unwrap().to_owned();
    assert_eq!(caller.job_end(&job), 1);
}

#[test]
fn a_child_of_a_reseller_holds_in_both_books_or_in_none() {
    let stage = resold("resale");
    let (carol, vm) = (stage.customer(0), stage.small_vm(0));
    stage.top_up("carol", "0.90", "C-1");
    stage.top_up("rita", "0.70", "R-1");

    // A question beforehand tells the child her own figures and takes nothing.
    let dry = "X-Faregate-Estimate: 1\r\n";
    let heard = carol.call_with(dry, "json", "deployVirtualMachine", &pairs(&vm));
    let told = heard.unwrap();
    let estimate = told.inside()["estimate"].clone();
    assert_eq!(estimate["allowed"], true, "{estimate}");
    assert_eq!(estimate["hold"], "0.432240", "{estimate}");
    assert!(!told.body.contains("0.300240") && !told.body.contains("rita"));
    assert_eq!((holds(&stage, "carol"), holds(&stage, "rita")), (0, 0));

    let heard = deploy(&carol, &vm);
    assert_eq!(heard.status, 200, "{heard:?}");
    assert!(!format!("{heard:?}").contains("0.300240"), "{heard:?}");
    assert_eq!((holds(&stage, "carol"), holds(&stage, "rita")), (1, 1));
    let made = heard.inside();
    assert_eq!(carol.job_end(made["jobid"].as_str().unwrap()), 1);
    // What runs is covered for the next hour in both wallets, each at its own prices.
    until("both covers stand", || {
        money(&stage, "carol")[1] == "0.432240" && money(&stage, "rita")[1] == "0.300240"
    });
    assert_eq!(sum(&money(&stage, "carol")), 900_000);
    assert_eq!(sum(&money(&stage, "rita")), 700_000);

    // The child's own wallet does not carry a second one after a third: she is told of hers.
    assert_eq!(deploy(&carol, &vm).status, 200);
    let before = (holds(&stage, "carol"), holds(&stage, "rita"));
    let heard = deploy(&carol, &vm);
    assert_eq!(heard.status, 535, "{heard:?}");
    assert!(
        heard.body.contains("https://shop.example/top-up"),
        "{heard:?}"
    );
    assert_eq!((holds(&stage, "carol"), holds(&stage, "rita")), before);

    // What ends lets go of both covers with one renewal.
    until("both run", || stage.machines("Running").len() == 2);
    for vm in stage.machines("Running") {
        destroy(&carol, &vm);
    }
    until("both covers are let go", || {
        money(&stage, "carol")[1] == "0.000000" && money(&stage, "rita")[1] == "0.000000"
    });
    let (retail, wholesale) = (money(&stage, "carol"), money(&stage, "rita"));
    let accrued = |of: &[String; 3]| of[2].parse::<rust_decimal::Decimal>().unwrap();
    assert!(accrued(&wholesale) > 0.into() && accrued(&wholesale) < accrued(&retail));
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(!told.contains("fault"), "{told}");
}

#[test]
fn an_empty_wholesale_wallet_refuses_without_naming_a_balance() {
    let stage = resold("resale-empty");
    let (carol, vm) = (stage.customer(0), stage.small_vm(0));
    stage.top_up("carol", "10.00", "C-1");
    stage.top_up("rita", "0.30", "R-1");
    let (retail, wholesale) = (money(&stage, "carol"), money(&stage, "rita"));
    let heard = deploy(&carol, &vm);
    assert_eq!(heard.status, 535, "{heard:?}");
    let text = heard.inside()["errortext"].as_str().unwrap().to_owned();
    let expected = "your provider cannot start more at the moment; nothing was started, ask your \
                    provider";
    assert_eq!(text, expected);
    assert!(!format!("{heard:?}").contains("rita"), "{heard:?}");
    // Neither leg is taken, and nothing was made.
    assert_eq!((holds(&stage, "carol"), holds(&stage, "rita")), (0, 0));
    assert_eq!(money(&stage, "carol"), retail);
    assert_eq!(money(&stage, "rita"), wholesale);
    assert_eq!(stage.machines("Running"), Vec::<String>::new());

    // Who asks beforehand is told the same.
    let dry = "X-Faregate-Estimate: 1\r\n";
    let heard = carol.call_with(dry, "json", "deployVirtualMachine", &pairs(&vm));
    let told = heard.unwrap().inside()["estimate"].clone();
    assert_eq!(told["refusedby"], "money.wholesale", "{told}");
    assert_eq!(told["reason"], expected);

    // With a cent more it passes: the wallet was all that was in the way.
    stage.top_up("rita", "0.01", "R-2");
    let heard = deploy(&carol, &vm);
    assert_eq!(heard.status, 200, "{heard:?}");
}

#[test]
fn a_one_off_price_falls_due_once_in_each_book_also_after_the_gates_death() {
    let set_up = ["one_off = \"0.10\"", "one_off = \"0.05\""];
    let mut stage = resold_with("resale-once", set_up);
    stage.top_up("carol", "10.00", "C-1");
    stage.top_up("rita", "10.00", "R-1");
    let vm = stage.small_vm(0);
    let one_offs = |stage: &Stage, payer: &str| -> Vec<String> {
        let config = stage.config();
        let told = ["ledger", "transfers", "--config", &config, "--payer", payer];
        let told = stage.faregate(&told);
        let rows = told.lines().map(|row| row.split_whitespace().collect());
        let rows = rows.filter(|row: &Vec<&str>| row[2] == "one-off");
        rows.map(|row| row[3].to_owned()).collect()
    };
    let heard = deploy(&stage.customer(0), &vm);
    assert_eq!(heard.status, 200, "{heard:?}");
    // Its job may be done by now, or the next start takes it up from its intent.
    stage.kill_gate();
    stage.start_again();
    until("both one-off prices are due", || {
        one_offs(&stage, "carol") == ["0.120000"] && one_offs(&stage, "rita") == ["0.060000"]
    });
    until("both covers stand", || {
        money(&stage, "carol")[1] == "0.432240" && money(&stage, "rita")[1] == "0.300240"
    });
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(!told.contains("fault"), "{told}");
}

fn rules() -> RuleSet {
    let files = [
        ("common.toml", include_str!("stories/common.toml")),
        ("flat.toml", include_str!("stories/flat.toml")),
        ("wholesale.toml", include_str!("stories/wholesale.toml")),
        ("resale.toml", include_str!("stories/resale.toml")),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    load(&files).unwrap()
}

fn november() -> BillingMonth {
    BillingMonth::parse("2026-11", "UTC").unwrap()
}

/// The tenth day of November, and minutes from then.
fn at(minutes: i64) -> Timestamp {
    let start = november().period().unwrap().start;
    start.plus(9 * 24 * 60 * MINUTE).plus(minutes * MINUTE)
}

fn payer(name: &str) -> PayerId {
    PayerId::from(name)
}

fn ran(usage_type: UsageType, number: u128, end: Option<Timestamp>) -> IntervalChange {
    let border = |at| Border {
        at,
        source: BorderSource::Printed,
    };
    IntervalChange::Replace(StoredInterval {
        id: IntervalId::from_bits(number),
        payer: Some(payer("carol")),
        hold: Some(HoldId::from_bits(1)),
        interval: Interval {
            meter: MeterId {
                usage_type,
                resource: "vm-1".into(),
                part: String::new(),
            },
            owner: Owner {
                account: Some("acc".into()),
                account_name: Some("carol".to_owned()),
                domain: "dom".into(),
                project: None,
            },
            attributes: Attributes::default(),
            start: border(at(0)),
            end: end.map(border),
        },
    })
}

fn machine(end: Option<Timestamp>) -> Vec<IntervalChange> {
    vec![
        ran(UsageType::AllocatedVm, 1, end),
        ran(UsageType::RunningVm, 2, end),
    ]
}

/// The hold of one more machine: a leg of each book, as the gate makes it.
fn hold(rules: &RuleSet, number: u128, now: Timestamp) -> Command {
    let started = |usage_type| Planned {
        usage_type,
        attributes: Attributes::default(),
    };
    let plan = Plan {
        after: vec![
            started(UsageType::AllocatedVm),
            started(UsageType::RunningVm),
        ],
        ..Plan::default()
    };
    let chain = rules.chain_of(&payer("carol")).into_iter();
    let legs = chain.map(|payer| {
        let price = reserve::price(rules, &payer, &plan, |_| UnitMicros::default(), now).unwrap();
        reserve::leg(&price, &payer, Micros::ZERO).unwrap()
    });
    Command::Hold {
        hold: HoldId::from_bits(number),
        call: CallId::from_bits(number),
        legs: legs.collect(),
        at: now,
    }
}

async fn opened(store: &Store) {
    for (name, seller) in [("rita", "house"), ("carol", "reseller")] {
        let open = Command::OpenPayer {
            payer: payer(name),
            seller: SellerId::from(seller),
            currency: Currency::EUR,
            terms: Terms {
                mode: BillingMode::Prepaid,
                credit_line: Micros::ZERO,
            },
            at: at(0),
        };
        let money = Command::TopUp(TopUp {
            id: name.to_owned(),
            payer: payer(name),
            amount: Micros::new(1_000_000),
            provider: "card".to_owned(),
            tax: None,
            paper: None,
            reference: None,
            at: at(0),
        });
        for command in [open, money] {
            store.submit(Work::of(command)).await.unwrap();
        }
    }
}

/// Available, held and accrued, in millionths.
async fn stands(store: &Store, name: &str) -> [i64; 3] {
    let state = store.payer(&payer(name)).await.unwrap().unwrap();
    [Purse::Available, Purse::Held, Purse::Accrued].map(|purse| state.purse(purse).get())
}

on_both! {
async fn a_resellers_month_bills_his_children_at_wholesale(place) {
    let store = place.open().await;
    let clock = Clock::simulated(at(0));
    let rules = Arc::new(ArcSwap::from_pointee(rules()));
    let renewals = Arc::new(Renewals::new(store.clone(), rules.clone(), clock.clone()));
    opened(&store).await;
    let both = async || (stands(&store, "carol").await, stands(&store, "rita").await);

    store.submit(Work::of(hold(&rules.load(), 1, at(0)))).await.unwrap();
    let deployed = ([568_000, 432_000, 0], [700_000, 300_000, 0]);
    assert_eq!(both().await, deployed);
    let settle = Command::Settle { hold: HoldId::from_bits(1), one_off: vec![], at: at(0) };
    let work = Work { intervals: machine(None), ..Work::of(settle) };
    store.submit(work).await.unwrap();
    assert_eq!(both().await, deployed);

    // The child's renewal is the reseller's too, in one transaction.
    clock.set(at(5));
    renewals.catch_up(&payer("carol")).await.unwrap();
    assert_eq!(both().await, ([532_000, 432_000, 36_000], [675_000, 300_000, 25_000]));
    // His own in between accrues what his children ran, and hers finds it done.
    clock.set(at(7));
    renewals.catch_up(&payer("rita")).await.unwrap();
    assert_eq!(stands(&store, "rita").await, [665_000, 300_000, 35_000]);
    for minutes in (10..60).step_by(5) {
        clock.set(at(minutes));
        renewals.catch_up(&payer("carol")).await.unwrap();
    }
    clock.set(at(60));
    let ended = Work { intervals: machine(Some(at(60))), ..Work::default() };
    store.submit(ended).await.unwrap();
    renewals.catch_up(&payer("carol")).await.unwrap();
    assert_eq!(both().await, ([568_000, 0, 432_000], [700_000, 0, 300_000]));

    clock.set(november().period().unwrap().end.plus(60 * MINUTE));
    let folder = Folder::fresh("resale-month");
    let context = Context {
        store: store.clone(),
        rules,
        renewals,
        service: None,
        clock,
        invoices: folder.0.clone(),
    };
    let report = close(&context, &november()).await.unwrap();
    assert_eq!(report.parked, []);
    let issued: Vec<&str> = report.issued.iter().map(|(payer, _)| payer.as_str()).collect();
    assert_eq!(issued, ["carol", "rita"]);
    assert_eq!(both().await, ([570_000, 0, 0], [700_000, 0, 0]));
    let printed = |name: &str| {
        let text = std::fs::read_to_string(folder.0.join(name)).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        ["net", "tax", "total"].map(|field| json[field].as_str().unwrap().to_owned())
    };
    assert_eq!(printed("reseller/R-00001.json"), ["0.36", "0.07", "0.43"]);
    assert_eq!(printed("house/H-00001.json"), ["0.25", "0.05", "0.30"]);
    let again = close(&context, &november()).await.unwrap();
    assert_eq!(again.issued, []);

    // A wholesale wallet that does not carry a machine refuses both legs.
    let drain = Command::Hold {
        hold: HoldId::from_bits(2),
        call: CallId::from_bits(2),
        legs: vec![faregate::ledger::command::HoldLeg {
            payer: payer("rita"),
            wallet: Micros::new(400_001),
            promo: Micros::ZERO,
            one_off: Micros::ZERO,
            caps: Vec::new(),
        }],
        at: context.clock.billing(),
    };
    store.submit(Work::of(drain)).await.unwrap();
    let one_more = hold(&context.rules.load(), 3, context.clock.billing());
    let refused = store.submit(Work::of(one_more)).await.unwrap_err();
    let StoreError::Refused(LedgerRefusal::NotEnough { payer: short, short_by, .. }) = refused
    else {
        panic!("{refused}")
    };
    assert_eq!((short, short_by), (payer("rita"), Micros::new(1)));
    assert_eq!(stands(&store, "carol").await, [570_000, 0, 0]);
    assert_eq!(store.verify().await.unwrap().faults, []);
}
}
