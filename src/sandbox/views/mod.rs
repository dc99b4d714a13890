//! Edge: rows as the API shows them, each field where CloudStack puts it.

pub mod account;
pub mod job;
pub mod network;
pub mod thing;
pub mod vm;
pub mod volume;

use super::cloud::Cloud;
use super::fixed::Fields;
use crate::cloudstack::time;
use crate::terms::time::Timestamp;
use serde_json::{Value, json};

/// Builds an object field by field.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    fields: Fields,
}

impl Shown {
    /// An object with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A recorded object, whose fields keep their places.
    #[must_use]
    pub const fn like(fields: Fields) -> Self {
        Self { fields }
    }

    /// Sets a field; a null is left out.
    pub fn put(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        let value = value.into();
        if !value.is_null() {
            self.fields.insert(name.to_owned(), value);
        }
        self
    }

    /// Takes a field out.
    pub fn drop(&mut self, name: &str) -> &mut Self {
        self.fields.shift_remove(name);
        self
    }

    /// Sets every field of an object.
    pub fn all(&mut self, fields: &Value) -> &mut Self {
        if let Value::Object(fields) = fields {
            for (name, value) in fields {
                self.put(name, value.clone());
            }
        }
        self
    }

    /// The owner's fields: `account`, or `projectid` and `project`; then the domain's three.
    pub fn owner(&mut self, cloud: &Cloud, account: &str) -> &mut Self {
        self.owner_name(cloud, account).owner_domain(cloud, account)
    }

    /// `account`, or `projectid` and `project`.
    pub fn owner_name(&mut self, cloud: &Cloud, account: &str) -> &mut Self {
        let Some(owner) = cloud.accounts.find(account) else {
            return self;
        };
        match owner
            .project
            .as_deref()
            .and_then(|id| cloud.projects.find(id))
        {
            Some(project) => self
                .put("projectid", project.id.as_str())
                .put("project", project.name.as_str()),
            None => self.put("account", owner.name.as_str()),
        }
    }

    /// `domainid`, `domain`, `domainpath`.
    pub fn owner_domain(&mut self, cloud: &Cloud, account: &str) -> &mut Self {
        let domain = cloud
            .accounts
            .find(account)
            .map(|owner| owner.domain.as_str());
        if let Some(domain) = domain.and_then(|id| cloud.domains.find(id)) {
            self.put("domainid", domain.id.as_str())
                .put("domain", domain.name.as_str())
                .put("domainpath", domain.path.as_str());
        }
        self
    }

    /// `zoneid`, `zonename`.
    pub fn zone(&mut self) -> &mut Self {
        self.put("zoneid", super::fixed::zone_id())
            .put("zonename", super::fixed::text("zone", "name"))
    }

    /// An empty list, which stands in JSON and not in XML.
    pub fn none(&mut self, name: &str) -> &mut Self {
        self.put(name, json!([]))
    }

    /// The object.
    #[must_use]
    pub fn done(&mut self) -> Value {
        Value::Object(std::mem::take(&mut self.fields))
    }
}

/// A second as CloudStack prints it.
#[must_use]
pub fn printed(seconds: i64) -> String {
    time::print(Timestamp::from_seconds(seconds))
}
