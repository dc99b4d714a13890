//! Pure: who may be told figures of a payer: balance, missing amount, price of what he has.

use crate::policy::customer::Customer;
use crate::terms::ids::PayerId;

/// Whether a caller whose own payer is `own` may be told figures of this payer: users of the
/// payer's accounts, where his policy shows the balance. Everybody else (an administrator, a
/// member of his project from elsewhere) hears "not enough balance" alone. Refusals, headers and
/// estimates ask here.
#[must_use]
pub fn may_be_told(payer: &Customer, own: Option<&PayerId>) -> bool {
    payer.show_balance && own == Some(&payer.id)
}
