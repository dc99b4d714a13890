//! Pure: documents. Number, document, items and posting are one command: all of it or nothing.

use super::draft::Draft;
use super::{items, not_negative, pays_first};
use crate::ledger::chart;
use crate::ledger::command::{CreditNote, Issue, Paper, RevenueAmount, TaxAmount};
use crate::ledger::records::{Account, AccrualKey, Document, DocumentKind, Purse};
use crate::ledger::refusal::LedgerRefusal;
use crate::terms::ids::{DocumentId, PayerId};
use crate::terms::money::Micros;
use rust_decimal::Decimal;

/// Gives the next number of the series to the document.
pub(super) fn number(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    paper: &Paper,
    kind: DocumentKind,
    total: Micros,
    corrects: Option<DocumentId>,
) -> Result<(), LedgerRefusal> {
    let seller = draft.payer(payer)?.seller.clone();
    let key = (seller.clone(), paper.series.clone());
    let last = draft.loaded.series.get(&key).copied().unwrap_or(0);
    draft.document = Some(Document {
        id: paper.id,
        seller,
        payer: payer.clone(),
        kind,
        series: paper.series.clone(),
        number: last.checked_add(1).ok_or(LedgerRefusal::OutOfRange)?,
        total,
        corrects,
        body: paper.body.clone(),
        at: draft.at,
    });
    Ok(())
}

/// Revenue and taxes as entries of the payer's seller.
fn income(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    revenue: &[RevenueAmount],
    taxes: &[TaxAmount],
) -> Result<Vec<(Account, Micros)>, LedgerRefusal> {
    let mut entries = Vec::new();
    for line in revenue {
        entries.push((draft.own(payer, chart::revenue(&line.class))?, line.amount));
    }
    for line in taxes {
        entries.push((draft.own(payer, chart::tax(&line.tax))?, line.amount));
    }
    Ok(entries)
}

fn sum(entries: &[(Account, Micros)]) -> Result<Micros, LedgerRefusal> {
    Ok(Micros::sum(entries.iter().map(|entry| entry.1))?)
}

/// accrued (± available for the rounding) → revenue, tax; gift credit used → `promo_cost`.
pub(super) fn issue(draft: &mut Draft<'_>, it: &Issue) -> Result<(), LedgerRefusal> {
    let payer = &it.payer;
    let (accrued, gift) = take_accrued(draft, it)?;
    let mut entries = income(draft, payer, &it.revenue, &it.taxes)?;
    let rounding = draft.own(payer, chart::ROUNDING.to_owned())?;
    entries.push((rounding.clone(), it.rounding));
    let total = not_negative("the document's total", sum(&entries)?)?;
    entries.push((
        Account::Payer(payer.clone(), Purse::Accrued),
        accrued.negated()?,
    ));
    let rest = total.minus(accrued)?;
    let (wallet, cent) = last_cent(draft, payer, rest)?;
    entries.push((
        Account::Payer(payer.clone(), Purse::Available),
        wallet.negated()?,
    ));
    entries.push((rounding, cent.negated()?));
    let entries = merged(entries)?;
    draft.pair(payer, "issue", entries)?;
    let cost = draft.own(payer, chart::PROMO_COST.to_owned())?;
    let used = Account::Payer(payer.clone(), Purse::PromoAccrued);
    draft.post_for(payer, "promo-used", used, cost, gift)?;
    number(draft, payer, &it.paper, DocumentKind::Invoice, total, None)?;
    draft.payer(payer)?.version += 1;
    if !total.is_zero() {
        items::open(draft, payer, it.paper.id.to_string(), total, it.due);
    }
    draft.refill(payer)?;
    items::agree(draft, payer, None)
}

/// Takes what accrued in the months and is on no invoice yet off the rows: wallet, gift credit.
fn take_accrued(draft: &mut Draft<'_>, it: &Issue) -> Result<(Micros, Micros), LedgerRefusal> {
    let loaded = draft.loaded;
    let rows: Vec<AccrualKey> = loaded
        .accruals
        .keys()
        .filter(|key| key.0 == it.payer && it.months.contains(&key.1))
        .cloned()
        .collect();
    let (mut wallet, mut gift) = (Micros::ZERO, Micros::ZERO);
    for key in rows {
        let row = draft.accrual(key);
        wallet = wallet.plus(row.total.minus(row.invoiced)?)?;
        gift = gift.plus(row.promo_total.minus(row.promo_invoiced)?)?;
        row.invoiced = row.total;
        row.promo_invoiced = row.promo_total;
    }
    Ok((wallet, gift))
}

/// Who pays the difference between document and accrual: the wallet; and where a prepaid wallet
/// cannot, up to one minor unit of it comes from `rounding`.
fn last_cent(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    rest: Micros,
) -> Result<(Micros, Micros), LedgerRefusal> {
    let state = draft.payer(payer)?;
    let missing = rest.minus(state.spendable()?.or_zero())?.or_zero();
    let minor = Decimal::new(1, state.currency.minor_digits());
    if rest.is_negative() || !pays_first(state) || missing.to_decimal() > minor {
        return Ok((rest, Micros::ZERO));
    }
    Ok((rest.minus(missing)?, missing))
}

/// Entries of one account become one.
fn merged(entries: Vec<(Account, Micros)>) -> Result<Vec<(Account, Micros)>, LedgerRefusal> {
    let mut out: Vec<(Account, Micros)> = Vec::new();
    for (account, amount) in entries {
        match out.iter_mut().find(|entry| entry.0 == account) {
            Some(entry) => entry.1 = entry.1.plus(amount)?,
            None => out.push((account, amount)),
        }
    }
    Ok(out)
}

/// revenue, tax → available.
pub(super) fn credit_note(draft: &mut Draft<'_>, it: &CreditNote) -> Result<(), LedgerRefusal> {
    if !draft.loaded.documents.contains_key(&it.corrects) {
        return Err(LedgerRefusal::UnknownDocument(it.corrects));
    }
    let payer = &it.payer;
    let entries = income(draft, payer, &it.revenue, &it.taxes)?;
    let total = sum(&entries)?;
    let available = Account::Payer(payer.clone(), Purse::Available);
    for (account, amount) in entries {
        let amount = not_negative("a line of the credit note", amount)?;
        draft.post_for(payer, "credit-note", account, available.clone(), amount)?;
    }
    let corrects = Some(it.corrects);
    number(
        draft,
        payer,
        &it.paper,
        DocumentKind::CreditNote,
        total,
        corrects,
    )?;
    draft.refill(payer)?;
    let reference = it.corrects.to_string();
    items::agree(draft, payer, Some(&reference))
}
