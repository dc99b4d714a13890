//! Edge: the end ladder's parts, made from the configuration; what the ladder did, for the meter;
//! what of it needs a person, for the page.

use super::wiring::Product;
use crate::config::Config;
use crate::cover::actor::{Acted, Actor};
use crate::cover::episode::ActionStatus;
use crate::meter::kinds::nobody;
use crate::meter::line::Settlement;
use crate::meter::observe::ObservedCall;
use crate::notice::mail::Mail;
use crate::notice::outbox::Outbox;
use crate::notice::text::{Delivery, DeliveryStatus};
use crate::notice::webhook::Webhooks;
use crate::ops::metrics::Figure;
use crate::ops::views::{AlarmView, NoticeView};
use crate::policy::customer::RuleSet;
use crate::store::StoreError;
use crate::terms::ids::PayerId;
use crate::terms::time::HOUR;
use crate::upstream::service::Service;
use crate::{clock::Clock, cloudstack::tree::Node, upstream::servers::Servers};
use anyhow::{anyhow, bail};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Notices of one payer shown, and deliveries read for them.
const NOTICES_MAX: u32 = 10;
const DELIVERIES_MAX: u32 = 60;
/// Calls of the ladder that wait for the meter.
const ACTED_MAX: usize = 1_024;
/// Given-up notices of so long ago are no alarm any more.
const GIVEN_UP_SHOWN: i64 = 168 * HOUR;

/// A policy that stops machines needs somebody who may.
///
/// # Errors
/// Where there is such a policy and nobody.
pub fn check(rules: &RuleSet, has_actor: bool) -> anyhow::Result<()> {
    if let (Some(cap), false) = (rules.caps.iter().find(|cap| cap.stops), has_actor) {
        bail!(
            "the cap `{}` stops machines, and there is no acting service account: write \
             upstream.actor_key and upstream.actor_secret_file, or stops = false",
            cap.id
        );
    }
    let stops = rules.prepaid.values().find(|profile| profile.stops);
    match stops {
        Some(profile) if !has_actor => bail!(
            "the prepaid terms `{}` stop machines, and there is no acting service account: write \
             upstream.actor_key and upstream.actor_secret_file, or stops = false",
            profile.id
        ),
        _ => Ok(()),
    }
}

/// The acting account where one is configured, and what it did.
#[must_use]
pub fn actor(
    config: &Config,
    servers: &Arc<Servers>,
    clock: &Clock,
) -> (Option<Actor>, mpsc::Receiver<Acted>) {
    let (acted, received) = mpsc::channel(ACTED_MAX);
    let actor = config.upstream.actor.as_ref().map(|account| {
        let (key, secret) = (account.key.clone(), account.secret.clone());
        let direct = Service::of(servers.clone(), key.clone(), secret.clone(), clock.clone());
        let host = reachable(config.listen.gate).to_string();
        let gate = Service::new(host.clone(), host, key, secret, clock.clone());
        Actor::new(direct, gate, clock.clone(), acted)
    });
    (actor, received)
}

/// A socket that listens on every address is called on this machine's own.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

/// The outbox with the ways that the configuration gives it.
///
/// # Errors
/// A mail server or sender that cannot be used.
pub fn outbox(product: &Product) -> anyhow::Result<Outbox> {
    let notices = &product.config.notices;
    let mail = notices.smtp_url.as_ref();
    let mail = mail.map(|url| Mail::new(url, &notices.mail_from));
    let hooks = notices.webhook_secret.clone().map(Webhooks::new);
    Ok(Outbox::new(
        product.store.clone(),
        product.clock.clone(),
        mail.transpose().map_err(|what| anyhow!(what))?,
        hooks.transpose().map_err(|what| anyhow!(what))?,
    ))
}

/// Tells the meter what the ladder did, until told to stop.
pub async fn meter(
    product: Arc<Product>,
    mut acted: mpsc::Receiver<Acted>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let one = tokio::select! {
            one = acted.recv() => one,
            _ = stop.changed() => return,
        };
        let Some(one) = one else { return };
        let find = |name: &str| (name == "id").then_some(one.resource.as_str());
        let mut answer = Node::leaf("answer", "");
        answer.children.push(Node::leaf("jobid", one.job.as_str()));
        let call = ObservedCall {
            command: one.command,
            params: &find,
            owner: nobody(),
            sent: one.seen,
            answered: one.seen,
            answer: &answer,
            job: Some(&one.ended),
        };
        let kept = product.meter.record(&[call], Settlement::default()).await;
        if let Err(fault) = kept {
            let vm = &one.resource;
            tracing::warn!(verb = "act", %vm, %fault, "not metered; the sweep finds it");
        }
    }
}

/// A payer's newest notices, each with what became of its deliveries.
///
/// # Errors
/// [`StoreError`].
pub async fn notices(product: &Product, payer: &PayerId) -> Result<Vec<NoticeView>, StoreError> {
    let notices = product.store.notices(Some(payer), NOTICES_MAX).await?;
    let sent = product.store.deliveries(payer, DELIVERIES_MAX).await?;
    let views = notices.into_iter().map(|notice| {
        let same = |one: &&Delivery| one.episode == notice.episode && one.step == notice.step;
        let mut delivered: Vec<String> = sent.iter().filter(same).map(told).collect();
        delivered.sort();
        NoticeView {
            step: notice.step.clone(),
            text: notice.text.clone(),
            at: notice.at.to_string(),
            delivered: delivered.join(", "),
        }
    });
    Ok(views.collect())
}

fn told(one: &Delivery) -> String {
    let (channel, status) = (&one.channel, one.status.name());
    match one.status {
        DeliveryStatus::Sent => format!("{channel} {status}"),
        _ => format!("{channel} {status} ({} tries: {})", one.tries, one.note),
    }
}

/// What of the ladder needs a person.
///
/// # Errors
/// [`StoreError`].
pub async fn alarms(product: &Product) -> Result<Vec<AlarmView>, StoreError> {
    let mut alarms = Vec::new();
    let open = product.store.open_ladder_actions().await?;
    let failed = open
        .iter()
        .filter(|one| one.status == ActionStatus::Waiting && !one.note.is_empty());
    alarms.extend(failed.map(|one| {
        AlarmView {
            kind: "ladder".to_owned(),
            what: format!(
                "{} of {} ({}) failed {} times: {}",
                one.step.name(),
                one.name,
                one.payer,
                one.tries,
                one.note
            ),
            act: "look at the machine in CloudStack; it is tried again, and runs into overdraft"
                .to_owned(),
        }
    }));
    let since = product.clock.wall().plus(-GIVEN_UP_SHOWN);
    let lost = product.store.undelivered(since, 20).await?;
    alarms.extend(lost.into_iter().map(|one| AlarmView {
        kind: "notice".to_owned(),
        what: format!(
            "notice {} by {} to {} was given up: {}",
            one.step, one.channel, one.payer, one.note
        ),
        act: "mend the address in policies/customers, and tell the customer yourself".to_owned(),
    }));
    Ok(alarms)
}

/// The ladder's own figures.
#[must_use]
pub fn figures(product: &Product) -> Vec<Figure> {
    let plain = |name, help, value: i64| Figure {
        name,
        help,
        label: None,
        value,
    };
    vec![
        plain(
            "faregate_ladder_acts",
            "1 where an acting account is configured",
            i64::from(product.ladder.acts()),
        ),
        plain(
            "faregate_ladder_failures",
            "Stops, starts and deletions whose try failed since the start",
            product.ladder.failures(),
        ),
    ]
}
