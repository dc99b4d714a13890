//! Edge: projects: who owns them, who may use them.

use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::{Cloud, next_number};
use crate::sandbox::limits;
use crate::sandbox::records::{Account, Project};
use crate::sandbox::refused::{Refused, invalid, not_yours};
use crate::sandbox::views;
use crate::sandbox::work::Work;

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "createProject" => create(cloud, call),
        "listProjects" => list(cloud, call),
        "deleteProject" => delete(cloud, call),
        "addAccountToProject" => add_account(cloud, call),
        "deleteAccountFromProject" => remove_account(cloud, call),
        "listProjectAccounts" => list_accounts(cloud, call),
        _ => return None,
    })
}

/// What a project owns belongs to a hidden account of type 5, `PrjAcct-name-n`.
fn create(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let owner = call.owner(cloud)?.clone();
    let name = call.required("name")?;
    let mut projects = cloud.projects.iter();
    if projects.any(|p| !p.removed && p.domain == owner.domain && p.name == name) {
        return Err(invalid(format!(
            "Project with name {name} already exists in domain id={}",
            owner.domain
        )));
    }
    limits::check(cloud, &owner, 5, 1, 4370)?;
    let (id, account) = ((call.moment.fresh)(), (call.moment.fresh)());
    let number = next_number(&cloud.accounts);
    cloud.accounts.insert(Account {
        number,
        id: account.clone(),
        name: format!("PrjAcct-{name}-{number}"),
        kind: 5,
        domain: owner.domain.clone(),
        state: "enabled".to_owned(),
        created: call.moment.now,
        project: Some(id.clone()),
        ..Account::default()
    });
    cloud.projects.insert(Project {
        number: next_number(&cloud.projects),
        id: id.clone(),
        name: name.to_owned(),
        text: call.text("displaytext").unwrap_or(name).to_owned(),
        domain: owner.domain,
        account,
        members: vec![owner.id.clone()],
        owner: owner.id,
        created: call.moment.now,
        state: "Active".to_owned(),
        removed: false,
    });
    let work = Work::CreateProject {
        project: id.clone(),
    };
    Ok(Reply::Job {
        id: Some(id.clone()),
        instance: Some(("None", Some(id))),
        work,
    })
}

fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let lists_all = call.flag("listall") == Some(true);
    let sees = |project: &Project| {
        let is_member = project.members.contains(&call.caller.account);
        is_member || (lists_all && call.caller.reaches(cloud, &project.account))
    };
    let rows: Vec<&Project> = cloud
        .projects
        .iter()
        .filter(|project| !project.removed && call.names(&project.id, &project.name))
        .filter(|project| call.text("domainid").is_none_or(|id| project.domain == id))
        .filter(|project| sees(project))
        .collect();
    call.listed("project", &rows, |project| {
        views::account::project(cloud, project)
    })
}

fn named(cloud: &Cloud, call: &Call<'_>, parameter: &str) -> Result<Project, Refused> {
    let id = call.required(parameter)?;
    let project = cloud.projects.find(id).filter(|project| !project.removed);
    let project = project.ok_or_else(|| call.no_such(parameter))?;
    let owns = project.owner == call.caller.account;
    if !owns && (call.caller.kind == 0 || !call.caller.reaches(cloud, &project.account)) {
        return Err(not_yours());
    }
    Ok(project.clone())
}

fn delete(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let project = named(cloud, call, "id")?;
    let work = Work::DeleteProject {
        project: project.id.clone(),
    };
    Ok(Reply::job("Project", &project.id, work))
}

fn add_account(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let project = named(cloud, call, "projectid")?;
    let name = call.required("account")?;
    let account = cloud
        .account_named(name, &project.domain)
        .map(|account| account.id.clone());
    let account = account.ok_or_else(|| {
        invalid(format!(
            "Account name={name} in domain id={} not found",
            project.domain
        ))
    })?;
    if let Some(row) = cloud.projects.find_mut(&project.id)
        && !row.members.contains(&account)
    {
        row.members.push(account);
    }
    Ok(Reply::job("Project", &project.id, Work::Nothing))
}

fn remove_account(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let project = named(cloud, call, "projectid")?;
    let name = call.required("account")?;
    let account = cloud
        .account_named(name, &project.domain)
        .map(|account| account.id.clone());
    let account = account.filter(|id| project.members.contains(id) && *id != project.owner);
    let account = account.ok_or_else(|| {
        invalid(format!(
            "Account {name} is not assigned to the project id={}",
            project.id
        ))
    })?;
    if let Some(row) = cloud.projects.find_mut(&project.id) {
        row.members.retain(|id| *id != account);
    }
    Ok(Reply::job("Project", &project.id, Work::Nothing))
}

/// Members, the owner first among them (`ProjectAccountResponse`).
fn list_accounts(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let id = call.required("projectid")?;
    let project = cloud.projects.find(id).filter(|project| !project.removed);
    let project = project.ok_or_else(|| call.no_such("projectid"))?;
    if !call.caller.reaches(cloud, &project.account) {
        return Err(not_yours());
    }
    let rows: Vec<&Account> = project
        .members
        .iter()
        .filter_map(|id| cloud.accounts.find(id))
        .filter(|account| {
            call.text("account")
                .is_none_or(|name| name.eq_ignore_ascii_case(&account.name))
        })
        .collect();
    call.listed("projectaccount", &rows, |account| {
        let role = if account.id == project.owner {
            "Admin"
        } else {
            "Regular"
        };
        views::account::member(cloud, project, account, role)
    })
}
