//! Pure: money that comes in, goes back, is disputed, exchanged, offset or given up.

use super::draft::Draft;
use super::{items, not_negative, paper};
use crate::ledger::chart;
use crate::ledger::command::{
    BankReceipt, Dispute, DisputeStep, Exchange, Payout, ReceiptStep, Refund, ResaleCollect,
    ResaleOffset, TopUp, WriteOff,
};
use crate::ledger::records::{Account, DocumentKind, Purse, Transfer};
use crate::ledger::refusal::LedgerRefusal;
use crate::terms::ids::{PayerId, TransferId};
use crate::terms::money::Micros;

fn available(payer: &PayerId) -> Account {
    Account::Payer(payer.clone(), Purse::Available)
}

/// After money came in: the cover first, then what is owed.
fn came_in(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    reference: Option<&str>,
) -> Result<(), LedgerRefusal> {
    draft.refill(payer)?;
    items::agree(draft, payer, reference)
}

/// clearing → available, and tax where it is taken at top-up.
pub(super) fn top_up(draft: &mut Draft<'_>, it: &TopUp) -> Result<(), LedgerRefusal> {
    let gross = not_negative("the top-up", it.amount)?;
    let payer = &it.payer;
    let clearing = draft.own(payer, chart::clearing(&it.provider))?;
    let mut net = gross;
    if let Some(tax) = &it.tax {
        let amount = not_negative("the tax of the top-up", tax.amount)?;
        net = not_negative("the top-up less its tax", gross.minus(amount)?)?;
        let account = draft.own(payer, chart::tax(&tax.tax))?;
        draft.post_for(payer, "top-up", clearing.clone(), account, amount)?;
    }
    draft.post_for(payer, "top-up", clearing, available(payer), net)?;
    if let Some(advance) = &it.paper {
        paper::number(draft, payer, advance, DocumentKind::Advance, gross, None)?;
    }
    let reference = it.reference.map(|id| id.to_string());
    came_in(draft, payer, reference.as_deref())
}

/// available, tax → clearing or cash. Bound by what is there.
pub(super) fn refund(draft: &mut Draft<'_>, it: &Refund) -> Result<(), LedgerRefusal> {
    let net = not_negative("the refund", it.amount)?;
    let payer = &it.payer;
    let state = draft.payer(payer)?;
    let there = state.purse(Purse::Available);
    if net > there.or_zero() {
        return Err(LedgerRefusal::NotEnough {
            payer: payer.clone(),
            price: net,
            available: there,
            short_by: net.minus(there)?,
        });
    }
    let name = match &it.by {
        Payout::Card(provider) => chart::clearing(provider),
        Payout::Wire(bank) => chart::cash(bank),
    };
    let out = draft.own(payer, name)?;
    draft.post_for(payer, "refund", available(payer), out.clone(), net)?;
    let mut gross = net;
    if let Some(tax) = &it.tax {
        let amount = not_negative("the tax of the refund", tax.amount)?;
        gross = gross.plus(amount)?;
        let account = draft.own(payer, chart::tax(&tax.tax))?;
        draft.post_for(payer, "refund", account, out, amount)?;
    }
    if let Some(note) = &it.paper {
        paper::number(draft, payer, note, DocumentKind::CreditNote, gross, None)?;
    }
    items::agree(draft, payer, None)
}

/// Opened: available → clearing. Won: the reverse. Lost: nothing more. Fee: fees → clearing.
pub(super) fn dispute(draft: &mut Draft<'_>, it: &Dispute) -> Result<(), LedgerRefusal> {
    let amount = not_negative("the disputed amount", it.amount)?;
    let payer = &it.payer;
    let clearing = draft.own(payer, chart::clearing(&it.provider))?;
    match it.step {
        DisputeStep::Opened => {
            draft.post_for(payer, "dispute", available(payer), clearing, amount)?;
            items::agree(draft, payer, None)
        }
        DisputeStep::Won => {
            draft.post_for(payer, "dispute-won", clearing, available(payer), amount)?;
            came_in(draft, payer, None)
        }
        DisputeStep::Lost => Ok(()),
        DisputeStep::Fee => {
            let fees = draft.own(payer, chart::FEES.to_owned())?;
            draft.post_for(payer, "dispute-fee", fees, clearing, amount)
        }
    }
}

/// cash → unallocated; unallocated → available; unallocated → cash.
pub(super) fn receipt(draft: &mut Draft<'_>, it: &BankReceipt) -> Result<(), LedgerRefusal> {
    let amount = not_negative("the receipt", it.amount)?;
    let own = |name: String| Account::Seller(it.seller.clone(), name);
    let books = (it.seller.clone(), it.currency);
    let cash = own(chart::cash(&it.bank));
    let unallocated = own(chart::UNALLOCATED.to_owned());
    match &it.step {
        ReceiptStep::Unknown => draft.post(books, "receipt", cash, unallocated, amount),
        ReceiptStep::Returned => draft.post(books, "receipt-returned", unallocated, cash, amount),
        ReceiptStep::Assigned(payer, reference) => {
            let state = draft.payer(payer)?;
            if (&state.seller, state.currency) != (&it.seller, it.currency) {
                return Err(LedgerRefusal::UnknownPayer(payer.clone()));
            }
            draft.post(
                books,
                "receipt-assigned",
                unallocated,
                available(payer),
                amount,
            )?;
            let reference = reference.map(|id| id.to_string());
            came_in(draft, payer, reference.as_deref())
        }
    }
}

/// bad_debt, tax → available.
pub(super) fn write_off(draft: &mut Draft<'_>, it: &WriteOff) -> Result<(), LedgerRefusal> {
    let payer = &it.payer;
    let amount = not_negative("the write-off", it.amount)?;
    let bad = draft.own(payer, chart::BAD_DEBT.to_owned())?;
    draft.post_for(payer, "write-off", bad, available(payer), amount)?;
    for tax in &it.taxes {
        let amount = not_negative("the tax relief", tax.amount)?;
        let account = draft.own(payer, chart::tax(&tax.tax))?;
        draft.post_for(payer, "write-off", account, available(payer), amount)?;
    }
    came_in(draft, payer, None)
}

/// Two balanced legs through `fx`.
pub(super) fn exchange(draft: &mut Draft<'_>, it: &Exchange) -> Result<(), LedgerRefusal> {
    let amount = not_negative("what is exchanged", it.amount)?;
    let reaches = not_negative("what it is exchanged for", it.reaches)?;
    let there = draft.payer(&it.from)?.purse(Purse::Available);
    if amount > there.or_zero() {
        return Err(LedgerRefusal::NotEnough {
            payer: it.from.clone(),
            price: amount,
            available: there,
            short_by: amount.minus(there)?,
        });
    }
    let fx = draft.own(&it.from, chart::FX.to_owned())?;
    draft.post_for(&it.from, "exchange", available(&it.from), fx, amount)?;
    let fx = draft.own(&it.to, chart::FX.to_owned())?;
    draft.post_for(&it.to, "exchange", fx, available(&it.to), reaches)?;
    items::agree(draft, &it.from, None)?;
    came_in(draft, &it.to, None)
}

/// House: clearing → payable. Reseller: clearing.house → available.
pub(super) fn collect(draft: &mut Draft<'_>, it: &ResaleCollect) -> Result<(), LedgerRefusal> {
    let amount = not_negative("what was collected", it.amount)?;
    let state = draft.payer(&it.payer)?;
    let (reseller, currency) = (state.seller.clone(), state.currency);
    let own = |name: String| Account::Seller(it.house.clone(), name);
    let (from, to) = (
        own(chart::clearing(&it.provider)),
        own(chart::payable(&reseller)),
    );
    draft.post((it.house.clone(), currency), "collect", from, to, amount)?;
    let clearing = draft.own(&it.payer, chart::clearing(it.house.as_str()))?;
    draft.post_for(&it.payer, "collect", clearing, available(&it.payer), amount)?;
    came_in(draft, &it.payer, None)
}

/// House: payable → the reseller's wallet. Reseller: cash.house → clearing.house.
pub(super) fn offset(draft: &mut Draft<'_>, it: &ResaleOffset) -> Result<(), LedgerRefusal> {
    let amount = not_negative("what is offset", it.amount)?;
    let state = draft.payer(&it.wallet)?;
    let (house, currency) = (state.seller.clone(), state.currency);
    let payable = draft.own(&it.wallet, chart::payable(&it.reseller))?;
    draft.post_for(&it.wallet, "offset", payable, available(&it.wallet), amount)?;
    let own = |name: String| Account::Seller(it.reseller.clone(), name);
    let cash = own(chart::cash(house.as_str()));
    let clearing = own(chart::clearing(house.as_str()));
    draft.post(
        (it.reseller.clone(), currency),
        "offset",
        cash,
        clearing,
        amount,
    )?;
    came_in(draft, &it.wallet, None)
}

/// Events that are undone by a command of their own, and which.
const UNDONE_OTHERWISE: [(&str, &str); 12] = [
    ("hold", "give the hold back"),
    ("promo-hold", "give the hold back"),
    ("promo-grant", "a grant ends at its end"),
    ("promo-expire", "grant it anew"),
    ("give-back", "hold anew"),
    ("accrue", "book a correction of the lines"),
    ("one-off", "book a correction of the lines"),
    ("release", "the next renewal moves the cover"),
    ("correct", "book the opposite correction"),
    ("issue", "issue a credit note"),
    ("credit-note", "issue an invoice"),
    ("retention-draw", "book a correction of the lines"),
];

/// Every transfer of the command the other way; what the cover got by it stays in the cover.
pub(super) fn reverse(draft: &mut Draft<'_>, of: &TransferId) -> Result<(), LedgerRefusal> {
    let loaded = draft.loaded;
    let Some(past) = loaded.transfers.get(of).filter(|past| !past.is_empty()) else {
        return Err(LedgerRefusal::UnknownCommand(of.to_string()));
    };
    let mut payers: Vec<PayerId> = Vec::new();
    // What ended meanwhile stays ended.
    let aside = |row: &&Transfer| row.event != "refill" && !ended_beside(of, row);
    for row in past.iter().filter(aside) {
        if let Some((_, instead)) = UNDONE_OTHERWISE
            .iter()
            .find(|(event, _)| *event == row.event)
        {
            return Err(LedgerRefusal::NotReversible {
                name: of.to_string(),
                instead,
            });
        }
        book_back(draft, row, &mut payers)?;
    }
    for payer in payers {
        draft.payer(&payer)?.version += 1;
        came_in(draft, &payer, None)?;
    }
    Ok(())
}

/// A grant that came to its end within a command of another cause.
fn ended_beside(of: &TransferId, row: &Transfer) -> bool {
    row.event == "promo-expire" && !of.as_str().starts_with("promo-expire/")
}

fn book_back(
    draft: &mut Draft<'_>,
    row: &Transfer,
    payers: &mut Vec<PayerId>,
) -> Result<(), LedgerRefusal> {
    for account in [&row.debit, &row.credit] {
        if let Account::Payer(payer, _) = account
            && !payers.contains(payer)
        {
            payers.push(payer.clone());
        }
    }
    let books = (row.seller.clone(), row.currency);
    let (debit, credit) = (row.credit.clone(), row.debit.clone());
    draft.post(
        books,
        "reverse",
        debit,
        credit,
        Micros::new(row.amount.get()),
    )
}
