//! Pure: caps as they are written, the chain of a call, and the borders of periods.

use super::*;
use crate::policy::check::load;

const HOUSE: &str = r#"
[[seller]]
id = "house"
name = "House"
address = ["Street 1"]
vat_id = "DE1"
currency = "EUR"
zone = "Europe/Berlin"
tax_mode = "at-use"
invoice_series = "R-"
top_up_url = "https://house.example/top-up"
"#;

fn read(text: &str) -> Result<Vec<SpendCap>, Vec<String>> {
    let files = [("caps.toml".to_owned(), format!("{HOUSE}{text}"))];
    match load(&files) {
        Ok(rules) => Ok(rules.caps),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
    }
}

fn written(id: &str, per: &str, of: &str, period: &str) -> String {
    let of = match of {
        "" => String::new(),
        of => format!("of = \"{of}\"\n"),
    };
    format!(
        "[[caps]]\nid = \"{id}\"\nper = \"{per}\"\n{of}amount = \"5\"\nperiod = \"{period}\"\n\
         reason = \"why\"\n"
    )
}

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_micros(instant.as_microsecond())
}

#[test]
fn the_chain_goes_from_the_key_up_every_domain_to_the_reseller() {
    let text: String = [
        ("r", "domain", ""),
        ("k", "key", ""),
        ("u", "user", ""),
        ("a", "account", ""),
        ("p", "project", ""),
    ]
    .iter()
    .map(|(id, per, of)| written(id, per, of, "month"))
    .collect();
    let mut caps = read(&text).unwrap();
    caps.push(SpendCap {
        id: "s".into(),
        per: Level::Reseller,
        ..caps[0].clone()
    });
    let spending = Spending {
        currency: Currency::EUR,
        key: Some("a-key"),
        user: Some("u1"),
        account: Some("a1"),
        project: None,
        domains: &["root", "d1"],
        resellers: &[SellerId::from("shop")],
    };
    let names: Vec<String> = chain(&caps, &spending)
        .into_iter()
        .map(|c| c.name)
        .collect();
    assert_eq!(
        names[1..],
        [
            "u/user/u1",
            "a/account/a1",
            "r/domain/d1",
            "r/domain/root",
            "s/reseller/shop"
        ]
    );
    assert!(names[0].starts_with("k/key/") && !names[0].contains("a-key"));
    let dollars = Spending {
        currency: "USD".parse().unwrap(),
        ..spending
    };
    assert_eq!(chain(&caps, &dollars), []);
}

#[test]
fn a_cap_that_names_its_subject_takes_the_place_of_the_one_for_everybody() {
    let text = written("all", "account", "", "day")
        + &written("all-month", "account", "", "month")
        + &written("one", "account", "A1", "day");
    let caps = read(&text).unwrap();
    let of = |account| {
        let spending = Spending {
            currency: Currency::EUR,
            key: None,
            user: None,
            account: Some(account),
            project: None,
            domains: &[],
            resellers: &[],
        };
        let found = chain(&caps, &spending).into_iter();
        found.map(|one| one.cap.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("a1"), ["all-month", "one"]);
    assert_eq!(of("a2"), ["all", "all-month"]);
}

#[test]
fn periods_begin_at_midnight_of_the_sellers_zone_on_days_of_23_hours_too() {
    let start = |period: CapPeriod, text| period.start(at(text), "Europe/Berlin").unwrap();
    let sunday = "2026-03-29T10:00:00Z";
    assert_eq!(start(CapPeriod::Day, sunday), at("2026-03-28T23:00:00Z"));
    assert_eq!(start(CapPeriod::Week, sunday), at("2026-03-22T23:00:00Z"));
    assert_eq!(start(CapPeriod::Month, sunday), at("2026-02-28T23:00:00Z"));
    let monday = "2026-03-29T22:00:00Z";
    assert_eq!(start(CapPeriod::Week, monday), at(monday));
    assert_eq!(start(CapPeriod::Day, monday), at(monday));
}

#[test]
fn a_cap_that_counts_nothing_sensible_is_refused_with_its_place() {
    let broken = [
        (written("a/b", "key", "", "day"), "cannot be the id"),
        (written("a", "tenant", "", "day"), "tenant"),
        (written("a", "key", "", "year"), "year"),
        (
            written("a", "reseller", "house", "day"),
            "is not a reseller",
        ),
        (
            written("a", "key", "", "day") + &written("b", "key", "", "day"),
            "count the same",
        ),
        (
            written("a", "key", "", "day") + &written("a", "user", "", "day"),
            "is taken",
        ),
        (
            written("a", "key", "", "day").replace("\"5\"", "\"-5\""),
            "negative",
        ),
        (
            written("a", "key", "", "day") + "seller = \"nobody\"\n",
            "seller `nobody`",
        ),
    ];
    for (text, said) in broken {
        let faults = read(&text).unwrap_err();
        assert!(faults[0].contains(said), "{faults:?}");
        assert!(faults[0].starts_with("caps.toml:"), "{faults:?}");
    }
}
