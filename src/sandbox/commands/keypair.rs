//! Edge: SSH key pairs.

use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::{Cloud, next_number};
use crate::sandbox::records::KeyPair;
use crate::sandbox::refused::{Refused, invalid};
use crate::sandbox::views::Shown;
use serde_json::{Value, json};

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "createSSHKeyPair" | "registerSSHKeyPair" => create(cloud, call),
        "listSSHKeyPairs" => list(cloud, call),
        "deleteSSHKeyPair" => delete(cloud, call),
        _ => return None,
    })
}

fn create(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let Some(name) = call.text("name") else {
        return Err(invalid("Invalid value provided for API arg: name"));
    };
    let owner = call.owner(cloud)?.id.clone();
    let mut pairs = cloud.key_pairs.iter();
    if pairs.any(|pair| !pair.removed && pair.account == owner && pair.name == name) {
        return Err(invalid(format!(
            "A key pair with name '{name}' already exists."
        )));
    }
    let bits = (call.moment.fresh)().replace('-', "");
    let octets: Vec<&str> = (0..16).filter_map(|n| bits.get(n * 2..n * 2 + 2)).collect();
    let pair = KeyPair {
        number: next_number(&cloud.key_pairs),
        id: (call.moment.fresh)(),
        name: name.to_owned(),
        account: owner,
        fingerprint: octets.join(":"),
        removed: false,
    };
    let mut out = Shown::new();
    if call.command.name == "createSSHKeyPair" {
        out.put("privatekey", "(the sandbox makes no private keys)");
    }
    let shown = out.all(&show(cloud, &pair)).done();
    cloud.key_pairs.insert(pair);
    Ok(Reply::Now(json!({ "keypair": shown })))
}

fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let scope = call.scope(cloud)?;
    let rows: Vec<&KeyPair> = cloud
        .key_pairs
        .iter()
        .filter(|pair| !pair.removed && call.names(&pair.id, &pair.name))
        .filter(|pair| scope.shows(cloud, &pair.account))
        .collect();
    call.listed("sshkeypair", &rows, |pair| show(cloud, pair))
}

fn delete(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let name = call.required("name")?;
    let owner = call.owner(cloud)?.id.clone();
    let mut pairs = cloud.key_pairs.iter_mut();
    let found = pairs.find(|pair| !pair.removed && pair.account == owner && pair.name == name);
    let pair = found.ok_or_else(|| {
        invalid(format!(
            "A key pair with name '{name}' does not exist for this account."
        ))
    })?;
    pair.removed = true;
    Ok(Reply::success())
}

fn show(cloud: &Cloud, pair: &KeyPair) -> Value {
    let mut out = Shown::new();
    out.put("id", pair.id.as_str())
        .put("name", pair.name.as_str());
    out.owner(cloud, &pair.account)
        .drop("domainpath")
        .put("fingerprint", pair.fingerprint.as_str())
        .put("hasannotations", false);
    out.done()
}
