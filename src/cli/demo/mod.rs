//! Edge: `faregate demo`: a whole small cloud with its gate, in one command.
//!
//! The sandbox is a child process that outlives a killed gate; the gate runs in this process.
//! State lies in a folder, so that a second `demo` goes on where the first one was.

mod child;
mod ladder;
mod policies;
mod print;
mod seed;
mod skip;
mod state;

use crate::clock::Clock;
use crate::config;
use crate::config::vault::Vault;
use crate::process::console;
use crate::process::serve::{Node, asked_to_stop};
use crate::process::wiring;
use crate::terms::money::Micros;
use crate::upstream::service::Service;
use anyhow::Context;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use state::{DemoState, Folder};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What the prepaid customer starts with: enough for two small VMs.
const FIRST_TOP_UP: Micros = Micros::new(1_000_000);

/// What the demo can be asked for.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DemoArguments {
    #[command(subcommand)]
    then: Option<Then>,
    /// Its folder
    #[arg(long, default_value = "demo-state", global = true)]
    state: PathBuf,
    /// Start anew
    #[arg(long)]
    fresh: bool,
    /// How many times faster billing time runs: at 3600 a billed hour passes in a second
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    speed: Option<i64>,
    /// For scripts: the first line of stdout is one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Then {
    /// Jump ahead in billing time, through every renewal between
    Skip {
        /// `1d`, any number of days, hours or minutes (`36h`, `30m`), or `month`: to the start of
        /// the next month
        how_far: String,
    },
    /// Let the prepaid customer's money end in one that runs, notice by notice, and come back
    Ladder,
}

/// Runs the demo until it is asked to stop, or skips ahead in one that runs.
pub fn run(arguments: &DemoArguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if let Some(Then::Skip { how_far }) = &arguments.then {
        return runtime.block_on(skip::skip(&arguments.state, how_far));
    }
    if let Some(Then::Ladder) = &arguments.then {
        return runtime.block_on(ladder::run(&arguments.state));
    }
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: &DemoArguments) -> anyhow::Result<ExitCode> {
    if arguments.fresh {
        child::stop_orphan(&arguments.state).await;
    }
    let folder = Folder::open(&arguments.state, arguments.fresh)?;
    let before = folder.load()?;
    let orphan = match &before {
        Some(state) => child::answers(state.sandbox_port).await,
        None => false,
    };
    let clock = folder.clock(arguments.speed, orphan)?;
    let mut state = before.unwrap_or_default();
    let child = if orphan {
        None
    } else {
        Some(child::start(&folder, &mut state).await?)
    };
    if state.customers.is_empty() {
        first_start(&folder, &mut state, &clock).await?;
    }
    let reader = std::fs::read_to_string(folder.file("reader.key"))?;
    let node = node(&folder, &mut state, reader.trim()).await?;
    state.gate_port = node.gate.port();
    state.ops_port = node.ops.port();
    policies::write_config(&folder, &state, reader.trim())?;
    folder.save(&state)?;
    let balances = first_money(&node, &state).await?;
    print::print(&state, &balances, arguments.json)?;
    let seen = tokio::spawn(note_time(folder.clone(), clock));
    asked_to_stop().await?;
    eprintln!("stopping");
    seen.abort();
    node.drain().await;
    if let Some(child) = child {
        child::stop(child).await;
    } else {
        child::stop_orphan(&arguments.state).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fills the sandbox and writes policies, once.
async fn first_start(folder: &Folder, state: &mut DemoState, clock: &Clock) -> anyhow::Result<()> {
    let (key, secret) = child::admin(folder)?;
    state.admin_key = key.clone();
    state.admin_secret = secret.clone();
    let server = SocketAddr::from(([127, 0, 0, 1], state.sandbox_port)).to_string();
    let secret = SecretString::from(secret);
    let admin = Service::new(server.clone(), server, key, secret, clock.clone());
    let [reader, actor] = seed::seed(&admin, state)
        .await
        .context("the sandbox could not be filled")?;
    folder.write("reader.key", reader.key.as_bytes())?;
    folder.write("reader.secret", reader.secret.as_bytes())?;
    folder.write("actor.key", actor.key.as_bytes())?;
    folder.write("actor.secret", actor.secret.as_bytes())?;
    Vault::create(&folder.file("faregate.key"))?;
    policies::write(folder, state, clock.billing())?;
    folder.save(state)
}

/// Starts the gate on the ports of the last start where they are free, else on free ones.
async fn node(folder: &Folder, state: &mut DemoState, reader: &str) -> anyhow::Result<Node> {
    if state.gate_port == 0 {
        (state.gate_port, state.ops_port) = (8180, 9180);
    }
    policies::write_config(folder, state, reader)?;
    let read =
        || config::load(&folder.file("faregate.toml")).map_err(|faults| wiring::as_error(&faults));
    let usual = Node::start(read()?).await;
    match usual {
        Err(fault) if format!("{fault:#}").contains("cannot be listened on") => {
            (state.gate_port, state.ops_port) = (0, 0);
            policies::write_config(folder, state, reader)?;
            Node::start(read()?).await
        }
        other => other,
    }
}

/// The prepaid customers' first payment, once; gives what each customer has now.
async fn first_money(node: &Node, state: &DemoState) -> anyhow::Result<Vec<Micros>> {
    let mut balances = Vec::new();
    for customer in &state.customers {
        let amount = if customer.mode == "prepaid" {
            FIRST_TOP_UP
        } else {
            Micros::ZERO
        };
        let id = format!("demo/{}", customer.name);
        balances.push(if amount.is_zero() {
            Micros::ZERO
        } else {
            console::credit(&node.product, &customer.name, amount, &id, "demo").await?
        });
    }
    Ok(balances)
}

/// Notes where billing time stands, so that it can stand still while nothing runs.
async fn note_time(folder: Folder, clock: Clock) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        if let Err(fault) = folder.note_seen(clock.billing()) {
            tracing::warn!(verb = "demo", %fault, "billing time was not noted");
        }
    }
}
