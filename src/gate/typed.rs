//! Pure: C7 and C8: a raising call's parameters, typed before they are priced.
//!
//! What CloudStack reads in one way only is normalised (UUIDs and booleans to lower case; the
//! signed text is lower-cased as a whole, so signatures hold). What it could read in another way
//! than we price is refused.

use super::refusal::Refusal;
use crate::cloudstack::command::{CommandTable, ParamKind, ParamSchema};
use crate::cloudstack::query::{ParamMap, characters, is_refused_character};
use crate::terms::limits;

/// Names that every command takes, beside its own.
const EVERYWHERE: [&str; 8] = [
    "command",
    "response",
    "apikey",
    "signature",
    "signatureversion",
    "expires",
    "sessionkey",
    "_",
];

/// Whether every command takes a parameter of this lower-case name.
#[must_use]
pub fn is_everywhere(lower: &str) -> bool {
    EVERYWHERE.contains(&lower)
}

/// Types every parameter of a raising call.
///
/// # Errors
/// [`Refusal::Parameter`], naming the first that cannot be read in one way.
pub fn parameters(command: &str, table: &CommandTable, map: &mut ParamMap) -> Result<(), Refusal> {
    let mut normal = Vec::new();
    for (lower, param) in map.iter() {
        let name = param.name.as_str();
        if EVERYWHERE.contains(&lower) {
            continue;
        }
        let base = lower.split(['[', '.']).next().unwrap_or(lower);
        let schema = table.param(command, base);
        let schema = schema.ok_or_else(|| refused(name, "is not known for this command"))?;
        check_text(name, &param.value, schema)?;
        let is_entry = base.len() < lower.len();
        if is_entry != (schema.kind == ParamKind::Map) && schema.kind != ParamKind::List {
            return Err(refused(name, "is not written as this command's parameter"));
        }
        if let Some(value) = normalised(name, &param.value, schema.kind)? {
            normal.push((lower.to_owned(), value));
        }
    }
    for (lower, value) in normal {
        map.set_value(&lower, value);
    }
    if map.get("projectid").is_some() && map.get("account").is_some() {
        return Err(refused(
            "projectid",
            "stands beside account; send one of the two",
        ));
    }
    Ok(())
}

fn check_text(name: &str, value: &str, schema: ParamSchema) -> Result<(), Refusal> {
    let most = schema.bytes_max.max(limits::VALUE_BYTES_MAX);
    if value.len() > most && characters(value) > most {
        return Err(refused(name, &format!("is over {most} characters")));
    }
    if value.chars().any(is_refused_character) {
        return Err(refused(name, "holds a control character"));
    }
    if has_escape(value) {
        Err(refused(
            name,
            "holds a \\u escape; write the character itself",
        ))
    } else {
        Ok(())
    }
}

fn has_escape(value: &str) -> bool {
    value.match_indices("\\u").any(|(at, _)| {
        let digits = value.get(at.saturating_add(2)..at.saturating_add(6));
        digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}

/// Whether every value may go upstream even where its call is not judged: none holds a control
/// character or an escape.
#[must_use]
pub fn is_harmless(map: &ParamMap) -> bool {
    map.iter().all(|(_, param)| {
        let value = param.value.as_str();
        !value.chars().any(is_refused_character) && !has_escape(value)
    })
}

/// The value in its one form, where that differs from what was sent.
fn normalised(name: &str, value: &str, kind: ParamKind) -> Result<Option<String>, Refusal> {
    match kind {
        ParamKind::Uuid => uuid(name, value).map(Some),
        ParamKind::Boolean => match value.to_ascii_lowercase().as_str() {
            word @ ("true" | "false") => Ok(Some(word.to_owned())),
            _ => Err(refused(name, &format!("is `{value}`; write true or false"))),
        },
        ParamKind::Integer => {
            let is_number = !value.is_empty()
                && value.bytes().all(|b| b.is_ascii_digit())
                && value.parse::<i64>().is_ok();
            if is_number {
                Ok(None)
            } else {
                Err(refused(name, &format!("is `{value}`; write digits")))
            }
        }
        ParamKind::List if name.to_ascii_lowercase().ends_with("ids") => {
            let items: Result<Vec<String>, Refusal> =
                value.split(',').map(|item| uuid(name, item)).collect();
            Ok(Some(items?.join(",")))
        }
        ParamKind::List | ParamKind::Map | ParamKind::Text => Ok(None),
    }
}

/// A UUID of 36 characters in lower case. CloudStack's internal numbers, and anything around a
/// UUID, are refused: they resolve to what we did not price. A plain word resolves to nothing:
/// it passes, nothing is found by it here either, and CloudStack says so itself.
pub(super) fn uuid(name: &str, value: &str) -> Result<String, Refusal> {
    let lower = value.to_ascii_lowercase();
    // Every zone, where a template is registered.
    if lower == "-1"
        && ["zoneid", "zoneids"]
            .iter()
            .any(|zone| name.eq_ignore_ascii_case(zone))
    {
        return Ok(lower);
    }
    let is_uuid = lower.len() == 36
        && lower.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    if is_uuid {
        return Ok(lower);
    }
    let is_word = value.len() < 36
        && value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if is_word {
        return Ok(value.to_owned());
    }
    let shown: String = value.chars().take(60).collect();
    Err(refused(
        name,
        &format!("is `{shown}`; write the UUID alone"),
    ))
}

fn refused(name: &str, what: &str) -> Refusal {
    Refusal::Parameter {
        name: name.to_owned(),
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(query: &str) -> Result<ParamMap, Refusal> {
        let table = CommandTable::new(&[]).unwrap();
        let mut map = ParamMap::parse(query.as_bytes(), b"").unwrap();
        parameters("deployVirtualMachine", &table, &mut map).map(|()| map)
    }

    #[test]
    fn what_can_be_read_in_one_way_only_is_normalised() {
        let upper = "serviceOfferingId=1D8D87D4-1425-459C-8D81-C6F57DCA2BD2&startvm=TRUE";
        let map = typed(upper).unwrap();
        assert_eq!(
            map.get("serviceofferingid"),
            Some("1d8d87d4-1425-459c-8d81-c6f57dca2bd2")
        );
        assert_eq!(map.get("startvm"), Some("true"));
    }

    #[test]
    fn what_could_be_read_in_another_way_is_refused_by_name() {
        let uuid = "1d8d87d4-1425-459c-8d81-c6f57dca2bd2";
        for (query, name) in [
            ("serviceofferingid=13".to_owned(), "serviceofferingid"),
            (format!("serviceofferingid={uuid}%20"), "serviceofferingid"),
            (format!("networkids={uuid},7"), "networkids"),
            ("startvm=1".to_owned(), "startvm"),
            ("rootdisksize=%2B5".to_owned(), "rootdisksize"),
            ("rootdisksize=1e1".to_owned(), "rootdisksize"),
            ("rootdisksize=%D9%A5".to_owned(), "rootdisksize"),
            ("nonsense=1".to_owned(), "nonsense"),
            ("name=a%09b".to_owned(), "name"),
            ("displayname=a%5Cu0041b".to_owned(), "displayname"),
            (format!("projectid={uuid}&account=x"), "projectid"),
            ("details=x".to_owned(), "details"),
            ("name[0].x=y".to_owned(), "name[0].x"),
        ] {
            match typed(&query) {
                Err(Refusal::Parameter { name: found, .. }) => assert_eq!(found, name, "{query}"),
                other => panic!("{query}: {other:?}"),
            }
        }
    }
}
