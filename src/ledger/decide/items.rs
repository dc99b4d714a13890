//! Pure: what a payer owes, as open items, and the money put to them.
//!
//! The open items of a payer always sum to what he owes. Money goes to the item that a payment
//! names, then to the oldest; it is taken back newest first.

use super::draft::Draft;
use crate::ledger::records::{Allocation, Item};
use crate::ledger::refusal::LedgerRefusal;
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;
use crate::terms::time::Timestamp;

/// Opens an item.
pub(super) fn open(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    id: String,
    amount: Micros,
    due: Timestamp,
) {
    let item = Item {
        id: id.clone(),
        payer: payer.clone(),
        amount,
        open: amount,
        due,
        at: draft.at,
    };
    draft.items.insert((payer.clone(), id), item);
}

/// Makes the open items sum to what the payer owes now.
pub(super) fn agree(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    reference: Option<&str>,
) -> Result<(), LedgerRefusal> {
    let owes = draft.payer(payer)?.owes()?;
    let items = all_of(draft, payer);
    let open_sum = Micros::sum(items.iter().map(|item| item.open))?;
    if open_sum >= owes {
        return allocate(draft, items, reference, open_sum.minus(owes)?);
    }
    let missing = take_back(draft, payer, items, owes.minus(open_sum)?)?;
    if !missing.is_zero() {
        let (id, due) = (draft.name.clone(), draft.at);
        open(draft, payer, id, missing, due);
    }
    Ok(())
}

fn all_of(draft: &Draft<'_>, payer: &PayerId) -> Vec<Item> {
    let from = (payer.clone(), String::new());
    let mut items: Vec<Item> = draft
        .loaded
        .items
        .range(from..)
        .take_while(|(key, _)| key.0 == *payer)
        .filter(|(key, _)| !draft.items.contains_key(*key))
        .map(|(_, item)| item.clone())
        .collect();
    let fresh = draft.items.iter().filter(|(key, _)| key.0 == *payer);
    items.extend(fresh.map(|(_, item)| item.clone()));
    items
}

fn allocate(
    draft: &mut Draft<'_>,
    mut items: Vec<Item>,
    reference: Option<&str>,
    mut money: Micros,
) -> Result<(), LedgerRefusal> {
    items.sort_by(|a, b| {
        let rank = |item: &Item| (reference != Some(item.id.as_str()), item.at);
        rank(a).cmp(&rank(b)).then_with(|| a.id.cmp(&b.id))
    });
    for item in items {
        let part = money.min(item.open);
        if part > Micros::ZERO {
            money = money.minus(part)?;
            put(draft, item, part)?;
        }
    }
    Ok(())
}

/// Takes allocations back, newest first; what is still missing comes back.
fn take_back(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    items: Vec<Item>,
    mut missing: Micros,
) -> Result<Micros, LedgerRefusal> {
    let loaded = draft.loaded;
    let past = loaded.allocations.get(payer).map_or(&[][..], Vec::as_slice);
    let mut items = items;
    for row in past.iter().rev().filter(|row| row.amount > Micros::ZERO) {
        let Some(item) = items.iter_mut().find(|item| item.id == row.item) else {
            continue;
        };
        let part = missing.min(row.amount).min(item.amount.minus(item.open)?);
        if part > Micros::ZERO {
            missing = missing.minus(part)?;
            item.open = item.open.plus(part)?;
            let mut before = item.clone();
            before.open = before.open.minus(part)?;
            put(draft, before, part.negated()?)?;
        }
    }
    Ok(missing)
}

fn put(draft: &mut Draft<'_>, mut item: Item, amount: Micros) -> Result<(), LedgerRefusal> {
    item.open = item.open.minus(amount)?;
    draft.allocations.push(Allocation {
        id: format!("{}/{}", draft.name, draft.allocations.len()),
        item: item.id.clone(),
        payer: item.payer.clone(),
        amount,
        at: draft.at,
    });
    draft
        .items
        .insert((item.payer.clone(), item.id.clone()), item);
    Ok(())
}
