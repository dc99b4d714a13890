//! Pure: tables beside the policies: a call → whether access rules let it pass, by which rule, and
//! in which mode. What something costs is in the same files, and `rate/table.rs` reads it.

use crate::cloudstack::command::{Class, CommandTable, Known};
use crate::cloudstack::query::ParamMap;
use crate::policy::admission::{AccountKind, Actor, Admission};
use crate::policy::check::PolicyFault;
use crate::policy::customer::RuleSet;
use crate::terms::time::Timestamp;
use core::net::IpAddr;
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    verdict: Vec<Spanned<Case>>,
    #[serde(default, rename = "case")]
    _charges: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    call: String,
    #[serde(rename = "as")]
    caller: Option<Caller>,
    address: Option<String>,
    at: Option<Datetime>,
    is: String,
    rule: Option<String>,
    mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Caller {
    #[serde(default)]
    account: String,
    user: Option<String>,
    kind: Option<String>,
    role: Option<String>,
    #[serde(default)]
    domains: Vec<String>,
}

/// Runs every verdict of a table against the rules; the number of cases, or every case that does
/// not come out as written.
pub fn run(path: &str, text: &str, rules: &RuleSet) -> Result<usize, Vec<PolicyFault>> {
    let fault = |offset: usize, what: String| PolicyFault {
        file: path.to_owned(),
        line: text.get(..offset).unwrap_or("").matches('\n').count() + 1,
        what,
        instead: "correct the rule, or the table if the change is meant".to_owned(),
    };
    let table: Table = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        vec![fault(offset, error.message().to_owned())]
    })?;
    let commands = CommandTable::new(&[]).map_err(|e| vec![fault(0, e.to_string())])?;
    let cases = table.verdict.iter();
    let faults: Vec<PolicyFault> = cases
        .filter_map(|case| {
            let wrong = differs(case.get_ref(), rules, &commands).err()?;
            let what = format!("verdict `{}`: {wrong}", case.get_ref().name);
            Some(fault(case.span().start, what))
        })
        .collect();
    if faults.is_empty() {
        Ok(table.verdict.len())
    } else {
        Err(faults)
    }
}

fn differs(case: &Case, rules: &RuleSet, commands: &CommandTable) -> Result<(), String> {
    let params = ParamMap::parse(case.call.as_bytes(), b"").map_err(|e| e.to_string())?;
    let (command, class) = match commands.resolve(params.command()) {
        Known::Command(command) => (command.name.as_str(), command.judged(&params).0),
        Known::LiveList | Known::No => (params.command(), Class::Read),
    };
    let actor = case.caller.as_ref().map(actor).transpose()?;
    let address: Option<IpAddr> = match &case.address {
        Some(text) => Some(
            text.parse()
                .map_err(|_| format!("`{text}` is no address"))?,
        ),
        None => None,
    };
    let asked = Admission {
        command,
        class,
        params: &params,
        actor: actor.as_ref(),
        address,
        at: at(case.at.as_ref())?,
    };
    let candidates = rules.access.of(command, class);
    let denied = candidates.and_then(|candidates| candidates.judge(&asked).err());
    let found = denied.map_or("allow", |_| "deny");
    let rule = denied.map(|denied| denied.rule);
    if found != case.is || (case.rule.is_some() && case.rule.as_deref() != rule) {
        return Err(format!("it is `{found}` by {}", rule.unwrap_or("no rule")));
    }
    let mode = rules.modes.of(asked.domains()).name();
    match &case.mode {
        Some(wanted) if wanted != mode => Err(format!("the mode is `{mode}`")),
        _ => Ok(()),
    }
}

fn actor(written: &Caller) -> Result<Actor, String> {
    let word = written.kind.as_deref().unwrap_or("user");
    let kind = AccountKind::ALL.iter().find(|(name, _)| *name == word);
    Ok(Actor {
        key: None,
        user: written.user.clone(),
        account: written.account.clone(),
        account_name: written.account.clone(),
        kind: kind
            .ok_or_else(|| format!("`{word}` is no kind of account"))?
            .1,
        role: Some(written.role.clone().unwrap_or_else(|| "User".to_owned())),
        domains: written.domains.clone(),
    })
}

/// The instant; where none is written, one at noon of a Wednesday in UTC.
fn at(written: Option<&Datetime>) -> Result<Timestamp, String> {
    let text = written.map_or_else(|| "2026-11-25T12:00:00Z".to_owned(), ToString::to_string);
    let at: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("`{text}` is no instant; write its offset too"))?;
    Ok(Timestamp::from_micros(at.as_microsecond()))
}
