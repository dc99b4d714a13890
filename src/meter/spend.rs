//! Pure: what the running meters cost: so far, per hour, and how long the money lasts.
//!
//! The price of an interval comes in as a function; which tiers and allowances it takes into
//! account is its business. Sums are exact decimals; nothing here rounds to money.

use super::resource::{Interval, Owner};
use crate::terms::ids::{CsAccountId, CsDomainId, CsProjectId};
use crate::terms::time::{HOUR, Period, SECOND, Timestamp};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeMap;

/// Whose spending a sum is. An account without an id is known by name within its domain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Spender {
    /// One account.
    Account(CsDomainId, Option<CsAccountId>, Option<String>),
    /// One project.
    Project(CsProjectId),
    /// Everything directly in a domain, its projects included.
    Domain(CsDomainId),
}

/// A sum: what was consumed in the period, and what runs on costs per hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spend {
    /// Consumed in the period, main units of the currency.
    pub so_far: Decimal,
    /// Of what runs at the end of the period, per hour.
    pub per_hour: Decimal,
}

impl Spend {
    /// Seconds until so much money is used up at the present rate; none where nothing costs.
    /// Nothing left is 0. Beyond 292,000 years it is none as well.
    #[must_use]
    pub fn seconds_until_empty(&self, left: Decimal) -> Option<i64> {
        if self.per_hour <= Decimal::ZERO {
            return None;
        }
        left.max(Decimal::ZERO)
            .checked_mul(Decimal::from(HOUR / SECOND))?
            .checked_div(self.per_hour)?
            .trunc()
            .to_i64()
    }
    fn add(&mut self, so_far: Decimal, per_hour: Decimal) -> Result<(), SpendOverflow> {
        let sum = |a: Decimal, b| a.checked_add(b).ok_or(SpendOverflow);
        self.so_far = sum(self.so_far, so_far)?;
        self.per_hour = sum(self.per_hour, per_hour)?;
        Ok(())
    }
}

/// A price or a sum of prices left the range of exact decimals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("spending is beyond 28 digits: a price per hour is far too large, see `rate` in the book")]
pub struct SpendOverflow;

/// Spending of every account, project and domain from `since` to `now`.
/// Refuses [`SpendOverflow`].
pub fn spend<'a>(
    intervals: impl IntoIterator<Item = &'a Interval>,
    since: Timestamp,
    now: Timestamp,
    price_per_hour: impl Fn(&Interval) -> Decimal,
) -> Result<BTreeMap<Spender, Spend>, SpendOverflow> {
    let window = Period {
        start: since,
        end: now,
    };
    let mut sums: BTreeMap<Spender, Spend> = BTreeMap::new();
    for interval in intervals {
        let price = price_per_hour(interval);
        let micros = interval.within(window).map_or(0, |part| part.micros());
        let so_far = price
            .checked_mul(Decimal::from(micros))
            .and_then(|cost| cost.checked_div(Decimal::from(HOUR)))
            .ok_or(SpendOverflow)?;
        let runs = interval.start.at <= now && interval.end.is_none_or(|end| end.at > now);
        let per_hour = if runs { price } else { Decimal::ZERO };
        for spender in spenders(&interval.owner) {
            sums.entry(spender).or_default().add(so_far, per_hour)?;
        }
    }
    Ok(sums)
}

/// Whose sums an owner's things belong to: his own, and his domain's.
#[must_use]
pub fn spenders(owner: &Owner) -> [Spender; 2] {
    let own = match &owner.project {
        Some(project) => Spender::Project(project.clone()),
        None => Spender::Account(
            owner.domain.clone(),
            owner.account.clone(),
            owner.account_name.clone(),
        ),
    };
    [own, Spender::Domain(owner.domain.clone())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudstack::usage_type::UsageType;
    use crate::meter::resource::{Attributes, Border, BorderSource, MeterId};

    fn vm(project: Option<&str>, start: i64, end: Option<i64>) -> Interval {
        let border = |seconds| Border {
            at: Timestamp::from_seconds(seconds),
            source: BorderSource::Printed,
        };
        Interval {
            meter: MeterId {
                usage_type: UsageType::RunningVm,
                resource: "vm".into(),
                part: String::new(),
            },
            owner: Owner {
                account: None,
                account_name: Some("ann".into()),
                domain: "north".into(),
                project: project.map(Into::into),
            },
            attributes: Attributes::default(),
            start: border(start),
            end: end.map(border),
        }
    }

    #[test]
    fn a_domain_spends_what_its_accounts_and_projects_spend() {
        let all = [vm(None, 0, None), vm(Some("p"), 1800, Some(3600))];
        let price = |_: &Interval| Decimal::new(36, 2);
        let now = Timestamp::from_seconds(7200);
        let sums = spend(&all, Timestamp::default(), now, price).unwrap();
        let domain = sums[&Spender::Domain("north".into())];
        assert_eq!(domain.so_far, Decimal::new(90, 2));
        assert_eq!(domain.per_hour, Decimal::new(36, 2));
        assert_eq!(sums[&Spender::Project("p".into())].per_hour, Decimal::ZERO);
        assert_eq!(domain.seconds_until_empty(Decimal::new(18, 2)), Some(1800));
        assert_eq!(domain.seconds_until_empty(Decimal::new(-1, 0)), Some(0));
        let project = sums[&Spender::Project("p".into())];
        assert_eq!(project.seconds_until_empty(Decimal::ONE), None);
    }
}
