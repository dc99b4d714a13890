//! Edge: rules that start things without a call: what is promised for them stays promised.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

use crate::metered_types::{metered, metered_like};
use crate::postgres::on_both;
use crate::stage::{Caller, Stage, until};
use crate::store::{open_payer, payer};
use faregate::cloudstack::usage_type::UsageType;
use faregate::meter::commitment::{Commitment, CommitmentChange, Rule};
use faregate::meter::resource::Attributes;
use faregate::policy::commitment::RuleKind;
use faregate::rate::Planned;
use faregate::store::{Store, Work};
use faregate::terms::ids::{CallId, PayerId, ResourceId};
use faregate::terms::money::Micros;
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

const PAULA: &str = "prepaid-paula";

/// What is kept for all of her rules, in millionths, and what is told of the first; nothing where
/// there is none.
fn kept(stage: &Stage) -> Option<(i64, String)> {
    let told = stage.faregate(&["ledger", "commitments", "--config", &stage.config()]);
    let mut lines = told.lines();
    let rule = lines.next()?.to_owned();
    let amount = lines.next_back()?.split_whitespace().rev().nth(1)?;
    Some((amount.parse::<Micros>().unwrap().get(), rule))
}

/// A figure of her balance, in millionths.
fn figure(stage: &Stage, name: &str) -> i64 {
    let told = stage.faregate(&["ledger", "balances", "--config", &stage.config()]);
    let hers = told.lines().find(|line| line.starts_with(PAULA)).unwrap();
    let mut words = hers.split_whitespace().skip_while(|word| *word != name);
    words.nth(1).unwrap().parse::<Micros>().unwrap().get()
}

/// Within 0.02: what runs accrues meanwhile.
fn is_near(one: i64, other: i64) -> bool {
    (one - other).abs() < 20_000
}

/// A volume of a machine that runs.
fn volume(paula: &Caller, stage: &Stage) -> String {
    let heard = paula.deploy(&stage.small_vm(0)).unwrap().inside();
    assert_eq!(paula.job_end(heard["jobid"].as_str().unwrap()), 1);
    let vm = heard["id"].as_str().unwrap().to_owned();
    until("the deployment is settled", || {
        metered(stage).contains_key(&vm)
    });
    let list = paula.call("listVolumes", &[]).unwrap().inside();
    list["volume"][0]["id"].as_str().unwrap().to_owned()
}

fn hourly(paula: &Caller, volume: &str, keeps: &str) -> u16 {
    let words = [
        ("volumeid", volume),
        ("intervaltype", "HOURLY"),
        ("schedule", "0"),
        ("timezone", "UTC"),
        ("maxsnaps", keeps),
    ];
    paula.call("createSnapshotPolicy", &words).unwrap().status
}

/// Exam 28, of a policy: its call is refused where the money is not there, else its money stays;
/// each snapshot that CloudStack takes by itself is metered for its owner and takes its part.
#[test]
fn what_a_snapshot_policy_starts_is_paid_for_out_of_what_it_keeps() {
    let mut stage = Stage::start("commitments", &[]);
    let paula = stage.customer(0);
    stage.top_up(PAULA, "20", "p-commitments");
    let volume = volume(&paula, &stage);
    assert_eq!(kept(&stage), None);
    let (free, before) = (figure(&stage, "available"), figure(&stage, "held"));

    assert_eq!(
        hourly(&paula, &volume, "1000000"),
        535,
        "the money is not there"
    );
    assert_eq!(kept(&stage), None, "and nothing is kept");
    assert_eq!(hourly(&paula, &volume, "4000"), 200);
    let (whole, rule) = kept(&stage).unwrap();
    assert!(
        rule.contains("0 there, 4000 kept for, 4000 at most"),
        "{rule}"
    );
    assert!(whole > 400_000, "too little to see: {whole}");
    // Also after renewals, and after the node's death.
    for round in ["first", "second"] {
        stage.kill_gate();
        stage.start_again();
        until("what is kept is held", || {
            is_near(figure(&stage, "held"), before + whole)
        });
        assert!(
            is_near(figure(&stage, "available"), free - whole),
            "{round}"
        );
    }

    stage.fault("snapshots-due", 1000);
    // What is a few seconds old is taken to be on its way through the gate.
    std::thread::sleep(std::time::Duration::from_secs(11));
    stage.kill_gate();
    stage.start_again();
    until("they are found", || {
        kept(&stage).is_some_and(|(_, rule)| rule.contains("1000 there, 3000 kept for"))
    });
    let list = paula.call("listSnapshots", &[]).unwrap().inside();
    let one = list["snapshot"][0]["id"].as_str().unwrap();
    let found = metered_like(&stage, one);
    assert_eq!(found.get(one).map(String::as_str), Some(PAULA));
    let (rest, _) = kept(&stage).unwrap();
    assert!(is_near(rest, whole / 4 * 3), "{rest} of {whole}");

    until("their part is free", || {
        is_near(figure(&stage, "held"), before + rest)
    });
    // Changed, the call pays for the difference alone.
    let free = figure(&stage, "available");
    assert_eq!(hourly(&paula, &volume, "4800"), 200);
    let (more, rule) = kept(&stage).unwrap();
    assert!(
        rule.contains("1000 there, 3800 kept for, 4800 at most"),
        "{rule}"
    );
    let paid = free - figure(&stage, "available");
    assert!(is_near(paid, more - rest), "{paid} for {more} after {rest}");

    let list = paula.call("listSnapshotPolicies", &[("volumeid", &volume)]);
    let list = list.unwrap().inside();
    let policy = list["snapshotpolicy"][0]["id"].as_str().unwrap();
    let gone = paula
        .call("deleteSnapshotPolicies", &[("id", policy)])
        .unwrap();
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_eq!(kept(&stage), None);
    until("its money is free", || {
        figure(&stage, "held") < before + 100_000
    });
}

#[test]
fn a_rule_that_is_deleted_behind_the_gate_is_kept_for_until_the_sweep_looks() {
    let mut stage = Stage::start("commitments-behind", &[]);
    let paula = stage.customer(0);
    stage.top_up(PAULA, "20", "p-behind");
    let volume = volume(&paula, &stage);
    assert_eq!(hourly(&paula, &volume, "2000"), 200);
    let list = paula.call("listSnapshotPolicies", &[("volumeid", &volume)]);
    let list = list.unwrap().inside();
    let policy = list["snapshotpolicy"][0]["id"].as_str().unwrap();
    stage.kill_gate();
    let behind = Caller {
        endpoint: stage.text("/sandbox/endpoint"),
        ..paula.clone()
    };
    let gone = behind
        .call("deleteSnapshotPolicies", &[("id", policy)])
        .unwrap();
    assert_eq!(gone.status, 200, "{gone:?}");
    assert!(kept(&stage).is_some());
    stage.start_again();
    until("the sweep looks", || kept(&stage).is_none());
}
