//! Pure: what a command does to the books. `decide` is the only way in.
//!
//! It reads loaded rows alone and knows no clock, so that the same command on the same rows has
//! the same effects. A refusal has none. The themes are in the folder of the same name.

mod bundle;
mod cap;
mod draft;
mod grant;
mod hold;
mod items;
mod paper;
mod payment;
mod renew;

use super::chart;
use super::command::{Command, Terms};
use super::loaded::{Effects, Loaded};
use super::records::{Account, BillingMode, PayerState};
use super::refusal::LedgerRefusal;
use crate::terms::ids::{PayerId, SellerId};
use crate::terms::money::{Currency, Micros};
use crate::terms::time::Timestamp;
use draft::Draft;

/// What the command does, or why it does nothing.
///
/// # Errors
/// [`LedgerRefusal`], the first that applies.
pub fn decide(command: &Command, loaded: &Loaded) -> Result<Effects, LedgerRefusal> {
    let name = command.name();
    let digest = command.digest();
    if let Some(before) = loaded.done.get(&name) {
        if *before != digest {
            return Err(LedgerRefusal::SameIdOtherContent { name });
        }
        return Ok(Effects {
            name,
            digest,
            already_done: true,
            ..Effects::default()
        });
    }
    let mut draft = Draft::new(loaded, name, command.at());
    apply(command, &mut draft)?;
    Ok(draft.finish(digest))
}

fn apply(command: &Command, draft: &mut Draft<'_>) -> Result<(), LedgerRefusal> {
    match command {
        Command::OpenPayer {
            payer,
            seller,
            currency,
            terms,
            at,
        } => open(draft, payer, seller, *currency, *terms, *at),
        Command::SetTerms { payer, terms, .. } => set_terms(draft, payer, *terms),
        Command::Hold {
            hold, call, legs, ..
        } => hold::hold(draft, *hold, *call, legs),
        Command::HoldPassed {
            hold, call, legs, ..
        } => hold::passed(draft, *hold, *call, legs),
        Command::Bundle(it) => bundle::promise(draft, it),
        Command::Draw(it) => bundle::draw(draft, it),
        Command::EndBundle(it) => bundle::end(draft, it),
        Command::GiveBack { hold, one_off, .. } => hold::give_back(draft, *hold, one_off),
        Command::Settle { hold, one_off, .. } => hold::settle(draft, *hold, one_off),
        Command::Renew(it) => renew::renew(draft, it),
        Command::RenewAll(all) => all.iter().try_for_each(|it| renew::renew(draft, it)),
        Command::Correct { lines, .. } => renew::correct(draft, lines),
        Command::Retention(it) => renew::retention(draft, it),
        Command::Issue(it) => paper::issue(draft, it),
        Command::CreditNote(it) => paper::credit_note(draft, it),
        Command::TopUp(it) => payment::top_up(draft, it),
        Command::Refund(it) => payment::refund(draft, it),
        Command::Dispute(it) => payment::dispute(draft, it),
        Command::BankReceipt(it) => payment::receipt(draft, it),
        Command::WriteOff(it) => payment::write_off(draft, it),
        Command::Exchange(it) => payment::exchange(draft, it),
        Command::ResaleCollect(it) => payment::collect(draft, it),
        Command::ResaleOffset(it) => payment::offset(draft, it),
        Command::Reverse { of, .. } => payment::reverse(draft, of),
        Command::ProviderPayout { .. } => provider_payout(draft, command),
        Command::PromoGrant(it) => grant::grant(draft, it),
        Command::PromoExpire { id, payer, .. } => grant::expire(draft, payer, id),
    }
}

fn not_negative(what: &'static str, amount: Micros) -> Result<Micros, LedgerRefusal> {
    if amount.is_negative() {
        return Err(LedgerRefusal::BadAmount { what, amount });
    }
    Ok(amount)
}

fn open(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    seller: &SellerId,
    currency: Currency,
    terms: Terms,
    at: Timestamp,
) -> Result<(), LedgerRefusal> {
    not_negative("the credit line", terms.credit_line)?;
    if draft.payer(payer).is_ok() {
        return Err(LedgerRefusal::PayerExists(payer.clone()));
    }
    draft.open(PayerState {
        payer: payer.clone(),
        seller: seller.clone(),
        currency,
        mode: terms.mode,
        credit_line: terms.credit_line,
        purses: [Micros::ZERO; 7],
        holds_open: Micros::ZERO,
        promo_holds_open: Micros::ZERO,
        cover_target: Micros::ZERO,
        promo_cover_target: Micros::ZERO,
        accrued_through: at,
        version: 0,
    });
    Ok(())
}

fn set_terms(draft: &mut Draft<'_>, payer: &PayerId, terms: Terms) -> Result<(), LedgerRefusal> {
    not_negative("the credit line", terms.credit_line)?;
    let state = draft.payer(payer)?;
    state.mode = terms.mode;
    state.credit_line = terms.credit_line;
    state.version += 1;
    draft.refill(payer)
}

fn provider_payout(draft: &mut Draft<'_>, command: &Command) -> Result<(), LedgerRefusal> {
    let Command::ProviderPayout {
        seller,
        currency,
        provider,
        amount,
        fees,
        ..
    } = command
    else {
        return Ok(());
    };
    not_negative("the payout", *amount)?;
    not_negative("the provider's fee", *fees)?;
    let of = |name: String| Account::Seller(seller.clone(), name);
    let clearing = of(chart::clearing(provider));
    let books = (seller.clone(), *currency);
    let cash = of(chart::cash(provider));
    draft.post(books.clone(), "payout", cash, clearing.clone(), *amount)?;
    draft.post(books, "fees", of(chart::FEES.to_owned()), clearing, *fees)
}

/// Whether a payer's last cent is paid by `rounding` rather than owed.
fn pays_first(state: &PayerState) -> bool {
    state.mode == BillingMode::Prepaid
}

#[cfg(test)]
mod tests;
