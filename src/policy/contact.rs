//! Pure: where a customer's notices go, as it is written and checked.

use crate::policy::customer::Contact;
use crate::policy::faults::Faults;
use crate::policy::shape;

/// Reads `mail` and `webhook` of a `[[customer]]`.
pub(super) fn contact(shape: &shape::Customer, faults: &mut Faults<'_>) -> Contact {
    for address in shape.mail.iter().filter(|text| !is_mail(text.get_ref())) {
        let what = format!("`{}` is no mail address", address.get_ref());
        let instead = "write for example \"billing@customer.example\"";
        faults.at(address.span().start, what, instead);
    }
    if let Some(url) = shape.webhook.as_ref().filter(|url| !is_url(url.get_ref())) {
        let what = format!("webhook `{}` is no http or https address", url.get_ref());
        let instead = "write for example \"https://hooks.customer.example/faregate\"";
        faults.at(url.span().start, what, instead);
    }
    Contact {
        mail: shape
            .mail
            .iter()
            .map(|text| text.get_ref().clone())
            .collect(),
        webhook: shape.webhook.as_ref().map(|url| url.get_ref().clone()),
    }
}

/// One `@` with something on both sides, and nothing that could begin a header of its own.
fn is_mail(text: &str) -> bool {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    let plain = !text.contains(['<', '>', ',', ';', '"']);
    matches!(text.split_once('@'), Some((name, host)) if !name.is_empty() && !host.is_empty()
        && !host.contains('@'))
        && printable
        && plain
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?']).next());
    host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_name_at_one_host() {
        for good in ["a@b", "billing+cloud@customer.example"] {
            assert!(is_mail(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a@b\r\nBcc: x@y",
            "A <a@b>",
            "a@b,c@d",
        ] {
            assert!(!is_mail(bad), "{bad}");
        }
        for good in ["https://h/x?y=1", "http://127.0.0.1:81"] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "ftp://h",
            "https://",
            "https://u:p@h/",
            "http://h/#x",
            "http://h/ x",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
    }
}
