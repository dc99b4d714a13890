use super::*;

fn stands(query: &str) -> Result<Standing<'static>, Refusal> {
    static TABLE: std::sync::LazyLock<CommandTable> = std::sync::LazyLock::new(|| {
        let mut table = CommandTable::new(&[]).unwrap();
        table.learn_live([("listPluginThings".to_owned(), false)]);
        table
    });
    standing(&TABLE, &ParamMap::parse(query.as_bytes(), b"").unwrap())
}

#[test]
fn a_value_is_as_long_as_its_schema_says_and_255_bytes_where_it_says_nothing() {
    let of = |name: &str, length: usize| format!("{name}={}", "a".repeat(length));
    for (query, passes) in [
        (format!("command=listZones&{}", of("keyword", 255)), true),
        (format!("command=listZones&{}", of("keyword", 256)), false),
        (format!("command=nothing&{}", of("x", 256)), false),
        (
            format!("command=registerUserData&{}", of("userdata", 300_000)),
            true,
        ),
        (
            format!("command=deployVirtualMachine&name={}", "東".repeat(255)),
            true,
        ),
        (
            format!("command=deployVirtualMachine&name={}", "東".repeat(256)),
            false,
        ),
        (
            format!("command=deployVirtualMachine&nothing={}", "東".repeat(86)),
            false,
        ),
        (
            format!("command=updateTemplate&{}", of("displaytext", 4_096)),
            true,
        ),
        (
            format!("command=updateTemplate&{}", of("displaytext", 4_097)),
            false,
        ),
        (
            format!("command=listVirtualMachines&{}", of("ids", 2_000)),
            true,
        ),
        (
            format!("command=deployVirtualMachine&{}", of("details[0].x", 256)),
            false,
        ),
    ] {
        let long = matches!(stands(&query), Err(Refusal::Parameter { .. }));
        assert_eq!(
            !long,
            passes,
            "{}",
            query.chars().take(60).collect::<String>()
        );
    }
}

#[test]
fn a_list_of_the_running_server_passes_and_other_unknown_names_do_not() {
    assert_eq!(stands("command=listPluginThings"), Ok(Standing::Forwarded));
    assert_eq!(stands("response=json"), Ok(Standing::Forwarded));
    for name in [
        "listOtherThings",
        "deployPluginThing",
        "listzones",
        "LISTZONES",
    ] {
        let refusal = stands(&format!("command={name}"));
        assert_eq!(
            refusal,
            Err(Refusal::UnknownCommand(name.to_owned())),
            "{name}"
        );
    }
}

#[test]
fn the_parameters_decide_where_the_table_says_so() {
    let class = |query: &str| match stands(query) {
        Ok(Standing::Known(class, command)) => {
            assert_eq!(class, command.class);
            class
        }
        other => panic!("{query}: {other:?}"),
    };
    assert_eq!(class("command=updateVirtualMachine&name=x"), Class::Neutral);
    assert_eq!(
        class("command=updateVirtualMachine&details[0].memory=9"),
        Class::Raises
    );
    assert_eq!(class("command=stopVirtualMachine"), Class::Lowers);
}
