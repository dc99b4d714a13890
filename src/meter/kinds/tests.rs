//! Pure: what a sweep's lists start.

use super::*;
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_micros(NOW * SECOND)
}

fn printed(seconds_ago: i64) -> String {
    time::print(now().plus(-seconds_ago * SECOND))
}

fn row(item: &str, more: Value) -> Node {
    let mut fields = json!({ "id": "r-1", "name": "n", "account": "ann", "domainid": "d-1" });
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    Node::from_json(item, &fields)
}

fn of(usage_type: UsageType) -> Kind {
    let all = OFTEN.iter().chain(&SELDOM);
    *all.into_iter()
        .find(|kind| kind.types.contains(&usage_type))
        .unwrap()
}

#[test]
fn every_kind_that_lists_show_starts_from_its_printed_second_or_from_the_sweep() {
    for kind in OFTEN.iter().chain(&SELDOM) {
        let mut fields = json!({});
        if let Some(field) = kind.since {
            fields[field] = printed(100).into();
        }
        let found = started(kind, &row(kind.item, fields), &Around::default(), now());
        let types: Vec<UsageType> = found.iter().map(|one| one.meter.usage_type).collect();
        assert_eq!(types, kind.types, "{}", kind.command);
        let expected = if kind.since.is_some() { 100 } else { 0 };
        for one in found {
            assert_eq!(
                now().since(one.start.at),
                expected * SECOND,
                "{}",
                kind.command
            );
            assert_eq!(one.owner.account_name.as_deref(), Some("ann"));
        }
    }
}

#[test]
fn what_is_metered_young_dead_or_the_providers_is_not_started() {
    let volume = of(UsageType::Volume);
    let starts = |kind: &Kind, more: Value, around: &Around| {
        !started(kind, &row(kind.item, more), around, now()).is_empty()
    };
    let none = Around::default();
    let old = printed(100);
    assert!(starts(
        &volume,
        json!({ "created": old, "state": "Ready" }),
        &none
    ));
    assert!(!starts(&volume, json!({ "created": printed(3) }), &none));
    assert!(!starts(
        &volume,
        json!({ "created": old, "state": "Expunged" }),
        &none
    ));
    let known = Around {
        known: [(UsageType::Volume, ResourceId::from("r-1"))].into(),
        ..Around::default()
    };
    assert!(!starts(&volume, json!({ "created": old }), &known));
    let template = of(UsageType::Template);
    assert!(!starts(
        &template,
        json!({ "created": old, "account": "system" }),
        &none
    ));
    let network = of(UsageType::Network);
    assert!(!starts(
        &network,
        json!({ "created": old, "type": "Shared" }),
        &none
    ));
}

#[test]
fn a_port_forwarding_rule_is_its_addresses_owners() {
    let address = row("publicipaddress", json!({ "id": "ip-1", "account": "ben" }));
    let around = Around::of(&[address], &[]);
    let rule = Node::from_json(
        "portforwardingrule",
        &json!({ "id": "r", "ipaddressid": "ip-1" }),
    );
    let found = started(&of(UsageType::PortForwardingRule), &rule, &around, now());
    assert_eq!(found[0].owner.account_name.as_deref(), Some("ben"));
    let alone = started(
        &of(UsageType::PortForwardingRule),
        &rule,
        &Around::default(),
        now(),
    );
    assert_eq!(alone, Vec::new());
}

#[test]
fn a_vm_snapshot_is_as_large_as_the_vms_volumes() {
    let volume = |size: i64| {
        row(
            "volume",
            json!({ "virtualmachineid": "vm-1", "size": size }),
        )
    };
    let around = Around::of(&[], &[volume(5), volume(7)]);
    let snapshot = row(
        "vmSnapshot",
        json!({ "virtualmachineid": "vm-1", "created": printed(60) }),
    );
    let found = started(&of(UsageType::VmSnapshot), &snapshot, &around, now());
    let sizes: Vec<Option<i64>> = found.iter().map(|one| one.attributes.size_bytes).collect();
    assert_eq!(sizes, [Some(12), Some(12)]);
}

#[test]
fn a_bucket_that_grew_is_metered_at_its_new_size_from_the_sweep_on() {
    let kind = of(UsageType::Bucket);
    let listed = |size: i64| row("bucket", json!({ "created": printed(100), "size": size }));
    let open = started(&kind, &listed(10), &Around::default(), now()).remove(0);
    assert_eq!(grown(&kind, &listed(10), &open, now()), None);
    let Some(Change::Reshape { at, attributes, .. }) = grown(&kind, &listed(30), &open, now())
    else {
        panic!("not reshaped");
    };
    assert_eq!((at.at, attributes.size_bytes), (now(), Some(30)));
}

#[test]
fn a_physical_size_that_is_told_late_was_so_all_the_time() {
    for (usage_type, item) in [
        (UsageType::Snapshot, "snapshot"),
        (UsageType::Template, "template"),
        (UsageType::Iso, "iso"),
    ] {
        let kind = of(usage_type);
        let listed = |more: Value| {
            let mut fields = json!({ "created": printed(100) });
            for (name, value) in more.as_object().unwrap() {
                fields[name] = value.clone();
            }
            row(item, fields)
        };
        let physical = |size: i64| listed(json!({ "physicalsize": size }));
        let mut open = started(&kind, &listed(json!({})), &Around::default(), now()).remove(0);
        assert_eq!(open.attributes.size_bytes, None);
        let of = |open: &Interval, row: &Node| match grown(&kind, row, open, now()) {
            Some(Change::Reshape { at, attributes, .. }) => Some((at.at, attributes.size_bytes)),
            _ => None,
        };
        // Not on its store yet, then there, then of another size.
        assert_eq!(of(&open, &listed(json!({}))), None);
        assert_eq!(of(&open, &physical(0)), None);
        assert_eq!(of(&open, &physical(30)), Some((open.start.at, Some(30))));
        open.attributes.size_bytes = Some(30);
        assert_eq!(of(&open, &physical(30)), None);
        assert_eq!(of(&open, &physical(40)), Some((now(), Some(40))));
    }
}

#[test]
fn what_an_open_call_may_have_made_is_left_to_it() {
    let claim = |command: &str, seconds_ago: i64| Claim {
        command: command.to_owned(),
        sent: now().plus(-seconds_ago * SECOND),
    };
    let volume = of(UsageType::Volume);
    let made = row("volume", json!({ "created": printed(100) }));
    let made = started(&volume, &made, &Around::default(), now()).remove(0);
    assert!(!is_claimed(&made, &[]));
    assert!(!is_claimed(&made, &[claim("startvirtualmachine", 50)]));
    assert!(is_claimed(&made, &[claim("deployvirtualmachine", 101)]));
    let rule = row("loadbalancerrule", json!({}));
    let balanced = of(UsageType::LoadBalancerPolicy);
    let rule = started(&balanced, &rule, &Around::default(), now()).remove(0);
    assert!(!is_claimed(&rule, &[claim("deployvirtualmachine", 5)]));
    assert!(is_claimed(&rule, &[claim("createloadbalancerrule", 5)]));
}
