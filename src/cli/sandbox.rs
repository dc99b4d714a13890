//! Edge: `faregate sandbox`: the CloudStack stand-in as a process of its own.

use crate::clock::Clock;
use crate::process::serve::asked_to_stop;
use crate::sandbox::{SandboxOptions, serve};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::sync::{oneshot, watch};

/// What the sandbox needs.
#[derive(Args, Debug)]
pub struct SandboxArguments {
    /// Where it listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8181")]
    listen: SocketAddr,
    /// Its folder: state and the administrator's keys
    #[arg(long, default_value = "sandbox-state")]
    state: PathBuf,
    /// A billing clock file that it shares with a gate
    #[arg(long)]
    billing_clock: Option<PathBuf>,
    /// Shortest time that a job runs, in milliseconds
    #[arg(long, default_value_t = 300)]
    job_min: u64,
    /// Longest time that a job runs, in milliseconds
    #[arg(long, default_value_t = 1_200)]
    job_max: u64,
}

/// Serves until asked to stop. The first line of stdout is its address.
pub fn run(arguments: &SandboxArguments) -> anyhow::Result<ExitCode> {
    let clock = match &arguments.billing_clock {
        Some(file) => Clock::with_billing_file(file)?,
        None => Clock::system(),
    };
    std::fs::create_dir_all(&arguments.state)?;
    let options = SandboxOptions {
        listen: arguments.listen,
        state_dir: arguments.state.clone(),
        clock,
        job_delay_millis: (arguments.job_min, arguments.job_max.max(arguments.job_min)),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (ready, address) = oneshot::channel();
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(options, ready, stopped));
        if let Ok(address) = address.await {
            println!("http://{address}/client/api");
            asked_to_stop().await?;
            let _ = stop.send(true);
        }
        server.await??;
        Ok(ExitCode::SUCCESS)
    })
}
