//! Every refusal of the gate, read as each client reads it.
//!
//! Clients that no package registry brings here (CloudMonkey, the Go SDK with Terraform and the
//! Kubernetes drivers, jclouds …) stand for themselves by the rule each one reads an error with;
//! cs, Ansible, libcloud and csclient read the same bytes in `clients_refused`.

use faregate::cloudstack::envelope::{ApiError, Format, read_xml};
use faregate::cloudstack::query::ParseFault;
use faregate::gate::bundle::fault::{BundleFault, PricedLine};
use faregate::gate::refusal::{Refusal, Shortage};
use faregate::gate::respond::{self, OwnAnswer};
use faregate::policy::limits::TooMany;
use faregate::terms::money::{Currency, Micros};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Wrappers of a common, an irregular and an unknown command.
pub const WRAPPERS: [&str; 3] = [
    "deployvirtualmachineresponse",
    "restorevmresponse",
    "errorresponse",
];

/// A refusal for money.
fn shortage(is_told: bool, cover_short: bool) -> Refusal {
    Refusal::NotEnough(Shortage {
        price: Micros::new(30_000),
        available: Some(Micros::new(10_000)).filter(|_| is_told),
        missing: Some(Micros::new(20_000)).filter(|_| is_told),
        currency: Currency::EUR,
        top_up_url: "https://pay.example/t\u{f6}?a=1&b=<2>".to_owned(),
        cover_short,
    })
}

/// A bundle that is too dear.
fn bundle_short() -> Refusal {
    let Refusal::NotEnough(shortage) = shortage(true, false) else {
        panic!("it is one");
    };
    let command = "deployVirtualMachine".to_owned();
    let price = Micros::new(30_000);
    Refusal::Bundle(BundleFault::Short {
        lines: vec![PricedLine { command, price }],
        shortage,
    })
}

/// One of each kind, those for money in every form.
pub fn refusals() -> Vec<Refusal> {
    let text = |text: &str| text.to_owned();
    vec![
        shortage(true, false),
        shortage(false, false),
        shortage(true, true),
        Refusal::TooMuch {
            rule: text("machines"),
            text: text("no more than 3 machines \"as agreed\""),
        },
        Refusal::Unpriced(text("a GPU")),
        Refusal::Access {
            rule: text("no-gpu"),
            reason: text("not in this domain"),
        },
        Refusal::NobodyPays,
        Refusal::TooMany(TooMany {
            rule: text("deploys"),
            reason: text("not that urgent"),
            wait: 1_500_000,
        }),
        Refusal::Params(ParseFault::Repeated(text("zoneid"))),
        Refusal::Parameter {
            name: text("size"),
            what: text("not a whole number"),
        },
        Refusal::Missing {
            command: text("deployvirtualmachine"),
            name: text("zoneid"),
        },
        Refusal::OwnerUnclear(text("two projects")),
        Refusal::UnknownCommand(text("deployMoon")),
        Refusal::StoreAway(text("disk full")),
        Refusal::Busy,
        Refusal::UpstreamAway,
        Refusal::AnswerLost,
        Refusal::CannotAsk(text("no answer in 5 s")),
        Refusal::NotVerified,
        Refusal::Cookies,
        Refusal::Told(ApiError {
            code: 511,
            cs_code: Some(9999),
            text: text("two-factor authentication is not complete"),
        }),
        Refusal::Target(text("//client/api")),
        Refusal::Method(text("PUT")),
        Refusal::BodyOnGet,
        Refusal::BodyType(text("of text/plain")),
        Refusal::TwoTypes,
        Refusal::BodyTooLong,
        Refusal::QueryTooLong,
        Refusal::NotServed(text("/other")),
        Refusal::WholesaleShort,
        Refusal::Bundle(BundleFault::Unknown),
        Refusal::Bundle(BundleFault::Over(text("2026-11-24T01:00:00+0000"))),
        Refusal::Bundle(BundleFault::NoLine(text("deployVirtualMachine"))),
        Refusal::Bundle(BundleFault::Taken),
        Refusal::Bundle(BundleFault::OtherPlan(text("order<7>"))),
        Refusal::Bundle(BundleFault::Line {
            at: 1,
            command: text("createVolume"),
            refusal: Box::new(Refusal::NobodyPays),
        }),
        bundle_short(),
    ]
}

/// The number of a kind; a new kind does not compile until it has one, and a sample above.
const fn kind(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::Target(_) => 0,
        Refusal::Method(_) => 1,
        Refusal::BodyOnGet => 2,
        Refusal::BodyType(_) => 3,
        Refusal::TwoTypes => 4,
        Refusal::BodyTooLong => 5,
        Refusal::Params(_) => 6,
        Refusal::Cookies => 7,
        Refusal::NotServed(_) => 8,
        Refusal::UnknownCommand(_) => 9,
        Refusal::NotVerified => 10,
        Refusal::Told(_) => 11,
        Refusal::CannotAsk(_) => 12,
        Refusal::Access { .. } => 13,
        Refusal::Parameter { .. } => 14,
        Refusal::OwnerUnclear(_) => 15,
        Refusal::NobodyPays => 16,
        Refusal::Unpriced(_) => 17,
        Refusal::TooMany(_) => 18,
        Refusal::TooMuch { .. } => 19,
        Refusal::NotEnough(_) => 20,
        Refusal::StoreAway(_) => 21,
        Refusal::Busy => 22,
        Refusal::UpstreamAway => 23,
        Refusal::AnswerLost => 24,
        Refusal::QueryTooLong => 25,
        Refusal::Missing { .. } => 26,
        Refusal::WholesaleShort => 27,
        Refusal::Bundle(_) => 28,
    }
}
const KINDS: usize = 29;

fn header(answer: &OwnAnswer, name: &str) -> Option<Vec<u8>> {
    let found = answer.headers.iter().find(|(own, _)| own == name)?;
    Some(found.1.clone())
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn root(answer: &OwnAnswer) -> Option<Map<String, Value>> {
    let value: Value = serde_json::from_slice(&answer.body).ok()?;
    value.as_object().cloned()
}

fn text_of(inside: &Value) -> Option<String> {
    inside["errortext"].as_str().map(str::to_owned)
}

fn is_json(answer: &OwnAnswer) -> bool {
    header(answer, "Content-Type").is_some_and(|it| it.starts_with(b"application/json"))
}

/// What a client shows its user of an error; none where it cannot read it.
type Reading = fn(&OwnAnswer, &str) -> Option<String>;

/// cmk: a key that ends in `response`, and in it `errorcode` (`cmd/network.go`).
fn cloudmonkey(answer: &OwnAnswer, _: &str) -> Option<String> {
    let root = root(answer)?;
    let inside = root.iter().find(|(key, _)| key.ends_with("response"))?.1;
    let code = inside.get("errorcode")?;
    Some(format!("(HTTP {code}) {}", text_of(inside)?))
}

/// The Go SDK: the only value, whose two codes are whole numbers; Terraform, CAPC, CSI, Packer and
/// the cloud controller show its text (`cloudstack/cloudstack.go`).
fn go_sdk(answer: &OwnAnswer, _: &str) -> Option<String> {
    let root = root(answer).filter(|root| root.len() == 1)?;
    let inside = root.values().next()?;
    let code = inside["errorcode"].as_i64()?;
    let cs_code = inside.get("cserrorcode").map_or(Some(0), Value::as_i64)?;
    let text = text_of(inside)?;
    Some(format!(
        "CloudStack API error {code} (CSExceptionErrorCode: {cs_code}): {text}"
    ))
}

/// jclouds: the status decides the exception, the whole body is its message
/// (`CloudStackErrorHandler`).
fn jclouds(answer: &OwnAnswer, _: &str) -> Option<String> {
    root(answer)?;
    String::from_utf8(answer.body.clone()).ok()
}

/// egoscale: by status and type of content, the command's own key or `errorresponse`.
fn egoscale(answer: &OwnAnswer, wrapper: &str) -> Option<String> {
    let root = root(answer).filter(|_| answer.status >= 400 && is_json(answer))?;
    let inside = root.get(wrapper).or_else(|| root.get("errorresponse"))?;
    inside["errorcode"].as_i64()?;
    text_of(inside)
}

/// cloudstack.net: the root holds one object.
fn cloudstack_net(answer: &OwnAnswer, _: &str) -> Option<String> {
    let root = root(answer).filter(|root| root.len() == 1)?;
    text_of(root.values().next().filter(|it| it.is_object())?)
}

/// Marvin: the first key with `response` in it that has an `errorcode`.
fn marvin(answer: &OwnAnswer, _: &str) -> Option<String> {
    let root = root(answer)?;
    let has = |(key, value): &(&String, &Value)| {
        key.contains("response") && value.get("errorcode").is_some()
    };
    text_of(root.iter().find(has)?.1)
}

/// Ruby's `cloudstack_client` and fog: the first value.
fn ruby(answer: &OwnAnswer, _: &str) -> Option<String> {
    text_of(root(answer)?.values().next()?)
}

/// atsaki's Go library: the command's own key alone.
fn atsaki(answer: &OwnAnswer, wrapper: &str) -> Option<String> {
    text_of(root(answer)?.get(wrapper)?)
}

/// The web interface: the header, else the text of the first value.
fn web(answer: &OwnAnswer, _: &str) -> Option<String> {
    let in_body = text_of(root(answer)?.values().next()?)?;
    Some(header(answer, "X-Description").map_or(in_body, |it| latin1(&it)))
}

const CLIENTS: [(&str, Reading); 9] = [
    ("cmk", cloudmonkey),
    ("Go SDK", go_sdk),
    ("jclouds", jclouds),
    ("egoscale", egoscale),
    ("cloudstack.net", cloudstack_net),
    ("Marvin", marvin),
    ("Ruby", ruby),
    ("atsaki", atsaki),
    ("web interface", web),
];

#[test]
fn every_kind_of_refusal_is_in_the_table() {
    let kinds: BTreeSet<usize> = refusals().iter().map(kind).collect();
    assert_eq!(kinds, (0..KINDS).collect());
}

#[test]
fn every_client_shows_the_text_of_every_refusal() {
    for refusal in refusals() {
        let error = refusal.error();
        // The body of jclouds' message is JSON.
        let quoted = serde_json::to_string(&error.text).unwrap();
        for wrapper in WRAPPERS {
            let answer = respond::refusal(&refusal, wrapper, Format::Json);
            for (client, read) in CLIENTS {
                let shown = read(&answer, wrapper);
                let shown = shown.unwrap_or_else(|| panic!("{client} cannot read {refusal:?}"));
                let text = if client == "jclouds" {
                    quoted.trim_matches('"')
                } else {
                    &error.text
                };
                assert!(shown.contains(text), "{client}: {shown} of {refusal:?}");
            }
        }
    }
}

#[test]
fn status_and_codes_are_the_same_wherever_a_client_looks() {
    for refusal in refusals() {
        let error = refusal.error();
        for wrapper in WRAPPERS {
            let json = respond::refusal(&refusal, wrapper, Format::Json);
            let inside = root(&json).unwrap()[wrapper].clone();
            assert_eq!(inside["errorcode"], error.code, "{refusal:?}");
            assert_eq!(inside["cserrorcode"].as_i64(), error.cs_code, "{refusal:?}");
            let xml = respond::refusal(&refusal, wrapper, Format::Xml);
            let read = read_xml(xml.status, &xml.body).unwrap();
            assert_eq!(read.node.name, wrapper);
            assert_eq!(read.error, Some(error.clone()), "{refusal:?}");
            for answer in [&json, &xml] {
                assert_eq!(i64::from(answer.status), error.code, "{refusal:?}");
                let said = header(answer, "X-Description").map(|it| latin1(&it));
                // CloudStack's own 401 of an unknown key has neither code nor header.
                let expected = error.cs_code.map(|_| error.text.clone());
                assert_eq!(said, expected, "{refusal:?}");
            }
            let kind = header(&xml, "Content-Type").unwrap();
            assert!(kind.starts_with(b"text/xml"), "{}", latin1(&kind));
        }
    }
}

/// On 401 cmk sends its profile's password, jclouds and the web interface drop the session; 402 and
/// 403 have no meaning that helps; on 403 and 404 the web interface leaves the page.
#[test]
fn no_client_throws_its_credentials_away_for_a_refusal_that_is_not_about_them() {
    for refusal in refusals() {
        let is_of_caller = matches!(refusal, Refusal::NotVerified | Refusal::Cookies);
        let code = refusal.error().code;
        assert_eq!(code == 401, is_of_caller, "{refusal:?}");
        assert!(![402, 403].contains(&code), "{refusal:?}");
        let is_of_page = matches!(refusal, Refusal::NotServed(_));
        assert_eq!(code == 404, is_of_page, "{refusal:?}");
    }
}

/// Terraform, CAPC and jclouds take these words, CSI the digits 4350, for a thing that is gone, and
/// forget it although it runs and costs.
#[test]
fn no_refusal_reads_as_a_thing_that_is_gone() {
    let gone = [
        "4350",
        "Invalid parameter id value=",
        "entity does not exist",
        "does not exist",
        "no match found",
        "not available for the account",
        "Maximum number of resources of type",
    ];
    for refusal in refusals() {
        let answer = respond::refusal(&refusal, WRAPPERS[0], Format::Json);
        let shown = go_sdk(&answer, WRAPPERS[0]).unwrap().to_lowercase();
        for words in gone {
            assert!(!shown.contains(&words.to_lowercase()), "{words} in {shown}");
        }
    }
}

/// A redirect makes a GET of a POST; a success without a result is an empty one to the Go SDK.
#[test]
fn no_refusal_is_a_success_or_a_redirect() {
    for refusal in refusals() {
        let answer = respond::refusal(&refusal, WRAPPERS[0], Format::Json);
        assert!((400..600).contains(&answer.status), "{refusal:?}");
        assert_eq!(header(&answer, "Location"), None);
        let is_limit = matches!(refusal, Refusal::TooMany(_));
        assert_eq!(header(&answer, "Retry-After").is_some(), is_limit);
    }
}
