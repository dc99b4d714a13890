//! Edge: the ledger's one writer. Works wait in a bounded queue; it takes what waits, up to a
//! group, and one sync serves them all. A caller that hangs up does not undo his work.

use super::database::Connection;
use super::error::StoreError;
use super::group::{self, Fence, Ground};
use super::open::Access;
use super::work::Work;
use crate::terms::limits::{HOLD_GROUP_MAX, LEDGER_QUEUE_MAX};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{mpsc, oneshot, watch};

type Answer = group::Outcome;

/// A work and where its answer goes.
pub(super) struct Job {
    work: Box<Work>,
    /// How often another node had its payer.
    postponed: u8,
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
        connection: Connection,
        access: Access,
        file: String,
        fence: Option<Fence>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(LEDGER_QUEUE_MAX);
        let writer = Writer {
            connection,
            access,
            file,
            fence,
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

    /// Turns true when the writer has ended.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.clone()
    }

    /// Hands the work over and waits for its outcome.
    pub(super) async fn submit(&self, work: Work) -> Answer {
        let (answer, outcome) = oneshot::channel();
        let work = Box::new(work);
        self.hand_in(Job {
            work,
            postponed: 0,
            answer,
        })?;
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
    connection: Connection,
    access: Access,
    file: String,
    fence: Option<Fence>,
}

/// A work that another node's groups kept out so often waits for its locks.
const POSTPONED_MAX: u8 = 3;

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let (due, checkpoints) = mpsc::channel(1);
        if let Access::Sqlite(options) = &self.access {
            tokio::spawn(checkpoint(options.clone(), checkpoints));
        }
        let mut jobs = Vec::with_capacity(HOLD_GROUP_MAX);
        let mut left: VecDeque<Job> = VecDeque::new();
        let mut commits: u32 = 0;
        loop {
            if left.is_empty() {
                if queue.recv_many(&mut jobs, HOLD_GROUP_MAX).await == 0 {
                    break;
                }
            } else {
                // What was left comes first; what waits meanwhile fills the group up.
                jobs.extend(left.drain(..));
                while jobs.len() < HOLD_GROUP_MAX
                    && let Ok(job) = queue.try_recv()
                {
                    jobs.push(job);
                }
            }
            left.extend(self.answer(&mut jobs).await);
            commits = commits.wrapping_add(1);
            if commits.is_multiple_of(CHECKPOINT_EVERY) {
                // Where one is still running, the next one does it.
                let _ = due.try_send(());
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "ledger: the connection was not closed cleanly");
        }
    }

    /// Does the jobs and answers them; gives back those that another node kept out.
    async fn answer(&mut self, jobs: &mut Vec<Job>) -> Vec<Job> {
        let late = |job: &Job| job.postponed >= POSTPONED_MAX;
        let (waiting, jobs): (Vec<Job>, Vec<Job>) = jobs.drain(..).partition(late);
        let mut left = Vec::new();
        for (jobs, wait) in [(waiting, true), (jobs, false)] {
            if jobs.is_empty() {
                continue;
            }
            let works: Vec<&Work> = jobs.iter().map(|job| &*job.work).collect();
            let answers = self.serve(&works, wait).await;
            for (mut job, answer) in jobs.into_iter().zip(answers) {
                match answer {
                    // A caller that hung up needs no answer; the work is done all the same.
                    Some(answer) => drop(job.answer.send(answer)),
                    None => {
                        job.postponed += 1;
                        left.push(job);
                    }
                }
            }
        }
        left
    }

    async fn group(
        &mut self,
        works: &[&Work],
        wait: bool,
    ) -> Result<Vec<Option<Answer>>, StoreError> {
        let ground = Ground {
            connection: &mut self.connection,
            file: &self.file,
            fence: self.fence.as_ref(),
        };
        group::run(ground, works, wait).await
    }

    async fn serve(&mut self, works: &[&Work], wait: bool) -> Vec<Option<Answer>> {
        let fault = match self.group(works, wait).await {
            Ok(outcomes) => return outcomes,
            Err(fault) => fault,
        };
        end_if_unsynced(&fault);
        tracing::error!(%fault, works = works.len(), "ledger: a group was not written");
        let alone = matches!(fault, StoreError::Lost(_)) && works.len() > 1;
        let connected = self.reopen(&fault).await;
        if !alone || !connected {
            return works.iter().map(|_| Some(Err(fault.clone()))).collect();
        }
        // One work that cannot be written must not spoil the others: each on its own.
        let mut answers = Vec::with_capacity(works.len());
        for work in works {
            let one = self.group(&[*work], true).await;
            if let Err(fault) = &one {
                end_if_unsynced(fault);
            }
            let one = one.and_then(|mut all| match all.pop().flatten() {
                Some(outcome) => outcome,
                None => Err(fault.clone()),
            });
            answers.push(Some(one));
        }
        answers
    }

    /// After a fault that says nothing of the connection's state, a fresh one is taken. False
    /// where there is none to be had.
    async fn reopen(&mut self, fault: &StoreError) -> bool {
        if !matches!(fault, StoreError::Lost(_) | StoreError::Corrupt(_)) {
            return true;
        }
        match self.access.connect().await {
            Ok(fresh) => {
                self.connection = fresh;
                true
            }
            Err(error) => {
                tracing::error!(%error, "ledger: the store cannot be reached");
                false
            }
        }
    }
}

/// After a sync that failed nobody knows what the disk has, and a second sync would say that all
/// is well: the process ends before anything is acknowledged, and its next start reads what is
/// there.
fn end_if_unsynced(fault: &StoreError) {
    if matches!(fault, StoreError::Unsynced(_)) {
        tracing::error!(%fault, "ledger: the process ends");
        std::process::abort();
    }
}

/// Checkpoints passively, on a connection of its own, so that no group waits for one.
async fn checkpoint(options: SqliteConnectOptions, mut due: mpsc::Receiver<()>) {
    let Ok(mut connection) = options.connect().await else {
        return;
    };
    while due.recv().await.is_some() {
        let done = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut connection);
        if let Err(error) = done.await {
            end_if_unsynced(&StoreError::of(super::open::LEDGER, &error));
            tracing::warn!(%error, "ledger: a checkpoint failed; the next one tries again");
        }
    }
}
