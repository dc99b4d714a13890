//! Edge: the worked examples of the books as stories: each row is a step and what the payer has
//! afterwards, `available held accrued`, to the millionth. The stories are in `stories/`.
//!
//! Every step goes the product's way: policy files → `rate` → `cover` or `bill` → the ledger's
//! `decide`. After every step the books are verified.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod teller;

use std::fs;

use faregate::cloudstack::usage_type::UsageType;
use faregate::cover::forecast::forecast;
use faregate::ledger::LedgerRefusal;
use faregate::ledger::command::{Command, PromoGrant};
use faregate::ledger::records::{HoldStatus, Purse};
use faregate::terms::ids::PayerId;
use faregate::terms::money::Micros;
use teller::{Story, amount, folder, instant, t0};

impl Story {
    fn step(&mut self, words: &[&str]) {
        let Some((verb, rest)) = words.split_first() else {
            return;
        };
        let payer = PayerId::from(rest[0]);
        match (*verb, &rest[1..]) {
            ("top-up", [money]) => self.top_up(&payer, amount(money), None),
            ("top-up", [money, "tax", tax]) => {
                self.top_up(&payer, amount(money), Some(amount(tax)));
            }
            ("promo", [money]) => self.apply(&Command::PromoGrant(PromoGrant {
                id: "gift".to_owned(),
                payer,
                amount: amount(money),
                expires: None,
                reason: "welcome".to_owned(),
                at: t0(),
            })),
            ("deploy", [vm, "at", at]) => self.hold(&payer, vm, instant(at)).unwrap(),
            ("refused", [vm, "at", at, "short", short]) => {
                let refusal = self.hold(&payer, vm, instant(at)).unwrap_err();
                let (LedgerRefusal::NotEnough { short_by, .. }
                | LedgerRefusal::CoverShort { short_by, .. }) = refusal
                else {
                    panic!("{refusal}");
                };
                assert_eq!(short_by, amount(short));
            }
            ("runs", [vm, "at", at]) => {
                let kinds = [UsageType::AllocatedVm, UsageType::RunningVm];
                self.settle(&payer, vm, &kinds, instant(at));
            }
            ("stays", [vm, "at", at]) => {
                self.settle(&payer, vm, &[UsageType::AllocatedVm], instant(at));
            }
            ("nothing", [vm, "at", at]) => self.apply(&Command::GiveBack {
                one_off: vec![],
                hold: self.holds[*vm],
                at: instant(at),
            }),
            ("renew", ["at", at]) => self.renew(&payer, instant(at)),
            ("renew", ["every", every, "from", from, "to", to]) => {
                let minutes = |text: &str| text.parse::<usize>().unwrap();
                for at in (minutes(from)..=minutes(to)).step_by(minutes(every)) {
                    self.renew(&payer, instant(&at.to_string()));
                }
            }
            ("destroy", [vms, "at", at]) => self.destroy(&payer, vms, instant(at)),
            ("invoice", ["at", at]) => self.invoice(&payer, instant(at)),
            ("invoice-again", ["at", at]) => assert_eq!(self.draft(&payer, instant(at)), None),
            ("credit", [line, share, "at", at]) => self.credit(&payer, line, share, instant(at)),
            ("refund", [net, "tax", tax, "at", at]) => {
                self.refund(&payer, amount(net), Some(amount(tax)), instant(at));
            }
            ("drain", [money]) => self.refund(&payer, amount(money), None, t0()),
            ("paid", [money, "at", at]) => self.paid(&payer, amount(money), instant(at)),
            _ => self.fact(verb, &payer, &rest[1..]),
        }
    }

    /// Steps that only look.
    fn fact(&self, verb: &str, payer: &PayerId, rest: &[&str]) {
        match (verb, rest) {
            ("check", []) => {}
            ("owes", [owes]) => {
                assert_eq!(self.state(payer).owes().unwrap(), amount(owes));
                let items = self.books.items.values();
                let open = items
                    .filter(|item| item.payer == *payer)
                    .map(|item| item.open);
                assert_eq!(Micros::sum(open).unwrap(), amount(owes));
            }
            ("closed", []) => assert!(self.state(payer).cover_short().unwrap() > Micros::ZERO),
            ("lasts", [seconds]) => {
                let at = self.state(payer).accrued_through;
                let burn = self.renewal(payer, at).burn_per_hour;
                let lasts = forecast(self.state(payer), burn).unwrap().cover_lasts;
                assert_eq!(lasts, Some(amount(seconds).get()));
            }
            ("document", ["at", at, facts @ ..]) => {
                let draft = self.draft(payer, instant(at)).unwrap();
                let has = [
                    ("net", draft.net),
                    ("allowance", draft.allowance),
                    ("tax", draft.tax),
                    ("total", draft.total),
                ];
                for pair in facts.chunks(2) {
                    let (_, figure) = has.iter().find(|(name, _)| *name == pair[0]).unwrap();
                    assert_eq!(*figure, amount(pair[1]), "{}", pair[0]);
                }
            }
            ("books", [account, sum]) => {
                let wanted = i128::from(amount(sum).get());
                assert_eq!(
                    self.seller_balance(payer.as_str(), account),
                    wanted,
                    "{account}"
                );
            }
            _ => panic!("not a step: {verb} {payer} {rest:?}"),
        }
    }

    fn compare(&self, payer: &str, columns: &str, place: &str) {
        let state = self.state(&PayerId::from(payer));
        let (wallet, gift) = columns.split_once("gift").unwrap_or((columns, ""));
        let check = |texts: &str, purses: [Purse; 3]| {
            let wanted: Vec<Micros> = texts.split_whitespace().map(amount).collect();
            let found = purses.map(|purse| state.purse(purse));
            assert_eq!(wanted, found, "{place}");
        };
        check(wallet, [Purse::Available, Purse::Held, Purse::Accrued]);
        if !gift.is_empty() {
            let purses = [Purse::PromoAvailable, Purse::PromoHeld, Purse::PromoAccrued];
            check(gift, purses);
        }
    }

    fn verify(&self, place: &str) {
        let legs = self.books.holds.values().flatten();
        let open: Vec<_> = legs
            .filter(|leg| leg.status == HoldStatus::Open)
            .cloned()
            .collect();
        let items: Vec<_> = self.books.items.values().cloned().collect();
        let faults = self.sums.faults(&self.books.payers, &open, &items);
        assert!(faults.is_empty(), "{place}: {faults:#?}");
    }
}

fn play(name: &str) {
    let text = fs::read_to_string(folder().join(format!("{name}.story"))).unwrap();
    let mut story = None;
    for (at, row) in text.lines().enumerate() {
        let row = row.trim();
        let place = format!("{name}.story:{}: {row}", at + 1);
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        if let Some(files) = row.strip_prefix("files:") {
            let files: Vec<&str> = files.split_whitespace().collect();
            story = Some(Story::open(&files));
            continue;
        }
        let story = story.as_mut().expect("a story starts with its files");
        let (step, columns) = row.split_once('|').unwrap_or((row, ""));
        let words: Vec<&str> = step.split_whitespace().collect();
        println!("{place}");
        story.step(&words);
        if !columns.is_empty() {
            story.compare(words[1], columns.trim(), &place);
        }
        story.verify(&place);
    }
    assert!(story.is_some(), "{name} has no steps");
}

macro_rules! stories {
    ($($test:ident = $file:literal;)*) => {
        const TOLD: &[&str] = &[$($file),*];
        $(
            #[test]
            fn $test() {
                play($file);
            }
        )*
    };
}

stories! {
    two_machines_and_money_for_two = "two-machines-and-money-for-two";
    resale_takes_both_legs_or_none = "resale-takes-both-legs-or-none";
    gift_credit_is_spent_first = "gift-credit-is-spent-first";
    a_cheaper_tier_is_crossed_by_the_second_of_two_deploys =
        "a-cheaper-tier-is-crossed-by-the-second-of-two-deploys";
    a_failed_job_that_leaves_the_machine_keeps_charging =
        "a-failed-job-that-leaves-the-machine-keeps-charging";
    a_postpaid_month_and_its_payment = "a-postpaid-month-and-its-payment";
    destroyed_one_second_before_a_renewal = "destroyed-one-second-before-a-renewal";
    a_price_raised_mid_hour = "a-price-raised-mid-hour";
    a_set_up_price_falls_due_with_a_job_that_succeeds =
        "a-set-up-price-falls-due-with-a-job-that-succeeds";
    half_a_line_is_credited = "half-a-line-is-credited";
    tax_at_top_up_and_a_refund_of_the_rest = "tax-at-top-up-and-a-refund-of-the-rest";
}

#[test]
fn every_story_in_the_folder_is_told() {
    let mut found: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "story"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    let mut told = TOLD.to_vec();
    told.sort_unstable();
    assert_eq!(found, told);
}
