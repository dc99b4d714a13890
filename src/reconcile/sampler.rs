//! Edge: samples of what the usage server alone counts, pulled window by window and kept once.
//!
//! Which sampler there is, is found out by asking CloudStack: its settings, its offerings' line
//! rates. A pull asks for whole windows since the newest one that is known, one window over, so
//! that what a job wrote late is found; a sample that is known already changes nothing.

use super::pull::{self, PullFault};
use super::record::UsageRecord;
use super::sample;
use super::window::query_dates;
use crate::clock::Clock;
use crate::cloudstack::usage_type::UsageType;
use crate::meter::counting::{self, Counting, RANGE_DEFAULT, SETTINGS, Sampler as Source};
use crate::meter::line::Meter;
use crate::meter::resource::{Attributes, Interval};
use crate::policy::customer::RuleSet;
use crate::store::{IntervalChange, Store, StoredInterval, Work};
use crate::terms::ids::{IntervalId, PayerId, ResourceId};
use crate::terms::time::{Period, Timestamp};
use crate::upstream::UpstreamError;
use crate::upstream::service::Service;
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Up to where samples were pulled, kept with the facts: without it they are pulled again.
const CURSOR: &str = "samples/through";
/// A first pull looks back so far, two of the longest usual windows.
const FIRST: i64 = 2 * RANGE_DEFAULT;
/// Lists of offerings, which say how fast things can be.
const OFFERINGS: [(&str, &str); 3] = [
    ("listNetworkOfferings", "networkoffering"),
    ("listServiceOfferings", "serviceoffering"),
    ("listDiskOfferings", "diskoffering"),
];

/// Pulls samples.
#[derive(Debug)]
pub struct Sampler {
    store: Store,
    service: Arc<Service>,
    meter: Arc<Meter>,
    rules: Arc<ArcSwap<RuleSet>>,
    clock: Clock,
    /// What is counted, for whoever holds money for it.
    counting: Arc<ArcSwap<Counting>>,
    /// Samples of the last pull: their payers know of them.
    told: Mutex<BTreeSet<IntervalId>>,
}

impl Sampler {
    /// A sampler into this store, that reads with this service account.
    #[must_use]
    pub fn new(
        (store, service, meter): (&Store, &Arc<Service>, &Arc<Meter>),
        rules: &Arc<ArcSwap<RuleSet>>,
        clock: &Clock,
        counting: Arc<ArcSwap<Counting>>,
    ) -> Self {
        Self {
            store: store.clone(),
            service: service.clone(),
            meter: meter.clone(),
            rules: rules.clone(),
            clock: clock.clone(),
            counting,
            told: Mutex::default(),
        }
    }

    /// What is counted, as found last.
    #[must_use]
    pub fn counting(&self) -> Arc<Counting> {
        self.counting.load_full()
    }

    /// The types of amounts that any customer is charged for now or later.
    #[must_use]
    pub fn charged(&self) -> BTreeSet<UsageType> {
        sample::charged(&self.rules.load(), self.clock.billing())
    }

    /// Finds out which sampler there is and how fast things can be.
    ///
    /// # Errors
    /// [`UpstreamError`], where CloudStack could not be asked; what was known stays.
    pub async fn look(&self) -> Result<(), UpstreamError> {
        let before = self.counting.load_full();
        let mut found = look(&self.service).await?;
        if let (false, Some(window)) = (found.is_set, before.window()) {
            // The records tell what the reading role may not ask.
            found.sampler = Source::UsageWindow(window);
        }
        if *before != found {
            tracing::info!(verb = "sample", sampler = ?found.sampler, off = ?found.off, "found");
            for warning in counting::warnings(&found, &self.charged()) {
                tracing::warn!(verb = "sample", "{warning}");
            }
        }
        self.counting.store(Arc::new(found));
        Ok(())
    }

    /// Pulls what is there since the last time. Gives the payers of samples that they may not have
    /// been renewed with, each with the start of his oldest one.
    ///
    /// # Errors
    /// [`PullFault`]; what was kept stays, and is pulled again.
    pub async fn once(&self) -> Result<BTreeMap<PayerId, Timestamp>, PullFault> {
        let counting = self.counting.load_full();
        let Some(window) = counting.window() else {
            return Ok(BTreeMap::new());
        };
        let now = self.clock.billing();
        let cursor = self.store.facts().meta(CURSOR).await?;
        let cursor = cursor.and_then(|text| text.parse().ok());
        let cursor = cursor.map(Timestamp::from_micros);
        let period = Period {
            start: cursor.map_or(now.plus(-FIRST), |cursor| cursor.plus(-window)),
            end: now,
        };
        let (mut records, mut newest) = (Vec::new(), cursor);
        for usage_type in self.charged() {
            if counting.counts(usage_type) {
                records.extend(self.records(usage_type, period).await?);
            }
        }
        for record in &records {
            newest = newest.max(Some(record.window.end));
        }
        self.learn_window(&counting, &records);
        let payers = self.keep(&records).await?;
        if let Some(newest) = newest.filter(|newest| Some(*newest) != cursor) {
            let text = newest.micros().to_string();
            self.store.facts().put_meta(CURSOR, &text).await?;
        }
        Ok(payers)
    }

    /// The window that the newest records have is the one to reckon with.
    fn learn_window(&self, counting: &Counting, records: &[UsageRecord]) {
        let newest = records.iter().max_by_key(|record| record.window.end);
        let told = newest.map(|record| record.window.micros());
        if told.is_some() && told != counting.window() {
            let sampler = told.map_or(counting.sampler.clone(), Source::UsageWindow);
            self.counting.store(Arc::new(Counting {
                sampler,
                ..counting.clone()
            }));
        }
    }

    /// The records of a type, kept as they came before anything reads them.
    async fn records(
        &self,
        usage_type: UsageType,
        period: Period,
    ) -> Result<Vec<UsageRecord>, PullFault> {
        let (start, end) = query_dates(period);
        let number = usage_type.number().to_string();
        let asked = [
            ("startdate", start.as_str()),
            ("enddate", end.as_str()),
            ("type", number.as_str()),
        ];
        let nodes = self
            .service
            .list("listUsageRecords", "usagerecord", &asked)
            .await?;
        let rows = pull::rows(&nodes, self.clock.wall())?;
        self.store.facts().keep_usage(&rows, None).await?;
        let records = nodes.iter().map(UsageRecord::from_node);
        Ok(records.collect::<Result<_, _>>()?)
    }

    async fn keep(
        &self,
        records: &[UsageRecord],
    ) -> Result<BTreeMap<PayerId, Timestamp>, PullFault> {
        let mut told = self.told.lock().await;
        let running = self.meter.running().await;
        let rules = self.rules.load_full();
        let mut payers: BTreeMap<PayerId, Timestamp> = BTreeMap::new();
        let mut fresh: BTreeMap<IntervalId, StoredInterval> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for record in records {
            let Some(interval) = sample::sample(record, known(&running, record)) else {
                continue;
            };
            let id = sample::id(&interval);
            if !seen.insert(id) || told.contains(&id) {
                continue;
            }
            let at = interval.start.at;
            let Some(payer) = self.meter.payer_of(&interval.owner, at).await? else {
                continue;
            };
            let book = rules.book_of(&payer);
            if !book.is_some_and(|book| sample::is_charged(book, &interval)) {
                continue;
            }
            let oldest = payers.entry(payer.clone()).or_insert(at);
            *oldest = at.min(*oldest);
            let row = StoredInterval {
                id,
                payer: Some(payer),
                hold: None,
                interval,
            };
            fresh.insert(id, row);
        }
        if !fresh.is_empty() {
            let intervals = fresh.into_values().map(IntervalChange::Insert).collect();
            let work = Work {
                intervals,
                ..Work::default()
            };
            self.store.submit(work).await?;
        }
        *told = seen;
        Ok(payers)
    }
}

/// What is known of the network or the disk that a record is about.
fn known<'a>(running: &'a [Interval], record: &UsageRecord) -> Option<&'a Attributes> {
    let part = ResourceId::from(record.part.as_str());
    let same = |open: &&Interval| match open.meter.usage_type {
        UsageType::Network | UsageType::Vpc => open.meter.resource == part,
        UsageType::Volume => Some(&open.meter.resource) == record.resource.as_ref(),
        _ => false,
    };
    running.iter().find(same).map(|open| &open.attributes)
}

/// Asks CloudStack what it counts. A reading role that may not list settings leaves them unknown.
///
/// # Errors
/// [`UpstreamError`], where CloudStack could not be asked.
pub async fn look(service: &Service) -> Result<Counting, UpstreamError> {
    let mut settings = BTreeMap::new();
    for name in SETTINGS {
        let answer = service
            .call("listConfigurations", &[("name", name)])
            .await?;
        let rows = answer.node.all("configuration");
        for row in rows.filter(|row| row.text_of("name") == Some(name)) {
            let value = row.text_of("value").unwrap_or_default();
            settings.insert(name.to_owned(), value.to_owned());
        }
    }
    let mut found = counting::by_settings(&settings);
    for (command, item) in OFFERINGS {
        let rows = service.list(command, item, &[("listall", "true")]).await?;
        rows.iter().for_each(|row| found.learn_offering(row));
    }
    Ok(found)
}
