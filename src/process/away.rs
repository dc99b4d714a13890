//! Edge: what becomes of raising calls while the books are away, as operators see it.

use super::wiring::Product;
use crate::gate::away::share;
use crate::ops::views::{AlarmView, AwaySum, AwayView};

/// Mode, worst possible loss and what of it has passed here; asks nothing of the books.
#[must_use]
pub fn view(product: &Product) -> AwayView {
    let (away, rules) = (&product.gate.away, product.rules.load_full());
    let (passed, now) = (away.passed(), product.clock.billing());
    let sums = rules.worst_loss().into_iter().map(|(currency, worst)| {
        let of_currency = passed.iter().filter(|one| {
            let customer = rules.customers.get(&one.payer);
            customer.is_some_and(|customer| customer.currency == currency)
        });
        AwaySum {
            currency: currency.to_string(),
            open: worst.open,
            closed: worst.closed,
            worst: worst.most.to_string(),
            passed: share::sum(of_currency, now).to_string(),
        }
    });
    AwayView {
        now: product.store.is_away(),
        possible: product.store.shared(),
        nodes: away.nodes(),
        calls: passed.len(),
        sums: sums.collect(),
    }
}

/// What of it needs a person.
#[must_use]
pub fn alarms(product: &Product) -> Vec<AlarmView> {
    let away = &product.gate.away;
    let mut alarms = Vec::new();
    if product.store.is_away() {
        alarms.push(AlarmView {
            kind: "away".to_owned(),
            what: "PostgreSQL does not answer: raising calls are refused, or pass up to the caps"
                .to_owned(),
            act: "mend PostgreSQL; everything goes on by itself, and what passed is charged then"
                .to_owned(),
        });
    }
    alarms.extend(away.faults().into_iter().map(|what| AlarmView {
        kind: "journal".to_owned(),
        what,
        act: "write the customer back into policies/customers and start this node again".to_owned(),
    }));
    if let Some(why) = away.journal_fault() {
        alarms.push(AlarmView {
            kind: "journal".to_owned(),
            what: format!("the journal cannot be written: {why}"),
            act: "mend the disk of the node's folder, then start this node again".to_owned(),
        });
    }
    alarms
}
