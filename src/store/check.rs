//! Edge: reads the whole ledger and says what in it cannot be. It never holds the writer up: it
//! reads one snapshot, on a connection of its own.

use super::database::{Pool, Query, Row, Snapshot, query};
use super::error::StoreError;
use super::sql::{CHAINED, TAIL};
use super::{Store, from_row, group};
use crate::ledger::caps::{self, Cap};
use crate::ledger::chart;
use crate::ledger::grants::{Anew, Grant};
use crate::ledger::records::PayerState;
use crate::ledger::verify::{BookFault, Sums, chain};

/// Transfers that are read at once.
const PAGE: i64 = 10_000;

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    /// How many transfers were read.
    pub transfers: u64,
    /// The trial balance: seller, currency, account, credit-normal millionths.
    pub balances: Vec<(String, String, String, i128)>,
    /// What cannot be.
    pub faults: Vec<BookFault>,
    /// Payers' figures as they are kept.
    pub payers: Vec<PayerState>,
    /// The same figures as the transfers and the open holds say that they are.
    pub rebuilt: Vec<PayerState>,
    /// Caps' figures in their newest period as they are kept.
    pub caps: Vec<Cap>,
    /// The same as open holds and payers' parts say that they are.
    pub caps_rebuilt: Vec<Cap>,
    /// Grants of gift credit as they are kept.
    pub grants: Vec<Grant>,
    /// The same grants as the transfers say that they are.
    pub grants_rebuilt: Vec<Grant>,
}

impl Store {
    /// Checks sums, purses, holds, covers, items, caps, grants and the chain of hashes.
    ///
    /// # Errors
    /// [`StoreError`] where the ledger cannot be read; what is wrong in it is in the answer.
    pub async fn verify(&self) -> Result<Verified, StoreError> {
        verified(self.readers()?, self.file()).await
    }

    /// The trial balance alone.
    ///
    /// # Errors
    /// As [`Store::verify`].
    pub async fn trial_balance(&self) -> Result<Vec<(String, String, String, i128)>, StoreError> {
        Ok(self.verify().await?.balances)
    }
}

/// Checks the books behind these connections.
pub(super) async fn verified(pool: &Pool, file: &'static str) -> Result<Verified, StoreError> {
    let snapshot = pool.snapshot().await;
    let snapshot = snapshot.map_err(|error| StoreError::of(file, &error))?;
    let mut reading = Reading { snapshot, file };
    let grants = query("SELECT * FROM promo_grant");
    let grants = reading.rows(grants, from_row::grant).await?;
    let mut anew = Anew::beside(grants.clone());
    let (sums, mut found) = reading.transfers(&mut anew).await?;
    let payers = query("SELECT * FROM payer");
    let payers = reading.rows(payers, from_row::payer).await?;
    let payers = payers
        .into_iter()
        .map(|state| (state.payer.clone(), state))
        .collect();
    let holds = query("SELECT * FROM hold WHERE status = 'open'");
    let holds = reading.rows(holds, from_row::hold).await?;
    let items = query("SELECT * FROM item WHERE open <> 0");
    let items = reading.rows(items, from_row::item).await?;
    found.faults.extend(sums.faults(&payers, &holds, &items));
    let newest = query(
        "SELECT * FROM cap WHERE start_at = \
         (SELECT max(c.start_at) FROM cap AS c WHERE c.id = cap.id)",
    );
    let newest = reading.rows(newest, from_row::cap).await?;
    let shares = query("SELECT * FROM cap_share");
    let shares = reading.rows(shares, from_row::cap_share).await?;
    found.faults.extend(caps::faults(&newest, &shares, &holds));
    found.caps_rebuilt = caps::rebuilt(&newest, &shares, &holds);
    found.caps = newest;
    found.faults.extend(anew.faults(&payers));
    found.grants = grants;
    found.grants_rebuilt = anew.rebuilt();
    found.balances = trial(&sums);
    found.rebuilt = sums.rebuilt(&payers, &holds);
    found.payers = payers.into_values().collect();
    Ok(found)
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

/// One state of the books while it is read.
struct Reading {
    snapshot: Snapshot,
    file: &'static str,
}

impl Reading {
    /// Every transfer once: those on the chain in its order, then the tail that is on none yet.
    async fn transfers(&mut self, anew: &mut Anew) -> Result<(Sums, Verified), StoreError> {
        let mut sums = Sums::default();
        let mut found = Verified::default();
        let mut hash = [0; 32];
        let mut after = 0;
        loop {
            let page = Query::of(CHAINED).bind(after).bind(PAGE);
            let page = self.rows(page, chained).await?;
            let Some(last) = page.last() else { break };
            after = last.place;
            for row in page {
                hash = chain(hash, &row.transfer);
                if hash != row.hash {
                    let id = row.transfer.id.to_string();
                    found.faults.push(BookFault::Chain(id));
                    hash = row.hash;
                }
                sums.take(&row.transfer);
                anew.take(&row.transfer);
                found.transfers += 1;
            }
        }
        if let Snapshot::Postgres(_) = self.snapshot {
            for transfer in self.rows(Query::of(TAIL), from_row::transfer).await? {
                sums.take(&transfer);
                anew.take(&transfer);
                found.transfers += 1;
            }
        }
        Ok((sums, found))
    }

    async fn rows<T>(
        &mut self,
        query: Query,
        read: fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.snapshot.fetch(query).await;
        let rows = rows.map_err(|error| StoreError::of(self.file, &error))?;
        rows.iter().map(read).collect()
    }
}

/// A transfer with its place on the chain and the hash that was written there.
struct Chained {
    place: i64,
    hash: [u8; 32],
    transfer: crate::ledger::records::Transfer,
}

fn chained(row: &Row) -> Result<Chained, StoreError> {
    let fields = from_row::Fields(row);
    Ok(Chained {
        place: fields.number("place")?,
        hash: group::digest(&fields.text("hash")?)?,
        transfer: from_row::transfer(row)?,
    })
}
