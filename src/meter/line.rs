//! Edge: an answer of CloudStack becomes intervals, a settled hold and a moved figure.
//!
//! One inventory, one writer: what is observed is applied in memory and stored in one transaction
//! with the settlement of its hold; if the store says no, the inventory is read back from it.

use super::inventory::{Applied, Inventory};
use super::observe::{FactQuestion, Observed, ObservedCall, observe};
use super::resource::{Interval, MeterId, Owner};
use crate::clock::Clock;
use crate::cloudstack::tree::Node;
use crate::ledger::Command;
use crate::policy::customer::{OwnerPath, PayerChoice, RuleSet};
use crate::store::{IntentChange, IntervalChange, Store, StoreError, StoredInterval, Work};
use crate::terms::ids::{HoldId, IntervalId, PayerId};
use crate::terms::time::Timestamp;
use crate::upstream::UpstreamError;
use crate::upstream::directory::Directory;
use crate::upstream::service::Service;
use arc_swap::ArcSwap;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// Questions that follow from one another: VM → volumes, network → addresses.
const ROUNDS_MAX: usize = 4;

/// What was observed could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum MeterFault {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// CloudStack could not be asked.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// What happens to the books together with what was observed.
#[derive(Debug, Default)]
pub struct Settlement {
    /// For the ledger: settle or give back.
    pub command: Option<Command>,
    /// The intent's new state.
    pub intents: Vec<IntentChange>,
    /// The hold that the new intervals come from.
    pub hold: Option<HoldId>,
}

/// An answer to a list that was asked to fill a gap.
#[derive(Debug)]
struct Filled {
    command: &'static str,
    params: Vec<(&'static str, String)>,
    asked: Timestamp,
    answered: Timestamp,
    node: Node,
}

#[derive(Debug, Default)]
struct Running {
    inventory: Inventory,
    rows: HashMap<MeterId, StoredInterval>,
}

/// The live meter.
#[derive(Debug)]
pub struct Meter {
    store: Store,
    service: Arc<Service>,
    directory: Arc<Directory>,
    rules: Arc<ArcSwap<RuleSet>>,
    clock: Clock,
    wake: mpsc::Sender<PayerId>,
    running: Mutex<Running>,
}

impl Meter {
    /// The meter, with what the store says is running.
    ///
    /// # Errors
    /// [`StoreError`] where that cannot be read.
    pub async fn open(
        store: Store,
        service: Arc<Service>,
        directory: Arc<Directory>,
        rules: Arc<ArcSwap<RuleSet>>,
        clock: Clock,
        wake: mpsc::Sender<PayerId>,
    ) -> Result<Self, StoreError> {
        let running = Mutex::new(read_back(&store).await?);
        Ok(Self {
            store,
            service,
            directory,
            rules,
            clock,
            wake,
            running,
        })
    }

    /// Keeps what a call and its answer show, together with what happens to its hold. A gap that
    /// the answer leaves (a root volume, a source NAT address) is filled by asking CloudStack.
    ///
    /// # Errors
    /// [`MeterFault`]; nothing was kept then.
    pub async fn record(
        &self,
        calls: &[ObservedCall<'_>],
        settlement: Settlement,
    ) -> Result<(), MeterFault> {
        let filled = self.fill(calls).await?;
        let mut running = self.running.lock().await;
        let running = &mut *running;
        let mut applied = Vec::new();
        for call in calls {
            applied.extend(observe(call, &running.inventory).apply_to(&mut running.inventory));
        }
        for list in &filled {
            let owner = calls.first().map(|call| call.owner.clone());
            if let Some(owner) = owner {
                applied.extend(
                    list.observe(owner, &running.inventory)
                        .apply_to(&mut running.inventory),
                );
            }
        }
        self.keep(running, applied, settlement).await
    }

    /// Applies changes that a sweep found.
    ///
    /// # Errors
    /// [`MeterFault`].
    pub async fn apply(&self, observed: Observed) -> Result<(), MeterFault> {
        let mut running = self.running.lock().await;
        let running = &mut *running;
        let applied = observed.apply_to(&mut running.inventory);
        self.keep(running, applied, Settlement::default()).await
    }

    /// What runs now.
    pub async fn running(&self) -> Vec<Interval> {
        self.running
            .lock()
            .await
            .inventory
            .running()
            .cloned()
            .collect()
    }

    /// Looks at the inventory without changing it.
    pub async fn with_inventory<T>(&self, look: impl FnOnce(&Inventory) -> T) -> T {
        look(&self.running.lock().await.inventory)
    }

    async fn keep(
        &self,
        running: &mut Running,
        applied: Vec<Applied>,
        settlement: Settlement,
    ) -> Result<(), MeterFault> {
        let mut payers = BTreeSet::new();
        let mut changes = Vec::new();
        for one in applied {
            self.changes(running, one, settlement.hold, &mut changes, &mut payers)
                .await?;
        }
        let work = Work {
            command: settlement.command,
            intents: settlement.intents,
            intervals: changes,
            ..Work::default()
        };
        let nothing =
            work.command.is_none() && work.intents.is_empty() && work.intervals.is_empty();
        if !nothing {
            match self.store.submit(work).await {
                Ok(done) => payers.extend(done.effects.payers.into_iter().map(|p| p.payer)),
                Err(fault) => {
                    *running = read_back(&self.store).await?;
                    return Err(fault.into());
                }
            }
        }
        running.inventory.take_ended();
        for payer in payers {
            // A full queue means that renewals are under way already.
            let _ = self.wake.try_send(payer);
        }
        Ok(())
    }

    async fn changes(
        &self,
        running: &mut Running,
        applied: Applied,
        hold: Option<HoldId>,
        changes: &mut Vec<IntervalChange>,
        payers: &mut BTreeSet<PayerId>,
    ) -> Result<(), MeterFault> {
        for ended in applied.closed {
            if let (Some(row), Some(border)) = (running.rows.remove(&ended.meter), ended.end) {
                payers.extend(row.payer.clone());
                changes.push(IntervalChange::End { id: row.id, border });
            }
        }
        for opened in applied.opened {
            let payer = self.payer_of(&opened.owner, opened.start.at).await?;
            payers.extend(payer.clone());
            let id = IntervalId::from_bits(self.clock.id_bits());
            let row = StoredInterval {
                id,
                payer,
                hold,
                interval: opened.clone(),
            };
            running.rows.insert(opened.meter, row.clone());
            changes.push(IntervalChange::Insert(row));
        }
        for mended in applied.mended {
            if let Some(row) = running.rows.get_mut(&mended.meter) {
                row.interval = mended;
                payers.extend(row.payer.clone());
                changes.push(IntervalChange::Replace(row.clone()));
            }
        }
        Ok(())
    }

    /// Who pays for what this owner has.
    ///
    /// # Errors
    /// [`UpstreamError`] where CloudStack could not be asked for the owner's domains.
    pub async fn payer_of(
        &self,
        owner: &Owner,
        at: Timestamp,
    ) -> Result<Option<PayerId>, UpstreamError> {
        let path = self
            .directory
            .path(&owner.domain)
            .await?
            .unwrap_or_default();
        let domains: Vec<&str> = path.iter().map(|id| id.as_str()).collect();
        let account = match (&owner.account, &owner.account_name) {
            (Some(id), _) => Some(id.as_str().to_owned()),
            (None, Some(name)) => self
                .directory
                .account(name, &owner.domain)
                .await?
                .map(|account| account.id.as_str().to_owned()),
            (None, None) => None,
        };
        let path = OwnerPath {
            project: owner.project.as_ref().map(|id| id.as_str()),
            account: account.as_deref(),
            domains: &domains,
        };
        match self.rules.load().payer_for(&path, at) {
            PayerChoice::Payer(payer) => Ok(Some(payer)),
            PayerChoice::Refuse | PayerChoice::House => Ok(None),
        }
    }

    /// Asks CloudStack for what the answers leave out.
    async fn fill(&self, calls: &[ObservedCall<'_>]) -> Result<Vec<Filled>, MeterFault> {
        let Some(owner) = calls.first().map(|call| call.owner.clone()) else {
            return Ok(Vec::new());
        };
        let mut filled: Vec<Filled> = Vec::new();
        let mut asked = BTreeSet::new();
        for _ in 0..ROUNDS_MAX {
            let questions = {
                let running = self.running.lock().await;
                let mut trial = running.inventory.clone();
                let mut questions = Vec::new();
                for call in calls {
                    let observed = observe(call, &trial);
                    questions.extend(observed.questions.clone());
                    observed.apply_to(&mut trial);
                }
                for list in &filled {
                    let observed = list.observe(owner.clone(), &trial);
                    questions.extend(observed.questions.clone());
                    observed.apply_to(&mut trial);
                }
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

async fn read_back(store: &Store) -> Result<Running, StoreError> {
    let mut running = Running::default();
    for row in store.open_intervals(None).await? {
        let open = super::resource::Change::Open(row.interval.clone());
        running.inventory.apply(open);
        running.rows.insert(row.interval.meter.clone(), row);
    }
    running.inventory.take_ended();
    Ok(running)
}
