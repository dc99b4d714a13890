//! Edge: who is who in CloudStack: the tree of domains, accounts and projects, kept for a minute.

use super::UpstreamError;
use super::service::Service;
use crate::cloudstack::tree::Node;
use crate::terms::ids::{CsAccountId, CsDomainId, CsProjectId};
use moka::sync::Cache;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a look-up may be used.
const KEPT: Duration = Duration::from_secs(60);
/// Accounts and projects kept.
const KEPT_MAX: u64 = 10_000;
/// Domains above each other; CloudStack's own trees are far flatter.
const DEPTH_MAX: usize = 64;

/// An account as CloudStack lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountFact {
    /// Its id.
    pub id: CsAccountId,
    /// Its name, unique in its domain.
    pub name: String,
    /// Its domain.
    pub domain: CsDomainId,
    /// `enabled`, `disabled`, `locked`: an account's state shows only in `listAccounts`.
    pub state: String,
    /// 0 user, 1 root admin, 2 domain admin (`Account.Type`).
    pub kind: i64,
    /// The name of its role.
    pub role: Option<String>,
}

/// A project as CloudStack lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProjectFact {
    /// Its id.
    pub id: CsProjectId,
    /// Its domain.
    pub domain: CsDomainId,
    /// Names of the accounts that own it.
    pub owners: Vec<String>,
}

/// One domain's name and parent.
type Domains = HashMap<String, (String, Option<String>)>;

/// Look-ups of accounts, projects and the path of a domain.
#[derive(Debug)]
pub struct Directory {
    service: Arc<Service>,
    domains: Cache<(), Arc<Domains>>,
    accounts: Cache<(String, String), Arc<AccountFact>>,
    projects: Cache<String, Arc<ProjectFact>>,
    members: Cache<Member, ()>,
}

/// Project, account, user.
type Member = (String, String, String);

impl Directory {
    /// A directory that asks with this service account.
    #[must_use]
    pub fn new(service: Arc<Service>) -> Self {
        let kept = || Cache::builder().max_capacity(KEPT_MAX).time_to_live(KEPT);
        Self {
            service,
            domains: Cache::builder().max_capacity(1).time_to_live(KEPT).build(),
            accounts: kept().build(),
            projects: Cache::builder()
                .max_capacity(KEPT_MAX)
                .time_to_live(KEPT)
                .build(),
            members: Cache::builder()
                .max_capacity(KEPT_MAX)
                .time_to_live(KEPT)
                .build(),
        }
    }

    /// Ids of the domains from the root down to this one; none where CloudStack does not know it.
    ///
    /// # Errors
    /// [`UpstreamError`] where CloudStack could not be asked.
    pub async fn path(
        &self,
        domain: &CsDomainId,
    ) -> Result<Option<Vec<CsDomainId>>, UpstreamError> {
        let known = match self.domains.get(&()) {
            Some(known) if known.contains_key(domain.as_str()) => known,
            _ => self.refresh().await?,
        };
        Ok(path_of(&known, domain.as_str()))
    }

    /// A domain's name, for people.
    ///
    /// # Errors
    /// As [`Directory::path`].
    pub async fn name(&self, domain: &CsDomainId) -> Result<Option<String>, UpstreamError> {
        let known = match self.domains.get(&()) {
            Some(known) => known,
            None => self.refresh().await?,
        };
        Ok(known.get(domain.as_str()).map(|(name, _)| name.clone()))
    }

    /// The account of that name in that domain.
    ///
    /// # Errors
    /// As [`Directory::path`].
    pub async fn account(
        &self,
        name: &str,
        domain: &CsDomainId,
    ) -> Result<Option<Arc<AccountFact>>, UpstreamError> {
        // CloudStack compares account names without case (facts: row 44).
        let key = (name.to_lowercase(), domain.as_str().to_owned());
        if let Some(known) = self.accounts.get(&key) {
            return Ok(Some(known));
        }
        let asked = [
            ("name", name),
            ("domainid", domain.as_str()),
            ("details", "min"),
        ];
        let Some(node) = self.service.find("listAccounts", &asked).await? else {
            return Ok(None);
        };
        let found = node
            .all("account")
            .filter_map(account_of)
            .find(|account| account.name.to_lowercase() == key.0 && account.domain == *domain);
        Ok(found.map(|account| {
            let account = Arc::new(account);
            self.accounts.insert(key, account.clone());
            account
        }))
    }

    /// The account with that id, asked afresh.
    ///
    /// # Errors
    /// As [`Directory::path`].
    pub async fn account_by_id(&self, id: &str) -> Result<Option<AccountFact>, UpstreamError> {
        let asked = [("id", id), ("listall", "true"), ("details", "min")];
        let node = self.service.find("listAccounts", &asked).await?;
        Ok(node.and_then(|node| {
            let mut accounts = node.all("account").filter_map(account_of);
            accounts.find(|account| account.id.as_str() == id)
        }))
    }

    /// The project with that id.
    ///
    /// # Errors
    /// As [`Directory::path`].
    pub async fn project(&self, id: &str) -> Result<Option<Arc<ProjectFact>>, UpstreamError> {
        if let Some(known) = self.projects.get(id) {
            return Ok(Some(known));
        }
        let asked = [("id", id), ("listall", "true")];
        let Some(node) = self.service.find("listProjects", &asked).await? else {
            return Ok(None);
        };
        let found = node
            .all("project")
            .filter_map(project_of)
            .find(|p| p.id.as_str() == id);
        Ok(found.map(|project| {
            let project = Arc::new(project);
            self.projects.insert(id.to_owned(), project.clone());
            project
        }))
    }

    /// Whether an account, or one user of it, is a member of the project. A yes is kept, a no is
    /// asked again: who was just let in is not taken for a stranger.
    ///
    /// # Errors
    /// As [`Directory::path`].
    pub async fn is_member(
        &self,
        project: &CsProjectId,
        account: (&CsAccountId, &str),
        user: &str,
    ) -> Result<bool, UpstreamError> {
        let (id, name) = account;
        let member = (
            project.as_str().to_owned(),
            id.as_str().to_owned(),
            user.to_owned(),
        );
        if self.members.contains_key(&member) {
            return Ok(true);
        }
        let asked = [("projectid", project.as_str()), ("account", name)];
        let node = self.service.find("listProjectAccounts", &asked).await?;
        let found = node.is_some_and(|node| {
            let mut rows = node.all("projectaccount");
            rows.any(|row| {
                let whole = row.text_of("accountid") == Some(id.as_str());
                let of_user = row.text_of("userid");
                whole && of_user.is_none_or(|of_user| of_user == user)
            })
        });
        if found {
            self.members.insert(member, ());
        }
        Ok(found)
    }

    /// Forgets everything, after a call that moves or removes accounts, projects or domains.
    pub fn forget(&self) {
        self.domains.invalidate_all();
        self.accounts.invalidate_all();
        self.projects.invalidate_all();
        self.members.invalidate_all();
    }

    async fn refresh(&self) -> Result<Arc<Domains>, UpstreamError> {
        let rows = self
            .service
            .list("listDomains", "domain", &[("listall", "true")])
            .await?;
        let domains: Domains = rows
            .iter()
            .filter_map(|row| {
                let parent = row.text_of("parentdomainid").map(str::to_owned);
                let name = row.text_of("name").unwrap_or_default().to_owned();
                Some((row.text_of("id")?.to_owned(), (name, parent)))
            })
            .collect();
        let domains = Arc::new(domains);
        self.domains.insert((), domains.clone());
        Ok(domains)
    }
}

fn path_of(domains: &Domains, leaf: &str) -> Option<Vec<CsDomainId>> {
    let mut path = Vec::new();
    let mut next = Some(leaf.to_owned());
    while let Some(id) = next {
        if path.len() > DEPTH_MAX {
            return None;
        }
        let (_, parent) = domains.get(&id)?;
        path.push(CsDomainId::from(id.as_str()));
        next = parent.clone();
    }
    path.reverse();
    Some(path)
}

fn account_of(node: &Node) -> Option<AccountFact> {
    Some(AccountFact {
        id: CsAccountId::from(node.text_of("id")?),
        name: node.text_of("name")?.to_owned(),
        domain: CsDomainId::from(node.text_of("domainid")?),
        state: node.text_of("state").unwrap_or("enabled").to_owned(),
        kind: node.number_of("accounttype").unwrap_or(0),
        role: node.text_of("rolename").map(str::to_owned),
    })
}

fn project_of(node: &Node) -> Option<ProjectFact> {
    let owners = node
        .all("owner")
        .filter_map(|owner| owner.text_of("account"));
    Some(ProjectFact {
        id: CsProjectId::from(node.text_of("id")?),
        domain: CsDomainId::from(node.text_of("domainid")?),
        owners: owners.map(str::to_owned).collect(),
    })
}
