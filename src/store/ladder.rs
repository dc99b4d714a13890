//! Edge: the end ladder's rows: episodes, actions, and the notices that wait to be delivered.

use super::Store;
use super::database::{Row, query};
use super::error::StoreError;
use super::from_row::Fields;
use super::group::Group;
use super::sql::{Sql, cell, put, replace};
use super::work::Work;
use crate::cover::episode::{Action, ActionStatus, ActionStep, Episode};
use crate::notice::text::{Delivery, DeliveryStatus};
use crate::terms::ids::{JobId, PayerId, ResourceId};
use crate::terms::money::Micros;
use crate::terms::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Read<T> = Result<T, StoreError>;

/// A change of the ladder's rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LadderChange {
    /// An episode, new or as it is now.
    Episode(Episode),
    /// An action, new or as it is now.
    Action(Action),
    /// A notice to deliver; one that is there already stays as it is.
    Deliver(Delivery),
    /// What became of a delivery.
    Delivered(Delivery),
}

const PUT_EPISODES: Sql = put!("episode" (
    0 payer text, 1 name text, 2 stopping number, 3 stopped number, 4 ended number
) replace!("payer, name": stopping stopped ended));
const PUT_ACTIONS: Sql = put!("ladder_action" (
    0 id text, 1 payer text, 2 episode text, 3 step text, 4 resource text, 5 name text,
    6 per_hour number, 7 status text, 8 tries number, 9 job text, 10 since number, 11 at number,
    12 note text
) replace!("id": status tries job at note));

/// The columns of a delivery, and what becomes of one that is known.
macro_rules! put_outbox {
    ($known:expr) => {
        put!("outbox" (
            0 id text, 1 payer text, 2 episode text, 3 step text, 4 channel text, 5 target text,
            6 subject text, 7 body text, 8 status text, 9 tries number, 10 since number,
            11 at number, 12 note text
        ) $known)
    };
}
const PUT_OUTBOX: Sql = put_outbox!("ON CONFLICT DO NOTHING");
const CHANGE_OUTBOX: Sql = put_outbox!(replace!("id": status tries at note));

impl Group<'_> {
    /// Writes the ladder's rows of works that passed; the last form of a row wins.
    pub(super) async fn save_ladder(&mut self, works: &[&Work]) -> Read<()> {
        let mut episodes = BTreeMap::new();
        let mut actions = BTreeMap::new();
        let mut new = BTreeMap::new();
        let mut changed = BTreeMap::new();
        for change in works.iter().flat_map(|work| &work.ladder) {
            let _ = match change {
                LadderChange::Episode(it) => {
                    let key = (it.payer.clone(), it.name.clone());
                    episodes.insert(key, episode_row(it))
                }
                LadderChange::Action(it) => actions.insert(it.id(), action_row(it)),
                LadderChange::Deliver(it) => new.insert(it.id.clone(), delivery_row(it)),
                LadderChange::Delivered(it) => changed.insert(it.id.clone(), delivery_row(it)),
            };
        }
        self.bulk(PUT_EPISODES, episodes.into_values().collect())
            .await?;
        self.bulk(PUT_ACTIONS, actions.into_values().collect())
            .await?;
        self.bulk(PUT_OUTBOX, new.into_values().collect()).await?;
        self.bulk(CHANGE_OUTBOX, changed.into_values().collect())
            .await
    }
}

/// The same rows in memory.
#[derive(Clone, Debug, Default)]
pub struct LadderRows {
    /// Episodes, by payer and name.
    pub episodes: BTreeMap<(PayerId, String), Episode>,
    /// Actions, by id.
    pub actions: BTreeMap<String, Action>,
    /// Deliveries, by id.
    pub outbox: BTreeMap<String, Delivery>,
}

impl LadderRows {
    pub(super) fn apply(&mut self, change: &LadderChange) {
        match change {
            LadderChange::Episode(it) => {
                let key = (it.payer.clone(), it.name.clone());
                self.episodes.insert(key, it.clone());
            }
            LadderChange::Action(it) => {
                self.actions.insert(it.id(), it.clone());
            }
            LadderChange::Deliver(it) => {
                let known = self.outbox.entry(it.id.clone());
                known.or_insert_with(|| it.clone());
            }
            LadderChange::Delivered(it) => {
                self.outbox.insert(it.id.clone(), it.clone());
            }
        }
    }

    fn episodes(&self, payer: Option<&PayerId>, open_alone: bool) -> Vec<Episode> {
        let all = self.episodes.values();
        all.filter(|one| Episode::cap_of(&one.name).is_none())
            .filter(|one| payer.is_none_or(|payer| one.payer == *payer))
            .filter(|one| !open_alone || one.ended.is_none())
            .cloned()
            .collect()
    }

    fn open_of_caps(&self) -> Vec<Episode> {
        let all = self.episodes.values().filter(|one| one.ended.is_none());
        all.filter(|one| Episode::cap_of(&one.name).is_some())
            .cloned()
            .collect()
    }

    fn actions(&self, wanted: impl Fn(&Action) -> bool) -> Vec<Action> {
        let mut found: Vec<Action> = self
            .actions
            .values()
            .filter(|one| wanted(one))
            .cloned()
            .collect();
        found.sort_by_key(|one| (one.payer.clone(), one.since, one.id()));
        found
    }

    fn outbox(&self, wanted: impl Fn(&Delivery) -> bool, rows: u32) -> Vec<Delivery> {
        let mut found: Vec<Delivery> = self
            .outbox
            .values()
            .filter(|one| wanted(one))
            .cloned()
            .collect();
        found.sort_by_key(|one| (std::cmp::Reverse(one.since), one.id.clone()));
        found.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
        found
    }
}

impl Store {
    /// The episode of a payer's money that has not ended; the newest where there are several.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_episode(&self, payer: &PayerId) -> Read<Option<Episode>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| rows.ladder.episodes(Some(payer), true).pop())
                .await;
        }
        let text = "SELECT * FROM episode WHERE payer = $1 AND ended IS NULL \
                    AND name NOT LIKE 'cap/%' ORDER BY name DESC LIMIT 1";
        self.one(query(text).bind(payer.to_string()), episode).await
    }

    /// Every episode of a payer's money that has not ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_episodes(&self) -> Read<Vec<Episode>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.ladder.episodes(None, true)).await;
        }
        let text = "SELECT * FROM episode WHERE ended IS NULL AND name NOT LIKE 'cap/%' \
                    ORDER BY payer, name";
        self.all(query(text), episode).await
    }

    /// Every episode of a cap that has not ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_cap_episodes(&self) -> Read<Vec<Episode>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.ladder.open_of_caps()).await;
        }
        let text = "SELECT * FROM episode WHERE ended IS NULL AND name LIKE 'cap/%' \
                    ORDER BY payer, name";
        self.all(query(text), episode).await
    }

    /// A payer's newest episodes of caps, open or ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cap_episodes(&self, payer: &PayerId, limit: u32) -> Read<Vec<Episode>> {
        let text = "SELECT * FROM episode WHERE payer = $1 AND name LIKE 'cap/%' \
                    ORDER BY stopping DESC LIMIT $2";
        let query = query(text).bind(payer.to_string()).bind(i64::from(limit));
        self.all(query, episode).await
    }

    /// The newest episodes of a payer's money, open or ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn episodes(&self, payer: &PayerId, limit: u32) -> Read<Vec<Episode>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| {
                    let mut all = rows.ladder.episodes(Some(payer), false);
                    all.reverse();
                    all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                    all
                })
                .await;
        }
        let text = "SELECT * FROM episode WHERE payer = $1 AND name NOT LIKE 'cap/%' \
                    ORDER BY name DESC LIMIT $2";
        let query = query(text).bind(payer.to_string()).bind(i64::from(limit));
        self.all(query, episode).await
    }

    /// The actions of an episode, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ladder_actions(&self, payer: &PayerId, name: &str) -> Read<Vec<Action>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| {
                    rows.ladder
                        .actions(|one| one.payer == *payer && one.episode == name)
                })
                .await;
        }
        let text = "SELECT * FROM ladder_action WHERE payer = $1 AND episode = $2 \
                    ORDER BY since, id";
        let query = query(text).bind(payer.to_string()).bind(name.to_owned());
        self.all(query, action).await
    }

    /// Actions of which something may still become, whoever's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_ladder_actions(&self) -> Read<Vec<Action>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| rows.ladder.actions(|one| !one.status.is_final()))
                .await;
        }
        let text = "SELECT * FROM ladder_action WHERE status NOT IN ('done', 'cancelled') \
                    ORDER BY payer, since, id";
        self.all(query(text), action).await
    }

    /// Deliveries that are due at an instant (wall time), those that wait longest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn deliveries_due(&self, wall: Timestamp, limit: u32) -> Read<Vec<Delivery>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| {
                    let due =
                        |one: &Delivery| one.status == DeliveryStatus::Waiting && one.at <= wall;
                    rows.ladder.outbox(due, limit)
                })
                .await;
        }
        let text = "SELECT * FROM outbox WHERE status = 'waiting' AND at <= $1 \
                    ORDER BY at, id LIMIT $2";
        let query = query(text).bind(wall.micros()).bind(i64::from(limit));
        self.all(query, delivery).await
    }

    /// The newest deliveries, of one payer or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn deliveries(&self, payer: &PayerId, limit: u32) -> Read<Vec<Delivery>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| rows.ladder.outbox(|one| one.payer == *payer, limit))
                .await;
        }
        let text = "SELECT * FROM outbox WHERE payer = $1 ORDER BY since DESC, id LIMIT $2";
        let query = query(text).bind(payer.to_string()).bind(i64::from(limit));
        self.all(query, delivery).await
    }

    /// Deliveries that nobody tries any more, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn undelivered(&self, since: Timestamp, limit: u32) -> Read<Vec<Delivery>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| {
                    let lost =
                        |one: &Delivery| one.status == DeliveryStatus::Failed && one.since >= since;
                    rows.ladder.outbox(lost, limit)
                })
                .await;
        }
        let text = "SELECT * FROM outbox WHERE status = 'failed' AND since >= $1 \
                    ORDER BY since DESC, id LIMIT $2";
        let query = query(text).bind(since.micros()).bind(i64::from(limit));
        self.all(query, delivery).await
    }
}

fn episode_row(it: &Episode) -> Value {
    let micros = |at: Option<Timestamp>| at.map(|at| at.micros());
    json!([
        it.payer.as_str(),
        it.name,
        micros(it.stopping),
        micros(it.stopped),
        micros(it.ended),
    ])
}

fn episode(row: &Row) -> Read<Episode> {
    let f = Fields(row);
    let at = |name: &str| -> Read<Option<Timestamp>> {
        Ok(f.maybe_number(name)?.map(Timestamp::from_micros))
    };
    Ok(Episode {
        payer: PayerId::from(f.text("payer")?),
        name: f.text("name")?,
        stopping: at("stopping")?,
        stopped: at("stopped")?,
        ended: at("ended")?,
    })
}

fn action_row(it: &Action) -> Value {
    json!([
        it.id(),
        it.payer.as_str(),
        it.episode,
        it.step.name(),
        it.resource.as_str(),
        it.name,
        it.per_hour.get(),
        it.status.name(),
        it.tries,
        it.job.as_str(),
        it.since.micros(),
        it.at.micros(),
        it.note,
    ])
}

fn action(row: &Row) -> Read<Action> {
    let f = Fields(row);
    let (step, status) = (f.text("step")?, f.text("status")?);
    let known_step = ActionStep::ALL.into_iter().find(|one| one.name() == step);
    let known = ActionStatus::ALL
        .into_iter()
        .find(|one| one.name() == status);
    Ok(Action {
        payer: PayerId::from(f.text("payer")?),
        episode: f.text("episode")?,
        step: known_step.ok_or_else(|| StoreError::row("step", &step))?,
        resource: ResourceId::from(f.text("resource")?),
        name: f.text("name")?,
        per_hour: Micros::new(f.number("per_hour")?),
        status: known.ok_or_else(|| StoreError::row("status", &status))?,
        tries: f.number("tries")?,
        job: JobId::from(f.text("job")?),
        since: Timestamp::from_micros(f.number("since")?),
        at: Timestamp::from_micros(f.number("at")?),
        note: f.text("note")?,
    })
}

fn delivery_row(it: &Delivery) -> Value {
    json!([
        it.id,
        it.payer.as_str(),
        it.episode,
        it.step,
        it.channel,
        it.target,
        it.subject,
        it.body,
        it.status.name(),
        it.tries,
        it.since.micros(),
        it.at.micros(),
        it.note,
    ])
}

fn delivery(row: &Row) -> Read<Delivery> {
    let f = Fields(row);
    let status = f.text("status")?;
    let known = DeliveryStatus::ALL
        .into_iter()
        .find(|one| one.name() == status);
    Ok(Delivery {
        id: f.text("id")?,
        payer: PayerId::from(f.text("payer")?),
        episode: f.text("episode")?,
        step: f.text("step")?,
        channel: f.text("channel")?,
        target: f.text("target")?,
        subject: f.text("subject")?,
        body: f.text("body")?,
        status: known.ok_or_else(|| StoreError::row("status", &status))?,
        tries: f.number("tries")?,
        since: Timestamp::from_micros(f.number("since")?),
        at: Timestamp::from_micros(f.number("at")?),
        note: f.text("note")?,
    })
}
