//! Pure: the signature of a webhook, by the Standard Webhooks scheme: HMAC-SHA256 over id, time
//! and body, so that a receiver knows who says it, and when.
//!
//! Each customer has a key of his own, made of the operator's secret and his id.

use crate::terms::ids::PayerId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

fn hmac(key: &[u8], text: &[&[u8]]) -> Vec<u8> {
    // A key of any length is one for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    for part in text {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// A customer's key.
#[must_use]
pub fn key_of(secret: &[u8], payer: &PayerId) -> Vec<u8> {
    hmac(secret, &[b"webhook/", payer.as_str().as_bytes()])
}

/// A customer's key as libraries of the scheme take it: `whsec_…`.
#[must_use]
pub fn shown_key(key: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(key))
}

/// The value of `webhook-signature`. `seconds` is the wall time of the sending, since 1970.
#[must_use]
pub fn signature(key: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let time = seconds.to_string();
    let parts: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", body.as_bytes()];
    format!("v1,{}", STANDARD.encode(hmac(key, &parts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_schemes_own_example() {
        // From the specification of Standard Webhooks, its libraries' first test.
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        assert_eq!(
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn customers_have_different_keys() {
        let (a, b) = (PayerId::from("a"), PayerId::from("b"));
        assert_ne!(key_of(b"secret", &a), key_of(b"secret", &b));
        assert_ne!(key_of(b"secret", &a), key_of(b"other", &a));
        assert!(shown_key(&key_of(b"secret", &a)).starts_with("whsec_"));
    }
}
