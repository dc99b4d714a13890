//! Edge: one month's comparison, from kept records to priced findings. Start reading here.
//!
//! Our intervals of the month are set against the kept usage records; every difference is named
//! and priced; those that the records are believed in become corrections of their payer's month.
//! Posting them is `bill/line.rs`.

use super::compare::{Class, Context, Difference, compare, sizes};
use super::correct::{Believed, Correction, believed, corrections};
use super::price;
use super::pull::{self, PullFault};
use super::record::UsageRecord;
use crate::meter::resource::{Interval, MeterId, Owner};
use crate::policy::customer::{OwnerPath, PayerChoice, RuleSet};
use crate::store::{Store, StoredInterval};
use crate::terms::ids::PayerId;
use crate::terms::time::Period;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// A difference, whose it is and what it is worth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What differs.
    pub difference: Difference,
    /// Whom it follows.
    pub believed: Believed,
    /// Who pays, where that is known.
    pub payer: Option<PayerId>,
    /// What the records have more than the meter, net (below nothing: less).
    pub price: Result<Decimal, String>,
}

/// What a month's comparison found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// Every difference, agreements left out.
    pub findings: Vec<Finding>,
    /// What to follow, by payer.
    pub corrections: BTreeMap<PayerId, Vec<Correction>>,
    /// The records that it was compared with.
    pub records: Vec<UsageRecord>,
    /// Bytes of what ended before its size was known, as the records tell.
    pub sizes: BTreeMap<MeterId, i64>,
    /// How many meters agree.
    pub agreements: usize,
}

/// Compares a month with the records that are kept of it.
///
/// # Errors
/// [`PullFault`], where records or intervals cannot be read.
pub async fn reconcile(
    store: &Store,
    rules: &RuleSet,
    month: Period,
) -> Result<Findings, PullFault> {
    let records = pull::kept(store, month).await?;
    let stored = store.intervals_in(None, month).await?;
    let period = whole_windows(&records, month);
    let intervals: Vec<Interval> = stored.iter().map(|one| one.interval.clone()).collect();
    let context = Context {
        looseness: &|_, _| None,
        by_itself: Vec::new(),
    };
    let records: Vec<UsageRecord> = records
        .into_iter()
        .filter(|one| one.window.start >= period.start && one.window.end <= period.end)
        .collect();
    let compared = compare(&intervals, &records, period, &context);
    let mut found = Findings::default();
    for difference in compared {
        if difference.class == Class::Agreement {
            found.agreements += 1;
            continue;
        }
        let payer = payer_of(rules, &stored, &difference.owner, period);
        let price = price_of(rules, payer.as_ref(), &stored, month, &difference, &records);
        let (mut follow, _) = corrections(std::slice::from_ref(&difference));
        if let (Some(payer), Some(correction)) = (&payer, follow.pop()) {
            found
                .corrections
                .entry(payer.clone())
                .or_default()
                .push(correction);
        }
        let believed = believed(&difference);
        found.findings.push(Finding {
            believed,
            difference,
            payer,
            price,
        });
    }
    found.sizes = sizes(&intervals, &records, period);
    found.records = records;
    Ok(found)
}

/// The month without the parts of windows that reach beyond it: those stand by our intervals.
fn whole_windows(records: &[UsageRecord], month: Period) -> Period {
    let windows = || records.iter().map(|record| record.window);
    let first = windows()
        .filter(|window| window.start < month.start)
        .map(|window| window.end);
    let last = windows()
        .filter(|window| window.end > month.end)
        .map(|window| window.start);
    let start = first.max().unwrap_or(month.start).max(month.start);
    let end = last.min().unwrap_or(month.end).min(month.end);
    Period { start, end }
}

/// Who pays for the owner: as for what he has already, else as the policies say.
fn payer_of(
    rules: &RuleSet,
    stored: &[StoredInterval],
    owner: &Owner,
    period: Period,
) -> Option<PayerId> {
    let alike = |one: &&StoredInterval| {
        let other = &one.interval.owner;
        let project = owner.project.is_some() && other.project == owner.project;
        let account = owner.project.is_none() && other.account == owner.account;
        other.domain == owner.domain && (project || (account && owner.account.is_some()))
    };
    let known = stored.iter().find(alike).and_then(|one| one.payer.clone());
    let domain = owner.domain.to_string();
    let path = OwnerPath {
        project: owner.project.as_ref().map(|id| id.as_str()),
        account: owner.account.as_ref().map(|id| id.as_str()),
        domains: &[domain.as_str()],
    };
    known.or_else(|| match rules.payer_for(&path, period.start) {
        PayerChoice::Payer(payer) => Some(payer),
        PayerChoice::Refuse | PayerChoice::House => None,
    })
}

fn price_of(
    rules: &RuleSet,
    payer: Option<&PayerId>,
    stored: &[StoredInterval],
    month: Period,
    difference: &Difference,
    records: &[UsageRecord],
) -> Result<Decimal, String> {
    let payer = payer.ok_or("no customer pays for its owner")?;
    let book = rules.book_of(payer).ok_or("its payer has no price book")?;
    let terms = rules
        .terms_of(payer)
        .ok_or("its payer has no seller or tax profile")?;
    let mine: Vec<Interval> = stored
        .iter()
        .filter(|one| one.payer.as_ref() == Some(payer))
        .map(|one| one.interval.clone())
        .collect();
    let correction = price::as_correction(difference);
    price::worth(book, &terms, month, &mine, &correction, records).map_err(|e| e.to_string())
}
