//! Edge: from a checked configuration to the parts that run.

use super::front::Front;
use crate::clock::Clock;
use crate::config::vault::Vault;
use crate::config::{self, Config, Fault};
use crate::counters::{Counters, Shared};
use crate::cover::act::Ladder;
use crate::cover::actor::Acted;
use crate::cover::line::Renewals;
use crate::cover::windows::Windows;
use crate::gate::ask::Asker;
use crate::gate::away::Away;
use crate::gate::balance::Balances;
use crate::gate::keys::Keys;
use crate::gate::line::Gate;
use crate::gate::pages::Pages;
use crate::gate::resend::Resends;
use crate::gate::session::Sessions;
use crate::meter::counting::Counting;
use crate::meter::follow::{Followed, Follower};
use crate::meter::line::Meter;
use crate::meter::sweep::Sweep;
use crate::policy;
use crate::policy::customer::RuleSet;
use crate::policy::mode::Mode;
use crate::reconcile::sampler::Sampler;
use crate::store::{AuditRow, Place, Store};
use crate::terms::ids::PayerId;
use crate::terms::time::SECOND;
use crate::upstream::directory::Directory;
use crate::upstream::servers::Servers;
use crate::upstream::service::Service;
use crate::upstream::tls::UpstreamTls;
use anyhow::bail;
use arc_swap::ArcSwap;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Payers, calls and notes that wait for their task.
const QUEUE_MAX: usize = 4_096;

/// Everything that one node runs.
#[derive(Debug)]
pub struct Product {
    /// The configuration.
    pub config: Config,
    /// Time.
    pub clock: Clock,
    /// The books.
    pub store: Store,
    /// The rules in force.
    pub rules: Arc<ArcSwap<RuleSet>>,
    /// The management servers.
    pub servers: Arc<Servers>,
    /// The reading service account.
    pub service: Arc<Service>,
    /// Who is who.
    pub directory: Arc<Directory>,
    /// Renewals.
    pub renewals: Arc<Renewals>,
    /// The end ladder.
    pub ladder: Arc<Ladder>,
    /// The live meter.
    pub meter: Arc<Meter>,
    /// The follower of jobs.
    pub follower: Arc<Follower>,
    /// The sweep.
    pub sweep: Arc<Sweep>,
    /// What pulls samples of traffic and disk I/O.
    pub sampler: Sampler,
    /// The gate.
    pub gate: Arc<Gate>,
    /// What connections come in by.
    pub front: Front,
    /// What the last month's closing came to.
    pub months: super::months::LastMonth,
    /// What became of changed policies.
    pub reloads: super::reload::Reloads,
}

/// The receiving ends of the product's queues.
#[derive(Debug)]
pub struct Queues {
    /// Payers to renew at once.
    pub wake: mpsc::Receiver<PayerId>,
    /// Calls to follow.
    pub followed: mpsc::Receiver<Followed>,
    /// Judged calls to note.
    pub audit: mpsc::Receiver<AuditRow>,
    /// What the ladder did, for the meter.
    pub acted: mpsc::Receiver<Acted>,
}

/// Loads and checks the policies.
///
/// # Errors
/// Every fault at once.
pub fn rules(config: &Config) -> Result<RuleSet, Vec<Fault>> {
    let files = config::policy_files(&config.policies)?;
    policy::check::load(&files).map_err(|faults| {
        faults
            .into_iter()
            .map(|f| Fault {
                file: f.file,
                line: f.line,
                what: f.what,
                instead: f.instead,
            })
            .collect()
    })
}

/// The faults as one error.
#[must_use]
pub fn as_error(faults: &[Fault]) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("{} fault(s):\n{}", faults.len(), lines.join("\n"))
}

/// Checks what can be checked before anything runs: policies, certificates, authorities, the key
/// that encrypts secrets at rest.
///
/// # Errors
/// What a start would meet.
pub fn check(config: &Config) -> anyhow::Result<()> {
    let rules = rules(config).map_err(|faults| as_error(&faults))?;
    super::ladder::check(&rules, config.upstream.actor.is_some())?;
    Front::open(config, &clock(config)?)?;
    servers(config)?;
    Vault::open(&config.key_file)?;
    Ok(())
}

/// Opens the product; the folder of the books must exist. Runs on the runtime that its tasks will
/// run on.
///
/// # Errors
/// The first thing that stands in the way of a start, with what to do.
pub async fn open(config: Config) -> anyhow::Result<(Arc<Product>, Queues)> {
    let clock = clock(&config)?;
    let rules = rules(&config).map_err(|faults| as_error(&faults))?;
    let store = Store::open_at(&place(&config, true)).await?;
    super::ladder::check(&rules, config.upstream.actor.is_some())?;
    same_clock(&store, &clock).await?;
    super::payers::open(&store, &rules, clock.billing()).await?;
    let rules = Arc::new(ArcSwap::from_pointee(rules));
    let servers = servers(&config)?;
    let service = Arc::new(service(&config, servers.clone(), &clock));
    let directory = Arc::new(Directory::new(service.clone()));
    let (actor, acted) = super::ladder::actor(&config, &servers, &clock);
    let (wake, followed, audit, queues) = queues(acted);
    let (renewals, counting) = renewals(&store, &rules, &clock);
    let (time, renewing) = (clock.clone(), renewals.clone());
    let ladder = Ladder::new(store.clone(), rules.clone(), time, renewing, actor);
    let meter = Meter::open(
        store.clone(),
        service.clone(),
        directory.clone(),
        rules.clone(),
        clock.clone(),
        wake,
    );
    let meter = Arc::new(meter.await?);
    let follower = Follower::new(meter.clone(), store.clone(), service.clone(), clock.clone());
    let sweep = Sweep::new(meter.clone(), store.clone(), service.clone(), clock.clone());
    let gate = Gate {
        clock: clock.clone(),
        store: store.clone(),
        rules: rules.clone(),
        table: Arc::new(super::commands::table(&config)?),
        balances: Balances::default(),
        keys: keys(&config, &service, &directory, &store, &clock)?,
        sessions: Sessions::default(),
        counters: Arc::new(counters(&config)?),
        directory: directory.clone(),
        asker: Asker::new(service.clone()),
        renewals: renewals.clone(),
        meter: meter.clone(),
        followed,
        audit,
        pages: pages(&config),
        away: Arc::new(Away::open(&config.store, config.counters.nodes)?),
        resends: Arc::new(Resends::new(clock.clone())),
    };
    let product = Product {
        sampler: Sampler::new((&store, &service, &meter), &rules, &clock, counting),
        front: Front::open(&config, &clock)?,
        config,
        clock,
        store,
        rules,
        servers,
        service,
        directory,
        renewals,
        ladder: Arc::new(ladder),
        meter,
        follower: Arc::new(follower),
        sweep: Arc::new(sweep),
        gate: Arc::new(gate),
        months: super::months::LastMonth::default(),
        reloads: super::reload::Reloads::default(),
    };
    Ok((Arc::new(product), queues))
}

/// The renewals, and what they have to know of what CloudStack counts.
fn renewals(
    store: &Store,
    rules: &Arc<ArcSwap<RuleSet>>,
    clock: &Clock,
) -> (Arc<Renewals>, Arc<ArcSwap<Counting>>) {
    let counting = Arc::new(ArcSwap::from_pointee(Counting::default()));
    let renewals = Renewals::new(store.clone(), rules.clone(), clock.clone());
    let renewals = renewals.with_windows(Windows::new(counting.clone()));
    (Arc::new(renewals), counting)
}

/// Nodes that share books share their time: a clock that is off would charge other seconds than the
/// other nodes do.
async fn same_clock(store: &Store, clock: &Clock) -> anyhow::Result<()> {
    let Some(theirs) = store.wall().await? else {
        return Ok(());
    };
    let off = clock.wall().since(theirs).abs();
    if off > CLOCK_OFF_MAX {
        bail!(
            "this node's clock differs from PostgreSQL's by {} ms: set both by NTP and start again",
            off / 1_000
        );
    }
    Ok(())
}

/// Where the books lie: for the node that serves, or for a command that works beside it.
#[must_use]
pub fn place(config: &Config, serves: bool) -> Place {
    match &config.postgres {
        None => Place::Folder(config.store.clone()),
        Some(postgres) => Place::Postgres {
            url: postgres.url.clone(),
            node: serves.then(|| postgres.node.clone()),
        },
    }
}

/// What goes into the queues of payers, calls and notes, and their receiving ends.
fn queues(
    acted: mpsc::Receiver<Acted>,
) -> (
    mpsc::Sender<PayerId>,
    mpsc::Sender<Followed>,
    mpsc::Sender<AuditRow>,
    Queues,
) {
    let (wake, wake_end) = mpsc::channel(QUEUE_MAX);
    let (followed, followed_end) = mpsc::channel(QUEUE_MAX);
    let (audit, audit_end) = mpsc::channel(QUEUE_MAX);
    let ends = Queues {
        wake: wake_end,
        followed: followed_end,
        audit: audit_end,
        acted,
    };
    (wake, followed, audit, ends)
}

/// Which pages beside the API are served.
fn pages(config: &Config) -> Pages {
    Pages {
        files: config.ui.enabled,
        console: config.ui.console,
    }
}

fn keys(
    config: &Config,
    service: &Arc<Service>,
    directory: &Arc<Directory>,
    store: &Store,
    clock: &Clock,
) -> anyhow::Result<Keys> {
    Ok(Keys::new(
        service.clone(),
        directory.clone(),
        store.clone(),
        Vault::open(&config.key_file)?,
        clock.clone(),
    ))
}

/// The counters of call limits that the configuration asks for.
fn counters(config: &Config) -> anyhow::Result<Counters> {
    let shared = match &config.counters.redis {
        Some(address) => Some(Arc::new(Shared::new(address).map_err(anyhow::Error::msg)?)),
        None => None,
    };
    Ok(Counters::new(config.counters.nodes, shared))
}

/// The clock that the configuration asks for.
///
/// # Errors
/// Where the billing clock file cannot be used.
pub fn clock(config: &Config) -> anyhow::Result<Clock> {
    Ok(match &config.billing_clock {
        Some(file) => Clock::with_billing_file(file)?,
        None => Clock::system(),
    })
}

/// The management servers.
///
/// # Errors
/// A file of authorities that cannot be used.
pub fn servers(config: &Config) -> anyhow::Result<Arc<Servers>> {
    let mut servers = Vec::new();
    for (address, host) in config.upstream.servers() {
        let ca_file = config.upstream.ca_file.as_ref();
        let tls = ca_file.map(|file| UpstreamTls::open(file, &address));
        servers.push((address, host, tls.transpose()?));
    }
    Ok(Arc::new(Servers::of(servers)))
}

/// The reading service account.
#[must_use]
pub fn service(config: &Config, servers: Arc<Servers>, clock: &Clock) -> Service {
    let upstream = &config.upstream;
    Service::of(
        servers,
        upstream.reader_key.clone(),
        upstream.reader_secret.clone(),
        clock.clone(),
    )
}

/// How far a node's clock may be from the database's.
const CLOCK_OFF_MAX: i64 = 2 * SECOND;

/// What the reading role must be able to call.
const READS: [&str; 23] = [
    "listUsers",
    "listAccounts",
    "listDomains",
    "listProjects",
    "listProjectAccounts",
    "listAsyncJobs",
    "listEvents",
    "listVirtualMachines",
    "listVolumes",
    "listServiceOfferings",
    "listDiskOfferings",
    "listNetworkOfferings",
    "listNetworks",
    "listVPCs",
    "listPublicIpAddresses",
    "listTemplates",
    "listIsos",
    "listSnapshots",
    "listVMSnapshot",
    "listLoadBalancerRules",
    "listPortForwardingRules",
    "listVpnUsers",
    "listUsageTypes",
];
/// What it may lack where the cloud has no such thing.
const READS_IF_THERE: [&str; 2] = ["listBackups", "listBuckets"];
/// A command that may be called and lacks a parameter says so.
const LACKS_A_PARAMETER: i64 = 431;

/// Calls each command of the reading role once and prints what it may not.
///
/// # Errors
/// Where the management server cannot be asked at all.
pub fn check_live(config: &Config) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let servers = servers(config)?;
        let service = service(config, servers, &Clock::system());
        let mut refused = Vec::new();
        for command in READS.into_iter().chain(READS_IF_THERE) {
            let page = [("page", "1"), ("pagesize", "1")];
            let answer = service.call(command, &page).await?;
            let error = answer.error.filter(|e| e.code != LACKS_A_PARAMETER);
            let Some(error) = error else { continue };
            println!("{command}: {} {}", error.code, error.text);
            if READS_IF_THERE.contains(&command) {
                println!("{command}: not swept; allow it where the cloud has such things");
            } else {
                refused.push(command);
            }
        }
        if !refused.is_empty() {
            bail!(
                "the reading role may not call {}; allow them",
                refused.join(", ")
            );
        }
        println!("the reading role may call all {} commands", READS.len());
        let rules = rules(config).map_err(|faults| as_error(&faults))?;
        super::samples::check(&service, &rules, clock(config)?.billing()).await?;
        keys_or_observed(config, &service).await
    })
}

/// Without customers' secret keys nothing can be verified, so nothing may be enforced: anybody who
/// has read an API key in a log could freeze its owner's money.
async fn keys_or_observed(config: &Config, service: &Service) -> anyhow::Result<ExitCode> {
    let users = service.call("listUsers", &[("listall", "true")]).await?;
    let mut ids = users.node.children.iter();
    let id = ids.find_map(|user| user.text_of("id")).unwrap_or_default();
    let keys = service.call("getUserKeys", &[("id", id)]).await?;
    if keys.error.is_none() && keys.node.child("userkeys").is_some() {
        println!("the reading role may read keys");
        return Ok(ExitCode::SUCCESS);
    }
    let rules = rules(config).map_err(|faults| as_error(&faults))?;
    if rules.modes.of_unknown() != Mode::Observe {
        bail!(
            "the reading role may not read keys, so nothing can be enforced: allow getUserKeys, \
             or observe the whole platform with a [[mode]]"
        );
    }
    println!("the reading role may not read keys: this deployment only observes");
    Ok(ExitCode::SUCCESS)
}
