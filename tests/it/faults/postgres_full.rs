//! Edge: the file system of PostgreSQL is full: ext4 on a loop device.

use super::disk_full::Small;
use super::{ask, charged, deploys, settled};
use crate::postgres::Server;
use crate::stage::{Stage, until};
use faregate::store::{Place, Store};
use secrecy::SecretString;

/// Reads and stops pass, raising calls are refused and hold nothing; when there is room again
/// the gate goes on by itself. PostgreSQL itself may need a start: it ends where its log is full.
#[test]
fn a_full_disk_of_postgresql_refuses_raising_calls_alone_and_loses_nothing() {
    let Some(small) = Small::mount("postgres-full-fs", 200) else {
        return;
    };
    let server = Server::start_in(&small.here().join("books"));
    let url = ask(server.database());
    let environment = [
        ("FAREGATE_POSTGRES_URL", url.as_str()),
        ("FAREGATE_NODE", "one"),
    ];
    let stage = Stage::start_in("postgres-full", &[], &environment);
    stage.top_up("prepaid-paula", "100", "more");
    let mut answered = deploys(&stage, "before", 3);
    assert_eq!(answered.len(), 3);
    small.fill();
    // What fits into what the log has left may pass; then it is full.
    let mut round = 0;
    until("raising calls are refused", || {
        round += 1;
        let made = deploys(&stage, &format!("full-{round}"), 2);
        let none = made.is_empty();
        answered.extend(made);
        none || answered.len() > 14
    });
    let paula = stage.customer(0);
    let listed = paula.call("listVirtualMachines", &[]).unwrap();
    assert_eq!(listed.status, 200, "{listed:?}");
    let first = [("id", answered[0].as_str())];
    let stopped = paula.call("stopVirtualMachine", &first).unwrap();
    assert_eq!(stopped.status, 200, "{stopped:?}");

    small.free();
    if !server.accepts() {
        server.serve();
    }
    until("raising calls pass again", || {
        let made = deploys(&stage, "after", 1);
        let some = !made.is_empty();
        answered.extend(made);
        some
    });
    settled(&stage);
    let running = stage.machines("Running");
    for id in answered.iter().skip(1) {
        assert!(running.contains(id), "{id} was answered, not made");
    }
    let place = Place::Postgres {
        url: SecretString::from(url),
        node: None,
    };
    until("all that runs is charged, and nothing else", || {
        let running = stage.machines("Running").into_iter();
        charged(&place) == running.map(|id| (id, 1)).collect()
    });
    let faults = ask(async { Store::open_at(&place).await.unwrap().verify().await });
    assert_eq!(faults.unwrap().faults, []);
}
