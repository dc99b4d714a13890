//! Edge: what CloudStack says of the things that a call names; offerings and templates are kept
//! for a minute, what changes is asked each time.

use super::dearest::Catalogue;
use super::plan::{self, Facts, Question, Thing};
use super::whose;
use crate::cloudstack::command::{Command, Parent};
use crate::cloudstack::envelope::Answer;
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::upstream::UpstreamError;
use crate::upstream::service::Service;
use futures_util::future::try_join_all;
use moka::sync::Cache;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How long an offering or a template is taken to be as it was.
const KEPT: Duration = Duration::from_secs(60);
/// Offerings and templates kept.
const KEPT_MAX: u64 = 10_000;

/// Rounds of questions that the answers to others bring.
const ROUNDS_MAX: usize = 5;

/// Asks CloudStack for facts.
#[derive(Debug)]
pub struct Asker {
    service: Arc<Service>,
    kept: Cache<Question, Arc<Node>>,
    all: Cache<(), Arc<Catalogue>>,
}

impl Asker {
    /// An asker with this service account.
    #[must_use]
    pub fn new(service: Arc<Service>) -> Self {
        let kept = Cache::builder()
            .max_capacity(KEPT_MAX)
            .time_to_live(KEPT)
            .build();
        let all = Cache::builder().max_capacity(1).time_to_live(KEPT).build();
        Self { service, kept, all }
    }

    /// The facts; what CloudStack does not know is left out.
    ///
    /// # Errors
    /// [`UpstreamError`] where it could not be asked.
    pub async fn facts(&self, questions: &[Question]) -> Result<Facts, UpstreamError> {
        let asked = questions.iter().map(|question| self.fact(question));
        let found = try_join_all(asked).await?;
        let pairs = questions.iter().cloned().zip(found);
        Ok(pairs
            .filter_map(|(question, node)| Some((question, node?)))
            .collect())
    }

    /// The facts of a call: what it names, whose that is, and what that names in turn.
    ///
    /// # Errors
    /// As [`Asker::facts`].
    pub async fn for_call(
        &self,
        command: &Command,
        params: &ParamMap,
    ) -> Result<Facts, UpstreamError> {
        let mut questions = plan::needs(command.price, params);
        for question in whose::needs(command, params) {
            if !questions.contains(&question) {
                questions.push(question);
            }
        }
        let mut facts = self.facts(&questions).await?;
        let mut asked: HashSet<Question> = questions.into_iter().collect();
        for _ in 0..ROUNDS_MAX {
            let mut more = plan::more(command.price, params, &facts);
            more.retain(|question| asked.insert(question.clone()));
            if more.is_empty() {
                break;
            }
            facts.extend(self.facts(&more).await?);
        }
        Ok(facts)
    }

    /// What CloudStack says of a job.
    ///
    /// # Errors
    /// [`UpstreamError`] where it could not be asked.
    pub async fn job(&self, id: &str) -> Result<Answer, UpstreamError> {
        self.service
            .call("queryAsyncJobResult", &[("jobid", id)])
            .await
    }

    async fn fact(&self, question: &Question) -> Result<Option<Node>, UpstreamError> {
        if let Some(known) = self.kept.get(question) {
            return Ok(Some((*known).clone()));
        }
        let (thing, id) = question;
        let found = self.one(*thing, id).await?;
        let keeps = matches!(
            thing,
            Thing::ServiceOffering
                | Thing::DiskOffering
                | Thing::NetworkOffering
                | Thing::Template
                | Thing::Setting
                | Thing::Zones
        );
        if let (true, Some(node)) = (keeps, &found) {
            self.kept.insert(question.clone(), Arc::new(node.clone()));
        }
        Ok(found)
    }

    async fn one(&self, thing: Thing, id: &str) -> Result<Option<Node>, UpstreamError> {
        let filter = |name| [("id", id), (name, "all"), ("listall", "true")];
        match thing {
            Thing::Owned(Parent::Template) => {
                let asked = filter("templatefilter");
                self.call("listTemplates", "template", id, &asked).await
            }
            Thing::Owned(Parent::Iso) => {
                self.call("listIsos", "iso", id, &filter("isofilter")).await
            }
            Thing::Template => {
                let asked = filter("templatefilter");
                let found = self.call("listTemplates", "template", id, &asked).await?;
                if found.is_some() {
                    return Ok(found);
                }
                self.call("listIsos", "iso", id, &filter("isofilter")).await
            }
            Thing::Owned(parent) => {
                let listing = parent.listing();
                let asked = [(listing.by, id), ("listall", "true"), ("projectid", "-1")];
                let bare = matches!(
                    parent,
                    Parent::User | Parent::Account | Parent::Domain | Parent::Project
                );
                let asked = asked.get(..if bare { 2 } else { 3 }).unwrap_or_default();
                self.call(listing.command, listing.item, id, asked).await
            }
            Thing::ServiceOffering | Thing::DiskOffering | Thing::NetworkOffering => {
                let (command, item) = offerings(thing);
                self.call(command, item, id, &[("id", id)]).await
            }
            Thing::AddressRange => {
                let asked = [("id", id)];
                self.call("listVlanIpRanges", "vlaniprange", id, &asked)
                    .await
            }
            _ => self.found(thing, id).await,
        }
    }

    /// What is not listed by its own id: one node of a list, or all of it.
    async fn found(&self, thing: Thing, id: &str) -> Result<Option<Node>, UpstreamError> {
        let Some((command, item, asked)) = search(thing, id) else {
            return Ok(None);
        };
        let asked: Vec<(&str, &str)> = asked
            .iter()
            .map(|(name, of)| (*name, of.as_str()))
            .collect();
        if thing.items().is_none() {
            let Some(answer) = self.service.find(command, &asked).await? else {
                return Ok(None);
            };
            let mut found = answer.all(item);
            // A setting's name is searched for as a part of names.
            let wanted = |node: &&Node| node.text_of("name") == Some(id);
            return Ok(match thing {
                Thing::Setting => found.find(wanted).cloned(),
                _ => found.next().cloned(),
            });
        }
        let children = self.service.list(command, item, &asked).await?;
        Ok(Some(Node {
            name: "list".to_owned(),
            text: String::new(),
            children,
        }))
    }

    /// Everything of a kind that prices may hang on, to find the dearest: offerings, templates.
    ///
    /// # Errors
    /// As [`Asker::facts`].
    pub async fn catalogue(&self) -> Result<Arc<Catalogue>, UpstreamError> {
        if let Some(known) = self.all.get(&()) {
            return Ok(known);
        }
        let list = |command, item| self.service.list(command, item, &[("listall", "true")]);
        let templates = [("templatefilter", "all"), ("listall", "true")];
        let mut found = Catalogue {
            services: list("listServiceOfferings", "serviceoffering").await?,
            disks: list("listDiskOfferings", "diskoffering").await?,
            networks: list("listNetworkOfferings", "networkoffering").await?,
            largest_template: None,
        };
        let rows = self.service.list("listTemplates", "template", &templates);
        let size = |row: &Node| row.number_of("size").unwrap_or(0);
        found.largest_template = rows.await?.into_iter().max_by_key(size);
        let found = Arc::new(found);
        self.all.insert((), found.clone());
        Ok(found)
    }

    async fn call(
        &self,
        command: &str,
        item: &str,
        id: &str,
        asked: &[(&str, &str)],
    ) -> Result<Option<Node>, UpstreamError> {
        let node = self.service.find(command, asked).await?;
        Ok(node.and_then(|node| {
            node.all(item)
                .find(|node| node.text_of("id") == Some(id))
                .cloned()
        }))
    }
}

const fn offerings(thing: Thing) -> (&'static str, &'static str) {
    match thing {
        Thing::DiskOffering => ("listDiskOfferings", "diskoffering"),
        Thing::NetworkOffering => ("listNetworkOfferings", "networkoffering"),
        _ => ("listServiceOfferings", "serviceoffering"),
    }
}

/// The list command, the item of its answer and the parameters that find a thing by what it hangs
/// on; none for an id that is not written as its thing says.
fn search(
    thing: Thing,
    id: &str,
) -> Option<(&'static str, &'static str, Vec<(&'static str, String)>)> {
    let own = |name: &'static str| (name, id.to_owned());
    let said = |name: &'static str, value: &str| (name, value.to_owned());
    let pair = || id.split_once('/');
    let (command, item, mut asked) = match thing {
        Thing::RootVolumeOf => (
            "listVolumes",
            "volume",
            vec![own("virtualmachineid"), said("type", "ROOT")],
        ),
        Thing::VolumesOf => ("listVolumes", "volume", vec![own("virtualmachineid")]),
        Thing::VmsIn => (
            "listVirtualMachines",
            "virtualmachine",
            vec![own("networkid")],
        ),
        Thing::SourceNatOf => (
            "listPublicIpAddresses",
            "publicipaddress",
            vec![own("vpcid"), said("issourcenat", "true")],
        ),
        Thing::GroupsOf => (
            "listAutoScaleVmGroups",
            "autoscalevmgroup",
            vec![own("vmprofileid")],
        ),
        Thing::VpnUsersOf => {
            let (domain, account) = pair()?;
            let asked = if domain == "project" {
                vec![said("projectid", account)]
            } else {
                vec![said("domainid", domain), said("account", account)]
            };
            return Some(("listVpnUsers", "vpnuser", asked));
        }
        Thing::UnmanagedVm => {
            let (cluster, name) = pair()?;
            let asked = vec![said("clusterid", cluster), said("name", name)];
            return Some(("listUnmanagedInstances", "unmanagedinstance", asked));
        }
        Thing::UnmanagedVolume => {
            let (storage, path) = pair()?;
            let asked = vec![said("storageid", storage), said("path", path)];
            return Some(("listVolumesForImport", "volumeforimport", asked));
        }
        Thing::Setting => return Some(("listConfigurations", "configuration", vec![own("name")])),
        Thing::Zones => return Some(("listZones", "zone", Vec::new())),
        _ => return None,
    };
    asked.extend([said("listall", "true"), said("projectid", "-1")]);
    Some((command, item, asked))
}
