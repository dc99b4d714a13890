//! Edge: what CloudStack says of the things that a call names; offerings and templates are kept
//! for a minute, what changes is asked each time.

use super::dearest::Catalogue;
use super::plan::{self, Facts, Question, Thing};
use super::whose;
use crate::cloudstack::command::{Command, Parent};
use crate::cloudstack::query::ParamMap;
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
        let more = plan::more(command.price, params, &facts);
        facts.extend(self.facts(&more).await?);
        Ok(facts)
    }

    async fn fact(&self, question: &Question) -> Result<Option<Node>, UpstreamError> {
        if let Some(known) = self.kept.get(question) {
            return Ok(Some((*known).clone()));
        }
        let (thing, id) = question;
        let found = self.one(*thing, id).await?;
        let keeps = matches!(
            thing,
            Thing::ServiceOffering | Thing::DiskOffering | Thing::NetworkOffering | Thing::Template
        );
        if let (true, Some(node)) = (keeps, &found) {
            self.kept.insert(question.clone(), Arc::new(node.clone()));
        }
        Ok(found)
    }

    async fn one(&self, thing: Thing, id: &str) -> Result<Option<Node>, UpstreamError> {
        match thing {
            Thing::ServiceOffering => {
                self.call("listServiceOfferings", "serviceoffering", id, &[("id", id)])
                    .await
            }
            Thing::DiskOffering => {
                self.call("listDiskOfferings", "diskoffering", id, &[("id", id)])
                    .await
            }
            Thing::NetworkOffering => {
                self.call("listNetworkOfferings", "networkoffering", id, &[("id", id)])
                    .await
            }
            Thing::RootVolumeOf => {
                let asked = [
                    ("virtualmachineid", id),
                    ("type", "ROOT"),
                    ("listall", "true"),
                    ("projectid", "-1"),
                ];
                let node = self.service.find("listVolumes", &asked).await?;
                Ok(node.and_then(|node| node.child("volume").cloned()))
            }
            Thing::Owned(parent @ (Parent::Template | Parent::Iso)) => {
                let filter = if parent == Parent::Iso {
                    "isofilter"
                } else {
                    "templatefilter"
                };
                let listing = parent.listing();
                let asked = [("id", id), (filter, "all"), ("listall", "true")];
                self.call(listing.command, listing.item, id, &asked).await
            }
            Thing::Owned(parent) => {
                let listing = parent.listing();
                let asked = [(listing.by, id), ("listall", "true"), ("projectid", "-1")];
                let bare = matches!(
                    parent,
                    Parent::User | Parent::Account | Parent::Domain | Parent::Project
                );
                let asked = if bare {
                    asked.get(..2)
                } else {
                    Some(asked.as_slice())
                };
                self.call(listing.command, listing.item, id, asked.unwrap_or_default())
                    .await
            }
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
