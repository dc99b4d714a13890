//! Pure: what is due as the money ends: notices, refusing, stopping. Who is told and which
//! machine is stopped by whom is the edge's; each step is due once an episode.

use crate::cover::forecast::Forecast;
use crate::policy::prepaid::PrepaidProfile;
use crate::terms::money::Micros;
use crate::terms::time::Timestamp;

/// One step of the ladder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// Tell the customer: the money ends within so many microseconds.
    Notice(i64),
    /// Refuse raising calls: the cover is short.
    RefuseRaising,
    /// Stop machines, orderly first.
    Stop,
}

impl Step {
    /// Its name within an episode: a step is taken once under it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Notice(before) => format!("notice-{}s", before / crate::terms::time::SECOND),
            Self::RefuseRaising => "refuse".to_owned(),
            Self::Stop => "stop".to_owned(),
        }
    }
}

/// The steps due now, mildest first; empty when there is money: the episode is over.
#[must_use]
pub fn due(profile: &PrepaidProfile, forecast: &Forecast, now: Timestamp) -> Vec<Step> {
    let mut steps: Vec<Step> = profile
        .notices
        .iter()
        .filter(|before| forecast.until_empty.is_some_and(|left| left <= **before))
        .map(|before| Step::Notice(*before))
        .collect();
    if forecast.shortfall > Micros::ZERO {
        steps.push(Step::RefuseRaising);
        if profile.stops && stop_at(profile, forecast, now).is_some_and(|at| at <= now) {
            steps.push(Step::Stop);
        }
    }
    steps
}

/// When stopping begins: the cover's end minus the stop lead; none where nothing burns.
#[must_use]
pub fn stop_at(profile: &PrepaidProfile, forecast: &Forecast, now: Timestamp) -> Option<Timestamp> {
    let lasts = forecast.cover_lasts?;
    Some(now.plus(lasts.saturating_sub(profile.stop_lead)))
}
