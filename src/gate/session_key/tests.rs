//! Pure: what a session's call shows, and which answers name one account.

use super::*;

fn call(session: &str, cookie: Option<&str>, parameter: Option<&str>) -> Call {
    let mut params = ParamMap::default();
    params.insert("command", "deployVirtualMachine");
    if let Some(key) = parameter {
        params.insert("sessionkey", key);
    }
    Call {
        method: Method::Get,
        params,
        format: Format::Json,
        cookies: Some(SessionCookies {
            session: session.to_owned(),
            key: cookie.map(str::to_owned),
            keys_differ: false,
        }),
        user_agent: None,
        bundle: None,
    }
}

#[test]
fn a_key_vouched_for_in_two_places_is_not_shown_by_one_place_or_another_key() {
    let both = shown(&call("s", Some("k"), Some("k")));
    assert!(both.is_some());
    assert_eq!(both, shown(&call("s", Some("k"), Some("k"))));
    for (cookie, parameter) in [
        (Some("k"), None),
        (None, Some("k")),
        (Some("x"), Some("x")),
        (Some("k"), Some("K")),
    ] {
        assert_ne!(
            both,
            shown(&call("s", cookie, parameter)),
            "{cookie:?} {parameter:?}"
        );
    }
    assert_eq!(shown(&call("s", None, None)), None);
}

#[test]
fn one_session_with_and_without_its_servers_suffix_is_one() {
    assert_eq!(session_id("node0abc.node0"), session_id("node0abc"));
    assert_ne!(session_id("node0abc"), session_id("node0abd"));
}

#[test]
fn two_different_keys_in_one_call_differ() {
    assert!(!differs(&call("s", Some("k"), Some("k"))));
    assert!(!differs(&call("s", Some("k"), None)));
    assert!(differs(&call("s", Some("k"), Some("l"))));
    let mut two_cookies = call("s", Some("k"), Some("k"));
    two_cookies.cookies.as_mut().unwrap().keys_differ = true;
    assert!(differs(&two_cookies));
}

#[test]
fn the_question_shows_what_the_call_shows_and_nothing_else_of_it() {
    let mut asking = call("s", Some("k"), Some("k"));
    asking.params.insert("account", "victim");
    let asked = question(&asking);
    assert_eq!(asked.params.get("account"), None);
    assert_eq!(shown(&asked), shown(&asking));
    assert_eq!(asked.cookies_upstream(), asking.cookies_upstream());
}

#[test]
fn only_an_answer_with_one_account_names_the_caller() {
    let account = |id: &str| Node {
        name: "account".to_owned(),
        text: String::new(),
        children: [
            ("id", id),
            ("name", "n"),
            ("domainid", "d"),
            ("accounttype", "0"),
        ]
        .map(|(name, text)| Node::leaf(name, text))
        .into(),
    };
    let answer = |accounts: Vec<Node>| Node {
        name: "listaccountsresponse".to_owned(),
        text: String::new(),
        children: accounts,
    };
    let one = own_account(&answer(vec![account("a")])).unwrap();
    assert_eq!(one.person.account.as_str(), "a");
    assert_eq!(own_account(&answer(vec![])), None);
    assert_eq!(own_account(&answer(vec![account("a"), account("b")])), None);
}
