//! Edge: `faregate serve`: one node in front of a management server.

use crate::config;
use crate::process::serve::{Node, asked_to_stop};
use crate::process::wiring;
use std::path::Path;
use std::process::ExitCode;

/// Serves until asked to stop, then drains.
pub fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let config = config::load(path).map_err(|faults| wiring::as_error(&faults))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let node = Node::start(config).await?;
        eprintln!("gate      http://{}/client/api", node.gate);
        eprintln!("operators http://{}/", node.ops);
        asked_to_stop().await?;
        eprintln!("draining");
        node.drain().await;
        Ok(ExitCode::SUCCESS)
    })
}
