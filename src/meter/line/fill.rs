//! Edge: what answers leave out (a root volume, a source NAT address) is asked for.

use super::super::inventory::Inventory;
use super::super::observe::{FactQuestion, Observed, ObservedCall, observe};
use super::super::resource::Owner;
use super::{Meter, MeterFault};
use crate::cloudstack::tree::Node;
use crate::terms::time::Timestamp;
use std::collections::BTreeSet;

/// Questions that follow from one another: VM → volumes, network → addresses.
const ROUNDS_MAX: usize = 4;

/// An answer to a list that was asked to fill a gap.
#[derive(Debug)]
pub(super) struct Filled {
    command: &'static str,
    params: Vec<(&'static str, String)>,
    asked: Timestamp,
    answered: Timestamp,
    node: Node,
}

impl Meter {
    /// Asks CloudStack for what the answers leave out.
    pub(super) async fn fill(&self, calls: &[ObservedCall<'_>]) -> Result<Vec<Filled>, MeterFault> {
        let mut filled: Vec<Filled> = Vec::new();
        let mut asked = BTreeSet::new();
        for _ in 0..ROUNDS_MAX {
            let questions = {
                // What comes of it is tried, and taken back: it counts once all answers are there.
                let mut running = self.running.lock().await;
                let questions = observe_all(calls, &filled, &mut running.inventory);
                running.inventory.roll_back();
                questions
            };
            let fresh: Vec<FactQuestion> = questions
                .into_iter()
                .filter(|question| asked.insert(question.clone()))
                .collect();
            if fresh.is_empty() {
                return Ok(filled);
            }
            for question in fresh {
                filled.push(self.ask(&question).await?);
            }
        }
        Ok(filled)
    }

    async fn ask(&self, question: &FactQuestion) -> Result<Filled, MeterFault> {
        let (command, name, id) = match question {
            FactQuestion::VolumesOf(vm) => ("listVolumes", "virtualmachineid", vm),
            FactQuestion::AddressesOf(network) => {
                ("listPublicIpAddresses", "associatednetworkid", network)
            }
            FactQuestion::AddressesOfVpc(vpc) => ("listPublicIpAddresses", "vpcid", vpc),
            FactQuestion::Network(network) => ("listNetworks", "id", network),
            FactQuestion::Vm(vm) => ("listVirtualMachines", "id", vm),
        };
        let params = vec![
            (name, id.as_str().to_owned()),
            ("listall", "true".to_owned()),
            ("projectid", "-1".to_owned()),
        ];
        let given: Vec<(&str, &str)> = params
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let asked = self.clock.billing();
        let answer = self.service.call(command, &given).await?;
        Ok(Filled {
            command,
            params,
            asked,
            answered: self.clock.billing(),
            node: answer.node,
        })
    }
}

/// Applies what calls show, then what was asked to fill their gaps; gives what is open still.
pub(super) fn observe_all(
    calls: &[ObservedCall<'_>],
    filled: &[Filled],
    inventory: &mut Inventory,
) -> Vec<FactQuestion> {
    let mut questions = Vec::new();
    let mut apply = |mut observed: Observed, inventory: &mut Inventory| {
        questions.append(&mut observed.questions);
        observed.apply_to(inventory);
    };
    for call in calls {
        apply(observe(call, inventory), inventory);
    }
    if let Some(call) = calls.first() {
        for list in filled {
            apply(list.observe(call.owner.clone(), inventory), inventory);
        }
    }
    questions
}

impl Filled {
    fn observe(&self, owner: Owner, inventory: &Inventory) -> Observed {
        let find = |wanted: &str| {
            let found = self.params.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let call = ObservedCall {
            command: self.command,
            params: &find,
            owner,
            sent: self.asked,
            answered: self.answered,
            answer: &self.node,
            job: None,
        };
        observe(&call, inventory)
    }
}
