//! Edge: `faregate ladder`: what would happen to a customer as his money ends, and what has.

use super::ledger::{block_on, load};
use crate::cover::climb::{self, Preview};
use crate::cover::episode::Episode;
use crate::cover::ladder::Step;
use crate::cover::preview::Rung;
use crate::notice::signing;
use crate::policy::prepaid::PrepaidProfile;
use crate::process::wiring;
use crate::store::Store;
use crate::terms::ids::{PayerId, ResourceId};
use crate::terms::time::HOUR;
use anyhow::{Context, bail};
use clap::Args;
use secrecy::ExposeSecret;
use std::path::PathBuf;
use std::process::ExitCode;

/// Episodes of caps that are shown.
const CAPS_SHOWN: u32 = 5;

/// The end ladder of a customer.
#[derive(Args, Debug)]
pub struct LadderArguments {
    /// The configuration
    #[arg(long)]
    config: PathBuf,
    /// Whose, as named in policies/customers
    #[arg(long)]
    customer: String,
    /// Print when each step would happen, and to which machines; nothing is done
    #[arg(long)]
    dry_run: bool,
    /// Print the key that his webhooks are signed with, for him
    #[arg(long)]
    webhook_key: bool,
}

/// Prints what was done in the newest episode, or would be done.
pub fn run(arguments: &LadderArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    let payer = PayerId::from(arguments.customer.as_str());
    if arguments.webhook_key {
        let secret = config.notices.webhook_secret.as_ref();
        let secret = secret.context("there is no [notices] webhook_secret_file")?;
        let key = signing::key_of(secret.expose_secret().as_bytes(), &payer);
        println!("{}", signing::shown_key(&key));
        return Ok(ExitCode::SUCCESS);
    }
    block_on(async {
        let store = Store::open_at(&wiring::place(&config, false)).await?;
        if !arguments.dry_run {
            return history(&store, &payer).await;
        }
        let rules = wiring::rules(&config).map_err(|faults| wiring::as_error(&faults))?;
        let clock = wiring::clock(&config)?;
        let service = wiring::service(&config, wiring::servers(&config)?, &clock);
        let preview = climb::preview(&store, &rules, &payer, &service, &clock).await?;
        let Some(preview) = preview else {
            bail!("`{payer}` has no line in policies/customers, or no books yet");
        };
        print(&preview);
        Ok(ExitCode::SUCCESS)
    })?
}

fn print(preview: &Preview) {
    let Preview { ahead, .. } = preview;
    println!(
        "as of {}, {} an hour; cover lacks {}",
        preview.now, ahead.burn_per_hour, ahead.shortfall
    );
    if preview.rungs.is_empty() {
        println!("nothing burns: no step is ahead");
    }
    for (at, rung) in &preview.rungs {
        println!("{at}  {}", told(rung, preview));
    }
    if !preview.profile.stops {
        println!("the policy stops nothing: raising calls are refused, and that is all");
    }
}

fn told(rung: &Rung, preview: &Preview) -> String {
    let profile: &PrepaidProfile = &preview.profile;
    match rung {
        Rung::Step(Step::Notice(before)) => format!("notice, {} h before the end", before / HOUR),
        Rung::Step(Step::RefuseRaising) => "raising calls are refused".to_owned(),
        Rung::Step(Step::Stop) => "stopping begins".to_owned(),
        Rung::Step(Step::DeleteNotice(before)) => {
            format!("notice, {} h before the deletion", before / HOUR)
        }
        Rung::StopMachine(id) => format!("stop {}", named(id, preview)),
        Rung::Empty if profile.stops => "the money would be gone if nothing stopped".to_owned(),
        Rung::Empty => "the money is gone".to_owned(),
        Rung::RetentionEnds => "storage is not kept any longer".to_owned(),
        Rung::Delete => "stopped machines are deleted".to_owned(),
    }
}

fn named(id: &ResourceId, preview: &Preview) -> String {
    let mut machines = preview.machines.iter();
    match machines.find(|one| one.id == *id) {
        None => id.to_string(),
        Some(machine) => {
            let order = machine.order.map(|order| format!(", order {order}"));
            let last = if machine.protected { ", protected" } else { "" };
            format!("{} ({id}{}{last})", machine.name, order.unwrap_or_default())
        }
    }
}

/// The newest episode of his money, and those of caps that stopped something of his.
async fn history(store: &Store, payer: &PayerId) -> anyhow::Result<ExitCode> {
    let mut episodes = store.episodes(payer, 1).await?;
    if episodes.is_empty() {
        println!("{payer}: his money never came near its end");
    }
    episodes.extend(store.cap_episodes(payer, CAPS_SHOWN).await?);
    for episode in episodes {
        print_episode(store, payer, &episode).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn print_episode(store: &Store, payer: &PayerId, episode: &Episode) -> anyhow::Result<()> {
    let shown = |at: Option<crate::terms::time::Timestamp>| {
        at.map_or_else(|| "-".to_owned(), |at| at.to_string())
    };
    println!(
        "episode {}  stopping {}  stopped {}  ended {}",
        episode.name,
        shown(episode.stopping),
        shown(episode.stopped),
        shown(episode.ended)
    );
    for notice in store.notices(Some(payer), 100).await? {
        if notice.episode == episode.name {
            println!("{}  {:<16}  {}", notice.at, notice.step, notice.text);
        }
    }
    for one in store.ladder_actions(payer, &episode.name).await? {
        println!(
            "{}  {:<6}  {:<9}  try {}  {} ({})  {}",
            one.since,
            one.step.name(),
            one.status.name(),
            one.tries,
            one.name,
            one.resource,
            one.note
        );
    }
    for one in store.deliveries(payer, 100).await? {
        if one.episode == episode.name {
            println!(
                "{}  {:<16}  {} to {}: {} after {} tries  {}",
                one.at,
                one.step,
                one.channel,
                one.target,
                one.status.name(),
                one.tries,
                one.note
            );
        }
    }
    Ok(())
}
