//! Pure: the order in which servers are tried.

use super::*;

fn three() -> Servers {
    Servers::new(["a", "b", "c"].map(|name| (name.to_owned(), name.to_owned())))
}

#[test]
fn calls_outside_a_session_take_turns_among_the_servers_that_are_up() {
    let servers = three();
    servers.note(1, false);
    let firsts: Vec<usize> = (0..6).map(|_| servers.order(None)[0]).collect();
    assert!(!firsts.contains(&1) && firsts.contains(&0) && firsts.contains(&2));
    for order in (0..6).map(|_| servers.order(None)) {
        assert_eq!(order.last(), Some(&1), "{order:?}");
        assert_eq!(order.len(), 3);
    }
}

#[test]
fn a_session_goes_to_its_own_server_even_where_that_seems_down() {
    let servers = three();
    let session = session_id("node0abc.node0");
    servers.remember(session, 2);
    servers.note(2, false);
    for _ in 0..4 {
        assert_eq!(servers.order(Some(&session))[0], 2);
    }
}

#[test]
fn an_unknown_session_goes_to_one_server_each_time() {
    let servers = three();
    let session = session_id("unknown");
    let first = servers.order(Some(&session));
    for _ in 0..4 {
        assert_eq!(servers.order(Some(&session)), first);
    }
}

#[test]
fn the_server_whose_answer_opens_a_session_is_known_by_its_cookie() {
    let mut headers = HeaderMap::new();
    for line in [
        "sessionkey=abc;HttpOnly",
        "JSESSIONID=node01.node0; Path=/client",
        "JSESSIONID=; Max-Age=0",
    ] {
        headers.append(header::SET_COOKIE, line.parse().unwrap());
    }
    let found: Vec<SessionId> = opened_sessions(&headers).collect();
    assert_eq!(found, [session_id("node01")]);
}
