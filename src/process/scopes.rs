//! Edge: what accounts, projects and domains spend, for the operators' page.

use super::wiring::Product;
use crate::meter::resource::{Interval, Owner};
use crate::meter::spend::{Spend, Spender, spend, spenders};
use crate::ops::views::{LiveView, PayerView, ROWS_MAX, ScopeView};
use crate::policy::customer::RuleSet;
use crate::rate::meter_per_hour;
use crate::store::StoreError;
use crate::terms::ids::PayerId;
use crate::terms::money::charge_to_micros;
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{BillingMonth, Timestamp};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// Spend of every account, project and domain, this month.
pub(super) async fn scopes(
    product: &Product,
    rules: &RuleSet,
    payers: &[PayerView],
    now: Timestamp,
    view: &mut LiveView,
) -> Result<(), StoreError> {
    let zone = rules
        .sellers
        .values()
        .next()
        .map_or("UTC", |seller| seller.zone.as_str());
    let this = BillingMonth::containing(now, zone).and_then(|month| month.period());
    let Ok(period) = this else { return Ok(()) };
    let rows = product.store.intervals_in(None, period).await?;
    let mut payer_of: BTreeMap<&Owner, &PayerId> = BTreeMap::new();
    let mut paying: BTreeMap<Spender, BTreeSet<&PayerId>> = BTreeMap::new();
    for row in &rows {
        let Some(payer) = &row.payer else { continue };
        if payer_of.insert(&row.interval.owner, payer) != Some(payer) {
            for spender in spenders(&row.interval.owner) {
                paying.entry(spender).or_default().insert(payer);
            }
        }
    }
    let price = |interval: &Interval| {
        let payer = payer_of.get(&interval.owner);
        payer.map_or(Decimal::ZERO, |payer| hourly(rules, payer, interval, now))
    };
    let intervals = rows.iter().map(|row| &row.interval);
    let sums = spend(intervals, period.start, now, price).unwrap_or_default();
    let nobody = BTreeSet::new();
    let mut scopes: Vec<(Decimal, ScopeView)> = Vec::new();
    for (spender, sum) in &sums {
        let found = paying.get(spender).unwrap_or(&nobody);
        let view = scope(product, spender, sum, found, payers).await;
        scopes.push((sum.per_hour, view));
    }
    scopes.sort_by_key(|scope| std::cmp::Reverse(scope.0));
    view.scopes_total = scopes.len();
    view.scopes = scopes
        .into_iter()
        .map(|(_, scope)| scope)
        .take(ROWS_MAX)
        .collect();
    Ok(())
}

async fn scope(
    product: &Product,
    spender: &Spender,
    sum: &Spend,
    found: &BTreeSet<&PayerId>,
    payers: &[PayerView],
) -> ScopeView {
    let (kind, name, domain) = match spender {
        Spender::Account(domain, id, name) => {
            let name = name
                .clone()
                .or_else(|| id.as_ref().map(ToString::to_string));
            ("account", name.unwrap_or_default(), Some(domain))
        }
        Spender::Project(id) => ("project", id.to_string(), None),
        Spender::Domain(id) => ("domain", String::new(), Some(id)),
    };
    let domain_name = match domain {
        Some(id) => {
            let known = product.directory.name(id).await.ok().flatten();
            known.unwrap_or_else(|| id.to_string())
        }
        None => String::new(),
    };
    let paying = payers
        .iter()
        .filter(|p| found.iter().any(|id| id.as_str() == p.id));
    let rounded = |exact: Decimal| charge_to_micros(exact).unwrap_or_default().to_string();
    ScopeView {
        kind: kind.to_owned(),
        name: if name.is_empty() {
            domain_name.clone()
        } else {
            name
        },
        domain: domain_name,
        payers: found.iter().map(ToString::to_string).collect(),
        currency: paying
            .clone()
            .next()
            .map(|p| p.currency.clone())
            .unwrap_or_default(),
        spent: rounded(sum.so_far),
        per_hour: rounded(sum.per_hour),
        empty_in: paying.filter_map(|payer| payer.empty_in).min(),
    }
}

pub(super) fn hourly(
    rules: &RuleSet,
    payer: &PayerId,
    interval: &Interval,
    now: Timestamp,
) -> Decimal {
    let (Some(book), Some(terms)) = (rules.book_of(payer), rules.terms_of(payer)) else {
        return Decimal::ZERO;
    };
    let meter = (interval.meter.usage_type, &interval.attributes);
    meter_per_hour(book, &terms, meter, |_| UnitMicros::ZERO, now).unwrap_or_default()
}
