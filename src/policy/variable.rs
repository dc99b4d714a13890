//! Pure: the terms of what is known only after it was used: traffic, disk I/O.

use crate::policy::faults::Faults;
use crate::policy::shape;
use crate::policy::tariff::Component;
use crate::terms::time::{HOUR, SECOND};
use rust_decimal::Decimal;
use toml::Spanned;

/// A window of at most so long is held at the line rate, a longer one at the estimate.
pub const LINE_RATE_MAX: i64 = 600 * SECOND;

/// How one sampling window is held. Times in microseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// The window while there is money enough.
    pub window: i64,
    /// The shortest one as the balance falls.
    pub window_min: i64,
    /// At most so much of what is available (and in the cover) is held for a window; a window that
    /// would take more is shortened.
    pub share: Decimal,
    /// An estimate is so many times the payer's highest of seven days.
    pub factor: Decimal,
    /// An estimate is at least this, in priced units (GiB, millions of operations) an hour, for
    /// each thing that can use it. The first that fits counts.
    pub floors: Vec<Floor>,
}

/// The least that is estimated for one thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Floor {
    /// For this amount alone; none for every one.
    pub component: Option<Component>,
    /// For things on this offering (UUID) alone; none for every one.
    pub offering: Option<String>,
    /// Priced units an hour.
    pub per_hour: Decimal,
}

impl Variable {
    /// Priced units an hour that are estimated at least for a thing on an offering.
    #[must_use]
    pub fn floor(&self, component: Component, offering: Option<&str>) -> Decimal {
        let fits = |floor: &&Floor| {
            floor.component.is_none_or(|one| one == component)
                && (floor.offering.is_none() || floor.offering.as_deref() == offering)
        };
        let found = self.floors.iter().find(fits);
        found.map_or(Decimal::ONE, |floor| floor.per_hour)
    }
}

impl Default for Variable {
    fn default() -> Self {
        Self {
            window: LINE_RATE_MAX,
            window_min: 60 * SECOND,
            share: Decimal::new(1, 1),
            factor: Decimal::TWO,
            floors: Vec::new(),
        }
    }
}

/// Reads what a `[[prepaid]]` says of sampling windows.
pub(super) fn read(shape: &shape::Prepaid, faults: &mut Faults<'_>) -> Variable {
    let mut found = Variable::default();
    let times = [
        (&shape.window, "window", &mut found.window),
        (&shape.window_min, "window_min", &mut found.window_min),
    ];
    for (text, what, place) in times {
        let Some(text) = text else { continue };
        let Some(read) = faults.duration(text, what) else {
            continue;
        };
        if !(60 * SECOND..=24 * HOUR).contains(&read) {
            let what = format!("{what} `{}` is out of range", text.get_ref());
            faults.at(text.span().start, what, "write 1m to 24h");
        }
        *place = read;
    }
    if found.window_min > found.window {
        let at = shape.window_min.as_ref().or(shape.window.as_ref());
        let what = format!("window of `{}` is shorter than window_min", shape.id);
        let instead = "write the shortest window as window_min (default 1m)";
        faults.at(at.map_or(0, |text| text.span().start), what, instead);
    }
    if let Some(text) = &shape.window_share
        && let Some(share) = faults.amount(text, "window_share")
    {
        if share.is_zero() || share > Decimal::ONE {
            let what = format!("window_share `{}` is out of range", text.get_ref());
            let instead = "write a part of the money, for example \"0.1\" for a tenth";
            faults.at(text.span().start, what, instead);
        }
        found.share = share;
    }
    if let Some(text) = &shape.estimate
        && let Some(factor) = faults.amount(text, "estimate")
    {
        if factor > Decimal::ONE_HUNDRED {
            let what = format!("estimate `{}` is out of range", text.get_ref());
            let instead = "write a factor up to \"100\"; 2 is twice the highest of seven days";
            faults.at(text.span().start, what, instead);
        }
        found.factor = factor;
    }
    let floors = shape.estimate_floor.iter();
    found.floors = floors.filter_map(|one| floor(one, faults)).collect();
    found
}

fn floor(written: &Spanned<shape::EstimateFloor>, faults: &mut Faults<'_>) -> Option<Floor> {
    let shape = written.get_ref();
    let words: Vec<(&str, Component)> = Component::ALL
        .into_iter()
        .filter(|(component, _)| component.is_amount())
        .map(|(component, name)| (name, component))
        .collect();
    let component = match &shape.component {
        Some(text) => Some(faults.word(text, &words)?),
        None => None,
    };
    Some(Floor {
        component,
        offering: shape.offering.clone(),
        per_hour: faults.amount(&shape.per_hour, "per_hour")?,
    })
}
