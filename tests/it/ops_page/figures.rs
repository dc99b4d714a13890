//! Edge: figures of an empty, a small and a large product, for the operators' page.

use faregate::ops::source::Fixed;
use faregate::ops::views::{
    AlarmView, CallView, DifferenceView, DocumentRow, HoldView, LiveView, MeterView, NoticeView,
    PayerView, ScopeView, TotalView,
};

/// 0: a product that was just started; 3: a small one with all there is to see; else a large one.
pub(super) fn fixed(meters: usize) -> Fixed {
    let live = match meters {
        0 => empty(),
        3 => small(),
        _ => large(meters),
    };
    let documents = if meters == 0 { Vec::new() } else { documents() };
    Fixed {
        live,
        meters: (0..meters).map(meter).collect(),
        documents,
    }
}

pub(super) fn empty() -> LiveView {
    LiveView {
        now: "2026-11-23T03:00:00Z".to_owned(),
        wall: "2026-11-23T03:00:00Z".to_owned(),
        speed: 1,
        ..LiveView::default()
    }
}

fn text(words: &str) -> String {
    words.to_owned()
}

fn payer(id: &str, name: &str, mode: &str, money: [&str; 5], empty_in: Option<i64>) -> PayerView {
    let [available, held, accrued, spent, per_hour] = money.map(text);
    PayerView {
        id: text(id),
        name: text(name),
        mode: text(mode),
        currency: text("EUR"),
        available,
        held,
        accrued,
        spent,
        per_hour,
        empty_in,
        credit_line: text("0.000000"),
        gift: text("0.000000"),
        gift_ends: None,
        shortfall: text("0.000000"),
        holds_open: text("0.000000"),
        state: text("open"),
        accrued_through: text("2026-11-23T02:59:31Z"),
        meters: 1,
        ..PayerView::default()
    }
}

fn notice(step: &str, words: &str) -> NoticeView {
    NoticeView {
        step: text(step),
        text: text(words),
        at: text("2026-11-23T01:12:09Z"),
        delivered: text("mail sent"),
    }
}

fn small() -> LiveView {
    let figures = ["0.412300", "0.078000", "1.509700", "1.509700", "0.096000"];
    let mut north = payer(
        "north",
        "North Shore Hosting GmbH",
        "prepaid",
        figures,
        Some(2_960),
    );
    north.state = text("closed");
    north.why = text(
        "what runs lacks 0.018000 of its cover: nothing more can be started until it is topped up",
    );
    north.notices = vec![
        notice("closed", "what runs lacks 0.018000 of its cover"),
        notice("1h", "the money lasts for about 1 h at 0.096000 an hour"),
    ];
    let figures = [
        "-12.880000",
        "3.000000",
        "912.405500",
        "913.117000",
        "1.204000",
    ];
    let mut south = payer(
        "south-university",
        "South University",
        "postpaid",
        figures,
        Some(904_000),
    );
    south.credit_line = text("1000.000000");
    let figures = ["49.000000", "0.000000", "0.000000", "0.000000", "0.000000"];
    let long = "Donaudampfschifffahrtsgesellschaftskapitänswitwenversicherungsverein auf \
         Gegenseitigkeit in Liquidation, Niederlassung Wien-Leopoldstadt";
    let mut quiet = payer("quiet", long, "prepaid", figures, None);
    quiet.meters = 0;
    LiveView {
        speed: 60,
        totals: vec![TotalView {
            currency: text("EUR"),
            payers: 3,
            available: text("36.532300"),
            held: text("3.078000"),
            accrued: text("913.915200"),
            spent: text("914.626700"),
            per_hour: text("1.300000"),
        }],
        payers: vec![north, south, quiet],
        payers_total: 3,
        scopes: scopes(),
        scopes_total: 3,
        meters_total: 3,
        calls: calls(),
        holds: holds(),
        holds_total: 2,
        alarms: vec![AlarmView {
            kind: text("unresolved"),
            what: text("1 hold has no outcome that anybody could find out"),
            act: text("look at it below; its call is in CloudStack's event list, or it is not"),
        }],
        differences: vec![DifferenceView {
            class: text("reported_only"),
            cause: text("vm_schedule"),
            kind: text("running-vm"),
            resource: text("7c1e0b36-50f4-4c64-9f9f-2f2f6c4d1a11"),
            name: text("nightly-build"),
            metered: 0,
            reported: 7_200,
            worth: text("0.024000 EUR"),
        }],
        differences_total: 1,
        ..empty()
    }
}

fn scopes() -> Vec<ScopeView> {
    let scope = |kind: &str, name: &str, domain: &str, payer: &str, money: [&str; 2], left| {
        let [spent, per_hour] = money.map(text);
        ScopeView {
            kind: text(kind),
            name: text(name),
            domain: text(domain),
            payers: vec![text(payer)],
            currency: text("EUR"),
            spent,
            per_hour,
            empty_in: left,
        }
    };
    vec![
        scope(
            "domain",
            "ROOT/south",
            "",
            "south-university",
            ["913.117", "1.204"],
            Some(904_000),
        ),
        scope(
            "account",
            "ann",
            "ROOT/south",
            "south-university",
            ["41.2", "0.9"],
            Some(904_000),
        ),
        scope(
            "project",
            "a-project-whose-name-somebody-typed-without-any-space-for-ninety-characters-or-so-on",
            "ROOT/north/customers/with/a/deep/tree",
            "north",
            ["1.509700", "0.096000"],
            Some(2_960),
        ),
    ]
}

fn calls() -> Vec<CallView> {
    let call =
        |number: usize, at: &str, command: &str, payer: &str, verdict: &str, why: &str| CallView {
            at: format!("2026-11-23T{at}Z"),
            call: format!("call_{number:08}"),
            command: text(command),
            payer: text(payer),
            verdict: text(verdict),
            reason: text(why),
        };
    vec![
        call(
            5,
            "02:59:58",
            "deployVirtualMachine",
            "north",
            "refuse",
            "not-enough-money: this costs 0.096000 EUR an hour; 0.412300 EUR is available and \
             0.067700 EUR is missing; top up at https://pay.example/north",
        ),
        call(
            4,
            "02:59:12",
            "deployVirtualMachine",
            "north",
            "forward",
            "held 0.048000 EUR",
        ),
        call(
            3,
            "02:58:40",
            "destroyVirtualMachine",
            "north",
            "forward",
            "lowers cost",
        ),
        call(
            2,
            "02:57:02",
            "createKubernetesCluster",
            "south-university",
            "refuse",
            "unpriced: no price rule covers it",
        ),
        call(
            1,
            "02:41:55",
            "createVolume",
            "",
            "refuse",
            "unknown-key: a raising call needs a known key",
        ),
    ]
}

fn holds() -> Vec<HoldView> {
    let hold = |id: &str, status: &str, age: i64, note: &str| HoldView {
        hold: text(id),
        payer: text("north"),
        command: text("deployVirtualMachine"),
        status: text(status),
        currency: text("EUR"),
        amount: text("0.048000"),
        at: text("2026-11-23T02:59:12Z"),
        age,
        note: text(note),
    };
    vec![
        hold(
            "hold_01jd8x9k3m",
            "unresolved",
            93_600,
            "no job, no event, no machine of that name",
        ),
        hold("hold_01jd9b2c7q", "answered", 46, ""),
    ]
}

fn documents() -> Vec<(DocumentRow, String)> {
    let row = |number: &str, kind: &str, total: &str| DocumentRow {
        number: text(number),
        kind: text(kind),
        payer: text("south-university"),
        currency: text("EUR"),
        total: text(total),
        at: text("2026-11-01T02:00:00Z"),
        formats: ["html", "json", "csv"].map(text).to_vec(),
    };
    let body = text("<p>an invoice</p>");
    vec![
        (row("2026-00017", "invoice", "1284.770000"), body.clone()),
        (row("2026-00016", "credit-note", "3.120000"), body),
    ]
}

fn meter(index: usize) -> MeterView {
    let (kind, word, price) = match index % 3 {
        0 => ("running-vm", "web", "0.096000"),
        1 => ("volume", "disk", "0.000137"),
        _ => ("ip-address", "address", "0.005000"),
    };
    MeterView {
        kind: text(kind),
        resource: format!("{:08x}-50f4-4c64-9f9f-2f2f6c4d1a11", 0x7c1e_0000 + index),
        name: format!("{word}-{index:05}"),
        offering: text(if index.is_multiple_of(3) {
            "small, 1 vCPU, 1 GiB"
        } else {
            ""
        }),
        owner: format!("account-{}", index % 97),
        domain: text("ROOT/north"),
        payer: format!("customer-{:03}", index % 240),
        currency: text("EUR"),
        per_hour: text(price),
        since: text("2026-11-21T13:37:09Z"),
    }
}

fn large(meters: usize) -> LiveView {
    let base = small();
    let payers = (0..100_i64).map(|index| {
        let left = Some(index * index * 700 + 1_800);
        let figures = [
            "120.500000",
            "14.250000",
            "88.019250",
            "240.750000",
            "0.350000",
        ];
        let name = format!("Customer Number {index} Limited");
        payer(
            &format!("customer-{index:03}"),
            &name,
            "prepaid",
            figures,
            left,
        )
    });
    let scopes = (0..100).map(|index| ScopeView {
        kind: text(["account", "project", "domain"][index % 3]),
        name: format!("account-{index}"),
        per_hour: format!("{}.{:06}", (100 - index) / 7, index * 7_919 % 1_000_000),
        ..base.scopes[1].clone()
    });
    LiveView {
        speed: 1,
        payers: payers.collect(),
        payers_total: 240,
        scopes: scopes.collect(),
        scopes_total: 431,
        meters_total: meters,
        totals: vec![
            TotalView {
                payers: 228,
                available: text("28920.000000"),
                held: text("3420.000000"),
                accrued: text("21124.620000"),
                spent: text("1357780.120034"),
                per_hour: text("1084.000000"),
                ..base.totals[0].clone()
            },
            TotalView {
                currency: text("CHF"),
                payers: 12,
                ..base.totals[0].clone()
            },
        ],
        ..base
    }
}
