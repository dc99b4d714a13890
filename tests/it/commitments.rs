//! Edge: rules that start things without a call: what is promised for them stays promised.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::postgres::on_both;
use crate::store::{open_payer, payer};
use faregate::cloudstack::usage_type::UsageType;
use faregate::meter::commitment::{Commitment, CommitmentChange, Rule};
use faregate::meter::resource::Attributes;
use faregate::policy::commitment::RuleKind;
use faregate::rate::Planned;
use faregate::store::{Store, Work};
use faregate::terms::ids::{CallId, PayerId, ResourceId};
use faregate::terms::time::{BillingMonth, Timestamp};

fn policy(id: &str, of: &str, most: i64) -> Commitment {
    let unit = Planned {
        usage_type: UsageType::Snapshot,
        attributes: Attributes {
            size_bytes: Some(1 << 30),
            count: 1,
            ..Attributes::default()
        },
    };
    Commitment {
        rule: Rule {
            kind: RuleKind::SnapshotPolicy,
            id: None,
            of: of.to_owned(),
            least: 0,
            most,
            besides: 0,
            unit: vec![unit],
        },
        id: id.into(),
        payer: payer(),
        call: CallId::from_bits(3),
        members: [].into(),
        since: Timestamp::from_seconds(9),
        ended: None,
    }
}

async fn wrote(store: &Store, commitments: Vec<CommitmentChange>) {
    let work = Work {
        commitments,
        ..Work::default()
    };
    store.submit(work).await.unwrap();
}

on_both! {
/// Also over a restart, and for the renewal in the same reading as the payer's other rows.
async fn a_commitment_is_kept_as_it_was_made_until_its_rule_ends(place) {
    let store = place.open().await;
    store.submit(Work::of(open_payer())).await.unwrap();
    let (daily, weekly) = (policy("p1", "vol/DAILY", 3), policy("p2", "other/WEEKLY", 2));
    wrote(&store, vec![
        CommitmentChange::Put(daily.clone()),
        CommitmentChange::Put(weekly.clone()),
    ]).await;
    let members = ["s1", "s2"].map(ResourceId::from).into();
    wrote(&store, vec![CommitmentChange::Members { id: "p1".into(), members }]).await;
    // The call that changes the rule knows nothing of its members.
    let mut changed = daily.clone();
    changed.rule.most = 8;
    wrote(&store, vec![CommitmentChange::Put(changed.clone())]).await;
    changed.members = ["s1", "s2"].map(ResourceId::from).into();
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.commitments(None).await.unwrap(), [changed.clone(), weekly.clone()]);
    let nobody = [PayerId::from("bob")];
    assert_eq!(store.commitments(Some(&nobody)).await.unwrap(), []);
    let month = BillingMonth::parse("2026-11", "UTC").unwrap();
    let period = month.period().unwrap();
    let read = store.renewable(&payer(), &[payer()], &[month], period).await.unwrap().unwrap();
    assert_eq!(read.commitments, [changed, weekly.clone()]);
    // The volume is deleted, and its policies with it.
    let at = Timestamp::from_seconds(20);
    let end = |key: &str| CommitmentChange::End { key: key.into(), at };
    wrote(&store, vec![end("vol")]).await;
    assert_eq!(store.commitments(None).await.unwrap(), [weekly]);
    wrote(&store, vec![end("p2"), end("p2"), end("unknown")]).await;
    assert_eq!(store.commitments(None).await.unwrap(), []);
}
}
