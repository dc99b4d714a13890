//! Pure: the signature of a call exactly as CloudStack computes it (`ApiServer.verifyRequest`).
//!
//! Names are sorted as UTF-16 in their own case and stay unescaped; values go through Java's
//! `URLEncoder` with `+` turned to `%20`; the whole text is lower-cased, then HMAC-SHA1, Base64.

use super::query::ParamMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::fmt::Write;
use subtle::ConstantTimeEq;

/// The text that is signed: every parameter but `signature`.
#[must_use]
pub fn canonical(map: &ParamMap) -> String {
    let mut params: Vec<_> = map
        .iter()
        .map(|(_, param)| param)
        .filter(|param| !param.name.eq_ignore_ascii_case("signature"))
        .collect();
    // Names are ASCII (C3), for which bytes and UTF-16 sort alike.
    params.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = String::new();
    for param in params {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&param.name);
        text.push('=');
        java_url_encode(&param.value, &mut text);
    }
    text.make_ascii_lowercase();
    text
}

/// The signature of a map: Base64 of HMAC-SHA1, 28 characters.
#[must_use]
pub fn sign(map: &ParamMap, secret: &[u8]) -> String {
    STANDARD.encode(mac(&canonical(map), secret))
}

/// Whether the map's own signature is the one that the secret makes; in constant time.
#[must_use]
pub fn agrees(map: &ParamMap, secret: &[u8]) -> bool {
    let expected = sign(map, secret);
    let sent = map.get("signature").unwrap_or_default();
    expected.as_bytes().ct_eq(sent.as_bytes()).into()
}

fn mac(text: &str, secret: &[u8]) -> [u8; 20] {
    // HMAC takes a key of any length (RFC 2104 §2), so this cannot fail; an all-zero MAC would
    // agree with nothing that a client can send.
    Hmac::<Sha1>::new_from_slice(secret).map_or([0; 20], |mut mac| {
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    })
}

fn java_url_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-*_".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02x}");
        }
    }
}
