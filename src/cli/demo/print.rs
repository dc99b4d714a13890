//! Edge: what the demo prints: addresses, keys, and commands to paste.

use super::state::{DemoCustomer, DemoState};
use crate::terms::money::Micros;
use serde_json::json;
use std::io::Write;

/// Prints for people, or one JSON object for scripts.
pub fn print(state: &DemoState, balances: &[Micros], for_scripts: bool) -> anyhow::Result<()> {
    if for_scripts {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", object(state, balances))?;
        out.flush()?;
        return Ok(());
    }
    people(state, balances);
    Ok(())
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}/client/api")
}

fn object(state: &DemoState, balances: &[Micros]) -> serde_json::Value {
    let customers: Vec<serde_json::Value> = state
        .customers
        .iter()
        .zip(balances)
        .map(|(customer, balance)| {
            json!({
                "name": customer.name,
                "mode": customer.mode,
                "api_key": customer.api_key,
                "secret": customer.secret,
                "domain_id": customer.domain_id,
                "network_id": customer.network_id,
                "balance": balance.to_string(),
            })
        })
        .collect();
    let offerings: serde_json::Map<String, serde_json::Value> = state
        .offerings
        .iter()
        .map(|(name, id)| (name.clone(), json!(id)))
        .collect();
    let network = state
        .customers
        .first()
        .map(|customer| customer.network_id.clone());
    json!({
        "endpoint": endpoint(state.gate_port),
        "operator_page": format!("http://127.0.0.1:{}/", state.ops_port),
        "sandbox": {
            "endpoint": endpoint(state.sandbox_port),
            "api_key": state.admin_key,
            "secret": state.admin_secret,
        },
        "customers": customers,
        "zone_id": state.zone_id,
        "template_id": state.template_id,
        "network_id": network,
        "offerings": offerings,
    })
}

fn people(state: &DemoState, balances: &[Micros]) {
    println!("A CloudStack endpoint with Faregate in front of it:\n");
    println!("  endpoint       {}", endpoint(state.gate_port));
    println!("  operator page  http://127.0.0.1:{}/\n", state.ops_port);
    for (customer, balance) in state.customers.iter().zip(balances) {
        println!(
            "  {} ({}), balance {balance} EUR",
            customer.name, customer.mode
        );
        println!(
            "    key     {}\n    secret  {}",
            customer.api_key, customer.secret
        );
    }
    if let Some(customer) = state.customers.first() {
        pasted(state, customer);
    }
    println!("Skip ahead in billing time from a second terminal:\n");
    println!("  faregate demo skip 1d      # or: faregate demo skip month\n");
    println!("See what happens as money ends, from the first notice to the stop and back:\n");
    println!("  faregate demo ladder\n");
    println!("Stop with Ctrl-C; `faregate demo` goes on where it was, `--fresh` starts anew.");
}

fn pasted(state: &DemoState, customer: &DemoCustomer) {
    let program = std::env::current_exe()
        .map_or_else(|_| "faregate".to_owned(), |path| path.display().to_string());
    let small = state.offerings.iter().find(|(name, _)| name == "small");
    let small = small.map_or("", |(_, id)| id.as_str());
    let deploy = format!(
        "deployVirtualMachine serviceofferingid={small} templateid={} zoneid={} networkids={}",
        state.template_id, state.zone_id, customer.network_id
    );
    println!("\nPaste, with curl:\n");
    println!("  export CLOUDSTACK_ENDPOINT={}", endpoint(state.gate_port));
    println!("  export CLOUDSTACK_KEY={}", customer.api_key);
    println!("  export CLOUDSTACK_SECRET={}\n", customer.secret);
    println!("  # a VM that is charged; the third one is refused with 535");
    println!("  curl -i \"$({program} sign {deploy})\"\n");
    println!("  # end one: passes with an empty balance");
    println!("  curl -i \"$({program} sign destroyVirtualMachine id=ID expunge=true)\"\n");
    println!("or with cs (pip install cs), which reads the same variables:\n");
    println!("  cs {deploy}");
    println!("  cs destroyVirtualMachine id=ID\n");
}
