//! Edge: one call: its parameters, who calls, whose things it makes and which it may see.

use super::catalogue::Command;
use super::cloud::{Cloud, Moment};
use super::records::Account;
use super::refused::{Refused, bad_parameter, invalid, missing, not_yours, refused, unknown_id};
use super::work::Work;
use crate::cloudstack::query::ParamMap;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Rows of one page, at most.
pub const PAGE_MAX: i64 = 500;

/// Who calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// User.
    pub user: String,
    /// Account.
    pub account: String,
    /// Its domain.
    pub domain: String,
    /// `accounttype`.
    pub kind: i64,
}

impl Caller {
    /// The caller that a user is; none where the user or its account is not enabled.
    #[must_use]
    pub fn of_user(cloud: &Cloud, user: &str) -> Option<Self> {
        let user = cloud.users.find(user).filter(|u| !u.removed)?;
        let account = cloud.accounts.find(&user.account).filter(|a| !a.removed)?;
        let enabled = user.state == "enabled" && account.state == "enabled";
        enabled.then(|| Self {
            user: user.id.clone(),
            account: account.id.clone(),
            domain: account.domain.clone(),
            kind: account.kind,
        })
    }

    /// Root admin.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.kind == 1
    }

    /// Whether the caller may use what that account owns.
    #[must_use]
    pub fn reaches(&self, cloud: &Cloud, account: &str) -> bool {
        if self.is_root() || account == self.account {
            return true;
        }
        let Some(owner) = cloud.accounts.find(account) else {
            return false;
        };
        if self.kind == 2 && cloud.is_under(&owner.domain, &self.domain) {
            return true;
        }
        let project = owner
            .project
            .as_deref()
            .and_then(|id| cloud.projects.find(id));
        project.is_some_and(|project| project.members.contains(&self.account))
    }
}

/// What a command comes to.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// The answer's inside.
    Now(Value),
    /// A job, with the id of what was made, and what the job works on.
    Job {
        /// Id of what was made.
        id: Option<String>,
        /// Kind and, for most commands, id of what the job works on.
        instance: Option<(&'static str, Option<String>)>,
        /// Rest of the work.
        work: Work,
    },
}

impl Reply {
    /// A job on something that is there.
    #[must_use]
    pub fn job(kind: &'static str, id: &str, work: Work) -> Self {
        Self::Job {
            id: None,
            instance: Some((kind, Some(id.to_owned()))),
            work,
        }
    }

    /// A job on something that was just made.
    #[must_use]
    pub fn created(kind: &'static str, id: &str, work: Work) -> Self {
        Self::Job {
            id: Some(id.to_owned()),
            instance: Some((kind, Some(id.to_owned()))),
            work,
        }
    }

    /// `{"success":true}`.
    #[must_use]
    pub fn success() -> Self {
        Self::Now(json!({ "success": true }))
    }
}

/// One call.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The command.
    pub command: &'a Command,
    /// Its parameters.
    pub params: &'a ParamMap,
    /// Who calls.
    pub caller: &'a Caller,
    /// When.
    pub moment: Moment<'a>,
}

impl<'a> Call<'a> {
    /// A parameter's value; none where it is absent or empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.params.get(name).filter(|text| !text.is_empty())
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// 431.
    pub fn required(&self, name: &str) -> Result<&'a str, Refused> {
        self.text(name)
            .ok_or_else(|| missing(self.command.short(), name))
    }

    /// A truth value; anything but `true` in any case is false, as Java reads it.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.text(name)
            .map(|text| text.eq_ignore_ascii_case("true"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// 431 for anything else.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Refused> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = text.parse().map_err(|_| {
            let command = self.command.short();
            bad_parameter(format!(
                "Unable to execute API command {command} due to invalid value {text} for \
                 parameter {name}"
            ))
        })?;
        Ok(Some(number))
    }

    /// The refusal of an id that names nothing.
    #[must_use]
    pub fn no_such(&self, name: &str) -> Refused {
        unknown_id(
            self.command.short(),
            name,
            self.text(name).unwrap_or_default(),
        )
    }

    /// Numbered map parameters, `details[0].cpuNumber=2`, in the order of their numbers.
    #[must_use]
    pub fn map(&self, name: &str) -> BTreeMap<String, String> {
        let mut found: Vec<(i64, String, String)> = Vec::new();
        let prefix = format!("{name}[");
        for (_, param) in self.params.iter() {
            let lower = param.name.to_ascii_lowercase();
            if !lower.starts_with(&prefix) {
                continue;
            }
            let Some(rest) = param.name.get(prefix.len()..) else {
                continue;
            };
            if let Some((number, key)) = rest.split_once("].") {
                let number = number.parse().unwrap_or(0);
                found.push((number, key.to_owned(), param.value.clone()));
            }
        }
        found.sort();
        found
            .into_iter()
            .map(|(_, key, value)| (key, value))
            .collect()
    }

    /// Items of a list parameter, `a,b`.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&'a str> {
        let text = self.text(name).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// The account that will own what this call makes.
    ///
    /// # Errors
    /// 431 for half a name or an unknown one, 531 for one the caller does not reach, 432 for a
    /// project it is no member of.
    pub fn owner<'c>(&self, cloud: &'c Cloud) -> Result<&'c Account, Refused> {
        if let Some(name) = self.text("account") {
            let Some(domain) = self.text("domainid") else {
                return Err(invalid("Account must be specified with domainId parameter"));
            };
            let domain = cloud
                .domains
                .find(domain)
                .ok_or_else(|| self.no_such("domainid"))?;
            let found = cloud.account_named(name, &domain.id).ok_or_else(|| {
                invalid(format!(
                    "Unable to find account {name} in domain id={} by name",
                    domain.number
                ))
            })?;
            if !self.caller.reaches(cloud, &found.id) {
                return Err(not_yours());
            }
            return Ok(found);
        }
        if let Some(id) = self.text("projectid") {
            let project = cloud.projects.find(id).filter(|p| !p.removed);
            let project = project.ok_or_else(|| invalid("Unable to find project by id"))?;
            if !self.caller.reaches(cloud, &project.account) {
                return Err(Refused {
                    wrapper: Some("errorresponse"),
                    ..refused(
                        432,
                        9999,
                        format!(
                            "The API [{}] does not exist or is not available for this \
                             account/user in project [{}].",
                            self.command.name, project.id
                        ),
                    )
                });
            }
            return cloud.accounts.find(&project.account).ok_or_else(not_yours);
        }
        cloud
            .accounts
            .find(&self.caller.account)
            .ok_or_else(not_yours)
    }

    /// Which accounts a list shows (`AccountManagerImpl.buildACLSearchParameters`).
    ///
    /// # Errors
    /// As [`Call::owner`].
    pub fn scope(&self, cloud: &Cloud) -> Result<Scope, Refused> {
        let by_id = self.text("id").is_some() || self.text("ids").is_some();
        let lists_all = self.flag("listall") == Some(true);
        let project = self.text("projectid");
        if self.text("account").is_some() {
            return Ok(Scope::only(&self.owner(cloud)?.id));
        }
        if project == Some("-1") {
            return Ok(Scope {
                accounts: (!self.caller.is_root()).then(|| self.reached(cloud)),
                domain: None,
                projects: true,
            });
        }
        if project.is_some() {
            return Ok(Scope::only(&self.owner(cloud)?.id));
        }
        if let Some(id) = self.text("domainid") {
            let domain = cloud
                .domains
                .find(id)
                .ok_or_else(|| self.no_such("domainid"))?;
            if !self.caller.is_root() && !cloud.is_under(&domain.id, &self.caller.domain) {
                return Err(not_yours());
            }
            if self.caller.kind == 0 {
                return Ok(Scope::only(&self.caller.account));
            }
            let below = self.flag("isrecursive") == Some(true);
            return Ok(Scope {
                accounts: None,
                domain: Some((domain.id.clone(), below)),
                projects: false,
            });
        }
        Ok(match self.caller.kind {
            1 if lists_all || by_id => Scope {
                accounts: None,
                domain: None,
                projects: by_id,
            },
            2 if lists_all || by_id => Scope {
                accounts: None,
                domain: Some((self.caller.domain.clone(), true)),
                projects: by_id,
            },
            _ => Scope::only(&self.caller.account),
        })
    }

    fn reached(&self, cloud: &Cloud) -> Vec<String> {
        let accounts = cloud.accounts.iter();
        let reached = accounts.filter(|account| self.caller.reaches(cloud, &account.id));
        reached.map(|account| account.id.clone()).collect()
    }

    /// The page asked for, as rows to skip and to take.
    ///
    /// # Errors
    /// 431 for half a page or one that is too large.
    pub fn page(&self) -> Result<(usize, usize), Refused> {
        let lacks = |name: &str, other: &str| {
            bad_parameter(format!(
                "\"{name}\" parameter is required when \"{other}\" is specified"
            ))
        };
        let (page, size) = (self.number("page")?, self.number("pagesize")?);
        let small = |number: i64| usize::try_from(number).unwrap_or(0);
        match (page, size) {
            (None, None) => Ok((0, small(PAGE_MAX))),
            (None, Some(-1)) => Ok((0, usize::MAX)),
            (Some(_), None) => Err(lacks("pagesize", "page")),
            (None, Some(_)) => Err(lacks("page", "pagesize")),
            (Some(_), Some(-1)) => Err(invalid(
                "Can't specify page parameter when pagesize is -1 (Unlimited)",
            )),
            (Some(_), Some(size)) if size > PAGE_MAX => Err(invalid(
                "Page size can't exceed max allowed page size value: 500",
            )),
            (Some(page), Some(size)) => {
                let skip = small(page.max(1) - 1).saturating_mul(small(size));
                Ok((skip, small(size)))
            }
        }
    }

    /// A list's answer: the page of the rows, and how many there are; nothing where none are.
    ///
    /// # Errors
    /// As [`Call::page`].
    pub fn listed<T>(
        &self,
        name: &str,
        rows: &[T],
        show: impl Fn(&T) -> Value,
    ) -> Result<Reply, Refused> {
        let (skip, take) = self.page()?;
        let mut inside = Map::new();
        if !rows.is_empty() {
            inside.insert("count".to_owned(), json!(rows.len()));
            let shown: Vec<Value> = rows.iter().skip(skip).take(take).map(show).collect();
            if !shown.is_empty() {
                inside.insert(name.to_owned(), Value::Array(shown));
            }
        }
        Ok(Reply::Now(Value::Object(inside)))
    }

    /// Whether a row passes `id`, `ids`, `name` and `keyword`.
    #[must_use]
    pub fn names(&self, id: &str, name: &str) -> bool {
        let wanted = self
            .text("id")
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(id));
        let ids = self.list("ids");
        let has = |part: &str| name.to_lowercase().contains(&part.to_lowercase());
        wanted
            && (ids.is_empty() || ids.contains(&id))
            && self
                .text("name")
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(name))
            && self.text("keyword").is_none_or(has)
    }
}

/// Which accounts a list shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// These alone; none for all.
    accounts: Option<Vec<String>>,
    /// A domain, and whether what is below it belongs to it.
    domain: Option<(String, bool)>,
    /// Projects' things too.
    projects: bool,
}

impl Scope {
    fn only(account: &str) -> Self {
        Self {
            accounts: Some(vec![account.to_owned()]),
            domain: None,
            projects: true,
        }
    }

    /// Whether things of that account are shown.
    #[must_use]
    pub fn shows(&self, cloud: &Cloud, account: &str) -> bool {
        if let Some(accounts) = &self.accounts {
            return accounts.iter().any(|id| id == account);
        }
        let Some(owner) = cloud.accounts.find(account) else {
            return false;
        };
        if owner.project.is_some() && !self.projects {
            return false;
        }
        match &self.domain {
            None => true,
            Some((domain, false)) => owner.domain == *domain,
            Some((domain, true)) => cloud.is_under(&owner.domain, domain),
        }
    }
}
