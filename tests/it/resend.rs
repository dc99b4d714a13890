//! A client that asks again for an answer that it never got.

use crate::stage::{Stage, until};

#[test]
fn a_call_that_the_gates_death_cut_off_is_answered_with_the_job_it_started() {
    let mut stage = Stage::start("resend-after-death", &[]);
    let vm = stage.small_vm(0);
    let first = stage.customer(0).deploy(&vm).unwrap();
    assert_eq!(first.status, 200, "{first:?}");
    stage.kill_gate();
    stage.start_again();
    // The very same request: no expiry, so the very same signature.
    let again = stage.customer(0).deploy(&vm).unwrap();
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.inside()["jobid"], first.inside()["jobid"]);
    assert_eq!(again.inside()["id"], first.inside()["id"]);
    until("it runs", || stage.machines("Running").len() == 1);

    let second = stage.customer(0).deploy(&vm).unwrap();
    assert_eq!(second.status, 200, "{second:?}");
    assert_ne!(second.inside()["jobid"], first.inside()["jobid"]);
    until("both run", || stage.machines("Running").len() == 2);
}
