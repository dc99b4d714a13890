//! Edge: the operators' page, answered from the books, the meter and what was judged.

use super::scopes::{hourly, scopes};
use super::wiring::Product;
use crate::bill::document::Invoice;
use crate::bill::render;
use crate::cover::forecast;
use crate::ledger::records::{BillingMode, Document, DocumentKind, PayerState, Purse};
use crate::meter::resource::Interval;
use crate::ops::metrics::Figure;
use crate::ops::source::{Answering, OpsSource, media_type};
use crate::ops::views::{
    AlarmView, AwayView, CallView, CountingView, DifferenceView, DocumentRow, HoldView, LiveView,
    MeterView, MetersPage, PayerView, ROWS_MAX, ServerView, TotalView,
};
use crate::policy::customer::RuleSet;
use crate::rate::month;
use crate::store::{IntentStatus, StoreError, StoredInterval};
use crate::terms::ids::PayerId;
use crate::terms::money::{Micros, charge_to_micros};
use crate::terms::time::{BillingMonth, SECOND, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Documents listed.
const DOCUMENTS_MAX: u32 = 500;

/// Answers from a running product.
#[derive(Debug)]
pub struct FromBooks(pub Arc<Product>);

impl OpsSource for FromBooks {
    fn live(&self) -> Answering<'_, LiveView> {
        Box::pin(async move {
            live(&self.0).await.unwrap_or_else(|fault| LiveView {
                fault: Some(fault.to_string()),
                alarms: super::away::alarms(&self.0),
                ..times(&self.0)
            })
        })
    }

    fn store_away(&self) -> AwayView {
        super::away::view(&self.0)
    }

    fn figures(&self) -> Vec<Figure> {
        super::figures::of(&self.0)
    }

    fn meters(&self, page: usize, search: &str) -> Answering<'_, MetersPage> {
        let search = search.to_owned();
        Box::pin(async move {
            let rows = self.0.store.open_intervals(None).await.unwrap_or_default();
            let rules = self.0.rules.load_full();
            let now = self.0.clock.billing();
            let views: Vec<MeterView> = rows.iter().map(|row| meter(&rules, row, now)).collect();
            MetersPage::of(&views, page, &search)
        })
    }

    fn documents(&self) -> Answering<'_, Vec<DocumentRow>> {
        Box::pin(async move {
            let documents = self.0.store.documents(None, DOCUMENTS_MAX).await;
            documents
                .unwrap_or_default()
                .iter()
                .map(document_row)
                .collect()
        })
    }

    fn document(&self, number: &str, format: &str) -> Answering<'_, Option<(String, Vec<u8>)>> {
        let (number, format) = (number.to_owned(), format.to_owned());
        Box::pin(async move {
            let documents = self.0.store.documents(None, DOCUMENTS_MAX).await.ok()?;
            let found = documents
                .iter()
                .find(|document| printed(document) == number)?;
            let invoice = Invoice::read(&found.body).ok()?;
            let files = render::files(&invoice, &number).ok()?;
            let text = match format.as_str() {
                "html" => files.html,
                "json" => files.json,
                "csv" => files.csv,
                _ => return None,
            };
            Some((media_type(&format)?.to_owned(), text.into_bytes()))
        })
    }
}

fn times(product: &Product) -> LiveView {
    let servers = product.servers.states().map(|(name, up)| ServerView {
        name: name.to_owned(),
        up,
    });
    LiveView {
        servers: servers.collect(),
        now: product.clock.billing().to_string(),
        wall: product.clock.wall().to_string(),
        speed: product.clock.speed(),
        store_away: super::away::view(product),
        shared_counting: product.gate.counters.health().map(|it| CountingView {
            up: it.up,
            losses: it.losses,
            alone: it.alone,
        }),
        ..LiveView::default()
    }
}

async fn live(product: &Product) -> Result<LiveView, StoreError> {
    product.store.while_here(read(product)).await?
}

async fn read(product: &Product) -> Result<LiveView, StoreError> {
    let mut view = times(product);
    let rules = product.rules.load_full();
    let now = product.clock.billing();
    let open = product.store.open_intervals(None).await?;
    let states = product.store.payers().await?;
    let parked = product.renewals.parked();
    for state in &states {
        // A reseller pays for what his customers run, too.
        let of = rules.supplied_through(&state.payer);
        let rows = open
            .iter()
            .filter(|row| row.payer.as_ref().is_some_and(|payer| of.contains(payer)));
        let running: Vec<Interval> = rows.map(|row| row.interval.clone()).collect();
        let row = payer(product, &rules, state, &running, now, &parked).await?;
        view.payers.push(row);
    }
    view.payers
        .sort_by_key(|payer| payer.empty_in.unwrap_or(i64::MAX));
    view.payers_total = view.payers.len();
    view.totals = totals(&view.payers);
    view.payers.truncate(ROWS_MAX);
    view.meters_total = open.len();
    let payers = view.payers.clone();
    scopes(product, &rules, &payers, now, &mut view).await?;
    view.calls = calls(product).await?;
    holds(product, &mut view).await?;
    differences(product, &mut view);
    view.policy_faults = product.reloads.faults().len();
    view.alarms = alarms(product, &parked, &view);
    view.alarms.extend(super::ladder::alarms(product).await?);
    view.alarms.extend(super::away::alarms(product));
    view.alarms.extend(super::samples::alarms(product));
    Ok(view)
}

async fn payer(
    product: &Product,
    rules: &RuleSet,
    state: &PayerState,
    running: &[Interval],
    now: Timestamp,
    parked: &BTreeMap<PayerId, String>,
) -> Result<PayerView, StoreError> {
    let burn = match (rules.book_of(&state.payer), rules.terms_of(&state.payer)) {
        (Some(book), Some(terms)) => {
            crate::rate::burn_per_hour(book, &terms, running, now).unwrap_or_default()
        }
        _ => Micros::ZERO,
    };
    let ahead = forecast::forecast(state, burn).ok();
    let seconds = |micros: Option<i64>| micros.map(|micros| micros / SECOND);
    let shortfall = ahead.map(|ahead| ahead.shortfall).unwrap_or_default();
    let why = match parked.get(&state.payer) {
        Some(reason) => reason.clone(),
        None if shortfall > Micros::ZERO => {
            format!("what runs lacks {shortfall} of its cover: raising calls are refused")
        }
        None => String::new(),
    };
    let of = |purse| state.purse(purse).to_string();
    let gift = state
        .purse(Purse::PromoAvailable)
        .plus(state.purse(Purse::PromoHeld));
    let gift = gift.unwrap_or_default();
    let notices = super::ladder::notices(product, &state.payer).await?;
    let customer = rules.customers.get(&state.payer);
    Ok(PayerView {
        id: state.payer.to_string(),
        name: customer.map_or_else(|| state.payer.to_string(), |c| c.name.clone()),
        mode: mode(state.mode).to_owned(),
        currency: state.currency.to_string(),
        available: of(Purse::Available),
        credit_line: state.credit_line.to_string(),
        held: of(Purse::Held),
        holds_open: state.holds_open.to_string(),
        accrued: of(Purse::Accrued),
        gift: gift.to_string(),
        gift_ends: gift_ends(product, &state.payer, gift).await?,
        spent: spent(product, rules, state, now).await?.to_string(),
        per_hour: burn.to_string(),
        empty_in: seconds(ahead.and_then(|ahead| ahead.until_empty)),
        cover_in: seconds(ahead.and_then(|ahead| ahead.cover_lasts)),
        shortfall: shortfall.to_string(),
        state: match (parked.contains_key(&state.payer), why.is_empty()) {
            (true, _) => "parked",
            (false, false) => "closed",
            (false, true) => "open",
        }
        .to_owned(),
        why,
        accrued_through: state.accrued_through.to_string(),
        meters: running.len(),
        window: super::samples::window(product, &state.payer),
        notices,
    })
}

const fn mode(mode: BillingMode) -> &'static str {
    match mode {
        BillingMode::Prepaid => "prepaid",
        BillingMode::Postpaid => "postpaid",
    }
}

/// Consumed this month up to now, by the rating function that the invoice uses.
async fn spent(
    product: &Product,
    rules: &RuleSet,
    state: &PayerState,
    now: Timestamp,
) -> Result<Micros, StoreError> {
    let (Some(book), Some(terms)) = (rules.book_of(&state.payer), rules.terms_of(&state.payer))
    else {
        return Ok(Micros::ZERO);
    };
    let this = BillingMonth::containing(now, &terms.zone).and_then(|month| month.period());
    let Ok(period) = this else {
        return Ok(Micros::ZERO);
    };
    let of = rules.supplied_through(&state.payer);
    let rows = product.store.intervals_of_all(&of, period).await?;
    let intervals: Vec<Interval> = rows.into_iter().map(|row| row.interval).collect();
    let totals = month(book, &terms, period, &intervals, now);
    Ok(totals
        .ok()
        .and_then(|totals| totals.wallet().ok())
        .unwrap_or_default())
}

fn totals(payers: &[PayerView]) -> Vec<TotalView> {
    let mut sums: BTreeMap<&str, (usize, [Micros; 5])> = BTreeMap::new();
    for payer in payers {
        let figures = [
            &payer.available,
            &payer.held,
            &payer.accrued,
            &payer.spent,
            &payer.per_hour,
        ];
        let (count, sum) = sums.entry(&payer.currency).or_default();
        *count = count.saturating_add(1);
        for (place, text) in sum.iter_mut().zip(figures) {
            let more: Micros = text.parse().unwrap_or_default();
            *place = place.plus(more).unwrap_or(Micros::MAX);
        }
    }
    let rows = sums.into_iter().map(|(currency, (payers, sum))| {
        let [available, held, accrued, spent, per_hour] = sum.map(|amount| amount.to_string());
        let currency = currency.to_owned();
        TotalView {
            currency,
            payers,
            available,
            held,
            accrued,
            spent,
            per_hour,
        }
    });
    rows.collect()
}

fn meter(rules: &RuleSet, row: &StoredInterval, now: Timestamp) -> MeterView {
    let interval = &row.interval;
    let owner = &interval.owner;
    let price = row
        .payer
        .as_ref()
        .map(|payer| hourly(rules, payer, interval, now));
    let named = owner.project.as_ref().map(|id| format!("project {id}"));
    let currency = row
        .payer
        .as_ref()
        .and_then(|payer| rules.customers.get(payer));
    MeterView {
        kind: format!("{:?}", interval.meter.usage_type),
        resource: interval.meter.resource.to_string(),
        name: interval.attributes.name.clone(),
        offering: interval.attributes.offering.clone().unwrap_or_default(),
        owner: named
            .or_else(|| owner.account_name.clone())
            .unwrap_or_default(),
        domain: owner.domain.to_string(),
        payer: row
            .payer
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        currency: currency
            .map(|customer| customer.currency.to_string())
            .unwrap_or_default(),
        per_hour: charge_to_micros(price.unwrap_or_default())
            .unwrap_or_default()
            .to_string(),
        since: interval.start.at.to_string(),
    }
}

/// When the first of a payer's gift credit ends.
async fn gift_ends(
    product: &Product,
    payer: &PayerId,
    gift: Micros,
) -> Result<Option<String>, StoreError> {
    if gift.is_zero() {
        return Ok(None);
    }
    let grants = product.store.grants(payer).await?;
    let first = grants.iter().find(|grant| !grant.left.is_zero());
    Ok(first
        .and_then(|grant| grant.expires)
        .map(|end| end.to_string()))
}

async fn calls(product: &Product) -> Result<Vec<CallView>, StoreError> {
    let rows = product
        .store
        .facts()
        .audited(u32::try_from(ROWS_MAX).unwrap_or(100))
        .await?;
    let views = rows.into_iter().map(|row| CallView {
        at: row.at.to_string(),
        call: row.call.to_string(),
        command: row.command,
        payer: row.payer.map(|payer| payer.to_string()).unwrap_or_default(),
        verdict: row.verdict,
        reason: row.reason,
    });
    Ok(views.collect())
}

async fn holds(product: &Product, view: &mut LiveView) -> Result<(), StoreError> {
    let wall = product.clock.wall();
    let holds = product.store.open_holds(None).await?;
    view.holds_total = holds.len();
    for hold in holds.iter().take(ROWS_MAX) {
        let intent = product.store.intent_of_hold(hold.id).await?;
        let amount = hold.wallet.plus(hold.promo).unwrap_or(hold.wallet);
        let currency = product
            .store
            .payer(&hold.payer)
            .await?
            .map(|s| s.currency.to_string());
        view.holds.push(HoldView {
            hold: hold.id.to_string(),
            payer: hold.payer.to_string(),
            command: intent
                .as_ref()
                .map(|i| i.command.clone())
                .unwrap_or_default(),
            status: intent
                .as_ref()
                .map_or("no intent", |i| i.status.name())
                .to_owned(),
            currency: currency.unwrap_or_default(),
            amount: amount.to_string(),
            at: hold.at.to_string(),
            age: intent.as_ref().map_or(0, |i| wall.since(i.sent) / SECOND),
            note: intent.map(|i| i.note).unwrap_or_default(),
        });
    }
    Ok(())
}

fn differences(product: &Product, view: &mut LiveView) {
    let rows = product.months.look(|_, report| {
        let rows = report.differences.iter().map(|finding| {
            let found = &finding.difference;
            DifferenceView {
                class: format!("{:?}", found.class),
                cause: found
                    .cause
                    .as_ref()
                    .map(|c| format!("{c:?}"))
                    .unwrap_or_default(),
                kind: format!("{:?}", found.usage_type),
                resource: found.resource.clone(),
                name: found.name.clone(),
                metered: found.metered_micros / SECOND,
                reported: found.reported_micros / SECOND,
                worth: finding
                    .price
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            }
        });
        rows.collect::<Vec<_>>()
    });
    view.differences = rows.unwrap_or_default();
    view.differences_total = view.differences.len();
    view.differences.truncate(ROWS_MAX);
}

fn alarms(
    product: &Product,
    parked: &BTreeMap<PayerId, String>,
    view: &LiveView,
) -> Vec<AlarmView> {
    let mut alarms = Vec::new();
    if product.renewals.halted() {
        alarms.push(AlarmView {
            kind: "clock".to_owned(),
            what: "the clock jumped: renewals wait".to_owned(),
            act: "look at the machine's time, then POST /clock/resume".to_owned(),
        });
    }
    for server in view.servers.iter().filter(|server| !server.up) {
        alarms.push(AlarmView {
            kind: "server".to_owned(),
            what: format!("management server {} takes no calls", server.name),
            act: "start it, or take it out of upstream.servers; its sessions are lost".to_owned(),
        });
    }
    for fault in product.reloads.faults() {
        alarms.push(AlarmView {
            kind: "policy".to_owned(),
            what: format!("the changed policies are not in force: {fault}"),
            act: "mend the file; it is read again by itself".to_owned(),
        });
    }
    for (payer, reason) in parked {
        alarms.push(AlarmView {
            kind: "parked".to_owned(),
            what: format!("{payer}: {reason}"),
            act: "mend the price book or the resource's figures; it is tried again".to_owned(),
        });
    }
    alarms.extend(product.meter.moved().into_iter().map(|moved| {
        let payer = moved.payer.as_ref().map_or("nobody", PayerId::as_str);
        AlarmView {
            kind: "moved".to_owned(),
            what: format!(
                "{} started something that is {payer}'s: its hold went back, {payer} pays",
                moved.caller
            ),
            act: "look whether the caller's role lets him act for the other".to_owned(),
        }
    }));
    let unresolved = IntentStatus::Unresolved.name();
    for hold in view.holds.iter().filter(|hold| hold.status == unresolved) {
        alarms.push(AlarmView {
            kind: "unresolved".to_owned(),
            what: format!(
                "{} of {}: what became of it is not known",
                hold.command, hold.payer
            ),
            act: "look in CloudStack whether it runs, then decide below, under Holds".to_owned(),
        });
    }
    alarms
}

fn printed(document: &Document) -> String {
    render::number(&document.series, document.number)
}

fn document_row(document: &Document) -> DocumentRow {
    let readable = Invoice::read(&document.body);
    let formats: &[&str] = if readable.is_ok() {
        &["html", "json", "csv"]
    } else {
        &[]
    };
    DocumentRow {
        number: printed(document),
        kind: match document.kind {
            DocumentKind::Invoice => "invoice",
            DocumentKind::CreditNote => "credit-note",
            _ => "advance",
        }
        .to_owned(),
        payer: document.payer.to_string(),
        currency: readable
            .as_ref()
            .map(|i| i.currency.to_string())
            .unwrap_or_default(),
        total: document.total.to_string(),
        at: document.at.to_string(),
        formats: formats.iter().map(ToString::to_string).collect(),
    }
}
