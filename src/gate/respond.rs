//! Pure: a refusal → bytes in CloudStack's own form; the only such place.

use super::refusal::Refusal;
use crate::cloudstack::envelope::{
    ApiError, Format, SECURITY_HEADERS, content_type, description, error_body,
};

/// An answer of our own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnAnswer {
    /// Status.
    pub status: u16,
    /// Reason phrase, as Jetty writes it: the number itself where it has no name.
    pub reason: String,
    /// Headers in order, `Content-Length` left out.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Body.
    pub body: Vec<u8>,
}

/// The answer that refuses a call; `wrapper` is the command's own.
#[must_use]
pub fn refusal(refusal: &Refusal, wrapper: &str, format: Format) -> OwnAnswer {
    error(&refusal.error(), wrapper, format)
}

/// An error of CloudStack's kind: form A without `cserrorcode`, form B with it.
#[must_use]
pub fn error(error: &ApiError, wrapper: &str, format: Format) -> OwnAnswer {
    let mut headers = vec![("Content-Type".to_owned(), content_type(format).into())];
    if error.cs_code.is_some() {
        headers.push(("X-Description".to_owned(), description(&error.text)));
    }
    headers.extend(SECURITY_HEADERS.map(|(name, value)| (name.to_owned(), value.into())));
    OwnAnswer {
        status: u16::try_from(error.code).unwrap_or(530),
        reason: reason(error.code),
        headers,
        body: error_body(wrapper, error, format, None).into_bytes(),
    }
}

fn reason(code: i64) -> String {
    match code {
        400 => "Bad Request".to_owned(),
        401 => "Unauthorized".to_owned(),
        404 => "Not Found".to_owned(),
        405 => "Method Not Allowed".to_owned(),
        413 => "Payload Too Large".to_owned(),
        415 => "Unsupported Media Type".to_owned(),
        429 => "Too Many Requests".to_owned(),
        431 => "Request Header Fields Too Large".to_owned(),
        503 => "Service Unavailable".to_owned(),
        511 => "Network Authentication Required".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
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
}
