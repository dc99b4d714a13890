//! Edge: `faregate policy`: run the tables beside the policies, ask what would happen to a call,
//! and report what observed domains only passed.

use super::ledger::{block_on, get_lines, load};
use crate::cloudstack::query::ParamMap;
use crate::config;
use crate::gate::explain::As;
use crate::policy::check::{self, PolicyFault};
use crate::policy::table as verdicts;
use crate::process::offline::{self, Question};
use crate::process::wiring;
use crate::rate::table as charges;
use crate::store::{AuditRow, Store};
use crate::terms::ids::CallId;
use crate::terms::money::Micros;
use crate::terms::time::{Period, Timestamp};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A question about policies.
#[derive(Subcommand, Debug)]
pub enum PolicyQuestion {
    /// Run the tables in the folder `tests` beside the policies
    Test {
        /// The folder of the policies
        #[arg(default_value = "policies")]
        folder: PathBuf,
    },
    /// Say what would happen to a call, and why: at the running node, or by a file of facts;
    /// nothing is held or sent
    Explain(ExplainArguments),
    /// What observed domains would have been refused, and what it costs by the hour
    Report {
        /// The configuration
        #[arg(long)]
        config: PathBuf,
        /// From this instant (wall time): 2026-11-01T00:00:00Z
        #[arg(long)]
        from: jiff::Timestamp,
        /// Up to this one
        #[arg(long)]
        to: jiff::Timestamp,
    },
}

/// A call, and who makes it.
#[derive(Args, Debug)]
pub struct ExplainArguments {
    /// The call, unsigned: command=deployVirtualMachine&zoneid=…
    call: String,
    /// The configuration of the running node; with --facts, of which policies and commands count
    #[arg(long, required_unless_present = "facts")]
    config: Option<PathBuf>,
    /// Ask no node: rows of CloudStack's lists and balances, in TOML or JSON; may be given again
    #[arg(long)]
    facts: Vec<PathBuf>,
    /// The folder of the policies, with --facts and without --config
    #[arg(long, default_value = "policies", conflicts_with = "config")]
    policies: PathBuf,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// The caller's API key; without it and --account, nobody who can be verified
    #[arg(long = "as", conflicts_with = "account")]
    key: Option<String>,
    /// The caller's account, by its id
    #[arg(long)]
    account: Option<String>,
    /// Where the call comes from
    #[arg(long)]
    address: Option<std::net::IpAddr>,
}

/// Answers a question.
pub fn run(question: &PolicyQuestion) -> anyhow::Result<ExitCode> {
    match question {
        PolicyQuestion::Test { folder } => test(folder),
        PolicyQuestion::Explain(arguments) => explain(arguments),
        PolicyQuestion::Report { config, from, to } => {
            let at = |at: &jiff::Timestamp| Timestamp::from_micros(at.as_microsecond());
            let (start, end) = (at(from), at(to));
            report(config, Period { start, end })
        }
    }
}

fn test(folder: &Path) -> anyhow::Result<ExitCode> {
    let told = |fault: &dyn std::fmt::Display| println!("{fault}");
    let files = match config::policy_files(folder) {
        Ok(files) => files,
        Err(faults) => {
            faults.iter().for_each(|fault| told(fault));
            return Ok(ExitCode::FAILURE);
        }
    };
    let rules = match check::load(&files) {
        Ok(rules) => rules,
        Err(faults) => {
            faults.iter().for_each(|fault| told(fault));
            println!("{} fault(s)", faults.len());
            return Ok(ExitCode::FAILURE);
        }
    };
    let tests = folder.join("tests");
    let tables = config::policy_files(&tests).unwrap_or_default();
    let (mut cases, mut faults) = (0_usize, Vec::<PolicyFault>::new());
    for (path, text) in &tables {
        for ran in [
            verdicts::run(path, text, &rules),
            charges::run(path, text, &rules),
        ] {
            match ran {
                Ok(count) => cases = cases.saturating_add(count),
                Err(found) => faults.extend(found),
            }
        }
    }
    faults.iter().for_each(|fault| told(fault));
    println!("{cases} case(s) as written, {} fault(s)", faults.len());
    if tables.is_empty() {
        bail!(
            "{} has no table; write one, see policies/README.md",
            tests.display()
        );
    }
    Ok(if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn explain(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let Some(path) = arguments
        .config
        .as_ref()
        .filter(|_| arguments.facts.is_empty())
    else {
        return explain_offline(arguments);
    };
    let config = load(path)?;
    let mut body = ParamMap::default();
    body.insert("call", &arguments.call);
    for (name, value) in [("key", &arguments.key), ("account", &arguments.account)] {
        if let Some(value) = value {
            body.insert(name, value);
        }
    }
    if let Some(address) = arguments.address {
        body.insert("address", &address.to_string());
    }
    if arguments.json {
        body.insert("json", "true");
    }
    let (status, text) = get_lines(config.listen.ops, "/explain", &body.to_wire())?;
    print!("{text}");
    Ok(if status == 200 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn explain_offline(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let question = Question {
        config: arguments.config.as_deref(),
        policies: &arguments.policies,
        facts: &arguments.facts,
        call: &arguments.call,
        who: match (&arguments.key, &arguments.account) {
            (Some(key), _) => As::Key(key.clone()),
            (None, Some(id)) => As::Account(id.clone()),
            (None, None) => As::Nobody,
        },
        address: arguments.address,
        json: arguments.json,
    };
    print!("{}", block_on(offline::answer(&question))??);
    Ok(ExitCode::SUCCESS)
}

/// One call that would have been refused.
#[derive(Default)]
struct Observed {
    command: String,
    payer: String,
    rule: String,
    price: Option<(Micros, String)>,
}

fn report(path: &Path, during: Period) -> anyhow::Result<ExitCode> {
    let config = load(path)?;
    let rows = block_on(async {
        let store = Store::open_at(&wiring::place(&config, false)).await?;
        anyhow::Ok(store.facts().observed(during).await?)
    })?;
    let rows = rows.with_context(|| format!("the store in {}", config.store.display()))?;
    print!("{}", table(&rows)?);
    Ok(ExitCode::SUCCESS)
}

/// Sums by rule, payer and command; a call with several reasons counts for its first.
fn table(rows: &[AuditRow]) -> anyhow::Result<String> {
    let mut calls: BTreeMap<CallId, Observed> = BTreeMap::new();
    for row in rows {
        let call = calls.entry(row.call).or_default();
        call.command.clone_from(&row.command);
        if row.verdict == "observe" && call.rule.is_empty() {
            call.rule = rule_of(&row.reason);
        }
        if let Some(payer) = &row.payer {
            call.payer = payer.to_string();
        }
        if let Some((per_hour, currency)) = row.price {
            call.price = Some((per_hour, currency.to_string()));
        }
    }
    let mut sums: BTreeMap<[String; 4], (usize, Micros)> = BTreeMap::new();
    for call in calls.into_values() {
        let (per_hour, currency) = call.price.unwrap_or_default();
        let sum = sums
            .entry([call.rule, call.payer, call.command, currency])
            .or_default();
        sum.0 = sum.0.saturating_add(1);
        sum.1 = sum.1.plus(per_hour)?;
    }
    let mut text = format!("{} kind(s) of call would have been refused\n", sums.len());
    for ([rule, payer, command, currency], (count, per_hour)) in sums {
        let payer = if payer.is_empty() { "-" } else { &payer };
        let cost = match currency.as_str() {
            "" => "not priced".to_owned(),
            currency => format!("{per_hour} {currency} an hour"),
        };
        text.push_str(&format!("{count:>6}  {rule}  {payer}  {command}  {cost}\n"));
    }
    Ok(text)
}

/// `access nights` of `access: not at night (rule nights)`; else what stands before the colon.
fn rule_of(reason: &str) -> String {
    let (rule, text) = reason.split_once(": ").unwrap_or((reason, ""));
    match text.rsplit_once("(rule ").filter(|_| rule == "access") {
        Some((_, id)) => format!("access {}", id.trim_end_matches(')')),
        None => rule.to_owned(),
    }
}
