//! Edge: roles: those that come with a cloud, and further ones with a name that may change.

use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::{Cloud, next_number};
use crate::sandbox::fixed;
use crate::sandbox::records::Role;
use crate::sandbox::refused::{Refused, invalid, refused};
use serde_json::{Value, json};

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "listRoles" => list(cloud, call),
        "createRole" => create(cloud, call),
        "updateRole" => update(cloud, call),
        "deleteRole" => delete(cloud, call),
        _ => return None,
    })
}

fn shown(id: &str, (kind, name, text): (&str, &str, &str), is_default: bool) -> Value {
    json!({
        "id": id, "name": name, "type": kind, "description": text,
        "isdefault": is_default, "ispublic": true, "state": "ENABLED",
    })
}

fn own(role: &Role) -> Value {
    let (_, kind, _) = fixed::role_of(role.kind);
    shown(&role.id, (kind, &role.name, &role.text), false)
}

fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let fixed = fixed::roles().iter().map(|(_, id, kind, name)| {
        let text = format!("Default {} role", name.to_lowercase());
        (*id, *name, shown(id, (kind, name, &text), true))
    });
    let made = cloud.roles.iter().filter(|role| !role.removed);
    let made = made.map(|role| (role.id.as_str(), role.name.as_str(), own(role)));
    let rows: Vec<_> = fixed
        .chain(made)
        .filter(|(id, name, _)| call.names(id, name))
        .collect();
    call.listed("role", &rows, |(_, _, role)| role.clone())
}

fn create(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let (name, kind) = (call.required("name")?, call.required("type")?);
    let of_type = |role: &&(i64, &str, &str, &str)| role.2.eq_ignore_ascii_case(kind);
    let known = fixed::roles().iter().find(of_type);
    let (kind, ..) = known.ok_or_else(|| invalid("Invalid role type provided"))?;
    let role = Role {
        number: next_number(&cloud.roles),
        id: (call.moment.fresh)(),
        name: name.to_owned(),
        text: call.text("description").unwrap_or_default().to_owned(),
        kind: *kind,
        removed: false,
    };
    let answer = json!({ "role": own(&role) });
    cloud.roles.insert(role);
    Ok(Reply::Now(answer))
}

/// The role that `id` names; none of those that come with a cloud may be changed
/// (`RoleManagerImpl`).
fn named(cloud: &Cloud, call: &Call<'_>, verb: &str) -> Result<Role, Refused> {
    let id = call.required("id")?;
    if fixed::roles().iter().any(|role| role.1 == id) {
        let text = format!("Default roles cannot be {verb}");
        return Err(refused(531, 4365, text));
    }
    let role = cloud.roles.find(id).filter(|role| !role.removed);
    role.cloned().ok_or_else(|| call.no_such("id"))
}

fn update(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let mut role = named(cloud, call, "updated")?;
    if let Some(name) = call.text("name") {
        name.clone_into(&mut role.name);
    }
    if let Some(text) = call.text("description") {
        text.clone_into(&mut role.text);
    }
    let answer = json!({ "role": own(&role) });
    cloud.roles.insert(role);
    Ok(Reply::Now(answer))
}

fn delete(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let role = named(cloud, call, "deleted")?;
    let mut accounts = cloud.accounts.iter();
    if accounts.any(|account| !account.removed && account.role.as_deref() == Some(&role.id)) {
        let text = "Found accounts that have role in use, won't allow to delete role";
        return Err(refused(531, 4365, text));
    }
    cloud.roles.insert(Role {
        removed: true,
        ..role
    });
    Ok(Reply::success())
}
