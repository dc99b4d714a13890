//! Edge: the ledger's one writer. Works wait in a bounded queue; it takes what waits, up to a
//! group, and one sync serves them all. A caller that hangs up does not undo his work.

use super::error::StoreError;
use super::group::{self, Outcome};
use super::work::{Done, Work};
use crate::terms::limits::{HOLD_GROUP_MAX, LEDGER_QUEUE_MAX};
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{mpsc, oneshot, watch};

type Answer = Result<Done, StoreError>;

/// A work and where its answer goes.
pub(super) struct Job {
    work: Box<Work>,
    answer: oneshot::Sender<Answer>,
}

/// The way to the writer; it may be used from any runtime.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    /// None once the books are closed.
    sender: Arc<RwLock<Option<mpsc::Sender<Job>>>>,
    ended: watch::Receiver<bool>,
}

/// Commits between two checkpoints.
const CHECKPOINT_EVERY: u32 = 256;

impl Queue {
    /// Starts the writer on the current runtime.
    pub(super) fn start(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        file: String,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(LEDGER_QUEUE_MAX);
        let writer = Writer {
            connection,
            options,
            file,
        };
        let (end, ended) = watch::channel(false);
        tokio::spawn(async move {
            writer.run(receiver).await;
            let _ = end.send(true);
        });
        Self {
            sender: Arc::new(RwLock::new(Some(sender))),
            ended,
        }
    }

    /// Takes no more work, and waits until what was taken is written and the file is closed.
    pub(super) async fn close(&self) {
        let sender = self
            .sender
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(sender);
        let mut ended = self.ended.clone();
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Hands the work over and waits for its outcome.
    pub(super) async fn submit(&self, work: Work) -> Answer {
        let (answer, outcome) = oneshot::channel();
        let work = Box::new(work);
        self.hand_in(Job { work, answer })?;
        outcome.await.unwrap_or_else(|_| {
            let text = "the ledger's writer stopped before it answered";
            Err(StoreError::Lost(text.to_owned()))
        })
    }

    fn hand_in(&self, job: Job) -> Result<(), StoreError> {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let closed = || StoreError::Lost("the books are closed: the node is ending".to_owned());
        sender
            .as_ref()
            .ok_or_else(closed)?
            .try_send(job)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Busy,
                mpsc::error::TrySendError::Closed(_) => {
                    StoreError::Lost("the ledger's writer has stopped".to_owned())
                }
            })
    }
}

struct Writer {
    connection: SqliteConnection,
    options: SqliteConnectOptions,
    file: String,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let (due, checkpoints) = mpsc::channel(1);
        tokio::spawn(checkpoint(self.options.clone(), checkpoints));
        let mut jobs = Vec::with_capacity(HOLD_GROUP_MAX);
        let mut commits: u32 = 0;
        while queue.recv_many(&mut jobs, HOLD_GROUP_MAX).await > 0 {
            let works: Vec<&Work> = jobs.iter().map(|job| &*job.work).collect();
            let answers = self.serve(&works).await;
            for (job, answer) in jobs.drain(..).zip(answers) {
                // A caller that hung up needs no answer; the work is done all the same.
                let _ = job.answer.send(answer);
            }
            commits = commits.wrapping_add(1);
            if commits.is_multiple_of(CHECKPOINT_EVERY) {
                // Where one is still running, the next one does it.
                let _ = due.try_send(());
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "ledger: the file was not closed cleanly");
        }
    }

    async fn serve(&mut self, works: &[&Work]) -> Vec<Answer> {
        let fault = match group::run(&mut self.connection, &self.file, works).await {
            Ok(outcomes) => return outcomes.into_iter().map(told).collect(),
            Err(fault) => fault,
        };
        tracing::error!(%fault, works = works.len(), "ledger: a group was not written");
        let alone = matches!(fault, StoreError::Lost(_)) && works.len() > 1;
        if !alone {
            self.reopen(&fault).await;
            return works.iter().map(|_| Err(fault.clone())).collect();
        }
        // One work that cannot be written must not spoil the others: each on its own.
        self.reopen(&fault).await;
        let mut answers = Vec::with_capacity(works.len());
        for work in works {
            let one = group::run(&mut self.connection, &self.file, &[*work]).await;
            answers.push(one.and_then(|mut all| all.pop().map_or(Err(fault.clone()), told)));
        }
        answers
    }

    /// After a fault that says nothing of the connection's state, a fresh one is taken.
    async fn reopen(&mut self, fault: &StoreError) {
        if matches!(fault, StoreError::Lost(_) | StoreError::Corrupt(_))
            && let Ok(fresh) = self.options.connect().await
        {
            self.connection = fresh;
        }
    }
}

fn told(outcome: Outcome) -> Answer {
    outcome.map_err(StoreError::Refused)
}

/// Checkpoints passively, on a connection of its own, so that no group waits for one.
async fn checkpoint(options: SqliteConnectOptions, mut due: mpsc::Receiver<()>) {
    let Ok(mut connection) = options.connect().await else {
        return;
    };
    while due.recv().await.is_some() {
        let done = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut connection);
        if let Err(error) = done.await {
            tracing::warn!(%error, "ledger: a checkpoint failed; the next one tries again");
        }
    }
}
