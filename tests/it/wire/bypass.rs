//! Attempts to be read in two ways: each is refused by its rule, or forwarded as what runs.

use super::{BYPASS, case, judged, recorded};
use faregate::gate::parse::Routed;

/// Case and outcome: a rule, or what is forwarded.
const OUTCOMES: &str = include_str!("../../fixtures/cloudstack/bypass-outcomes.tsv");

fn outcome(line: &serde_json::Value) -> String {
    match judged(line) {
        Ok(Routed::Api(call)) => {
            let cookies = call.cookies.is_some();
            let with = if cookies { " with its session" } else { "" };
            format!("{}{with}", call.command())
        }
        Ok(Routed::Elsewhere(_)) => "404".to_owned(),
        Err(refusal) => format!("{} {}", refusal.error().code, refusal.rule()),
    }
}

#[test]
fn every_bypass_attempt_ends_as_the_table_says() {
    let found: Vec<String> = recorded(BYPASS)
        .map(|line| format!("{}\t{}", case(&line), outcome(&line)))
        .collect();
    let listed: Vec<&str> = OUTCOMES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(found.join("\n"), listed.join("\n"));
}
