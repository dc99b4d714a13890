//! Edge: the worked examples of the books as stories: each row is a step and what the payer has
//! afterwards, `available held accrued`, to the millionth. The stories are in `stories/`.
//!
//! Every step goes the product's way: policy files → `rate` → `cover` or `bill` → the ledger's
//! `decide`. After every step the books are verified.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use faregate::bill::credit_note::credit;
use faregate::bill::invoice::{Draft, Due, Invoiced, draft, gathered};
use faregate::cloudstack::usage_type::UsageType;
use faregate::cover::cover::{Pricing, Renewal, after_promo, renew};
use faregate::cover::forecast::forecast;
use faregate::ledger::command::{
    BankReceipt, Command, HoldLeg, LineAmount, Paper, Payout, ReceiptStep, Refund, TaxAmount,
    Terms, TopUp,
};
use faregate::ledger::records::{Account, BillingMode, HoldStatus, PayerState, Purse};
use faregate::ledger::verify::Sums;
use faregate::ledger::{LedgerRefusal, Loaded, decide};
use faregate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId, Owner};
use faregate::policy::check::load;
use faregate::policy::customer::{PayMode, PayerTerms, RuleSet, TaxMode};
use faregate::rate::{self, OneOff, Planned, hold_price};
use faregate::terms::ids::{CallId, CsDomainId, DocumentId, HoldId, PayerId, ResourceId};
use faregate::terms::money::Micros;
use faregate::terms::time::{BillingMonth, SECOND, Timestamp};
use rust_decimal::Decimal;

struct Story {
    rules: RuleSet,
    books: Loaded,
    sums: Sums,
    intervals: BTreeMap<PayerId, Vec<Interval>>,
    holds: BTreeMap<String, HoldId>,
    invoices: BTreeMap<PayerId, (DocumentId, Draft)>,
    invoiced: BTreeMap<PayerId, Vec<Invoiced>>,
    once: BTreeMap<(PayerId, String), Vec<OneOff>>,
    fell_due: BTreeMap<PayerId, Vec<OneOff>>,
    next: u128,
}

/// t0 of every story.
fn t0() -> Timestamp {
    Timestamp::from_seconds(1_794_312_000) // 2026-11-10T12:00:00Z
}

/// `20` is minutes after t0, `4:59` minutes and seconds.
fn instant(text: &str) -> Timestamp {
    let (minutes, seconds) = text.split_once(':').unwrap_or((text, "0"));
    let minutes: i64 = minutes.parse().unwrap();
    let seconds: i64 = seconds.parse().unwrap();
    t0().plus((minutes * 60 + seconds) * SECOND)
}

fn month() -> BillingMonth {
    BillingMonth::containing(t0(), "UTC").unwrap()
}

fn amount(text: &str) -> Micros {
    text.parse().unwrap()
}

fn interval(kind: UsageType, vm: &str, at: Timestamp) -> Interval {
    Interval {
        meter: MeterId {
            usage_type: kind,
            resource: ResourceId::from(vm),
            part: String::new(),
        },
        owner: Owner {
            account: None,
            account_name: None,
            domain: CsDomainId::from("d"),
            project: None,
        },
        attributes: Attributes::default(),
        start: Border {
            at,
            source: BorderSource::Printed,
        },
        end: None,
    }
}

impl Story {
    fn open(files: &[&str]) -> Self {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|name| {
                (
                    (*name).to_owned(),
                    fs::read_to_string(folder().join(name)).unwrap(),
                )
            })
            .collect();
        let rules = load(&files).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let mut story = Self {
            rules,
            books: Loaded::default(),
            sums: Sums::default(),
            intervals: BTreeMap::new(),
            holds: BTreeMap::new(),
            invoices: BTreeMap::new(),
            invoiced: BTreeMap::new(),
            once: BTreeMap::new(),
            fell_due: BTreeMap::new(),
            next: 0,
        };
        for customer in story.rules.customers.clone().into_values() {
            let mode = match customer.mode {
                PayMode::Prepaid => BillingMode::Prepaid,
                PayMode::Postpaid => BillingMode::Postpaid,
            };
            story.apply(&Command::OpenPayer {
                payer: customer.id,
                seller: customer.seller,
                currency: customer.currency,
                terms: Terms {
                    mode,
                    credit_line: customer.credit_line,
                },
                at: t0(),
            });
        }
        story
    }

    fn try_apply(&mut self, command: &Command) -> Result<(), LedgerRefusal> {
        let effects = decide(command, &self.books)?;
        effects.transfers.iter().for_each(|row| self.sums.take(row));
        self.books.absorb(&effects);
        let again = decide(command, &self.books).unwrap();
        assert!(again.already_done, "{command:?} applied twice");
        Ok(())
    }

    fn apply(&mut self, command: &Command) {
        if let Err(refusal) = self.try_apply(command) {
            panic!("{command:?}: {refusal}");
        }
    }

    fn state(&self, payer: &PayerId) -> &PayerState {
        &self.books.payers[payer]
    }

    fn terms(&self, payer: &PayerId) -> PayerTerms {
        self.rules.terms_of(payer).unwrap()
    }

    fn number(&mut self) -> u128 {
        self.next += 1;
        self.next
    }

    fn hold(&mut self, payer: &PayerId, vm: &str, at: Timestamp) -> Result<(), LedgerRefusal> {
        let planned = [UsageType::AllocatedVm, UsageType::RunningVm].map(|usage_type| Planned {
            usage_type,
            attributes: Attributes::default(),
        });
        let mut legs = Vec::new();
        for payer in self.rules.chain_of(payer) {
            let book = self.rules.book_of(&payer).unwrap();
            let terms = self.terms(&payer);
            let runs = self.intervals.get(&payer).map_or(&[][..], Vec::as_slice);
            let so_far = rate::month(book, &terms, month().period().unwrap(), runs, at).unwrap();
            let horizon = self.rules.profile_of(&payer).unwrap().horizon;
            let so_far = |line: &_| so_far.quantity_of(line);
            let price = hold_price(book, &terms, &planned, so_far, at, horizon).unwrap();
            assert!(price.unpriced.is_empty());
            let gift = self.state(&payer).purse(Purse::PromoAvailable);
            let (wallet, promo) = after_promo(&price.groups, gift).unwrap();
            self.once
                .insert((payer.clone(), vm.to_owned()), price.one_offs);
            legs.push(HoldLeg {
                payer,
                wallet: wallet.plus(price.one_off).unwrap(),
                promo,
                one_off: price.one_off,
            });
        }
        let hold = HoldId::from_bits(self.number());
        self.try_apply(&Command::Hold {
            hold,
            call: CallId::from_bits(hold.bits()),
            legs,
            at,
        })?;
        self.holds.insert(vm.to_owned(), hold);
        Ok(())
    }

    fn settle(&mut self, payer: &PayerId, vm: &str, kinds: &[UsageType], at: Timestamp) {
        let mut one_off = Vec::new();
        for payer in self.rules.chain_of(payer) {
            // A job that failed owes no one-off price.
            let due = self.once.remove(&(payer.clone(), vm.to_owned())).unwrap();
            if kinds.contains(&UsageType::RunningVm) {
                one_off.extend(due.iter().map(|one| LineAmount {
                    payer: payer.clone(),
                    line: one.line.clone(),
                    month: month(),
                    tax_group: one.due.tax_group.clone(),
                    amount: one.due.gross().unwrap(),
                }));
                self.fell_due.entry(payer).or_default().extend(due);
            }
        }
        self.apply(&Command::Settle {
            hold: self.holds[vm],
            one_off,
            at,
        });
        for payer in self.rules.chain_of(payer) {
            let open = kinds.iter().map(|kind| interval(*kind, vm, at));
            self.intervals.entry(payer).or_default().extend(open);
        }
    }

    fn renewal(&self, payer: &PayerId, at: Timestamp) -> Renewal {
        let terms = self.terms(payer);
        let pricing = Pricing {
            book: self.rules.book_of(payer).unwrap(),
            terms: &terms,
            profile: self.rules.profile_of(payer).unwrap(),
        };
        let rows = self.books.accruals.values();
        let rows: Vec<_> = rows.filter(|row| row.payer == *payer).cloned().collect();
        let runs = self.intervals.get(payer).map_or(&[][..], Vec::as_slice);
        renew(pricing, self.state(payer), &rows, runs, at).unwrap()
    }

    fn renew(&mut self, payer: &PayerId, at: Timestamp) {
        let chain = self.rules.chain_of(payer);
        let all = chain.iter().map(|payer| self.renewal(payer, at).command);
        let command = Command::RenewAll(all.collect());
        self.apply(&command);
    }

    fn destroy(&mut self, payer: &PayerId, vms: &str, at: Timestamp) {
        for payer in self.rules.chain_of(payer) {
            for open in self.intervals.entry(payer).or_default() {
                if open.end.is_none() && vms.split(',').any(|vm| vm == open.meter.resource.as_str())
                {
                    open.end = Some(Border {
                        at,
                        source: BorderSource::FirstAnswer,
                    });
                }
            }
        }
        self.renew(payer, at);
    }

    /// The document as it would be now.
    fn draft(&self, payer: &PayerId, at: Timestamp) -> Option<Draft> {
        let customer = &self.rules.customers[payer];
        let book = self.rules.book_of(payer).unwrap();
        let runs = self.intervals.get(payer).map_or(&[][..], Vec::as_slice);
        let terms = self.terms(payer);
        let totals = rate::month(book, &terms, month().period().unwrap(), runs, at).unwrap();
        let lines = totals.lines.iter().map(|line| Due::of(line, &month()));
        let once = self.fell_due.get(payer).into_iter().flatten();
        let due = lines.chain(once.map(|one| Due::once(one, &month())));
        let due = gathered(due.collect()).unwrap();
        let rows = self
            .books
            .accruals
            .values()
            .filter(|row| row.payer == *payer);
        let promo: Vec<(String, Micros)> = rows
            .map(|row| {
                let left = row.promo_total.minus(row.promo_invoiced).unwrap();
                (row.tax_group.clone(), left)
            })
            .collect();
        let already = self.invoiced.get(payer).map_or(&[][..], Vec::as_slice);
        draft(customer.currency, terms.tax_mode, &due, &promo, already).unwrap()
    }

    fn paper(&mut self) -> Paper {
        Paper {
            id: DocumentId::from_bits(self.number()),
            series: "2026".to_owned(),
            body: String::new(),
        }
    }

    fn invoice(&mut self, payer: &PayerId, at: Timestamp) {
        let draft = self.draft(payer, at).unwrap();
        let paper = self.paper();
        let id = paper.id;
        let issue = draft.issue(payer, paper, at, at).unwrap();
        self.apply(&Command::Issue(issue));
        self.invoiced
            .entry(payer.clone())
            .or_default()
            .extend(draft.invoiced());
        self.invoices.insert(payer.clone(), (id, draft));
    }

    fn credit(&mut self, payer: &PayerId, line: &str, share: &str, at: Timestamp) {
        let (id, draft) = self.invoices[payer].clone();
        let share: Decimal = share.parse().unwrap();
        let note = credit(&draft, &[(line.into(), share)]).unwrap();
        let paper = self.paper();
        let command = note.command(payer, paper, id, at);
        self.apply(&Command::CreditNote(command));
    }

    fn top_up(&mut self, payer: &PayerId, money: Micros, tax: Option<Micros>) {
        let id = self.number().to_string();
        let terms = self.terms(payer);
        assert_eq!(tax.is_some(), terms.tax_mode == TaxMode::AtTopUp);
        let paper = tax.map(|_| self.paper());
        self.apply(&Command::TopUp(TopUp {
            id,
            payer: payer.clone(),
            amount: money,
            provider: "card".to_owned(),
            tax: tax.map(|amount| TaxAmount {
                tax: "XX.20".to_owned(),
                amount,
            }),
            paper,
            reference: None,
            at: t0(),
        }));
    }

    fn refund(&mut self, payer: &PayerId, net: Micros, tax: Option<Micros>, at: Timestamp) {
        let id = self.number().to_string();
        self.apply(&Command::Refund(Refund {
            id,
            payer: payer.clone(),
            amount: net,
            tax: tax.map(|amount| TaxAmount {
                tax: "XX.20".to_owned(),
                amount,
            }),
            by: Payout::Card("card".to_owned()),
            paper: None,
            at,
        }));
    }

    fn paid(&mut self, payer: &PayerId, money: Micros, at: Timestamp) {
        let customer = self.rules.customers[payer].clone();
        let id = self.number().to_string();
        let mut receipt = BankReceipt {
            id,
            seller: customer.seller,
            currency: customer.currency,
            bank: "bank".to_owned(),
            amount: money,
            step: ReceiptStep::Unknown,
            at,
        };
        self.apply(&Command::BankReceipt(receipt.clone()));
        receipt.step = ReceiptStep::Assigned(payer.clone(), None);
        self.apply(&Command::BankReceipt(receipt));
    }

    fn seller_balance(&self, seller: &str, account: &str) -> i128 {
        self.sums
            .balances()
            .filter(|(of, _, name, _)| {
                let same = matches!(name, Account::Seller(_, name) if name == account);
                of.as_str() == seller && same
            })
            .map(|(_, _, _, sum)| sum)
            .sum()
    }

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
            ("promo", [money]) => self.apply(&Command::PromoGrant {
                id: "gift".to_owned(),
                payer,
                amount: amount(money),
                at: t0(),
            }),
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

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/stories")
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
