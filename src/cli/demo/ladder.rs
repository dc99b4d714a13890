//! Edge: `faregate demo ladder`: in a running demo the prepaid customer's money ends, rung by rung,
//! and comes back, in about a minute.

use super::skip;
use super::state::{DemoCustomer, DemoState, Folder};
use crate::cli::ledger::{get, post};
use crate::clock::Clock;
use crate::cloudstack::query::ParamMap;
use crate::terms::money::Micros;
use crate::terms::time::{HOUR, SECOND};
use crate::upstream::service::Service;
use anyhow::{Context, bail};
use secrecy::SecretString;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// What is waited for takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Billing seconds of one minute.
const MINUTE: i64 = 60;
/// Steps of billing time while machines are being stopped, and how many of them at most.
const STEP: i64 = 4 * MINUTE;
const STEPS_MAX: usize = 60;

/// One customer of a running demo.
struct Show {
    folder: Folder,
    state: DemoState,
    customer: DemoCustomer,
    ops: SocketAddr,
    gate: Service,
    clock: Clock,
}

/// Shows the ladder from the first notice to the stop, and back.
pub async fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let folder = Folder::open(path, false)?;
    let state = folder.load()?;
    let state = state.context("no demo ran in this folder yet; start `faregate demo`")?;
    let customer = state.customers.iter().find(|one| one.mode == "prepaid");
    let customer = customer
        .context("the demo has no prepaid customer; start it with --fresh")?
        .clone();
    let clock = Clock::with_billing_file(&folder.clock_file())?;
    let gate = SocketAddr::from(([127, 0, 0, 1], state.gate_port)).to_string();
    let secret = SecretString::from(customer.secret.clone());
    let key = customer.api_key.clone();
    let show = Show {
        ops: SocketAddr::from(([127, 0, 0, 1], state.ops_port)),
        gate: Service::new(gate.clone(), gate, key, secret, clock.clone()),
        folder,
        state,
        customer,
        clock,
    };
    show.prepare().await?;
    show.down().await?;
    show.back().await?;
    Ok(ExitCode::SUCCESS)
}

impl Show {
    fn say(&self, what: &str) {
        println!("{}  {what}", self.clock.billing());
    }

    /// Two machines, tagged, and money for three days.
    async fn prepare(&self) -> anyhow::Result<()> {
        let name = &self.customer.name;
        self.top_up("2.00").await?;
        let mut ids = self.machines("Running").await?;
        while ids.len() < 2 {
            self.deploy().await?;
            let wanted = ids.len().saturating_add(1);
            self.until("a machine runs", async || {
                Ok(self.machines("Running").await?.len() >= wanted)
            })
            .await?;
            ids = self.machines("Running").await?;
        }
        for (id, key, value) in [
            (&ids[0], "faregate.stop-order", "1"),
            (&ids[1], "faregate.protected", "true"),
        ] {
            let asked = [
                ("resourceids", id.as_str()),
                ("resourcetype", "UserVm"),
                ("tags[0].key", key),
                ("tags[0].value", value),
            ];
            // A second show finds the tag of the first.
            let answer = self.gate.call("createTags", &asked).await?;
            if answer.error.is_none() {
                self.say(&format!("{name} tags {id} {key}={value}"));
            }
        }
        self.until("both are metered", async || {
            let payer = self.payer_now().await?;
            let held: Micros = text(&payer, "holds_open").parse()?;
            Ok(held.is_zero())
        })
        .await?;
        let paula = self.payer_now().await?;
        let hour: Micros = text(&paula, "per_hour").parse()?;
        let has: Micros = text(&paula, "available").parse()?;
        let wanted = rust_decimal::Decimal::from(74)
            .checked_mul(hour.to_decimal())
            .context("the price is out of range")?;
        let wanted = crate::terms::money::charge_to_micros(wanted)?;
        let missing = wanted.minus(has)?.or_zero();
        if missing > Micros::ZERO {
            self.top_up(&missing.to_string()).await?;
        }
        self.say(&format!("two machines run at {hour} EUR an hour"));
        Ok(())
    }

    /// From the first notice to the last stop.
    async fn down(&self) -> anyhow::Result<()> {
        for hours in [72, 24, 1] {
            let since = self.clock.billing().to_string();
            let left = self.payer_now().await?["empty_in"].as_i64().unwrap_or(0);
            let ahead = left.saturating_sub(hours * 3_600).max(0);
            self.skip(ahead.saturating_add(2 * MINUTE)).await?;
            let step = format!("notice-{}s", hours * 3_600);
            self.told(&step, &since).await?;
        }
        let since = self.clock.billing().to_string();
        let refused = self.deploy().await;
        let why = refused.err().map(|fault| fault.to_string());
        self.say(&format!(
            "a raising call is refused: {}",
            why.context("a machine started without money")?
        ));
        self.told("refuse", "").await?;
        for running in [1, 0] {
            for _ in 0..STEPS_MAX {
                if self.machines("Running").await?.len() <= running {
                    break;
                }
                self.skip(STEP).await?;
                tokio::time::sleep(Duration::from_millis(1_200)).await;
            }
            let running = self.machines("Running").await?;
            let stopped = self.machines("Stopped").await?;
            self.say(&format!("stopped {stopped:?}, running {running:?}"));
        }
        self.told("stop", &since).await
    }

    /// A top-up brings everything back.
    async fn back(&self) -> anyhow::Result<()> {
        let began = self.clock.monotonic();
        let since = self.clock.billing().to_string();
        self.top_up("25.00").await?;
        self.until("both machines run again", async || {
            Ok(self.machines("Running").await?.len() == 2)
        })
        .await?;
        let took = self.clock.monotonic().duration_since(began).as_secs();
        self.say(&format!(
            "both machines run again, {took} s after the top-up"
        ));
        self.told("ended", &since).await
    }

    async fn deploy(&self) -> anyhow::Result<()> {
        let small = self
            .state
            .offerings
            .iter()
            .find(|(name, _)| name == "small");
        let asked = [
            ("serviceofferingid", small.map_or("", |(_, id)| id.as_str())),
            ("templateid", self.state.template_id.as_str()),
            ("zoneid", self.state.zone_id.as_str()),
            ("networkids", self.customer.network_id.as_str()),
        ];
        let answer = self.gate.call("deployVirtualMachine", &asked).await?;
        match answer.error {
            None => Ok(()),
            Some(error) => bail!("{} {}", error.code, error.text),
        }
    }

    async fn machines(&self, state: &str) -> anyhow::Result<Vec<String>> {
        let asked = [("state", state)];
        let list = "listVirtualMachines";
        let rows = self.gate.list(list, "virtualmachine", &asked).await?;
        let ids = rows.iter().filter_map(|row| row.text_of("id"));
        Ok(ids.map(str::to_owned).collect())
    }

    async fn top_up(&self, amount: &str) -> anyhow::Result<()> {
        let id = self.clock.random_uuid();
        let mut form = ParamMap::default();
        for (name, value) in [
            ("payer", self.customer.name.as_str()),
            ("amount", amount),
            ("id", id.as_str()),
        ] {
            form.insert(name, value);
        }
        let (status, text) = post(self.ops, "/top-ups", &form.to_wire()).await?;
        if status != 200 {
            bail!("the demo refused the payment: {}", text.trim());
        }
        self.say(&format!("{} tops up {amount} EUR", self.customer.name));
        Ok(())
    }

    /// The customer as the operators' page shows him.
    async fn payer(&self) -> anyhow::Result<Value> {
        let (_, body) = get(self.ops, "/live.json").await?;
        let live: Value = serde_json::from_str(&body).context("the demo's page is not readable")?;
        let payers = live["payers"].as_array().cloned().unwrap_or_default();
        let mut payers = payers.into_iter();
        let found = payers.find(|payer| payer["id"] == self.customer.name.as_str());
        found.context("the demo's page does not show the customer")
    }

    /// The same from a reading of this moment: the page hands one out for a second.
    async fn payer_now(&self) -> anyhow::Result<Value> {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        self.payer().await
    }

    /// Waits for a notice of billing time `since` or later, and says it.
    async fn told(&self, step: &str, since: &str) -> anyhow::Result<()> {
        let of = |payer: &Value| {
            let notices = payer["notices"].as_array().cloned().unwrap_or_default();
            let mut notices = notices.into_iter();
            notices.find(|it| it["step"] == step && text(it, "at").as_str() >= since)
        };
        let what = format!("notice {step}");
        self.until(&what, async || Ok(of(&self.payer().await?).is_some()))
            .await?;
        let notice = of(&self.payer().await?).unwrap_or_default();
        self.say(&format!("notice {step}: {}", text(&notice, "text")));
        Ok(())
    }

    /// Billing time jumps so many seconds ahead.
    async fn skip(&self, seconds: i64) -> anyhow::Result<()> {
        let micros = seconds.saturating_mul(SECOND).min(9_999 * HOUR);
        let target = self.clock.billing().plus(micros);
        skip::to(&self.folder, &self.state, target, false).await
    }

    async fn until(
        &self,
        what: &str,
        mut holds: impl AsyncFnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let began = self.clock.monotonic();
        while self.clock.monotonic().duration_since(began) < PATIENCE {
            if holds().await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        bail!("not within a minute: {what}; look at the demo's page")
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
