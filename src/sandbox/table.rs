//! Edge: rows by number and by UUID, the way CloudStack's tables are found by both.

use serde::{Deserialize, Serialize};
use std::collections::btree_map::{Values, ValuesMut};
use std::collections::{BTreeMap, HashMap};

/// A row of a table.
pub trait Row {
    /// Its internal number, unique in its table and rising.
    fn number(&self) -> i64;
    /// Its UUID.
    fn id(&self) -> &str;
}

/// Rows in the order they were made. A row is never taken out: it is marked as removed.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct Table<T> {
    rows: BTreeMap<i64, T>,
    #[serde(skip)]
    by_id: HashMap<String, i64>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            by_id: HashMap::new(),
        }
    }
}

impl<T: Row> Table<T> {
    /// Builds the index again, after the rows were read from a file.
    pub fn reindex(&mut self) {
        self.by_id = self
            .rows
            .values()
            .map(|row| (row.id().to_owned(), row.number()))
            .collect();
    }

    /// The number that the next row gets; numbers start at `first`.
    #[must_use]
    pub fn next(&self, first: i64) -> i64 {
        self.rows
            .last_key_value()
            .map_or(first, |(number, _)| number.saturating_add(1))
    }

    /// Adds a row.
    pub fn insert(&mut self, row: T) {
        self.by_id.insert(row.id().to_owned(), row.number());
        self.rows.insert(row.number(), row);
    }

    /// The row with that UUID, in any letter case, or with that number.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&T> {
        self.rows.get(&self.number_of(id)?)
    }

    /// The row with that UUID or number, to change.
    pub fn find_mut(&mut self, id: &str) -> Option<&mut T> {
        let number = self.number_of(id)?;
        self.rows.get_mut(&number)
    }

    fn number_of(&self, id: &str) -> Option<i64> {
        let found = self.by_id.get(id).copied();
        found
            .or_else(|| self.by_id.get(&id.trim_end().to_ascii_lowercase()).copied())
            .or_else(|| id.parse().ok())
    }

    /// Every row, removed ones as well, oldest first.
    pub fn iter(&self) -> Values<'_, i64, T> {
        self.rows.values()
    }

    /// Every row, to change.
    pub fn iter_mut(&mut self) -> ValuesMut<'_, i64, T> {
        self.rows.values_mut()
    }
}
