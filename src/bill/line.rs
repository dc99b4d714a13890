//! Edge: one month of every payer, from his intervals to his invoice. Start reading here.
//!
//! Usage records are pulled and compared (`reconcile`), what the records are believed in is
//! corrected, the month is rated, and the invoice is what is due minus what was invoiced: number,
//! document and posting are one transaction, so that a second run issues nothing. Files are
//! written from stored documents, as often as need be. A payer that cannot be computed is parked
//! with his reason; the others go on.

use super::document::{self, DocumentFault, Facts, Invoice};
use super::{due, invoice, render};
use crate::clock::Clock;
use crate::cover::line::{RenewalFault, Renewals};
use crate::ledger::Command;
use crate::ledger::command::Paper;
use crate::ledger::records::{Document, DocumentKind, PayerState};
use crate::meter::resource::Interval;
use crate::policy::customer::{Customer, PayerTerms, RuleSet, Seller};
use crate::policy::tariff::PriceBook;
use crate::rate::{self, MonthTotals, RateError};
use crate::reconcile::correct::{Correction, seconds};
use crate::reconcile::line::{Finding, Findings, reconcile};
use crate::reconcile::{price, pull};
use crate::store::{Store, StoreError, Work};
use crate::terms::ids::{DocumentId, PayerId};
use crate::terms::money::MoneyError;
use crate::terms::time::{BillingMonth, HOUR, MonthError, Period, Timestamp};
use crate::upstream::service::Service;
use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long a month waits for the usage server before it is billed by our own intervals alone.
pub const PATIENCE: i64 = 72 * HOUR;
const DAY: i64 = 24 * HOUR;

/// What a month needs.
#[derive(Clone, Debug)]
pub struct Context {
    /// The books.
    pub store: Store,
    /// The rules in force.
    pub rules: Arc<ArcSwap<RuleSet>>,
    /// Brings payers up to date.
    pub renewals: Arc<Renewals>,
    /// The reading account at CloudStack; none where the kept records are to do.
    pub service: Option<Arc<Service>>,
    /// Billing time and wall time.
    pub clock: Clock,
    /// Where files are written.
    pub invoices: PathBuf,
}

/// What became of a month.
#[derive(Debug, Default)]
pub struct MonthReport {
    /// New documents, with their printed numbers.
    pub issued: Vec<(PayerId, String)>,
    /// Payers that could not be computed, with the reason.
    pub parked: Vec<(PayerId, String)>,
    /// What differs from the usage server's records.
    pub differences: Vec<Finding>,
    /// How many meters agree with their records.
    pub agreements: usize,
    /// Files written, new or again.
    pub files: Vec<PathBuf>,
    /// Why the month is not closed yet.
    pub waiting: Option<String>,
}

/// Why a month, or a payer's month, could not be closed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each says what it is")]
pub enum MonthFault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Pull(#[from] pull::PullFault),
    #[error(transparent)]
    Renewal(#[from] RenewalFault),
    #[error(transparent)]
    Rate(#[from] RateError),
    #[error(transparent)]
    Money(#[from] MoneyError),
    #[error(transparent)]
    Month(#[from] MonthError),
    #[error(transparent)]
    Document(#[from] DocumentFault),
    #[error("no price for {0}: add a price line, or say that it is free")]
    Unpriced(String),
    #[error("`{0}` has no complete line in the policies; write one back")]
    NoCustomer(PayerId),
    #[error("{0} less is due than was invoiced: issue a credit note, then close again")]
    LessThanInvoiced(String),
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Closes a month (of its own zone) for every payer whose seller's months are of that zone.
///
/// # Errors
/// [`MonthFault`], where nothing could be done at all; a single payer's fault parks him.
pub async fn close(ctx: &Context, month: &BillingMonth) -> Result<MonthReport, MonthFault> {
    let mut report = MonthReport::default();
    let period = month.period()?;
    let now = ctx.clock.billing();
    if now < period.end {
        report.waiting = Some(format!("{month} ends at {}; it is {now}", period.end));
        report.files = deliver(ctx).await?;
        return Ok(report);
    }
    let unready = ready(ctx, month, period).await?;
    let provisional = unready.is_some();
    if let Some(reason) = unready
        && now < period.end.plus(PATIENCE)
    {
        let until = period.end.plus(PATIENCE);
        report.waiting = Some(format!(
            "{reason}; it is billed without records after {until}"
        ));
        report.files = deliver(ctx).await?;
        return Ok(report);
    }
    let rules = ctx.rules.load_full();
    // Renewals first: they make every payer's intervals and accrual known up to now.
    for state in ctx.store.payers().await? {
        if in_zone(&rules, &state.payer, month.zone())
            && let Err(fault) = ctx.renewals.catch_up(&state.payer).await
        {
            report.parked.push((state.payer, fault.to_string()));
        }
    }
    let findings = reconcile(&ctx.store, &rules, period).await?;
    for state in ctx.store.payers().await? {
        let payer = state.payer.clone();
        let parked = report.parked.iter().any(|(other, _)| *other == payer);
        if parked || !in_zone(&rules, &payer, month.zone()) {
            continue;
        }
        let one = OneMonth {
            ctx,
            rules: &rules,
            month,
            period,
            findings: &findings,
            provisional,
        };
        match one.close(&payer).await {
            Ok(None) => {}
            Ok(Some(document)) => {
                let number = render::number(&document.series, document.number);
                report.issued.push((payer, number));
            }
            Err(fault) => {
                tracing::error!(verb = "bill", payer = %payer, %fault, "payer is parked");
                report.parked.push((payer, fault.to_string()));
            }
        }
    }
    report.agreements = findings.agreements;
    report.differences = findings.findings;
    report.files = deliver(ctx).await?;
    Ok(report)
}

/// A payer without a customer is looked at too, so that he is parked and not forgotten.
fn in_zone(rules: &RuleSet, payer: &PayerId, zone: &str) -> bool {
    rules.terms_of(payer).is_none_or(|terms| terms.zone == zone)
}

/// Why the month is not ready: no job passed its end, or two reads in a row differ.
async fn ready(
    ctx: &Context,
    month: &BillingMonth,
    period: Period,
) -> Result<Option<String>, MonthFault> {
    let Some(service) = &ctx.service else {
        return Ok(None);
    };
    let read = async {
        if let Err(reason) = pull::job_passed(service, period.end).await? {
            return Ok(Some(reason));
        }
        pull::pull(service, &ctx.store, period, ctx.clock.wall()).await?;
        let first = pull::figure(&ctx.store, period).await?;
        pull::pull(service, &ctx.store, period, ctx.clock.wall()).await?;
        let same = first == pull::figure(&ctx.store, period).await?;
        Ok((!same).then(|| format!("two reads of the records of {month} differ")))
    };
    match read.await {
        Ok(reason) => Ok(reason),
        Err(pull::PullFault::Store(fault)) => Err(fault.into()),
        Err(fault) => Ok(Some(fault.to_string())),
    }
}

/// One payer's month.
struct OneMonth<'a> {
    ctx: &'a Context,
    rules: &'a RuleSet,
    month: &'a BillingMonth,
    period: Period,
    findings: &'a Findings,
    provisional: bool,
}

/// A payer's lines in the policies.
struct Party<'a> {
    customer: &'a Customer,
    seller: &'a Seller,
    book: &'a PriceBook,
    terms: PayerTerms,
}

impl OneMonth<'_> {
    async fn close(&self, payer: &PayerId) -> Result<Option<Document>, MonthFault> {
        let party = self.party(payer)?;
        let store = &self.ctx.store;
        // A reseller is billed for what his customers ran, too.
        let of = self.rules.supplied_through(payer);
        let stored = store.intervals_of_all(&of, self.period).await?;
        let intervals: Vec<Interval> = stored.into_iter().map(|one| one.interval).collect();
        let metered = self.rated(&party, &intervals)?;
        let follow = self.follow(&of);
        let known = price::sized(&intervals, &self.findings.sizes);
        let followed = price::followed(&known, &follow, &self.findings.records, self.period);
        let corrected = self.rated(&party, &followed)?;
        for meter in &corrected.unmeasured {
            tracing::error!(verb = "bill", %payer, kind = ?meter.usage_type, resource = %meter.resource,
                "neither the meter nor a record tells its size: it is not billed");
        }
        self.correct(payer, &party.terms, (&metered, &corrected))
            .await?;

        let accruals = store.accruals(payer, self.month).await?;
        let class_of = |line: &str| class_and_text(party.book, self.period, line);
        let mut dues = due::of_month(&metered, &corrected, self.month, party.customer.currency)?;
        dues.extend(due::one_off(
            &accruals,
            &party.terms,
            &class_of,
            self.period.start,
        )?);
        let documents = self.documents(payer).await?;
        let already = due::with_earlier(&documents, self.month, &mut dues)?;
        dues.sort_by(|a, b| (&a.line, &a.tax_group).cmp(&(&b.line, &b.tax_group)));
        let gifts = due::gifts(&accruals)?;
        let currency = party.customer.currency;
        let mode = party.seller.tax_mode;
        let Some(draft) = invoice::draft(currency, mode, &dues, &gifts, &already)? else {
            return Ok(None);
        };
        if changes_nothing(&draft)? {
            return Ok(None);
        }
        if draft.total.is_negative() {
            let less = document::print(draft.total.negated()?, currency);
            return Err(MonthFault::LessThanInvoiced(format!("{less} {currency}")));
        }
        let state = store.payer(payer).await?;
        let state = state.ok_or_else(|| MonthFault::NoCustomer(payer.clone()))?;
        let notes = self.notes(&follow);
        self.issue(&party, &state, &draft, notes, &documents).await
    }

    /// What the records are believed in, of all of these.
    fn follow(&self, of: &[PayerId]) -> Vec<Correction> {
        let found = of
            .iter()
            .filter_map(|one| self.findings.corrections.get(one));
        found.flatten().cloned().collect()
    }

    fn party(&self, payer: &PayerId) -> Result<Party<'_>, MonthFault> {
        let fault = || MonthFault::NoCustomer(payer.clone());
        let customer = self.rules.customers.get(payer).ok_or_else(fault)?;
        Ok(Party {
            customer,
            seller: self.rules.sellers.get(&customer.seller).ok_or_else(fault)?,
            book: self.rules.book_of(payer).ok_or_else(fault)?,
            terms: self.rules.terms_of(payer).ok_or_else(fault)?,
        })
    }

    fn rated(&self, party: &Party<'_>, intervals: &[Interval]) -> Result<MonthTotals, MonthFault> {
        let Party { book, terms, .. } = party;
        let rated = rate::month(book, terms, self.period, intervals, self.period.end)?;
        if let Some(first) = rated.unpriced.first() {
            let more = rated.unpriced.len() - 1;
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let text = format!("{:?} of `{}`{more}", first.usage_type, first.resource);
            return Err(MonthFault::Unpriced(text));
        }
        Ok(rated)
    }

    /// What the followed findings come to, into the books; a second time nothing is left of it.
    async fn correct(
        &self,
        payer: &PayerId,
        terms: &PayerTerms,
        totals: (&MonthTotals, &MonthTotals),
    ) -> Result<(), MonthFault> {
        let accruals = self.ctx.store.accruals(payer, self.month).await?;
        let lines = due::to_correct(payer, self.month, terms, totals, &accruals)?;
        if lines.is_empty() {
            return Ok(());
        }
        let rows = accruals
            .iter()
            .filter(|row| row.line.as_str().ends_with(due::CORRECTION));
        let before: Vec<String> = rows
            .map(|row| format!("{}={}", row.line, row.total))
            .collect();
        let id = digest(&format!("{before:?} {lines:?}"));
        let id = format!("{payer}/{}/{id:032x}", self.month);
        let command = Command::Correct {
            id,
            lines,
            at: self.ctx.clock.billing(),
        };
        self.ctx.store.submit(Work::of(command)).await?;
        Ok(())
    }

    /// The payer's invoices so far.
    async fn documents(&self, payer: &PayerId) -> Result<Vec<Invoice>, MonthFault> {
        let stored = self.ctx.store.documents(Some(payer), u32::MAX).await?;
        let invoices = stored
            .iter()
            .filter(|one| one.kind == DocumentKind::Invoice);
        Ok(invoices
            .map(|one| Invoice::read(&one.body))
            .collect::<Result<_, _>>()?)
    }

    fn notes(&self, follow: &[Correction]) -> Vec<String> {
        let mut notes: Vec<String> = follow
            .iter()
            .map(|one| {
                let more = if one.micros < 0 { "less" } else { "more" };
                let (name, thing) = (&one.attributes.name, &one.resource);
                let name = if name.is_empty() { thing } else { name };
                format!(
                    "The cloud's usage records say {} s {more} of {:?} \
                     \u{201c}{name}\u{201d} ({thing}) than passed here \
                     as calls: billed as they say.",
                    seconds(one.micros.saturating_abs()),
                    one.usage_type,
                )
            })
            .collect();
        if self.provisional {
            let text = "Provisional: the cloud's own usage records were not complete when this \
                        was issued; what they change is on a later invoice.";
            notes.push(text.to_owned());
        }
        notes
    }

    async fn issue(
        &self,
        party: &Party<'_>,
        state: &PayerState,
        draft: &invoice::Draft,
        notes: Vec<String>,
        documents: &[Invoice],
    ) -> Result<Option<Document>, MonthFault> {
        let at = self.ctx.clock.billing();
        let due = at.plus(party.seller.payment_days.saturating_mul(DAY));
        let after = state
            .wallet()?
            .minus(draft.total.minus(draft.tax_of_advances)?)?;
        let facts = Facts {
            seller: party.seller,
            buyer: party.customer,
            book: party.book,
            month: self.month,
            owed: after.negated()?.or_zero().minus(state.owes()?)?.or_zero(),
            at,
            due,
        };
        let body = document::write(draft, facts, notes)?.body()?;
        let paper = Paper {
            id: self.document_id(&state.payer, documents),
            series: party.seller.series.clone(),
            body,
        };
        let id = paper.id;
        let command = Command::Issue(draft.issue(&state.payer, paper, due, at)?);
        self.ctx.store.submit(Work::of(command)).await?;
        Ok(self.ctx.store.document(id).await?)
    }

    /// The n-th invoice of a payer's month has one id: two runs at once cannot issue it twice.
    fn document_id(&self, payer: &PayerId, documents: &[Invoice]) -> DocumentId {
        let month = self.month.to_string();
        let nth = documents.iter().filter(|one| one.month == month).count();
        DocumentId::from_bits(digest(&format!(
            "{payer} {month} {} {nth}",
            self.month.zone()
        )))
    }
}

/// What was a correction and is metered now changes its line, and no amount.
fn changes_nothing(draft: &invoice::Draft) -> Result<bool, MoneyError> {
    let groups = draft.groups.iter().all(|group| group.lines.is_zero());
    Ok(groups && draft.revenue()?.iter().all(|class| class.amount.is_zero()))
}

fn digest(text: &str) -> u128 {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter()
        .take(16)
        .fold(0, |bits, byte| (bits << 8) | u128::from(*byte))
}

/// Class and text of a price line as last in force.
fn class_and_text(book: &PriceBook, period: Period, line: &str) -> (String, String) {
    let lines = book.within(period).flat_map(|version| &version.lines);
    let line_found = lines.filter(|one| one.id.as_str() == line).last();
    line_found.map_or_else(
        || ("other".to_owned(), line.to_owned()),
        |one| (one.class.clone(), format!("{}, once", one.text)),
    )
}

/// Writes the files of every stored document that lacks one. Each appears whole or not at all.
///
/// # Errors
/// [`MonthFault::File`], and faults of the store.
pub async fn deliver(ctx: &Context) -> Result<Vec<PathBuf>, MonthFault> {
    let mut written = Vec::new();
    for document in ctx.store.documents(None, u32::MAX).await? {
        if document.kind != DocumentKind::Invoice {
            continue;
        }
        let number = render::number(&document.series, document.number);
        let folder = ctx.invoices.join(file_name(document.seller.as_str()));
        let path = |ending: &str| folder.join(format!("{}.{ending}", file_name(&number)));
        let paths = [path("html"), path("json"), path("csv")];
        if paths.iter().all(|path| path.exists()) {
            continue;
        }
        let files = render::files(&Invoice::read(&document.body)?, &number)?;
        for (path, text) in paths.into_iter().zip([files.html, files.json, files.csv]) {
            if !path.exists() {
                put(&path, &text).map_err(|source| MonthFault::File {
                    path: path.clone(),
                    source,
                })?;
                written.push(path);
            }
        }
    }
    Ok(written)
}

/// Letters, digits, `-` and `_` stand; anything else could leave the folder.
fn file_name(text: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '_'
        }
    };
    text.chars().map(safe).collect()
}

fn put(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let mut file = std::fs::File::create(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}

/// The last month that has ended, in a zone.
///
/// # Errors
/// [`MonthError`], where the zone is not known.
pub fn last_ended(now: Timestamp, zone: &str) -> Result<BillingMonth, MonthError> {
    let start = BillingMonth::containing(now, zone)?.period()?.start;
    BillingMonth::containing(start.plus(-1), zone)
}
