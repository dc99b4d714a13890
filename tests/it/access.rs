//! Access rules at the gate: who is refused what, by which rule, in CloudStack's own form.

use crate::browser::Browser;
use crate::reload::write;
use crate::stage::{Caller, Stage, until};

fn rule(id: &str, rest: &str) -> String {
    format!("[[access]]\nid = \"{id}\"\nverdict = \"deny\"\nreason = \"told\"\n{rest}\n")
}

fn status(caller: &Caller, command: &str, params: &[(&str, &str)]) -> u16 {
    caller.call(command, params).unwrap().status
}

#[test]
fn a_denied_call_never_reaches_the_management_server() {
    let stage = Stage::start("access", &[]);
    let (paula, pete) = (stage.customer(0), stage.customer(1));
    let vm = stage.small_vm(0);
    let made = paula.deploy(&vm).unwrap().inside();
    assert_eq!(paula.job_end(made["jobid"].as_str().unwrap()), 1);
    let id = made["id"].as_str().unwrap().to_owned();

    let paulas_domain = {
        let asked = stage
            .admin()
            .call("listDomains", &[("name", "prepaid-paula")]);
        let list = asked.unwrap().inside();
        list["domain"][0]["id"].as_str().unwrap().to_owned()
    };
    let texts = [
        rule(
            "no-more",
            "command = [\"deployVirtualMachine\"]\nkind = [\"user\"]",
        ),
        rule(
            "stays",
            &format!("command = [\"stopVirtualMachine\"]\ndomain = \"{paulas_domain}\""),
        ),
        rule(
            "no-users",
            &format!("command = [\"listU*\"]\ndomain = \"{paulas_domain}\""),
        ),
        rule(
            "no-log",
            "command = [\"listEvents\"]\naddress = [\"127.0.0.0/8\"]",
        ),
        rule("by-role", "command = [\"listNetworks\"]\nrole = [\"User\"]"),
        rule(
            "by-another-role",
            "command = [\"listVolumes\"]\nrole = [\"Domain Admin\"]",
        ),
        rule(
            "cel",
            "command = [\"listZones\"]\nwhen = \"has(params.id) && params.id == 'x'\"",
        ),
    ];
    write(&stage, "access/test.toml", &texts.concat());
    until("the rules are in force", || {
        status(&paula, "listEvents", &[]) == 531
    });

    let refused = paula.deploy(&vm).unwrap();
    assert_eq!(refused.status, 531, "{refused:?}");
    assert!(
        refused.body.contains("\"deployvirtualmachineresponse\""),
        "{refused:?}"
    );
    assert!(refused.body.contains("\"errorcode\":531"), "{refused:?}");
    assert!(refused.body.contains("told (rule no-more)"), "{refused:?}");
    let xml = paula.call_in("xml", "listUsers", &[]).unwrap();
    assert!(xml.body.contains("<errorcode>531</errorcode>"), "{xml:?}");

    // A lowering call is denied by an operator's explicit wish; another domain's is not.
    assert_eq!(status(&paula, "stopVirtualMachine", &[("id", &id)]), 531);
    assert_eq!(stage.machines("Running"), [id.as_str()]);
    let told = pete.call("stopVirtualMachine", &[("id", &id)]).unwrap();
    assert!(
        told.status == 531 && !told.body.contains("rule stays"),
        "{told:?}"
    );
    assert_eq!(stage.machines("Running"), [id.as_str()]);
    assert_eq!(status(&pete, "listUsers", &[]), 200);
    assert_eq!(status(&paula, "listNetworks", &[]), 531);
    assert_eq!(status(&paula, "listVolumes", &[]), 200);
    assert_eq!(status(&paula, "listZones", &[]), 200);
    assert_eq!(status(&paula, "listZones", &[("id", "x")]), 531);

    // Who is not verified hears CloudStack, not the rules of the one he claims to be.
    let stranger = Caller {
        secret: "wrong".to_owned(),
        ..paula.clone()
    };
    assert_eq!(status(&stranger, "listUsers", &[]), 401);
    assert_eq!(stranger.deploy(&vm).unwrap().status, 401);
    assert_eq!(status(&stranger, "listEvents", &[]), 531);
}

/// What the gate learnt of a caller lasts half a minute; the rule follows the new name at once, for
/// a signed call as in a login session.
#[test]
fn a_role_that_is_renamed_or_given_away_counts_by_its_new_name_at_once() {
    let stage = Stage::start("access-role", &[]);
    let (admin, paula) = (stage.customer(0), stage.customer(0));
    let admin = Caller {
        key: stage.admin().key,
        secret: stage.admin().secret,
        ..admin
    };
    let ok = |command: &str, params: &[(&str, &str)]| {
        let heard = admin.call(command, params).unwrap();
        assert_eq!(heard.status, 200, "{command}: {heard:?}");
        heard.inside()
    };
    let made = ok("createRole", &[("name", "Interns"), ("type", "User")]);
    let role = made["role"]["id"].as_str().unwrap();
    let found = ok(
        "listAccounts",
        &[("listall", "true"), ("name", "prepaid-paula")],
    );
    let account = found["account"][0]["id"].as_str().unwrap();
    write(
        &stage,
        "access/test.toml",
        &[
            rule(
                "interns",
                "command = [\"listNetworks\"]\nrole = [\"Interns\"]",
            ),
            rule("others", "command = [\"listVolumes\"]\nrole = [\"Staff\"]"),
            rule("loaded", "command = [\"listEvents\"]"),
        ]
        .concat(),
    );
    until("the rules are in force", || {
        status(&paula, "listEvents", &[]) == 531
    });
    let mut browser = Browser::login(&stage.text("/endpoint"), "prepaid-paula");
    let mut by_role = |networks: u16, volumes: u16| {
        assert_eq!(status(&paula, "listNetworks", &[]), networks);
        assert_eq!(status(&paula, "listVolumes", &[]), volumes);
        assert_eq!(browser.call("listNetworks", &[]).status, networks);
        assert_eq!(browser.call("listVolumes", &[]).status, volumes);
    };
    by_role(200, 200);
    ok("updateAccount", &[("id", account), ("roleid", role)]);
    by_role(531, 200);
    ok("updateRole", &[("id", role), ("name", "Staff")]);
    by_role(200, 531);
}

#[test]
fn explain_says_what_then_happens() {
    let stage = Stage::start("explain", &[]);
    let paula = stage.customer(0);
    let vm = stage.small_vm(0);
    let pairs: Vec<String> = vm
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let call = format!("command=deployVirtualMachine&{}", pairs.join("&"));
    let config = stage.config();
    let explain = |call: &str, who: &[&str]| {
        let question = ["policy", "explain", call, "--config", &config];
        stage.faregate(&[&question, who].concat())
    };
    let told = explain(&call, &["--as", &paula.key]);
    for part in [
        "class    raises",
        "prepaid-paula",
        "no rule speaks",
        "EUR an hour",
        "enforce",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.contains("verdict  held and forwarded"), "{told}");
    assert!(
        told.contains("price line") && told.contains("RunningVm"),
        "{told}"
    );
    let told = explain(&call, &["--as", &paula.key, "--json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["payer"], "prepaid-paula", "{told}");
    assert_eq!(told["verdict"]["what"], "held and forwarded", "{told}");
    assert!(explain(&call, &[]).contains("C10 (401)"));
    assert!(explain("command=listZones", &["--as", &paula.key]).contains("forwarded"));
    assert!(explain("command=fooBar", &[]).contains("C8 (432)"));
    assert!(
        stage.machines("Running").is_empty(),
        "explaining started a machine"
    );

    let text = rule(
        "no-more",
        "command = [\"deployVirtualMachine\"]\nkind = [\"user\"]",
    );
    write(&stage, "access/test.toml", &text);
    until("the rule is in force", || {
        let told = explain(&call, &["--as", &paula.key]);
        told.contains("rule no-more denies: told")
            && told.contains("verdict  refused: access (531)")
    });
    assert_eq!(paula.deploy(&vm).unwrap().status, 531);
}

#[test]
fn the_worked_policies_pass_their_own_tables_on_the_command_line() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let run = |folder: &str| {
        let program = std::process::Command::new(env!("CARGO_BIN_EXE_faregate"))
            .args(["policy", "test", folder])
            .output()
            .unwrap();
        (
            program.status.success(),
            String::from_utf8(program.stdout).unwrap(),
        )
    };
    let (good, told) = run(folder);
    assert!(good && told.contains("0 fault(s)"), "{told}");

    let copy = crate::stage::folder("policy-test");
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(folder)
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    let path = copy.join("access/00-platform.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("over = 32", "over = 128")).unwrap();
    let (good, told) = run(&copy.display().to_string());
    assert!(
        !good && told.contains("a machine with 64 cores needs a contract"),
        "{told}"
    );
    std::fs::remove_dir_all(copy).unwrap();
}
