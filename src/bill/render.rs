//! Pure: a stored document and its number → a printable page, JSON and CSV. The same document
//! gives the same bytes, so that a lost file is written again as it was.

use super::document::{DocumentFault, Invoice};
use minijinja::{AutoEscape, Environment, context};
use serde_json::{Map, Value};

const PAGE: &str = include_str!("templates/invoice.html");

/// A document's files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// One page, to be printed.
    pub html: String,
    /// As stored, with the number first.
    pub json: String,
    /// A row a line.
    pub csv: String,
}

/// The number as it is printed (BT-1): `2026-00017`.
#[must_use]
pub fn number(series: &str, number: i64) -> String {
    format!("{series}-{number:05}")
}

/// Every file of a document.
///
/// # Errors
/// [`DocumentFault::Unreadable`], where it cannot be printed.
pub fn files(invoice: &Invoice, number: &str) -> Result<Files, DocumentFault> {
    Ok(Files {
        html: html(invoice, number)?,
        json: json(invoice, number)?,
        csv: csv(invoice, number)?,
    })
}

fn fault(error: impl std::fmt::Display) -> DocumentFault {
    DocumentFault::Unreadable(error.to_string())
}

fn html(invoice: &Invoice, number: &str) -> Result<String, DocumentFault> {
    let mut pages = Environment::new();
    pages.set_auto_escape_callback(|_| AutoEscape::Html);
    pages.add_filter("percent", percent);
    pages.add_filter("grouped", grouped);
    pages.add_template("invoice.html", PAGE).map_err(fault)?;
    let page = pages.get_template("invoice.html").map_err(fault)?;
    let stored = serde_json::to_value(invoice).map_err(fault)?;
    page.render(context! { invoice => shown(&stored), number })
        .map_err(fault)
}

/// A document's texts and lists as the page sees them.
fn shown(stored: &Value) -> minijinja::Value {
    match stored {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, inner)| (name.as_str(), shown(inner)));
            minijinja::Value::from_pairs(fields)
        }
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::String(text) => minijinja::Value::from(text.as_str()),
        Value::Bool(flag) => minijinja::Value::from(*flag),
        Value::Null | Value::Number(_) => minijinja::Value::from(stored.to_string()),
    }
}

/// `0.19` as `19 %`, digits moved and never computed with floats.
fn percent(rate: String) -> String {
    let exact = rate.parse::<rust_decimal::Decimal>().ok();
    let hundred = rust_decimal::Decimal::ONE_HUNDRED;
    match exact.and_then(|rate| rate.checked_mul(hundred)) {
        Some(exact) => format!("{} %", exact.normalize()),
        None => rate,
    }
}

/// `1234567.5` as `1 234 567.5`, with narrow spaces that do not break.
fn grouped(amount: String) -> String {
    let (sign, digits) = match amount.strip_prefix('-') {
        Some(rest) => ("\u{2212}", rest),
        None => ("", amount.as_str()),
    };
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out + rest
}

fn json(invoice: &Invoice, number: &str) -> Result<String, DocumentFault> {
    let mut fields = Map::new();
    fields.insert("number".to_owned(), Value::from(number));
    let stored = serde_json::to_value(invoice).map_err(fault)?;
    if let Value::Object(stored) = stored {
        fields.extend(stored);
    }
    let mut text = serde_json::to_string_pretty(&fields).map_err(fault)?;
    text.push('\n');
    Ok(text)
}

fn csv(invoice: &Invoice, number: &str) -> Result<String, DocumentFault> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let head = [
        "invoice",
        "issued",
        "buyer",
        "line",
        "text",
        "month",
        "quantity",
        "unit",
        "unit_price",
        "already_invoiced",
        "net",
        "currency",
        "tax_group",
        "tax_rate",
    ];
    out.write_record(head).map_err(fault)?;
    for line in &invoice.lines {
        let row = [
            number,
            &invoice.issued,
            &invoice.buyer.id,
            &line.id,
            &line.text,
            &line.month,
            &line.quantity,
            &line.unit,
            &line.unit_price,
            &line.before,
            &line.net,
            &invoice.currency,
            &line.tax_group,
            &line.rate,
        ];
        // A cell that a spreadsheet would run as a formula is made text.
        let row = row.map(|cell| match cell.starts_with(['=', '+', '@']) {
            true => format!("'{cell}"),
            false => cell.to_owned(),
        });
        out.write_record(&row).map_err(fault)?;
    }
    let bytes = out.into_inner().map_err(fault)?;
    String::from_utf8(bytes).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_printed_without_floats() {
        assert_eq!(percent("0.19".to_owned()), "19 %");
        assert_eq!(percent("0.077".to_owned()), "7.7 %");
        assert_eq!(
            grouped("-1234567.50".to_owned()),
            "\u{2212}1\u{202f}234\u{202f}567.50"
        );
        assert_eq!(grouped("999.00".to_owned()), "999.00");
        assert_eq!(number("2026", 17), "2026-00017");
    }
}
