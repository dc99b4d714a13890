//! Edge: what is the same in every stand-in: the zone, the template, network offerings, roles.
//!
//! The objects are a recorded server's own, so that their fields are the real ones.

use serde_json::{Map, Value};
use std::sync::OnceLock;

/// Fields of an object, in order.
pub type Fields = Map<String, Value>;

/// Roles' ids by account type: user, root admin, domain admin.
const ROLES: [(i64, &str, &str, &str); 3] = [
    (0, "81aa17cb-e6ca-11f1-b146-02fc00000001", "User", "User"),
    (
        1,
        "81a9d7ce-e6ca-11f1-b146-02fc00000001",
        "Admin",
        "Root Admin",
    ),
    (
        2,
        "81aa1238-e6ca-11f1-b146-02fc00000001",
        "DomainAdmin",
        "Domain Admin",
    ),
];

/// Every role: account type, id, type, name.
#[must_use]
pub const fn roles() -> &'static [(i64, &'static str, &'static str, &'static str)] {
    &ROLES
}

/// The role of an account type: id, type, name.
#[must_use]
pub fn role_of(kind: i64) -> (&'static str, &'static str, &'static str) {
    let found = ROLES.iter().find(|(of, ..)| *of == kind);
    let (_, id, role, name) = found.unwrap_or(&ROLES[0]);
    (id, role, name)
}

/// A recorded object by name; empty where there is none of that name.
#[must_use]
pub fn recorded(name: &str) -> Fields {
    match all().get(name) {
        Some(Value::Object(fields)) => fields.clone(),
        _ => Fields::new(),
    }
}

/// Network offerings.
#[must_use]
pub fn network_offerings() -> &'static [Value] {
    let found = all().get("networkoffering").and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

/// The network offering with that id.
#[must_use]
pub fn network_offering(id: &str) -> Option<&'static Value> {
    let same = |offering: &&Value| offering["id"].as_str() == Some(id);
    network_offerings().iter().find(same)
}

/// The zone's id.
#[must_use]
pub fn zone_id() -> &'static str {
    text("zone", "id")
}

/// The template's id.
#[must_use]
pub fn template_id() -> &'static str {
    text("template", "id")
}

/// Bytes of the template.
#[must_use]
pub fn template_size() -> i64 {
    all()["template"]["size"].as_i64().unwrap_or_default()
}

/// A text field of a recorded object.
#[must_use]
pub fn text(object: &str, field: &str) -> &'static str {
    all()[object][field].as_str().unwrap_or_default()
}

fn all() -> &'static Value {
    static ALL: OnceLock<Value> = OnceLock::new();
    // The file is part of the binary and read by a test; unreadable it would be an empty cloud.
    ALL.get_or_init(|| serde_json::from_str(include_str!("data/recorded.json")).unwrap_or_default())
}
