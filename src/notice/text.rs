//! Pure: what a notice says, to whom it goes, and when a failed delivery is tried again.

use crate::policy::customer::Contact;
use crate::terms::ids::PayerId;
use crate::terms::time::{HOUR, SECOND, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};

/// A delivery is given up so long after its notice; wall time.
pub const GIVE_UP_AFTER: i64 = 72 * HOUR;
/// The longest wait between two tries.
const BACKOFF_MAX: i64 = 900 * SECOND;

/// How far a delivery has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DeliveryStatus {
    /// Not taken yet.
    Waiting,
    /// The other side took it.
    Sent,
    /// Given up.
    Failed,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Sent, Self::Failed];

    /// The word that is stored and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

/// A notice to one address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Made of payer, episode, step and address: the same notice is the same delivery.
    pub id: String,
    /// To whom.
    pub payer: PayerId,
    /// Which run towards the end.
    pub episode: String,
    /// Which step.
    pub step: String,
    /// `mail` or `webhook`.
    pub channel: String,
    /// The address.
    pub target: String,
    /// A mail's subject.
    pub subject: String,
    /// Plain text, or a webhook's JSON.
    pub body: String,
    /// How far it has come.
    pub status: DeliveryStatus,
    /// Tries so far.
    pub tries: i64,
    /// When the notice was given, wall time.
    pub since: Timestamp,
    /// When it is tried next, or was tried last; wall time.
    pub at: Timestamp,
    /// Why the last try failed.
    pub note: String,
}

/// A notice, and what its reader has to know besides.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// To whom.
    pub payer: &'a PayerId,
    /// Who says it.
    pub seller: &'a str,
    /// Which run towards the end.
    pub episode: &'a str,
    /// Which step.
    pub step: &'a str,
    /// One sentence for the subject.
    pub subject: &'a str,
    /// What happens, and when.
    pub text: &'a str,
    /// When, billing time.
    pub at: Timestamp,
    /// Where money is added.
    pub top_up_url: &'a str,
}

/// One delivery for each address of the customer. `wall` is now.
#[must_use]
pub fn deliveries(told: &Told<'_>, contact: &Contact, wall: Timestamp) -> Vec<Delivery> {
    let mails = contact.mail.iter().map(|address| ("mail", address));
    let hooks = contact.webhook.iter().map(|url| ("webhook", url));
    mails
        .chain(hooks)
        .map(|(channel, target)| {
            let id = id_of(told, channel, target);
            Delivery {
                payer: told.payer.clone(),
                episode: told.episode.to_owned(),
                step: told.step.to_owned(),
                channel: channel.to_owned(),
                target: target.clone(),
                subject: format!("{}: {}", told.seller, told.subject),
                body: match channel {
                    "mail" => letter(told),
                    _ => event(told, &id),
                },
                id,
                status: DeliveryStatus::Waiting,
                tries: 0,
                since: wall,
                at: wall,
                note: String::new(),
            }
        })
        .collect()
}

/// What becomes of a delivery after a try: sent, tried again later, or given up. `wall` is now.
#[must_use]
pub fn after_try(delivery: &Delivery, outcome: Result<(), String>, wall: Timestamp) -> Delivery {
    let tries = delivery.tries.saturating_add(1);
    let (status, at, note) = match outcome {
        Ok(()) => (DeliveryStatus::Sent, wall, String::new()),
        Err(why) if wall.since(delivery.since) >= GIVE_UP_AFTER => {
            (DeliveryStatus::Failed, wall, why)
        }
        Err(why) => (DeliveryStatus::Waiting, wall.plus(backoff(tries)), why),
    };
    Delivery {
        status,
        tries,
        at,
        note,
        ..delivery.clone()
    }
}

/// The wait after so many tries: a second, two, four … at most a quarter of an hour.
fn backoff(tries: i64) -> i64 {
    let doubled = u32::try_from(tries.saturating_sub(1)).unwrap_or(0).min(20);
    SECOND.saturating_mul(1_i64 << doubled).min(BACKOFF_MAX)
}

fn id_of(told: &Told<'_>, channel: &str, target: &str) -> String {
    let parts = [
        told.payer.as_str(),
        told.episode,
        told.step,
        channel,
        target,
    ];
    let hash = Sha256::digest(parts.join("\n"));
    let hex: String = hash
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("ntc_{hex}")
}

fn letter(told: &Told<'_>) -> String {
    format!(
        "{}\n\nCustomer: {}\nAs of: {}\nAdd money here: {}\n\n{}\n",
        told.text, told.payer, told.at, told.top_up_url, told.seller
    )
}

fn event(told: &Told<'_>, id: &str) -> String {
    json!({
        "type": "balance.notice",
        "id": id,
        "timestamp": told.at.to_string(),
        "data": {
            "customer": told.payer.as_str(),
            "seller": told.seller,
            "episode": told.episode,
            "step": told.step,
            "text": told.text,
            "top_up_url": told.top_up_url,
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests;
