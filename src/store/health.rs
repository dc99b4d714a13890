//! Edge: whether the database answers, asked all the time, so that nobody waits to find out.
//!
//! PostgreSQL alone: a connection to a server that hangs waits as long as it is let. Beside SQLite
//! there is nobody else.

use super::Store;
use super::database::{Connection, query};
use super::error::StoreError;
use super::open::Access;
use std::time::Duration;
use tokio::sync::watch;

/// A question each so often; the answer has to come within so long.
const ASK_EVERY: Duration = Duration::from_millis(50);
const ANSWER_MAX: Duration = Duration::from_millis(150);
/// How long a new connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// Asks until the writer has ended; tells whether the database is away.
pub(super) async fn run(
    access: Access,
    tell: watch::Sender<bool>,
    mut ended: watch::Receiver<bool>,
) {
    let mut open: Option<Connection> = None;
    while !*ended.borrow() {
        if open.is_none() {
            let made = tokio::time::timeout(CONNECT_MAX, access.connect()).await;
            open = made.ok().and_then(Result::ok);
        }
        let answers = match &mut open {
            Some(connection) => {
                let asked = connection.fetch(query("SELECT 1"));
                matches!(tokio::time::timeout(ANSWER_MAX, asked).await, Ok(Ok(_)))
            }
            None => false,
        };
        if !answers {
            open = None;
        }
        let changed = tell.send_if_modified(|away| std::mem::replace(away, !answers) == answers);
        if changed && !answers {
            tracing::error!(
                verb = "store",
                "PostgreSQL does not answer: raising calls are refused"
            );
        } else if changed {
            tracing::info!(verb = "store", "PostgreSQL answers again");
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            _ = ended.changed() => {}
        }
    }
}

impl Store {
    /// Whether the database does not answer just now.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Sqlite(_) | Self::Memory(_) => false,
            Self::Postgres(books, _) => books.away.as_ref().is_some_and(|away| *away.borrow()),
        }
    }

    /// What the work comes to, or that the database went away meanwhile: then the work is given
    /// up where it stands, and what it had handed to the writer may be done all the same.
    ///
    /// # Errors
    /// [`StoreError::Lost`] where the database is away.
    pub async fn while_here<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let Self::Postgres(books, _) = self else {
            return Ok(work.await);
        };
        let Some(mut away) = books.away.clone() else {
            return Ok(work.await);
        };
        tokio::select! {
            biased;
            Ok(_) = away.wait_for(|away| *away) => {
                Err(StoreError::Lost("PostgreSQL does not answer".to_owned()))
            }
            done = work => Ok(done),
        }
    }
}
