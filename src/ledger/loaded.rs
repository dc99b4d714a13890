//! Pure: the rows that a command is decided on, and what becomes of them.
//!
//! A store reads the rows that `Command::touches` names into a [`Loaded`], decides one command
//! after the other, and lets each one's [`Effects`] flow back, so that a later command of the
//! same group sees what an earlier one did. Tests use it as books in memory.

use super::caps::{Cap, CapShare};
use super::grants::{self, Grant};
use super::records::{Accrual, AccrualKey, Allocation, Document, Hold, Item, PayerState, Transfer};
use super::touches::Touches;
use crate::terms::ids::{CapId, DocumentId, HoldId, PayerId, SellerId, TransferId};
use std::collections::BTreeMap;

/// The rows of the books that are at hand.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Digests of the commands that were applied, by name.
    pub done: BTreeMap<String, [u8; 32]>,
    /// Payers.
    pub payers: BTreeMap<PayerId, PayerState>,
    /// The legs of holds.
    pub holds: BTreeMap<HoldId, Vec<Hold>>,
    /// Caps in their newest periods.
    pub caps: BTreeMap<CapId, Cap>,
    /// Payers' parts of caps.
    pub cap_shares: BTreeMap<(CapId, PayerId), CapShare>,
    /// Grants of gift credit, by payer, soonest end first.
    pub grants: BTreeMap<PayerId, Vec<Grant>>,
    /// Accrual rows.
    pub accruals: BTreeMap<AccrualKey, Accrual>,
    /// Items, by payer and id.
    pub items: BTreeMap<(PayerId, String), Item>,
    /// Allocations, by payer, oldest first.
    pub allocations: BTreeMap<PayerId, Vec<Allocation>>,
    /// Documents.
    pub documents: BTreeMap<DocumentId, Document>,
    /// The last number given in a series.
    pub series: BTreeMap<(SellerId, String), i64>,
    /// Transfers, by the name of their command.
    pub transfers: BTreeMap<TransferId, Vec<Transfer>>,
}

/// What a command changes: rows to add, and rows in their new form.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Effects {
    /// The command's name.
    pub name: String,
    /// The command's digest.
    pub digest: [u8; 32],
    /// It was applied before, and nothing is changed now.
    pub already_done: bool,
    /// New transfers, in order.
    pub transfers: Vec<Transfer>,
    /// Payers in their new form.
    pub payers: Vec<PayerState>,
    /// Legs of holds, new or in their new form.
    pub holds: Vec<Hold>,
    /// Caps in their new form; one whose period is new is a row of its own.
    pub caps: Vec<Cap>,
    /// Payers' parts of caps in their new form.
    pub cap_shares: Vec<CapShare>,
    /// Grants of gift credit, new or in their new form.
    pub grants: Vec<Grant>,
    /// Accrual rows in their new form.
    pub accruals: Vec<Accrual>,
    /// The document that was issued.
    pub document: Option<Document>,
    /// Items, new or in their new form.
    pub items: Vec<Item>,
    /// New allocations.
    pub allocations: Vec<Allocation>,
}

impl Loaded {
    /// Lets the effects of a command flow back.
    pub fn absorb(&mut self, effects: &Effects) {
        if effects.already_done {
            return;
        }
        self.done.insert(effects.name.clone(), effects.digest);
        for state in &effects.payers {
            self.payers.insert(state.payer.clone(), state.clone());
        }
        for hold in &effects.holds {
            let legs = self.holds.entry(hold.id).or_default();
            match legs.iter_mut().find(|leg| leg.payer == hold.payer) {
                Some(leg) => *leg = hold.clone(),
                None => legs.push(hold.clone()),
            }
        }
        for cap in &effects.caps {
            self.caps.insert(cap.id.clone(), cap.clone());
        }
        for share in &effects.cap_shares {
            let key = (share.cap.clone(), share.payer.clone());
            self.cap_shares.insert(key, share.clone());
        }
        for grant in &effects.grants {
            let rows = self.grants.entry(grant.payer.clone()).or_default();
            grants::put(rows, grant.clone());
        }
        for row in &effects.accruals {
            self.accruals.insert(row.key(), row.clone());
        }
        for item in &effects.items {
            let key = (item.payer.clone(), item.id.clone());
            self.items.insert(key, item.clone());
        }
        for row in &effects.allocations {
            let rows = self.allocations.entry(row.payer.clone()).or_default();
            rows.push(row.clone());
        }
        if let Some(paper) = &effects.document {
            let key = (paper.seller.clone(), paper.series.clone());
            self.series.insert(key, paper.number);
            self.documents.insert(paper.id, paper.clone());
        }
        if !effects.transfers.is_empty() {
            let name = TransferId::from(effects.name.as_str());
            self.transfers.insert(name, effects.transfers.clone());
        }
    }
}

impl Touches {
    /// Takes in what another command of the same group touches.
    pub fn join(&mut self, other: Self) {
        self.payers.extend(other.payers);
        self.holds.extend(other.holds);
        self.caps.extend(other.caps);
        self.cap_shares.extend(other.cap_shares);
        self.accruals.extend(other.accruals);
        self.items_of.extend(other.items_of);
        self.allocations_of.extend(other.allocations_of);
        self.series.extend(other.series);
        self.documents.extend(other.documents);
        self.transfers_of.extend(other.transfers_of);
    }
}
