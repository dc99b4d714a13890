//! Edge: who would own what a raising call makes, and whether the caller may act for him.

use super::authenticate::Caller;
use super::plan::{self, Facts, Question, Thing};
use super::refusal::Refusal;
use crate::cloudstack::command::{Command, OwnerRule, Parent};
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::meter::observe::owner_named;
use crate::meter::resource::Owner;
use crate::terms::ids::CsDomainId;
use crate::upstream::UpstreamError;
use crate::upstream::directory::Directory;

/// CloudStack's account types (`Account.Type`).
const ROOT_ADMIN: i64 = 1;
const DOMAIN_ADMIN: i64 = 2;

/// Why a call is not the owner's until it has succeeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// The caller may not act for the owner of something that it names.
    Stranger,
    /// CloudStack says that something it names does not exist.
    NotThere,
}

/// The owner, and what the caller is to him.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Whose {
    /// Who would own it; the caller where nobody is named, or nobody that there is.
    pub owner: Owner,
    /// In doubt nothing is said or held of the owner: the call is held against the caller, and
    /// CloudStack answers it.
    pub doubt: Option<Doubt>,
    /// What was found but is not the caller's to act on: to him as unknown as what is not there.
    pub foreign: Vec<Question>,
}

impl Whose {
    /// Against whom the call is held.
    #[must_use]
    pub fn held_against<'a>(&'a self, own: &'a Owner) -> &'a Owner {
        match self.doubt {
            None => &self.owner,
            Some(_) => own,
        }
    }
}

/// What the owner parameters, or the thing that they leave to decide, say.
enum Named {
    /// Nobody.
    Nobody,
    /// Somebody whom CloudStack does not know.
    NotThere,
    /// Him.
    Owner(Owner),
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

/// Finds the owner, and whether the caller may act for him and for whoever owns what else the
/// call names and its price hangs on.
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
        OwnerRule::Caller => Named::Nobody,
        OwnerRule::Params => by_params(params, directory).await?,
        OwnerRule::Parent(..) => of_thing(command, params, facts, &own),
        OwnerRule::AddressFor | OwnerRule::ParamsElse(_) | OwnerRule::Moves(..) => {
            match by_params(params, directory).await? {
                Named::Nobody => of_thing(command, params, facts, &own),
                named => named,
            }
        }
    };
    let (owner, mut doubt) = match named {
        Named::Owner(owner) => (owner, None),
        Named::Nobody => (own.clone(), None),
        Named::NotThere => (own.clone(), Some(Doubt::NotThere)),
    };
    let mut known = vec![(own.clone(), true)];
    if !acts_for(caller, &own, &owner, directory, &mut known).await? {
        doubt = Some(Doubt::Stranger);
    }
    let mut foreign = Vec::new();
    for question in questions(command, params) {
        let Some(node) = facts.get(&question) else {
            doubt = doubt.or(Some(Doubt::NotThere));
            continue;
        };
        let Some(of) = its_owner(&question, node, &own) else {
            continue;
        };
        if !acts_for(caller, &own, &of, directory, &mut known).await? {
            doubt = Some(Doubt::Stranger);
            foreign.push(question);
        }
    }
    Ok(Whose {
        owner,
        doubt,
        foreign,
    })
}

/// What the call names: what its price hangs on, and whose it is.
fn questions(command: &Command, params: &ParamMap) -> Vec<Question> {
    let mut all = plan::needs(command.price, params);
    for question in needs(command, params) {
        if !all.contains(&question) {
            all.push(question);
        }
    }
    all
}

/// The owner of a thing that only he and those above him may use; none of an offering, a
/// template, or a network that is there for many.
fn its_owner(question: &Question, node: &Node, own: &Owner) -> Option<Owner> {
    if !matches!(question.0, Thing::Owned(_)) {
        return None;
    }
    let for_many = node.name == "network"
        && (node.text_of("type") == Some("Shared") || node.text_of("acltype") == Some("Domain"));
    if for_many {
        return None;
    }
    let has_owner = node.text_of("account").is_some() || node.child("projectid").is_some();
    as_owner(node).or_else(|| has_owner.then(|| owner_named(node, own)))
}

async fn acts_for(
    caller: &Caller,
    own: &Owner,
    owner: &Owner,
    directory: &Directory,
    known: &mut Vec<(Owner, bool)>,
) -> Result<bool, Refusal> {
    if let Some((_, may)) = known.iter().find(|(of, _)| of == owner) {
        return Ok(*may);
    }
    let may = may_act(caller, own, owner, directory).await?;
    known.push((owner.clone(), may));
    Ok(may)
}

/// The owner of the thing that the call names; nobody where it names none, or one without an
/// owner (a shared network).
fn of_thing(command: &Command, params: &ParamMap, facts: &Facts, own: &Owner) -> Named {
    let questions = needs(command, params);
    let Some(question) = questions.first() else {
        return Named::Nobody;
    };
    match facts.get(question) {
        None => Named::NotThere,
        Some(node) => its_owner(question, node, own).map_or(Named::Nobody, Named::Owner),
    }
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

/// `projectid`, or `account` with `domainid`.
async fn by_params(params: &ParamMap, directory: &Directory) -> Result<Named, Refusal> {
    if let Some(id) = params.get("projectid") {
        let id = id.to_ascii_lowercase();
        let project = directory.project(&id).await.map_err(cannot)?;
        return Ok(project.map_or(Named::NotThere, |project| {
            Named::Owner(Owner {
                account: None,
                account_name: None,
                domain: project.domain.clone(),
                project: Some(project.id.clone()),
            })
        }));
    }
    let Some(name) = params.get("account") else {
        return Ok(Named::Nobody);
    };
    let Some(domain) = params.get("domainid") else {
        return Err(Refusal::OwnerUnclear(
            "account stands without domainid".to_owned(),
        ));
    };
    let domain = CsDomainId::from(domain.to_ascii_lowercase());
    let account = directory.account(name, &domain).await.map_err(cannot)?;
    Ok(account.map_or(Named::NotThere, |account| {
        Named::Owner(Owner {
            account: Some(account.id.clone()),
            account_name: Some(account.name.clone()),
            domain,
            project: None,
        })
    }))
}

/// As CloudStack judges (`DomainChecker.checkAccess`): his own account, root admin, admin of a
/// domain at or above the owner's, member of the project.
async fn may_act(
    caller: &Caller,
    own: &Owner,
    owner: &Owner,
    directory: &Directory,
) -> Result<bool, Refusal> {
    let key = caller.person();
    let same_name = owner.account_name.as_ref().map(|name| name.to_lowercase())
        == own.account_name.as_ref().map(|name| name.to_lowercase());
    let same_account = owner.project.is_none() && owner.domain == own.domain && same_name;
    if same_account || key.account_kind == ROOT_ADMIN {
        return Ok(true);
    }
    if key.account_kind == DOMAIN_ADMIN {
        let path = directory.path(&owner.domain).await.map_err(cannot)?;
        if path.is_some_and(|path| path.contains(&own.domain)) {
            return Ok(true);
        }
    }
    let Some(project) = &owner.project else {
        return Ok(false);
    };
    let account = (&key.account, key.account_name.as_str());
    let user = key.user.as_deref().unwrap_or_default();
    let member = directory.is_member(project, account, user).await;
    member.map_err(cannot)
}

fn cannot(fault: UpstreamError) -> Refusal {
    Refusal::CannotAsk(fault.what)
}
