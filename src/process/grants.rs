//! Edge: gift credit that an operator grants, and until when it may be used.

use super::wiring::Product;
use crate::ledger::Command;
use crate::ledger::command::PromoGrant;
use crate::ledger::records::Purse;
use crate::store::{StoreError, Work};
use crate::terms::ids::PayerId;
use crate::terms::money::{Micros, MoneyError};
use crate::terms::time::Timestamp;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Deserialize;
use std::sync::Arc;

/// Characters of a reason and of a name.
const TEXT_MAX: usize = 200;

/// Gift credit: `payer`, `amount` (net), `id`, `reason`, and `expires` where it ends.
#[derive(Deserialize, Debug)]
pub struct Gift {
    payer: String,
    amount: String,
    id: String,
    reason: String,
    #[serde(default)]
    expires: String,
}

/// Why nothing was granted.
#[derive(Debug, thiserror::Error)]
enum NotGranted {
    #[error("{0}")]
    Amount(#[from] MoneyError),
    #[error("{0} is no amount to grant; grant more than nothing")]
    Nothing(Micros),
    #[error(
        "name the grant in 1 to {TEXT_MAX} characters without `/`: the name twice is one grant"
    )]
    NoName,
    #[error("say why in 1 to {TEXT_MAX} characters: it stays beside the grant")]
    NoReason,
    #[error("policies/customers has no payer `{0}`; write him there first")]
    NobodyThere(PayerId),
    #[error(
        "`{0}` is no end; write its last day (2026-12-31) or an instant (2026-12-31T23:00:00Z)"
    )]
    NoEnd(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// `POST /grants`: twice under one id is one grant. Answers what gift credit is available then.
pub async fn answer(
    State(product): State<Arc<Product>>,
    Form(gift): Form<Gift>,
) -> (StatusCode, String) {
    match grant(&product, &gift).await {
        Ok(available) => (StatusCode::OK, format!("{available}\n")),
        Err(NotGranted::Store(fault)) => (StatusCode::CONFLICT, format!("{fault}\n")),
        Err(fault) => (StatusCode::BAD_REQUEST, format!("{fault}\n")),
    }
}

async fn grant(product: &Product, gift: &Gift) -> Result<Micros, NotGranted> {
    let amount: Micros = gift.amount.parse()?;
    if amount <= Micros::ZERO {
        return Err(NotGranted::Nothing(amount));
    }
    let id = gift.id.trim();
    if !fits(id) || id.contains('/') {
        return Err(NotGranted::NoName);
    }
    if !fits(gift.reason.trim()) {
        return Err(NotGranted::NoReason);
    }
    let payer = PayerId::from(gift.payer.as_str());
    let terms = product.rules.load().terms_of(&payer);
    let zone = terms.ok_or_else(|| NotGranted::NobodyThere(payer.clone()))?;
    let zone = zone.zone;
    let text = gift.expires.trim();
    let expires = match text.is_empty() {
        true => None,
        false => Some(end(text, &zone).ok_or_else(|| NotGranted::NoEnd(text.to_owned()))?),
    };
    let command = Command::PromoGrant(PromoGrant {
        id: id.to_owned(),
        payer: payer.clone(),
        amount,
        expires,
        reason: gift.reason.trim().to_owned(),
        at: product.clock.billing(),
    });
    product.store.submit(Work::of(command)).await?;
    let state = product.store.payer(&payer).await?;
    Ok(state
        .map(|state| state.purse(Purse::PromoAvailable))
        .unwrap_or_default())
}

fn fits(text: &str) -> bool {
    (1..=TEXT_MAX).contains(&text.chars().count())
}

/// The first instant at which a grant is over: an instant as it is written, or the midnight of
/// the seller's zone that ends its last day.
fn end(text: &str, zone: &str) -> Option<Timestamp> {
    let instant = match text.parse::<Date>() {
        Ok(last) if text.len() == "2026-12-31".len() => {
            let tz = jiff::tz::TimeZone::get(zone).ok()?;
            let next = last.checked_add(1.day()).ok()?;
            next.to_zoned(tz).ok()?.timestamp()
        }
        _ => text.parse::<jiff::Timestamp>().ok()?,
    };
    Some(Timestamp::from_micros(instant.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_may_be_used_through_its_last_day_in_the_sellers_zone() {
        let at = |text| end(text, "Europe/Berlin").map(|end| end.to_string());
        let ends = |text: &str| Some(text.to_owned());
        assert_eq!(at("2026-12-31"), ends("2026-12-31T23:00:00Z"));
        assert_eq!(at("2026-06-30"), ends("2026-06-30T22:00:00Z"));
        assert_eq!(at("2026-12-31T12:00:00Z"), ends("2026-12-31T12:00:00Z"));
        for text in ["", "soon", "2026-13-01", "2026-12-31T12:00:00"] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
