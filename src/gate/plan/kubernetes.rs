//! Pure: what a Kubernetes cluster costs: its nodes, their volumes, NICs and rules, its address.

use super::call::{bytes, entries, refused};
use super::shape::{address, one, planned, times, volume_of};
use super::{Call, Plan, Thing};
use crate::cloudstack::command::Parent;
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;
use crate::meter::commitment::Rule;
use crate::meter::resource::Attributes;
use crate::policy::commitment::RuleKind;
use crate::rate::Planned;
use crate::terms::ids::ResourceId;

const CLUSTER: Thing = Thing::Owned(Parent::Kubernetes);
/// GiB of a node's root volume where nothing says more (`KubernetesClusterService`).
const NODE_DISK_GIB: i64 = 8;

impl Call<'_> {
    /// A new cluster; one that others manage has no nodes of CloudStack's making.
    pub(super) fn kubernetes(&self) -> Result<Plan, Refusal> {
        let kind = self.params.get("clustertype").unwrap_or_default();
        if kind.eq_ignore_ascii_case("externalmanaged") {
            return Ok(Plan::default());
        }
        let workers = self.number_in("size")?;
        let workers = workers.ok_or_else(|| refused("size", "is missing; write how many nodes"))?;
        let control = match self.count_in("controlnodes")? {
            Some(count) => count,
            None => self.count_in("masternodes")?.unwrap_or(1),
        };
        let etcd = self.count_in("etcdnodes")?.unwrap_or(0);
        let mut plan = Plan::default();
        let mut nodes: i64 = 0;
        for (kind, count) in [
            ("worker", workers),
            ("control", control.max(1)),
            ("etcd", etcd),
        ] {
            if count > 0 {
                let offering = self.node_offering(kind, None)?;
                plan.after.extend(self.nodes(offering, count, true, None)?);
                nodes = nodes
                    .checked_add(count)
                    .ok_or_else(|| refused("size", "is too large"))?;
            }
        }
        let zone = self.text("zoneid");
        let vm = Attributes {
            name: self.text("name").unwrap_or_default(),
            zone: zone.clone(),
            ..Attributes::default()
        };
        let mut net = Plan::default();
        let network = self.text("networkid");
        self.networking(network.as_slice(), &vm, &mut net);
        if network.is_none() {
            let mut made = one(UsageType::Network, zone.clone());
            made.attributes.state = Some("Implemented".to_owned());
            net.after.push(made);
        }
        for meter in net.after {
            plan.after.push(match meter.usage_type {
                UsageType::NetworkOffering => times(&meter, nodes, "size")?,
                _ => meter,
            });
        }
        plan.before = net.before;
        // One address for the API, a balancer rule for it, and a rule for each node's SSH.
        plan.after.push(address(false, zone.clone()));
        plan.after
            .push(one(UsageType::LoadBalancerPolicy, zone.clone()));
        plan.after.push(times(
            &one(UsageType::PortForwardingRule, zone),
            nodes,
            "size",
        )?);
        Ok(plan)
    }

    /// As many workers as it may have, on the offerings that it would have. One that scales by
    /// itself is asked for so many as its payer's policy says.
    pub(super) fn kubernetes_scale(&self) -> Result<Plan, Refusal> {
        let cluster = self.wanted(CLUSTER, "id")?;
        let has = cluster.number_of("size").unwrap_or(0);
        let most = match self.params.get("autoscalingenabled") {
            Some("false") => None,
            _ => self.number_in("maxsize")?,
        };
        let asked = self.number_in("size")?.unwrap_or(has);
        let Some(most) = most else {
            return self.scaled(cluster, asked);
        };
        let least = self.number_in("minsize")?.unwrap_or(0);
        let of = |name: &str| cluster.number_of(name).unwrap_or(0);
        let rule = Rule {
            kind: RuleKind::Kubernetes,
            id: cluster.text_of("id").map(ResourceId::from),
            of: String::new(),
            least,
            most,
            besides: of("controlnodes").saturating_add(of("etcdnodes")),
            unit: self.worker(cluster)?,
        };
        Plan::standing(rule, |how| {
            self.scaled(cluster, how.pieces(asked, least, most))
        })
    }

    /// One more worker of a cluster.
    fn worker(&self, cluster: &Node) -> Result<Vec<Planned>, Refusal> {
        let runs = cluster.text_of("state") == Some("Running");
        let offering = self.node_offering("worker", Some(cluster))?;
        let mut unit = self.nodes(offering, 1, runs, Some(cluster))?;
        let zone = cluster.text_of("zoneid").map(str::to_owned);
        unit.push(one(UsageType::PortForwardingRule, zone.clone()));
        unit.push(one(UsageType::NetworkOffering, zone));
        Ok(unit)
    }

    /// The cluster with so many workers.
    fn scaled(&self, cluster: &Node, wants: i64) -> Result<Plan, Refusal> {
        let has = cluster.number_of("size").unwrap_or(0);
        let runs = cluster.text_of("state") == Some("Running");
        let mut plan = Plan::default();
        let old = self.node_offering_of(cluster)?;
        let new = self.node_offering("worker", Some(cluster))?;
        if has > 0 {
            plan.before
                .extend(self.nodes(old, has, runs, Some(cluster))?);
        }
        if wants > 0 {
            plan.after
                .extend(self.nodes(new, wants, runs, Some(cluster))?);
        }
        let zone = cluster.text_of("zoneid").map(str::to_owned);
        let more = wants.saturating_sub(has);
        if more > 0 {
            let rule = one(UsageType::PortForwardingRule, zone.clone());
            plan.after.push(times(&rule, more, "size")?);
            let nic = one(UsageType::NetworkOffering, zone);
            plan.after.push(times(&nic, more, "size")?);
        }
        // Other kinds of node may get another offering too: by the difference.
        for (kind, count) in [("control", "controlnodes"), ("etcd", "etcdnodes")] {
            let count = cluster.number_of(count).unwrap_or(0);
            let given = self.params.get("serviceofferingid").is_some()
                || self
                    .params
                    .iter()
                    .any(|(lower, _)| lower.starts_with("nodeofferings["));
            if count > 0 && given {
                let new = self.node_offering(kind, Some(cluster))?;
                plan.before
                    .extend(self.nodes(old, count, runs, Some(cluster))?);
                plan.after
                    .extend(self.nodes(new, count, runs, Some(cluster))?);
            }
        }
        Ok(plan)
    }

    /// Every node runs: a cluster's listing says the vCPUs and the memory of all of them.
    pub(super) fn kubernetes_start(&self) -> Result<Plan, Refusal> {
        let cluster = self.wanted(CLUSTER, "id")?;
        let of = |name: &str| cluster.number_of(name).unwrap_or(0);
        let counts = ["size", "controlnodes", "etcdnodes"].map(of);
        let nodes = counts
            .iter()
            .fold(0_i64, |sum, count| sum.saturating_add(*count));
        let text = |name: &str| cluster.text_of(name).map(str::to_owned);
        let all = Attributes {
            name: text("name").unwrap_or_default(),
            offering: text("serviceofferingid"),
            template: text("templateid"),
            zone: text("zoneid"),
            vcpus: cluster.number_of("cpunumber"),
            memory_mib: cluster.number_of("memory"),
            count: nodes.max(1),
            ..Attributes::default()
        };
        let mut plan = Plan::starts(vec![planned(UsageType::RunningVm, all.clone())]);
        let mut net = Plan::default();
        let network = text("networkid");
        self.networking(network.as_slice(), &all, &mut net);
        for meter in net.after {
            plan.after.push(match meter.usage_type {
                UsageType::NetworkOffering => times(&meter, nodes.max(1), "id")?,
                _ => meter,
            });
        }
        plan.before = net.before;
        if cluster.text_of("state") == Some("Running") {
            plan.before.clone_from(&plan.after);
        }
        Ok(plan)
    }

    /// VMs that exist become nodes: a rule and a NIC for each.
    pub(super) fn kubernetes_nodes(&self) -> Result<Plan, Refusal> {
        let cluster = self.wanted(CLUSTER, "id")?;
        let count = i64::try_from(self.list("nodeids").len()).unwrap_or(i64::MAX);
        let zone = cluster.text_of("zoneid").map(str::to_owned);
        let each = |kind| times(&one(kind, zone.clone()), count.max(1), "nodeids");
        Ok(Plan::starts(vec![
            each(UsageType::PortForwardingRule)?,
            each(UsageType::NetworkOffering)?,
        ]))
    }

    /// So many nodes alike, with their root volumes.
    fn nodes(
        &self,
        offering: &Node,
        count: i64,
        runs: bool,
        cluster: Option<&Node>,
    ) -> Result<Vec<Planned>, Refusal> {
        let zone = cluster
            .and_then(|cluster| cluster.text_of("zoneid"))
            .map(str::to_owned);
        let vm = Attributes {
            zone: zone.or_else(|| self.text("zoneid")),
            ..self.shape(offering)?
        };
        let fixed = offering.number_of("rootdisksize").unwrap_or(0);
        let asked = self.number_in("noderootdisksize")?;
        let gib = asked.unwrap_or(NODE_DISK_GIB).max(fixed);
        let seen = cluster
            .and_then(|cluster| cluster.all("virtualmachines").next())
            .and_then(|vm| vm.text_of("id"))
            .and_then(|id| self.get(Thing::RootVolumeOf, id))
            .and_then(|root| root.number_of("size"));
        let size = bytes("noderootdisksize", gib)?.max(seen.unwrap_or(0));
        let mut meters = vec![planned(UsageType::AllocatedVm, vm.clone())];
        if runs {
            meters.push(planned(UsageType::RunningVm, vm.clone()));
        }
        meters.push(planned(UsageType::Volume, volume_of(size, &vm)));
        meters.iter().map(|one| times(one, count, "size")).collect()
    }

    /// The offering of a kind of node: `nodeofferings[i].node` and `.offering`, else the call's
    /// or the cluster's for all.
    fn node_offering(&self, kind: &str, cluster: Option<&Node>) -> Result<&Node, Refusal> {
        let own = entries(self.params, "nodeofferings", "node")
            .into_iter()
            .find(|(_, node)| node == kind)
            .and_then(|(at, _)| self.params.get(&format!("{at}offering")));
        let own = own.map(str::to_ascii_lowercase);
        let id = own.or_else(|| self.text("serviceofferingid"));
        match (id, cluster) {
            (Some(id), _) => self.get(Thing::ServiceOffering, &id).ok_or_else(unknown),
            (None, Some(cluster)) => self.node_offering_of(cluster),
            (None, None) => Err(unknown()),
        }
    }

    fn node_offering_of(&self, cluster: &Node) -> Result<&Node, Refusal> {
        let id = ["workerofferingid", "serviceofferingid"]
            .iter()
            .find_map(|name| cluster.text_of(name));
        id.and_then(|id| self.get(Thing::ServiceOffering, id))
            .ok_or_else(unknown)
    }
}

fn unknown() -> Refusal {
    refused(
        "serviceofferingid",
        "is not known, and the price hangs on it",
    )
}
