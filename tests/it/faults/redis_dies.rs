//! Edge: Redis hangs, is emptied and is killed while calls race for the last money.

use super::{audit, deploy, in_folder, settled};
use crate::limits_shared::Redis;
use crate::stage::{Stage, until};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// 7 × 0.432240 fit, 8 do not.
const MORE: &str = "2.30";

/// A limit that counts every call, so that each asks Redis.
const COUNTED: &str = "[[limit]]\nid = \"calls\"\nper = \"account\"\ncalls = 1000\n\
                       period = \"1h\"\nreason = \"agreed\"\n";

#[test]
fn a_redis_that_hangs_is_emptied_or_dies_under_load_changes_nobodys_balance() {
    let mut redis = Redis::start();
    let url = redis.url();
    let environment = [("FAREGATE_REDIS_URL", url.as_str())];
    let mut stage = Stage::start_in("redis-dies", &[], &environment);
    stage.with_policy("calls.toml", COUNTED);
    stage.top_up("prepaid-paula", MORE, "more");
    let over = AtomicBool::new(false);
    let answered: Vec<String> = std::thread::scope(|scope| {
        let (stage, over) = (&stage, &over);
        let callers = (0..4).map(|caller| {
            scope.spawn(move || {
                let mut made = Vec::new();
                for turn in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    made.extend(deploy(stage, &format!("redis-{caller}-{turn}")));
                }
                made
            })
        });
        let callers: Vec<_> = callers.collect();
        for _ in 0..3 {
            redis.signal("-STOP");
            std::thread::sleep(Duration::from_millis(400));
            redis.signal("-CONT");
            redis.flush();
            std::thread::sleep(Duration::from_millis(100));
            redis.kill();
            std::thread::sleep(Duration::from_millis(300));
            redis.serve_again();
        }
        over.store(true, Ordering::Relaxed);
        let made = callers.into_iter();
        made.flat_map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(answered.len(), 7, "money for seven");
    settled(&stage);
    let running = stage.machines("Running");
    assert_eq!(running.len(), 7);
    until("each is charged", || {
        super::charged(&in_folder(&stage.folder)).len() == 7
    });
    stage.kill_gate();
    audit(&in_folder(&stage.folder), &running);
}
