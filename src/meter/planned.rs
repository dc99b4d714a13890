//! Edge: what an intent keeps as text beside its columns: its plan and its owner.

use super::commitment::Rule;
use super::resource::Owner;
use super::rule_text::RuleText;
use crate::ledger::command::LineAmount;
use crate::store::Intent;
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;
use crate::terms::time::{BillingMonth, Timestamp};

/// Usage type, zone, pieces, vCPUs, MiB, bytes.
pub type ThingRow = (u8, String, i64, i64, i64, i64);

/// A one-off price: line, tax group, month, zone, millionths.
pub type OneOffRow = (String, String, String, String, i64);

/// What an intent keeps beside its columns: when it was sent in billing time, one-off prices.
#[derive(serde::Serialize, serde::Deserialize, Default, Debug)]
pub struct PlannedText {
    /// Billing time in microseconds.
    pub sent: Option<i64>,
    /// What the call costs in one hour, for people.
    pub per_hour: String,
    /// One-off prices of its payer.
    pub one_offs: Vec<OneOffRow>,
    /// Those of the resellers above him, each by his name as a payer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wholesale: Vec<(String, Vec<OneOffRow>)>,
    /// What the call adds to what its payer has: usage type, zone, pieces, vCPUs, MiB, bytes. It
    /// counts against things limits while the intent is open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub things: Vec<ThingRow>,
    /// Hash of the client's request: asked again after our death, it gets the first one's answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
    /// It was not sure whose the call is.
    #[serde(default)]
    pub in_doubt: bool,
    /// Rules that the call makes or changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleText>,
}

impl PlannedText {
    /// The hash of the client's request that an intent's text keeps.
    #[must_use]
    pub fn request_of(planned: &str) -> Option<[u8; 32]> {
        let kept: Self = serde_json::from_str(planned).ok()?;
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let at = index.checked_mul(2)?;
            *byte = u8::from_str_radix(kept.request.get(at..at.checked_add(2)?)?, 16).ok()?;
        }
        Some(bytes)
    }

    /// The rules of the call that are known to this release.
    pub(super) fn rules(&self) -> Vec<Rule> {
        let rules = self.rules.iter().cloned();
        rules.filter_map(RuleText::rule).collect()
    }

    /// What falls due once with the call's success, for its payer and the resellers above him.
    pub(super) fn one_offs(&self, payer: Option<&PayerId>) -> Vec<LineAmount> {
        let own = payer.map(|payer| (payer.clone(), &self.one_offs));
        let above = self.wholesale.iter();
        let above = above.map(|(payer, rows)| (PayerId::from(payer.as_str()), rows));
        let all = own.into_iter().chain(above);
        all.flat_map(|(payer, rows)| amounts(&payer, rows))
            .collect()
    }
}

fn amounts(payer: &PayerId, rows: &[OneOffRow]) -> Vec<LineAmount> {
    let amounts = rows
        .iter()
        .filter_map(|(line, tax_group, month, zone, micros)| {
            Some(LineAmount {
                payer: payer.clone(),
                line: line.as_str().into(),
                month: BillingMonth::parse(month, zone).ok()?,
                tax_group: tax_group.clone(),
                amount: Micros::new(*micros),
            })
        });
    amounts.collect()
}

/// When an intent's call was sent, billing time.
#[must_use]
pub fn sent_of(intent: &Intent) -> Option<Timestamp> {
    let planned: PlannedText = serde_json::from_str(&intent.planned).ok()?;
    planned.sent.map(Timestamp::from_micros)
}

/// An owner as an intent keeps it.
#[must_use]
pub fn owner_text(owner: &Owner) -> String {
    serde_json::json!({
        "account": owner.account.as_ref().map(|id| id.as_str()),
        "account_name": owner.account_name,
        "domain": owner.domain.as_str(),
        "project": owner.project.as_ref().map(|id| id.as_str()),
    })
    .to_string()
}

pub(super) fn owner_from(text: &str) -> Owner {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| value.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    Owner {
        account: field("account").map(Into::into),
        account_name: field("account_name"),
        domain: field("domain").unwrap_or_default().into(),
        project: field("project").map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::PlannedText;
    use crate::terms::ids::PayerId;

    #[test]
    fn an_intent_keeps_the_one_off_prices_of_every_book() {
        let row = |line: &str, micros| {
            let text = [line, "standard", "2026-11", "UTC"].map(str::to_owned);
            let [line, group, month, zone] = text;
            (line, group, month, zone, micros)
        };
        let kept = PlannedText {
            one_offs: vec![row("vm/one-off", 120_000)],
            wholesale: vec![("rita".to_owned(), vec![row("vm/one-off", 60_000)])],
            ..PlannedText::default()
        };
        let text = serde_json::to_string(&kept).unwrap();
        let read: PlannedText = serde_json::from_str(&text).unwrap();
        let due = read.one_offs(Some(&PayerId::from("carol")));
        let told = |at: usize| (due[at].payer.as_str(), due[at].amount.get());
        assert_eq!((told(0), told(1)), (("carol", 120_000), ("rita", 60_000)));
        assert_eq!(due.len(), 2);
        // What an intent of before says of its payer alone is read as it was.
        let old = "{\"sent\":1,\"per_hour\":\"\",\"one_offs\":[]}";
        let read: PlannedText = serde_json::from_str(old).unwrap();
        assert_eq!(read.one_offs(Some(&PayerId::from("carol"))), []);
    }
}
