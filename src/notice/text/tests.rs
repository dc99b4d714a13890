//! Pure: one delivery for each address, tried again later and later.

use super::*;

fn told<'a>(payer: &'a PayerId, step: &'a str) -> Told<'a> {
    Told {
        payer,
        seller: "Example Cloud",
        episode: "e-1",
        step,
        subject: "your money ends",
        text: "the money lasts for about 24 h",
        at: Timestamp::from_seconds(0),
        top_up_url: "https://cloud.example.com/top-up",
    }
}

#[test]
fn each_address_gets_a_notice_once_under_an_id_of_its_own() {
    let payer = PayerId::from("acme");
    let contact = Contact {
        mail: vec!["a@acme.example".to_owned(), "b@acme.example".to_owned()],
        webhook: Some("https://hooks.acme.example/".to_owned()),
    };
    let wall = Timestamp::from_seconds(7);
    let found = deliveries(&told(&payer, "notice-3600s"), &contact, wall);
    let channels: Vec<&str> = found.iter().map(|one| one.channel.as_str()).collect();
    assert_eq!(channels, ["mail", "mail", "webhook"]);
    let again = deliveries(&told(&payer, "notice-3600s"), &contact, wall.plus(9));
    let ids = |all: &[Delivery]| all.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&found), ids(&again));
    let mut different = ids(&found);
    different.extend(ids(&deliveries(&told(&payer, "stop"), &contact, wall)));
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 6);
    let body: serde_json::Value = serde_json::from_str(&found[2].body).unwrap();
    assert_eq!(body["data"]["step"], "notice-3600s");
    assert_eq!(body["id"], found[2].id.as_str());
}

#[test]
fn a_failed_delivery_is_tried_again_later_and_later_and_given_up_at_last() {
    let payer = PayerId::from("acme");
    let contact = Contact {
        mail: vec!["a@acme.example".to_owned()],
        webhook: None,
    };
    let start = Timestamp::from_seconds(0);
    let mut one = deliveries(&told(&payer, "stop"), &contact, start).remove(0);
    let waits: Vec<i64> = (0..12)
        .map(|_| {
            one = after_try(&one, Err("refused".to_owned()), start);
            one.at.since(start) / SECOND
        })
        .collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    let late = start.plus(GIVE_UP_AFTER);
    let given_up = after_try(&one, Err("refused".to_owned()), late);
    assert_eq!(given_up.status, DeliveryStatus::Failed);
    assert_eq!(after_try(&one, Ok(()), late).status, DeliveryStatus::Sent);
}
