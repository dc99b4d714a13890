//! Edge: the rows of commitments: rules that start things without a call.

use super::Store;
use super::database::{Query, Row, query};
use super::error::StoreError;
use super::from_row::Fields;
use super::group::Group;
use super::memory::Rows;
use super::sql::{Sql, cell, of_ids, put, replace};
use super::work::Work;
use crate::meter::commitment::{Commitment, CommitmentChange};
use crate::meter::rule_text::RuleText;
use crate::terms::ids::{PayerId, ResourceId};
use crate::terms::time::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

type Read<T> = Result<T, StoreError>;

/// A rule that was changed keeps its members, and one that ended and is made again begins again.
const PUT: Sql = put!("commitment" (
    0 id text, 1 payer text, 2 call text, 3 about text, 4 rule text, 5 members text,
    6 since number, 7 ended number
) replace!("id": payer call about rule since ended));
const OF_PAYERS: Sql = of_ids!(
    "SELECT * FROM commitment WHERE ended IS NULL AND",
    "payer",
    " ORDER BY id"
);
const MEMBERS: Sql = Sql {
    sqlite: "UPDATE commitment SET members = j.value ->> 1 \
        FROM json_each($1) AS j WHERE commitment.id = j.value ->> 0",
    postgres: "UPDATE commitment SET members = j.value ->> 1 \
        FROM json_array_elements($1::json) AS j(value) WHERE commitment.id = j.value ->> 0",
    rows: None,
};
const END: Sql = Sql {
    sqlite: "UPDATE commitment SET ended = j.value ->> 1 FROM json_each($1) AS j \
        WHERE (commitment.id = j.value ->> 0 OR commitment.about = j.value ->> 0) \
        AND commitment.ended IS NULL",
    postgres: "UPDATE commitment SET ended = (j.value ->> 1)::bigint \
        FROM json_array_elements($1::json) AS j(value) \
        WHERE (commitment.id = j.value ->> 0 OR commitment.about = j.value ->> 0) \
        AND commitment.ended IS NULL",
    rows: None,
};

impl Group<'_> {
    /// Writes the changes of works that passed, each work's in their order.
    pub(super) async fn save_commitments(&mut self, works: &[&Work]) -> Read<()> {
        for change in works.iter().flat_map(|work| &work.commitments) {
            let (statement, row) = match change {
                CommitmentChange::Put(it) => (PUT, to_row(it)),
                CommitmentChange::Members { id, members } => {
                    (MEMBERS, json!([id.as_str(), listed(members)]))
                }
                CommitmentChange::End { key, at } => (END, json!([key.as_str(), at.micros()])),
            };
            self.bulk(statement, vec![row]).await?;
        }
        Ok(())
    }
}

/// The same rows in memory.
pub(super) fn apply(rows: &mut BTreeMap<ResourceId, Commitment>, change: &CommitmentChange) {
    match change {
        CommitmentChange::Put(it) => {
            let mut row = it.clone();
            if let Some(before) = rows.get(&it.id) {
                row.members.clone_from(&before.members);
            }
            rows.insert(it.id.clone(), row);
        }
        CommitmentChange::Members { id, members } => {
            if let Some(row) = rows.get_mut(id) {
                row.members.clone_from(members);
            }
        }
        CommitmentChange::End { key, at } => {
            let open = rows.values_mut().filter(|row| row.ended.is_none());
            for row in open.filter(|row| CommitmentChange::ends(key, row)) {
                row.ended = Some(*at);
            }
        }
    }
}

impl Store {
    /// Commitments that stand, of some payers or of all, by their rules' ids.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn commitments(&self, of: Option<&[PayerId]>) -> Read<Vec<Commitment>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| match of {
                    Some(of) => rows.commitments_of(of),
                    None => rows.standing().cloned().collect(),
                })
                .await;
        }
        self.all(standing(of), from_row).await
    }
}

impl Rows {
    fn standing(&self) -> impl Iterator<Item = &Commitment> {
        self.commitments.values().filter(|it| it.ended.is_none())
    }

    /// Those of some payers.
    pub(super) fn commitments_of(&self, of: &[PayerId]) -> Vec<Commitment> {
        let theirs = self.standing().filter(|it| of.contains(&it.payer));
        theirs.cloned().collect()
    }
}

/// Those that stand, of some payers or of all.
pub(super) fn standing(of: Option<&[PayerId]>) -> Query {
    let Some(of) = of else {
        return query("SELECT * FROM commitment WHERE ended IS NULL ORDER BY id");
    };
    let ids: Vec<&str> = of.iter().map(PayerId::as_str).collect();
    Query::of(OF_PAYERS).bind(json!(ids).to_string())
}

/// Rows of that question.
pub(super) fn all(rows: &[Row]) -> Read<Vec<Commitment>> {
    rows.iter().map(from_row).collect()
}

fn listed(members: &BTreeSet<ResourceId>) -> String {
    let ids: Vec<&str> = members.iter().map(ResourceId::as_str).collect();
    json!(ids).to_string()
}

fn to_row(it: &Commitment) -> Value {
    json!([
        it.id.as_str(),
        it.payer.as_str(),
        it.call.to_string(),
        it.rule.about(),
        json!(RuleText::from(&it.rule)).to_string(),
        listed(&it.members),
        it.since.micros(),
        it.ended.map(|at| at.micros()),
    ])
}

fn from_row(row: &Row) -> Read<Commitment> {
    let f = Fields(row);
    let (call, rule, members) = (f.text("call")?, f.text("rule")?, f.text("members")?);
    let text: RuleText = serde_json::from_str(&rule).map_err(|_| StoreError::row("rule", &rule))?;
    let ids: Vec<String> =
        serde_json::from_str(&members).map_err(|_| StoreError::row("members", &members))?;
    Ok(Commitment {
        rule: text.rule().ok_or_else(|| StoreError::row("rule", &rule))?,
        id: ResourceId::from(f.text("id")?.as_str()),
        payer: PayerId::from(f.text("payer")?),
        call: call.parse().map_err(|_| StoreError::row("call", &call))?,
        members: ids.iter().map(|id| ResourceId::from(id.as_str())).collect(),
        since: Timestamp::from_micros(f.number("since")?),
        ended: f.maybe_number("ended")?.map(Timestamp::from_micros),
    })
}
