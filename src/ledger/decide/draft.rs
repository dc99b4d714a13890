//! Pure: the effects of one command while they are being put together.

use super::grant;
use crate::ledger::caps::{Cap, CapShare};
use crate::ledger::grants::Grant;
use crate::ledger::loaded::{Effects, Loaded};
use crate::ledger::records::{
    Account, Accrual, AccrualKey, Allocation, Document, Hold, Item, PayerState, Purse, Transfer,
};
use crate::ledger::refusal::LedgerRefusal;
use crate::ledger::touches::transfer_name;
use crate::terms::ids::{CapId, HoldId, PayerId, SellerId};
use crate::terms::money::{Currency, Micros};
use crate::terms::time::Timestamp;
use std::collections::BTreeMap;

/// The books as they would be: what was loaded, and on top of it what this command changed.
pub(super) struct Draft<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) name: String,
    pub(super) at: Timestamp,
    pub(super) document: Option<Document>,
    pub(super) items: BTreeMap<(PayerId, String), Item>,
    pub(super) allocations: Vec<Allocation>,
    payers: BTreeMap<PayerId, PayerState>,
    transfers: Vec<Transfer>,
    holds: Vec<Hold>,
    accruals: BTreeMap<AccrualKey, Accrual>,
    caps: BTreeMap<CapId, Cap>,
    shares: BTreeMap<(CapId, PayerId), CapShare>,
    grants: BTreeMap<PayerId, Vec<Grant>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(loaded: &'a Loaded, name: String, at: Timestamp) -> Self {
        Self {
            loaded,
            name,
            at,
            document: None,
            items: BTreeMap::new(),
            allocations: Vec::new(),
            payers: BTreeMap::new(),
            transfers: Vec::new(),
            holds: Vec::new(),
            accruals: BTreeMap::new(),
            caps: BTreeMap::new(),
            shares: BTreeMap::new(),
            grants: BTreeMap::new(),
        }
    }

    pub(super) fn finish(self, digest: [u8; 32]) -> Effects {
        let grants = self.changed_grants();
        Effects {
            name: self.name,
            digest,
            already_done: false,
            transfers: self.transfers,
            payers: self.payers.into_values().collect(),
            holds: self.holds,
            caps: self.caps.into_values().collect(),
            cap_shares: self.shares.into_values().collect(),
            grants,
            accruals: self.accruals.into_values().collect(),
            document: self.document,
            items: self.items.into_values().collect(),
            allocations: self.allocations,
        }
    }

    pub(super) fn payer(&mut self, payer: &PayerId) -> Result<&mut PayerState, LedgerRefusal> {
        if !self.payers.contains_key(payer) {
            let loaded = self.loaded.payers.get(payer);
            let state = loaded.ok_or_else(|| LedgerRefusal::UnknownPayer(payer.clone()))?;
            self.payers.insert(payer.clone(), state.clone());
        }
        self.payers
            .get_mut(payer)
            .ok_or_else(|| LedgerRefusal::UnknownPayer(payer.clone()))
    }

    pub(super) fn open(&mut self, state: PayerState) {
        self.payers.insert(state.payer.clone(), state);
    }

    pub(super) fn legs(&self, hold: HoldId) -> Result<Vec<Hold>, LedgerRefusal> {
        let legs = self.loaded.holds.get(&hold).filter(|legs| !legs.is_empty());
        legs.cloned().ok_or(LedgerRefusal::UnknownHold(hold))
    }

    pub(super) fn put_hold(&mut self, hold: Hold) {
        self.holds.push(hold);
    }

    /// A cap's row; where there is none, unused in the period that began then.
    pub(super) fn cap(&mut self, id: &CapId, start: Timestamp) -> &mut Cap {
        let loaded = self.loaded.caps.get(id);
        self.caps.entry(id.clone()).or_insert_with(|| {
            let unused = || Cap::unused(id.clone(), start);
            loaded.cloned().unwrap_or_else(unused)
        })
    }

    pub(super) fn put_cap(&mut self, cap: Cap) {
        self.caps.insert(cap.id.clone(), cap);
    }

    /// A payer's part of a cap, empty where there is none yet.
    pub(super) fn share(
        &mut self,
        cap: &CapId,
        payer: &PayerId,
        start: Timestamp,
    ) -> &mut CapShare {
        let key = (cap.clone(), payer.clone());
        let loaded = self.loaded.cap_shares.get(&key);
        self.shares.entry(key).or_insert_with(|| {
            let none = || CapShare::none(cap.clone(), payer.clone(), start);
            loaded.cloned().unwrap_or_else(none)
        })
    }

    /// Whether he was ever granted gift credit.
    pub(super) fn has_grants(&self, payer: &PayerId) -> bool {
        self.grants.contains_key(payer) || self.loaded.grants.contains_key(payer)
    }

    /// A payer's grants of gift credit, soonest end first.
    pub(super) fn grants(&mut self, payer: &PayerId) -> &mut Vec<Grant> {
        let loaded = self.loaded.grants.get(payer);
        let rows = || loaded.cloned().unwrap_or_default();
        self.grants.entry(payer.clone()).or_insert_with(rows)
    }

    /// The grants that are new or not what they were.
    fn changed_grants(&self) -> Vec<Grant> {
        let known = |row: &Grant| {
            let before = self.loaded.grants.get(&row.payer);
            before.is_some_and(|rows| rows.contains(row))
        };
        let rows = self.grants.values().flatten();
        rows.filter(|row| !known(row)).cloned().collect()
    }

    /// The accrual row of this key, empty where nothing accrued yet.
    pub(super) fn accrual(&mut self, key: AccrualKey) -> &mut Accrual {
        let loaded = self.loaded;
        self.accruals.entry(key).or_insert_with_key(|key| {
            loaded
                .accruals
                .get(key)
                .cloned()
                .unwrap_or_else(|| Accrual {
                    payer: key.0.clone(),
                    month: key.1.clone(),
                    line: key.2.clone(),
                    tax_group: key.3.clone(),
                    quantity: crate::terms::quantity::UnitMicros::ZERO,
                    total: Micros::ZERO,
                    promo_total: Micros::ZERO,
                    invoiced: Micros::ZERO,
                    promo_invoiced: Micros::ZERO,
                })
        })
    }

    /// Books one transfer; below nothing it goes the other way, and nothing is not booked.
    pub(super) fn post(
        &mut self,
        books: (SellerId, Currency),
        event: &str,
        debit: Account,
        credit: Account,
        amount: Micros,
    ) -> Result<(), LedgerRefusal> {
        if amount.is_zero() {
            return Ok(());
        }
        if amount.is_negative() {
            return self.post(books, event, credit, debit, amount.negated()?);
        }
        self.shift(&debit, amount.negated()?)?;
        self.shift(&credit, amount)?;
        grant::follow(self, (&debit, &credit), amount)?;
        self.transfers.push(Transfer {
            id: transfer_name(&self.name, self.transfers.len()),
            seller: books.0,
            currency: books.1,
            event: event.to_owned(),
            debit,
            credit,
            amount,
            at: self.at,
        });
        Ok(())
    }

    fn shift(&mut self, account: &Account, by: Micros) -> Result<(), LedgerRefusal> {
        if let Account::Payer(payer, purse) = account {
            let state = self.payer(payer)?;
            let balance = &mut state.purses[purse.index()];
            *balance = balance.plus(by)?;
        }
        Ok(())
    }

    /// Books one transfer in the books of the payer's seller, in the payer's currency.
    pub(super) fn post_for(
        &mut self,
        payer: &PayerId,
        event: &str,
        debit: Account,
        credit: Account,
        amount: Micros,
    ) -> Result<(), LedgerRefusal> {
        let state = self.payer(payer)?;
        let books = (state.seller.clone(), state.currency);
        self.post(books, event, debit, credit, amount)
    }

    /// Moves money between two purses of a payer.
    pub(super) fn shove(
        &mut self,
        payer: &PayerId,
        event: &str,
        from: Purse,
        to: Purse,
        amount: Micros,
    ) -> Result<(), LedgerRefusal> {
        let debit = Account::Payer(payer.clone(), from);
        let credit = Account::Payer(payer.clone(), to);
        self.post_for(payer, event, debit, credit, amount)
    }

    /// A seller's account in the books of the payer's seller.
    pub(super) fn own(&mut self, payer: &PayerId, name: String) -> Result<Account, LedgerRefusal> {
        Ok(Account::Seller(self.payer(payer)?.seller.clone(), name))
    }

    /// Books entries that sum to zero (credits above nothing, debits below) as transfers, each
    /// debit used up before the next.
    pub(super) fn pair(
        &mut self,
        payer: &PayerId,
        event: &str,
        entries: Vec<(Account, Micros)>,
    ) -> Result<(), LedgerRefusal> {
        let (credits, debits): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| !entry.1.is_negative());
        let mut debits = debits.into_iter();
        let mut debit = debits.next();
        for (account, mut wanted) in credits {
            while !wanted.is_zero() {
                let Some((from, left)) = debit.as_mut() else {
                    return Err(LedgerRefusal::OutOfRange);
                };
                let part = wanted.min(left.negated()?);
                let from = from.clone();
                *left = left.plus(part)?;
                if left.is_zero() {
                    debit = debits.next();
                }
                wanted = wanted.minus(part)?;
                self.post_for(payer, event, from, account.clone(), part)?;
            }
        }
        Ok(())
    }

    /// Fills the cover up from what is available above the floor, and the gift part likewise.
    pub(super) fn refill(&mut self, payer: &PayerId) -> Result<(), LedgerRefusal> {
        grant::end_due(self, payer)?;
        let state = self.payer(payer)?;
        let wallet = state.cover_short()?.min(state.spendable()?.or_zero());
        let short = state.promo_cover_target.minus(state.promo_cover()?)?;
        let left = state.purse(Purse::PromoAvailable).or_zero();
        let promo = short.or_zero().min(left);
        let (from, to) = (Purse::PromoAvailable, Purse::PromoHeld);
        self.shove(payer, "refill", from, to, promo)?;
        self.shove(payer, "refill", Purse::Available, Purse::Held, wallet)
    }
}
