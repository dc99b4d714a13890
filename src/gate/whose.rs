//! Edge: who would own what a raising call makes, and whether the caller may act for him.

use super::authenticate::Caller;
use super::plan::{Facts, Question, Thing};
use super::refusal::Refusal;
use crate::cloudstack::command::{Command, OwnerRule, Parent};
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::meter::observe::owner_named;
use crate::meter::resource::Owner;
use crate::terms::ids::{CsDomainId, CsProjectId};
use crate::upstream::directory::Directory;

/// CloudStack's account types (`Account.Type`).
const ROOT_ADMIN: i64 = 1;
const DOMAIN_ADMIN: i64 = 2;

/// The owner, and what the caller is to him.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Whose {
    /// Who would own it.
    pub owner: Owner,
    /// The caller may act for the owner. If not, nothing is said or held of the owner: the call
    /// is held against the caller, and CloudStack answers it.
    pub may_act: bool,
}

/// The things whose owner decides.
#[must_use]
pub fn needs(command: &Command, params: &ParamMap) -> Vec<Question> {
    let named =
        |thing: Thing, name: &str| params.get(name).map(|id| (thing, id.to_ascii_lowercase()));
    let found = match &command.owner {
        OwnerRule::Parent(parent, name) | OwnerRule::Moves(parent, name) => {
            named(Thing::Owned(*parent), name)
        }
        OwnerRule::AddressFor => named(Thing::Owned(Parent::Network), "networkid")
            .or_else(|| named(Thing::Owned(Parent::Vpc), "vpcid")),
        OwnerRule::ParamsElse(parents) => parents
            .iter()
            .find_map(|(parent, name)| named(Thing::Owned(*parent), name)),
        OwnerRule::None | OwnerRule::Caller | OwnerRule::Params | OwnerRule::Unclear => None,
    };
    found.into_iter().collect()
}

/// Finds the owner.
///
/// # Errors
/// [`Refusal::OwnerUnclear`] where no rule tells, [`Refusal::CannotAsk`] where CloudStack could
/// not be asked.
pub async fn whose(
    command: &Command,
    params: &ParamMap,
    caller: &Caller,
    facts: &Facts,
    directory: &Directory,
) -> Result<Whose, Refusal> {
    let own = own(caller)?;
    let named = match &command.owner {
        OwnerRule::Unclear | OwnerRule::None => {
            return Err(Refusal::Unpriced(format!("command {}", command.name)));
        }
        OwnerRule::Caller => None,
        OwnerRule::Params => by_params(params, directory).await?,
        OwnerRule::Parent(..) => of_thing(command, params, facts, &own),
        OwnerRule::AddressFor | OwnerRule::ParamsElse(_) | OwnerRule::Moves(..) => {
            match by_params(params, directory).await? {
                Some(owner) => Some(owner),
                None => of_thing(command, params, facts, &own),
            }
        }
    };
    let owner = named.unwrap_or_else(|| own.clone());
    let may_act = may_act(caller, &own, &owner, directory).await?;
    Ok(Whose { owner, may_act })
}

/// The owner of the thing that the call names; none where it has none (a shared network) or is
/// not there.
fn of_thing(command: &Command, params: &ParamMap, facts: &Facts, own: &Owner) -> Option<Owner> {
    let questions = needs(command, params);
    let node = facts.get(questions.first()?)?;
    if let Some(owner) = as_owner(node) {
        return Some(owner);
    }
    let has_owner = node.text_of("account").is_some() || node.child("projectid").is_some();
    has_owner.then(|| owner_named(node, own))
}

/// An account or a project is an owner itself.
fn as_owner(node: &Node) -> Option<Owner> {
    let (id, domain) = (node.text_of("id")?, node.text_of("domainid")?);
    let account = node.name == "account";
    let project = node.name == "project";
    (account || project).then(|| Owner {
        account: account.then(|| id.into()),
        account_name: node.text_of("name").filter(|_| account).map(str::to_owned),
        domain: domain.into(),
        project: project.then(|| id.into()),
    })
}

/// The caller's own account.
pub fn own(caller: &Caller) -> Result<Owner, Refusal> {
    let person = caller.person();
    let domain = caller.domain().cloned();
    Ok(Owner {
        account: Some(person.account.clone()),
        account_name: Some(person.account_name.clone()),
        domain: domain.ok_or_else(|| Refusal::CannotAsk("a domain without a path".to_owned()))?,
        project: None,
    })
}

/// `projectid`, or `account` with `domainid`; none where the call names nobody.
async fn by_params(params: &ParamMap, directory: &Directory) -> Result<Option<Owner>, Refusal> {
    let cannot = |fault: crate::upstream::UpstreamError| Refusal::CannotAsk(fault.what);
    if let Some(id) = params.get("projectid") {
        let project = directory.project(id).await.map_err(cannot)?;
        return match project {
            Some(project) => Ok(Some(Owner {
                account: None,
                account_name: None,
                domain: project.domain.clone(),
                project: Some(CsProjectId::from(id)),
            })),
            None => Err(Refusal::OwnerUnclear(format!("project {id} is not known"))),
        };
    }
    let Some(name) = params.get("account") else {
        return Ok(None);
    };
    let Some(domain) = params.get("domainid") else {
        return Err(Refusal::OwnerUnclear(
            "account stands without domainid".to_owned(),
        ));
    };
    let domain = CsDomainId::from(domain);
    let account = directory.account(name, &domain).await.map_err(cannot)?;
    match account {
        Some(account) => Ok(Some(Owner {
            account: Some(account.id.clone()),
            account_name: Some(account.name.clone()),
            domain,
            project: None,
        })),
        None => Err(Refusal::OwnerUnclear(format!(
            "account `{name}` is not in that domain"
        ))),
    }
}

async fn may_act(
    caller: &Caller,
    own: &Owner,
    owner: &Owner,
    directory: &Directory,
) -> Result<bool, Refusal> {
    let same_name = owner.account_name.as_ref().map(|name| name.to_lowercase())
        == own.account_name.as_ref().map(|name| name.to_lowercase());
    let same_account = owner.project.is_none() && owner.domain == own.domain && same_name;
    if same_account || caller.person().account_kind == ROOT_ADMIN {
        return Ok(true);
    }
    let cannot = |fault: crate::upstream::UpstreamError| Refusal::CannotAsk(fault.what);
    if let Some(project) = &owner.project {
        // A member of a project is of its domain; CloudStack itself refuses who is no member.
        let project = directory.project(project.as_str()).await.map_err(cannot)?;
        return Ok(project.is_some_and(|project| project.domain == own.domain));
    }
    if caller.person().account_kind != DOMAIN_ADMIN {
        return Ok(false);
    }
    let path = directory.path(&owner.domain).await.map_err(cannot)?;
    Ok(path.is_some_and(|path| path.contains(&own.domain)))
}
