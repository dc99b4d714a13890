//! Pure: the live figures as Prometheus text (exposition format 0.0.4).

use super::views::{AwaySum, LiveView, PayerView};
use std::fmt::Write as _;

/// A figure of the node itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Its label and value; none for a figure of one value.
    pub label: Option<(&'static str, String)>,
    /// How much.
    pub value: i64,
}

/// The node's own figures; those of one name stand together.
#[must_use]
pub fn figures(figures: &[Figure]) -> String {
    let mut out = String::new();
    let mut last = "";
    for figure in figures {
        if figure.name != last {
            head(&mut out, figure.name, figure.help);
            last = figure.name;
        }
        let labels = figure
            .label
            .as_ref()
            .map_or_else(String::new, |(name, value)| {
                format!("{{{name}=\"{}\"}}", label(value))
            });
        let _ = writeln!(out, "{}{labels} {}", figure.name, figure.value);
    }
    out
}

/// The figures of a view. Payers beyond those shown are in the totals alone.
#[must_use]
pub fn text(view: &LiveView) -> String {
    let mut out = String::new();
    let up = i64::from(view.fault.is_none());
    plain(
        &mut out,
        "faregate_books_readable",
        "1 where the books can be read",
        &up.to_string(),
    );
    let counts = [
        ("faregate_payers", "Payers", view.payers_total),
        (
            "faregate_meters_running",
            "Meters that run",
            view.meters_total,
        ),
        (
            "faregate_holds_open",
            "Holds whose call has no outcome yet",
            view.holds_total,
        ),
        (
            "faregate_differences",
            "Meters the usage server reports otherwise",
            view.differences_total,
        ),
        (
            "faregate_policy_faults",
            "Faults of changed policies, which are not in force",
            view.policy_faults,
        ),
        (
            "faregate_alarms",
            "What needs a person now",
            view.alarms.len(),
        ),
    ];
    for (name, help, count) in counts {
        plain(&mut out, name, help, &count.to_string());
    }
    servers(&mut out, view);
    counting(&mut out, view);
    away(&mut out, view);
    totals(&mut out, view);
    payers(&mut out, view);
    out
}

/// Only where Redis is configured.
fn counting(out: &mut String, view: &LiveView) {
    let Some(it) = view.shared_counting else {
        return;
    };
    let figures = [
        (
            "faregate_counting_shared",
            "1 where all nodes count calls together, 0 where this one counts by itself",
            u64::from(it.up),
        ),
        (
            "faregate_counting_losses",
            "How often Redis went away since the start",
            it.losses,
        ),
        (
            "faregate_counting_alone",
            "Calls that this node counted by itself since the start",
            it.alone,
        ),
    ];
    for (name, help, count) in figures {
        plain(out, name, help, &count.to_string());
    }
}

/// Also while the books cannot be read: that is when they are looked at.
fn away(out: &mut String, view: &LiveView) {
    let it = &view.store_away;
    plain(
        out,
        "faregate_store_away",
        "1 while the books do not answer",
        &i64::from(it.now).to_string(),
    );
    plain(
        out,
        "faregate_passed_calls",
        "Calls of this node that passed while the books were away and are not in them yet",
        &it.calls.to_string(),
    );
    let mut series = |name: &str, help: &str, value: &dyn Fn(&AwaySum) -> &str| {
        head(out, name, help);
        for sum in &it.sums {
            let (currency, value) = (label(&sum.currency), value(sum));
            let _ = writeln!(out, "{name}{{currency=\"{currency}\"}} {value}");
        }
    };
    series(
        "faregate_worst_loss",
        "The most that can pass on all nodes while the books are away, main units",
        &|sum| &sum.worst,
    );
    series(
        "faregate_passed",
        "What of it passed on this node and is not in the books yet, main units",
        &|sum| &sum.passed,
    );
}

fn head(out: &mut String, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn plain(out: &mut String, name: &str, help: &str, value: &str) {
    head(out, name, help);
    let _ = writeln!(out, "{name} {value}");
}

fn servers(out: &mut String, view: &LiveView) {
    let name = "faregate_management_server_up";
    head(out, name, "1 where the management server takes connections");
    for server in &view.servers {
        let (who, up) = (label(&server.name), i64::from(server.up));
        let _ = writeln!(out, "{name}{{server=\"{who}\"}} {up}");
    }
}

fn totals(out: &mut String, view: &LiveView) {
    let name = "faregate_money";
    head(
        out,
        name,
        "Sums over all payers of a currency, main units; per_hour is a rate",
    );
    for total in &view.totals {
        let currency = label(&total.currency);
        let figures = [
            ("available", &total.available),
            ("held", &total.held),
            ("accrued", &total.accrued),
            ("spent_this_month", &total.spent),
            ("per_hour", &total.per_hour),
        ];
        for (figure, amount) in figures {
            let _ = writeln!(
                out,
                "{name}{{currency=\"{currency}\",figure=\"{figure}\"}} {amount}"
            );
        }
    }
}

fn payers(out: &mut String, view: &LiveView) {
    let mut series = |name: &str, help: &str, value: &dyn Fn(&PayerView) -> Option<String>| {
        head(out, name, help);
        for payer in &view.payers {
            if let Some(value) = value(payer) {
                let (id, currency) = (label(&payer.id), label(&payer.currency));
                let _ = writeln!(
                    out,
                    "{name}{{payer=\"{id}\",currency=\"{currency}\"}} {value}"
                );
            }
        }
    };
    let available = |payer: &PayerView| Some(payer.available.clone());
    series(
        "faregate_payer_available",
        "Available, main units",
        &available,
    );
    let per_hour = |payer: &PayerView| Some(payer.per_hour.clone());
    series(
        "faregate_payer_per_hour",
        "What the next hour costs, main units",
        &per_hour,
    );
    let empty = |payer: &PayerView| payer.empty_in.map(|seconds| seconds.to_string());
    series(
        "faregate_payer_empty_seconds",
        "Billing seconds until all is gone",
        &empty,
    );
    let length = |payer: &PayerView| Some(payer.window.as_ref()?.seconds.to_string());
    series(
        "faregate_payer_window_seconds",
        "Billing seconds of the open sampling window of traffic and disk I/O",
        &length,
    );
    let held = |payer: &PayerView| Some(payer.window.as_ref()?.held.clone());
    series(
        "faregate_payer_window_held",
        "What the cover carries for that window, main units",
        &held,
    );
    let overdraft = |payer: &PayerView| payer.window.as_ref()?.overdraft.clone();
    series(
        "faregate_payer_window_overdraft_max",
        "What can exceed it at most, main units; absent where that has no bound",
        &overdraft,
    );
    let open = |payer: &PayerView| Some(i64::from(payer.state == "open").to_string());
    series(
        "faregate_payer_open",
        "1 where raising calls may pass",
        &open,
    );
}

/// A label's value: backslash, quote and line feed are escaped.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payers_name_cannot_forge_a_series() {
        let payer = PayerView {
            id: "a\"} 1\nfaregate_payers 99".to_owned(),
            currency: "EUR".to_owned(),
            available: "1.000000".to_owned(),
            ..PayerView::default()
        };
        let view = LiveView {
            payers: vec![payer],
            payers_total: 1,
            ..LiveView::default()
        };
        let text = text(&view);
        assert!(text.lines().any(|line| line == "faregate_payers 1"));
        assert!(
            !text
                .lines()
                .any(|line| line == "faregate_payers 99\",currency=\"EUR\"} 1.000000")
        );
        let id = r#"faregate_payer_available{payer="a\"} 1\nfaregate_payers 99",currency="EUR"} "#;
        assert!(text.contains(&format!("{id}1.000000")));
    }
}
