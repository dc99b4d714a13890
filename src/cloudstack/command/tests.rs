use super::*;

fn table() -> CommandTable {
    CommandTable::new(&[]).unwrap()
}

fn judged(query: &str) -> (Class, PriceRule) {
    let params = ParamMap::parse(query.as_bytes(), b"").unwrap();
    table().get(params.command()).unwrap().judged(&params)
}

#[test]
fn the_built_in_table_reads_and_holds_every_recorded_command() {
    assert_eq!(
        table().iter().filter(|command| command.recorded).count(),
        831
    );
}

#[test]
fn a_raising_command_has_an_owner_rule_and_is_never_free() {
    for command in table()
        .iter()
        .filter(|command| command.class == Class::Raises)
    {
        assert_ne!(command.owner, OwnerRule::None, "{}", command.name);
        let rule = command.price;
        let is_priced = rule != PriceRule::Free && rule != PriceRule::Missing;
        assert!(is_priced, "{} {rule:?}", command.name);
        assert!(command.reason.len() > 10, "{}", command.name);
    }
}

#[test]
fn what_raises_by_a_parameter_is_priced_and_what_never_does_is_free() {
    for command in table()
        .iter()
        .filter(|command| command.class != Class::Raises)
    {
        let can_raise = !command.raises_if.is_empty();
        assert_eq!(
            command.price != PriceRule::Free,
            can_raise,
            "{}",
            command.name
        );
        assert_ne!(command.price, PriceRule::Missing, "{}", command.name);
    }
}

#[test]
fn an_operator_classes_unknown_commands_but_changes_no_known_one() {
    let classes = [
        ("fooBar".to_owned(), "read".to_owned()),
        ("fooRaise".to_owned(), "raises".to_owned()),
        ("deployVirtualMachine".to_owned(), "read".to_owned()),
    ];
    let table = CommandTable::new(&classes).unwrap();
    let class = |name: &str| {
        table
            .get(name)
            .map(|command| (command.class, command.price))
    };
    assert_eq!(class("fooBar"), Some((Class::Read, PriceRule::Free)));
    assert_eq!(class("fooRaise"), Some((Class::Raises, PriceRule::Missing)));
    assert_eq!(
        class("deployVirtualMachine"),
        Some((Class::Raises, PriceRule::Deploy))
    );
    assert!(CommandTable::new(&[("x".to_owned(), "free".to_owned())]).is_err());
}

#[test]
fn a_command_is_known_in_its_own_case_only() {
    assert!(table().get("deployvirtualmachine").is_none());
    assert_eq!(table().resolve("deployvirtualmachine"), Known::No);
}

#[test]
fn an_unknown_list_passes_only_if_the_running_server_says_that_it_is_synchronous() {
    let mut table = table();
    assert_eq!(table.resolve("listNewThings"), Known::No);
    let live = [
        ("listNewThings", false),
        ("listSlow", true),
        ("getNew", false),
    ];
    table.learn_live(live.map(|(name, is_async)| (name.to_owned(), is_async)));
    assert_eq!(table.resolve("listNewThings"), Known::LiveList);
    assert_eq!(table.wrapper("listNewThings"), "listnewthingsresponse");
    assert_eq!(table.resolve("listSlow"), Known::No);
    assert_eq!(table.resolve("getNew"), Known::No);
    assert_eq!(table.wrapper("getNew"), "errorresponse");
}

#[test]
fn a_server_that_runs_a_command_otherwise_is_told_of() {
    let live = [
        ("listZones", true),
        ("deployVirtualMachine", true),
        ("stopVirtualMachine", false),
    ];
    let drifts = table().learn_live(live.map(|(name, is_async)| (name.to_owned(), is_async)));
    let names: Vec<&str> = drifts.iter().map(|drift| drift.command.as_str()).collect();
    assert_eq!(names, ["listZones", "stopVirtualMachine"]);
}

#[test]
fn a_harmless_command_raises_with_the_parameters_that_change_cost() {
    let raises = |rule| (Class::Raises, rule);
    let neutral = (Class::Neutral, PriceRule::Free);
    for (query, expected) in [
        ("command=updateVirtualMachine&id=1&displayname=x", neutral),
        (
            "command=updateVirtualMachine&id=1&details[0].cpuNumber=8",
            raises(PriceRule::VmDetails),
        ),
        (
            "command=updateVirtualMachine&id=1&DETAILS[0].memory=8",
            raises(PriceRule::VmDetails),
        ),
        (
            "command=updateVirtualMachine&id=1&cleanupdetails=true",
            raises(PriceRule::VmDetails),
        ),
        ("command=updateNetwork&id=1&displaytext=x", neutral),
        (
            "command=updateNetwork&id=1&networkofferingid=2",
            raises(PriceRule::NetworkChange),
        ),
        ("command=migrateVolume&volumeid=1&storageid=2", neutral),
        (
            "command=migrateVolume&volumeid=1&storageid=2&newdiskofferingid=3",
            raises(PriceRule::Resize),
        ),
        ("command=createVlanIpRange&startip=1", neutral),
        (
            "command=createVlanIpRange&startip=1&account=x&domainid=y",
            raises(PriceRule::AddressRange),
        ),
    ] {
        assert_eq!(judged(query), expected, "{query}");
    }
}

#[test]
fn creations_in_disguise_raise() {
    for name in [
        "getUploadParamsForVolume",
        "getUploadParamsForTemplate",
        "getUploadParamsForIso",
        "recoverVirtualMachine",
        "restoreVirtualMachine",
        "restoreVolumeFromBackupAndAttachToVM",
        "revertSnapshot",
        "archiveSnapshot",
        "addResourceDetail",
        "dedicatePublicIpRange",
        "assignVirtualMachine",
        "runCustomAction",
        "updateAutoScaleVmProfile",
        "restartVPC",
    ] {
        assert_eq!(table().get(name).unwrap().class, Class::Raises, "{name}");
    }
    for name in ["listAndSwitchSamlAccount", "login", "extractVolume"] {
        assert_eq!(table().get(name).unwrap().class, Class::Neutral, "{name}");
    }
}

#[test]
fn a_line_that_cannot_be_read_is_a_fault() {
    for line in [
        "x\tsync\tread\t-\t-\txresponse\tfree\t-",
        "x\tnow\tread\t-\t-\txresponse\tfree\t-\tr",
        "x\tsync\treads\t-\t-\txresponse\tfree\t-\tr",
        "x\tsync\tread\t-\tof moon=id\txresponse\tfree\t-\tr",
        "x\tsync\tread\t-\t-\txresponse\tcheap\t-\tr",
        "x\tsync\tread\t-\t-\txresponse\tfree\tfast\tr",
    ] {
        let fields: Vec<&str> = line.split('\t').collect();
        assert!(command(&fields).is_none(), "{line}");
    }
}
