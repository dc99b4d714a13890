//! Pure: how long the money lasts at the present burn.

use crate::ledger::records::{PayerState, Purse};
use crate::terms::money::{Micros, MoneyError};
use crate::terms::time::HOUR;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// How long the money lasts. Times in microseconds; none where nothing burns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forecast {
    /// What an hour costs.
    pub burn_per_hour: Micros,
    /// Until all is gone: available, held, gift credit and, where there is one, the credit line.
    pub until_empty: Option<i64>,
    /// Until the cover alone is gone.
    pub cover_lasts: Option<i64>,
    /// What the cover lacks to its target; above nothing, raising calls are refused.
    pub shortfall: Micros,
}

/// The forecast at a burn, all money counted.
///
/// # Errors
/// [`MoneyError`] beyond the range.
pub fn forecast(state: &PayerState, burn_per_hour: Micros) -> Result<Forecast, MoneyError> {
    forecast_beside(state, burn_per_hour, Micros::ZERO)
}

/// The forecast at a burn; what is put aside for storage after a stop is not there for it. Gift
/// credit counts at its net amount, which is a little short of what it pays for: the end is told
/// early rather than late.
///
/// # Errors
/// [`MoneyError`] beyond the range.
pub fn forecast_beside(
    state: &PayerState,
    burn_per_hour: Micros,
    aside: Micros,
) -> Result<Forecast, MoneyError> {
    let promo = state
        .purse(Purse::PromoAvailable)
        .plus(state.purse(Purse::PromoHeld))?;
    let money = state
        .spendable()?
        .plus(state.purse(Purse::Held))?
        .plus(promo)?
        .minus(aside)?;
    let cover = state.cover()?.plus(state.promo_cover()?)?.minus(aside)?;
    Ok(Forecast {
        burn_per_hour,
        until_empty: lasts(money, burn_per_hour),
        cover_lasts: lasts(cover, burn_per_hour),
        shortfall: state.cover_short()?,
    })
}

/// Microseconds that an amount lasts; none where nothing burns.
#[must_use]
pub fn lasts(money: Micros, burn_per_hour: Micros) -> Option<i64> {
    if burn_per_hour <= Micros::ZERO {
        return None;
    }
    let micros = Decimal::from(money.or_zero().get())
        .checked_mul(Decimal::from(HOUR))?
        .checked_div(Decimal::from(burn_per_hour.get()))?;
    Some(micros.trunc().to_i64().unwrap_or(i64::MAX))
}
