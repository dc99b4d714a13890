//! Edge: `faregate ledger exposure`: what raising calls may cost while the books are away. It works
//! while they are.

use crate::config::Config;
use crate::gate::away::{journal, share};
use crate::policy::prepaid::StoreAway;
use crate::process::wiring;
use std::process::ExitCode;

/// Prints each payer's mode, cap and this node's share, what of it stands in the journal, and the
/// worst possible loss by currency.
///
/// # Errors
/// Policies that are not in order, a journal that cannot be read.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let rules = wiring::rules(config).map_err(|faults| wiring::as_error(&faults))?;
    let entries = journal::read(&config.store)?;
    let (nodes, now) = (config.counters.nodes, wiring::clock(config)?.billing());
    if config.postgres.is_none() {
        println!("the books are this node's own files: nothing passes without them");
    }
    for customer in rules.customers.values() {
        let of_payer = entries.iter().map(|entry| &entry.passed);
        let of_payer = of_payer.filter(|passed| passed.payer == customer.id);
        let passed = share::sum(of_payer, now);
        let mode = match rules.store_away(&customer.id) {
            StoreAway::Closed => "closed".to_owned(),
            StoreAway::OpenUpTo(cap) => {
                let share = share::share(cap, nodes);
                format!("open up to {cap}, {share} on each of {nodes} nodes")
            }
        };
        let currency = customer.currency;
        println!("{}  {mode}  passed here {passed}  {currency}", customer.id);
    }
    for (currency, worst) in rules.worst_loss() {
        println!(
            "worst possible loss {} {currency}: {} payers open, {} closed",
            worst.most, worst.open, worst.closed
        );
    }
    Ok(ExitCode::SUCCESS)
}
