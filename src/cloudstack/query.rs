//! Pure: bytes of a query or form → one map of parameters, and back to a canonical query.
//!
//! The rules are C3 to C5 of the canonical request: what two readers could read in two ways is
//! refused. The map keeps each name as it was sent, because CloudStack signs names in their own
//! case, and finds it by its lower-case form, because CloudStack reads it so.

use crate::terms::limits;

/// Why a request's parameters cannot be read in one way only.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseFault {
    /// C2: more names than CloudStack's server reads.
    #[error(
        "the request has more than {} parameters; send fewer",
        limits::NAMES_MAX
    )]
    TooManyNames,
    /// C3: a part without `=`.
    #[error("`{0}` has no `=`; write name=value")]
    NoValue(String),
    /// C3: a name that is empty, too long or of other characters.
    #[error("`{0}` is not a parameter name: letters, digits and _ . [ ] - are, up to 255 of them")]
    BadName(String),
    /// C3: a percent escape that is none, or bytes that are not UTF-8.
    #[error("parameter `{0}` is not percent-encoded UTF-8")]
    BadEncoding(String),
    /// C4: two names that are one for CloudStack.
    #[error("parameter `{0}` stands there twice; send it once")]
    Repeated(String),
    /// C5: a name that must be lower-case.
    #[error("parameter `{0}` must be written in lower case")]
    NotLowerCase(String),
    /// C5: a name that no client may send.
    #[error("parameter `{0}` is not a client's to send; leave it out")]
    NotForClients(String),
}

/// One parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param {
    /// Its name in the case it was sent in.
    pub name: String,
    /// Its value, decoded.
    pub value: String,
}

/// The parameters of a call, by lower-case name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ParamMap {
    /// In the order of their keys: a call has a dozen, so that one block of memory is quicker than
    /// a tree, and clients send most of them in this order.
    slots: Vec<Slot>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Slot {
    /// What it is found by, where that is not its name as it stands.
    key: Option<String>,
    param: Param,
}

impl Slot {
    fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.param.name)
    }
}

/// Names that CloudStack reads in lower case only.
const LOWER_ONLY: [&str; 3] = ["command", "response", "sessionkey"];
/// Names with which a client could steer CloudStack's inner workings.
const NOT_FOR_CLIENTS: [&str; 5] = [
    "customjobid",
    "httpmethod",
    "starteventid",
    "uuid",
    "cmdeventtype",
];

/// Names whose values never reach a table or a log.
const SECRET: [&str; 6] = [
    "signature",
    "apikey",
    "sessionkey",
    "expires",
    "signatureversion",
    "userapikey",
];

/// What the names of further secrets contain.
const SECRET_WORDS: [&str; 5] = ["password", "secret", "privatekey", "token", "psk"];

impl ParamMap {
    /// The map of a query and, for a POST, its form body, by C2 to C5.
    ///
    /// # Errors
    /// [`ParseFault`], the first in the order of the text.
    pub fn parse(query: &[u8], body: &[u8]) -> Result<Self, ParseFault> {
        let parts = query.iter().chain(body).filter(|b| **b == b'&').count();
        let mut map = Self {
            slots: Vec::with_capacity(parts.min(limits::NAMES_MAX).saturating_add(2)),
        };
        for token in query
            .split(|b| *b == b'&')
            .chain(body.split(|b| *b == b'&'))
        {
            if !token.is_empty() {
                map.take(token)?;
            }
        }
        Ok(map)
    }

    /// The map as CloudStack itself would read it: of a repeated name the last in the query wins,
    /// the query wins over the form, and in the form the first; a name without `=` is empty.
    /// Of names that differ in case alone the one that sorts last is found by its lower-case form
    /// (`verifyRequest` takes the last); the others stay, since they are signed as well.
    /// For the sandbox and for replays, never for judging.
    #[must_use]
    pub fn parse_as_cloudstack(query: &[u8], body: &[u8]) -> Option<Self> {
        let mut map = Self::default();
        let tokens = |part: &'_ [u8]| -> Option<Vec<Param>> {
            part.split(|b| *b == b'&')
                .filter(|token| !token.is_empty())
                .map(lenient)
                .collect()
        };
        for param in tokens(body)?.into_iter().rev().chain(tokens(query)?) {
            map.place(param);
        }
        Some(map)
    }

    fn place(&mut self, param: Param) {
        let lower = param.name.to_ascii_lowercase();
        let other = self.slot(&lower).map(|slot| &slot.param);
        let other = other.filter(|other| other.name != param.name);
        match other.map(|other| other.name.clone()) {
            Some(other) if other > param.name => {
                self.put(param.name.clone(), param);
            }
            other => {
                let earlier = self.put(lower, param);
                if let (Some(name), Some(earlier)) = (other, earlier) {
                    self.put(name, earlier);
                }
            }
        }
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        match self.slots.last() {
            Some(last) if last.key() < key => Err(self.slots.len()),
            _ => self.slots.binary_search_by(|slot| slot.key().cmp(key)),
        }
    }

    fn slot(&self, key: &str) -> Option<&Slot> {
        self.slots.get(self.find(key).ok()?)
    }

    /// Puts a parameter under a key; gives the one that was there.
    fn put(&mut self, key: String, param: Param) -> Option<Param> {
        let at = self.find(&key);
        let key = (key != param.name).then_some(key);
        let slot = Slot { key, param };
        match at {
            Ok(at) => {
                let there = self.slots.get_mut(at)?;
                Some(std::mem::replace(there, slot).param)
            }
            Err(at) => {
                self.slots.insert(at, slot);
                None
            }
        }
    }

    fn take(&mut self, token: &[u8]) -> Result<(), ParseFault> {
        if self.slots.len() >= limits::NAMES_MAX {
            return Err(ParseFault::TooManyNames);
        }
        let shown = || {
            String::from_utf8_lossy(token)
                .chars()
                .take(60)
                .collect::<String>()
        };
        let at = token.iter().position(|b| *b == b'=');
        let at = at.ok_or_else(|| ParseFault::NoValue(shown()))?;
        let (name, value) = (token.get(..at), token.get(at.saturating_add(1)..));
        let name = decode(name.unwrap_or_default())
            .filter(|name| is_name(name))
            .ok_or_else(|| ParseFault::BadName(shown()))?;
        let value = decode(value.unwrap_or_default())
            .ok_or_else(|| ParseFault::BadEncoding(name.clone()))?;
        let key = name
            .bytes()
            .any(|byte| byte.is_ascii_uppercase())
            .then(|| name.to_ascii_lowercase());
        let lower = key.as_deref().unwrap_or(&name);
        if NOT_FOR_CLIENTS.contains(&lower) || lower.starts_with("ctx") {
            return Err(ParseFault::NotForClients(name));
        }
        if key.is_some() && LOWER_ONLY.contains(&lower) {
            return Err(ParseFault::NotLowerCase(name));
        }
        let Err(at) = self.find(lower) else {
            return Err(ParseFault::Repeated(name));
        };
        let param = Param { name, value };
        self.slots.insert(at, Slot { key, param });
        Ok(())
    }

    /// The value of a parameter, by its lower-case name.
    #[must_use]
    pub fn get(&self, lower: &str) -> Option<&str> {
        self.slot(lower).map(|slot| slot.param.value.as_str())
    }

    /// The command's name as sent; empty where there is none.
    #[must_use]
    pub fn command(&self) -> &str {
        self.get("command").unwrap_or_default()
    }

    /// Sets a parameter of ours, in this spelling.
    pub fn insert(&mut self, name: &str, value: &str) {
        let param = Param {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        self.put(name.to_ascii_lowercase(), param);
    }

    /// Takes a parameter away.
    pub fn remove(&mut self, lower: &str) -> Option<Param> {
        let at = self.find(lower).ok()?;
        Some(self.slots.remove(at).param)
    }

    /// Sets the value of a parameter that is there, its name's spelling kept.
    pub fn set_value(&mut self, lower: &str, value: String) {
        if let Ok(at) = self.find(lower)
            && let Some(slot) = self.slots.get_mut(at)
        {
            slot.param.value = value;
        }
    }

    /// Every parameter with its lower-case name, in the order of those.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Param)> {
        self.slots.iter().map(|slot| (slot.key(), &slot.param))
    }

    /// The query that says this map: names sorted, everything but RFC 3986's unreserved
    /// characters escaped (C9).
    #[must_use]
    pub fn to_wire(&self) -> String {
        let mut wire = String::with_capacity(self.wire_length());
        self.write_wire(&mut wire);
        wire
    }

    /// Appends [`ParamMap::to_wire`] to a text.
    pub fn write_wire(&self, wire: &mut String) {
        for (index, Slot { param, .. }) in self.slots.iter().enumerate() {
            if index > 0 {
                wire.push('&');
            }
            escape(&param.name, wire);
            wire.push('=');
            escape(&param.value, wire);
        }
    }

    /// How many bytes [`Self::to_wire`] has, at most one more.
    #[must_use]
    pub fn wire_length(&self) -> usize {
        let escaped = |text: &str| {
            let bytes = text.bytes().map(|b| if is_unreserved(b) { 1 } else { 3 });
            bytes.fold(0_usize, usize::saturating_add)
        };
        self.slots.iter().fold(0, |sum: usize, slot| {
            let param = &slot.param;
            let pair = escaped(&param.name).saturating_add(escaped(&param.value));
            sum.saturating_add(pair).saturating_add(2)
        })
    }

    /// The map without what must not be kept: signature, keys, session, passwords, user data.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let mut kept = self.clone();
        kept.slots.retain(|slot| {
            let lower = slot.key();
            // User data often holds passwords; its id alone is none.
            let user_data = lower.starts_with("userdata") && lower != "userdataid";
            let named = SECRET_WORDS.iter().any(|word| lower.contains(word));
            !(user_data || named || SECRET.contains(&lower))
        });
        kept
    }

    /// The query of the map without what must not be kept.
    #[must_use]
    pub fn to_kept(&self) -> String {
        self.without_secrets().to_wire()
    }
}

fn lenient(token: &[u8]) -> Option<Param> {
    let at = token.iter().position(|b| *b == b'=').unwrap_or(token.len());
    let name = decode(token.get(..at)?)?;
    let value = decode(token.get(at.saturating_add(1)..).unwrap_or_default())?;
    Some(Param { name, value })
}

fn is_name(name: &str) -> bool {
    (1..=limits::NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.[]-".contains(&b))
}

/// Characters that CloudStack's own check refuses in a value; line breaks pass, a tab does not.
#[must_use]
pub fn is_refused_character(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\r'
}

/// Characters as CloudStack counts them against its schema: Java's, UTF-16 units.
#[must_use]
pub fn characters(value: &str) -> usize {
    value.encode_utf16().count()
}

/// Strict percent-decoding with `+` as a space, strict UTF-8.
fn decode(bytes: &[u8]) -> Option<String> {
    if !bytes.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return std::str::from_utf8(bytes).ok().map(str::to_owned);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (hex(*rest.next()?)?, hex(*rest.next()?)?);
                high << 4 | low
            }
            plain => *plain,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn escape(text: &str, out: &mut String) {
    let digit = |half: u8| {
        char::from_digit(u32::from(half & 15), 16).map_or('0', |c| c.to_ascii_uppercase())
    };
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_call_holds_no_secret_and_all_the_rest() {
        let query = "command=deployVirtualMachine&apiKey=a&signature=b&expires=c&sessionkey=d\
                     &userdata=e&userdatadetails[0].pin=f&userDataId=id&Password=g&privateKey=h\
                     &details[0].adminToken=i&details[0].cpuNumber=2&zoneid=z";
        let kept = ParamMap::parse(query.as_bytes(), b"").unwrap().to_kept();
        let kept = ParamMap::parse(kept.as_bytes(), b"").unwrap();
        let names: Vec<&str> = kept.iter().map(|(lower, _)| lower).collect();
        let left = ["command", "userdataid", "details[0].cpunumber", "zoneid"];
        assert_eq!(names.len(), left.len(), "{names:?}");
        assert!(left.iter().all(|name| names.contains(name)), "{names:?}");
    }
}
