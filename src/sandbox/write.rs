//! Pure: an answer's body in JSON or XML, from one ordered tree.

use crate::cloudstack::envelope::{Format, escape_xml};
use serde_json::Value;
use std::fmt::Write;

/// Version that the stand-in says it is.
pub const VERSION: &str = "4.22.0.0-SNAPSHOT";

/// The body of a success. Login's answer has no version in XML.
#[must_use]
pub fn body(wrapper: &str, inside: &Value, format: Format, version: Option<&str>) -> String {
    match format {
        Format::Json => format!("{{\"{wrapper}\":{inside}}}"),
        Format::Xml => {
            let version = version
                .map(|text| format!(" cloud-stack-version=\"{text}\""))
                .unwrap_or_default();
            let mut text =
                format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><{wrapper}{version}>");
            xml(&mut text, "", inside);
            // Writing to a String cannot fail.
            let _ = write!(text, "</{wrapper}>");
            text
        }
    }
}

/// A list's items are elements of the list's own name.
fn xml(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        // CloudStack's XML leaves these maps out.
        Value::Array(_) if name == "downloaddetails" => {}
        Value::Array(items) => items.iter().for_each(|item| xml(out, name, item)),
        Value::Object(fields) => {
            element(out, name, |out| {
                fields
                    .iter()
                    .for_each(|(field, inner)| xml(out, field, inner));
            });
        }
        Value::String(text) => element(out, name, |out| out.push_str(&escape_xml(text))),
        plain => element(out, name, |out| {
            let _ = write!(out, "{plain}");
        }),
    }
}

fn element(out: &mut String, name: &str, inside: impl FnOnce(&mut String)) {
    if name.is_empty() {
        return inside(out);
    }
    let _ = write!(out, "<{name}>");
    inside(out);
    let _ = write!(out, "</{name}>");
}
