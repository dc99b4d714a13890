//! Edge: a session's raising calls and what changes it take turns.

use super::*;
use crate::cloudstack::envelope::Format;
use crate::cloudstack::query::ParamMap;
use crate::gate::authenticate::Person;
use crate::gate::parse::{Method, SessionCookies};

fn call(session: &str) -> Call {
    let mut params = ParamMap::default();
    params.insert("sessionkey", "k");
    Call {
        method: Method::Get,
        params,
        format: Format::Json,
        cookies: Some(SessionCookies {
            session: session.to_owned(),
            key: Some("k".to_owned()),
            keys_differ: false,
        }),
        user_agent: None,
        bundle: None,
    }
}

fn vouch(sessions: &Sessions, call: &Call) {
    let vouched = Vouched {
        shown: session_key::shown(call).unwrap(),
        person: Arc::new(Person {
            user: None,
            account: "a".into(),
            account_name: "a".to_owned(),
            account_kind: 0,
            role: None,
            domains: vec!["d".into()],
        }),
    };
    let session = session_key::id(call.cookies.as_ref().unwrap());
    sessions.vouched.insert(session, Arc::new(vouched));
}

#[tokio::test]
async fn a_change_waits_for_the_raising_calls_of_its_own_session_alone() {
    let sessions = Arc::new(Sessions::default());
    let first = sessions.enter(&call("s.node0")).await;
    let second = sessions.enter(&call("s")).await;
    assert!(first.is_some() && second.is_some(), "they run side by side");
    assert!(sessions.change(&call("other")).await.is_ok());
    let changing = tokio::spawn({
        let sessions = sessions.clone();
        async move { sessions.change(&call("s")).await.map(drop) }
    });
    tokio::task::yield_now().await;
    assert!(!changing.is_finished());
    drop(first);
    tokio::task::yield_now().await;
    assert!(!changing.is_finished());
    drop(second);
    assert!(changing.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_change_whose_turn_does_not_come_is_refused_rather_than_sent() {
    let sessions = Sessions::default();
    let _raising = sessions.enter(&call("s")).await;
    let refused = sessions.change_within(&call("s"), Duration::ZERO).await;
    let refused = refused.map(drop);
    assert_eq!(refused, Err(Refusal::Busy));
}

#[tokio::test]
async fn a_changed_session_is_known_no_more() {
    let sessions = Sessions::default();
    for (what, forget) in [
        ("a change", 0),
        ("a refusal", 1),
        ("a command that changes people", 2),
    ] {
        vouch(&sessions, &call("s"));
        assert!(sessions.known(&call("s")).is_some());
        match forget {
            0 => drop(sessions.change(&call("s.node0")).await.unwrap()),
            1 => sessions.forget(&call("s")),
            _ => sessions.heed("disableAccount"),
        }
        assert!(sessions.known(&call("s")).is_none(), "{what}");
    }
}

#[test]
fn locks_that_nobody_holds_are_not_kept() {
    let sessions = Sessions::default();
    for number in 0..5 * TURNS_KEPT_MAX {
        let _ = sessions.lock_of(session_key::id(&SessionCookies {
            session: number.to_string(),
            key: None,
            keys_differ: false,
        }));
    }
    assert!(sessions.turns.lock().unwrap().len() <= TURNS_KEPT_MAX);
}
