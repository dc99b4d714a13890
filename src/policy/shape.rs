//! Pure: the policy files as they are written. Unknown keys are refused; meaning is `check`'s.
//!
//! Amounts and quantities are quoted decimals (`"0.36"`), durations are texts (`"90s"`, `"5m"`,
//! `"1h"`, `"3d"`), dates are TOML dates or date-times.

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

/// One file: any of the tables may stand in any file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub seller: Vec<Spanned<Seller>>,
    #[serde(default)]
    pub customer: Vec<Spanned<Customer>>,
    #[serde(default)]
    pub prepaid: Vec<Spanned<Prepaid>>,
    pub book: Option<Spanned<Book>>,
    #[serde(default)]
    pub line: Vec<Spanned<Line>>,
    pub rest: Option<Spanned<Rest>>,
    #[serde(default)]
    pub access: Vec<Spanned<Access>>,
    #[serde(default)]
    pub access_default: Vec<Spanned<AccessDefault>>,
    #[serde(default)]
    pub mode: Vec<Spanned<Mode>>,
    #[serde(default)]
    pub limit: Vec<Spanned<Limit>>,
    #[serde(default)]
    pub things: Vec<Spanned<Things>>,
    #[serde(default)]
    pub caps: Vec<Spanned<Cap>>,
}

/// `[[access]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Access {
    pub id: String,
    pub verdict: Spanned<String>,
    pub reason: String,
    #[serde(default)]
    pub command: Vec<Spanned<String>>,
    #[serde(default)]
    pub class: Vec<Spanned<String>>,
    #[serde(default)]
    pub param: Vec<Spanned<Param>>,
    #[serde(default)]
    pub kind: Vec<Spanned<String>>,
    #[serde(default)]
    pub role: Vec<String>,
    pub domain: Option<String>,
    #[serde(default)]
    pub except_domain: Vec<String>,
    #[serde(default)]
    pub account: Vec<String>,
    #[serde(default)]
    pub user: Vec<String>,
    #[serde(default)]
    pub zone: Vec<String>,
    #[serde(default)]
    pub address: Vec<Spanned<String>>,
    #[serde(default)]
    pub except_address: Vec<Spanned<String>>,
    pub time: Option<Spanned<Time>>,
    pub when: Option<Spanned<String>>,
}

/// One entry of `param`: a name and one test.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Param {
    pub name: String,
    pub given: Option<bool>,
    pub is: Option<Vec<String>>,
    pub not: Option<Vec<String>>,
    pub over: Option<i64>,
    pub under: Option<i64>,
}

/// `time = { … }` of a rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    #[serde(default)]
    pub days: Vec<Spanned<String>>,
    pub from: Spanned<String>,
    pub until: Spanned<String>,
    #[serde(default = "utc")]
    pub zone: Spanned<String>,
}

/// `[[access_default]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessDefault {
    pub id: String,
    pub verdict: Spanned<String>,
    pub domain: Option<String>,
    #[serde(default)]
    pub class: Vec<Spanned<String>>,
    pub reason: String,
}

/// `[[mode]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mode {
    pub domain: Option<String>,
    pub mode: Spanned<String>,
}

/// `[[limit]]`: how often somebody may call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limit {
    pub id: String,
    pub per: Spanned<String>,
    pub of: Option<String>,
    #[serde(default)]
    pub commands: Vec<Spanned<String>>,
    pub class: Option<Spanned<String>>,
    pub calls: Spanned<i64>,
    pub period: Spanned<String>,
    pub burst: Option<Spanned<i64>>,
    pub reason: String,
}

/// `[[things]]`: how much of what a payer may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Things {
    pub id: String,
    pub payer: Option<Spanned<String>>,
    pub component: Spanned<String>,
    pub basis: Option<Spanned<String>>,
    pub zone: Option<String>,
    pub most: Spanned<i64>,
    pub reason: String,
}

/// `[[caps]]`: how much may be spent in a period.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cap {
    pub id: String,
    pub per: Spanned<String>,
    pub of: Option<Spanned<String>>,
    pub seller: Option<Spanned<String>>,
    pub amount: Spanned<String>,
    pub period: Spanned<String>,
    pub reason: String,
    #[serde(default)]
    pub stops: bool,
}

/// `[rest]`: who pays for what no customer owns.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rest {
    pub payer: Spanned<String>,
}

/// `[[seller]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seller {
    pub id: String,
    pub name: String,
    pub address: Vec<String>,
    pub vat_id: String,
    pub currency: Spanned<String>,
    pub zone: Spanned<String>,
    pub tax_mode: Spanned<String>,
    #[serde(default)]
    pub tax: Vec<Spanned<Tax>>,
    pub invoice_series: String,
    #[serde(default = "fourteen")]
    pub payment_days: i64,
    pub top_up_url: String,
    pub wholesale: Option<Spanned<String>>,
}

fn fourteen() -> i64 {
    14
}

/// `[[seller.tax]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tax {
    pub profile: String,
    pub group: String,
    pub code: String,
    pub rate: Spanned<String>,
    pub from: Option<Spanned<Datetime>>,
}

/// `[[customer]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Customer {
    pub id: String,
    pub name: String,
    pub address: Vec<String>,
    pub vat_id: Option<String>,
    pub seller: Spanned<String>,
    pub currency: Option<Spanned<String>>,
    pub mode: Spanned<String>,
    pub credit_line: Option<Spanned<String>>,
    pub tax: Spanned<String>,
    #[serde(default)]
    pub owns: Vec<Spanned<Owns>>,
    #[serde(default = "yes")]
    pub show_balance: bool,
    pub book: Spanned<String>,
    pub prepaid: Option<Spanned<String>>,
    #[serde(default)]
    pub mail: Vec<Spanned<String>>,
    pub webhook: Option<Spanned<String>>,
}

fn yes() -> bool {
    true
}

/// One entry of `owns`: exactly one of the three, and since when.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Owns {
    pub project: Option<String>,
    pub account: Option<String>,
    pub domain: Option<String>,
    pub from: Option<Spanned<Datetime>>,
}

/// `[[prepaid]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepaid {
    pub id: String,
    pub horizon: Option<Spanned<String>>,
    pub worst_delay: Option<Spanned<String>>,
    pub stop_lead: Option<Spanned<String>>,
    pub retention: Option<Spanned<String>>,
    pub notices: Option<Vec<Spanned<String>>>,
    pub store_away: Option<Spanned<StoreAway>>,
    #[serde(default)]
    pub stops: bool,
    pub stop_grace: Option<Spanned<String>>,
    pub stop_order_tag: Option<String>,
    #[serde(default)]
    pub restarts: bool,
    pub quiet: Option<Spanned<String>>,
    pub protect_tag: Option<String>,
    pub stops_at_once: Option<Spanned<i64>>,
    pub retry_after: Option<Spanned<String>>,
    pub retention_by: Option<Spanned<String>>,
    pub delete_after: Option<Spanned<String>>,
    pub delete_notices: Option<Vec<Spanned<String>>>,
    pub bundle: Option<Spanned<String>>,
    pub commit_autoscale: Option<Spanned<String>>,
    pub commit_snapshots: Option<Spanned<String>>,
    pub commit_backups: Option<Spanned<String>>,
    pub commit_kubernetes: Option<Spanned<String>>,
    pub window: Option<Spanned<String>>,
    pub window_min: Option<Spanned<String>>,
    pub window_share: Option<Spanned<String>>,
    pub estimate: Option<Spanned<String>>,
    #[serde(default)]
    pub estimate_floor: Vec<Spanned<EstimateFloor>>,
}

/// `store_away` of `[[prepaid]]`: a word, or how far it is open.
#[derive(Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "write store_away = \"closed\" or store_away = { open_up_to = \"50.00\" }"
)]
pub(super) enum StoreAway {
    Word(String),
    Open { open_up_to: String },
}

/// One entry of `estimate_floor`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EstimateFloor {
    pub component: Option<Spanned<String>>,
    pub offering: Option<String>,
    pub per_hour: Spanned<String>,
}

/// `[book]`: the version of a price book that the file's `[[line]]`s are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Book {
    pub id: String,
    pub currency: Spanned<String>,
    #[serde(default = "utc")]
    pub zone: Spanned<String>,
    pub from: Spanned<Datetime>,
    pub until: Option<Spanned<Datetime>>,
}

fn utc() -> Spanned<String> {
    Spanned::new(0..0, "UTC".to_owned())
}

/// `[[line]]`: one price.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub id: String,
    pub component: Spanned<String>,
    pub basis: Option<Spanned<String>>,
    #[serde(default, rename = "match")]
    pub matches: Matches,
    pub unit: Option<Spanned<String>>,
    pub price: Option<Spanned<String>>,
    pub tiers: Option<Vec<Spanned<TierShape>>>,
    pub allowance: Option<Spanned<String>>,
    pub month_cap: Option<Spanned<String>>,
    #[serde(default)]
    pub free: bool,
    pub one_off: Option<Spanned<String>>,
    #[serde(default)]
    pub surcharge: bool,
    pub class: String,
    #[serde(default = "standard")]
    pub tax_group: Spanned<String>,
    pub text: String,
}

fn standard() -> Spanned<String> {
    Spanned::new(0..0, "standard".to_owned())
}

/// `match = { … }` of a line.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Matches {
    pub offering: Option<Spanned<String>>,
    pub zone: Option<String>,
    pub template: Option<String>,
    pub source_nat: Option<bool>,
    pub state: Option<String>,
}

/// One entry of `tiers`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TierShape {
    pub up_to: Option<Spanned<String>>,
    pub price: Spanned<String>,
}
