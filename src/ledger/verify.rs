//! Pure: what always holds in the books, checked from the rows alone.

use super::chart;
use super::records::{Account, Hold, HoldStatus, Item, PayerState, Purse, Transfer};
use crate::terms::ids::{CapId, PayerId, SellerId};
use crate::terms::money::{Currency, Micros};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Something in the books that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookFault {
    /// A seller's books do not sum to zero.
    #[error("the books of `{seller}` in {currency} sum to {sum} millionths, not to nothing")]
    Sum {
        /// Whose.
        seller: SellerId,
        /// In which currency.
        currency: Currency,
        /// What they sum to.
        sum: i128,
    },
    /// A purse is not the sum of its transfers.
    #[error("{account} stands at {stands} millionths, its transfers sum to {sum}")]
    Purse {
        /// Which.
        account: String,
        /// The balance that is kept.
        stands: i128,
        /// What the transfers say.
        sum: i128,
    },
    /// Transfers name a payer who has no row.
    #[error("transfers name payer `{0}`, who has no books")]
    NoPayer(PayerId),
    /// What open holds say is not what the payer's row says.
    #[error("payer `{payer}`: open holds sum to {sum} millionths, his row says {stands}")]
    Holds {
        /// Who.
        payer: PayerId,
        /// The figure of the row.
        stands: i128,
        /// What the holds say.
        sum: i128,
    },
    /// A cover below nothing.
    #[error("payer `{payer}`: the cover is {cover} millionths, below nothing")]
    Cover {
        /// Who.
        payer: PayerId,
        /// The cover.
        cover: i128,
    },
    /// Open items are not what is owed.
    #[error("payer `{payer}`: open items sum to {items} millionths, he owes {owes}")]
    Items {
        /// Who.
        payer: PayerId,
        /// The sum of the open items.
        items: i128,
        /// What he owes.
        owes: i128,
    },
    /// A cap is not what open holds and payers' parts say.
    #[error(
        "cap `{cap}` has {held} millionths held and {accrued} accrued, its holds and parts sum \
         to {held_sum} and {accrued_sum}"
    )]
    Cap {
        /// Which.
        cap: CapId,
        /// Promised, says the row.
        held: i128,
        /// Consumed in the period, says the row.
        accrued: i128,
        /// Promised, say holds and parts.
        held_sum: i128,
        /// Consumed in the period, say the parts.
        accrued_sum: i128,
    },
    /// A grant of gift credit is not what the transfers say.
    #[error("payer `{payer}`: the grant `{id}` is not what the transfers say")]
    Grant {
        /// Whose.
        payer: PayerId,
        /// Which.
        id: String,
    },
    /// Gift credit that is of no grant.
    #[error("payer `{payer}`: transfer `{transfer}` moves gift credit that is of no grant")]
    GrantLost {
        /// Whose.
        payer: PayerId,
        /// The transfer.
        transfer: String,
    },
    /// Grants are not what is available and held.
    #[error(
        "payer `{payer}`: {left} millionths are left of grants, {unspent} of gift credit are \
         available or held; {ended} are left of ended ones, {held} are held"
    )]
    Grants {
        /// Whose.
        payer: PayerId,
        /// Left of all grants.
        left: i128,
        /// Available and held.
        unspent: i128,
        /// Left of those that came to their end.
        ended: i128,
        /// Held.
        held: i128,
    },
    /// The chain breaks at a transfer.
    #[error("the chain of hashes breaks at transfer `{0}`: it or one before it was changed")]
    Chain(String),
}

/// The hash of a transfer, chained to the one before it.
#[must_use]
pub fn chain(before: [u8; 32], transfer: &Transfer) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(before);
    let text = [
        transfer.id.as_str(),
        transfer.seller.as_str(),
        transfer.currency.code(),
        &transfer.event,
        &chart::print(&transfer.debit),
        &chart::print(&transfer.credit),
    ];
    for part in text {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(transfer.amount.get().to_le_bytes());
    hash.update(transfer.at.micros().to_le_bytes());
    hash.finalize().into()
}

/// Sums of the transfers, gathered one by one.
#[derive(Default, Debug)]
pub struct Sums {
    accounts: BTreeMap<(SellerId, Currency, Account), i128>,
}

impl Sums {
    /// Takes a transfer in.
    pub fn take(&mut self, transfer: &Transfer) {
        let amount = i128::from(transfer.amount.get());
        for (account, amount) in [(&transfer.debit, -amount), (&transfer.credit, amount)] {
            let key = (transfer.seller.clone(), transfer.currency, account.clone());
            // A 128-bit sum of 64-bit amounts cannot leave its range with fewer than 2⁶³ rows.
            let sum = self.accounts.entry(key).or_default();
            *sum = sum.saturating_add(amount);
        }
    }

    /// The trial balance: every account with its credit-normal sum.
    pub fn balances(&self) -> impl Iterator<Item = (&SellerId, Currency, &Account, i128)> {
        self.accounts
            .iter()
            .map(|(key, sum)| (&key.0, key.1, &key.2, *sum))
    }

    /// Every fault: sums, purses, holds, covers, items.
    #[must_use]
    pub fn faults(
        &self,
        payers: &BTreeMap<PayerId, PayerState>,
        open_holds: &[Hold],
        items: &[Item],
    ) -> Vec<BookFault> {
        let mut faults = self.sums_off();
        let mut purses: BTreeMap<(&PayerId, Purse), i128> = BTreeMap::new();
        for (_, _, account, sum) in self.balances() {
            if let Account::Payer(payer, purse) = account {
                let total = purses.entry((payer, *purse)).or_default();
                *total = total.saturating_add(sum);
                if !payers.contains_key(payer) {
                    faults.push(BookFault::NoPayer(payer.clone()));
                }
            }
        }
        for state in payers.values() {
            purse_faults(state, &purses, &mut faults);
            hold_faults(state, open_holds, &mut faults);
            item_faults(state, items, &mut faults);
        }
        faults
    }

    /// Payers' figures made anew from the transfers and the open holds alone. What only commands
    /// set (terms, cover targets, versions) is as it is kept.
    #[must_use]
    pub fn rebuilt(
        &self,
        payers: &BTreeMap<PayerId, PayerState>,
        open_holds: &[Hold],
    ) -> Vec<PayerState> {
        let narrow = |sum: i128| Micros::new(i64::try_from(sum).unwrap_or(i64::MAX));
        let mut rebuilt: BTreeMap<&PayerId, PayerState> = BTreeMap::new();
        for (payer, state) in payers {
            let mut state = state.clone();
            state.purses = [Micros::ZERO; 7];
            state.holds_open = Micros::ZERO;
            state.promo_holds_open = Micros::ZERO;
            rebuilt.insert(payer, state);
        }
        for (_, _, account, sum) in self.balances() {
            if let Account::Payer(payer, purse) = account
                && let Some(state) = rebuilt.get_mut(payer)
            {
                let before = i128::from(state.purses[purse.index()].get());
                state.purses[purse.index()] = narrow(before.saturating_add(sum));
            }
        }
        for hold in open_holds {
            if let Some(state) = rebuilt.get_mut(&hold.payer) {
                let of = |before: Micros, more: Micros| {
                    narrow(i128::from(before.get()).saturating_add(i128::from(more.get())))
                };
                state.holds_open = of(state.holds_open, hold.wallet);
                state.promo_holds_open = of(state.promo_holds_open, hold.promo);
            }
        }
        rebuilt.into_values().collect()
    }

    fn sums_off(&self) -> Vec<BookFault> {
        let mut books: BTreeMap<(&SellerId, Currency), i128> = BTreeMap::new();
        for (seller, currency, _, sum) in self.balances() {
            let total = books.entry((seller, currency)).or_default();
            *total = total.saturating_add(sum);
        }
        let off = books.into_iter().filter(|(_, sum)| *sum != 0);
        off.map(|((seller, currency), sum)| BookFault::Sum {
            seller: seller.clone(),
            currency,
            sum,
        })
        .collect()
    }
}

fn purse_faults(
    state: &PayerState,
    sums: &BTreeMap<(&PayerId, Purse), i128>,
    faults: &mut Vec<BookFault>,
) {
    for purse in Purse::ALL {
        let stands = i128::from(state.purse(purse).get());
        let sum = sums.get(&(&state.payer, purse)).copied().unwrap_or(0);
        if stands != sum {
            faults.push(BookFault::Purse {
                account: chart::print(&Account::Payer(state.payer.clone(), purse)),
                stands,
                sum,
            });
        }
    }
}

fn hold_faults(state: &PayerState, holds: &[Hold], faults: &mut Vec<BookFault>) {
    let of_payer = || {
        let open = holds.iter().filter(|hold| hold.status == HoldStatus::Open);
        open.filter(|hold| hold.payer == state.payer)
    };
    let wallet: i128 = of_payer().map(|hold| i128::from(hold.wallet.get())).sum();
    let promo: i128 = of_payer().map(|hold| i128::from(hold.promo.get())).sum();
    let pairs = [
        (wallet, state.holds_open, Purse::Held),
        (promo, state.promo_holds_open, Purse::PromoHeld),
    ];
    for (sum, kept, purse) in pairs {
        let stands = i128::from(kept.get());
        if sum != stands {
            faults.push(BookFault::Holds {
                payer: state.payer.clone(),
                stands,
                sum,
            });
        }
        let cover = i128::from(state.purse(purse).get()) - stands;
        if cover < 0 {
            faults.push(BookFault::Cover {
                payer: state.payer.clone(),
                cover,
            });
        }
    }
}

fn item_faults(state: &PayerState, items: &[Item], faults: &mut Vec<BookFault>) {
    let of_payer = items.iter().filter(|item| item.payer == state.payer);
    let items: i128 = of_payer.map(|item| i128::from(item.open.get())).sum();
    let wallet: i128 = state.purses[..4].iter().map(|p| i128::from(p.get())).sum();
    let owes = (-wallet).max(0);
    if items != owes {
        faults.push(BookFault::Items {
            payer: state.payer.clone(),
            items,
            owes,
        });
    }
}
