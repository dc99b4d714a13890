//! Edge: the command line: what can be asked for, and which role answers.

mod books;
mod forms;
mod check;
mod commitments;
mod demo;
mod exposure;
mod grant;
mod init;
mod key;
mod ladder;
mod ledger;
pub mod month;
mod policy;
mod probe;
mod replay;
pub mod replay_lifecycle;
pub mod replay_requests;
mod sandbox;
mod serve;
mod sign;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// The fare gate of an Apache CloudStack cloud.
#[derive(Parser, Debug)]
#[command(version, about, propagate_version = true)]
struct Arguments {
    /// Log lines as JSON objects
    #[arg(long, global = true)]
    log_json: bool,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand, Debug)]
enum Role {
    /// Stand in front of a management server
    Serve(serve::ServeArguments),
    /// Find every fault of configuration and policies at once
    Check {
        /// The configuration file
        #[arg(long)]
        config: PathBuf,
        /// Also call the management server with each command of the reading role
        #[arg(long)]
        live: bool,
        /// Read listApis once with an operator's full key (a file of its own: key, then secret)
        /// and write down what the management server can do
        #[arg(long, value_name = "FILE")]
        admin_key_file: Option<PathBuf>,
    },
    /// Write a commented starting configuration and policies
    Init {
        /// The folder to write to; existing files are never overwritten
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// A sandbox cloud, the gate in front of it, two customers and the operator page
    Demo(demo::DemoArguments),
    /// A CloudStack stand-in with its own usage server
    Sandbox(sandbox::SandboxArguments),
    /// Try recordings of your own before going live
    Replay {
        #[command(subcommand)]
        what: replay::Recording,
    },
    /// Say which ways around the gate are open from here; exit code 1 if any is
    Probe(probe::ProbeArguments),
    /// Print a signed URL for an API call, for use with curl
    Sign(sign::SignArguments),
    /// Credit a customer's payment at a running node
    TopUp(ledger::TopUpArguments),
    /// Grant a customer gift credit at a running node
    Grant(grant::GrantArguments),
    /// Look at the books
    Ledger {
        #[command(subcommand)]
        what: ledger::LedgerQuestion,
    },
    /// What a customer's end ladder did, or would do
    Ladder(ladder::LadderArguments),
    /// Test, explain and report what the policies decide
    Policy {
        #[command(subcommand)]
        what: policy::PolicyQuestion,
    },
    /// Change the key that seals customers' secrets at rest
    Key {
        #[command(subcommand)]
        what: key::KeyChange,
    },
    /// Close a month: pull usage, compare, rate, invoice
    Month(month::MonthArguments),
}

/// Runs what the command line asks for; the error chain goes to stderr.
#[must_use]
pub fn run() -> ExitCode {
    if let Err(fault) = crate::process::hardening::no_dumps() {
        eprintln!("faregate: dumps of this process cannot be forbidden: {fault}");
        return ExitCode::from(2);
    }
    let arguments = Arguments::parse();
    // A node starts its logging itself, once it knows where its spans go.
    if !matches!(arguments.role, Role::Serve(_)) {
        crate::telemetry::start(arguments.log_json);
    }
    let outcome = match arguments.role {
        Role::Serve(serving) => serve::run(&serving, arguments.log_json),
        Role::Check {
            config,
            live,
            admin_key_file,
        } => check::run(&config, live, admin_key_file.as_deref()),
        Role::Init { folder } => init::run(&folder),
        Role::Demo(arguments) => demo::run(&arguments),
        Role::Sandbox(arguments) => sandbox::run(&arguments),
        Role::Replay { what } => replay::run(&what),
        Role::Probe(arguments) => probe::run(&arguments),
        Role::Sign(arguments) => sign::run(&arguments),
        Role::TopUp(arguments) => ledger::top_up(&arguments),
        Role::Grant(arguments) => grant::run(&arguments),
        Role::Ledger { what } => ledger::run(&what),
        Role::Ladder(arguments) => ladder::run(&arguments),
        Role::Policy { what } => policy::run(&what),
        Role::Key { what } => key::run(&what),
        Role::Month(arguments) => month::run(&arguments),
    };
    outcome.unwrap_or_else(|fault| {
        eprintln!("faregate: {fault:#}");
        ExitCode::from(2)
    })
}
