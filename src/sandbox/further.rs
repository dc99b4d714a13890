//! Edge: further management servers of the same cloud: one database, sessions of their own.
//!
//! `POST /sandbox/servers` with `open=ADDRESS` starts one (port 0 takes a free one) and answers its
//! address; `close=ADDRESS` ends it at once, its connections and sessions with it.

use super::exchange;
use super::server::{Sandbox, connection};
use crate::cloudstack::query::ParamMap;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Further servers at a time.
const SERVERS_MAX: usize = 8;

/// The further servers that run.
#[derive(Debug, Default)]
pub struct Further {
    running: Mutex<HashMap<SocketAddr, AbortHandle>>,
}

/// Opens or closes a further server; what was wrong otherwise.
///
/// # Errors
/// What to write instead.
pub async fn switch(sandbox: &Arc<Sandbox>, form: &[u8]) -> Result<Value, String> {
    let params = ParamMap::parse_as_cloudstack(b"", form).unwrap_or_default();
    let address = |name: &str| -> Result<Option<SocketAddr>, String> {
        let Some(text) = params.get(name) else {
            return Ok(None);
        };
        let parsed = text.parse().map(Some);
        parsed.map_err(|_| format!("{name} must be an address with a port, not `{text}`"))
    };
    if let Some(address) = address("close")? {
        let running = &sandbox.further.running;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        let server = running.remove(&address);
        server
            .ok_or_else(|| format!("no further server runs at {address}"))?
            .abort();
        return Ok(json!({ "closed": address.to_string() }));
    }
    let Some(address) = address("open")? else {
        return Err("open=ADDRESS or close=ADDRESS is needed".to_owned());
    };
    let opened = open(sandbox, address).await;
    let opened = opened.map_err(|fault| format!("{address} cannot be listened on: {fault}"))?;
    Ok(json!({ "opened": opened.to_string() }))
}

async fn open(sandbox: &Arc<Sandbox>, address: SocketAddr) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let running = &sandbox.further.running;
    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
    if running.len() >= SERVERS_MAX {
        return Err(std::io::Error::other("there are eight already"));
    }
    running.insert(bound, start(listener, sandbox));
    Ok(bound)
}

fn start(listener: TcpListener, sandbox: &Arc<Sandbox>) -> AbortHandle {
    tokio::spawn(serve(listener, Arc::new(sandbox.beside()))).abort_handle()
}

/// Serves until it is aborted; its connections end with it.
async fn serve(listener: TcpListener, sandbox: Arc<Sandbox>) {
    let mut open = JoinSet::new();
    let (_go_on, stop) = watch::channel(false);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    open.spawn(connection(stream, sandbox.clone(), stop.clone()));
                }
            }
            Some(_) = open.join_next(), if !open.is_empty() => {}
        }
    }
}

/// `POST /sandbox/servers`, answered.
pub async fn answer(sandbox: &Arc<Sandbox>, form: &[u8]) -> exchange::Answer {
    match switch(sandbox, form).await {
        Ok(told) => exchange::plain(200, &told.to_string()),
        Err(fault) => exchange::plain(400, &fault),
    }
}
