//! Pure: what stays promised for a rule while its pieces come and go.

use super::{Commitment, CommitmentChange, Rule, ended, kept_of, made};
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::meter::kinds::nobody;
use crate::meter::observe::{ObservedCall, ObservedJob};
use crate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId};
use crate::policy::commitment::{Commitment as Mode, RuleKind};
use crate::rate::Planned;
use crate::terms::ids::{CallId, PayerId, ResourceId};
use crate::terms::time::Timestamp;

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn rule(kind: RuleKind, of: &str, least: i64, most: i64) -> Rule {
    let meter = |usage_type| Planned {
        usage_type,
        attributes: Attributes {
            vcpus: Some(2),
            memory_mib: Some(2048),
            count: 1,
            ..Attributes::default()
        },
    };
    Rule {
        kind,
        id: None,
        of: of.to_owned(),
        least,
        most,
        besides: 0,
        unit: vec![meter(UsageType::AllocatedVm), meter(UsageType::RunningVm)],
    }
}

fn stands(rule: Rule, members: &[&str]) -> Commitment {
    Commitment {
        rule,
        id: "rule".into(),
        payer: "alice".into(),
        call: CallId::from_bits(7),
        members: members.iter().map(|id| ResourceId::from(*id)).collect(),
        since: NOW,
        ended: None,
    }
}

/// Both meters of a machine, the running one ended where it stopped.
fn machine(id: &str, runs: bool) -> Vec<Interval> {
    let border = Border {
        at: NOW,
        source: BorderSource::Sweep,
    };
    let of = |usage_type, end| Interval {
        meter: MeterId {
            usage_type,
            resource: id.into(),
            part: String::new(),
        },
        owner: nobody(),
        attributes: Attributes::default(),
        start: border,
        end,
    };
    vec![
        of(UsageType::AllocatedVm, None),
        of(UsageType::RunningVm, (!runs).then_some(border)),
    ]
}

fn gone(id: &str) -> Vec<Interval> {
    let mut all = machine(id, false);
    for one in &mut all {
        one.end = Some(one.start);
    }
    all
}

#[test]
fn a_piece_that_starts_takes_its_own_part_and_one_that_ends_gives_it_back() {
    use Mode::{First, Maximum, Next};
    let group = rule(RuleKind::AutoScale, "", 1, 4);
    let members: &[&str] = &["a", "b", "c"];
    let three = [machine("a", true), machine("b", true), machine("c", true)].concat();
    let two = [machine("a", true), machine("b", false), gone("c")].concat();
    let other = machine("stranger", true);
    for (open, mode, expected) in [
        (&Vec::new(), Maximum, 4),
        (&Vec::new(), Next, 1),
        (&Vec::new(), First, 1),
        (&other, Maximum, 4),
        // One that stopped is there all the same.
        (&two, Maximum, 2),
        (&two, Next, 1),
        (&two, First, 0),
        (&three, Maximum, 1),
        (&three, Next, 1),
        (&three, First, 0),
    ] {
        let it = stands(group.clone(), members);
        assert_eq!(
            it.left(mode, open),
            expected,
            "{mode:?}, {} open",
            open.len()
        );
    }
}

#[test]
fn more_pieces_than_the_rule_allows_keep_nothing_and_owe_nothing() {
    let full = ["a", "b"].map(|id| machine(id, true)).concat();
    let it = stands(rule(RuleKind::AutoScale, "", 0, 1), &["a", "b"]);
    for mode in [Mode::Maximum, Mode::Next, Mode::First] {
        assert_eq!(it.left(mode, &full), 0);
        assert!(it.kept(mode, &full).is_empty());
    }
}

#[test]
fn what_is_kept_are_the_meters_of_all_pieces_that_are_left() {
    let it = stands(rule(RuleKind::AutoScale, "", 1, 4), &["a"]);
    let kept = it.as_running(Mode::Maximum, &machine("a", true), NOW);
    let told: Vec<_> = kept
        .iter()
        .map(|one| {
            (
                one.meter.usage_type,
                one.attributes.count,
                one.attributes.vcpus,
            )
        })
        .collect();
    let three = |usage_type| (usage_type, 3, Some(6));
    assert_eq!(
        told,
        [three(UsageType::AllocatedVm), three(UsageType::RunningVm)]
    );
    assert!(
        kept.iter()
            .all(|one| one.start.at == NOW && one.end.is_none())
    );
    // Stopped seconds are those that no running meter of the same thing has.
    assert_eq!(kept[0].meter.resource, kept[1].meter.resource);
}

#[test]
fn a_policys_snapshots_that_are_there_are_not_paid_for_again() {
    let of = |kind| {
        let it = stands(rule(kind, "vol/HOURLY", 0, 4), &["a"]);
        it.paid(Mode::Maximum, &machine("a", true))[0]
            .attributes
            .count
    };
    // A group's members are in its plan; a policy's snapshots are not.
    assert_eq!(
        (of(RuleKind::AutoScale), of(RuleKind::SnapshotPolicy)),
        (3, 4)
    );
}

#[test]
fn control_nodes_are_no_workers() {
    let mut cluster = rule(RuleKind::Kubernetes, "", 1, 5);
    cluster.besides = 1;
    let open = ["control", "w1", "w2"].map(|id| machine(id, true)).concat();
    let it = stands(cluster, &["control", "w1", "w2"]);
    assert_eq!((it.there(&open), it.left(Mode::Maximum, &open)), (2, 3));
}

#[test]
fn backups_are_there_when_they_are_listed() {
    let it = stands(
        rule(RuleKind::BackupSchedule, "vm/DAILY", 0, 7),
        &["b1", "b2"],
    );
    assert_eq!(it.left(Mode::Maximum, &[]), 5);
}

#[test]
fn a_machine_that_two_schedules_start_is_kept_for_once_and_not_while_it_runs() {
    let schedule = || stands(rule(RuleKind::VmSchedule, "vm", 0, 1), &[]);
    let two = [schedule(), schedule()];
    let kept = |open: &[Interval]| kept_of(&two, |it| it.kept(Mode::Maximum, open)).len();
    assert_eq!(kept(&machine("vm", false)), 2, "two meters, one machine");
    assert_eq!(kept(&machine("vm", true)), 0);
    let groups = [
        stands(rule(RuleKind::AutoScale, "", 0, 1), &[]),
        stands(rule(RuleKind::AutoScale, "", 0, 1), &[]),
    ];
    assert_eq!(kept_of(&groups, |it| it.kept(Mode::Maximum, &[])).len(), 4);
}

#[test]
fn a_rule_that_ended_keeps_nothing() {
    let mut it = stands(rule(RuleKind::AutoScale, "", 1, 4), &[]);
    it.ended = Some(NOW);
    assert_eq!(it.left(Mode::Maximum, &[]), 0);
}

fn answer(text: &str) -> Node {
    let body = format!("{{\"it\":{text}}}");
    let read = crate::cloudstack::envelope::read(
        200,
        body.as_bytes(),
        crate::cloudstack::envelope::Format::Json,
    );
    read.unwrap().node
}

fn observed<'a>(
    command: &'a str,
    params: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    answer: &'a Node,
    job: Option<&'a ObservedJob>,
) -> ObservedCall<'a> {
    ObservedCall {
        command,
        params,
        owner: nobody(),
        sent: NOW,
        answered: NOW,
        answer,
        job,
    }
}

fn job(status: i64) -> ObservedJob {
    ObservedJob {
        created: None,
        completed: None,
        status,
        result: None,
        instance: Some("by-job".into()),
        seen: NOW,
    }
}

#[test]
fn a_rules_id_is_what_the_call_the_job_or_the_answer_says() {
    let alice = PayerId::from("alice");
    let known = |id: Option<&str>, of: &str| Rule {
        id: id.map(ResourceId::from),
        ..rule(RuleKind::AutoScale, of, 0, 1)
    };
    let done = job(1);
    for (rule, text, job, expected) in [
        (
            known(Some("said"), ""),
            "{\"id\":\"told\"}",
            None,
            Some("said"),
        ),
        (
            known(None, ""),
            "{\"id\":\"told\"}",
            Some(&done),
            Some("by-job"),
        ),
        (known(None, ""), "{\"id\":\"told\"}", None, Some("told")),
        (
            known(None, "vol/HOURLY"),
            "{\"snapshotpolicy\":{\"id\":\"policy\"}}",
            None,
            Some("policy"),
        ),
        (
            known(None, "vm/DAILY"),
            "{\"backupschedule\":{\"schedule\":\"1\"}}",
            None,
            Some("vm/DAILY"),
        ),
        (known(None, ""), "{\"success\":true}", None, None),
    ] {
        let answer = answer(text);
        let call = observed("createIt", &|_| None, &answer, job);
        let changes = made(&[rule], &call, (&alice, CallId::from_bits(1)));
        let id = changes.first().map(|change| match change {
            CommitmentChange::Put(it) => it.id.as_str().to_owned(),
            _ => String::new(),
        });
        assert_eq!(id.as_deref(), expected, "{text}");
    }
}

#[test]
fn an_empty_place_in_a_list_of_ids_ends_no_rule() {
    let group = stands(rule(RuleKind::AutoScale, "", 1, 4), &[]);
    let find = |wanted: &str| (wanted == "ids").then_some("x,,");
    let nothing = answer("{}");
    let changes = ended(&observed("deleteVMSchedule", &find, &nothing, None));
    assert_eq!(changes.len(), 1, "x alone");
    let ends = |change: &CommitmentChange| match change {
        CommitmentChange::End { key, .. } => CommitmentChange::ends(key, &group),
        _ => true,
    };
    assert!(!changes.iter().any(ends));
}

/// Command, its parameter, its answer, its job, and whether the policy ends with it.
type Case<'a> = (
    &'a str,
    (&'a str, &'a str),
    &'a str,
    Option<&'a ObservedJob>,
    bool,
);

#[test]
fn a_rule_ends_with_its_own_deletion_or_with_what_it_is_about() {
    let policy = stands(rule(RuleKind::SnapshotPolicy, "vol/HOURLY", 0, 8), &[]);
    let done = job(1);
    let failed = job(2);
    let cases: [Case<'_>; 12] = [
        ("deleteSnapshotPolicies", ("id", "rule"), "{}", None, true),
        (
            "deletesnapshotpolicies",
            ("ids", "x, rule"),
            "{}",
            None,
            true,
        ),
        ("deleteSnapshotPolicies", ("id", "x"), "{}", None, false),
        ("deleteVolume", ("id", "vol"), "{}", None, true),
        ("deleteVolume", ("id", "other"), "{}", None, false),
        (
            "deleteAutoScaleVmGroup",
            ("id", "rule"),
            "{}",
            Some(&done),
            true,
        ),
        (
            "deleteAutoScaleVmGroup",
            ("id", "rule"),
            "{}",
            Some(&failed),
            false,
        ),
        (
            "deleteAutoScaleVmGroup",
            ("id", "rule"),
            "{\"jobid\":\"j\"}",
            None,
            false,
        ),
        (
            "disableAutoScaleVmGroup",
            ("id", "rule"),
            "{}",
            Some(&done),
            true,
        ),
        (
            "scaleKubernetesCluster",
            ("id", "rule"),
            "{}",
            Some(&done),
            false,
        ),
        ("listSnapshots", ("id", "rule"), "{}", None, false),
        (
            "destroyVirtualMachine",
            ("id", "vol"),
            "{}",
            Some(&done),
            false,
        ),
    ];
    for (command, (name, value), text, job, expected) in cases {
        let answer = answer(text);
        let find = |wanted: &str| (wanted == name).then_some(value);
        let call = observed(command, &find, &answer, job);
        let ends = ended(&call).iter().any(|change| match change {
            CommitmentChange::End { key, .. } => CommitmentChange::ends(key, &policy),
            _ => false,
        });
        assert_eq!(ends, expected, "{command} {name}={value} {text}");
    }
}
