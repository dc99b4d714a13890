//! Edge: the forms of the books: what a release wrote, and the way back to it.
//!
//! A newer program brings the books forward as it opens them. The way back is a command of its
//! own, run while no node serves: each step back is one transaction, so that whoever is killed in
//! the middle leaves a form that the newer program brings forward again.

use super::error::StoreError;
use super::{Place, open, postgres};
use crate::store::postgres::Schema;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use std::path::Path;

/// The way back of each step of the ledger but the first, by SQLite and by PostgreSQL.
const LEDGER_BACK: [(&str, &str); open::LEDGER_STEPS.len() - 1] = [
    (
        include_str!("../../migrations/sqlite/ledger/back/0002_caps.sql"),
        include_str!("../../migrations/postgres/ledger/back/0002_caps.sql"),
    ),
    (
        include_str!("../../migrations/sqlite/ledger/back/0003_ladder.sql"),
        include_str!("../../migrations/postgres/ledger/back/0003_ladder.sql"),
    ),
    (
        include_str!("../../migrations/sqlite/ledger/back/0004_grants.sql"),
        include_str!("../../migrations/postgres/ledger/back/0004_grants.sql"),
    ),
    (
        include_str!("../../migrations/sqlite/ledger/back/0005_bundles.sql"),
        include_str!("../../migrations/postgres/ledger/back/0005_bundles.sql"),
    ),
    (
        include_str!("../../migrations/sqlite/ledger/back/0006_commitments.sql"),
        include_str!("../../migrations/postgres/ledger/back/0006_commitments.sql"),
    ),
];
/// The same of the facts.
const FACTS_BACK: [(&str, &str); open::FACTS_STEPS.len() - 1] = [(
    include_str!("../../migrations/sqlite/facts/back/0002_price_of_judged_calls.sql"),
    include_str!("../../migrations/postgres/facts/back/0002_price_of_judged_calls.sql"),
)];

/// The number of the last step of the ledger, and of the facts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form {
    /// Of the ledger.
    pub ledger: usize,
    /// Of the facts.
    pub facts: usize,
}

/// What a release wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Release {
    /// Its name.
    pub name: &'static str,
    /// Its form of the books.
    pub form: Form,
}

/// Releases before this one, oldest first.
pub const RELEASES: [Release; 2] = [
    Release {
        name: "first-fare",
        form: Form {
            ledger: 1,
            facts: 1,
        },
    },
    Release {
        name: "gate-holds",
        form: Form {
            ledger: 1,
            facts: 2,
        },
    },
];

/// The form that this program writes.
pub const NEWEST: Form = Form {
    ledger: open::LEDGER_STEPS.len(),
    facts: open::FACTS_STEPS.len(),
};

/// The form of the books where they lie; nothing is changed.
///
/// # Errors
/// [`StoreError`] where they cannot be read.
pub async fn form(place: &Place) -> Result<Form, StoreError> {
    Ok(Form {
        ledger: One::Ledger.at(place).await?,
        facts: One::Facts.at(place).await?,
    })
}

/// Takes the books back to an older form, the newest step first; tells each that was undone. No
/// node may serve them.
///
/// # Errors
/// [`StoreError`]; the steps that were told are undone then, and no others.
pub async fn back(
    place: &Place,
    to: Form,
    tell: &mut dyn FnMut(&str, usize),
) -> Result<(), StoreError> {
    for (one, to) in [(One::Ledger, to.ledger), (One::Facts, to.facts)] {
        let mut at = one.at(place).await?;
        while at > to.max(1) {
            one.undo(place, at).await?;
            tell(one.name(), at);
            at -= 1;
        }
    }
    Ok(())
}

/// One of the two.
#[derive(Clone, Copy)]
enum One {
    Ledger,
    Facts,
}

impl One {
    const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Facts => "facts",
        }
    }

    const fn file(self) -> &'static str {
        match self {
            Self::Ledger => open::LEDGER,
            Self::Facts => open::FACTS,
        }
    }

    const fn schema(self) -> Schema {
        match self {
            Self::Ledger => Schema::Ledger,
            Self::Facts => Schema::Facts,
        }
    }

    /// Its way back from a step, by SQLite and by PostgreSQL.
    fn back(self, step: usize) -> Result<(&'static str, &'static str), StoreError> {
        let all: &[(&str, &str)] = match self {
            Self::Ledger => &LEDGER_BACK,
            Self::Facts => &FACTS_BACK,
        };
        let way = step.checked_sub(2).and_then(|index| all.get(index));
        way.copied().ok_or_else(|| {
            let (name, known) = (self.name(), all.len() + 1);
            StoreError::Corrupt(format!(
                "the {name} has form {step}, this program knows {known}: go back with the newer one"
            ))
        })
    }

    async fn at(self, place: &Place) -> Result<usize, StoreError> {
        let at = match place {
            Place::Folder(folder) => self.at_in_file(folder).await?,
            Place::Postgres { url, .. } => {
                let fault = |error: sqlx::Error| StoreError::of(postgres::NAME, &error);
                let options = postgres::options(url, "forms", self.schema())?;
                let mut connection = options.connect().await.map_err(fault)?;
                let at = sqlx::query("SELECT coalesce(max(step), 0) FROM form");
                let row = at.fetch_one(&mut connection).await.map_err(fault)?;
                row.try_get(0).map_err(fault)?
            }
        };
        Ok(usize::try_from(at).unwrap_or(0))
    }

    async fn at_in_file(self, folder: &Path) -> Result<i64, StoreError> {
        let fault = |error: sqlx::Error| StoreError::of(self.file(), &error);
        let options = open::options(&folder.join(self.file()), true).create_if_missing(false);
        let mut connection = options.connect().await.map_err(fault)?;
        let row = sqlx::query("PRAGMA user_version")
            .fetch_one(&mut connection)
            .await
            .map_err(fault)?;
        let at = row.try_get(0).map_err(fault)?;
        connection.close().await.map_err(fault)?;
        Ok(at)
    }

    /// Undoes the last step, with its number, in one transaction.
    async fn undo(self, place: &Place, step: usize) -> Result<(), StoreError> {
        let (sqlite, postgres) = self.back(step)?;
        let before = step - 1;
        // The texts are ours: a way back that is built in, and its number.
        match place {
            Place::Folder(folder) => {
                let fault = |error: sqlx::Error| StoreError::of(self.file(), &error);
                let options = open::options(&folder.join(self.file()), true);
                let mut connection = options.connect().await.map_err(fault)?;
                let text =
                    format!("BEGIN IMMEDIATE;\n{sqlite}\nPRAGMA user_version = {before};\nCOMMIT;");
                let undo = sqlx::raw_sql(sqlx::AssertSqlSafe(text));
                undo.execute(&mut connection).await.map_err(fault)?;
                connection.close().await.map_err(fault)
            }
            Place::Postgres { url, .. } => {
                let fault = |error: sqlx::Error| StoreError::of(postgres::NAME, &error);
                let options = postgres::options(url, "forms", self.schema())?;
                let mut connection = options.connect().await.map_err(fault)?;
                let text =
                    format!("BEGIN;\n{postgres}\nDELETE FROM form WHERE step = {step};\nCOMMIT;");
                let undo = sqlx::raw_sql(sqlx::AssertSqlSafe(text));
                undo.execute(&mut connection).await.map_err(fault)?;
                connection.close().await.map_err(fault)
            }
        }
    }
}
