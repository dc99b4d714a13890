//! Pure: a command's name, and what has to be read before it can be decided.

use super::command::{Command, HoldLeg, LineAmount, Paper, ReceiptStep, Renew, RetentionStep};
use crate::terms::ids::{CapId, DocumentId, HoldId, PayerId, TransferId};
use crate::terms::time::{BillingMonth, Timestamp};
use sha2::{Digest, Sha256};

/// What a command reads before it decides.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Touches {
    /// The command's name.
    pub name: String,
    /// Payers named in it; those of its holds come on top.
    pub payers: Vec<PayerId>,
    /// Holds.
    pub holds: Vec<HoldId>,
    /// Caps; those of its holds come on top.
    pub caps: Vec<CapId>,
    /// Payers' parts of caps; those of its holds come on top.
    pub cap_shares: Vec<(CapId, PayerId)>,
    /// Accrual rows of these payers and months.
    pub accruals: Vec<(PayerId, BillingMonth)>,
    /// Payers whose open items and allocations are read.
    pub items_of: Vec<PayerId>,
    /// Payers whose allocations may be taken back.
    pub allocations_of: Vec<PayerId>,
    /// Number series, of whichever seller.
    pub series: Vec<String>,
    /// Documents.
    pub documents: Vec<DocumentId>,
    /// Commands whose transfers are read.
    pub transfers_of: Vec<TransferId>,
}

impl Touches {
    /// Caps, and the payer's part of each.
    pub fn caps<'a>(&mut self, payer: &PayerId, caps: impl Iterator<Item = &'a CapId>) {
        for cap in caps {
            self.caps.push(cap.clone());
            self.cap_shares.push((cap.clone(), payer.clone()));
        }
    }
}

impl Command {
    /// The name that its cause gives it: applied twice under one name is applied once.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::OpenPayer { payer, .. } => format!("open/{payer}"),
            Self::SetTerms { id, .. } => format!("terms/{id}"),
            Self::Hold { hold, .. } | Self::HoldPassed { hold, .. } => format!("hold/{hold}"),
            Self::Bundle(it) => format!("bundle/{}", it.bundle),
            Self::Draw(it) => format!("hold/{}", it.hold),
            Self::EndBundle(it) => format!("bundle-end/{}", it.bundle),
            Self::GiveBack { hold, .. } => format!("give-back/{hold}"),
            Self::Settle { hold, .. } => format!("settle/{hold}"),
            Self::Renew(renew) => renew_name(renew),
            Self::RenewAll(all) => {
                let names: Vec<String> = all.iter().map(renew_name).collect();
                names.join("+")
            }
            Self::TopUp(it) => format!("top-up/{}", it.id),
            Self::ProviderPayout { id, .. } => format!("payout/{id}"),
            Self::Issue(it) => format!("issue/{}", it.paper.id),
            Self::CreditNote(it) => format!("credit-note/{}", it.paper.id),
            Self::Refund(it) => format!("refund/{}", it.id),
            Self::Dispute(it) => format!("dispute/{}/{:?}", it.id, it.step).to_lowercase(),
            Self::BankReceipt(it) => {
                let step = match it.step {
                    ReceiptStep::Unknown => "unknown",
                    ReceiptStep::Assigned(..) => "assigned",
                    ReceiptStep::Returned => "returned",
                };
                format!("receipt/{}/{step}", it.id)
            }
            Self::PromoGrant(it) => format!("promo/{}", it.id),
            Self::PromoExpire { id, .. } => format!("promo-expire/{id}"),
            Self::Retention(it) => format!("retention/{}", it.id),
            Self::WriteOff(it) => format!("write-off/{}", it.id),
            Self::Exchange(it) => format!("exchange/{}", it.id),
            Self::ResaleCollect(it) => format!("collect/{}", it.id),
            Self::ResaleOffset(it) => format!("offset/{}", it.id),
            Self::Correct { id, .. } => format!("correct/{id}"),
            Self::Reverse { of, .. } => format!("reverse/{of}"),
        }
    }

    /// When, billing time.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::OpenPayer { at, .. }
            | Self::SetTerms { at, .. }
            | Self::Hold { at, .. }
            | Self::HoldPassed { at, .. }
            | Self::GiveBack { at, .. }
            | Self::Settle { at, .. }
            | Self::ProviderPayout { at, .. }
            | Self::PromoExpire { at, .. }
            | Self::Correct { at, .. }
            | Self::Reverse { at, .. } => *at,
            Self::Renew(it) => it.at,
            Self::RenewAll(all) => all.first().map_or(Timestamp::default(), |it| it.at),
            Self::Bundle(it) => it.at,
            Self::Draw(it) => it.at,
            Self::EndBundle(it) => it.at,
            Self::TopUp(it) => it.at,
            Self::PromoGrant(it) => it.at,
            Self::Issue(it) => it.at,
            Self::CreditNote(it) => it.at,
            Self::Refund(it) => it.at,
            Self::Dispute(it) => it.at,
            Self::BankReceipt(it) => it.at,
            Self::Retention(it) => it.at,
            Self::WriteOff(it) => it.at,
            Self::Exchange(it) => it.at,
            Self::ResaleCollect(it) => it.at,
            Self::ResaleOffset(it) => it.at,
        }
    }

    /// What tells two commands of one name apart. When it was asked is left out: a command that
    /// is repeated after a crash is the same command.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let text = format!("{self:?}");
        let when = format!("at: {:?}", self.at());
        Sha256::digest(text.replace(&when, "").as_bytes()).into()
    }

    /// What has to be read first.
    #[must_use]
    pub fn touches(&self) -> Touches {
        let mut t = Touches {
            name: self.name(),
            ..Touches::default()
        };
        match self {
            Self::OpenPayer { payer, .. }
            | Self::SetTerms { payer, .. }
            | Self::PromoExpire { payer, .. } => t.payers.push(payer.clone()),
            Self::Hold { hold, legs, .. } | Self::HoldPassed { hold, legs, .. } => {
                held(&mut t, *hold, legs);
            }
            Self::Bundle(it) => {
                for line in &it.lines {
                    held(&mut t, line.hold, &line.legs);
                }
            }
            Self::Draw(it) => {
                t.holds.push(it.line);
                held(&mut t, it.hold, &it.legs);
            }
            Self::EndBundle(it) => t.holds.extend(&it.lines),
            Self::GiveBack { hold, one_off, .. } | Self::Settle { hold, one_off, .. } => {
                t.holds.push(*hold);
                lines(&mut t, one_off);
            }
            Self::PromoGrant(it) => t.payers.push(it.payer.clone()),
            Self::Renew(it) => renewal(&mut t, it),
            Self::RenewAll(all) => all.iter().for_each(|it| renewal(&mut t, it)),
            Self::Correct { lines: all, .. } => lines(&mut t, all),
            Self::Reverse { of, .. } => t.transfers_of.push(of.clone()),
            Self::ProviderPayout { .. } => {}
            _ => self.touches_of_papers(&mut t),
        }
        t
    }

    fn touches_of_papers(&self, t: &mut Touches) {
        match self {
            Self::Issue(it) => {
                owes(t, &it.payer);
                paper(t, &it.paper);
                accruals(t, &it.payer, it.months.iter());
            }
            Self::CreditNote(it) => {
                owes(t, &it.payer);
                paper(t, &it.paper);
                t.documents.push(it.corrects);
            }
            Self::TopUp(it) => {
                owes(t, &it.payer);
                it.paper.iter().for_each(|one| paper(t, one));
            }
            Self::Refund(it) => {
                reopens(t, &it.payer);
                it.paper.iter().for_each(|one| paper(t, one));
            }
            Self::Dispute(it) => reopens(t, &it.payer),
            Self::BankReceipt(it) => {
                if let ReceiptStep::Assigned(payer, _) = &it.step {
                    owes(t, payer);
                }
            }
            Self::Retention(it) => {
                t.payers.push(it.payer.clone());
                if let RetentionStep::Draw(all) = &it.step {
                    lines(t, all);
                }
            }
            Self::WriteOff(it) => owes(t, &it.payer),
            Self::Exchange(it) => {
                reopens(t, &it.from);
                owes(t, &it.to);
            }
            Self::ResaleCollect(it) => owes(t, &it.payer),
            Self::ResaleOffset(it) => owes(t, &it.wallet),
            _ => {}
        }
    }
}

fn held(t: &mut Touches, hold: HoldId, legs: &[HoldLeg]) {
    t.holds.push(hold);
    t.payers.extend(legs.iter().map(|leg| leg.payer.clone()));
    for leg in legs {
        t.caps(&leg.payer, leg.caps.iter().map(|bound| &bound.cap));
    }
}

fn renew_name(renew: &Renew) -> String {
    format!("renew/{}/{}", renew.payer, renew.expected_version)
}

fn owes(t: &mut Touches, payer: &PayerId) {
    t.payers.push(payer.clone());
    t.items_of.push(payer.clone());
}

fn reopens(t: &mut Touches, payer: &PayerId) {
    owes(t, payer);
    t.allocations_of.push(payer.clone());
}

fn paper(t: &mut Touches, paper: &Paper) {
    t.series.push(paper.series.clone());
    t.documents.push(paper.id);
}

fn accruals<'a>(t: &mut Touches, payer: &PayerId, months: impl Iterator<Item = &'a BillingMonth>) {
    for month in months {
        let key = (payer.clone(), month.clone());
        if !t.accruals.contains(&key) {
            t.accruals.push(key);
        }
    }
}

fn renewal(t: &mut Touches, renew: &Renew) {
    t.payers.push(renew.payer.clone());
    accruals(t, &renew.payer, renew.totals.iter().map(|line| &line.month));
    t.caps(&renew.payer, renew.caps.iter().map(|total| &total.cap));
}

fn lines(t: &mut Touches, all: &[LineAmount]) {
    for line in all {
        t.payers.push(line.payer.clone());
        accruals(t, &line.payer, std::iter::once(&line.month));
    }
}

/// The name of the `index`th transfer of the command of this name.
#[must_use]
pub fn transfer_name(command: &str, index: usize) -> TransferId {
    TransferId::from(format!("{command}/{index}"))
}
