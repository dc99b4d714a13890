//! Edge: what CloudStack says of the things that a call names; offerings and templates are kept
//! for a minute, what changes is asked each time.

use super::plan::{Facts, Question, Thing};
use crate::cloudstack::tree::Node;
use crate::upstream::UpstreamError;
use crate::upstream::service::Service;
use futures_util::future::try_join_all;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;

/// How long an offering or a template is taken to be as it was.
const KEPT: Duration = Duration::from_secs(60);
/// Offerings and templates kept.
const KEPT_MAX: u64 = 10_000;

/// Asks CloudStack for facts.
#[derive(Debug)]
pub struct Asker {
    service: Arc<Service>,
    kept: Cache<Question, Arc<Node>>,
}

impl Asker {
    /// An asker with this service account.
    #[must_use]
    pub fn new(service: Arc<Service>) -> Self {
        let kept = Cache::builder()
            .max_capacity(KEPT_MAX)
            .time_to_live(KEPT)
            .build();
        Self { service, kept }
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

    async fn fact(&self, question: &Question) -> Result<Option<Node>, UpstreamError> {
        if let Some(known) = self.kept.get(question) {
            return Ok(Some((*known).clone()));
        }
        let (thing, id) = question;
        let found = self.one(*thing, id).await?;
        let keeps = matches!(
            thing,
            Thing::ServiceOffering | Thing::DiskOffering | Thing::Template
        );
        if let (true, Some(node)) = (keeps, &found) {
            self.kept.insert(question.clone(), Arc::new(node.clone()));
        }
        Ok(found)
    }

    async fn one(&self, thing: Thing, id: &str) -> Result<Option<Node>, UpstreamError> {
        match thing {
            Thing::ServiceOffering => {
                self.listed("listServiceOfferings", "serviceoffering", id)
                    .await
            }
            Thing::DiskOffering => self.listed("listDiskOfferings", "diskoffering", id).await,
            Thing::Network => self.listed("listNetworks", "network", id).await,
            Thing::Vm => {
                self.listed("listVirtualMachines", "virtualmachine", id)
                    .await
            }
            Thing::Volume => self.listed("listVolumes", "volume", id).await,
            Thing::Snapshot => self.listed("listSnapshots", "snapshot", id).await,
            Thing::Address => {
                self.listed("listPublicIpAddresses", "publicipaddress", id)
                    .await
            }
            Thing::Vpc => self.listed("listVPCs", "vpc", id).await,
            Thing::Template => {
                let asked = [("id", id), ("templatefilter", "all"), ("listall", "true")];
                let found = self.call("listTemplates", "template", id, &asked).await?;
                if found.is_some() {
                    return Ok(found);
                }
                let asked = [("id", id), ("isofilter", "all"), ("listall", "true")];
                self.call("listIsos", "iso", id, &asked).await
            }
        }
    }

    async fn listed(
        &self,
        command: &str,
        item: &str,
        id: &str,
    ) -> Result<Option<Node>, UpstreamError> {
        let asked = [("id", id), ("listall", "true"), ("projectid", "-1")];
        let offerings = command.ends_with("Offerings");
        let asked = if offerings {
            asked.get(..1)
        } else {
            Some(asked.as_slice())
        };
        self.call(command, item, id, asked.unwrap_or_default())
            .await
    }

    /// An error answer means that the thing is not there for anybody: CloudStack says 431 for an
    /// unknown id.
    async fn call(
        &self,
        command: &str,
        item: &str,
        id: &str,
        asked: &[(&str, &str)],
    ) -> Result<Option<Node>, UpstreamError> {
        let answer = self.service.call(command, asked).await?;
        Ok(answer
            .node
            .all(item)
            .find(|node| node.text_of("id") == Some(id))
            .cloned())
    }
}
