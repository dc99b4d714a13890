//! Pure: plans as clients write them, and which line is for which call.

use super::*;

fn read(query: &str) -> Result<Asked, Refusal> {
    Asked::read(&ParamMap::parse(query.as_bytes(), b"").unwrap())
}

#[test]
fn a_plan_is_read_call_by_call_with_maps_inside() {
    let asked = read(
        "command=createFaregateBundle&apikey=k&signature=s&response=json&clientKey=order-7&\
         lifetime=90&call[1].command=createVolume&call[0].command=deployVirtualMachine&\
         Call[0].details[0].memory=512&call[0].name=a%26b%3Dc",
    )
    .unwrap();
    assert_eq!(asked.client_key, "order-7");
    assert_eq!(asked.lifetime, Some(90 * SECOND));
    let wire: Vec<String> = asked.calls.iter().map(ParamMap::to_wire).collect();
    let first = "command=deployVirtualMachine&details%5B0%5D.memory=512&name=a%26b%3Dc";
    assert_eq!(wire, [first, "command=createVolume"]);
}

#[test]
fn what_cannot_be_read_as_a_plan_is_refused_by_name() {
    let table = [
        ("command=x", "call"),
        ("call[1].command=x", "call"),
        ("call[0].command=x&call[2].command=x", "call"),
        ("call[00].command=x", "call[00].command"),
        ("call[-1].command=x", "call[-1].command"),
        ("call[0]command=x", "call[0]command"),
        ("call[0].zoneid=x", "call[0]"),
        ("call[0].command=x&call[0].apikey=k", "call[0]"),
        ("call[0].command=x&call[0].ctxuserid=1", "call[0]"),
        ("call[0].command=x&expire=5", "expire"),
        ("call[0].command=x&lifetime=0", "lifetime"),
        ("call[0].command=x&lifetime=1h", "lifetime"),
        ("call[0].command=x&clientkey=a%20b", "clientkey"),
    ];
    for (query, name) in table {
        match read(query) {
            Err(Refusal::Parameter { name: found, .. }) => assert_eq!(found, name, "{query}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    let many: Vec<String> = (0..=BUNDLE_LINES_MAX)
        .map(|at| format!("call[{at}].command=x"))
        .collect();
    assert!(read(&many.join("&")).is_err());
    assert!(read(&many[1..].join("&").replace("[50]", "[0]")).is_ok());
}

#[test]
fn one_name_is_one_plan_and_another_lifetime_is_another() {
    let of = |query: &str| read(query).unwrap().digest();
    let plan = of("call[0].command=x&call[1].command=y");
    assert_eq!(plan, of("call[1].command=y&call[0].command=x&signature=z"));
    assert_ne!(plan, of("call[0].command=y&call[1].command=x"));
    assert_ne!(plan, of("call[0].command=x&call[1].command=y&lifetime=5"));
}

#[test]
fn a_line_is_for_a_call_that_says_all_of_it_and_perhaps_more() {
    let line = ("createVolume", "command=createVolume&size=5&zoneid=z");
    let table = [
        ("command=createVolume&size=5&zoneid=z", true),
        ("command=createvolume&size=5&zoneId=z&name=n&apikey=k", true),
        ("command=createVolume&size=6&zoneid=z", false),
        ("command=createVolume&size=5", false),
        ("command=resizeVolume&size=5&zoneid=z", false),
    ];
    for (call, is_for) in table {
        let call = ParamMap::parse(call.as_bytes(), b"").unwrap();
        assert_eq!(fits(line, &call), is_for, "{}", call.to_wire());
    }
}
