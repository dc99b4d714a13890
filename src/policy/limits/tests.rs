//! Pure: tables for which limits a call meets.

use super::*;
use crate::terms::time::SECOND;

fn limit(id: &str, per: Per, of: Option<&str>, commands: &[&str]) -> CallLimit {
    CallLimit {
        id: id.to_owned(),
        per,
        of: of.map(str::to_owned),
        commands: commands.iter().map(|one| (*one).to_owned()).collect(),
        class: None,
        pace: Pace {
            calls: 10,
            period: 60 * SECOND,
            burst: 10,
        },
        reason: String::new(),
    }
}

const ANN: Calling<'_> = Calling {
    network: None,
    key: Some("key-1"),
    user: Some("ann"),
    account: Some("north"),
    domains: &["root", "nordwind", "shop"],
};

fn ids(limits: &[CallLimit], calling: &Calling<'_>, command: &str) -> Vec<String> {
    let found = fitting(limits, calling, command, Some(Class::Raises));
    found.iter().map(|one| one.limit.id.clone()).collect()
}

#[test]
fn the_most_specific_limit_is_told_first() {
    let limits = [
        limit("domain", Per::Domain, None, &[]),
        limit("account", Per::Account, None, &[]),
        limit("account-deploys", Per::Account, None, &["deploy*"]),
        limit("key", Per::Key, None, &[]),
    ];
    let found = ids(&limits, &ANN, "deployVirtualMachine");
    assert_eq!(found, ["key", "account-deploys", "account", "domain"]);
    assert_eq!(
        ids(&limits, &ANN, "listZones"),
        ["key", "account", "domain"]
    );
}

#[test]
fn a_named_subject_takes_the_place_of_everybody() {
    let limits = [
        limit("all", Per::Account, None, &[]),
        limit("north", Per::Account, Some("north"), &[]),
        limit("south", Per::Account, Some("south"), &[]),
    ];
    assert_eq!(ids(&limits, &ANN, "listZones"), ["north"]);
}

#[test]
fn the_nearest_domain_wins_and_its_subtree_counts_together() {
    let limits = [
        limit("any", Per::Domain, None, &[]),
        limit("root", Per::Domain, Some("root"), &[]),
        limit("nordwind", Per::Domain, Some("nordwind"), &[]),
    ];
    let found = fitting(&limits, &ANN, "listZones", None);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].limit.id, "nordwind");
    assert_eq!(found[0].subject, "nordwind");
}

#[test]
fn who_is_not_verified_counts_by_his_address_alone() {
    let limits = [
        limit("key", Per::Key, None, &[]),
        limit("account", Per::Account, None, &[]),
        limit("address", Per::Address, None, &[]),
    ];
    let stranger = Calling {
        network: Some("192.0.2.7"),
        ..Calling::default()
    };
    assert_eq!(ids(&limits, &stranger, "listZones"), ["address"]);
}

#[test]
fn a_limit_for_a_class_is_for_no_other_class() {
    let mut raising = limit("raising", Per::Key, None, &[]);
    raising.class = Some(Class::Raises);
    let limits = [raising];
    let of = |class| fitting(&limits, &ANN, "anything", class).len();
    assert_eq!(of(Some(Class::Raises)), 1);
    assert_eq!(of(Some(Class::Read)), 0);
    assert_eq!(of(None), 0);
}

#[test]
fn a_pattern_fits_as_a_person_reads_it() {
    let table = [
        ("deploy*", "deployvirtualmachine", true),
        ("*network*", "createnetworkacl", true),
        ("*", "", true),
        ("list*s", "listzones", true),
        ("list*s", "listzone", false),
        ("a*b*a", "aba", true),
        ("ab*ba", "aba", false),
        ("listzones", "listzones", true),
        ("listzones", "listzonesx", false),
        ("", "x", false),
    ];
    for (pattern, text, fits) in table {
        assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
    }
}

#[test]
fn the_shares_of_all_nodes_are_no_more_than_the_whole() {
    let whole = Pace {
        calls: 90,
        period: 60 * SECOND,
        burst: 10,
    };
    let share = whole.share(3);
    assert_eq!(share.burst, 3);
    assert_eq!(share.interval(), 3 * whole.interval());
    assert_eq!(whole.share(50).burst, 1);
}

#[test]
fn a_payers_own_things_limit_takes_the_place_of_the_general_one() {
    let of = |id: &str, payer: Option<&str>, zone: Option<&str>| ThingLimit {
        id: id.to_owned(),
        payer: payer.map(PayerId::from),
        component: Component::Vm,
        basis: Basis::Allocated,
        zone: zone.map(str::to_owned),
        most: 7,
        written: "7".to_owned(),
        reason: String::new(),
    };
    let limits = [
        of("ann", Some("ann"), None),
        of("all", None, None),
        of("zone", None, Some("z")),
        of("bob", Some("bob"), None),
    ];
    let ids = |payer: &str| -> Vec<String> {
        let found = things_of(&limits, &PayerId::from(payer));
        found.iter().map(|one| one.id.clone()).collect()
    };
    assert_eq!(ids("ann"), ["zone", "ann"]);
    assert_eq!(ids("eve"), ["zone", "all"]);
}
