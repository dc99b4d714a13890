//! Edge: the acting service account of the end ladder, and what it sent followed to its end.

use super::wiring::Product;
use crate::cover::act::{Actor, Ways};
use crate::policy::customer::RuleSet;
use crate::store::Intent;
use crate::upstream::servers::Servers;
use crate::upstream::service::Service;
use anyhow::bail;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};

/// Stops that wait to be followed.
const SENT_MAX: usize = 256;

/// The actor of a running node; none before it serves, and where there is no acting account.
#[derive(Debug, Default)]
pub struct Ladder {
    actor: Mutex<Option<Arc<Actor>>>,
}

impl Ladder {
    /// Machines that could not be stopped or started: whose, and what is the matter.
    #[must_use]
    pub fn given_up(&self) -> Vec<(String, String)> {
        let actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(actor) = actor.as_ref() else {
            return Vec::new();
        };
        let rows = actor.given_up().into_iter();
        rows.map(|((payer, _), what)| (payer.to_string(), what))
            .collect()
    }
}

/// A policy that stops machines needs somebody who may.
///
/// # Errors
/// Where there is such a policy and nobody.
pub fn check(rules: &RuleSet, has_actor: bool) -> anyhow::Result<()> {
    let stops = rules.prepaid.values().find(|profile| profile.stops);
    match stops {
        Some(profile) if !has_actor => bail!(
            "the prepaid terms `{}` stop machines, and there is no acting service account: write \
             upstream.actor_key and upstream.actor_secret_file, or stops = false",
            profile.id
        ),
        _ => Ok(()),
    }
}

/// Acts until told to stop, where there is an acting account.
pub async fn run(product: Arc<Product>, gate: std::net::SocketAddr, stop: watch::Receiver<bool>) {
    let Some(account) = product.config.upstream.actor.clone() else {
        return;
    };
    let way = |servers: Arc<Servers>| {
        let secret = account.secret.clone();
        Service::of(servers, account.key.clone(), secret, product.clock.clone())
    };
    let gate = gate.to_string();
    let (sent, mut followed) = mpsc::channel::<Intent>(SENT_MAX);
    let actor = Arc::new(Actor::new(
        product.store.clone(),
        product.rules.clone(),
        product.clock.clone(),
        product.service.clone(),
        Ways {
            stopper: way(product.servers.clone()),
            starter: way(Arc::new(Servers::new([(gate.clone(), gate)]))),
        },
        sent,
    ));
    let kept = Some(actor.clone());
    *product
        .ladder
        .actor
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = kept;
    let follows = product.clone();
    tokio::spawn(async move {
        while let Some(intent) = followed.recv().await {
            let call = follows.follower.taken_up(&intent);
            let _ = follows.gate.followed.send(call).await;
        }
    });
    let halted = {
        let renewals = product.renewals.clone();
        move || renewals.halted()
    };
    actor.run(halted, stop).await;
}
