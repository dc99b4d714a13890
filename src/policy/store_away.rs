//! Pure: how a policy says what becomes of raising calls while the books are away, and how much
//! that can cost at worst.

use super::customer::RuleSet;
use super::faults::Faults;
use super::prepaid::StoreAway;
use super::shape;
use crate::terms::ids::PayerId;
use crate::terms::money::{Currency, Micros, charge_to_micros};
use std::collections::BTreeMap;
use toml::Spanned;

/// What a profile says.
pub(super) fn read(
    written: &Spanned<shape::StoreAway>,
    faults: &mut Faults<'_>,
) -> Option<StoreAway> {
    let span = written.span();
    let (shape::StoreAway::Word(text) | shape::StoreAway::Open { open_up_to: text }) =
        written.get_ref();
    let text = Spanned::new(span.clone(), text.clone());
    if let shape::StoreAway::Word(_) = written.get_ref() {
        return faults.word(&text, &[("closed", StoreAway::Closed)]);
    }
    let read = charge_to_micros(faults.amount(&text, "open_up_to")?);
    if read.is_err() {
        let what = format!("open_up_to `{}` is out of range", text.get_ref());
        faults.at(span.start, what, "write a smaller amount");
    }
    read.ok().map(StoreAway::OpenUpTo)
}

/// What the operator stands to lose at worst in one currency while the books are away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WorstLoss {
    /// Payers whose raising calls pass up to a cap.
    pub open: usize,
    /// Payers whose raising calls are refused.
    pub closed: usize,
    /// The caps of those that are open, together; the most that an amount can be where they
    /// come to more.
    pub most: Micros,
}

impl RuleSet {
    /// How far raising calls of the payer may go while the books are away; closed for nobody's.
    #[must_use]
    pub fn store_away(&self, payer: &PayerId) -> StoreAway {
        let profile = self.profile_of(payer);
        profile.map_or(StoreAway::Closed, |profile| profile.store_away)
    }

    /// The worst possible loss by currency: each payer's cap, whatever he has.
    #[must_use]
    pub fn worst_loss(&self) -> BTreeMap<Currency, WorstLoss> {
        let mut sums: BTreeMap<Currency, WorstLoss> = BTreeMap::new();
        for customer in self.customers.values() {
            let sum = sums.entry(customer.currency).or_default();
            match self.store_away(&customer.id) {
                StoreAway::Closed => sum.closed = sum.closed.saturating_add(1),
                StoreAway::OpenUpTo(cap) => {
                    sum.open = sum.open.saturating_add(1);
                    sum.most = sum.most.plus(cap).unwrap_or(Micros::new(i64::MAX));
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests;
