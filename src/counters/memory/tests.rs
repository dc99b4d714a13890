//! Edge: one node grants bursts, and its share of them.

use super::*;
use crate::policy::limits::{CallLimit, Per};
use crate::terms::time::HOUR;

fn limit(burst: u32) -> CallLimit {
    CallLimit {
        id: "hourly".to_owned(),
        per: Per::Account,
        of: None,
        commands: Vec::new(),
        class: None,
        pace: Pace {
            calls: burst,
            period: HOUR,
            burst,
        },
        reason: "so it was agreed".to_owned(),
    }
}

fn granted(memory: &Memory, limit: &CallLimit, subject: &str) -> usize {
    let counted = [Counted {
        limit,
        subject: subject.to_owned(),
    }];
    (0..50).filter(|_| memory.count(&counted).is_ok()).count()
}

#[test]
fn each_subject_gets_its_burst_and_no_more() {
    let (memory, limit) = (Memory::new(1), limit(5));
    assert_eq!(granted(&memory, &limit, "ann"), 5);
    assert_eq!(granted(&memory, &limit, "bob"), 5);
    assert_eq!(granted(&memory, &limit, "ann"), 0);
}

#[test]
fn one_of_three_nodes_grants_its_share() {
    assert_eq!(granted(&Memory::new(3), &limit(9), "ann"), 3);
}

#[test]
fn a_refusal_names_the_rule_and_how_long_to_wait() {
    let (memory, limit) = (Memory::new(1), limit(1));
    let counted = [Counted {
        limit: &limit,
        subject: "ann".to_owned(),
    }];
    memory.count(&counted).unwrap();
    let no = memory.count(&counted).unwrap_err();
    assert_eq!(no.rule, "hourly");
    assert!(no.wait > HOUR / 2 && no.wait <= HOUR, "{no:?}");
}
