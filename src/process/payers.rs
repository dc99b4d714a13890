//! Edge: customers of the policies become payers of the books.

use crate::ledger::Command;
use crate::ledger::command::Terms;
use crate::ledger::records::BillingMode;
use crate::policy::customer::{Customer, PayMode, RuleSet};
use crate::store::{Store, StoreError, Work};
use crate::terms::time::Timestamp;

/// Opens the books of customers who have none, and brings changed terms into the books.
///
/// # Errors
/// [`StoreError`]; what was opened before it stays open.
pub async fn open(store: &Store, rules: &RuleSet, now: Timestamp) -> Result<(), StoreError> {
    for customer in rules.customers.values() {
        let terms = terms(customer);
        let payer = customer.id.clone();
        let command = match store.payer(&payer).await? {
            None => Command::OpenPayer {
                payer,
                seller: customer.seller.clone(),
                currency: customer.currency,
                terms,
                at: now,
            },
            Some(state) if state.mode != terms.mode || state.credit_line != terms.credit_line => {
                let id = format!("policy/{payer}/{}", now.micros());
                Command::SetTerms {
                    id,
                    payer,
                    terms,
                    at: now,
                }
            }
            Some(_) => continue,
        };
        store.submit(Work::of(command)).await?;
    }
    Ok(())
}

fn terms(customer: &Customer) -> Terms {
    let mode = match customer.mode {
        PayMode::Prepaid => BillingMode::Prepaid,
        PayMode::Postpaid => BillingMode::Postpaid,
    };
    Terms {
        mode,
        credit_line: customer.credit_line,
    }
}
