//! Edge: what would happen to a call, asked without a node or a cloud: the real gate with books of
//! its own in a folder that goes away, in front of a file of facts.

mod facts;

use super::explain::shown;
use super::wiring;
use crate::cloudstack::query::ParamMap;
use crate::config::vault::Vault;
use crate::config::{self, Config};
use crate::gate::explain::{As, explain};
use crate::ledger::Command;
use crate::ledger::command::PromoGrant;
use crate::store::Work;
use crate::terms::ids::PayerId;
use anyhow::{Context, bail};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::routing::get;
use facts::{FactsFile, Money};
use secrecy::SecretString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;

/// A question that no node is asked.
#[derive(Debug)]
pub struct Question<'a> {
    /// A configuration: its policies and classes of commands are taken, nothing else.
    pub config: Option<&'a Path>,
    /// The policies, where there is no configuration.
    pub policies: &'a Path,
    /// Files of facts.
    pub facts: &'a [PathBuf],
    /// The call, unsigned.
    pub call: &'a str,
    /// Who makes it.
    pub who: As,
    /// Where it comes from.
    pub address: Option<IpAddr>,
    /// As JSON.
    pub json: bool,
}

/// Answers it in lines of text, or in JSON.
///
/// # Errors
/// A file that cannot be read or used, with what to do; a call or a caller that cannot be made out.
pub async fn answer(question: &Question<'_>) -> anyhow::Result<String> {
    let facts = read(question.facts)?;
    let folder = Scratch::new()?;
    let config = folder.config(question, serve(facts.clone()).await?)?;
    Vault::create(&config.key_file)?;
    std::fs::create_dir_all(&config.store)?;
    let (product, _queues) = wiring::open(config).await?;
    for money in &facts.money {
        credit(&product, money).await?;
    }
    let told = explain(
        &product.gate,
        question.call,
        &question.who,
        question.address,
    );
    let mut told = told.await.map_err(anyhow::Error::msg)?;
    let names: Vec<String> = question
        .facts
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    told.source = Some(format!(
        "{}; of no running node, and nothing else runs",
        names.join(", ")
    ));
    Ok(shown(&told, question.json))
}

fn read(paths: &[PathBuf]) -> anyhow::Result<FactsFile> {
    let mut facts = FactsFile::default();
    for path in paths {
        let text = std::fs::read_to_string(path).with_context(|| {
            let path = path.display();
            format!("facts file {path} cannot be read; name a file of TOML or JSON in UTF-8")
        })?;
        let read = facts.read(&path.display().to_string(), &text);
        read.map_err(|fault| anyhow::anyhow!("{fault}"))?;
    }
    let missing = facts.domains_missing();
    if !missing.is_empty() {
        bail!(
            "the facts name the domain(s) {} and have no [[domain]] for them; add id, name and, \
             below ROOT, parentdomainid",
            missing.join(", ")
        );
    }
    Ok(facts)
}

async fn credit(product: &wiring::Product, money: &Money) -> anyhow::Result<()> {
    let Money {
        payer,
        available,
        gift,
    } = money;
    let id = format!("facts/{payer}");
    let known = product.store.payer(&PayerId::from(payer.as_str())).await?;
    if known.is_none() {
        bail!("the facts name the payer `{payer}`, whom the policies do not know; correct its id");
    }
    if !available.is_zero() {
        super::console::credit(product, payer, *available, &id, "facts").await?;
    }
    if !gift.is_zero() {
        let grant = Command::PromoGrant(PromoGrant {
            id,
            payer: PayerId::from(payer.as_str()),
            amount: *gift,
            expires: None,
            reason: "facts".to_owned(),
            at: product.clock.billing(),
        });
        product.store.submit(Work::of(grant)).await?;
    }
    Ok(())
}

/// Answers the reading service account from the facts, on a port of this machine alone.
async fn serve(facts: FactsFile) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let api = Router::new()
        .route("/client/api", get(respond))
        .with_state(Arc::new(facts));
    tokio::spawn(async move {
        // It ends with the process; whoever asks it says what is missing.
        let _ = axum::serve(listener, api).await;
    });
    Ok(address)
}

async fn respond(
    State(facts): State<Arc<FactsFile>>,
    RawQuery(query): RawQuery,
) -> (StatusCode, String) {
    let query = query.unwrap_or_default();
    let params = ParamMap::parse(query.as_bytes(), b"").unwrap_or_default();
    let (status, body) = facts.answer(&params);
    (StatusCode::from_u16(status).unwrap_or_default(), body)
}

/// A folder of this process alone, removed with what is in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let id = crate::clock::Clock::system().random_uuid();
        let path = std::env::temp_dir().join(format!("faregate-explain-{id}"));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }

    /// The operator's configuration, or the plainest one, on this folder and the facts alone: no
    /// book, no counter and no cloud of the operator's is touched.
    fn config(&self, question: &Question<'_>, facts: SocketAddr) -> anyhow::Result<Config> {
        let path = match question.config {
            Some(path) => path.to_owned(),
            None => self.plainest(question.policies)?,
        };
        let mut config = config::load(&path).map_err(|faults| wiring::as_error(&faults))?;
        config.upstream.server = facts.to_string();
        config.upstream.host = facts.to_string();
        config.upstream.ca_file = None;
        config.upstream.others = Vec::new();
        config.upstream.reader_key = "facts".to_owned();
        config.upstream.reader_secret = SecretString::from("facts".to_owned());
        config.listen.tls = None;
        config.store = self.0.join("state");
        config.key_file = self.0.join("key");
        config.postgres = None;
        config.counters.redis = None;
        Ok(config)
    }

    fn plainest(&self, policies: &Path) -> anyhow::Result<PathBuf> {
        let policies = policies.canonicalize().with_context(|| {
            let folder = policies.display();
            format!("policies {folder} cannot be read; name their folder with --policies")
        })?;
        let policies = toml::Value::from(policies.display().to_string());
        let text = format!(
            "[listen]\ngate = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\n[upstream]\nurl = \
             \"http://127.0.0.1:1/client/api\"\nreader_key = \"facts\"\nreader_secret_file = \
             \"secret\"\n[paths]\nstore = \"state\"\npolicies = {policies}\ninvoices = \
             \"invoices\"\nkey_file = \"key\"\n"
        );
        std::fs::write(self.0.join("secret"), "facts")?;
        let path = self.0.join("faregate.toml");
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the system's folder for what may go away.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
