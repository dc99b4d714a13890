//! Pure: what a group costs that makes VMs by itself: as many as it may have, each as a
//! deployment by its profile.

use super::call::{entries, refused};
use super::shape::times;
use super::{Call, Plan, Thing};
use crate::cloudstack::command::Parent;
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;
use crate::meter::commitment::Rule;
use crate::policy::commitment::RuleKind;
use crate::rate::Planned;
use crate::terms::ids::ResourceId;

const GROUP: Thing = Thing::Owned(Parent::AutoScaleGroup);
const PROFILE: Thing = Thing::Owned(Parent::AutoScaleProfile);

impl Call<'_> {
    /// A group that is made, enabled or given other bounds.
    pub(super) fn autoscale(&self) -> Result<Plan, Refusal> {
        let group = self.fact(GROUP, "id");
        let of = |name: &str| group.and_then(|group| group.number_of(name));
        let profile = match self.fact(PROFILE, "vmprofileid") {
            Some(profile) => profile,
            None => group
                .and_then(|group| group.text_of("vmprofileid"))
                .and_then(|id| self.get(PROFILE, id))
                .ok_or_else(|| refused("vmprofileid", "is not known, and the price hangs on it"))?,
        };
        let most = self.count_in("maxmembers")?.or(of("maxmembers"));
        let most = most.ok_or_else(|| refused("maxmembers", "is missing; write how many"))?;
        let least = self.count_in("minmembers")?.or(of("minmembers"));
        let least = least.unwrap_or(0);
        let runs = of("availablevirtualmachinecount").unwrap_or(0).min(most);
        let member = self.member(profile, profile)?;
        let id = self.params.get("id").map(ResourceId::from);
        let rule = group_rule(id, (least, most), &member);
        Plan::standing(rule, |how| {
            Ok(Plan {
                after: many(&member, how.pieces(runs, least, most))?,
                before: many(&member, runs)?,
                ..Plan::default()
            }
            .later())
        })
    }

    /// The members that its groups may have, at what they would cost, and at what they do.
    pub(super) fn autoscale_profile(&self) -> Result<Plan, Refusal> {
        let profile = self.wanted(PROFILE, "id")?;
        let mut new = Node::leaf("autoscalevmprofile", "");
        for name in ["serviceofferingid", "templateid", "zoneid"] {
            let id = self.params.get(name).or(profile.text_of(name));
            new.children.extend(id.map(|id| Node::leaf(name, id)));
        }
        let mut deploy = Node::leaf("otherdeployparams", "");
        for (at, key) in entries(self.params, "otherdeployparams", "name") {
            let value = self.params.get(&format!("{at}value")).unwrap_or_default();
            deploy.children.push(Node::leaf(&key, value));
        }
        let kept = profile
            .child("otherdeployparams")
            .filter(|_| deploy.children.is_empty());
        new.children.push(kept.cloned().unwrap_or(deploy));
        let groups = self.items(Thing::GroupsOf, self.params.get("id").unwrap_or_default());
        let member = self.member(&new, profile)?;
        let enabled = |group: &&&Node| group.text_of("state") != Some("DISABLED");
        let rules = groups.iter().filter(enabled).filter_map(|group| {
            let of = |name: &str| group.number_of(name).unwrap_or(0);
            let id = Some(ResourceId::from(group.text_of("id")?));
            Some(group_rule(
                id,
                (of("minmembers"), of("maxmembers")),
                &member,
            ))
        });
        let rules = rules.collect();
        let counts = groups
            .iter()
            .filter_map(|group| group.number_of("maxmembers"));
        let most = counts.fold(0_i64, i64::saturating_add);
        Ok(Plan {
            after: many(&member, most)?,
            before: many(&self.member(profile, profile)?, most)?,
            rules,
            ..Plan::default()
        }
        .later())
    }

    /// One member: a deployment with the profile's parameters.
    fn member(&self, profile: &Node, zoned: &Node) -> Result<Vec<Planned>, Refusal> {
        let mut params = ParamMap::default();
        for name in ["serviceofferingid", "templateid"] {
            if let Some(id) = profile.text_of(name) {
                params.insert(name, id);
            }
        }
        if let Some(zone) = zoned.text_of("zoneid") {
            params.insert("zoneid", zone);
        }
        let others = profile.child("otherdeployparams");
        for other in others.iter().flat_map(|others| &others.children) {
            let name = match other.name.as_str() {
                "disksize" => "size",
                name => name,
            };
            if params.get(&name.to_ascii_lowercase()).is_none() {
                params.insert(name, &other.text);
            }
        }
        let plan = self.under(&params, |call| {
            // All of it is asked for at once.
            for (thing, name) in [
                (Thing::ServiceOffering, "serviceofferingid"),
                (Thing::Template, "templateid"),
                (Thing::DiskOffering, "diskofferingid"),
                (Thing::DiskOffering, "overridediskofferingid"),
            ] {
                if call.params.get(name).is_some() && call.fact(thing, name).is_none() {
                    return Err(refused(name, "is not known, and the price hangs on it"));
                }
            }
            call.deploy()
        })?;
        let of_each = |one: &Planned| {
            matches!(
                one.usage_type,
                UsageType::RunningVm
                    | UsageType::AllocatedVm
                    | UsageType::Volume
                    | UsageType::NetworkOffering
                    | UsageType::SecurityGroup
            )
        };
        Ok(plan.after.into_iter().filter(of_each).collect())
    }
}

fn group_rule(id: Option<ResourceId>, (least, most): (i64, i64), member: &[Planned]) -> Rule {
    Rule {
        kind: RuleKind::AutoScale,
        id,
        of: String::new(),
        least,
        most,
        besides: 0,
        unit: member.to_vec(),
    }
}

fn many(member: &[Planned], count: i64) -> Result<Vec<Planned>, Refusal> {
    if count <= 0 {
        return Ok(Vec::new());
    }
    member
        .iter()
        .map(|one| times(one, count, "maxmembers"))
        .collect()
}
