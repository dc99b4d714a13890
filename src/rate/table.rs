//! Pure: tables beside the policies: what ran → what it costs. Run by `check` and by the tests,
//! so that a change of prices that moves an amount is seen before it is in force.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId, Owner};
use crate::policy::check::PolicyFault;
use crate::policy::customer::RuleSet;
use crate::rate::{MonthTotals, month};
use crate::terms::ids::{CsDomainId, PayerId, ResourceId};
use crate::terms::time::{BillingMonth, Timestamp};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    case: Vec<Spanned<Case>>,
    /// What may be called: `policy/table.rs` reads it.
    #[serde(default, rename = "verdict")]
    _verdicts: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    customer: String,
    month: String,
    ran: Vec<Ran>,
    lines: BTreeMap<String, String>,
    wallet: String,
    #[serde(default)]
    unpriced: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ran {
    #[serde(rename = "type")]
    kind: u8,
    id: String,
    from: Datetime,
    to: Option<Datetime>,
    offering: Option<String>,
    template: Option<String>,
    zone: Option<String>,
    vcpus: Option<i64>,
    memory_mib: Option<i64>,
    gib: Option<i64>,
    #[serde(default)]
    source_nat: bool,
    state: Option<String>,
    #[serde(default)]
    count: i64,
}

/// Runs every case of a table against the rules; the number of cases, or every case that does not
/// come out as written.
pub fn run(path: &str, text: &str, rules: &RuleSet) -> Result<usize, Vec<PolicyFault>> {
    let fault = |offset: usize, what: String| PolicyFault {
        file: path.to_owned(),
        line: text.get(..offset).unwrap_or("").matches('\n').count() + 1,
        what,
        instead: "correct the price, or the table if the change is meant".to_owned(),
    };
    let table: Table = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        vec![fault(offset, error.message().to_owned())]
    })?;
    let faults: Vec<PolicyFault> = table
        .case
        .iter()
        .filter_map(|case| {
            let wrong = differs(case.get_ref(), rules).err()?;
            let what = format!("case `{}`: {wrong}", case.get_ref().name);
            Some(fault(case.span().start, what))
        })
        .collect();
    if faults.is_empty() {
        Ok(table.case.len())
    } else {
        Err(faults)
    }
}

fn differs(case: &Case, rules: &RuleSet) -> Result<(), String> {
    let payer = PayerId::from(case.customer.as_str());
    let known = rules.book_of(&payer).zip(rules.terms_of(&payer));
    let (book, terms) = known.ok_or_else(|| format!("customer `{payer}` is not known"))?;
    let period = BillingMonth::parse(&case.month, &terms.zone)
        .and_then(|month| month.period())
        .map_err(|error| error.to_string())?;
    let ran: Vec<Interval> = case.ran.iter().map(interval).collect::<Result<_, _>>()?;
    let totals =
        month(book, &terms, period, &ran, period.end).map_err(|error| error.to_string())?;
    compare(case, &totals)
}

fn compare(case: &Case, totals: &MonthTotals) -> Result<(), String> {
    let mut found: BTreeMap<String, Decimal> = BTreeMap::new();
    for line in &totals.lines {
        let sum = found.entry(line.line.to_string()).or_default();
        *sum = sum.checked_add(line.net).ok_or("out of range")?;
    }
    let mut wanted: BTreeMap<String, Decimal> = BTreeMap::new();
    for (line, net) in &case.lines {
        let net = Decimal::from_str_exact(net).map_err(|_| format!("`{net}` is no decimal"))?;
        wanted.insert(line.clone(), net);
    }
    // A quotient by 730 has no end; a table says its figure to ten digits.
    let close = |map: &BTreeMap<String, Decimal>| -> BTreeMap<String, Decimal> {
        map.iter()
            .map(|(line, net)| (line.clone(), net.round_dp(10).normalize()))
            .collect()
    };
    if close(&found) != close(&wanted) {
        return Err(format!("lines are {found:?}, written {wanted:?}"));
    }
    let wallet = totals.wallet().map_err(|error| error.to_string())?;
    let written = case.wallet.parse().map_err(|_| "`wallet` is no amount")?;
    if wallet != written {
        return Err(format!("the wallet pays {wallet}, written {written}"));
    }
    let unpriced: Vec<&str> = totals
        .unpriced
        .iter()
        .map(|m| m.resource.as_str())
        .collect();
    if unpriced != case.unpriced {
        return Err(format!("without a price are {unpriced:?}"));
    }
    Ok(())
}

fn interval(ran: &Ran) -> Result<Interval, String> {
    let kind = UsageType::from_number(ran.kind);
    let border = |date: &Datetime| {
        let at: jiff::Timestamp = date
            .to_string()
            .parse()
            .map_err(|_| format!("`{date}` is no date-time with an offset"))?;
        Ok::<_, String>(Border {
            at: Timestamp::from_micros(at.as_microsecond()),
            source: BorderSource::Printed,
        })
    };
    Ok(Interval {
        meter: MeterId {
            usage_type: kind.ok_or_else(|| format!("{} is no usage type", ran.kind))?,
            resource: ResourceId::from(ran.id.as_str()),
            part: String::new(),
        },
        owner: Owner {
            account: None,
            account_name: None,
            domain: CsDomainId::from("-"),
            project: None,
        },
        attributes: Attributes {
            offering: ran.offering.clone(),
            template: ran.template.clone(),
            zone: ran.zone.clone(),
            vcpus: ran.vcpus,
            memory_mib: ran.memory_mib,
            size_bytes: ran.gib.and_then(|gib| gib.checked_mul(1 << 30)),
            source_nat: ran.source_nat,
            state: ran.state.clone(),
            count: ran.count,
            ..Attributes::default()
        },
        start: border(&ran.from)?,
        end: match &ran.to {
            Some(to) => Some(border(to)?),
            None => None,
        },
    })
}
