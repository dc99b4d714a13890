//! Edge: a call that names a bundle: its line is found, and its hold made from the line's.

use super::ask;
use super::fault::BundleFault;
use crate::cloudstack::command::Command;
use crate::cloudstack::time;
use crate::gate::line::Gate;
use crate::gate::parse::Call;
use crate::gate::promise;
use crate::gate::raise::Judged;
use crate::gate::refusal::Refusal;
use crate::ledger::bundle::Draw;
use crate::ledger::command::HoldLeg;
use crate::ledger::records::{Hold, HoldStatus, PayerState};
use crate::ledger::things::Things;
use crate::store::{StoreError, StoredBundle};
use crate::terms::ids::{BundleId, HoldId, PayerId};
use crate::terms::limits::BUNDLE_LINES_MAX;
use crate::terms::money::Micros;

/// The line of a bundle that a call draws.
#[derive(Debug)]
pub(in crate::gate) struct Drawn {
    bundle: BundleId,
    line: HoldId,
    /// The legs of the line's hold.
    pub(in crate::gate) legs: Vec<Hold>,
    /// What the line claims of what its payer may have.
    pub(in crate::gate) things: Things,
}

impl Drawn {
    /// What is asked of the books for the call. Its payer has a leg even where the call costs
    /// nothing any more: the line is drawn all the same.
    pub(in crate::gate) fn booking(
        &self,
        judged: &Judged,
        hold: HoldId,
        payer: &PayerId,
        mut legs: Vec<HoldLeg>,
    ) -> Draw {
        if legs.iter().all(|leg| leg.payer != *payer) {
            legs.insert(0, nothing(payer));
        }
        Draw {
            hold,
            call: judged.id,
            bundle: self.bundle,
            line: self.line,
            legs,
            at: judged.sent,
        }
    }
}

/// A leg of a call that costs its payer nothing.
pub(super) fn nothing(payer: &PayerId) -> HoldLeg {
    HoldLeg {
        payer: payer.clone(),
        wallet: Micros::ZERO,
        promo: Micros::ZERO,
        one_off: Micros::ZERO,
        caps: Vec::new(),
    }
}

/// As `promise::promise`, from the bundle that the call names, where it names one. Of equal calls
/// at once each takes a line of its own.
pub(in crate::gate) async fn promise(
    gate: &Gate,
    call: &Call,
    command: &Command,
    judged: &mut Judged,
) -> Result<Option<PayerState>, Refusal> {
    let Some(name) = &call.bundle else {
        return promise::promise(gate, call, command, judged).await;
    };
    let bundle = named(gate, name, judged).await?;
    let mut tries = BUNDLE_LINES_MAX;
    loop {
        // A call whose price hangs on what is not there is answered by CloudStack, and takes none.
        if judged.priced.is_some() {
            let line = line_of(gate, &bundle, call, command).await?;
            judged.draws = Some(line);
        } else if !promise::raises(judged) {
            judged.hold = None;
        }
        match promise::promise(gate, call, command, judged).await {
            Err(Refusal::Bundle(BundleFault::Taken)) if tries > 0 => tries -= 1,
            other => return other,
        }
    }
}

/// The bundle of this id. A stranger's is one that does not exist.
async fn named(gate: &Gate, name: &str, judged: &Judged) -> Result<StoredBundle, Refusal> {
    let unknown = || BundleFault::Unknown.refusal();
    let id: BundleId = name.parse().map_err(|_| unknown())?;
    let found = gate.store.bundle(id).await.map_err(away)?;
    let own = judged.own.account.as_ref();
    let is_his = |bundle: &StoredBundle| {
        own.is_some_and(|own| bundle.account == own.as_str())
            && judged.payer.as_ref() == Some(&bundle.payer)
    };
    let bundle = found.filter(is_his).ok_or_else(unknown)?;
    let over = judged.sent >= bundle.expires;
    match bundle.ended.or(over.then_some(bundle.expires)) {
        None => Ok(bundle),
        Some(ended) => Err(BundleFault::Over(time::print(ended)).refusal()),
    }
}

/// The first line that nobody drew yet and that is for this call.
async fn line_of(
    gate: &Gate,
    bundle: &StoredBundle,
    call: &Call,
    command: &Command,
) -> Result<Drawn, Refusal> {
    for line in &bundle.lines {
        let Some(hold) = line.hold else { continue };
        if !ask::fits((&line.command, &line.params), &call.params) {
            continue;
        }
        let legs = gate.store.hold(hold).await.map_err(away)?;
        if !legs.is_empty() && legs.iter().all(|leg| leg.status == HoldStatus::Open) {
            return Ok(Drawn {
                bundle: bundle.id,
                line: hold,
                legs,
                things: line.things.clone(),
            });
        }
    }
    Err(BundleFault::NoLine(command.name.clone()).refusal())
}

pub(super) fn away(fault: StoreError) -> Refusal {
    Refusal::StoreAway(fault.to_string())
}
