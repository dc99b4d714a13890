//! Pure: what is due as the money ends: notices, refusing, stopping. Who is told and which
//! machine is stopped by whom is the edge's; each step is due once an episode.

use crate::cover::episode::Episode;
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
    /// Tell the customer: stopped machines are deleted within so many microseconds.
    DeleteNotice(i64),
}

impl Step {
    /// Its name within an episode: a step is taken once under it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Notice(before) => format!("notice-{}s", before / crate::terms::time::SECOND),
            Self::RefuseRaising => "refuse".to_owned(),
            Self::Stop => "stop".to_owned(),
            Self::DeleteNotice(before) => {
                format!("delete-notice-{}s", before / crate::terms::time::SECOND)
            }
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

/// When what an episode stopped is deleted; none where the policy deletes nothing, or not all is
/// stopped yet.
#[must_use]
pub fn delete_at(profile: &PrepaidProfile, episode: &Episode) -> Option<Timestamp> {
    let after = profile.ending.delete_after?;
    episode.stopped.map(|at| at.plus(after))
}

/// The notices of a deletion that are due and were not given; `told` are the steps that were,
/// each with its instant.
#[must_use]
pub fn delete_notices_due(
    profile: &PrepaidProfile,
    told: &[(String, Timestamp)],
    at: Timestamp,
    now: Timestamp,
) -> Vec<i64> {
    let notices = profile.ending.delete_notices.iter().copied();
    notices
        .filter(|before| at.since(now) <= *before)
        .filter(|before| {
            let name = Step::DeleteNotice(*before).name();
            !told.iter().any(|(step, _)| *step == name)
        })
        .collect()
}

/// Whether the time has come: every notice was given, the last one as long ago as it said.
#[must_use]
pub fn may_delete(
    profile: &PrepaidProfile,
    told: &[(String, Timestamp)],
    at: Timestamp,
    now: Timestamp,
) -> bool {
    let notices = &profile.ending.delete_notices;
    let given = |before: &i64| {
        let name = Step::DeleteNotice(*before).name();
        let mut told = told.iter();
        told.any(|(step, when)| *step == name && when.plus(*before) <= now)
    };
    profile.ending.delete_after.is_some()
        && at <= now
        && !notices.is_empty()
        && notices.iter().all(given)
}
