//! Pure: one usage record, read exactly.
//!
//! `rawusage` is hours with at most six decimals for everything that lasts, so a record is a whole
//! number of 3.6 ms; a count of bytes for traffic. The `usage` text is ignored: it depends on the
//! server's locale.

use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::meter::observe::printed_second;
use crate::meter::resource::{Attributes, Owner};
use crate::terms::ids::{CsAccountId, CsDomainId, CsProjectId, ResourceId};
use crate::terms::time::{HOUR, Period, SECOND};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// One record of `listUsageRecords`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageRecord {
    /// Its type.
    pub usage_type: UsageType,
    /// Whose.
    pub owner: Owner,
    /// The thing: `usageid`, of a NIC's record the VM. None where CloudStack prints none, as for
    /// networks, and for rules and VPN users once they are gone.
    pub resource: Option<ResourceId>,
    /// The network offering of a NIC's record; of bytes and operations the network, VPC or VM;
    /// empty otherwise.
    pub part: String,
    /// What the description calls it, where that tells things apart: a volume's name, an
    /// address, the internal number of a network or VPC.
    pub described: Option<String>,
    /// `rawusage` as printed: hours, or bytes.
    pub raw: Decimal,
    /// The window, `[start, end)`; VM snapshots print their own bounds.
    pub window: Period,
    /// Zone.
    pub zone: Option<String>,
    /// Service, disk or network offering.
    pub offering: Option<String>,
    /// Template.
    pub template: Option<String>,
    /// Bytes.
    pub size: Option<i64>,
    /// A source NAT address.
    pub source_nat: bool,
    /// vCPUs, MHz and MiB of a VM.
    pub sizing: [Option<i64>; 3],
}

/// Why a record cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordFault {
    /// A field that every record has is missing.
    #[error("a usage record has no `{0}`: the answer is not one of listUsageRecords")]
    Lacks(&'static str),
    /// A field holds something else than it should.
    #[error("a usage record's `{field}` is `{value}`, which is not {wanted}")]
    Unreadable {
        /// Which.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What was wanted.
        wanted: &'static str,
    },
}

impl UsageRecord {
    /// Reads a `usagerecord` element. Refuses [`RecordFault`].
    pub fn from_node(node: &Node) -> Result<Self, RecordFault> {
        let need = |field| node.text_of(field).ok_or(RecordFault::Lacks(field));
        let text = |field: &str| node.text_of(field).map(str::to_owned);
        let number = need("usagetype")?;
        let usage_type = number.parse().ok().and_then(UsageType::from_number);
        let usage_type =
            usage_type.ok_or_else(|| unreadable("usagetype", number, "a usage type"))?;
        let raw = need("rawusage")?;
        let raw = Decimal::from_str_exact(raw)
            .map_err(|_| unreadable("rawusage", raw, "an exact decimal"))?;
        let nic = usage_type == UsageType::NetworkOffering;
        let vm = text("virtualmachineid");
        let id = text("usageid").or(vm.filter(|_| nic || of_vm(usage_type)));
        Ok(Self {
            usage_type,
            owner: owner(node, need("domainid")?),
            resource: id.filter(|id| !id.is_empty()).map(ResourceId::from),
            part: part(node, usage_type),
            described: described(usage_type, node.text_of("description").unwrap_or_default()),
            raw,
            window: window(need("startdate")?, need("enddate")?)?,
            zone: text("zoneid"),
            offering: text("offeringid"),
            template: text("templateid"),
            size: node.number_of("size"),
            source_nat: node.text_of("issourcenat") == Some("true"),
            sizing: ["cpunumber", "cpuspeed", "memory"].map(|name| node.number_of(name)),
        })
    }
    /// What a price may depend on, as far as the record tells.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        let [vcpus, cpu_mhz, memory_mib] = self.sizing;
        Attributes {
            name: self.described.clone().unwrap_or_default(),
            offering: self.offering.clone(),
            template: self.template.clone(),
            zone: self.zone.clone(),
            vcpus,
            cpu_mhz,
            memory_mib,
            size_bytes: self.size,
            source_nat: self.source_nat,
            count: 1,
            ..Attributes::default()
        }
    }
    /// Microseconds, for what is counted in hours; none for bytes and operations.
    #[must_use]
    pub fn micros(&self) -> Option<i64> {
        if !counts_hours(self.usage_type) {
            return None;
        }
        self.raw.checked_mul(Decimal::from(HOUR))?.round().to_i64()
    }
}

/// The usage server counts hours of it.
#[must_use]
pub fn counts_hours(usage_type: UsageType) -> bool {
    !matches!(
        usage_type,
        UsageType::NetworkBytesSent
            | UsageType::NetworkBytesReceived
            | UsageType::VmDiskIoRead
            | UsageType::VmDiskIoWrite
            | UsageType::VmDiskBytesRead
            | UsageType::VmDiskBytesWrite
            | UsageType::Bucket
    )
}

/// What tells several records of one thing and type apart.
fn part(node: &Node, usage_type: UsageType) -> String {
    let fields: &[&str] = match usage_type {
        UsageType::NetworkOffering => &["offeringid"],
        _ if usage_type.counts_amounts() => &["networkid", "vpcid", "virtualmachineid"],
        _ => &[],
    };
    let mut found = fields.iter().filter_map(|field| node.text_of(field));
    found.next().unwrap_or_default().to_owned()
}

fn of_vm(usage_type: UsageType) -> bool {
    matches!(
        usage_type,
        UsageType::RunningVm | UsageType::AllocatedVm | UsageType::Backup
    )
}

fn unreadable(field: &'static str, value: &str, wanted: &'static str) -> RecordFault {
    RecordFault::Unreadable {
        field,
        value: value.to_owned(),
        wanted,
    }
}

fn owner(node: &Node, domain: &str) -> Owner {
    Owner {
        account: node.text_of("accountid").map(CsAccountId::from),
        account_name: node.text_of("account").map(str::to_owned),
        domain: CsDomainId::from(domain),
        project: node.text_of("projectid").map(CsProjectId::from),
    }
}

/// Printed bounds are whole seconds, the last one inclusive.
fn window(start: &str, end: &str) -> Result<Period, RecordFault> {
    let at = |field, text| {
        printed_second(text).ok_or_else(|| unreadable(field, text, "a date with an offset"))
    };
    let window = Period {
        start: at("startdate", start)?,
        end: at("enddate", end)?.plus(SECOND),
    };
    if window.micros() == 0 {
        return Err(unreadable("enddate", end, "later than `startdate`"));
    }
    Ok(window)
}

fn described(usage_type: UsageType, description: &str) -> Option<String> {
    let after = |lead: &str| {
        let rest = description.split_once(lead)?.1;
        let word = rest.split([' ', ',']).next()?;
        Some(word.to_owned()).filter(|word| !word.is_empty())
    };
    match usage_type {
        UsageType::Volume => {
            let rest = description.strip_prefix("Volume usage for ")?;
            Some(rest.split(" (").next()?.to_owned())
        }
        UsageType::IpAddress => after("IPAddress: "),
        UsageType::Network => after("network ID: "),
        UsageType::Vpc => after("VPC ID: "),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(raw: &str, start: &str, end: &str) -> Result<UsageRecord, RecordFault> {
        let json = serde_json::json!({
            "account": "ann", "accountid": "a", "domainid": "d", "usagetype": 30,
            "description": "Network usage for network ID: 216, network offering: 10",
            "rawusage": raw, "startdate": start, "enddate": end,
        });
        UsageRecord::from_node(&Node::from_json("usagerecord", &json))
    }

    #[test]
    fn hours_of_six_decimals_are_exact_microseconds() {
        let (start, end) = ("2026-11-22T23:43:00+0000", "2026-11-22T23:43:59+0000");
        let read = record("0.011111", start, end).unwrap();
        assert_eq!(read.micros(), Some(39_999_600));
        assert_eq!(read.window.micros(), 60 * SECOND);
        assert_eq!(read.described.as_deref(), Some("216"));
        assert_eq!(read.resource, None);
    }

    #[test]
    fn a_record_that_cannot_be_read_exactly_is_refused_by_field() {
        let good = "2026-11-22T23:43:00+0000";
        for (raw, start, end) in [
            ("1,5", good, "2026-11-22T23:43:59+0000"),
            ("1", "2026-11-22", good),
            ("1", good, "2026-11-22T23:42:59+0000"),
        ] {
            assert!(matches!(
                record(raw, start, end),
                Err(RecordFault::Unreadable { .. })
            ));
        }
    }
}
