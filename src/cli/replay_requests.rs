//! Edge: recorded requests, judged one by one as the gate would, for a payer with unlimited money.

use crate::cloudstack::command::{Class, Command, CommandTable};
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::signature;
use crate::gate::classify::{self, Standing};
use crate::gate::parse::{self, Call, RawRequest, Routed};
use crate::gate::refusal::Refusal;
use crate::gate::typed;
use serde::Deserialize;
use std::io::{BufRead, Write};

/// One recorded request; fields that are not named here are left alone.
#[derive(Deserialize)]
struct Recorded {
    method: String,
    target: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    secret: Option<String>,
}

/// Whether a request's signature is the one that its key makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignatureVerdict {
    /// It is.
    Agrees,
    /// It is not.
    Disagrees,
    /// There is none, or none that can be judged.
    None,
}

impl SignatureVerdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Disagrees => "disagrees",
            Self::None => "none",
        }
    }
}

/// One line, judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// Its signature.
    pub signature: SignatureVerdict,
    /// Why the gate would refuse it; none where it forwards it.
    pub refusal: Option<Refusal>,
}

/// Counts of one replay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Lines judged.
    pub lines: u64,
    /// Forwarded.
    pub forwarded: u64,
    /// Refused.
    pub refused: u64,
    /// Signatures that agree.
    pub agree: u64,
    /// Signatures that disagree.
    pub disagree: u64,
}

/// Why a recording could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It could not be read, or the result not be written.
    #[error("the recording cannot be read or the result not be written: {0}")]
    Io(#[from] std::io::Error),
    /// A line is not a recorded request.
    #[error("line {line} is not a recorded request: {what}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
}

/// Judges every line of a recording; `class_refusal` says what the command table refuses.
///
/// # Errors
/// [`ReplayError`] where a line cannot be read; what came before it was judged and printed.
pub fn run(
    input: impl BufRead,
    mut out: impl Write,
    json: bool,
    judge: &dyn Fn(&Call, SignatureVerdict) -> Option<Refusal>,
) -> Result<Totals, ReplayError> {
    let mut totals = Totals::default();
    for text in input.lines() {
        let text = text?;
        totals.lines = totals.lines.saturating_add(1);
        let line = totals.lines;
        if text.trim().is_empty() {
            return Err(ReplayError::Line {
                line,
                what: "it is empty".to_owned(),
            });
        }
        let recorded: Recorded = serde_json::from_str(&text).map_err(|e| ReplayError::Line {
            line,
            what: e.to_string(),
        })?;
        let judged = judge_one(&recorded, judge);
        count(&mut totals, &judged);
        print(&mut out, line, &judged, json)?;
    }
    print_totals(&mut out, totals, json)?;
    Ok(totals)
}

/// What the gate says of a call whose payer has unlimited money: what cannot raise cost passes;
/// what can must be signed well and typed. Whose a session is only CloudStack knows: it passes.
#[must_use]
pub fn judge(table: &CommandTable, call: &Call, signature: SignatureVerdict) -> Option<Refusal> {
    match classify::standing(table, &call.params) {
        Ok(Standing::Known(Class::Raises, command)) => {
            judge_raising(table, &command, call, signature)
        }
        Ok(_) => None,
        Err(refusal) => Some(refusal),
    }
}

fn judge_raising(
    table: &CommandTable,
    command: &Command,
    call: &Call,
    signature: SignatureVerdict,
) -> Option<Refusal> {
    let verified = match signature {
        SignatureVerdict::Agrees => call.params.get("apikey").is_some(),
        SignatureVerdict::Disagrees => false,
        SignatureVerdict::None => call.cookies.is_some() && !call.signed(),
    };
    if !verified {
        return Some(Refusal::NotVerified);
    }
    let mut params = call.params.clone();
    typed::parameters(&command.name, table, &mut params).err()
}

fn judge_one(
    recorded: &Recorded,
    judge: &dyn Fn(&Call, SignatureVerdict) -> Option<Refusal>,
) -> Judged {
    let headers: Vec<(String, Vec<u8>)> = recorded
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
        .collect();
    let target = target_bytes(&recorded.target);
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    let raw = RawRequest {
        method: &recorded.method,
        target: &target,
        headers: &headers,
        body: recorded.body.as_deref().unwrap_or_default().as_bytes(),
    };
    match parse::request(&raw) {
        Ok(Routed::Api(call)) => {
            let signature = verdict(&call.params, recorded.secret.as_deref());
            Judged {
                signature,
                refusal: judge(&call, signature),
            }
        }
        Ok(Routed::Elsewhere(path)) => Judged {
            signature: of_refused(recorded),
            refusal: Some(Refusal::NotServed(path)),
        },
        Err(refusal) => Judged {
            signature: of_refused(recorded),
            refusal: Some(refusal),
        },
    }
}

/// The target's bytes. A recorder that found bytes beyond ASCII may have written each as the
/// Latin-1 character of its number: where that reading gives UTF-8, it is the one that was sent.
fn target_bytes(text: &str) -> Vec<u8> {
    let latin: Option<Vec<u8>> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect();
    match latin {
        Some(bytes) if std::str::from_utf8(&bytes).is_ok() => bytes,
        _ => text.as_bytes().to_vec(),
    }
}

/// The signature of a refused request is judged as CloudStack would read it: an operator wants to
/// know whether the client signs well.
fn of_refused(recorded: &Recorded) -> SignatureVerdict {
    let target = target_bytes(&recorded.target);
    let query = target.splitn(2, |b| *b == b'?').nth(1).unwrap_or_default();
    let body = recorded.body.as_deref().unwrap_or_default();
    ParamMap::parse_as_cloudstack(query, body.as_bytes()).map_or(SignatureVerdict::None, |map| {
        verdict(&map, recorded.secret.as_deref())
    })
}

fn verdict(map: &ParamMap, secret: Option<&str>) -> SignatureVerdict {
    match (map.get("signature"), secret) {
        (Some(_), Some(secret)) if signature::agrees(map, secret.as_bytes()) => {
            SignatureVerdict::Agrees
        }
        (Some(_), Some(_)) => SignatureVerdict::Disagrees,
        _ => SignatureVerdict::None,
    }
}

fn count(totals: &mut Totals, judged: &Judged) {
    let add = |place: &mut u64| *place = place.saturating_add(1);
    match judged.signature {
        SignatureVerdict::Agrees => add(&mut totals.agree),
        SignatureVerdict::Disagrees => add(&mut totals.disagree),
        SignatureVerdict::None => {}
    }
    match judged.refusal {
        Some(_) => add(&mut totals.refused),
        None => add(&mut totals.forwarded),
    }
}

fn print(out: &mut impl Write, line: u64, judged: &Judged, json: bool) -> std::io::Result<()> {
    let verdict = if judged.refusal.is_some() {
        "refuse"
    } else {
        "forward"
    };
    let reason = judged
        .refusal
        .as_ref()
        .map(|refusal| format!("{}: {}", refusal.rule(), refusal.text()))
        .unwrap_or_default();
    if json {
        let object = serde_json::json!({
            "line": line,
            "signature": judged.signature.word(),
            "verdict": verdict,
            "reason": reason,
        });
        return writeln!(out, "{object}");
    }
    writeln!(
        out,
        "{line:>6}  {:<9}  {verdict:<7}  {reason}",
        judged.signature.word()
    )
}

fn print_totals(out: &mut impl Write, totals: Totals, json: bool) -> std::io::Result<()> {
    let Totals {
        lines,
        forwarded,
        refused,
        agree,
        disagree,
    } = totals;
    if json {
        let object = serde_json::json!({
            "lines": lines,
            "forwarded": forwarded,
            "refused": refused,
            "signatures_agree": agree,
            "signatures_disagree": disagree,
        });
        return writeln!(out, "{object}");
    }
    writeln!(
        out,
        "{lines} requests: {forwarded} forwarded, {refused} refused; signatures: {agree} agree, \
         {disagree} disagree"
    )
}
