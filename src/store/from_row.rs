//! Edge: from a row of the database to the record that it holds. A row that cannot be read back
//! is a damaged file, never a default.

use super::database::Row;
use super::error::StoreError;
use super::work::{Intent, IntentStatus, Notice, StoredInterval};
use crate::cloudstack::usage_type::UsageType;
use crate::ledger::caps::{Cap, CapShare, CappedResource};
use crate::ledger::chart;
use crate::ledger::grants::Grant;
use crate::ledger::records::{
    Accrual, Allocation, BillingMode, Document, DocumentKind, Hold, HoldStatus, Item, PayerState,
    Transfer,
};
use crate::ledger::things::Amounts;
use crate::meter::attributes_text::AttributesText;
use crate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId, Owner};
use crate::terms::ids::{
    CapId, CsAccountId, CsDomainId, CsProjectId, JobId, PayerId, PriceLineId, ResourceId, SellerId,
    TransferId,
};
use crate::terms::money::{Currency, Micros};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{BillingMonth, Timestamp};
use std::str::FromStr;

type Read<T> = Result<T, StoreError>;

/// A row's fields, by name.
pub(super) struct Fields<'a>(pub(super) &'a Row);

impl Fields<'_> {
    pub(super) fn text(&self, name: &str) -> Read<String> {
        self.0.get(name)
    }
    pub(super) fn maybe_text(&self, name: &str) -> Read<Option<String>> {
        self.0.get(name)
    }
    pub(super) fn number(&self, name: &str) -> Read<i64> {
        self.0.get(name)
    }
    pub(super) fn maybe_number(&self, name: &str) -> Read<Option<i64>> {
        self.0.get(name)
    }
    fn money(&self, name: &str) -> Read<Micros> {
        self.number(name).map(Micros::new)
    }
    fn time(&self, name: &str) -> Read<Timestamp> {
        self.number(name).map(Timestamp::from_micros)
    }
    fn parsed<T: FromStr>(&self, name: &str) -> Read<T> {
        let text = self.text(name)?;
        text.parse().map_err(|_| StoreError::row(name, &text))
    }
    fn maybe_parsed<T: FromStr>(&self, name: &str) -> Read<Option<T>> {
        let Some(text) = self.maybe_text(name)? else {
            return Ok(None);
        };
        let value = text.parse().map_err(|_| StoreError::row(name, &text))?;
        Ok(Some(value))
    }
    fn maybe_name<T: From<String>>(&self, name: &str) -> Read<Option<T>> {
        Ok(self.maybe_text(name)?.map(T::from))
    }
}

pub(super) fn payer(row: &Row) -> Read<PayerState> {
    let f = Fields(row);
    let mode = f.text("mode")?;
    let purses = [
        f.money("available")?,
        f.money("held")?,
        f.money("retention")?,
        f.money("accrued")?,
        f.money("promo_available")?,
        f.money("promo_held")?,
        f.money("promo_accrued")?,
    ];
    Ok(PayerState {
        payer: PayerId::from(f.text("id")?),
        seller: SellerId::from(f.text("seller")?),
        currency: f.parsed::<Currency>("currency")?,
        mode: match mode.as_str() {
            "prepaid" => BillingMode::Prepaid,
            "postpaid" => BillingMode::Postpaid,
            other => return Err(StoreError::row("mode", other)),
        },
        credit_line: f.money("credit_line")?,
        purses,
        holds_open: f.money("holds_open")?,
        promo_holds_open: f.money("promo_holds_open")?,
        cover_target: f.money("cover_target")?,
        promo_cover_target: f.money("promo_cover_target")?,
        accrued_through: f.time("accrued_through")?,
        version: f.number("version")?,
    })
}

pub(super) fn hold(row: &Row) -> Read<Hold> {
    let f = Fields(row);
    let status = f.text("status")?;
    Ok(Hold {
        id: f.parsed("id")?,
        call: f.parsed("call")?,
        payer: PayerId::from(f.text("payer")?),
        wallet: f.money("wallet")?,
        promo: f.money("promo")?,
        one_off: f.money("one_off")?,
        status: match status.as_str() {
            "open" => HoldStatus::Open,
            "settled" => HoldStatus::Settled,
            "given-back" => HoldStatus::GivenBack,
            "drawn" => HoldStatus::Drawn,
            other => return Err(StoreError::row("status", other)),
        },
        at: f.time("at")?,
        caps: caps(&f)?,
    })
}

fn caps(f: &Fields<'_>) -> Read<Vec<CapId>> {
    let text = f.text("caps")?;
    let names: Result<Vec<String>, _> = serde_json::from_str(&text);
    let names = names.map_err(|_| StoreError::row("caps", &text))?;
    Ok(names.into_iter().map(CapId::from).collect())
}

pub(super) fn capped_resource(row: &Row) -> Read<CappedResource> {
    let f = Fields(row);
    Ok(CappedResource {
        resource: ResourceId::from(f.text("resource")?),
        since: f.time("start_at")?,
        caps: caps(&f)?,
    })
}

pub(super) fn cap(row: &Row) -> Read<Cap> {
    let f = Fields(row);
    Ok(Cap {
        id: CapId::from(f.text("id")?),
        start: f.time("start_at")?,
        held: f.money("held")?,
        accrued: f.money("accrued")?,
    })
}

pub(super) fn cap_share(row: &Row) -> Read<CapShare> {
    let f = Fields(row);
    Ok(CapShare {
        cap: CapId::from(f.text("cap")?),
        payer: PayerId::from(f.text("payer")?),
        start: f.time("start_at")?,
        covered: f.money("covered")?,
        metered: f.money("metered")?,
        one_off: f.money("one_off")?,
    })
}

pub(super) fn grant(row: &Row) -> Read<Grant> {
    let f = Fields(row);
    Ok(Grant {
        payer: PayerId::from(f.text("payer")?),
        id: f.text("id")?,
        amount: f.money("amount")?,
        left: f.money("remaining")?,
        expired: f.money("expired")?,
        expires: f.maybe_number("expires")?.map(Timestamp::from_micros),
        ended: f.number("ended")? != 0,
        reason: f.text("reason")?,
        at: f.time("at")?,
    })
}

pub(super) fn transfer(row: &Row) -> Read<Transfer> {
    let f = Fields(row);
    let account = |name: &str| {
        let text = f.text(name)?;
        chart::parse(&text).map_err(|_| StoreError::row(name, &text))
    };
    Ok(Transfer {
        id: TransferId::from(f.text("id")?),
        seller: SellerId::from(f.text("seller")?),
        currency: f.parsed("currency")?,
        event: f.text("event")?,
        debit: account("debit")?,
        credit: account("credit")?,
        amount: f.money("amount")?,
        at: f.time("at")?,
    })
}

pub(super) fn accrual(row: &Row) -> Read<Accrual> {
    let f = Fields(row);
    let month = f.text("month")?;
    let quantity = f.parsed::<i128>("quantity")?;
    Ok(Accrual {
        payer: PayerId::from(f.text("payer")?),
        line: PriceLineId::from(f.text("line")?),
        month: BillingMonth::parse(&month, &f.text("zone")?)
            .map_err(|_| StoreError::row("month", &month))?,
        tax_group: f.text("tax_group")?,
        quantity: UnitMicros::new(quantity),
        total: f.money("total")?,
        promo_total: f.money("promo_total")?,
        invoiced: f.money("invoiced")?,
        promo_invoiced: f.money("promo_invoiced")?,
    })
}

pub(super) fn item(row: &Row) -> Read<Item> {
    let f = Fields(row);
    Ok(Item {
        id: f.text("id")?,
        payer: PayerId::from(f.text("payer")?),
        amount: f.money("amount")?,
        open: f.money("open")?,
        due: f.time("due")?,
        at: f.time("at")?,
    })
}

pub(super) fn allocation(row: &Row) -> Read<Allocation> {
    let f = Fields(row);
    Ok(Allocation {
        id: f.text("id")?,
        item: f.text("item")?,
        payer: PayerId::from(f.text("payer")?),
        amount: f.money("amount")?,
        at: f.time("at")?,
    })
}

pub(super) fn document(row: &Row) -> Read<Document> {
    let f = Fields(row);
    let kind = f.text("kind")?;
    let kinds = [
        DocumentKind::Invoice,
        DocumentKind::CreditNote,
        DocumentKind::Advance,
    ];
    Ok(Document {
        id: f.parsed("id")?,
        seller: SellerId::from(f.text("seller")?),
        payer: PayerId::from(f.text("payer")?),
        kind: kinds
            .into_iter()
            .find(|known| known.name() == kind)
            .ok_or_else(|| StoreError::row("kind", &kind))?,
        series: f.text("series")?,
        number: f.number("number")?,
        total: f.money("total")?,
        corrects: f.maybe_parsed("corrects")?,
        body: f.text("body")?,
        at: f.time("at")?,
    })
}

pub(super) fn intent(row: &Row) -> Read<Intent> {
    let f = Fields(row);
    let status = f.text("status")?;
    Ok(Intent {
        call: f.parsed("call")?,
        hold: f.maybe_parsed("hold")?,
        payer: f.maybe_name::<PayerId>("payer")?,
        owner: f.text("owner")?,
        command: f.text("command")?,
        params: f.text("params")?,
        job: f.maybe_name::<JobId>("job")?,
        resource: f.maybe_name::<ResourceId>("resource")?,
        planned: f.text("planned")?,
        status: IntentStatus::ALL
            .into_iter()
            .find(|known| known.name() == status)
            .ok_or_else(|| StoreError::row("status", &status))?,
        sent: f.time("sent")?,
        answered: f.maybe_number("answered")?.map(Timestamp::from_micros),
        updated: f.time("updated")?,
        note: f.text("note")?,
    })
}

fn source(text: &str) -> Read<BorderSource> {
    Ok(match text {
        "printed" => BorderSource::Printed,
        "completed" => BorderSource::Completed,
        "first-answer" => BorderSource::FirstAnswer,
        "event" => BorderSource::Event,
        "sweep" => BorderSource::Sweep,
        other => return Err(StoreError::row("source", other)),
    })
}

/// A sum of `RUNNING` or `UNDER_WAY`: payer, usage type, zone and figures.
pub(super) fn amounts(row: &Row) -> Read<(PayerId, u8, String, Amounts)> {
    let f = Fields(row);
    let kind = u8::try_from(f.number("usage_type")?);
    let kind = kind.map_err(|_| StoreError::row("usage_type", "not a number of a usage type"))?;
    let amounts = Amounts {
        pieces: f.number("pieces")?,
        vcpus: f.number("vcpus")?,
        memory_mib: f.number("memory_mib")?,
        bytes: f.number("bytes")?,
    };
    Ok((f.text("payer")?.into(), kind, f.text("zone")?, amounts))
}

pub(super) fn interval(row: &Row) -> Read<StoredInterval> {
    let f = Fields(row);
    let number = f.number("usage_type")?;
    let usage_type = u8::try_from(number)
        .ok()
        .and_then(UsageType::from_number)
        .ok_or_else(|| StoreError::row("usage_type", &number.to_string()))?;
    let end = match (f.maybe_number("end_at")?, f.maybe_text("end_source")?) {
        (Some(at), Some(from)) => Some(Border {
            at: Timestamp::from_micros(at),
            source: source(&from)?,
        }),
        _ => None,
    };
    Ok(StoredInterval {
        id: f.parsed("id")?,
        payer: f.maybe_name::<PayerId>("payer")?,
        hold: f.maybe_parsed("hold")?,
        interval: Interval {
            meter: MeterId {
                usage_type,
                resource: ResourceId::from(f.text("resource")?),
                part: f.text("part")?,
            },
            owner: Owner {
                account: f.maybe_name::<CsAccountId>("account")?,
                account_name: f.maybe_text("account_name")?,
                domain: CsDomainId::from(f.text("domain")?),
                project: f.maybe_name::<CsProjectId>("project")?,
            },
            attributes: attributes(&f.text("attributes")?)?,
            start: Border {
                at: f.time("start_at")?,
                source: source(&f.text("start_source")?)?,
            },
            end,
        },
    })
}

fn attributes(text: &str) -> Read<Attributes> {
    let read: Result<AttributesText, _> = serde_json::from_str(text);
    let read = read.map_err(|_| StoreError::row("attributes", text))?;
    Ok(read.into())
}

pub(super) fn notice(row: &Row) -> Read<Notice> {
    let f = Fields(row);
    Ok(Notice {
        payer: PayerId::from(f.text("payer")?),
        episode: f.text("episode")?,
        step: f.text("step")?,
        text: f.text("text")?,
        at: f.time("at")?,
    })
}
