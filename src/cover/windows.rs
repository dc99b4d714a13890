//! Edge: the payers' open sampling windows, as of their last renewal, and what is held for them.

use super::cover::Pricing;
use super::window::{self, Carrier, Highest, Known, WEEK, Window};
use crate::cloudstack::usage_type::UsageType;
use crate::ledger::command::LineTotal;
use crate::ledger::records::PayerState;
use crate::meter::counting::Counting;
use crate::meter::resource::Interval;
use crate::policy::tariff::{BookVersion, PriceBook};
use crate::rate::RateError;
use crate::terms::ids::{PayerId, PriceLineId};
use crate::terms::money::Micros;
use crate::terms::quantity::UnitMicros;
use crate::terms::time::Timestamp;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Open windows by payer. Without a sampler there are none.
#[derive(Debug, Default)]
pub struct Windows {
    counting: Arc<ArcSwap<Counting>>,
    open: Mutex<BTreeMap<PayerId, Open>>,
}

#[derive(Clone, Debug)]
struct Open {
    window: Option<Window>,
    carriers: Vec<Carrier>,
    highest: BTreeMap<UsageType, Highest>,
}

impl Windows {
    /// Windows of what is counted so.
    #[must_use]
    pub fn new(counting: Arc<ArcSwap<Counting>>) -> Self {
        Self {
            counting,
            open: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PayerId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a renewal by this book needs the samples of seven days.
    #[must_use]
    pub fn needs_a_week(&self, book: &PriceBook) -> bool {
        let amounts = |version: &BookVersion| {
            let mut lines = version.lines.iter();
            lines.any(|line| line.component.is_amount() && !line.free)
        };
        self.counting.load().window().is_some() && book.versions.iter().any(amounts)
    }

    /// The window of a payer from `now` on, which a renewal adds to the cover's target. `intervals`
    /// are all of his of seven days, `totals` what his lines come to with it.
    ///
    /// # Errors
    /// [`RateError`] where prices have a hole.
    pub fn open(
        &self,
        pricing: Pricing<'_>,
        state: &PayerState,
        intervals: &[Interval],
        totals: &[LineTotal],
        now: Timestamp,
    ) -> Result<Option<Window>, RateError> {
        let counting = self.counting.load_full();
        let carriers = window::carriers(intervals);
        let highest = window::highest(intervals, now.plus(-WEEK));
        let known = Known {
            counting: &counting,
            highest: &highest,
        };
        let so_far = |line: &PriceLineId| {
            let row = totals.iter().rev().find(|row| row.line == *line);
            row.map(|row| row.quantity).unwrap_or_default()
        };
        let window = window::window(pricing, state, &carriers, known, so_far, now)?;
        let open = Open {
            window,
            carriers,
            highest,
        };
        self.lock().insert(state.payer.clone(), open);
        Ok(window)
    }

    /// How much more a window takes with what a call is going to start: part of its hold.
    ///
    /// # Errors
    /// [`RateError`] where prices have a hole.
    pub fn more(
        &self,
        pricing: Pricing<'_>,
        state: &PayerState,
        starts: &[Carrier],
        so_far: impl Fn(&PriceLineId) -> UnitMicros,
        now: Timestamp,
    ) -> Result<Micros, RateError> {
        if starts.is_empty() {
            return Ok(Micros::ZERO);
        }
        let counting = self.counting.load_full();
        let open = self.lock().get(&state.payer).cloned();
        let (before, highest) = match open {
            Some(open) => (open.carriers, open.highest),
            None => (Vec::new(), BTreeMap::new()),
        };
        let known = Known {
            counting: &counting,
            highest: &highest,
        };
        let mut after = before.clone();
        after.extend_from_slice(starts);
        let held = |carriers: &[Carrier]| -> Result<Micros, RateError> {
            let found = window::window(pricing, state, carriers, known, &so_far, now)?;
            Ok(found.map_or(Micros::ZERO, |window| window.held))
        };
        Ok(held(&after)?.minus(held(&before)?)?.or_zero())
    }

    /// The open window of a payer.
    #[must_use]
    pub fn of(&self, payer: &PayerId) -> Option<Window> {
        self.lock().get(payer).and_then(|open| open.window)
    }

    /// The shortest open window of all payers, in microseconds: how often samples are pulled.
    #[must_use]
    pub fn shortest(&self) -> Option<i64> {
        let open = self.lock();
        let windows = open.values().filter_map(|open| open.window);
        windows.map(|window| window.length).min()
    }
}
