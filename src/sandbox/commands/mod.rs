//! Edge: what each command does at once; the rest is `finish/`, when its job is due.

pub mod configuration;
pub mod deploy;
pub mod event;
pub mod identity;
pub mod job;
pub mod keypair;
pub mod listing;
pub mod network;
pub mod project;
pub mod resource_limit;
pub mod snapshot_policy;
pub mod role;
pub mod thing;
pub mod usage;
pub mod user;
pub mod vm;
pub mod volume;

use super::call::{Call, Reply};
use super::cloud::Cloud;
use super::refused::{Refused, bad_parameter, missing, refused};
use crate::cloudstack::query::is_refused_character;

/// Runs a command: everything of a synchronous one, the create phase of an asynchronous one.
///
/// # Errors
/// The command's refusal.
pub fn run(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    check_parameters(call)?;
    let name = call.command.name;
    None.or_else(|| listing::run(cloud, call, name))
        .or_else(|| configuration::run(cloud, call, name))
        .or_else(|| job::run(cloud, call, name))
        .or_else(|| vm::run(cloud, call, name))
        .or_else(|| volume::run(cloud, call, name))
        .or_else(|| snapshot_policy::run(cloud, call, name))
        .or_else(|| network::run(cloud, call, name))
        .or_else(|| identity::run(cloud, call, name))
        .or_else(|| role::run(cloud, call, name))
        .or_else(|| user::run(cloud, call, name))
        .or_else(|| project::run(cloud, call, name))
        .or_else(|| thing::run(cloud, call, name))
        .or_else(|| keypair::run(cloud, call, name))
        .or_else(|| resource_limit::run(cloud, call, name))
        .or_else(|| event::run(cloud, call, name))
        .or_else(|| usage::run(cloud, call, name))
        .unwrap_or_else(|| not_here(name))
}

/// A list of what the stand-in has none of is empty; the rest it cannot do.
fn not_here(name: &str) -> Result<Reply, Refused> {
    if name.starts_with("list") {
        return Ok(Reply::Now(serde_json::json!({})));
    }
    Err(refused(
        530,
        9999,
        format!("The sandbox does not have {name}; see its list of deviations."),
    ))
}

/// What CloudStack checks of every call before the command sees it.
fn check_parameters(call: &Call<'_>) -> Result<(), Refused> {
    for (lower, param) in call.params.iter() {
        if param.value.chars().any(is_refused_character) {
            return Err(bad_parameter(format!(
                "Received value containing illegal ASCII non-printable characters for parameter \
                 {lower}"
            )));
        }
        if lower.contains('[') && !is_map_name(lower) {
            return Err(refused(
                430,
                9999,
                format!(
                    "Unable to decode parameter {}; if specifying an object array, please use \
                     parameter[index].field=XXX, e.g. userGroupList[0].group=httpGroup",
                    param.name
                ),
            ));
        }
    }
    for known in call.command.params() {
        let value = call.params.get(known.name);
        let is_map = call.params.iter().any(|(lower, _)| {
            lower
                .strip_prefix(known.name)
                .is_some_and(|rest| rest.starts_with('['))
        });
        if known.is_required && value.is_none() && !is_map {
            return Err(missing(call.command.short(), known.name));
        }
        if value.is_some_and(|value| value.encode_utf16().count() > known.length) {
            return Err(bad_parameter(format!(
                "Value greater than max allowed length {} for param: {}",
                known.length, known.name
            )));
        }
    }
    Ok(())
}

/// `details[0].cpunumber`, `tags[0]`.
fn is_map_name(name: &str) -> bool {
    let Some((_, rest)) = name.split_once('[') else {
        return true;
    };
    let Some((index, rest)) = rest.split_once(']') else {
        return false;
    };
    let numbered = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    numbered && (rest.is_empty() || rest.starts_with('.'))
}
