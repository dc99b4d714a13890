//! Edge: where a session's key has to be: the management server and the gate before it answer
//! alike under every value of `api.sessionkey.check.locations`.

use crate::browser::Browser;
use crate::stage::{Heard, Stage};

/// What a request shows, each with the session's own key, another one, or none.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Key {
    None,
    Right,
    Wrong,
}
use Key::{None as No, Right, Wrong};

const KEYS: [Key; 3] = [No, Right, Wrong];

fn value(key: Key, own: &str) -> Option<String> {
    match key {
        No => None,
        Right => Some(own.to_owned()),
        Wrong => Some("w".repeat(own.len())),
    }
}

/// A raising call of a fresh session; and whether the session lives on.
fn ask(stage: &Stage, endpoint: &str, cookies: &[Key], parameter: Key) -> (Heard, bool) {
    let user = stage.text("/customers/1/name");
    let mut browser = Browser::login(endpoint, &user);
    let whole = browser.clone();
    let own = browser.key.clone();
    browser.cookies.retain(|(name, _)| name != "sessionkey");
    for key in cookies {
        let shown = value(*key, &own).map(|value| ("sessionkey".to_owned(), value));
        browser.cookies.extend(shown);
    }
    browser.key = value(parameter, &own).unwrap_or_default();
    let zone = stage.text("/zone_id");
    let offerings = stage
        .admin()
        .call("listDiskOfferings", &[("name", "Small")]);
    let offerings = offerings.unwrap().inside();
    let offering = offerings["diskoffering"][0]["id"].as_str().unwrap();
    let volume = [
        ("name", "v"),
        ("zoneid", &zone),
        ("diskofferingid", offering),
    ];
    let heard = browser.call("createVolume", &volume);
    let lives = whole.clone().call("listZones", &[]).status == 200;
    (heard, lives)
}

fn set(stage: &Stage, value: &str) {
    let asked = [("name", "api.sessionkey.check.locations"), ("value", value)];
    let heard = stage.admin().call("updateConfiguration", &asked).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let told = heard.inside();
    assert_eq!(told["configuration"]["value"], value, "{told}");
}

/// Whether cookie and parameter are enough.
type Suffices = fn(bool, bool) -> bool;

/// The setting's value, and which of cookie and parameter have to be there.
const SETTINGS: [(&str, Suffices); 3] = [
    ("CookieAndParameter", |cookie, parameter| {
        cookie && parameter
    }),
    ("ParameterOnly", |_, parameter| parameter),
    ("CookieOrParameter", |cookie, parameter| cookie || parameter),
];

#[test]
fn a_sessions_key_counts_where_the_management_server_asks_for_it() {
    let stage = Stage::start("session-places", &[]);
    let (gate, server) = (stage.text("/endpoint"), stage.text("/sandbox/endpoint"));
    for (setting, wanted) in SETTINGS {
        set(&stage, setting);
        for (cookie, parameter) in KEYS.iter().flat_map(|c| KEYS.map(|p| (*c, p))) {
            let what = format!("{setting}: cookie {cookie:?}, parameter {parameter:?}");
            let (direct, direct_lives) = ask(&stage, &server, &[cookie], parameter);
            let (gated, gated_lives) = ask(&stage, &gate, &[cookie], parameter);
            let is_wrong = [cookie, parameter].contains(&Wrong);
            let passes = !is_wrong && wanted(cookie != No, parameter != No);
            let expected = if passes { 200 } else { 401 };
            assert_eq!(direct.status, expected, "{what}: {direct:?}");
            assert_eq!(gated.status, expected, "{what}: {gated:?}");
            assert_eq!(direct_lives, passes, "{what}");
            if !passes {
                assert_eq!(gated.body, direct.body, "{what}");
            }
            // The gate tells two keys apart by itself, and no key at all; the server never hears
            // of the call, so its session lives on.
            let is_asked = cookie == parameter || [cookie, parameter].contains(&No);
            let is_asked = is_asked && (cookie, parameter) != (No, No);
            assert_eq!(gated_lives, passes || !is_asked, "{what}");
        }
    }
}

/// The one deviation: the management server reads the first cookie of the name, the gate refuses
/// to choose, under every setting.
#[test]
fn two_cookies_with_different_keys_raise_nothing_under_any_setting() {
    let stage = Stage::start("session-two-keys", &[]);
    let (gate, server) = (stage.text("/endpoint"), stage.text("/sandbox/endpoint"));
    for (setting, _) in SETTINGS {
        set(&stage, setting);
        for (cookies, at_server) in [([Right, Wrong], 200), ([Wrong, Right], 401)] {
            let what = format!("{setting}: {cookies:?}");
            let (direct, _) = ask(&stage, &server, &cookies, Right);
            assert_eq!(direct.status, at_server, "{what}: {direct:?}");
            let (gated, lives) = ask(&stage, &gate, &cookies, Right);
            assert_eq!(gated.status, 401, "{what}: {gated:?}");
            assert!(lives, "{what}");
        }
    }
}

#[test]
fn a_value_that_the_setting_does_not_have_is_refused() {
    let stage = Stage::start("session-no-place", &[]);
    let asked = [
        ("name", "api.sessionkey.check.locations"),
        ("value", "Nowhere"),
    ];
    let heard = stage.admin().call("updateConfiguration", &asked).unwrap();
    assert_eq!(heard.status, 431, "{heard:?}");
}
