//! Edge: a rule that starts things, as an intent and a row of the books keep it.

use super::attributes_text::AttributesText;
use super::commitment::Rule;
use crate::cloudstack::usage_type::UsageType;
use crate::policy::commitment::RuleKind;
use crate::rate::Planned;
use crate::terms::ids::ResourceId;
use serde::{Deserialize, Serialize};

/// A rule as it is written.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct RuleText {
    kind: String,
    id: Option<String>,
    of: String,
    least: i64,
    most: i64,
    besides: i64,
    unit: Vec<UnitText>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
struct UnitText {
    usage_type: u8,
    #[serde(flatten)]
    attributes: AttributesText,
}

impl From<&Rule> for RuleText {
    fn from(rule: &Rule) -> Self {
        let unit = rule.unit.iter().map(|one| UnitText {
            usage_type: one.usage_type.number(),
            attributes: AttributesText::from(&one.attributes),
        });
        Self {
            kind: rule.kind.name().to_owned(),
            id: rule.id.as_ref().map(ToString::to_string),
            of: rule.of.clone(),
            least: rule.least,
            most: rule.most,
            besides: rule.besides,
            unit: unit.collect(),
        }
    }
}

impl RuleText {
    /// The rule; none where a newer release wrote of a kind or a type that is not known here.
    #[must_use]
    pub fn rule(self) -> Option<Rule> {
        let unit = self.unit.into_iter().map(|it| {
            Some(Planned {
                usage_type: UsageType::from_number(it.usage_type)?,
                attributes: it.attributes.into(),
            })
        });
        Some(Rule {
            kind: RuleKind::named(&self.kind)?,
            id: self.id.as_deref().map(ResourceId::from),
            of: self.of,
            least: self.least,
            most: self.most,
            besides: self.besides,
            unit: unit.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::RuleText;
    use crate::cloudstack::usage_type::UsageType;
    use crate::meter::commitment::Rule;
    use crate::meter::resource::Attributes;
    use crate::policy::commitment::RuleKind;
    use crate::rate::Planned;

    #[test]
    fn a_rule_reads_back_from_its_text_as_it_was() {
        let unit = Planned {
            usage_type: UsageType::Snapshot,
            attributes: Attributes {
                size_bytes: Some(1 << 30),
                zone: Some("z".to_owned()),
                vm: Some("vm".into()),
                count: 1,
                ..Attributes::default()
            },
        };
        let policy = Rule {
            kind: RuleKind::SnapshotPolicy,
            id: Some("p".into()),
            of: "vol/HOURLY".to_owned(),
            least: 0,
            most: 8,
            besides: 0,
            unit: vec![unit],
        };
        let text = serde_json::to_string(&RuleText::from(&policy)).unwrap();
        let read: RuleText = serde_json::from_str(&text).unwrap();
        assert_eq!(read.rule(), Some(policy));
        let newer = text.replace("snapshot-policy", "weather");
        let read: RuleText = serde_json::from_str(&newer).unwrap();
        assert_eq!(read.rule(), None, "a kind of a later release");
    }
}
