//! Pure: what a client asks of bundles: the plan in CloudStack's map syntax, and which line of a
//! bundle is for a call.

use crate::cloudstack::query::ParamMap;
use crate::gate::refusal::Refusal;
use crate::gate::typed;
use crate::terms::limits::{BUNDLE_LINES_MAX, VALUE_BYTES_MAX};
use crate::terms::time::SECOND;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Names of the own commands beside the calls themselves.
const KEY: &str = "clientkey";
const LIFETIME: &str = "lifetime";
/// What begins the name of a call's parameter.
const CALL: &str = "call[";

/// A plan as it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The client's own name for it, empty where he gave none.
    pub client_key: String,
    /// How long it is kept, microseconds; none: as the policy says.
    pub lifetime: Option<i64>,
    /// The calls, in order.
    pub calls: Vec<ParamMap>,
}

impl Asked {
    /// Reads `call[0].command=…&call[0].zoneid=…`, `clientkey` and `lifetime` (seconds). (Not
    /// `expires`: a signature's own end has that name.)
    ///
    /// # Errors
    /// [`Refusal::Parameter`] that names what cannot be read; a call's own parameters are read as
    /// strictly as a request's.
    pub fn read(params: &ParamMap) -> Result<Self, Refusal> {
        let mut calls: BTreeMap<usize, String> = BTreeMap::new();
        for (lower, param) in params.iter() {
            if typed::is_everywhere(lower) || lower == KEY || lower == LIFETIME {
                continue;
            }
            let name = param.name.as_str();
            let (at, inner) = numbered(name).ok_or_else(|| {
                refused(name, "is not known here; write call[0].<parameter>=<value>")
            })?;
            let mut one = ParamMap::default();
            one.insert(inner, &param.value);
            let text = calls.entry(at).or_default();
            if !text.is_empty() {
                text.push('&');
            }
            one.write_wire(text);
        }
        let most = calls.len().min(BUNDLE_LINES_MAX);
        if calls.is_empty() || calls.keys().copied().ne(0..most) {
            let what = format!(
                "must be numbered from 0 without a gap, and be at most {BUNDLE_LINES_MAX} calls"
            );
            return Err(refused("call", &what));
        }
        Ok(Self {
            client_key: client_key(params)?,
            lifetime: lifetime(params)?,
            calls: calls
                .into_iter()
                .map(|(at, text)| call(at, &text))
                .collect::<Result<_, _>>()?,
        })
    }

    /// A hash of the calls and of how long they are kept: under one name there is one of these.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.lifetime.unwrap_or(0).to_le_bytes());
        for call in &self.calls {
            let wire = call.to_wire();
            hash.update(u64::try_from(wire.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(wire.as_bytes());
        }
        hash.finalize().into()
    }
}

/// `call[3].zoneid` → 3 and `zoneid`.
fn numbered(name: &str) -> Option<(usize, &str)> {
    let (head, rest) = name.split_at_checked(CALL.len())?;
    let (number, inner) = rest.split_once("].")?;
    let is_number = (1..=3).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
        && (number == "0" || !number.starts_with('0'));
    let is_call = head.eq_ignore_ascii_case(CALL) && is_number && !inner.is_empty();
    is_call.then_some(())?;
    Some((number.parse().ok()?, inner))
}

fn call(at: usize, text: &str) -> Result<ParamMap, Refusal> {
    let name = format!("call[{at}]");
    let map = ParamMap::parse(text.as_bytes(), b"");
    let map = map.map_err(|fault| refused(&name, &fault.to_string()))?;
    let own = ["apikey", "signature", "sessionkey"];
    if let Some(own) = own.iter().find(|own| map.get(own).is_some()) {
        return Err(refused(
            &name,
            &format!("holds `{own}`; sign the whole alone"),
        ));
    }
    if map.command().is_empty() {
        return Err(refused(
            &name,
            &format!("has no command; write {name}.command"),
        ));
    }
    Ok(map)
}

fn client_key(params: &ParamMap) -> Result<String, Refusal> {
    let key = params.get(KEY).unwrap_or_default();
    let is_plain = key.bytes().all(|b| (b'!'..=b'~').contains(&b));
    if key.len() > VALUE_BYTES_MAX || !is_plain {
        let what = format!("must be at most {VALUE_BYTES_MAX} visible ASCII characters");
        return Err(refused(KEY, &what));
    }
    Ok(key.to_owned())
}

fn lifetime(params: &ParamMap) -> Result<Option<i64>, Refusal> {
    let Some(text) = params.get(LIFETIME) else {
        return Ok(None);
    };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = text.parse::<i64>().ok().filter(|it| digits && *it > 0);
    let micros = seconds.and_then(|it| it.checked_mul(SECOND));
    match micros {
        Some(micros) => Ok(Some(micros)),
        None => Err(refused(LIFETIME, &format!("is `{text}`; write seconds"))),
    }
}

/// Whether a line (its command, and its kept parameters) is for a call: the same command, and
/// every parameter of the line is the call's too. The call may say more: what was not known yet
/// when the plan was made, such as the id of what another line makes. It is priced as it comes.
#[must_use]
pub fn fits((command, kept): (&str, &str), call: &ParamMap) -> bool {
    let Some(line) = ParamMap::parse_as_cloudstack(kept.as_bytes(), b"") else {
        return false;
    };
    let same = |(lower, value): (&str, &str)| call.get(lower) == Some(value);
    command.eq_ignore_ascii_case(call.command())
        && line
            .iter()
            .filter(|(lower, _)| !typed::is_everywhere(lower))
            .all(|(lower, param)| same((lower, param.value.as_str())))
}

fn refused(name: &str, what: &str) -> Refusal {
    Refusal::Parameter {
        name: name.to_owned(),
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests;
