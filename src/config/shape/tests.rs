//! Pure: configurations as written, as tables.

use super::*;

#[test]
fn several_servers_are_read_in_order_and_each_once() {
    let head = "[listen]\ngate = \"127.0.0.1:1\"\nops = \"127.0.0.1:2\"\n[upstream]\n";
    let two = "servers = [\"http://a:1/client/api\", \"http://b/client/api\"]\n";
    let environment = |name: &str| name.contains("_READER_").then(|| "x".to_owned());
    let read = |text: String| check("f.toml", &text, Path::new("."), &environment);
    let config = read(format!("{head}{two}host = \"cloud\"\n")).unwrap();
    let servers: Vec<(String, String)> = config.upstream.servers().collect();
    let expected = [("a:1", "cloud"), ("b:80", "cloud")];
    let expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(servers, expected);
    for wrong in [
        String::new(),
        "servers = []\n".to_owned(),
        format!("{two}url = \"http://a:1/client/api\"\n"),
        two.replace("b/", "a:1/"),
    ] {
        assert!(read(format!("{head}{wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn every_fault_is_told_at_once_with_its_line() {
    let text = "[listen]\ngate = \"nowhere\"\nops = \"127.0.0.1:1\"\nthreads = 0\n\
                [upstream]\nurl = \"ftp://x\"\n[commands]\nfooBar = \"cheap\"\n";
    let faults = check("f.toml", text, Path::new("."), &|_| None).unwrap_err();
    let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 4, 6, 6, 6, 8], "{faults:#?}");
}

#[test]
fn an_unknown_key_is_a_fault_that_names_it() {
    let text = "[listen]\ngate = \"127.0.0.1:1\"\nopps = \"x\"\n[upstream]\nurl = \"\"\n";
    let faults = check("f.toml", text, Path::new("."), &|_| None).unwrap_err();
    assert!(
        faults[0].what.contains("opps") && faults[0].line == 3,
        "{faults:?}"
    );
}

#[test]
fn the_environment_overrides_secrets_and_the_address() {
    let text = "[listen]\ngate = \"127.0.0.1:1\"\nops = \"127.0.0.1:2\"\n\
                [upstream]\nurl = \"http://a/client/api\"\n";
    let environment = |name: &str| match name {
        "FAREGATE_UPSTREAM_URL" => Some("http://b:9/client/api".to_owned()),
        name if name.contains("_READER_") => Some("from-environment".to_owned()),
        _ => None,
    };
    let config = check("f.toml", text, Path::new("."), &environment).unwrap();
    assert_eq!(config.upstream.server, "b:9");
    assert_eq!(config.upstream.reader_key, "from-environment");
    assert!(
        !format!("{config:?}").contains("SecretString(\"from"),
        "a secret is shown"
    );
}

#[test]
fn traces_go_to_a_plain_address_and_want_a_program_that_can_send_them() {
    let head = "[listen]\ngate = \"127.0.0.1:1\"\nops = \"127.0.0.1:2\"\n[upstream]\n\
                url = \"http://a:1/client/api\"\n[traces]\n";
    let environment = |name: &str| name.contains("_READER_").then(|| "x".to_owned());
    let read = |table: &str| {
        let text = format!("{head}{table}");
        check("f.toml", &text, Path::new("."), &environment)
    };
    for (wrong, what) in [
        ("endpoint = \"https://c/v1/traces\"\n", "no http:// address"),
        (
            "endpoint = \"http://me:hunter2@c/v1/traces\"\n",
            "or carries a password",
        ),
        ("endpoint = \"c:4318\"\n", "no http:// address"),
        ("name = \"gate-1\"\n", "without traces.endpoint"),
    ] {
        let faults = read(wrong).unwrap_err();
        let told: String = faults.iter().map(ToString::to_string).collect();
        assert!(told.contains(what), "{wrong}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let right = read("endpoint = \"http://127.0.0.1:4318/v1/traces\"\nname = \"gate-1\"\n");
    let sends = cfg!(feature = "otel");
    assert_eq!(right.is_ok(), sends);
    match right {
        Ok(config) => assert_eq!(config.traces.unwrap().name, "gate-1"),
        Err(faults) => {
            assert_eq!((faults.len(), faults[0].line), (1, 7), "{faults:?}");
            assert!(faults[0].instead.contains("--features otel"), "{faults:?}");
        }
    }
}
