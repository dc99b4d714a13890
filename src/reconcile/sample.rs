//! Pure: a usage record of bytes or operations as a metered interval, under an id of its cause.
//!
//! The interval is the record's window and its count the amount; the one rating function prices it
//! like everything else. The same window of the same thing has the same id, however often and in
//! whatever words CloudStack tells it, so that it is kept and charged once.

use super::record::UsageRecord;
use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId};
use crate::policy::customer::RuleSet;
use crate::policy::tariff::{PriceBook, PriceLine};
use crate::rate::lookup::{Pricing, pricing};
use crate::terms::ids::{IntervalId, ResourceId};
use crate::terms::time::{Period, Timestamp};
use rust_decimal::prelude::ToPrimitive;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The record as an interval; none where nothing was used, where the amount is no whole number, or
/// where the record names no thing. `known` is what else is known of what it passed through.
#[must_use]
pub fn sample(record: &UsageRecord, known: Option<&Attributes>) -> Option<Interval> {
    let whole = record.raw.trunc() == record.raw;
    let amount = record.raw.to_i64().filter(|amount| whole && *amount > 0)?;
    if !record.usage_type.counts_amounts() {
        return None;
    }
    let resource = match &record.resource {
        Some(resource) => resource.clone(),
        None if record.part.is_empty() => return None,
        None => ResourceId::from(record.part.as_str()),
    };
    let told = record.attributes();
    let border = |at| Border {
        at,
        source: BorderSource::Printed,
    };
    Some(Interval {
        meter: MeterId {
            usage_type: record.usage_type,
            resource,
            part: record.part.clone(),
        },
        owner: record.owner.clone(),
        attributes: Attributes {
            name: known.map_or(told.name, |known| known.name.clone()),
            offering: told
                .offering
                .or(known.and_then(|known| known.offering.clone())),
            zone: told.zone,
            count: amount,
            ..Attributes::default()
        },
        start: border(record.window.start),
        end: Some(border(record.window.end)),
    })
}

/// The id of a sample: its type, thing, part and window, whatever it says.
#[must_use]
pub fn id(sample: &Interval) -> IntervalId {
    let end = sample.end.map_or(sample.start.at, |end| end.at);
    let cause = format!(
        "sample {} {} {} {} {}",
        sample.meter.usage_type.number(),
        sample.meter.resource,
        sample.meter.part,
        sample.start.at.micros(),
        end.micros(),
    );
    let hash = Sha256::digest(cause.as_bytes());
    let bits = hash.iter().take(16);
    IntervalId::from_bits(bits.fold(0, |bits, byte| (bits << 8) | u128::from(*byte)))
}

/// Whether the book charges for a sample in every version that was in force during it: what is
/// free or has no price is not metered, for CloudStack counts it whether we want it or not.
#[must_use]
pub fn is_charged(book: &PriceBook, sample: &Interval) -> bool {
    let window = Period {
        start: sample.start.at,
        end: sample.end.map_or(sample.start.at, |end| end.at),
    };
    let mut versions = book.within(window).peekable();
    versions.peek().is_some()
        && versions.all(|version| {
            let found = pricing(version, sample.meter.usage_type, &sample.attributes);
            matches!(found, Pricing::Priced(lines) if lines.iter().any(|line| !line.free))
        })
}

fn charged_types(book: &PriceBook, since: Timestamp) -> BTreeSet<UsageType> {
    let ever = Period {
        start: since,
        end: Timestamp::from_micros(i64::MAX),
    };
    let charged = |line: &&PriceLine| line.component.is_amount() && !line.free;
    let lines = book.within(ever).flat_map(|version| &version.lines);
    lines
        .filter(charged)
        .map(|line| line.component.usage_type(line.basis))
        .collect()
}

/// The types of amounts that any customer is charged for from an instant on.
#[must_use]
pub fn charged(rules: &RuleSet, since: Timestamp) -> BTreeSet<UsageType> {
    let payers = rules.customers.keys();
    let books = payers.filter_map(|payer| rules.book_of(payer));
    books.flat_map(|book| charged_types(book, since)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudstack::tree::Node;
    use crate::terms::time::SECOND;

    fn record(kind: u8, raw: &str, more: &[(&str, &str)]) -> UsageRecord {
        let mut json = serde_json::json!({
            "account": "ann", "accountid": "a", "domainid": "d", "usagetype": kind,
            "description": "", "rawusage": raw, "usageid": "router", "networkid": "net",
            "startdate": "2026-11-22T23:00:00+0000", "enddate": "2026-11-22T23:09:59+0000",
        });
        for (name, value) in more {
            json[*name] = (*value).into();
        }
        UsageRecord::from_node(&Node::from_json("usagerecord", &json)).unwrap()
    }

    #[test]
    fn a_record_of_bytes_is_an_interval_of_its_window_with_the_amount() {
        let known = Attributes {
            name: "web".to_owned(),
            offering: Some("isolated".to_owned()),
            ..Attributes::default()
        };
        let found = sample(&record(4, "15000000000", &[]), Some(&known)).unwrap();
        assert_eq!(found.attributes.count, 15_000_000_000);
        assert_eq!(found.attributes.offering.as_deref(), Some("isolated"));
        assert_eq!(found.meter.part, "net");
        assert_eq!(found.end.unwrap().at.since(found.start.at), 600 * SECOND);
        for (kind, raw) in [(4, "0"), (5, "1.5"), (1, "10")] {
            assert_eq!(sample(&record(kind, raw, &[]), None), None, "{kind} {raw}");
        }
    }

    #[test]
    fn a_window_of_a_thing_has_one_id_whatever_is_told_of_it() {
        let of =
            |kind, raw, more: &[(&str, &str)]| id(&sample(&record(kind, raw, more), None).unwrap());
        let first = of(4, "100", &[]);
        assert_eq!(first, of(4, "100", &[("description", "another text")]));
        assert_eq!(first, of(4, "200", &[]), "told again with another amount");
        let end = ("enddate", "2026-11-22T23:19:59+0000");
        let others = [
            of(5, "100", &[]),
            of(4, "100", &[("usageid", "other")]),
            of(4, "100", &[("networkid", "other")]),
            of(4, "100", &[end]),
        ];
        assert!(others.iter().all(|other| *other != first));
    }
}
