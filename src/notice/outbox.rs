//! Edge: what waits to be delivered, taken in turn, and what became of it, kept. Start reading
//! here.
//!
//! At least once: a notice that was sent and could not be marked is sent again, under the same id.

use super::mail::Mail;
use super::text::{Delivery, DeliveryStatus, after_try};
use super::webhook::Webhooks;
use crate::clock::Clock;
use crate::crash::{self, Point};
use crate::store::{LadderChange, Store, StoreError, Work};
use std::time::Duration;
use tokio::sync::watch;

/// How often the outbox is looked at, wall time.
const TICK: Duration = Duration::from_millis(500);
/// Deliveries that are tried at once.
const AT_ONCE: u32 = 16;

/// Delivers notices.
#[derive(Debug)]
pub struct Outbox {
    store: Store,
    clock: Clock,
    mail: Option<Mail>,
    webhooks: Option<Webhooks>,
}

impl Outbox {
    /// The outbox of this store; what has no way to go waits, and says so.
    #[must_use]
    pub const fn new(
        store: Store,
        clock: Clock,
        mail: Option<Mail>,
        webhooks: Option<Webhooks>,
    ) -> Self {
        Self {
            store,
            clock,
            mail,
            webhooks,
        }
    }

    /// Delivers until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                _ = stop.changed() => return,
            }
            // Where several nodes share the books, one of them delivers for all.
            if self.store.keeps()
                && let Err(fault) = self.deliver().await
            {
                tracing::error!(verb = "tell", %fault, "notices could not be delivered");
            }
        }
    }

    async fn deliver(&self) -> Result<(), StoreError> {
        let due = self
            .store
            .deliveries_due(self.clock.wall(), AT_ONCE)
            .await?;
        let tries = due.iter().map(|delivery| self.send(delivery));
        let outcomes = futures_util::future::join_all(tries).await;
        if !due.is_empty() {
            crash::pass(Point::Telling);
        }
        let wall = self.clock.wall();
        let marked: Vec<Delivery> = due
            .iter()
            .zip(outcomes)
            .map(|(delivery, outcome)| after_try(delivery, outcome, wall))
            .collect();
        if marked.is_empty() {
            return Ok(());
        }
        marked.iter().for_each(log);
        let ladder = marked.into_iter().map(LadderChange::Delivered).collect();
        let work = Work {
            ladder,
            ..Work::default()
        };
        self.store.submit(work).await.map(drop)
    }

    async fn send(&self, delivery: &Delivery) -> Result<(), String> {
        match (delivery.channel.as_str(), &self.mail, &self.webhooks) {
            ("mail", Some(mail), _) => mail.send(delivery).await,
            ("webhook", _, Some(hooks)) => hooks.send(delivery, self.clock.wall()).await,
            ("mail", None, _) => Err("no mail server: write [notices] smtp_url".to_owned()),
            _ => Err("nothing to sign with: write [notices] webhook_secret_file".to_owned()),
        }
    }
}

fn log(delivery: &Delivery) {
    let Delivery {
        id, payer, step, ..
    } = delivery;
    let (channel, why) = (delivery.channel.as_str(), delivery.note.as_str());
    match delivery.status {
        DeliveryStatus::Sent => {
            tracing::info!(verb = "tell", %id, %payer, step, channel, "a notice was delivered");
        }
        DeliveryStatus::Waiting => {
            tracing::warn!(verb = "tell", %id, %payer, step, channel, why, "a notice waits");
        }
        DeliveryStatus::Failed => {
            tracing::error!(verb = "tell", %id, %payer, step, channel, why, "a notice is given up");
        }
    }
}
