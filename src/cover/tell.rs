//! Edge: what a renewal's forecast asks to be told: a notice once an episode and step, to the
//! operators' page and to the customer's own addresses, in one transaction.

use super::episode::Episode;
use super::forecast::{Forecast, forecast_beside};
use super::ladder::{self, Step};
use super::line::RenewalFault;
use crate::ledger::records::PayerState;
use crate::notice::text::{Told, deliveries};
use crate::policy::customer::RuleSet;
use crate::policy::prepaid::PrepaidProfile;
use crate::store::{LadderChange, Notice, Store, StoreError, Work};
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;
use crate::terms::time::{SECOND, Timestamp};

/// Notices of one episode that are read back.
const NOTICES_MAX: u32 = 200;

/// Tells what the forecast of a payer's new figures asks for; where it asks for nothing, the
/// episode that stopped nothing is over. `burn` is what an hour costs and what of the money is put
/// aside; `wall` is now.
///
/// # Errors
/// [`RenewalFault`].
pub(super) async fn tell(
    store: &Store,
    rules: &RuleSet,
    state: &PayerState,
    burn: (Micros, Micros),
    wall: Timestamp,
) -> Result<(), RenewalFault> {
    let payer = &state.payer;
    let Some(profile) = rules.profile_of(payer) else {
        return Ok(());
    };
    let now = state.accrued_through;
    let ahead = forecast_beside(state, burn.0, burn.1)?;
    let mut steps = ladder::due(profile, &ahead, now);
    // That machines are stopped is told by who stops them.
    let stops = steps.iter().position(|step| *step == Step::Stop);
    stops.map(|place| steps.remove(place));
    let open = store.open_episode(payer).await?;
    if steps.is_empty() {
        if let Some(episode) = open.filter(|episode| episode.stopping.is_none()) {
            end(store, episode, now).await?;
        }
        return Ok(());
    }
    let is_new = open.is_none();
    let episode = open.unwrap_or_else(|| Episode::new(payer, now));
    let told = given(store, payer, &episode.name).await?;
    let new: Vec<Step> = steps
        .into_iter()
        .filter(|step| !told.iter().any(|notice| notice.step == step.name()))
        .collect();
    if new.is_empty() && !is_new {
        return Ok(());
    }
    let mut work = Work::default();
    if is_new {
        work.ladder.push(LadderChange::Episode(episode.clone()));
    }
    for (place, step) in new.iter().enumerate() {
        let (subject, text) = words(*step, &ahead, profile, now);
        // Of several that fall due at once the customer is sent the nearest; all are shown.
        let later = new.get(place.saturating_add(1)..).unwrap_or_default();
        let nearer = later.iter().any(|one| matches!(one, Step::Notice(_)));
        let is_sent = !(matches!(step, Step::Notice(_)) && nearer);
        let notice = notice(payer, &episode.name, &step.name(), &text, now);
        put(&mut work, rules, notice, &subject, is_sent.then_some(wall));
    }
    store.submit(work).await?;
    Ok(())
}

/// The notices of an episode that were given.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn given(
    store: &Store,
    payer: &PayerId,
    episode: &str,
) -> Result<Vec<Notice>, StoreError> {
    let mut notices = store.notices(Some(payer), NOTICES_MAX).await?;
    notices.retain(|notice| notice.episode == episode);
    Ok(notices)
}

/// An episode is over.
async fn end(store: &Store, episode: Episode, at: Timestamp) -> Result<(), StoreError> {
    let ended = Episode {
        ended: Some(at),
        ..episode
    };
    let work = Work {
        ladder: vec![LadderChange::Episode(ended)],
        ..Work::default()
    };
    store.submit(work).await.map(drop)
}

/// A notice's row.
pub(super) fn notice(
    payer: &PayerId,
    episode: &str,
    step: &str,
    text: &str,
    at: Timestamp,
) -> Notice {
    Notice {
        payer: payer.clone(),
        episode: episode.to_owned(),
        step: step.to_owned(),
        text: text.to_owned(),
        at,
    }
}

/// Puts a notice into a work, and its deliveries where it is sent (at this wall time).
pub(super) fn put(
    work: &mut Work,
    rules: &RuleSet,
    notice: Notice,
    subject: &str,
    sent: Option<Timestamp>,
) {
    let customer = rules.customers.get(&notice.payer);
    let seller = customer.and_then(|customer| rules.sellers.get(&customer.seller));
    if let (Some(customer), Some(seller), Some(wall)) = (customer, seller, sent) {
        let told = Told {
            payer: &notice.payer,
            seller: &seller.name,
            episode: &notice.episode,
            step: &notice.step,
            subject,
            text: &notice.text,
            at: notice.at,
            top_up_url: &seller.top_up_url,
        };
        let all = deliveries(&told, &customer.contact, wall);
        work.ladder
            .extend(all.into_iter().map(LadderChange::Deliver));
    }
    work.notices.push(notice);
}

/// Subject and text of a step.
pub(super) fn words(
    step: Step,
    ahead: &Forecast,
    profile: &PrepaidProfile,
    now: Timestamp,
) -> (String, String) {
    let left = ahead.until_empty.unwrap_or(0);
    let end = now.plus(left);
    match step {
        Step::Notice(_) => {
            let lasts = span(left);
            let then = if profile.stops {
                let at = end.plus(profile.stop_lead.saturating_neg());
                format!("machines are stopped from {at} on")
            } else {
                "nothing more can be started then".to_owned()
            };
            let text = format!(
                "the money lasts for about {lasts}, until {end}, at {} an hour; {then}",
                ahead.burn_per_hour
            );
            (format!("your money lasts for about {lasts}"), text)
        }
        Step::RefuseRaising => (
            "nothing more can be started".to_owned(),
            format!(
                "what runs lacks {} of its cover: nothing more can be started until it is topped \
                 up; the money ends at {end}",
                ahead.shortfall
            ),
        ),
        Step::Stop => (
            "machines are being stopped".to_owned(),
            format!(
                "the cover ends at {}: machines are stopped now, in the order of their tags",
                now.plus(ahead.cover_lasts.unwrap_or(0))
            ),
        ),
        Step::DeleteNotice(before) => (
            "stopped machines will be deleted".to_owned(),
            format!("stopped machines are deleted at {}", now.plus(before)),
        ),
    }
}

/// Hours and minutes, to the minute.
fn span(micros: i64) -> String {
    let minutes = micros / (60 * SECOND);
    let (hours, rest) = (minutes / 60, minutes % 60);
    match (hours, rest) {
        (0, rest) => format!("{rest} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, rest) => format!("{hours} h {rest} min"),
    }
}
