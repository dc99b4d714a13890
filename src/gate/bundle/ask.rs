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
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Asked, Refusal> {
        Asked::read(&ParamMap::parse(query.as_bytes(), b"").unwrap())
    }

    #[test]
    fn a_plan_is_read_call_by_call_with_maps_inside() {
        let asked = read(
            "command=createFaregateBundle&apikey=k&signature=s&response=json&clientKey=order-7&\
             lifetime=90&call[1].command=createVolume&call[0].command=deployVirtualMachine&\
             Call[0].details[0].memory=512&call[0].name=a%26b%3Dc",
        )
        .unwrap();
        assert_eq!(asked.client_key, "order-7");
        assert_eq!(asked.lifetime, Some(90 * SECOND));
        let wire: Vec<String> = asked.calls.iter().map(ParamMap::to_wire).collect();
        let first = "command=deployVirtualMachine&details%5B0%5D.memory=512&name=a%26b%3Dc";
        assert_eq!(wire, [first, "command=createVolume"]);
    }

    #[test]
    fn what_cannot_be_read_as_a_plan_is_refused_by_name() {
        let table = [
            ("command=x", "call"),
            ("call[1].command=x", "call"),
            ("call[0].command=x&call[2].command=x", "call"),
            ("call[00].command=x", "call[00].command"),
            ("call[-1].command=x", "call[-1].command"),
            ("call[0]command=x", "call[0]command"),
            ("call[0].zoneid=x", "call[0]"),
            ("call[0].command=x&call[0].apikey=k", "call[0]"),
            ("call[0].command=x&call[0].ctxuserid=1", "call[0]"),
            ("call[0].command=x&expire=5", "expire"),
            ("call[0].command=x&lifetime=0", "lifetime"),
            ("call[0].command=x&lifetime=1h", "lifetime"),
            ("call[0].command=x&clientkey=a%20b", "clientkey"),
        ];
        for (query, name) in table {
            match read(query) {
                Err(Refusal::Parameter { name: found, .. }) => assert_eq!(found, name, "{query}"),
                other => panic!("{query}: {other:?}"),
            }
        }
        let many: Vec<String> = (0..=BUNDLE_LINES_MAX)
            .map(|at| format!("call[{at}].command=x"))
            .collect();
        assert!(read(&many.join("&")).is_err());
        assert!(read(&many[1..].join("&").replace("[50]", "[0]")).is_ok());
    }

    #[test]
    fn one_name_is_one_plan_and_another_lifetime_is_another() {
        let of = |query: &str| read(query).unwrap().digest();
        let plan = of("call[0].command=x&call[1].command=y");
        assert_eq!(plan, of("call[1].command=y&call[0].command=x&signature=z"));
        assert_ne!(plan, of("call[0].command=y&call[1].command=x"));
        assert_ne!(plan, of("call[0].command=x&call[1].command=y&lifetime=5"));
    }

    #[test]
    fn a_line_is_for_a_call_that_says_all_of_it_and_perhaps_more() {
        let line = ("createVolume", "command=createVolume&size=5&zoneid=z");
        let table = [
            ("command=createVolume&size=5&zoneid=z", true),
            ("command=createvolume&size=5&zoneId=z&name=n&apikey=k", true),
            ("command=createVolume&size=6&zoneid=z", false),
            ("command=createVolume&size=5", false),
            ("command=resizeVolume&size=5&zoneid=z", false),
        ];
        for (call, is_for) in table {
            let call = ParamMap::parse(call.as_bytes(), b"").unwrap();
            assert_eq!(fits(line, &call), is_for, "{}", call.to_wire());
        }
    }
}
