//! Pure: the names of the ledger's accounts, as they are stored and shown.
//!
//! `payer:<id>/wallet.available`, `seller:<id>/revenue.compute`. An id may hold any character but
//! `/`.

use super::records::{Account, Purse};
use crate::terms::ids::{PayerId, SellerId};

/// Where gift credit is an expense.
pub const PROMO_COST: &str = "promo_cost";
/// What no document can say to the millionth.
pub const ROUNDING: &str = "rounding";
/// Between two currencies.
pub const FX: &str = "fx";
/// What providers keep.
pub const FEES: &str = "fees";
/// What will not come in.
pub const BAD_DEBT: &str = "bad_debt";
/// What came in without a name.
pub const UNALLOCATED: &str = "unallocated";

/// The seller's account at a provider or bank.
#[must_use]
pub fn cash(provider: &str) -> String {
    format!("cash.{provider}")
}
/// Captured by a provider and not paid out yet.
#[must_use]
pub fn clearing(provider: &str) -> String {
    format!("clearing.{provider}")
}
/// Revenue of a class.
#[must_use]
pub fn revenue(class: &str) -> String {
    format!("revenue.{class}")
}
/// Tax of a country and rate: `DE.19`.
#[must_use]
pub fn tax(country_rate: &str) -> String {
    format!("tax.{country_rate}")
}
/// What the house owes a reseller.
#[must_use]
pub fn payable(reseller: &SellerId) -> String {
    format!("payable.{reseller}")
}

/// Not the name of an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a ledger account: `payer:<id>/<purse>` or `seller:<id>/<account>` is wanted")]
pub struct NotAnAccount(pub String);

/// The account's stored name.
#[must_use]
pub fn print(account: &Account) -> String {
    match account {
        Account::Payer(payer, purse) => format!("payer:{payer}/{}", purse.name()),
        Account::Seller(seller, name) => format!("seller:{seller}/{name}"),
    }
}

/// The account with a stored name.
///
/// # Errors
/// [`NotAnAccount`] where it is none.
pub fn parse(text: &str) -> Result<Account, NotAnAccount> {
    let fault = || NotAnAccount(text.to_owned());
    let (kind, rest) = text.split_once(':').ok_or_else(fault)?;
    let (id, name) = rest.split_once('/').ok_or_else(fault)?;
    if id.is_empty() || name.is_empty() {
        return Err(fault());
    }
    match kind {
        "payer" => Purse::ALL
            .into_iter()
            .find(|purse| purse.name() == name)
            .map(|purse| Account::Payer(PayerId::from(id), purse))
            .ok_or_else(fault),
        "seller" => Ok(Account::Seller(SellerId::from(id), name.to_owned())),
        _ => Err(fault()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_reads_back_as_it_was_printed() {
        for purse in Purse::ALL {
            let account = Account::Payer(PayerId::from("acme"), purse);
            assert_eq!(parse(&print(&account)), Ok(account));
        }
        let account = Account::Seller(SellerId::from("house"), tax("DE.19"));
        assert_eq!(print(&account), "seller:house/tax.DE.19");
        assert_eq!(parse(&print(&account)), Ok(account));
    }

    #[test]
    fn a_text_that_names_no_account_is_refused() {
        for text in [
            "",
            "payer:acme",
            "payer:acme/wallet.gold",
            "buyer:a/fx",
            "seller:/fx",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
