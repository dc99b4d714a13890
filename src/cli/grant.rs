//! Edge: `faregate grant`: gift credit by hand, and the grants that there are.

use super::ledger::{block_on, load, post};
use crate::clock::Clock;
use crate::cloudstack::query::ParamMap;
use crate::ledger::grants::Grant;
use crate::store::{Store, Verified};
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;
use anyhow::bail;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Gift credit for a customer.
#[derive(Args, Debug)]
pub struct GrantArguments {
    /// Who gets it, as named in policies/customers
    payer: String,
    /// How much, net, in main units of his currency: 25.00
    amount: Micros,
    /// The configuration of the running node
    #[arg(long)]
    config: PathBuf,
    /// Why; it stays beside the grant
    #[arg(long)]
    reason: String,
    /// Its last day in the seller's zone (2026-12-31), or the instant of its end
    #[arg(long, default_value = "")]
    expires: String,
    /// Its name; the same name twice is one grant. One is made up where none is given
    #[arg(long)]
    id: Option<String>,
}

/// Asks the running node for it: its writer alone writes the books.
pub fn run(arguments: &GrantArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    let made_up = || Clock::system().random_uuid();
    let id = arguments.id.clone().unwrap_or_else(made_up);
    // Told first: whoever hears no answer says it again under the same name.
    println!("grant {id}");
    let amount = arguments.amount.to_string();
    let mut map = ParamMap::default();
    for (name, value) in [
        ("payer", &arguments.payer),
        ("amount", &amount),
        ("id", &id),
        ("reason", &arguments.reason),
        ("expires", &arguments.expires),
    ] {
        map.insert(name, value);
    }
    let (status, text) = block_on(post(config.listen.ops, "/grants", &map.to_wire()))??;
    if status != 200 {
        bail!("the node granted nothing: {}", text.trim());
    }
    println!("gift credit available: {}", text.trim());
    Ok(ExitCode::SUCCESS)
}

/// Prints grants, soonest end first, of one payer or of all.
pub(super) async fn list(store: &Store, payer: Option<&str>) -> anyhow::Result<ExitCode> {
    let payers = match payer {
        Some(payer) => vec![PayerId::from(payer)],
        None => {
            let states = store.payers().await?;
            states.into_iter().map(|state| state.payer).collect()
        }
    };
    for payer in payers {
        for grant in store.grants(&payer).await? {
            println!("{}", line(&grant)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(grant: &Grant) -> anyhow::Result<String> {
    let end = match grant.expires {
        Some(end) if grant.ended => format!("ended {end}"),
        Some(end) => format!("until {end}"),
        None => "without an end".to_owned(),
    };
    Ok(format!(
        "{}  {}  granted {}  left {}  spent {}  expired {}  {end}  {}",
        grant.payer,
        grant.id,
        grant.amount,
        grant.left,
        grant.spent()?,
        grant.expired,
        grant.reason,
    ))
}

/// Prints grants that are not what the transfers say; says how many.
pub(super) fn compare(verified: &Verified) -> usize {
    let (kept, rebuilt) = (&verified.grants, &verified.grants_rebuilt);
    let mut differ = 0;
    for grant in rebuilt.iter().filter(|grant| !kept.contains(grant)) {
        differ += 1;
        println!(
            "{} grant {}: rebuilt with {} left and {} expired",
            grant.payer, grant.id, grant.left, grant.expired
        );
    }
    differ
}
