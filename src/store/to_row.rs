//! Edge: from a record to the JSON array that one bulk statement reads, columns in order.

use super::work::{Intent, Notice, StoredInterval};
use crate::ledger::caps::{Cap, CapShare};
use crate::ledger::chart;
use crate::ledger::grants::Grant;
use crate::ledger::records::{
    Account, Accrual, Allocation, BillingMode, Document, Hold, HoldStatus, Item, PayerState,
    Transfer,
};
use crate::meter::attributes_text::AttributesText;
use crate::meter::resource::BorderSource;
use crate::terms::ids::CapId;
use serde_json::{Value, json};
use std::fmt::Display;

fn text<T: Display>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(ToString::to_string)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    out
}

pub(super) fn payer(state: &PayerState) -> Value {
    let mode = match state.mode {
        BillingMode::Prepaid => "prepaid",
        BillingMode::Postpaid => "postpaid",
    };
    let [a, h, r, c, pa, ph, pc] = state.purses.map(|purse| purse.get());
    json!([
        state.payer.as_str(),
        state.seller.as_str(),
        state.currency.code(),
        mode,
        state.credit_line.get(),
        a,
        h,
        r,
        c,
        pa,
        ph,
        pc,
        state.holds_open.get(),
        state.promo_holds_open.get(),
        state.cover_target.get(),
        state.promo_cover_target.get(),
        state.accrued_through.micros(),
        state.version,
    ])
}

pub(super) fn transfer(seq: i64, row: &Transfer, hash: &[u8; 32]) -> Value {
    let payer = [&row.debit, &row.credit]
        .into_iter()
        .find_map(|account| match account {
            Account::Payer(payer, _) => Some(payer.as_str()),
            Account::Seller(..) => None,
        });
    json!([
        seq,
        row.id.as_str(),
        payer,
        row.seller.as_str(),
        row.currency.code(),
        row.event,
        chart::print(&row.debit),
        chart::print(&row.credit),
        row.amount.get(),
        row.at.micros(),
        hex(hash),
    ])
}

pub(super) fn hold(row: &Hold) -> Value {
    let status = match row.status {
        HoldStatus::Open => "open",
        HoldStatus::Settled => "settled",
        HoldStatus::GivenBack => "given-back",
        HoldStatus::Drawn => "drawn",
    };
    json!([
        row.id.to_string(),
        row.payer.as_str(),
        row.call.to_string(),
        row.wallet.get(),
        row.promo.get(),
        row.one_off.get(),
        status,
        row.at.micros(),
        names(&row.caps),
    ])
}

/// The caps of a hold, a JSON array.
fn names(caps: &[CapId]) -> String {
    let names = caps.iter().map(|cap| Value::from(cap.as_str()));
    Value::Array(names.collect()).to_string()
}

pub(super) fn cap(row: &Cap) -> Value {
    json!([
        row.id.as_str(),
        row.start.micros(),
        row.held.get(),
        row.accrued.get(),
    ])
}

pub(super) fn cap_share(row: &CapShare) -> Value {
    json!([
        row.cap.as_str(),
        row.payer.as_str(),
        row.start.micros(),
        row.covered.get(),
        row.metered.get(),
        row.one_off.get(),
    ])
}

pub(super) fn grant(row: &Grant) -> Value {
    json!([
        row.payer.as_str(),
        row.id,
        row.amount.get(),
        row.left.get(),
        row.expired.get(),
        row.expires.map(crate::terms::time::Timestamp::micros),
        i64::from(row.ended),
        row.reason,
        row.at.micros(),
    ])
}

pub(super) fn accrual(row: &Accrual) -> Value {
    json!([
        row.payer.as_str(),
        row.month.to_string(),
        row.month.zone(),
        row.line.as_str(),
        row.tax_group,
        row.quantity.get().to_string(),
        row.total.get(),
        row.promo_total.get(),
        row.invoiced.get(),
        row.promo_invoiced.get(),
    ])
}

pub(super) fn item(row: &Item) -> Value {
    json!([
        row.payer.as_str(),
        row.id,
        row.amount.get(),
        row.open.get(),
        row.due.micros(),
        row.at.micros(),
    ])
}

pub(super) fn allocation(row: &Allocation) -> Value {
    json!([
        row.id,
        row.item,
        row.payer.as_str(),
        row.amount.get(),
        row.at.micros(),
    ])
}

pub(super) fn document(row: &Document) -> Value {
    json!([
        row.id.to_string(),
        row.seller.as_str(),
        row.payer.as_str(),
        row.kind.name(),
        row.series,
        row.number,
        row.total.get(),
        text(&row.corrects),
        row.body,
        row.at.micros(),
    ])
}

pub(super) fn intent(row: &Intent) -> Value {
    json!([
        row.call.to_string(),
        text(&row.hold),
        text(&row.payer),
        row.owner,
        row.command,
        row.params,
        text(&row.job),
        text(&row.resource),
        row.planned,
        row.status.name(),
        row.sent.micros(),
        row.answered.map(|at| at.micros()),
        row.updated.micros(),
        row.note,
    ])
}

pub(super) const fn source(source: BorderSource) -> &'static str {
    match source {
        BorderSource::Printed => "printed",
        BorderSource::Completed => "completed",
        BorderSource::FirstAnswer => "first-answer",
        BorderSource::Event => "event",
        BorderSource::Sweep => "sweep",
    }
}

pub(super) fn interval(row: &StoredInterval) -> Value {
    let it = &row.interval;
    json!([
        row.id.to_string(),
        text(&row.payer),
        text(&row.hold),
        it.meter.usage_type.number(),
        it.meter.resource.as_str(),
        it.meter.part,
        text(&it.owner.account),
        it.owner.account_name,
        it.owner.domain.as_str(),
        text(&it.owner.project),
        json!(AttributesText::from(&it.attributes)).to_string(),
        it.start.at.micros(),
        source(it.start.source),
        it.end.map(|end| end.at.micros()),
        it.end.map(|end| source(end.source)),
    ])
}

pub(super) fn notice(row: &Notice) -> Value {
    json!([
        row.payer.as_str(),
        row.episode,
        row.step,
        row.text,
        row.at.micros(),
    ])
}
