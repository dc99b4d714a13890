//! Edge: `faregate serve`: one node in front of a management server.

use crate::config::{self, Config};
use crate::process::handover::take_over;
use crate::process::serve::{Node, asked_to_stop};
use crate::process::sockets::Sockets;
use crate::process::{hardening, wiring};
use crate::telemetry::{Traces, start_with};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Stand in front of a management server
#[derive(Args, Clone, Debug)]
pub struct ServeArguments {
    /// The configuration file (`faregate init DIR` writes one)
    #[arg(long)]
    pub config: PathBuf,
    /// Take the listening sockets of the node that runs with this state folder; no call is refused
    #[arg(long)]
    pub take_over: bool,
}

/// Serves until asked to stop, then drains; or until a new node takes over.
pub fn run(arguments: &ServeArguments, log_json: bool) -> anyhow::Result<ExitCode> {
    let mut config = config::load(&arguments.config).map_err(|faults| wiring::as_error(&faults))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let sending = {
        let _inside = runtime.enter();
        let traces = config.traces.as_ref().map(|it| Traces {
            endpoint: it.endpoint.clone(),
            name: it.name.clone(),
        });
        start_with(log_json, traces.as_ref()).map_err(anyhow::Error::msg)?
    };
    wiring::check(&config)?;
    let possible = hardening::connections_possible();
    let connections_max = &mut config.listen.entry.connections_max;
    if *connections_max > possible {
        let wanted = *connections_max;
        *connections_max = possible;
        tracing::info!(
            verb = "serve",
            wanted,
            possible,
            "descriptors last for fewer connections than listen.connections_max; raise LimitNOFILE"
        );
    }
    let sockets = match arguments
        .take_over
        .then(|| take_over(&config))
        .transpose()?
        .flatten()
    {
        Some(sockets) => sockets,
        None => Sockets::bind(&config.listen)?,
    };
    let outcome = runtime.block_on(serve(config, sockets));
    sending.flush();
    outcome
}

async fn serve(config: Config, sockets: Sockets) -> anyhow::Result<ExitCode> {
    let mut node = Node::start_with(config, sockets).await?;
    eprintln!("gate      http://{}/client/api", node.gate);
    if let Some(tls) = node.tls {
        eprintln!("gate      https://{tls}/client/api");
    }
    eprintln!("operators http://{}/", node.ops);
    let mut asked = std::pin::pin!(asked_to_stop());
    loop {
        let successor = tokio::select! {
            asked = asked.as_mut() => {
                asked?;
                eprintln!("draining");
                node.drain().await;
                return Ok(ExitCode::SUCCESS);
            }
            () = node.cut_off() => {
                node.drain().await;
                anyhow::bail!(
                    "this node was cut off from the books and another one went on in its place; \
                     start it again"
                );
            }
            successor = node.successor() => successor,
        };
        match node.hand_over(successor).await? {
            Some(goes_on) => node = goes_on,
            None => return Ok(ExitCode::SUCCESS),
        }
    }
}
