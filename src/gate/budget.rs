//! Edge: the caps on a raising call's way up, asked of the policies and of CloudStack's domains.

use super::authenticate::Caller;
use super::line::Gate;
use super::refusal::Refusal;
use crate::ledger::caps::CapBound;
use crate::meter::resource::Owner;
use crate::policy::caps::{Spending, chain};
use crate::policy::customer::RuleSet;
use crate::terms::ids::{CapId, PayerId, SellerId};
use crate::terms::time::Timestamp;

/// The caps that a hold for what this owner gets has to pass, in the order in which they are
/// asked: the caller's key and user, then the owner's account or project, his domains, resellers.
///
/// # Errors
/// [`Refusal::CannotAsk`] where CloudStack could not be asked for the owner's domains.
pub(super) async fn caps(
    gate: &Gate,
    caller: &Caller,
    owner: &Owner,
    payer: &PayerId,
    now: Timestamp,
) -> Result<Vec<CapBound>, Refusal> {
    let rules = gate.rules.load_full();
    let Some(customer) = rules.customers.get(payer) else {
        return Ok(Vec::new());
    };
    if rules.caps.is_empty() {
        return Ok(Vec::new());
    }
    let cannot = |fault: crate::upstream::UpstreamError| Refusal::CannotAsk(fault.what);
    let path = gate.directory.path(&owner.domain).await.map_err(cannot)?;
    let unknown = || Refusal::CannotAsk("a domain without a path".to_owned());
    let path = path.ok_or_else(unknown)?;
    let domains: Vec<&str> = path.iter().map(|id| id.as_str()).collect();
    let account = match (&owner.account, &owner.account_name, &owner.project) {
        (Some(id), ..) => Some(id.clone()),
        (None, Some(name), None) => {
            let account = gate.directory.account(name, &owner.domain).await;
            account.map_err(cannot)?.map(|account| account.id.clone())
        }
        _ => None,
    };
    let spending = Spending {
        currency: customer.currency,
        key: caller.key().map(|key| key.api_key.as_str()),
        user: caller.person().user.as_deref(),
        account: account.as_ref().map(|id| id.as_str()),
        project: owner.project.as_ref().map(|id| id.as_str()),
        domains: &domains,
        resellers: &resellers(&rules, payer),
    };
    let mut bounds = Vec::new();
    for one in chain(&rules.caps, &spending) {
        let start = one.cap.period.start(now, &one.cap.zone);
        bounds.push(CapBound {
            cap: CapId::from(one.name),
            rule: one.cap.id.clone(),
            most: one.cap.most,
            start: start.map_err(|fault| Refusal::StoreAway(fault.to_string()))?,
            reason: one.cap.reason.clone(),
        });
    }
    Ok(bounds)
}

/// The sellers above a payer that resell, nearest first.
fn resellers(rules: &RuleSet, payer: &PayerId) -> Vec<SellerId> {
    let chain = rules.chain_of(payer);
    let sellers = chain.iter().filter_map(|payer| {
        let seller = &rules.customers.get(payer)?.seller;
        rules.sellers.get(seller)
    });
    sellers
        .filter(|seller| seller.wholesale.is_some())
        .map(|seller| seller.id.clone())
        .collect()
}
