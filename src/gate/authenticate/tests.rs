//! Pure: signatures, states of a key, expiry, as tables.

use super::*;
use crate::cloudstack::envelope::Format;
use crate::cloudstack::query::ParamMap;
use crate::gate::parse::Method;

const NOW: Timestamp = Timestamp::from_seconds(1_795_391_220);

fn key(enabled: bool) -> Arc<KeyEntry> {
    Arc::new(KeyEntry {
        api_key: "key".to_owned(),
        secret: SecretString::from("sécret"),
        person: Arc::new(Person {
            user: Some("u".to_owned()),
            account: "a".into(),
            account_name: "a".to_owned(),
            account_kind: 0,
            role: None,
            domains: vec!["d".into()],
        }),
        enabled,
    })
}

fn call(parameters: &[(&str, &str)], secret: &str) -> Call {
    let mut params = ParamMap::default();
    params.insert("command", "deployVirtualMachine");
    params.insert("apiKey", "key");
    for (name, value) in parameters {
        params.insert(name, value);
    }
    let signature = signature::sign(&params, secret.as_bytes());
    params.insert("signature", &signature);
    Call {
        method: Method::Get,
        params,
        format: Format::Json,
        cookies: None,
        user_agent: None,
        bundle: None,
    }
}

fn is_caller(call: &Call, key: Option<&Arc<KeyEntry>>) -> bool {
    caller(call, key, NOW).is_ok()
}

#[test]
fn only_the_secret_of_an_enabled_key_makes_a_caller() {
    let good = call(&[], "sécret");
    assert!(is_caller(&good, Some(&key(true))));
    assert!(!is_caller(&good, Some(&key(false))));
    assert!(!is_caller(&good, None));
    assert!(!is_caller(&call(&[], "secret"), Some(&key(true))));
    assert!(!is_caller(&call(&[], "nobody"), None));
}

#[test]
fn version_3_expires_and_every_other_version_does_not() {
    let at = |seconds: i64| time::print(NOW.plus(seconds * crate::terms::time::SECOND));
    let (past, now, later) = (at(-1), at(0), at(60));
    for (parameters, expected) in [
        (vec![("signatureVersion", "3"), ("expires", &*later)], true),
        (vec![("signatureVersion", "3"), ("expires", &*now)], true),
        (vec![("SIGNATUREVERSION", "3"), ("EXPIRES", &*later)], true),
        (vec![("signatureVersion", "3"), ("expires", &*past)], false),
        (vec![("signatureVersion", "3"), ("expires", "soon")], false),
        (vec![("signatureVersion", "3")], false),
        (vec![("signatureVersion", "2"), ("expires", &*past)], true),
        (vec![("signatureVersion", "03"), ("expires", &*past)], true),
        (vec![("expires", &*past)], true),
    ] {
        let call = call(&parameters, "sécret");
        assert_eq!(
            is_caller(&call, Some(&key(true))),
            expected,
            "{parameters:?}"
        );
    }
}

#[test]
fn a_signature_of_another_length_or_case_is_none() {
    for change in [
        |s: &str| s.to_ascii_lowercase(),
        |s: &str| s.trim_end_matches('=').to_owned(),
        |s: &str| format!("{s} "),
        |_: &str| String::new(),
    ] {
        let mut call = call(&[], "sécret");
        let signature = call.params.get("signature").unwrap_or_default().to_owned();
        call.params.insert("signature", &change(&signature));
        assert!(!is_caller(&call, Some(&key(true))));
    }
}
