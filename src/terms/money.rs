//! Pure: amounts of money as checked integers, and the only two roundings that make them.
//!
//! An amount is a count of millionths of one currency's main unit. There is no conversion from
//! a float, no `+` operator, and no mixing of currencies: one payer has one currency, so hot code
//! handles bare [`Micros`]. Prices and quantities are exact `Decimal`s; they become money in
//! [`charge_to_micros`] and, on a document, in [`to_minor_unit`], nowhere else.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use std::fmt;
use std::str::FromStr;

/// Why an amount could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The result does not fit into 64 bits of millionths.
    #[error("the amount is beyond ±9.2 × 10¹² main units")]
    Overflow,
    /// The text is not an amount with at most six decimals.
    #[error("`{0}` is not an amount: digits, and at most six after the point, are wanted")]
    NotAnAmount(String),
    /// The currency is not known.
    #[error("`{0}` is not a currency code of ISO 4217 that is known here")]
    UnknownCurrency(String),
}

/// Millionths of one currency's main unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(i64);

impl Micros {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// An amount of so many millionths.
    #[must_use]
    pub const fn new(micros: i64) -> Self {
        Self(micros)
    }
    /// The millionths.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
    /// Below nothing.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
    /// Exactly nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    /// The sum. Refuses [`MoneyError::Overflow`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.0
            .checked_add(other.0)
            .map(Self)
            .ok_or(MoneyError::Overflow)
    }
    /// The difference. Refuses [`MoneyError::Overflow`].
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.0
            .checked_sub(other.0)
            .map(Self)
            .ok_or(MoneyError::Overflow)
    }
    /// The opposite. Refuses [`MoneyError::Overflow`].
    pub fn negated(self) -> Result<Self, MoneyError> {
        self.0.checked_neg().map(Self).ok_or(MoneyError::Overflow)
    }
    /// This, or nothing where it is below.
    #[must_use]
    pub fn or_zero(self) -> Self {
        self.max(Self::ZERO)
    }
    /// The exact decimal of main units.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(self.0), 6)
    }
    /// The sum of many. Refuses [`MoneyError::Overflow`].
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(
            f,
            "{sign}{}.{:06}",
            magnitude / 1_000_000,
            magnitude % 1_000_000
        )
    }
}

impl fmt::Debug for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Micros {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let fault = || MoneyError::NotAnAmount(text.to_owned());
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(fault());
        }
        let exact = Decimal::from_str_exact(text).map_err(|_| fault())?;
        if exact.normalize().scale() > 6 {
            return Err(fault());
        }
        charge_to_micros(exact)
    }
}

/// A currency: its ISO 4217 code and how many decimals its documents have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    minor_digits: u32,
}

impl Currency {
    /// The euro.
    pub const EUR: Self = Self {
        code: *b"EUR",
        minor_digits: 2,
    };

    /// The code, three capital letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or("???")
    }
    /// Decimals of the minor unit: 0, 2 or 3 (ISO 4217, column "Minor unit").
    #[must_use]
    pub const fn minor_digits(&self) -> u32 {
        self.minor_digits
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        const NONE: [&str; 15] = [
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND",
            "VUV", "XAF", "XOF",
        ];
        const THREE: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];
        const TWO: [&str; 46] = [
            "AED", "ARS", "AUD", "BAM", "BDT", "BGN", "BRL", "CAD", "CHF", "CNY", "COP", "CZK",
            "DKK", "EGP", "EUR", "GBP", "GEL", "HKD", "HUF", "IDR", "ILS", "INR", "KES", "KZT",
            "LKR", "MAD", "MXN", "MYR", "NGN", "NOK", "NZD", "PEN", "PHP", "PKR", "PLN", "QAR",
            "RON", "RSD", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "USD",
        ];
        let minor_digits = match text {
            t if TWO.contains(&t) || t == "ZAR" => 2,
            t if NONE.contains(&t) => 0,
            t if THREE.contains(&t) => 3,
            _ => return Err(MoneyError::UnknownCurrency(text.to_owned())),
        };
        let code = text
            .as_bytes()
            .try_into()
            .map_err(|_| MoneyError::UnknownCurrency(text.to_owned()))?;
        Ok(Self { code, minor_digits })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// First named rounding: an exact charge, or tax of a group, to millionths, half to even.
///
/// Refuses [`MoneyError::Overflow`].
pub fn charge_to_micros(exact: Decimal) -> Result<Micros, MoneyError> {
    exact
        .round_dp_with_strategy(6, RoundingStrategy::MidpointNearestEven)
        .checked_mul(Decimal::from(1_000_000))
        .and_then(|micros| micros.to_i64())
        .map(Micros)
        .ok_or(MoneyError::Overflow)
}

/// Second named rounding: a document's line, or the tax of one of its groups, to the currency's
/// minor unit, half away from zero (EN 16931, the usual reading of its rounding rule).
///
/// Refuses [`MoneyError::Overflow`].
pub fn to_minor_unit(exact: Decimal, currency: Currency) -> Result<Micros, MoneyError> {
    charge_to_micros(exact.round_dp_with_strategy(
        currency.minor_digits(),
        RoundingStrategy::MidpointAwayFromZero,
    ))
}

#[cfg(test)]
mod tests;
