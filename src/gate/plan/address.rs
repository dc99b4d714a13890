//! Pure: what public addresses cost: one, or every one of a range.

use super::call::refused;
use super::shape::address;
use super::{Call, NETWORK, Plan, Thing};
use crate::cloudstack::command::Parent;
use crate::gate::refusal::Refusal;
use std::net::Ipv4Addr;

const VPC: Thing = Thing::Owned(Parent::Vpc);

impl Call<'_> {
    pub(super) fn address(&self) -> Plan {
        if self.params.get("fordisplay") == Some("false") && self.params.get("id").is_some() {
            return Plan::default();
        }
        let zone = self.text("zoneid").or_else(|| self.zone_of_address("id"));
        let zone = zone.or_else(|| {
            let found = [(NETWORK, "networkid"), (VPC, "vpcid")]
                .iter()
                .find_map(|(thing, name)| self.fact(*thing, name));
            found.and_then(|of| of.text_of("zoneid")).map(str::to_owned)
        });
        Plan::starts(vec![address(false, zone)])
    }

    /// Every address of a range that is made for an owner, given to one, or made longer. IPv6
    /// addresses are not metered.
    pub(super) fn address_range(&self) -> Result<Plan, Refusal> {
        let there = self.fact(Thing::AddressRange, "id");
        let zone = there
            .and_then(|range| range.text_of("zoneid"))
            .map(str::to_owned)
            .or_else(|| self.text("zoneid"));
        let of = |name: &str| there.and_then(|range| range.text_of(name));
        let had = match (of("startip"), of("endip")) {
            (Some(start), end) => Some(count("id", start, end.unwrap_or(start))?),
            _ => None,
        };
        let start = self.params.get("startip").or(of("startip"));
        let end = self.params.get("endip").or(of("endip")).or(start);
        let (Some(start), Some(end)) = (start, end) else {
            return Ok(Plan::default());
        };
        let many = |count: i64| {
            let mut many = address(false, zone.clone());
            many.attributes.count = count;
            many
        };
        let grows = self
            .params
            .get("startip")
            .or(self.params.get("endip"))
            .is_some();
        Ok(Plan {
            after: vec![many(count("startip", start, end)?)],
            before: had.filter(|_| grows).map(many).into_iter().collect(),
        })
    }
}

/// Addresses from `start` to `end`, both counted.
fn count(name: &str, start: &str, end: &str) -> Result<i64, Refusal> {
    let number = |text: &str| text.parse::<Ipv4Addr>().map(u32::from).map(i64::from);
    match (number(start), number(end)) {
        (Ok(start), Ok(end)) if start <= end => Ok(end.saturating_sub(start).saturating_add(1)),
        _ => Err(refused(
            name,
            &format!("is `{start}` to `{end}`; write IPv4 addresses"),
        )),
    }
}
