//! Edge: what a story's step does: books in memory, driven by the product's own functions.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use faregate::bill::credit_note::credit;
use faregate::bill::invoice::{Draft, Due, Invoiced, draft, gathered};
use faregate::cloudstack::usage_type::UsageType;
use faregate::cover::cover::{Pricing, Renewal, after_promo, renew};
use faregate::ledger::command::{
    BankReceipt, Command, HoldLeg, LineAmount, Paper, Payout, ReceiptStep, Refund, TaxAmount,
    Terms, TopUp,
};
use faregate::ledger::records::{Account, BillingMode, PayerState, Purse};
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

pub(super) struct Story {
    pub(super) rules: RuleSet,
    pub(super) books: Loaded,
    pub(super) sums: Sums,
    pub(super) intervals: BTreeMap<PayerId, Vec<Interval>>,
    pub(super) holds: BTreeMap<String, HoldId>,
    pub(super) invoices: BTreeMap<PayerId, (DocumentId, Draft)>,
    pub(super) invoiced: BTreeMap<PayerId, Vec<Invoiced>>,
    pub(super) once: BTreeMap<(PayerId, String), Vec<OneOff>>,
    pub(super) fell_due: BTreeMap<PayerId, Vec<OneOff>>,
    pub(super) next: u128,
}

/// t0 of every story.
pub(super) fn t0() -> Timestamp {
    Timestamp::from_seconds(1_794_312_000) // 2026-11-10T12:00:00Z
}

/// `20` is minutes after t0, `4:59` minutes and seconds.
pub(super) fn instant(text: &str) -> Timestamp {
    let (minutes, seconds) = text.split_once(':').unwrap_or((text, "0"));
    let minutes: i64 = minutes.parse().unwrap();
    let seconds: i64 = seconds.parse().unwrap();
    t0().plus((minutes * 60 + seconds) * SECOND)
}

pub(super) fn month() -> BillingMonth {
    BillingMonth::containing(t0(), "UTC").unwrap()
}

pub(super) fn amount(text: &str) -> Micros {
    text.parse().unwrap()
}

pub(super) fn interval(kind: UsageType, vm: &str, at: Timestamp) -> Interval {
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
    pub(super) fn open(files: &[&str]) -> Self {
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

    pub(super) fn try_apply(&mut self, command: &Command) -> Result<(), LedgerRefusal> {
        let effects = decide(command, &self.books)?;
        effects.transfers.iter().for_each(|row| self.sums.take(row));
        self.books.absorb(&effects);
        let again = decide(command, &self.books).unwrap();
        assert!(again.already_done, "{command:?} applied twice");
        Ok(())
    }

    pub(super) fn apply(&mut self, command: &Command) {
        if let Err(refusal) = self.try_apply(command) {
            panic!("{command:?}: {refusal}");
        }
    }

    pub(super) fn state(&self, payer: &PayerId) -> &PayerState {
        &self.books.payers[payer]
    }

    pub(super) fn terms(&self, payer: &PayerId) -> PayerTerms {
        self.rules.terms_of(payer).unwrap()
    }

    pub(super) fn number(&mut self) -> u128 {
        self.next += 1;
        self.next
    }

    pub(super) fn hold(
        &mut self,
        payer: &PayerId,
        vm: &str,
        at: Timestamp,
    ) -> Result<(), LedgerRefusal> {
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
                caps: Vec::new(),
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

    pub(super) fn settle(&mut self, payer: &PayerId, vm: &str, kinds: &[UsageType], at: Timestamp) {
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

    pub(super) fn renewal(&self, payer: &PayerId, at: Timestamp) -> Renewal {
        let terms = self.terms(payer);
        let pricing = Pricing {
            book: self.rules.book_of(payer).unwrap(),
            terms: &terms,
            profile: self.rules.profile_of(payer).unwrap(),
        };
        let rows = self.books.accruals.values();
        let rows: Vec<_> = rows.filter(|row| row.payer == *payer).cloned().collect();
        let runs = self.intervals.get(payer).map_or(&[][..], Vec::as_slice);
        renew(pricing, self.state(payer), &rows, (runs, &[]), at).unwrap()
    }

    pub(super) fn renew(&mut self, payer: &PayerId, at: Timestamp) {
        let chain = self.rules.chain_of(payer);
        let all = chain.iter().map(|payer| self.renewal(payer, at).command);
        let command = Command::RenewAll(all.collect());
        self.apply(&command);
    }

    pub(super) fn destroy(&mut self, payer: &PayerId, vms: &str, at: Timestamp) {
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
    pub(super) fn draft(&self, payer: &PayerId, at: Timestamp) -> Option<Draft> {
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

    pub(super) fn paper(&mut self) -> Paper {
        Paper {
            id: DocumentId::from_bits(self.number()),
            series: "2026".to_owned(),
            body: String::new(),
        }
    }

    pub(super) fn invoice(&mut self, payer: &PayerId, at: Timestamp) {
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

    pub(super) fn credit(&mut self, payer: &PayerId, line: &str, share: &str, at: Timestamp) {
        let (id, draft) = self.invoices[payer].clone();
        let share: Decimal = share.parse().unwrap();
        let note = credit(&draft, &[(line.into(), share)]).unwrap();
        let paper = self.paper();
        let command = note.command(payer, paper, id, at);
        self.apply(&Command::CreditNote(command));
    }

    pub(super) fn top_up(&mut self, payer: &PayerId, money: Micros, tax: Option<Micros>) {
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

    pub(super) fn refund(
        &mut self,
        payer: &PayerId,
        net: Micros,
        tax: Option<Micros>,
        at: Timestamp,
    ) {
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

    pub(super) fn paid(&mut self, payer: &PayerId, money: Micros, at: Timestamp) {
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

    pub(super) fn seller_balance(&self, seller: &str, account: &str) -> i128 {
        self.sums
            .balances()
            .filter(|(of, _, name, _)| {
                let same = matches!(name, Account::Seller(_, name) if name == account);
                of.as_str() == seller && same
            })
            .map(|(_, _, _, sum)| sum)
            .sum()
    }
}

pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/stories")
}
