//! Pure: what a call is to the gate, by its command and its parameters' names and lengths.
//!
//! Values of what can raise cost are typed in `typed.rs`; what it raises is in `plan.rs`.

use super::refusal::Refusal;
use crate::cloudstack::command::{Class, Command, CommandTable, Known};
use crate::cloudstack::query::{ParamMap, characters};
use crate::terms::limits;
use std::borrow::Cow;

/// What a call is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing<'t> {
    /// A known command, of this class with these parameters; its price rule is as judged too.
    Known(Class, Cow<'t, Command>),
    /// A call that runs nothing, or a list that the running server has beyond the table:
    /// CloudStack answers.
    Forwarded,
}

/// Finds what a call is.
///
/// # Errors
/// [`Refusal::UnknownCommand`]; [`Refusal::Parameter`] for a value that is longer than its
/// command's schema lets it be.
pub fn standing<'t>(table: &'t CommandTable, params: &ParamMap) -> Result<Standing<'t>, Refusal> {
    let name = params.command();
    let long = params
        .iter()
        .filter(|(_, param)| param.value.len() > limits::VALUE_BYTES_MAX);
    for (lower, param) in long {
        let schema = table.param(name, base_name(lower));
        let most = schema.map_or(0, |schema| schema.bytes_max);
        let most = most.max(limits::VALUE_BYTES_MAX);
        let is_short = schema.is_some() && characters(&param.value) <= most;
        if param.value.len() > most && !is_short {
            let what = format!("is over {most} characters; send less");
            let name = param.name.clone();
            return Err(Refusal::Parameter { name, what });
        }
    }
    match table.resolve(name) {
        Known::Command(command) => {
            let (class, price) = command.judged(params);
            let mut command = Cow::Borrowed(command);
            if (class, price) != (command.class, command.price) {
                let judged = command.to_mut();
                (judged.class, judged.price) = (class, price);
            }
            Ok(Standing::Known(class, command))
        }
        Known::LiveList => Ok(Standing::Forwarded),
        Known::No if name.is_empty() => Ok(Standing::Forwarded),
        Known::No => Err(Refusal::UnknownCommand(name.chars().take(80).collect())),
    }
}

/// A map's own name: `details` of `details[0].memory`.
fn base_name(lower: &str) -> &str {
    lower.split(['[', '.']).next().unwrap_or(lower)
}

#[cfg(test)]
mod tests;
