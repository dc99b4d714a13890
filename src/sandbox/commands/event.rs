//! Edge: the event list: how rows are written, and `listEvents`.

use crate::cloudstack::time;
use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::{Cloud, Moment, next_number};
use crate::sandbox::records::Event;
use crate::sandbox::refused::{Refused, bad_parameter, invalid};
use crate::sandbox::views;
use serde_json::{Map, Value, json};

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "listEvents" => list(cloud, call),
        _ => return None,
    })
}

/// What an event is about: kind, UUID, name.
pub type About = (String, String, String);

/// Writes a row; gives its id.
pub fn note(cloud: &mut Cloud, moment: Moment<'_>, event: Event) -> String {
    let id = (moment.fresh)();
    cloud.events.insert(Event {
        number: next_number(&cloud.events),
        id: id.clone(),
        created: moment.now,
        level: if event.level.is_empty() {
            "INFO".to_owned()
        } else {
            event.level
        },
        ..event
    });
    id
}

/// Pages are cut newest first; inside a page the oldest comes first.
fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    if call.text("resourceid").is_some() && call.text("resourcetype").is_none() {
        return Err(invalid(
            "resourceid parameter must be used with resourcetype parameter",
        ));
    }
    let (from, to) = (
        date(call, "startdate", false)?,
        date(call, "enddate", true)?,
    );
    let scope = call.scope(cloud)?;
    let same = |asked: &str, value: &str| {
        call.text(asked)
            .is_none_or(|text| text.eq_ignore_ascii_case(value))
    };
    let wanted = |event: &&Event| {
        let keyword = call.text("keyword").is_none_or(|word| {
            let word = word.to_lowercase();
            let text = format!("{} {} {}", event.kind, event.text, event.level).to_lowercase();
            text.contains(&word)
        });
        let start = call.text("startid").is_none_or(|id| {
            event.id.eq_ignore_ascii_case(id) || event.parent.as_deref() == Some(id)
        });
        keyword
            && start
            && from.is_none_or(|from| event.created >= from)
            && to.is_none_or(|to| event.created <= to)
            && same("id", &event.id)
            && same("type", &event.kind)
            && same("level", &event.level)
            && same("state", &event.state)
            && same("resourceid", &event.resource.1)
            && same("resourcetype", &event.resource.0)
            && scope.shows(cloud, &event.account)
    };
    let rows: Vec<&Event> = cloud.events.iter().rev().filter(wanted).collect();
    let (skip, take) = call.page()?;
    let mut page: Vec<&&Event> = rows.iter().skip(skip).take(take).collect();
    page.reverse();
    let mut inside = Map::new();
    if !rows.is_empty() {
        inside.insert("count".to_owned(), json!(rows.len()));
        if !page.is_empty() {
            let shown: Vec<Value> = page
                .into_iter()
                .map(|event| views::job::event(cloud, event))
                .collect();
            inside.insert("event".to_owned(), Value::Array(shown));
        }
    }
    Ok(Reply::Now(Value::Object(inside)))
}

/// A date in seconds; a bare day is its first or last second.
fn date(call: &Call<'_>, name: &str, is_end: bool) -> Result<Option<i64>, Refused> {
    let Some(text) = call.text(name) else {
        return Ok(None);
    };
    let blank = text.replace(' ', "T") + "+0000";
    let exact = time::parse(text).or_else(|| time::parse(&blank));
    let day = || {
        let first = time::parse(&format!("{text}T00:00:00+0000"))?;
        Some(first.seconds() + if is_end { 86_399 } else { 0 })
    };
    let found = exact.map(|at| at.seconds()).or_else(day);
    found.map(Some).ok_or_else(|| {
        bad_parameter(format!(
            "Unable to parse date {text} for command {}, please pass dates in the format \
             mentioned in the api documentation",
            call.command.short()
        ))
    })
}
