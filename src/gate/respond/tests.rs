//! Pure: refusals in CloudStack's own form, to the byte.

use super::*;
use crate::gate::refusal::Shortage;
use crate::terms::money::{Currency, Micros};

fn shortage(told: bool) -> Refusal {
    Refusal::NotEnough(Shortage {
        price: Micros::new(30_000),
        available: Some(Micros::new(10_000)).filter(|_| told),
        missing: Some(Micros::new(20_000)).filter(|_| told),
        currency: Currency::EUR,
        top_up_url: "https://pay.example/tö€".to_owned(),
        cover_short: false,
    })
}

#[test]
fn a_refusal_for_money_is_535_in_the_commands_own_wrapper() {
    let own = refusal(
        &shortage(true),
        "deployvirtualmachineresponse",
        Format::Json,
    );
    assert_eq!((own.status, own.reason.as_str()), (535, "535"));
    let body: serde_json::Value = serde_json::from_slice(&own.body).unwrap();
    let inside = &body["deployvirtualmachineresponse"];
    assert_eq!(inside["errorcode"], 535);
    assert_eq!(inside["cserrorcode"], 4370);
    let text = inside["errortext"].as_str().unwrap();
    for part in [
        "0.030000 EUR",
        "0.010000 EUR",
        "0.020000 EUR",
        "https://pay.example",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let description = own.headers.iter().find(|(name, _)| name == "X-Description");
    assert!(description.unwrap().1.ends_with(b"/t\xf6 "));
}

#[test]
fn who_may_not_know_the_balance_is_not_told_it_in_any_form() {
    for format in [Format::Json, Format::Xml] {
        let own = refusal(&shortage(false), "deployvirtualmachineresponse", format);
        let headers = own.headers.iter().flat_map(|(_, value)| value);
        let told: Vec<u8> = headers.chain(&own.body).copied().collect();
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(told.contains("not enough balance"), "{told}");
        assert!(!told.contains("0.0"), "{told}");
    }
}

#[test]
fn a_caller_who_was_not_verified_gets_cloudstacks_own_401() {
    let own = refusal(&Refusal::NotVerified, "listzonesresponse", Format::Xml);
    assert_eq!((own.status, own.reason.as_str()), (401, "Unauthorized"));
    assert_eq!(
        String::from_utf8(own.body).unwrap(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><listzonesresponse><errorcode>401\
         </errorcode><errortext>unable to verify user credentials and/or request signature\
         </errortext></listzonesresponse>"
    );
    assert!(own.headers.iter().all(|(name, _)| name != "X-Description"));
}
