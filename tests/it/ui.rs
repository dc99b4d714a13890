//! The web interface's files and the console through the gate, as they come from the server.

use crate::browser::Browser;
use crate::stage::{Heard, Stage, address_of, exchange};

/// A request with these headers, at the gate and at the sandbox itself.
fn both(stage: &Stage, method: &str, target: &str, headers: &str) -> [Heard; 2] {
    [stage.text("/endpoint"), stage.text("/sandbox/endpoint")].map(|endpoint| {
        let address = address_of(&endpoint);
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n"
        );
        exchange(&address, &request).unwrap()
    })
}

/// Status line and headers, but for those of one hop, sorted.
fn head(heard: &Heard) -> Vec<String> {
    let mut lines: Vec<String> = heard
        .head
        .lines()
        .map(str::to_lowercase)
        .filter(|line| !line.starts_with("connection:") && !line.starts_with("transfer-encoding:"))
        .collect();
    lines.sort();
    lines
}

#[test]
fn files_conditions_and_ranges_come_through_as_they_are() {
    let stage = Stage::start("ui-files", &[]);
    for (method, target, headers, status) in [
        ("GET", "/client/", "", 200),
        ("GET", "/client/index.html", "", 200),
        ("HEAD", "/client/index.html", "", 200),
        ("GET", "/client/config.json?ts=1700000000000", "", 200),
        ("GET", "/client/js/app.0a1b2c3d.js", "", 200),
        (
            "GET",
            "/client/js/app.0a1b2c3d.js",
            "Range: bytes=0-6\r\n",
            206,
        ),
        (
            "GET",
            "/client/css/app.0a1b2c3d.css",
            "If-None-Match: W/\"stand-in\"\r\n",
            304,
        ),
        (
            "GET",
            "/client/locales/en.json",
            "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT\r\n",
            304,
        ),
        ("GET", "/client/js/none.js", "", 404),
        ("GET", "/client", "", 302),
    ] {
        let [through, direct] = both(&stage, method, target, headers);
        assert_eq!(through.status, status, "{target}: {through:?}");
        assert_eq!(head(&through), head(&direct), "{target}");
        assert_eq!(through.body, direct.body, "{target}");
    }
}

#[test]
fn the_root_leads_to_the_web_interface() {
    let stage = Stage::start("ui-root", &[]);
    let [through, _] = both(&stage, "GET", "/", "");
    assert_eq!(through.status, 302);
    assert!(through.head.to_lowercase().contains("location: /client/"));
}

#[test]
fn what_is_not_in_the_list_and_what_writes_is_refused_here() {
    let stage = Stage::start("ui-refused", &[]);
    for (method, target, status) in [
        ("GET", "/sandbox/state", 404),
        ("GET", "/client/WEB-INF/web.xml", 404),
        ("GET", "/client/assets/../../sandbox/state", 400),
        ("GET", "/client/assets/%2e%2e/x.js", 400),
        ("GET", "/client/assets/x.js;jsessionid=1", 400),
        ("GET", "/client/index.jsp", 404),
        ("PUT", "/client/index.html", 405),
        ("POST", "/client/index.html", 405),
        ("DELETE", "/client/js/app.0a1b2c3d.js", 405),
        ("GET", "/client/console", 404),
        ("GET", "/client/console?cmd=shell", 404),
        (
            "GET",
            "/client/console?cmd=access&command=deployVirtualMachine",
            431,
        ),
        ("GET", "/client/console?cmd=access&CMD=thumbnail", 431),
    ] {
        let [through, _] = both(&stage, method, target, "");
        assert_eq!(through.status, status, "{method} {target}: {through:?}");
    }
}

#[test]
fn no_cookie_goes_to_a_file_and_a_sessions_cookies_go_to_the_console() {
    let stage = Stage::start("ui-console", &[]);
    let mut paula = Browser::login(&stage.text("/endpoint"), "prepaid-paula");
    let target = format!("/client/console?cmd=access&vm=1&sessionkey={}", paula.key);
    let heard = paula.raw("GET", &target, "");
    assert!(
        heard.body.contains("console with a session: cmd=access"),
        "{heard:?}"
    );
    let signed = "/client/console?cmd=access&vm=1&apikey=k&signature=s";
    let heard = paula.raw("GET", signed, "");
    assert!(
        heard.body.contains("console without a session"),
        "{heard:?}"
    );
}
