//! Pure: the document as it is stored: everything a reader of it needs, and nothing that changes.
//!
//! Its words are those of EN 16931 (the BT and BG numbers in the docs). Amounts and quantities are
//! texts of exact decimals, so that no reader takes them through a float. The number is not in it:
//! the ledger gives it in the transaction that stores the document, and `render` prints both.

use crate::bill::invoice::{Draft, DraftLine, Invoiced};
use crate::policy::customer::{Customer, Seller};
use crate::policy::tariff::{PriceBook, PriceLine, Unit};
use crate::terms::ids::PriceLineId;
use crate::terms::money::{Currency, Micros, MoneyError, to_minor_unit};
use crate::terms::time::{BillingMonth, MonthError, Period, Timestamp};
use serde::{Deserialize, Serialize};

/// Why a document cannot be written or read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentFault {
    /// An amount is beyond the range.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A date or month cannot be named.
    #[error(transparent)]
    Month(#[from] MonthError),
    /// A stored document is not one.
    #[error("a stored document cannot be read: {0}; restore it from a backup")]
    Unreadable(String),
}

/// Seller (BG-4) or buyer (BG-7).
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Its id in the policies (BT-29, BT-46).
    pub id: String,
    /// Legal name (BT-27, BT-44).
    pub name: String,
    /// Postal address, a line each (BG-5, BG-8).
    pub address: Vec<String>,
    /// VAT identifier (BT-31, BT-48), empty where there is none.
    pub vat_id: String,
}

/// An invoice line (BG-25).
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Line identifier (BT-126): the price line, so that the next document finds it.
    pub id: String,
    /// Item name (BT-153).
    pub text: String,
    /// In which month it was consumed (BT-134, BT-135).
    pub month: String,
    /// Revenue class (BT-133).
    pub class: String,
    /// Tax category code (BT-151).
    pub tax_group: String,
    /// Tax rate (BT-152).
    pub rate: String,
    /// Quantity (BT-129), with at most six decimals.
    pub quantity: String,
    /// Unit (BT-130), in words.
    pub unit: String,
    /// Net price of a unit (BT-146); empty where it is graduated or changed in the month.
    pub unit_price: String,
    /// What earlier documents said of the same line; the net amount is what is left.
    pub before: String,
    /// Net amount (BT-131).
    pub net: String,
}

/// A tax breakdown (BG-23) with its allowance (BG-20).
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Category code (BT-118).
    pub tax_group: String,
    /// Rate (BT-119).
    pub rate: String,
    /// Sum of its lines.
    pub lines: String,
    /// Gift credit used (BT-92).
    pub allowance: String,
    /// Taxable amount (BT-116).
    pub taxable: String,
    /// Tax (BT-117).
    pub tax: String,
}

/// An invoice (BT-3: 380).
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Invoice {
    /// Seller (BG-4).
    pub seller: Party,
    /// Buyer (BG-7).
    pub buyer: Party,
    /// Currency (BT-5).
    pub currency: String,
    /// The month.
    pub month: String,
    /// Its time zone.
    pub zone: String,
    /// First day (BT-73).
    pub period_start: String,
    /// Last day (BT-74).
    pub period_end: String,
    /// Issue date (BT-2).
    pub issued: String,
    /// Due date (BT-9).
    pub due: String,
    /// Lines (BG-25).
    pub lines: Vec<Line>,
    /// Taxes (BG-23).
    pub groups: Vec<Group>,
    /// Sum of line net amounts (BT-106).
    pub net: String,
    /// Sum of allowances (BT-107).
    pub allowance: String,
    /// Total without tax (BT-109).
    pub taxable: String,
    /// Tax (BT-110).
    pub tax: String,
    /// Total with tax (BT-112).
    pub total: String,
    /// Of the tax, what an advance invoice showed already.
    pub tax_of_advances: String,
    /// Paid from the wallet (BT-113).
    pub paid: String,
    /// Due for payment (BT-115).
    pub payable: String,
    /// Notes (BT-22): what was corrected and why, what is provisional.
    pub notes: Vec<String>,
}

/// What a document is written from, beside the draft.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who issues it.
    pub seller: &'a Seller,
    /// To whom.
    pub buyer: &'a Customer,
    /// His price book, for units and unit prices.
    pub book: &'a PriceBook,
    /// The month.
    pub month: &'a BillingMonth,
    /// What he owes more once it is issued; the rest his wallet has paid.
    pub owed: Micros,
    /// When it is issued.
    pub at: Timestamp,
    /// When it is to be paid.
    pub due: Timestamp,
}

/// Writes the document of a draft.
///
/// # Errors
/// [`DocumentFault`], where an amount or a date is out of range.
pub fn write(
    draft: &Draft,
    facts: Facts<'_>,
    notes: Vec<String>,
) -> Result<Invoice, DocumentFault> {
    let period = facts.month.period()?;
    let zone = facts.month.zone();
    let money = |amount: Micros| print(amount, draft.currency);
    let due_now = to_minor_unit(facts.owed.to_decimal(), draft.currency)?;
    let payable = match draft.tax_mode {
        crate::policy::customer::TaxMode::AtUse => due_now.min(draft.total.or_zero()),
        crate::policy::customer::TaxMode::AtTopUp => {
            due_now.min(draft.total.minus(draft.tax_of_advances)?.or_zero())
        }
    };
    let settled = draft.total.minus(draft.tax_of_advances)?;
    let lines: Result<Vec<Line>, DocumentFault> = draft
        .lines
        .iter()
        .map(|one| line(one, facts, period, draft.currency))
        .collect();
    let groups = draft.groups.iter().map(|group| Group {
        tax_group: group.tax_group.clone(),
        rate: group.rate.normalize().to_string(),
        lines: money(group.lines),
        allowance: money(group.allowance),
        taxable: money(group.taxable),
        tax: money(group.tax),
    });
    Ok(Invoice {
        seller: Party {
            id: facts.seller.id.to_string(),
            name: facts.seller.name.clone(),
            address: facts.seller.address.clone(),
            vat_id: facts.seller.vat_id.clone(),
        },
        buyer: Party {
            id: facts.buyer.id.to_string(),
            name: facts.buyer.name.clone(),
            address: facts.buyer.address.clone(),
            vat_id: facts.buyer.vat_id.clone().unwrap_or_default(),
        },
        currency: draft.currency.to_string(),
        month: facts.month.to_string(),
        zone: zone.to_owned(),
        period_start: day(period.start, zone)?,
        period_end: day(period.end.plus(-1), zone)?,
        issued: day(facts.at, zone)?,
        due: day(facts.due, zone)?,
        lines: lines?,
        groups: groups.collect(),
        net: money(draft.net),
        allowance: money(draft.allowance),
        taxable: money(draft.net.minus(draft.allowance)?),
        tax: money(draft.tax),
        total: money(draft.total),
        tax_of_advances: money(draft.tax_of_advances),
        paid: money(settled.minus(payable)?),
        payable: money(payable),
        notes,
    })
}

fn line(
    one: &DraftLine,
    facts: Facts<'_>,
    period: Period,
    currency: Currency,
) -> Result<Line, DocumentFault> {
    let id = one.due.line.as_str();
    let (base, kind) = id.split_once('/').unwrap_or((id, ""));
    let versions = || facts.book.within(period).flat_map(|version| &version.lines);
    let priced: Vec<&PriceLine> = versions().filter(|line| line.id.as_str() == base).collect();
    let before = to_minor_unit(one.due.net, currency)?.minus(one.net)?;
    Ok(Line {
        id: id.to_owned(),
        text: one.due.text.clone(),
        month: one.due.month.to_string(),
        class: one.due.class.clone(),
        tax_group: one.due.tax_group.clone(),
        rate: one.due.rate.normalize().to_string(),
        quantity: one.due.quantity.round_dp(6).normalize().to_string(),
        unit: priced
            .last()
            .filter(|_| kind != "one-off")
            .map(|line| unit(line))
            .unwrap_or_default(),
        unit_price: unit_price(&priced)
            .filter(|_| kind != "one-off")
            .unwrap_or_default(),
        before: if before.is_zero() {
            String::new()
        } else {
            print(before, currency)
        },
        net: print(one.net, currency),
    })
}

/// What one of a line's quantity is: `GiB × h`.
fn unit(line: &PriceLine) -> String {
    let name = line.component.name();
    let thing = match name {
        "vcpu" => "vCPU",
        "vm" => "VM",
        _ if name.ends_with("_gib") => "GiB",
        _ if name.ends_with("_million") => "million",
        _ => "piece",
    };
    let time = match line.unit {
        Unit::Hour => "h",
        Unit::Month => "month",
        Unit::Amount => return thing.to_owned(),
    };
    format!("{thing} × {time}")
}

/// The one price of a unit; none where it is graduated, capped, partly free, or changed.
fn unit_price(versions: &[&PriceLine]) -> Option<String> {
    let (first, rest) = versions.split_first()?;
    let [tier] = first.tiers.as_slice() else {
        return None;
    };
    let flat = first.allowance.is_zero() && first.month_cap.is_none();
    let same = rest.iter().all(|line| line.tiers == first.tiers);
    (flat && same).then(|| tier.price.normalize().to_string())
}

/// An amount with the decimals of its currency's minor unit.
#[must_use]
pub fn print(amount: Micros, currency: Currency) -> String {
    let mut exact = amount.to_decimal();
    exact.rescale(currency.minor_digits());
    exact.to_string()
}

/// The day of an instant in a zone, `2026-11-30`.
fn day(at: Timestamp, zone: &str) -> Result<String, MonthError> {
    let fault = || MonthError::UnknownZone(zone.to_owned());
    let instant = jiff::Timestamp::from_microsecond(at.micros()).map_err(|_| fault())?;
    let tz = jiff::tz::TimeZone::get(zone).map_err(|_| fault())?;
    Ok(instant.to_zoned(tz).strftime("%Y-%m-%d").to_string())
}

impl Invoice {
    /// As it is stored.
    ///
    /// # Errors
    /// [`DocumentFault::Unreadable`], which a document of texts alone does not meet.
    pub fn body(&self) -> Result<String, DocumentFault> {
        serde_json::to_string(self).map_err(|e| DocumentFault::Unreadable(e.to_string()))
    }

    /// Reads a stored one.
    ///
    /// # Errors
    /// [`DocumentFault::Unreadable`].
    pub fn read(body: &str) -> Result<Self, DocumentFault> {
        serde_json::from_str(body).map_err(|e| DocumentFault::Unreadable(e.to_string()))
    }

    /// What later documents count as invoiced.
    ///
    /// # Errors
    /// [`DocumentFault`], where a stored line cannot be read.
    pub fn invoiced(&self) -> Result<Vec<(Invoiced, &Line)>, DocumentFault> {
        let one = |line| {
            let read = Invoiced {
                line: PriceLineId::from(line_id(line)),
                month: BillingMonth::parse(&line.month, &self.zone)?,
                tax_group: line.tax_group.clone(),
                net: line.net.parse()?,
            };
            Ok((read, line))
        };
        self.lines.iter().map(one).collect()
    }
}

fn line_id(line: &Line) -> &str {
    &line.id
}
