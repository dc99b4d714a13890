//! Pure: precedence, and what a rule is for.

use crate::cloudstack::command::Class;
use crate::cloudstack::query::ParamMap;
use crate::policy::admission::{AccountKind, Actor, Admission};
use crate::policy::check::load;
use crate::policy::customer::RuleSet;
use crate::terms::time::Timestamp;

fn rules(text: &str) -> RuleSet {
    let files = [("access.toml".to_owned(), text.to_owned())];
    load(&files).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn faults(text: &str) -> Vec<String> {
    let files = [("access.toml".to_owned(), text.to_owned())];
    let faults = load(&files).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

fn actor(domains: &[&str]) -> Actor {
    Actor {
        key: Some("key".to_owned()),
        user: Some("user-1".to_owned()),
        account: "account-1".to_owned(),
        account_name: "anna".to_owned(),
        kind: AccountKind::User,
        role: Some("Read-Only User".to_owned()),
        domains: domains.iter().map(|id| (*id).to_owned()).collect(),
    }
}

/// The rule that says no to a raising call of a user in root → a → a1, on Monday, 2026-11-23 at
/// 10:00 UTC, from 10.1.2.3.
fn denied(rules: &RuleSet, query: &str) -> Option<String> {
    denied_to(rules, query, Some(&actor(&["root", "a", "a1"])))
}

fn denied_to(rules: &RuleSet, query: &str, actor: Option<&Actor>) -> Option<String> {
    let params = ParamMap::parse(query.as_bytes(), b"").unwrap();
    let asked = Admission {
        command: params.command(),
        class: Class::Raises,
        params: &params,
        actor,
        address: Some("10.1.2.3".parse().unwrap()),
        at: Timestamp::from_micros(1_795_428_000_000_000),
    };
    let candidates = rules.access.of(asked.command, asked.class)?;
    candidates
        .judge(&asked)
        .err()
        .map(|denied| denied.rule.to_owned())
}

#[test]
fn a_rule_that_denies_wins_and_the_nearest_one_is_told() {
    let deny_all = "[[access]]\nid = \"platform\"\nverdict = \"deny\"\nreason = \"r\"\ncommand = \
                    [\"createVPC\"]\n";
    let deny_a = "[[access]]\nid = \"near\"\nverdict = \"deny\"\nreason = \"r\"\ncommand = \
                  [\"create*\"]\ndomain = \"a\"\n";
    let allow_a1 = "[[access]]\nid = \"yes\"\nverdict = \"allow\"\nreason = \"r\"\ncommand = \
                    [\"createVPC\"]\ndomain = \"a1\"\n";
    let only = "[[access_default]]\nid = \"list\"\nverdict = \"deny\"\nreason = \"r\"\ndomain = \
                \"a\"\n";
    let open = "[[access_default]]\nid = \"open\"\nverdict = \"allow\"\nreason = \"r\"\ndomain = \
                \"a1\"\n";
    for (texts, told) in [
        (vec![], None),
        (vec![deny_all], Some("platform")),
        (vec![deny_all, deny_a], Some("near")),
        (vec![deny_all, allow_a1], Some("platform")),
        (vec![allow_a1], None),
        (vec![only], Some("list")),
        (vec![only, allow_a1], None),
        (vec![only, open], None),
        (vec![only, allow_a1, deny_a], Some("near")),
    ] {
        let rules = rules(&texts.concat());
        let found = denied(&rules, "command=createVPC&zoneid=z");
        assert_eq!(found.as_deref(), told, "{texts:#?}");
    }
}

const DEPLOY: &str = "command=deployVirtualMachine";

/// Part of a rule, call, whether it is for it.
const PARTS: &[(&str, &str, bool)] = &[
    ("class = [\"raises\"]", DEPLOY, true),
    ("class = [\"read\"]", DEPLOY, false),
    ("command = [\"DEPLOY*machine\"]", DEPLOY, true),
    (
        "command = [\"deployVirtualMachine\"]",
        "command=startVirtualMachine",
        false,
    ),
    ("kind = [\"user\"]", DEPLOY, true),
    ("kind = [\"admin\"]", DEPLOY, false),
    ("role = [\"User\", \"Read-Only User\"]", DEPLOY, true),
    ("role = [\"User\"]", DEPLOY, false),
    ("domain = \"a\"", DEPLOY, true),
    ("domain = \"b\"", DEPLOY, false),
    ("kind = [\"user\"]\nexcept_domain = [\"a1\"]", DEPLOY, false),
    ("account = [\"account-1\"]", DEPLOY, true),
    ("account = [\"account-2\"]", DEPLOY, false),
    ("user = [\"user-1\"]", DEPLOY, true),
    ("user = [\"user-2\"]", DEPLOY, false),
    ("zone = [\"Z1\"]", "command=x&zoneid=z1", true),
    ("zone = [\"Z1\"]", "command=x&zoneid=z2", false),
    ("zone = [\"Z1\"]", "command=x", false),
    ("address = [\"10.1.0.0/16\"]", DEPLOY, true),
    ("address = [\"10.2.0.0/16\"]", DEPLOY, false),
    ("address = [\"::/0\"]", DEPLOY, false),
    (
        "class = [\"raises\"]\nexcept_address = [\"10.1.2.3\"]",
        DEPLOY,
        false,
    ),
    (
        "param = [{ name = \"size\", over = 100 }]",
        "command=x&size=101",
        true,
    ),
    (
        "param = [{ name = \"size\", over = 100 }]",
        "command=x&SIZE=100",
        false,
    ),
    (
        "param = [{ name = \"size\", over = 100 }]",
        "command=x&size=1e9",
        true,
    ),
    (
        "param = [{ name = \"size\", over = 100 }]",
        "command=x",
        false,
    ),
    (
        "param = [{ name = \"size\", under = 10 }]",
        "command=x&size=9",
        true,
    ),
    (
        "param = [{ name = \"details[*].cpunumber\", over = 8 }]",
        "command=x&details%5B3%5D.cpuNumber=16",
        true,
    ),
    (
        "param = [{ name = \"hypervisor\", is = [\"KVM\"] }]",
        "command=x&hypervisor=kvm",
        true,
    ),
    (
        "param = [{ name = \"ids\", is = [\"b\"] }]",
        "command=x&ids=a,B",
        true,
    ),
    (
        "param = [{ name = \"ids\", not = [\"a\", \"b\"] }]",
        "command=x&ids=a,b",
        false,
    ),
    (
        "param = [{ name = \"ids\", not = [\"a\"] }]",
        "command=x&ids=a,c",
        true,
    ),
    (
        "param = [{ name = \"userdata\", given = true }]",
        "command=x&userdata=1",
        true,
    ),
    (
        "param = [{ name = \"userdata\", given = false }]",
        "command=x&userdata=1",
        false,
    ),
    (
        "time = { days = [\"mon\"], from = \"09:00\", until = \"11:00\" }",
        DEPLOY,
        true,
    ),
    (
        "time = { from = \"08:00\", until = \"10:00\" }",
        DEPLOY,
        false,
    ),
    (
        "time = { days = [\"tue\"], from = \"09:00\", until = \"11:00\" }",
        DEPLOY,
        false,
    ),
    (
        "time = { days = [\"sun\"], from = \"22:00\", until = \"11:00\" }",
        DEPLOY,
        true,
    ),
    (
        "time = { from = \"11:00\", until = \"12:00\", zone = \"Europe/Berlin\" }",
        DEPLOY,
        true,
    ),
    ("when = \"command.startsWith('deploy')\"", DEPLOY, true),
    (
        "when = \"has(params.size) && int(params.size) > 5\"",
        "command=x&size=6",
        true,
    ),
    (
        "when = \"has(params.size) && int(params.size) > 5\"",
        "command=x&size=4",
        false,
    ),
    (
        "when = \"has(params.size) && int(params.size) > 5\"",
        "command=x",
        false,
    ),
    // What cannot be told falls on the side of a rule that denies.
    (
        "when = \"has(params.size) && int(params.size) > 5\"",
        "command=x&size=many",
        true,
    ),
    ("when = \"'a' in domains && kind == 'user'\"", DEPLOY, true),
    ("when = \"role.startsWith('Read-Only')\"", DEPLOY, true),
    ("when = \"domains.exists(d, d == 'b')\"", DEPLOY, false),
    ("when = \"hour == 10 && weekday == 1\"", DEPLOY, true),
    ("when = \"address == '10.1.2.3'\"", DEPLOY, true),
];

#[test]
fn a_rule_is_for_the_calls_that_all_its_parts_fit() {
    for (part, query, fits) in PARTS {
        let text = format!("[[access]]\nid = \"x\"\nverdict = \"deny\"\nreason = \"r\"\n{part}\n");
        let found = denied(&rules(&text), query);
        assert_eq!(found.is_some(), *fits, "{part} on {query}");
    }
}

#[test]
fn what_cannot_be_told_is_never_allowed() {
    let text = "[[access]]\nid = \"x\"\nverdict = \"allow\"\nreason = \"r\"\nparam = [{ name = \
                \"size\", under = 10 }]\n[[access_default]]\nid = \"list\"\nverdict = \"deny\"\n\
                reason = \"r\"\n";
    let rules = rules(text);
    assert_eq!(denied(&rules, "command=x&size=9"), None);
    for query in ["command=x&size=1e0", "command=x&size=", "command=x&size=10"] {
        assert_eq!(denied(&rules, query).as_deref(), Some("list"), "{query}");
    }
}

#[test]
fn a_caller_who_was_not_verified_meets_only_rules_that_do_not_ask_who_he_is() {
    let rule = |id: &str, part: &str| {
        format!("[[access]]\nid = \"{id}\"\nverdict = \"deny\"\nreason = \"r\"\n{part}\n")
    };
    for (part, meets) in [
        ("command = [\"login\"]", true),
        ("address = [\"10.0.0.0/8\"]", true),
        ("when = \"command == 'login'\"", true),
        ("domain = \"a\"", false),
        ("kind = [\"user\"]", false),
        ("role = [\"User\"]", false),
        ("command = [\"login\"]\nexcept_domain = [\"b\"]", false),
        ("when = \"account != 'x'\"", false),
    ] {
        let found = denied_to(&rules(&rule("x", part)), "command=login", None);
        assert_eq!(found.is_some(), meets, "{part}");
    }
    let scoped = "[[access_default]]\nid = \"list\"\nverdict = \"deny\"\nreason = \"r\"\ndomain = \
                  \"a\"\n";
    assert_eq!(denied_to(&rules(scoped), "command=login", None), None);
}

#[test]
fn a_command_without_rules_is_asked_nothing() {
    let rules = rules(
        "[[access]]\nid = \"x\"\nverdict = \"deny\"\nreason = \"r\"\ncommand = [\"createVPC\"]\n",
    );
    assert!(rules.access.of("listZones", Class::Read).is_none());
    assert!(rules.access.of("createVPC", Class::Raises).is_some());
}

#[test]
fn a_faulty_rule_is_named_with_its_line_and_what_to_write() {
    let head = "[[access]]\nid = \"x\"\nreason = \"r\"\nverdict = \"deny\"\n";
    for (part, told) in [
        (
            "command = [\"deployVM\"]",
            "command `deployVM` is not known",
        ),
        (
            "class = [\"dear\"]",
            "write one of: read, lowers, neutral, raises",
        ),
        ("param = [{ name = \"size\" }]", "has not exactly one test"),
        (
            "param = [{ name = \"size\", over = 1, under = 2 }]",
            "has not exactly one test",
        ),
        ("address = [\"10.0.0.0/33\"]", "is not a network"),
        (
            "time = { from = \"25:00\", until = \"01:00\" }",
            "is not a time of day",
        ),
        (
            "time = { from = \"05:00\", until = \"01:00\", zone = \"Mars\" }",
            "time zone `Mars`",
        ),
        ("when = \"command ==\"", "is not CEL"),
        ("when = \"wallet > 5\"", "uses `wallet`"),
        (
            "when = \"params.size == '5'\"",
            "ask has(params.name) first",
        ),
        ("when = \"command\"", "neither true nor false"),
        ("when = \"hour\"", "neither true nor false"),
        (
            "when = \"domains.all(d, domains.exists(e, e == d))\"",
            "comprehension inside another",
        ),
        ("", "is for every call"),
        ("colour = \"red\"", "unknown field `colour`"),
    ] {
        let found = faults(&format!("{head}{part}\n"));
        assert!(
            found.iter().any(|fault| fault.contains(told)),
            "{part}: {found:#?}"
        );
    }
    let long = format!("when = \"command == '{}'\"", "x".repeat(600));
    let found = faults(&format!("{head}{long}\n"));
    assert!(
        found
            .iter()
            .any(|fault| fault.contains("over 512 characters"))
    );
    let twice = format!("{head}class = [\"read\"]\n{head}class = [\"read\"]\n");
    let found = faults(&twice);
    assert!(found.iter().any(|fault| fault.contains("written twice")));
}

#[test]
fn the_worst_condition_that_is_accepted_ends_soon_on_the_longest_request() {
    let text = "[[access]]\nid = \"x\"\nverdict = \"deny\"\nreason = \"r\"\nwhen = \
                \"params.exists(p, params[p].matches('(a+)+b'))\"\n";
    let rules = rules(text);
    let values: Vec<String> = (0..200)
        .map(|n| format!("p{n}={}", "a".repeat(200)))
        .collect();
    let query = format!("command=x&{}", values.join("&"));
    assert_eq!(denied(&rules, &query), None);
}
