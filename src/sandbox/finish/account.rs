//! Edge: accounts, domains and projects: what their jobs do.

use super::{Result, network, vm, volume};
use crate::sandbox::call::Caller;
use crate::sandbox::cloud::{Cloud, Moment};
use crate::sandbox::records::Job;
use crate::sandbox::refused::{refused, unknown_id};
use crate::sandbox::views;
use serde_json::json;

fn vms_of(cloud: &Cloud, account: &str) -> Vec<String> {
    let own = cloud
        .vms
        .iter()
        .filter(|vm| !vm.removed && vm.account == account);
    own.map(|vm| vm.id.clone()).collect()
}

/// Everything an account owns ends.
fn clean(cloud: &mut Cloud, account: &str, moment: Moment<'_>) {
    for id in vms_of(cloud, account) {
        vm::mark_destroyed(cloud, &id, moment);
        vm::expunge_now(cloud, &id);
    }
    let volumes = cloud
        .volumes
        .iter()
        .filter(|v| !v.removed && v.account == account);
    let volumes: Vec<String> = volumes.map(|volume| volume.id.clone()).collect();
    for id in volumes {
        volume::delete(cloud, &id, moment);
    }
    let snapshots = cloud
        .snapshots
        .iter()
        .filter(|s| !s.removed && s.account == account);
    let snapshots: Vec<String> = snapshots.map(|snapshot| snapshot.id.clone()).collect();
    for id in snapshots {
        // A snapshot that is listed as there can be deleted.
        let _ = volume::snapshot_gone(cloud, &id, moment);
    }
    let networks = cloud
        .networks
        .iter()
        .filter(|n| !n.removed && n.account == account);
    let networks: Vec<String> = networks.map(|network| network.id.clone()).collect();
    for id in networks {
        network::remove(cloud, &id, moment);
    }
}

/// `deleteAccount`.
pub fn delete(cloud: &mut Cloud, id: &str, moment: Moment<'_>) -> Result {
    clean(cloud, id, moment);
    let Some(account) = cloud.accounts.find_mut(id) else {
        return Err(unknown_id("deleteaccount", "id", id));
    };
    account.removed = true;
    for user in cloud.users.iter_mut().filter(|user| user.account == id) {
        user.removed = true;
    }
    Ok(json!({ "success": true }))
}

/// `disableAccount`: a locked one keeps what runs, a disabled one is stopped.
pub fn disable(cloud: &mut Cloud, id: &str, lock: bool, moment: Moment<'_>) -> Result {
    let Some(account) = cloud.accounts.find_mut(id) else {
        return Err(unknown_id("disableaccount", "id", id));
    };
    account.state = if lock { "locked" } else { "disabled" }.to_owned();
    if !lock {
        let stopping = Job::default();
        for vm in vms_of(cloud, id) {
            // A VM that does not run stays as it is.
            let _ = vm::stop(cloud, &stopping, &vm, moment);
        }
    }
    let account = cloud.accounts.find(id).cloned().unwrap_or_default();
    let caller = Caller {
        user: String::new(),
        account: account.id.clone(),
        domain: account.domain.clone(),
        kind: 0,
    };
    Ok(json!({ "account": views::account::account(cloud, &account, &caller, false) }))
}

/// `disableUser`.
pub fn disable_user(cloud: &mut Cloud, job: &Job, id: &str) -> Result {
    let Some(user) = cloud.users.find_mut(id) else {
        return Err(unknown_id("disableuser", "id", id));
    };
    user.state = "disabled".to_owned();
    let user = user.clone();
    let caller = Caller {
        user: job.user.clone(),
        account: job.account.clone(),
        domain: String::new(),
        kind: 0,
    };
    Ok(json!({ "user": views::account::user(cloud, &user, &caller, false) }))
}

/// `deleteDomain`, with everything below it where `cleanup` was asked for.
pub fn delete_domain(cloud: &mut Cloud, id: &str, moment: Moment<'_>) -> Result {
    let below: Vec<String> = cloud
        .domains
        .iter()
        .filter(|domain| !domain.removed && cloud.is_under(&domain.id, id))
        .map(|domain| domain.id.clone())
        .collect();
    let accounts: Vec<String> = cloud
        .accounts
        .iter()
        .filter(|account| !account.removed && below.contains(&account.domain))
        .map(|account| account.id.clone())
        .collect();
    for account in accounts {
        delete(cloud, &account, moment)?;
    }
    for domain in below {
        if let Some(domain) = cloud.domains.find_mut(&domain) {
            domain.removed = true;
        }
    }
    Ok(json!({ "success": true }))
}

/// `deleteProject`.
pub fn delete_project(cloud: &mut Cloud, id: &str, moment: Moment<'_>) -> Result {
    let Some(project) = cloud
        .projects
        .find_mut(id)
        .filter(|project| !project.removed)
    else {
        return Err(refused(
            431,
            4350,
            format!("Unable to find project by id {id}"),
        ));
    };
    project.removed = true;
    let account = project.account.clone();
    delete(cloud, &account, moment)
}
