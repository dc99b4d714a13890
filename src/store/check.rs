//! Edge: reads the whole ledger and says what in it cannot be. It never holds the writer up: it
//! reads one snapshot, on a connection of its own.

use super::error::StoreError;
use super::{Store, from_row, group};
use crate::ledger::chart;
use crate::ledger::verify::{BookFault, Sums, chain};
use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteConnection;

const FILE: &str = "ledger.db";

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    /// How many transfers were read.
    pub transfers: u64,
    /// The trial balance: seller, currency, account, credit-normal millionths.
    pub balances: Vec<(String, String, String, i128)>,
    /// What cannot be.
    pub faults: Vec<BookFault>,
}

impl Store {
    /// Checks sums, purses, holds, covers, items and the chain of hashes.
    ///
    /// # Errors
    /// [`StoreError`] where the ledger cannot be read; what is wrong in it is in the answer.
    pub async fn verify(&self) -> Result<Verified, StoreError> {
        let fault = |error: sqlx::Error| StoreError::of(FILE, &error);
        let mut snapshot = self.readers()?.begin().await.map_err(fault)?;
        let (sums, mut found) = transfers(&mut snapshot).await?;
        let payers = rows(&mut snapshot, "SELECT * FROM payer", from_row::payer).await?;
        let payers = payers
            .into_iter()
            .map(|state| (state.payer.clone(), state))
            .collect();
        let open = "SELECT * FROM hold WHERE status = 'open'";
        let holds = rows(&mut snapshot, open, from_row::hold).await?;
        let open = "SELECT * FROM item WHERE open <> 0";
        let items = rows(&mut snapshot, open, from_row::item).await?;
        found.faults.extend(sums.faults(&payers, &holds, &items));
        found.balances = trial(&sums);
        Ok(found)
    }

    /// The trial balance alone.
    ///
    /// # Errors
    /// As [`Store::verify`].
    pub async fn trial_balance(&self) -> Result<Vec<(String, String, String, i128)>, StoreError> {
        Ok(self.verify().await?.balances)
    }
}

fn trial(sums: &Sums) -> Vec<(String, String, String, i128)> {
    let row = |(seller, currency, account, sum): (_, crate::terms::money::Currency, _, i128)| {
        let seller: &crate::terms::ids::SellerId = seller;
        (
            seller.to_string(),
            currency.to_string(),
            chart::print(account),
            sum,
        )
    };
    sums.balances().map(row).collect()
}

/// Every transfer once, in order: sums and chain.
async fn transfers(connection: &mut SqliteConnection) -> Result<(Sums, Verified), StoreError> {
    let fault = |error: sqlx::Error| StoreError::of(FILE, &error);
    let mut sums = Sums::default();
    let mut found = Verified::default();
    let mut hash = [0; 32];
    let mut stream = sqlx::query("SELECT * FROM transfer ORDER BY seq").fetch(connection);
    while let Some(row) = stream.try_next().await.map_err(fault)? {
        let transfer = from_row::transfer(&row)?;
        let written = group::digest(&from_row::Fields(&row).text("hash")?)?;
        hash = chain(hash, &transfer);
        if hash != written {
            found.faults.push(BookFault::Chain(transfer.id.to_string()));
            hash = written;
        }
        sums.take(&transfer);
        found.transfers += 1;
    }
    Ok((sums, found))
}

async fn rows<T>(
    connection: &mut SqliteConnection,
    statement: &'static str,
    read: fn(&sqlx::sqlite::SqliteRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let rows = sqlx::query(statement)
        .fetch_all(connection)
        .await
        .map_err(|error| StoreError::of(FILE, &error))?;
    rows.iter().map(read).collect()
}
