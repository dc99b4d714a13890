//! Edge: `faregate top-up` and `faregate ledger`: money in by hand, and a look at the books.

use super::books::{self, CopyArguments, DrillArguments, RebuildArguments};
use super::commitments;
use super::exposure;
use super::forms::{self, BackArguments, FormArguments};
use crate::config;
use crate::ledger::records::Purse;
use crate::process::wiring;
use crate::store::Store;
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A payment that came in.
#[derive(Args, Debug)]
pub struct TopUpArguments {
    /// The configuration of the running node
    #[arg(long)]
    config: PathBuf,
    /// Who paid, as named in policies/customers
    #[arg(long)]
    payer: String,
    /// How much, in main units of his currency: 25.00
    #[arg(long)]
    amount: Micros,
    /// The provider's name of the payment; the same name twice is one payment
    #[arg(long)]
    id: String,
    /// By which provider
    #[arg(long, default_value = "manual")]
    provider: String,
}

/// A question to the books.
#[derive(Subcommand, Debug)]
pub enum LedgerQuestion {
    /// Sums, floors and the chain of hashes
    Verify {
        /// The configuration
        #[arg(long)]
        config: PathBuf,
    },
    /// A consistent copy of the books, while they are written
    Backup(CopyArguments),
    /// Takes a backup back into empty books, of either kind of store
    Restore(CopyArguments),
    /// Takes a backup back aside and checks it, as a restore would
    Drill(DrillArguments),
    /// Makes every payer's figures anew from transfers and holds, and compares
    Rebuild(RebuildArguments),
    /// Which form the books have, and which releases read it
    Form(FormArguments),
    /// Takes the books back to the form of an older release, after a backup
    Back(BackArguments),
    /// What raising calls may cost at worst while the books are away, and what has passed here;
    /// asks only the policies and this node's journal
    Exposure {
        /// The configuration
        #[arg(long)]
        config: PathBuf,
    },
    /// What every payer has
    Balances {
        /// The configuration
        #[arg(long)]
        config: PathBuf,
    },
    /// Gift credit by grant, soonest end first
    Grants {
        /// The configuration
        #[arg(long)]
        config: PathBuf,
        /// Whose; everybody's where nobody is named
        #[arg(long)]
        payer: Option<String>,
    },
    /// Rules that start things by themselves, and what is kept for them
    Commitments {
        /// The configuration
        #[arg(long)]
        config: PathBuf,
        /// Whose; everybody's where nobody is named
        #[arg(long)]
        payer: Option<String>,
    },
    /// A payer's newest transfers
    Transfers {
        /// The configuration
        #[arg(long)]
        config: PathBuf,
        /// Whose
        #[arg(long)]
        payer: String,
        /// How many
        #[arg(long, default_value_t = 50)]
        rows: u32,
    },
}

/// Tells the running node of a payment: its writer alone writes the books.
pub fn top_up(arguments: &TopUpArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    let form: Vec<(&str, String)> = vec![
        ("payer", arguments.payer.clone()),
        ("amount", arguments.amount.to_string()),
        ("id", arguments.id.clone()),
        ("provider", arguments.provider.clone()),
    ];
    let mut map = crate::cloudstack::query::ParamMap::default();
    for (name, value) in &form {
        map.insert(name, value);
    }
    let body = map.to_wire();
    let (status, text) = block_on(post(config.listen.ops, "/top-ups", &body))??;
    if status != 200 {
        bail!("the node refused the payment: {}", text.trim());
    }
    println!("available: {}", text.trim());
    Ok(ExitCode::SUCCESS)
}

/// Answers a question about the books.
pub fn run(question: &LedgerQuestion) -> anyhow::Result<ExitCode> {
    let path = match question {
        LedgerQuestion::Verify { config }
        | LedgerQuestion::Balances { config }
        | LedgerQuestion::Grants { config, .. }
        | LedgerQuestion::Commitments { config, .. }
        | LedgerQuestion::Transfers { config, .. } => config,
        LedgerQuestion::Exposure { config } => return exposure::run(&load(config)?),
        LedgerQuestion::Backup(arguments) => return books::back_up(arguments),
        LedgerQuestion::Restore(arguments) => return books::restore(arguments),
        LedgerQuestion::Drill(arguments) => return books::drill(arguments),
        LedgerQuestion::Rebuild(arguments) => return books::rebuild(arguments),
        LedgerQuestion::Form(arguments) => return forms::form(arguments),
        LedgerQuestion::Back(arguments) => return forms::back(arguments),
    };
    let config = load(path)?;
    block_on(async {
        let store = Store::open_at(&wiring::place(&config, false)).await?;
        match question {
            LedgerQuestion::Balances { .. } => balances(&store).await,
            LedgerQuestion::Transfers { payer, rows, .. } => {
                transfers(&store, &PayerId::from(payer.as_str()), *rows).await
            }
            LedgerQuestion::Commitments { payer, .. } => {
                commitments::list(&config, &store, payer.as_deref()).await
            }
            LedgerQuestion::Grants { payer, .. } => {
                super::grant::list(&store, payer.as_deref()).await
            }
            _ => verify(&store).await,
        }
    })?
}

async fn verify(store: &Store) -> anyhow::Result<ExitCode> {
    let verified = store.verify().await?;
    println!("{} transfers", verified.transfers);
    for (seller, account, currency, amount) in &verified.balances {
        println!("{seller}  {account}  {currency}  {amount}");
    }
    for fault in &verified.faults {
        println!("fault: {fault}");
    }
    Ok(if verified.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn balances(store: &Store) -> anyhow::Result<ExitCode> {
    for state in store.payers().await? {
        let of = |purse| state.purse(purse);
        println!(
            "{}  available {}  held {}  accrued {}  gift {} {} {}  {}",
            state.payer,
            of(Purse::Available),
            of(Purse::Held),
            of(Purse::Accrued),
            of(Purse::PromoAvailable),
            of(Purse::PromoHeld),
            of(Purse::PromoAccrued),
            state.currency,
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn transfers(store: &Store, payer: &PayerId, rows: u32) -> anyhow::Result<ExitCode> {
    for row in store.transfers(payer, None, rows).await? {
        let transfer = row.transfer;
        println!(
            "{:>8}  {}  {:<12}  {:>16}  {}",
            row.seq, transfer.at, transfer.event, transfer.amount, transfer.id
        );
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn load(path: &std::path::Path) -> anyhow::Result<config::Config> {
    config::load(path).map_err(|faults| wiring::as_error(&faults))
}

pub(super) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}

/// As [`post`], for a command that waits for nothing else.
pub(super) fn get_lines(
    address: std::net::SocketAddr,
    path: &str,
    body: &str,
) -> anyhow::Result<(u16, String)> {
    block_on(post(address, path, body))?
}

/// One small request to the operators' socket of a node on this machine.
pub(super) async fn post(
    address: std::net::SocketAddr,
    path: &str,
    body: &str,
) -> anyhow::Result<(u16, String)> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(address, &request).await
}

/// One small question to the operators' socket of a node on this machine.
pub(super) async fn get(
    address: std::net::SocketAddr,
    path: &str,
) -> anyhow::Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    exchange(address, &request).await
}

async fn exchange(address: std::net::SocketAddr, request: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .with_context(|| format!("no node answers at {address}; start `faregate serve` first"))?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or((answer.as_str(), ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    Ok((status, body.to_owned()))
}
