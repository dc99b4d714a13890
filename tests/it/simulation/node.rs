//! Edge: one life of the gate: the product's own parts, wired as `process/wiring.rs` wires them,
//! and taken up as `process/serve.rs` takes up what the last process left.

use super::mutation::Mutation;
use super::world::{Life, World};
use super::{upstream, writer};
use arc_swap::ArcSwap;
use faregate::cloudstack::command::CommandTable;
use faregate::config::vault::Vault;
use faregate::counters::Counters;
use faregate::cover::line::Renewals;
use faregate::gate::accept::caps::{Bounds, Caps};
use faregate::gate::ask::Asker;
use faregate::gate::away::Away;
use faregate::gate::balance::Balances;
use faregate::gate::keys::Keys;
use faregate::gate::line::{Core, Gate};
use faregate::gate::pages::Pages;
use faregate::gate::resend::Resends;
use faregate::gate::session::Sessions;
use faregate::meter::follow::Follower;
use faregate::meter::line::Meter;
use faregate::meter::planned::PlannedText;
use faregate::meter::sweep::Sweep;
use faregate::process::payers;
use faregate::store::StoreError;
use faregate::upstream::directory::Directory;
use faregate::upstream::servers::{Fleet, Servers};
use faregate::upstream::service::Service;
use secrecy::SecretString;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

const QUEUE_MAX: usize = 4_096;
const YOUNG: i64 = 60_000_000;

#[derive(Debug)]
pub struct Node {
    pub life: Arc<Life>,
    pub core: Arc<Core>,
    pub sweep: Arc<Sweep>,
    pub renewals: Arc<Renewals>,
}

/// Starts a gate; none where it died while it started, or the store was away.
pub async fn start(world: &Arc<World>) -> Option<Arc<Node>> {
    let (store, works) = world.books.open();
    let number = {
        let mut state = world.state();
        state.lives += 1;
        state.lives
    };
    let life = Life::new(number, works.reach.clone());
    world.note(format!("gate {number} starts"));
    tokio::spawn(writer::run(world.clone(), life.clone(), works));
    let started = tokio::select! {
        biased;
        () = life.died() => return None,
        started = wire_up(world, &life, store) => started,
    };
    match started {
        Ok(node) => {
            world.state().node = Some(node.clone());
            Some(node)
        }
        Err(fault) => {
            world.note(format!("gate {number} does not start: {fault}"));
            world.die(&life, super::world::Point::K0);
            None
        }
    }
}

fn vault() -> Vault {
    static VAULT: OnceLock<Vault> = OnceLock::new();
    VAULT
        .get_or_init(|| {
            let name = format!("faregate-simulation-{}.key", std::process::id());
            let file = std::env::temp_dir().join(name);
            Vault::create(&file).unwrap();
            let vault = Vault::open(&file).unwrap();
            let _ = std::fs::remove_file(&file);
            vault
        })
        .clone()
}

fn table() -> Arc<CommandTable> {
    static TABLE: OnceLock<Arc<CommandTable>> = OnceLock::new();
    TABLE
        .get_or_init(|| Arc::new(CommandTable::new(&[]).unwrap()))
        .clone()
}

async fn wire_up(
    world: &Arc<World>,
    life: &Arc<Life>,
    store: faregate::store::Store,
) -> Result<Arc<Node>, StoreError> {
    let clock = world.clock.clone();
    let rules = world.base.rules.clone();
    payers::open(&store, &rules, clock.billing()).await?;
    let rules = Arc::new(ArcSwap::new(rules));
    let servers = Arc::new(Servers::within("cloud", upstream::wire(world, life)));
    let (key, secret) = world.base.reader.clone();
    let secret = SecretString::from(secret);
    let service = Arc::new(Service::of(servers.clone(), key, secret, clock.clone()));
    let directory = Arc::new(Directory::new(service.clone()));
    let (wake, woken) = mpsc::channel(QUEUE_MAX);
    let (followed, calls) = mpsc::channel(QUEUE_MAX);
    let (audit, mut notes) = mpsc::channel(QUEUE_MAX);
    let renewals = Arc::new(Renewals::new(store.clone(), rules.clone(), clock.clone()));
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
    let follower = Arc::new(follower);
    let sweep = Sweep::new(meter.clone(), store.clone(), service.clone(), clock.clone());
    let gate = Arc::new(Gate {
        clock: clock.clone(),
        store: store.clone(),
        rules,
        table: table(),
        balances: Balances::default(),
        keys: Keys::new(
            service.clone(),
            directory.clone(),
            store.clone(),
            vault(),
            clock.clone(),
        ),
        sessions: Sessions::default(),
        counters: Arc::new(Counters::new(1, None)),
        directory,
        asker: Asker::new(service),
        renewals: renewals.clone(),
        meter,
        followed,
        audit,
        pages: Pages {
            files: false,
            console: false,
        },
        away: Arc::new(Away::never()),
        resends: Arc::new(Resends::new(clock.clone())),
    });
    let take_up = take_up(world, &gate, &follower);
    take_up.await?;
    let background = renewals.clone();
    let stop = life.stop.subscribe();
    tokio::spawn(async move { background.run(woken, stop).await });
    tokio::spawn(follower.run(calls, life.stop.subscribe()));
    tokio::spawn(async move { while notes.recv().await.is_some() {} });
    let bounds = Bounds {
        connections_max: 1_000,
        connections_per_address_max: 1_000,
    };
    let core = Core {
        gate,
        fleet: Fleet::new(servers, &clock),
        caps: Caps::new(bounds),
    };
    Ok(Arc::new(Node {
        life: life.clone(),
        core: Arc::new(core),
        sweep: Arc::new(sweep),
        renewals,
    }))
}

async fn take_up(world: &World, gate: &Gate, follower: &Follower) -> Result<(), StoreError> {
    let now = gate.clock.wall();
    let open = gate.store.open_intents().await?;
    let young = open.iter().filter(|intent| now.since(intent.sent) < YOUNG);
    gate.resends.recall(young.filter_map(|intent| {
        let request = PlannedText::request_of(&intent.planned)?;
        Some((request, intent.job.clone()))
    }));
    if world.has(Mutation::ForgetsOpenIntents) {
        return Ok(());
    }
    for call in follower.unfinished().await? {
        let _ = gate.followed.send(call).await;
    }
    Ok(())
}
