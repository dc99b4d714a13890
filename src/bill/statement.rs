//! Pure: a payer's statement: each transfer with its effect on the wallet as a whole and the
//! balance after it.

use crate::ledger::records::{Account, Purse, Transfer};
use crate::terms::ids::PayerId;
use crate::terms::money::{Micros, MoneyError};
use crate::terms::time::Timestamp;

/// One line of a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatementLine {
    /// When.
    pub at: Timestamp,
    /// What happened: the transfer's event.
    pub event: String,
    /// The wallet as a whole: available, held, retention and accrued together.
    pub amount: Micros,
    /// The wallet after it.
    pub balance: Micros,
}

/// The statement of a payer from his transfers, oldest first. Movements within the wallet (holds,
/// covers, accrual) change nothing of it and are left out.
pub fn statement<'a>(
    payer: &PayerId,
    opening: Micros,
    transfers: impl IntoIterator<Item = &'a Transfer>,
) -> Result<Vec<StatementLine>, MoneyError> {
    let mut balance = opening;
    let mut lines = Vec::new();
    for transfer in transfers {
        let mut amount = Micros::ZERO;
        if of_wallet(&transfer.credit, payer) {
            amount = amount.plus(transfer.amount)?;
        }
        if of_wallet(&transfer.debit, payer) {
            amount = amount.minus(transfer.amount)?;
        }
        if amount.is_zero() {
            continue;
        }
        balance = balance.plus(amount)?;
        lines.push(StatementLine {
            at: transfer.at,
            event: transfer.event.clone(),
            amount,
            balance,
        });
    }
    Ok(lines)
}

fn of_wallet(account: &Account, payer: &PayerId) -> bool {
    let wallet = [
        Purse::Available,
        Purse::Held,
        Purse::Retention,
        Purse::Accrued,
    ];
    matches!(account, Account::Payer(of, purse) if of == payer && wallet.contains(purse))
}
