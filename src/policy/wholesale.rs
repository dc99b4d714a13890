//! Pure: whether a reseller's wholesale wallet, and the chain above it, can be used.

use super::faults::Faults;
use super::shape;
use crate::policy::customer::RuleSet;
use crate::terms::ids::PayerId;

/// A reseller's wholesale wallet is a customer of somebody else and no other seller's, and nobody
/// sells to himself.
pub(super) fn check(shape: &shape::Seller, rules: &RuleSet, faults: &mut Faults<'_>) {
    let Some(written) = &shape.wholesale else {
        return;
    };
    let start = written.span().start;
    let id = PayerId::from(written.get_ref().as_str());
    if !rules.customers.contains_key(&id) {
        let what = format!("wholesale wallet `{id}` is not a customer");
        faults.at(
            start,
            what,
            "write the id of a [[customer]] of the supplier",
        );
        return;
    }
    let mut others = rules.sellers.values();
    let other =
        others.find(|other| other.id.as_str() != shape.id && other.wholesale.as_ref() == Some(&id));
    if let Some(other) = other {
        let what = format!("wholesale wallet `{id}` is seller `{}`'s already", other.id);
        faults.at(
            start,
            what,
            "give each reseller a [[customer]] of its own at the supplier",
        );
    }
    let own = |payer: &PayerId| {
        let customer = rules.customers.get(payer);
        customer.is_some_and(|customer| customer.seller.as_str() == shape.id)
    };
    if rules.chain_of(&id).iter().any(own) {
        let what = format!("seller `{}` sells to himself through `{id}`", shape.id);
        faults.at(
            start,
            what,
            "let the chain end at a seller without `wholesale`",
        );
    }
}
