//! Pure: what operators are shown, as JSON: the only place where these words are serialised.
//!
//! Money is a decimal text in main units (`"12.340000"`), times are RFC 3339 in UTC, spans are
//! whole seconds. Names come from tenants: whoever shows them escapes them.

use serde::Serialize;

/// Rows of one page of meters.
pub const METERS_A_PAGE: usize = 100;
/// Payers, scopes, calls, holds and differences shown at once; totals count all of them.
pub const ROWS_MAX: usize = 100;

/// Everything that moves, as of one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LiveView {
    /// Billing time.
    pub now: String,
    /// Wall time.
    pub wall: String,
    /// How many times faster billing time runs than wall time; 1 in production.
    pub speed: i64,
    /// Sums by currency, by its code.
    pub totals: Vec<TotalView>,
    /// Those whose money ends first, first.
    pub payers: Vec<PayerView>,
    /// How many payers there are.
    pub payers_total: usize,
    /// Those that cost most an hour, first.
    pub scopes: Vec<ScopeView>,
    /// How many accounts, projects and domains spend.
    pub scopes_total: usize,
    /// How many meters run.
    pub meters_total: usize,
    /// Judged calls, newest first.
    pub calls: Vec<CallView>,
    /// Holds whose call has no outcome yet, oldest first.
    pub holds: Vec<HoldView>,
    /// How many such holds there are.
    pub holds_total: usize,
    /// The management servers.
    pub servers: Vec<ServerView>,
    /// Faults of changed policies, which are not in force.
    pub policy_faults: usize,
    /// What needs a person now.
    pub alarms: Vec<AlarmView>,
    /// Where the meter and the usage server differ.
    pub differences: Vec<DifferenceView>,
    /// How many differences there are.
    pub differences_total: usize,
    /// How the counting of calls with other nodes does, where it is shared.
    pub shared_counting: Option<CountingView>,
    /// What becomes of raising calls while the books are away.
    pub store_away: AwayView,
    /// Why the figures could not be read; everything else but `store_away` is then empty.
    pub fault: Option<String>,
}

/// A management server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerView {
    /// Host and port.
    pub name: String,
    /// It takes connections and answers.
    pub up: bool,
}

/// What becomes of raising calls while the books are away, by policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AwayView {
    /// They are away now.
    pub now: bool,
    /// They can be away: they lie in a PostgreSQL.
    pub possible: bool,
    /// Nodes that share each payer's cap.
    pub nodes: u32,
    /// Calls of this node that passed and are in no books yet.
    pub calls: usize,
    /// By currency.
    pub sums: Vec<AwaySum>,
}

/// The worst possible loss in one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AwaySum {
    /// Its code.
    pub currency: String,
    /// Payers whose calls pass up to a cap.
    pub open: usize,
    /// Payers whose calls are refused.
    pub closed: usize,
    /// The worst possible loss: the caps of those that are open, together.
    pub worst: String,
    /// What of it has passed on this node and is in no books yet.
    pub passed: String,
}

/// How the counting of calls with other nodes does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CountingView {
    /// Redis counts; else this node counts by itself.
    pub up: bool,
    /// How often Redis went away since the start.
    pub losses: u64,
    /// Calls that this node counted by itself since the start.
    pub alone: u64,
}

/// Sums over the payers of one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TotalView {
    /// Its code.
    pub currency: String,
    /// How many payers.
    pub payers: usize,
    /// Available.
    pub available: String,
    /// Held: covers and open holds.
    pub held: String,
    /// Accrued and on no invoice yet.
    pub accrued: String,
    /// Consumed this month.
    pub spent: String,
    /// What an hour costs.
    pub per_hour: String,
}

/// One payer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PayerView {
    /// His id.
    pub id: String,
    /// His legal name.
    pub name: String,
    /// `prepaid` or `postpaid`.
    pub mode: String,
    /// His currency.
    pub currency: String,
    /// Available; below nothing on a credit line.
    pub available: String,
    /// How far below nothing he may go.
    pub credit_line: String,
    /// Held: his cover and his open holds.
    pub held: String,
    /// The part of `held` that belongs to open holds.
    pub holds_open: String,
    /// Accrued and on no invoice yet.
    pub accrued: String,
    /// Gift credit, available and held.
    pub gift: String,
    /// When the first part of it ends; none where nothing of it does.
    pub gift_ends: Option<String>,
    /// Consumed this month, tax included where it is taken at use, up to now.
    pub spent: String,
    /// What the next hour costs.
    pub per_hour: String,
    /// Seconds of billing time until everything is gone; none where nothing burns.
    pub empty_in: Option<i64>,
    /// Seconds that the cover alone lasts.
    pub cover_in: Option<i64>,
    /// What the cover lacks.
    pub shortfall: String,
    /// `open`, `closed` (raising calls are refused) or `parked` (he cannot be computed).
    pub state: String,
    /// Why he is not open; empty where he is.
    pub why: String,
    /// Consumption has accrued up to here.
    pub accrued_through: String,
    /// Running meters.
    pub meters: usize,
    /// His open sampling window; none where nothing that runs uses what is known only later.
    pub window: Option<WindowView>,
    /// Notices of this run towards the end, newest first.
    pub notices: Vec<NoticeView>,
}

/// A sampling window of traffic and disk I/O.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WindowView {
    /// How long it is, in seconds of billing time.
    pub seconds: i64,
    /// What the cover carries for it.
    pub held: String,
    /// What can exceed that at most until it is known; none where an offering has no line rate, so
    /// that there is no bound.
    pub overdraft: Option<String>,
    /// `line rate` or `estimate`.
    pub by: String,
}

/// A notice that was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NoticeView {
    /// Which step: `72h`, `closed` …
    pub step: String,
    /// What it said.
    pub text: String,
    /// When, billing time.
    pub at: String,
    /// What became of its mails and posts: `mail sent, webhook waiting (3 tries)`; empty where the
    /// customer has no address.
    pub delivered: String,
}

/// What an account, a project or a domain spends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScopeView {
    /// `account`, `project` or `domain`.
    pub kind: String,
    /// Its name, or its id where no name is known.
    pub name: String,
    /// Its domain, or empty.
    pub domain: String,
    /// Who pays: the payers' ids.
    pub payers: Vec<String>,
    /// The payers' currency.
    pub currency: String,
    /// Consumed this month, at present prices.
    pub spent: String,
    /// What it costs an hour.
    pub per_hour: String,
    /// Seconds until the first of its payers has nothing left, at all that he pays for.
    pub empty_in: Option<i64>,
}

/// A judged call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallView {
    /// When, wall time.
    pub at: String,
    /// Which call.
    pub call: String,
    /// The API command.
    pub command: String,
    /// Who pays, or empty.
    pub payer: String,
    /// `forward`, `refuse` …
    pub verdict: String,
    /// Why.
    pub reason: String,
}

/// A hold whose call has no outcome yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HoldView {
    /// Which.
    pub hold: String,
    /// Who pays.
    pub payer: String,
    /// The API command.
    pub command: String,
    /// `intended`, `answered`, `unresolved` …
    pub status: String,
    /// Its currency.
    pub currency: String,
    /// How much, gift credit included.
    pub amount: String,
    /// When it was made, billing time.
    pub at: String,
    /// Seconds since its call was sent, wall time.
    pub age: i64,
    /// What is known.
    pub note: String,
}

/// Something that needs a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlarmView {
    /// `clock`, `parked`, `unresolved`, `lag` …
    pub kind: String,
    /// What happened.
    pub what: String,
    /// What to do.
    pub act: String,
}

/// A meter that the usage server reports otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DifferenceView {
    /// How they differ.
    pub class: String,
    /// Why, where that is known.
    pub cause: String,
    /// What kind of meter.
    pub kind: String,
    /// Which thing.
    pub resource: String,
    /// What people call it.
    pub name: String,
    /// Metered seconds.
    pub metered: i64,
    /// Reported seconds.
    pub reported: i64,
    /// What the difference is worth, where it could be priced.
    pub worth: String,
}

/// One page of running meters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MetersPage {
    /// This page, from 1.
    pub page: usize,
    /// How many pages there are, at least 1.
    pub pages: usize,
    /// How many meters match.
    pub total: usize,
    /// What was searched for.
    pub search: String,
    /// The meters.
    pub rows: Vec<MeterView>,
}

/// A running meter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MeterView {
    /// What kind: `running-vm`, `volume` …
    pub kind: String,
    /// Which thing.
    pub resource: String,
    /// What people call it.
    pub name: String,
    /// Its offering, or empty.
    pub offering: String,
    /// Its account or project.
    pub owner: String,
    /// Its domain.
    pub domain: String,
    /// Who pays, or empty.
    pub payer: String,
    /// His currency.
    pub currency: String,
    /// What an hour costs.
    pub per_hour: String,
    /// Since when, billing time.
    pub since: String,
}

impl MeterView {
    /// Whether a text, in lower case, occurs in what an operator sees of it.
    #[must_use]
    pub fn matches(&self, lower: &str) -> bool {
        let seen = [
            &self.kind,
            &self.resource,
            &self.name,
            &self.offering,
            &self.owner,
            &self.domain,
            &self.payer,
        ];
        lower.is_empty() || seen.iter().any(|text| text.to_lowercase().contains(lower))
    }
}

impl MetersPage {
    /// The page asked for, from 1, of those meters that match; a page beyond the end is the last.
    #[must_use]
    pub fn of(meters: &[MeterView], page: usize, search: &str) -> Self {
        let lower = search.trim().to_lowercase();
        let matching: Vec<&MeterView> = meters
            .iter()
            .filter(|meter| meter.matches(&lower))
            .collect();
        let pages = matching.len().div_ceil(METERS_A_PAGE).max(1);
        let page = page.clamp(1, pages);
        let rows = matching.chunks(METERS_A_PAGE).nth(page.saturating_sub(1));
        Self {
            page,
            pages,
            total: matching.len(),
            search: search.trim().to_owned(),
            rows: rows.unwrap_or_default().iter().copied().cloned().collect(),
        }
    }
}

/// A document that was issued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DocumentRow {
    /// Its number as printed.
    pub number: String,
    /// `invoice`, `credit-note` or `advance`.
    pub kind: String,
    /// To whom.
    pub payer: String,
    /// His currency.
    pub currency: String,
    /// Its total.
    pub total: String,
    /// When it was issued.
    pub at: String,
    /// Formats that it can be had in: `html`, `json`, `csv`.
    pub formats: Vec<String>,
}
