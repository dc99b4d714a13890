//! Edge: every row of the event table: which command books what, debit → credit.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use faregate::ledger::chart;
use faregate::ledger::command::{
    BankReceipt, CreditNote, Dispute, DisputeStep, Exchange, HoldLeg, Issue, LineAmount, LineTotal,
    Paper, Payout, PromoGrant, ReceiptStep, Refund, Renew, ResaleCollect, ResaleOffset, Retention,
    RetentionStep, RevenueAmount, TaxAmount, Terms, TopUp, WriteOff,
};
use faregate::ledger::records::BillingMode;
use faregate::ledger::verify::Sums;
use faregate::ledger::{Command, LedgerRefusal, Loaded, decide};
use faregate::terms::ids::{CallId, DocumentId, HoldId, PayerId, PriceLineId, SellerId};
use faregate::terms::money::{Currency, Micros};
use faregate::terms::quantity::UnitMicros;
use faregate::terms::time::{BillingMonth, Timestamp};

fn m(text: &str) -> Micros {
    text.parse().unwrap()
}
fn ann() -> PayerId {
    PayerId::from("ann")
}
fn house() -> SellerId {
    SellerId::from("house")
}
fn at() -> Timestamp {
    Timestamp::from_seconds(1)
}
fn month() -> BillingMonth {
    BillingMonth::parse("2026-11", "UTC").unwrap()
}
fn tax(amount: &str) -> TaxAmount {
    TaxAmount {
        tax: "DE.20".to_owned(),
        amount: m(amount),
    }
}
fn compute(amount: &str) -> RevenueAmount {
    RevenueAmount {
        class: "compute".to_owned(),
        amount: m(amount),
    }
}
fn paper(id: u128) -> Paper {
    Paper {
        id: DocumentId::from_bits(id),
        series: "2026".to_owned(),
        body: "{}".to_owned(),
    }
}
fn line(amount: &str) -> LineAmount {
    LineAmount {
        payer: ann(),
        line: PriceLineId::from("vm"),
        month: month(),
        tax_group: "DE.20".to_owned(),
        amount: m(amount),
    }
}

/// Books in memory that tell each command's transfers as `event debit > credit amount`.
struct Books(Loaded);

impl Books {
    fn with(payers: &[(&str, &str, &str, BillingMode)]) -> Self {
        let mut books = Self(Loaded::default());
        for (payer, seller, currency, mode) in payers {
            let terms = Terms {
                mode: *mode,
                credit_line: Micros::ZERO,
            };
            books.told(Command::OpenPayer {
                payer: PayerId::from(*payer),
                seller: SellerId::from(*seller),
                currency: currency.parse::<Currency>().unwrap(),
                terms,
                at: at(),
            });
        }
        books
    }
    fn prepaid() -> Self {
        let mut books = Self::with(&[("ann", "house", "EUR", BillingMode::Prepaid)]);
        books.told(top_up("start", "10", None));
        books
    }
    fn try_to(&mut self, command: Command) -> Result<Vec<String>, LedgerRefusal> {
        let effects = decide(&command, &self.0)?;
        self.0.absorb(&effects);
        let mut sums = Sums::default();
        self.0
            .transfers
            .values()
            .flatten()
            .for_each(|row| sums.take(row));
        let holds: Vec<_> = self.0.holds.values().flatten().cloned().collect();
        let items: Vec<_> = self.0.items.values().cloned().collect();
        assert_eq!(sums.faults(&self.0.payers, &holds, &items), []);
        let short = |account| chart::print(account).replace("payer:ann/", "");
        let rows = effects.transfers.iter().map(|row| {
            let (debit, credit) = (short(&row.debit), short(&row.credit));
            format!("{} {debit} > {credit} {}", row.event, row.amount).replace("seller:house/", "")
        });
        Ok(rows.collect())
    }
    #[track_caller]
    fn told(&mut self, command: Command) -> Vec<String> {
        self.try_to(command).unwrap()
    }
    #[track_caller]
    fn books(&mut self, command: Command, rows: &[&str]) {
        assert_eq!(self.told(command), rows);
    }
}

fn top_up(id: &str, amount: &str, tax: Option<TaxAmount>) -> Command {
    Command::TopUp(TopUp {
        id: id.to_owned(),
        payer: ann(),
        amount: m(amount),
        provider: "card".to_owned(),
        tax,
        paper: None,
        reference: None,
        at: at(),
    })
}
fn hold(number: u128, wallet: &str, promo: &str) -> Command {
    Command::Hold {
        hold: HoldId::from_bits(number),
        call: CallId::from_bits(number),
        legs: vec![HoldLeg {
            caps: Vec::new(),
            payer: ann(),
            wallet: m(wallet),
            promo: m(promo),
            one_off: Micros::ZERO,
        }],
        at: at(),
    }
}
fn renew(version: i64, from: &str, total: (&str, &str), target: (&str, &str)) -> Command {
    Command::Renew(Renew {
        caps: Vec::new(),
        payer: ann(),
        expected_version: version,
        from_target: m(from),
        through: at(),
        totals: vec![LineTotal {
            line: PriceLineId::from("vm"),
            month: month(),
            tax_group: "DE.20".to_owned(),
            quantity: UnitMicros::ZERO,
            total: m(total.0),
            promo_total: m(total.1),
        }],
        cover_target: m(target.0),
        promo_cover_target: m(target.1),
        at: at(),
    })
}
fn issue(id: u128, revenue: &str, taxes: Vec<TaxAmount>) -> Command {
    Command::Issue(Issue {
        payer: ann(),
        paper: paper(id),
        months: vec![month()],
        revenue: vec![compute(revenue)],
        taxes,
        rounding: Micros::ZERO,
        due: at(),
        at: at(),
    })
}

#[test]
fn money_comes_in_and_is_paid_out_by_the_provider() {
    let mut books = Books::prepaid();
    books.books(
        top_up("p1", "1", None),
        &["top-up clearing.card > wallet.available 1.000000"],
    );
    books.books(
        Command::ProviderPayout {
            id: "o1".to_owned(),
            seller: house(),
            currency: Currency::EUR,
            provider: "card".to_owned(),
            amount: m("0.97"),
            fees: m("0.03"),
            at: at(),
        },
        &[
            "payout cash.card > clearing.card 0.970000",
            "fees fees > clearing.card 0.030000",
        ],
    );
}

#[test]
fn tax_at_top_up_is_taken_at_once_and_goes_back_with_the_rest() {
    let mut books = Books::with(&[("ann", "house", "EUR", BillingMode::Prepaid)]);
    books.books(
        top_up("p1", "1.2", Some(tax("0.2"))),
        &[
            "top-up clearing.card > tax.DE.20 0.200000",
            "top-up clearing.card > wallet.available 1.000000",
        ],
    );
    let refund = |id: &str, amount| {
        Command::Refund(Refund {
            id: id.to_owned(),
            payer: ann(),
            amount: m(amount),
            tax: Some(tax("0.1")),
            by: Payout::Wire("bank".to_owned()),
            paper: Some(paper(9)),
            at: at(),
        })
    };
    let refused = books.try_to(refund("r0", "1.5")).unwrap_err();
    assert!(matches!(refused, LedgerRefusal::NotEnough { .. }));
    books.books(
        refund("r1", "0.5"),
        &[
            "refund wallet.available > cash.bank 0.500000",
            "refund tax.DE.20 > cash.bank 0.100000",
        ],
    );
}

#[test]
fn gift_credit_is_held_accrued_and_used_before_the_wallet_is_billed() {
    let mut books = Books::prepaid();
    books.books(
        Command::PromoGrant(PromoGrant {
            id: "g1".to_owned(),
            payer: ann(),
            amount: m("1"),
            expires: Some(at().plus(1)),
            reason: "welcome".to_owned(),
            at: at(),
        }),
        &["promo-grant promo_cost > promo.available 1.000000"],
    );
    books.books(
        hold(1, "0.6", "0.7"),
        &[
            "promo-hold promo.available > promo.held 0.700000",
            "hold wallet.available > wallet.held 0.600000",
        ],
    );
    let refused = books.try_to(hold(2, "0", "0.4")).unwrap_err();
    assert!(matches!(refused, LedgerRefusal::PromoShort { .. }));
    books.told(Command::Settle {
        hold: HoldId::from_bits(1),
        one_off: vec![],
        at: at(),
    });
    books.books(
        renew(2, "0.6", ("0.6", "0.7"), ("0", "0")),
        &[
            "accrue wallet.held > wallet.accrued 0.600000",
            "accrue promo.held > promo.accrued 0.700000",
        ],
    );
    books.books(
        issue(1, "0.5", vec![tax("0.1")]),
        &[
            "issue wallet.accrued > revenue.compute 0.500000",
            "issue wallet.accrued > tax.DE.20 0.100000",
            "promo-used promo.accrued > promo_cost 0.700000",
        ],
    );
    books.books(
        Command::PromoExpire {
            id: "g1".to_owned(),
            payer: ann(),
            at: at().plus(1),
        },
        &["promo-expire promo.available > promo_cost 0.300000"],
    );
}

#[test]
fn a_total_that_falls_and_corrections_go_back_to_what_is_available() {
    let mut books = Books::prepaid();
    books.told(renew(0, "0", ("2", "0"), ("0", "0")));
    books.books(
        renew(1, "0", ("1.5", "0"), ("0", "0")),
        &["accrue wallet.accrued > wallet.available 0.500000"],
    );
    let correct = |id: &str, amount| Command::Correct {
        id: id.to_owned(),
        lines: vec![line(amount)],
        at: at(),
    };
    books.books(
        correct("c1", "0.1"),
        &["correct wallet.available > wallet.accrued 0.100000"],
    );
    books.books(
        correct("c2", "-0.4"),
        &["correct wallet.accrued > wallet.available 0.400000"],
    );
    let row = books.0.accruals.values().next().unwrap();
    assert_eq!(row.total, m("1.2"));
    books.told(issue(1, "1", vec![tax("0.2")]));
    books.books(
        Command::CreditNote(CreditNote {
            payer: ann(),
            paper: paper(2),
            corrects: DocumentId::from_bits(1),
            revenue: vec![compute("0.5")],
            taxes: vec![tax("0.1")],
            at: at(),
        }),
        &[
            "credit-note revenue.compute > wallet.available 0.500000",
            "credit-note tax.DE.20 > wallet.available 0.100000",
        ],
    );
}

#[test]
fn retention_is_funded_from_the_cover_first_drawn_and_given_back() {
    let mut books = Books::prepaid();
    books.told(renew(0, "0", ("0", "0"), ("1", "0")));
    let step = |id: &str, step| {
        Command::Retention(Retention {
            id: id.to_owned(),
            payer: ann(),
            step,
            at: at(),
        })
    };
    books.books(
        step("f", RetentionStep::Fund(m("1.5"))),
        &[
            "retention-fund wallet.held > wallet.retention 1.000000",
            "retention-fund wallet.available > wallet.retention 0.500000",
        ],
    );
    books.books(
        step("d", RetentionStep::Draw(vec![line("0.4")])),
        &["retention-draw wallet.retention > wallet.accrued 0.400000"],
    );
    books.books(
        step("b", RetentionStep::GiveBack(m("9"))),
        &["retention-back wallet.retention > wallet.available 1.100000"],
    );
}

#[test]
fn a_dispute_takes_the_money_and_gives_it_back_when_it_is_won() {
    let mut books = Books::prepaid();
    let step = |step, amount| {
        Command::Dispute(Dispute {
            id: "d".to_owned(),
            payer: ann(),
            provider: "card".to_owned(),
            amount: m(amount),
            step,
            at: at(),
        })
    };
    books.books(
        step(DisputeStep::Opened, "10"),
        &["dispute wallet.available > clearing.card 10.000000"],
    );
    books.books(
        step(DisputeStep::Fee, "0.5"),
        &["dispute-fee fees > clearing.card 0.500000"],
    );
    books.books(
        step(DisputeStep::Won, "10"),
        &["dispute-won clearing.card > wallet.available 10.000000"],
    );
    books.books(step(DisputeStep::Lost, "10"), &[]);
}

#[test]
fn a_receipt_waits_until_somebody_is_found_for_it() {
    let mut books = Books::prepaid();
    let step = |id: &str, step| {
        Command::BankReceipt(BankReceipt {
            id: id.to_owned(),
            seller: house(),
            currency: Currency::EUR,
            bank: "bank".to_owned(),
            amount: m("2"),
            step,
            at: at(),
        })
    };
    books.books(
        step("b1", ReceiptStep::Unknown),
        &["receipt cash.bank > unallocated 2.000000"],
    );
    books.books(
        step("b1", ReceiptStep::Assigned(ann(), None)),
        &["receipt-assigned unallocated > wallet.available 2.000000"],
    );
    books.told(step("b2", ReceiptStep::Unknown));
    books.books(
        step("b2", ReceiptStep::Returned),
        &["receipt-returned unallocated > cash.bank 2.000000"],
    );
}

#[test]
fn a_debt_that_will_not_come_in_is_written_off_with_its_tax() {
    let mut books = Books::with(&[("ann", "house", "EUR", BillingMode::Postpaid)]);
    books.told(renew(0, "0", ("1.2", "0"), ("0", "0")));
    books.told(issue(1, "1", vec![tax("0.2")]));
    books.books(
        Command::WriteOff(WriteOff {
            id: "w".to_owned(),
            payer: ann(),
            amount: m("1"),
            taxes: vec![tax("0.2")],
            at: at(),
        }),
        &[
            "write-off bad_debt > wallet.available 1.000000",
            "write-off tax.DE.20 > wallet.available 0.200000",
        ],
    );
    assert!(books.0.items.values().all(|item| item.open.is_zero()));
}

#[test]
fn an_exchange_is_two_legs_that_balance_each_in_its_currency() {
    let mut books = Books::prepaid();
    books.told(Command::OpenPayer {
        payer: PayerId::from("ann-usd"),
        seller: house(),
        currency: "USD".parse().unwrap(),
        terms: Terms {
            mode: BillingMode::Prepaid,
            credit_line: Micros::ZERO,
        },
        at: at(),
    });
    books.books(
        Command::Exchange(Exchange {
            id: "x".to_owned(),
            from: ann(),
            amount: m("1"),
            to: PayerId::from("ann-usd"),
            reaches: m("1.1"),
            rate: "1.1 by the bank".to_owned(),
            at: at(),
        }),
        &[
            "exchange wallet.available > fx 1.000000",
            "exchange fx > payer:ann-usd/wallet.available 1.100000",
        ],
    );
}

#[test]
fn the_house_collects_for_a_reseller_and_offsets_what_it_owes_him() {
    let mut books = Books::with(&[
        ("ann", "rsl", "EUR", BillingMode::Prepaid),
        ("rsl-wallet", "house", "EUR", BillingMode::Prepaid),
    ]);
    books.books(
        Command::ResaleCollect(ResaleCollect {
            id: "p".to_owned(),
            house: house(),
            payer: ann(),
            provider: "card".to_owned(),
            amount: m("1"),
            at: at(),
        }),
        &[
            "collect clearing.card > payable.rsl 1.000000",
            "collect seller:rsl/clearing.house > wallet.available 1.000000",
        ],
    );
    books.books(
        Command::ResaleOffset(ResaleOffset {
            id: "o".to_owned(),
            wallet: PayerId::from("rsl-wallet"),
            reseller: SellerId::from("rsl"),
            amount: m("0.6"),
            at: at(),
        }),
        &[
            "offset payable.rsl > payer:rsl-wallet/wallet.available 0.600000",
            "offset seller:rsl/cash.house > seller:rsl/clearing.house 0.600000",
        ],
    );
}
