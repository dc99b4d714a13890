//! Pure: metered quantities as exact integers: so many units for so many microseconds.
//!
//! A sum of quantities never rounds; hours appear only when a quantity is rated.

use rust_decimal::Decimal;

/// Units × microseconds, exact. The unit is the price line's (one vCPU, one MiB, one byte, one
/// address …).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct UnitMicros(i128);

/// The sum of quantities left the 128-bit range, which no real fleet reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a metered quantity is beyond the range that can be rated exactly")]
pub struct QuantityOverflow;

impl UnitMicros {
    /// None.
    pub const ZERO: Self = Self(0);

    /// So many units for so many microseconds.
    pub fn of(units: i64, micros: i64) -> Result<Self, QuantityOverflow> {
        i128::from(units)
            .checked_mul(i128::from(micros))
            .map(Self)
            .ok_or(QuantityOverflow)
    }
    /// From its integer.
    #[must_use]
    pub const fn new(value: i128) -> Self {
        Self(value)
    }
    /// Its integer.
    #[must_use]
    pub const fn get(self) -> i128 {
        self.0
    }
    /// The sum.
    pub fn plus(self, other: Self) -> Result<Self, QuantityOverflow> {
        self.0
            .checked_add(other.0)
            .map(Self)
            .ok_or(QuantityOverflow)
    }
    /// Unit-hours as a decimal of 28 digits: exact where it terminates, and far closer than any
    /// tie of the millionth otherwise (a tie is a terminating decimal; a quotient by 3.6 × 10⁹
    /// that is none lies at least 10⁻¹⁶ from one).
    pub fn unit_hours(self) -> Result<Decimal, QuantityOverflow> {
        Decimal::try_from_i128_with_scale(self.0, 0)
            .ok()
            .and_then(|value| value.checked_div(Decimal::from(3_600_000_000_i64)))
            .ok_or(QuantityOverflow)
    }
}
