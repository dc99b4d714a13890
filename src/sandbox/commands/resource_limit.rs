//! Edge: `listResourceLimits`, `updateResourceLimit`.

use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::Cloud;
use crate::sandbox::limits;
use crate::sandbox::refused::{Refused, invalid};
use crate::sandbox::views::Shown;
use serde_json::{Value, json};

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "listResourceLimits" => list(cloud, call),
        "updateResourceLimit" => update(cloud, call),
        "updateResourceCount" => {
            cloud.count_used();
            Ok(Reply::Now(json!({})))
        }
        _ => return None,
    })
}

fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let owner = call.owner(cloud)?;
    let asked = call.number("resourcetype")?;
    let rows: Vec<_> = limits::TYPES
        .iter()
        .filter(|(kind, ..)| asked.is_none_or(|asked| i64::from(*kind) == asked))
        .collect();
    call.listed("resourcelimit", &rows, |(kind, name, _)| {
        show(cloud, &owner.id, *kind, name, limits::limit(owner, *kind))
    })
}

fn show(cloud: &Cloud, account: &str, kind: u8, name: &str, max: i64) -> Value {
    let mut out = Shown::new();
    out.owner(cloud, account)
        .put("resourcetype", kind.to_string())
        .put("resourcetypename", name)
        .put("max", max);
    out.done()
}

/// A limit of a domain is taken and bounds nothing.
fn update(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let asked = call.number("resourcetype")?;
    let known = limits::TYPES
        .iter()
        .find(|(kind, ..)| asked == Some(i64::from(*kind)));
    let (kind, name, _) = known.ok_or_else(|| invalid("Please specify valid resource type"))?;
    let max = call.number("max")?.unwrap_or(-1);
    if call.text("account").is_none() && call.text("projectid").is_none() {
        let max = json!({ "resourcetype": kind.to_string(), "resourcetypename": name, "max": max });
        return Ok(Reply::Now(json!({ "resourcelimit": max })));
    }
    let owner = call.owner(cloud)?.id.clone();
    if let Some(account) = cloud.accounts.find_mut(&owner) {
        account.limits.insert(*kind, max);
    }
    let shown = show(cloud, &owner, *kind, name, max);
    Ok(Reply::Now(json!({ "resourcelimit": shown })))
}
