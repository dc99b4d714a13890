//! Edge: a bundle as its owner is told of it.

use crate::cloudstack::time;
use crate::ledger::records::HoldStatus;
use crate::store::StoredBundle;
use crate::terms::money::{Currency, Micros};
use crate::terms::time::Timestamp;
use serde_json::{Map, Value, json};

/// What became of the lines: the status of each one's hold, none where it has no hold.
pub type Statuses = Vec<Option<HoldStatus>>;

/// `Open`: calls may draw from it. `Drawn`: every line was. `Ended`: its time is over or it was
/// deleted, and what was left went back or is about to.
#[must_use]
pub fn state(bundle: &StoredBundle, lines: &[Option<HoldStatus>], now: Timestamp) -> &'static str {
    let is = |wanted: HoldStatus| lines.contains(&Some(wanted));
    let over = bundle.ended.is_some() || now >= bundle.expires;
    if is(HoldStatus::GivenBack) || (over && (is(HoldStatus::Open) || !is(HoldStatus::Drawn))) {
        "Ended"
    } else if is(HoldStatus::Open) || !is(HoldStatus::Drawn) {
        "Open"
    } else {
        "Drawn"
    }
}

/// Its fields, in CloudStack's spelling; money only where the caller may know it.
#[must_use]
pub fn fields(
    bundle: &StoredBundle,
    lines: &[Option<HoldStatus>],
    currency: Option<Currency>,
    now: Timestamp,
) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut tell = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    tell("id", json!(bundle.id.to_string()));
    if !bundle.client_key.is_empty() {
        tell("clientkey", json!(bundle.client_key));
    }
    tell("state", json!(state(bundle, lines, now)));
    tell("created", json!(time::print(bundle.at)));
    tell("expires", json!(time::print(bundle.expires)));
    if let Some(currency) = currency {
        let sum = |wanted: Option<HoldStatus>| {
            let of = bundle.lines.iter().zip(lines);
            let of = of.filter(|(line, status)| {
                line.hold.is_some() && wanted.is_none_or(|wanted| **status == Some(wanted))
            });
            Micros::sum(of.map(|(line, _)| line.price)).unwrap_or_default()
        };
        tell("currency", json!(currency.to_string()));
        tell("price", json!(sum(None).to_string()));
        tell("held", json!(sum(Some(HoldStatus::Open)).to_string()));
    }
    let calls = bundle.lines.iter().zip(lines).map(|(line, status)| {
        let mut call = Map::new();
        call.insert("command".to_owned(), json!(line.command));
        call.insert("state".to_owned(), json!(word(*status)));
        if currency.is_some() {
            call.insert("price".to_owned(), json!(line.price.to_string()));
            call.insert("oneoff".to_owned(), json!(line.one_off.to_string()));
            call.insert("priceperhour".to_owned(), json!(line.per_hour.to_string()));
        }
        Value::Object(call)
    });
    tell("call", calls.collect());
    fields
}

const fn word(status: Option<HoldStatus>) -> &'static str {
    match status {
        None => "Free",
        Some(HoldStatus::Open) => "Held",
        Some(HoldStatus::Drawn | HoldStatus::Settled) => "Drawn",
        Some(HoldStatus::GivenBack) => "Returned",
    }
}

#[cfg(test)]
mod tests {
    use super::state;
    use crate::ledger::records::HoldStatus::{Drawn, GivenBack, Open};
    use crate::store::StoredBundle;
    use crate::terms::ids::BundleId;
    use crate::terms::time::Timestamp;

    #[test]
    fn a_bundle_is_open_until_its_time_is_over_or_every_line_is_drawn() {
        let at = Timestamp::from_seconds;
        let bundle = StoredBundle {
            id: BundleId::from_bits(1),
            payer: "acme".into(),
            account: "a".to_owned(),
            client_key: String::new(),
            request: String::new(),
            lines: Vec::new(),
            at: at(0),
            expires: at(10),
            ended: None,
        };
        let table = [
            (vec![Some(Open), None], 9, "Open"),
            (vec![Some(Open), Some(Drawn)], 9, "Open"),
            (vec![Some(Open), Some(Drawn)], 10, "Ended"),
            (vec![Some(Drawn), None], 9, "Drawn"),
            (vec![Some(Drawn), None], 11, "Drawn"),
            (vec![Some(GivenBack), Some(Drawn)], 9, "Ended"),
            (vec![None], 9, "Open"),
            (vec![None], 10, "Ended"),
        ];
        for (lines, now, word) in table {
            assert_eq!(state(&bundle, &lines, at(now)), word, "{lines:?} at {now}");
        }
    }
}
