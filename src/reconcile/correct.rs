//! Pure: a finding → what it changes, ready to be priced.
//!
//! The meter is believed where the usage server is known to be wrong, where it lost a window, and
//! wherever both lie within the tolerance. What ran without a call that we saw is billed by the
//! usage server's word. A record that appears twice counts once. Both there and apart without a
//! known cause is for a person.

use super::compare::{Class, Difference};
use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::{Attributes, Owner};

/// Whom a finding follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Believed {
    /// Our intervals stand.
    Meter,
    /// The usage records stand.
    Records,
    /// Somebody has to look.
    Person,
}

/// A correction to price: so many more (or fewer) microseconds of this for that owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Correction {
    /// Which type.
    pub usage_type: UsageType,
    /// Which thing.
    pub resource: String,
    /// Whose.
    pub owner: Owner,
    /// What its price depends on.
    pub attributes: Attributes,
    /// To add to what was metered; below nothing where too much was.
    pub micros: i64,
    /// Its evidence, for the line on the invoice and for `explain`.
    pub reason: String,
}

/// Whom a finding follows, unless the policy of its type says otherwise.
#[must_use]
pub const fn believed(difference: &Difference) -> Believed {
    match (difference.class, difference.cause) {
        (Class::Agreement | Class::KnownFault | Class::Doubled | Class::Missing, _) => {
            Believed::Meter
        }
        (Class::Extra, _) | (Class::Different, Some(_)) => Believed::Records,
        (Class::Different, None) => Believed::Person,
    }
}

/// The corrections of findings, and the findings that a person must decide.
#[must_use]
pub fn corrections(differences: &[Difference]) -> (Vec<Correction>, Vec<&Difference>) {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for difference in differences {
        match believed(difference) {
            Believed::Meter => {}
            Believed::Person => open.push(difference),
            Believed::Records => found.push(correction(difference)),
        }
    }
    (found, open)
}

fn correction(difference: &Difference) -> Correction {
    let cause = difference.cause.map_or("", |cause| cause.name());
    Correction {
        usage_type: difference.usage_type,
        resource: difference.resource.clone(),
        owner: difference.owner.clone(),
        attributes: difference.attributes.clone(),
        micros: difference
            .reported_micros
            .saturating_sub(difference.metered_micros),
        reason: format!(
            "{} ({cause}): metered {} s, {} usage records say {} s",
            difference.class.name(),
            seconds(difference.metered_micros),
            difference.records,
            seconds(difference.reported_micros),
        ),
    }
}

/// Microseconds as seconds of three decimals, cut.
#[must_use]
pub fn seconds(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let size = micros.unsigned_abs();
    format!("{sign}{}.{:03}", size / 1_000_000, size % 1_000_000 / 1_000)
}
