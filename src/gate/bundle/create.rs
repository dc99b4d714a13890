//! Edge: a plan is judged call by call as the calls themselves would be, and held in one step.

use super::ask::Asked;
use super::draw::{away, nothing};
use super::fault::{BundleFault, PricedLine};
use crate::cloudstack::command::{Class, Command, PriceRule};
use crate::cloudstack::query::ParamMap;
use crate::gate::authenticate::Caller;
use crate::gate::classify::{self, Standing};
use crate::gate::line::{Core, Gate};
use crate::gate::observe::Known;
use crate::gate::parse::Call;
use crate::gate::raise::{self, Judged, rate_refusal, state_of};
use crate::gate::refusal::{Refusal, Shortage};
use crate::gate::{admit, away as books_away, claim, promise, reserve, wholesale};
use crate::ledger::bundle::{Bundle, LineHold};
use crate::ledger::command::HoldLeg;
use crate::ledger::records::{PayerState, Purse};
use crate::ledger::things::{Claim, Things};
use crate::ledger::{Command as Booking, LedgerRefusal};
use crate::store::{BundleChange, StoreError, StoredBundle, StoredLine, Work};
use crate::terms::ids::{BundleId, CallId, HoldId, PayerId};
use crate::terms::money::Micros;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

/// Another hold may take the gift credit that this one counted on.
const PROMO_TRIES: usize = 4;

/// A line of the plan: none was judged where it cannot raise cost.
struct Line {
    command: String,
    params: String,
    hold: HoldId,
    judged: Option<Judged>,
}

/// Makes the bundle, or finds the one that was made under the same name.
pub(super) async fn create(
    core: &Core,
    call: &Call,
    caller: Caller,
    asked: &Asked,
    peer: SocketAddr,
) -> Result<StoredBundle, Refusal> {
    let gate = &core.gate;
    if gate.store.is_away() {
        return Err(Refusal::StoreAway(
            "the database does not answer".to_owned(),
        ));
    }
    if gate.away.waits() {
        let taken = books_away::take_over::take_over(gate).await;
        taken.map_err(|fault| Refusal::StoreAway(fault.to_string()))?;
    }
    let account = caller.person().account.to_string();
    let id = id_of(gate, &account, &asked.client_key);
    if let Some(before) = before(gate, id, asked).await? {
        return Ok(before);
    }
    let mut lines = Vec::new();
    let mut caller = caller;
    for (at, params) in asked.calls.iter().enumerate() {
        let name = params.command().to_owned();
        let line = judged(gate, caller, (call, params), (id, at), peer).await;
        let (back, line) = line.map_err(|refusal| of_line(at, name, refusal))?;
        caller = back;
        lines.push(line);
    }
    let payer = one_payer(gate, &caller, &lines).await?;
    let now = gate.clock.billing();
    let kept = lifetime(gate, &payer, asked.lifetime)?;
    let row = StoredBundle {
        id,
        payer,
        account,
        client_key: asked.client_key.clone(),
        request: hex(&asked.digest()),
        lines: lines.iter().map(stored).collect(),
        at: now,
        expires: now.plus(kept),
        ended: None,
    };
    hold(gate, &lines, &row, asked).await
}

/// Under a name of the client's the id follows from it: whoever says it twice, even at once, says
/// the same one.
fn id_of(gate: &Gate, account: &str, client_key: &str) -> BundleId {
    if client_key.is_empty() {
        return BundleId::from_bits(gate.clock.id_bits());
    }
    BundleId::from_bits(bits(&["bundle", account, client_key]))
}

/// The id of a line's hold follows from the bundle's.
fn hold_of(bundle: BundleId, at: usize) -> HoldId {
    HoldId::from_bits(bits(&["line", &bundle.to_string(), &at.to_string()]))
}

fn bits(parts: &[&str]) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let half = digest.first_chunk::<16>().copied().unwrap_or_default();
    u128::from_be_bytes(half)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bundle that was made under this name; one of another plan is refused.
async fn before(gate: &Gate, id: BundleId, asked: &Asked) -> Result<Option<StoredBundle>, Refusal> {
    let found = gate.store.bundle(id).await.map_err(away)?;
    match found {
        Some(row) if row.request != hex(&asked.digest()) => {
            Err(BundleFault::OtherPlan(asked.client_key.clone()).refusal())
        }
        found => Ok(found),
    }
}

fn of_line(at: usize, command: String, refusal: Refusal) -> Refusal {
    let refusal = Box::new(refusal);
    BundleFault::Line {
        at,
        command,
        refusal,
    }
    .refusal()
}

/// One call of the plan, up to where it would be held. How often he calls is counted when the
/// calls come.
async fn judged(
    gate: &Gate,
    caller: Caller,
    (whole, params): (&Call, &ParamMap),
    (bundle, at): (BundleId, usize),
    peer: SocketAddr,
) -> Result<(Caller, Line), Refusal> {
    let mut call = Call {
        params: params.clone(),
        bundle: None,
        ..whole.clone()
    };
    let (class, command) = match classify::standing(&gate.table, params)? {
        Standing::Known(class, command) => (class, command.into_owned()),
        Standing::Forwarded => {
            let name = params.command().to_owned();
            return Ok((caller, free(name, params, hold_of(bundle, at))));
        }
    };
    let id = CallId::from_bits(gate.clock.id_bits());
    admit::of_caller(gate, id, &call, (class, &command.name), &caller, peer)?;
    if class != Class::Raises {
        let line = free(command.name, params, hold_of(bundle, at));
        return Ok((caller, line));
    }
    let mut known = Known::default();
    known.caller(&caller);
    let judging = raise::judge(gate, caller, &mut call, &command, id, &mut known);
    let (caller, judged) = judging.await?;
    refuse_nothing(&command, &judged)?;
    let line = Line {
        command: command.name,
        params: call.params.to_kept(),
        hold: hold_of(bundle, at),
        judged: Some(judged),
    };
    Ok((caller, line))
}

fn free(command: String, params: &ParamMap, hold: HoldId) -> Line {
    Line {
        command,
        params: params.to_kept(),
        hold,
        judged: None,
    }
}

/// A call about something that is not there, or not the caller's, would be CloudStack's to answer;
/// for a plan nothing can be promised then.
fn refuse_nothing(command: &Command, judged: &Judged) -> Result<(), Refusal> {
    let planned = judged.balance.is_some() || command.price == PriceRule::Missing;
    if judged.whose.doubt.is_none() && planned {
        return Ok(());
    }
    Err(Refusal::Parameter {
        name: "call".to_owned(),
        what: "names a thing that is not known, or not yours; leave out what another call of the \
               plan makes"
            .to_owned(),
    })
}

/// Who pays for every line; for a plan that raises nothing, the caller's own payer.
async fn one_payer(gate: &Gate, caller: &Caller, lines: &[Line]) -> Result<PayerId, Refusal> {
    let mut found: Option<&PayerId> = None;
    for (at, line) in lines.iter().enumerate() {
        let Some(judged) = &line.judged else { continue };
        let payer = judged.payer.as_ref().ok_or(Refusal::NobodyPays)?;
        if found.is_some_and(|before| before != payer) {
            let what = "is paid by somebody else than the calls before it; make a bundle for each";
            let refusal = Refusal::Parameter {
                name: "call".to_owned(),
                what: what.to_owned(),
            };
            return Err(of_line(at, line.command.clone(), refusal));
        }
        found = Some(payer);
    }
    if let Some(payer) = found {
        return Ok(payer.clone());
    }
    let own = crate::gate::whose::own(caller)?;
    let payer = gate.meter.payer_of(&own, gate.clock.billing()).await;
    let payer = payer.map_err(|fault| Refusal::CannotAsk(fault.what))?;
    payer.ok_or(Refusal::NobodyPays)
}

/// How long it is kept: as the client says, and never longer than the policy lets it.
fn lifetime(gate: &Gate, payer: &PayerId, asked: Option<i64>) -> Result<i64, Refusal> {
    let rules = gate.rules.load();
    let most = rules.profile_of(payer).map(|profile| profile.bundle);
    let most = most.unwrap_or(crate::policy::prepaid::BUNDLE);
    match asked {
        Some(wanted) if wanted > most => Err(Refusal::Parameter {
            name: "lifetime".to_owned(),
            what: format!(
                "is over {} seconds, the most that your provider keeps a bundle",
                most / crate::terms::time::SECOND
            ),
        }),
        wanted => Ok(wanted.unwrap_or(most)),
    }
}

fn stored(line: &Line) -> StoredLine {
    let judged = line.judged.as_ref();
    let priced = judged.and_then(|judged| judged.priced.as_ref());
    StoredLine {
        command: line.command.clone(),
        params: line.params.clone(),
        hold: judged.map(|_| line.hold),
        price: priced.map(|it| it.total.or_zero()).unwrap_or_default(),
        per_hour: priced.map(|it| it.per_hour).unwrap_or_default(),
        one_off: priced.map(|it| it.one_off).unwrap_or_default(),
        things: judged.map(|it| it.adds.clone()).unwrap_or_default(),
    }
}

/// All lines in one step, with the things that they are going to add.
async fn hold(
    gate: &Gate,
    lines: &[Line],
    row: &StoredBundle,
    asked: &Asked,
) -> Result<StoredBundle, Refusal> {
    for _ in 0..PROMO_TRIES {
        let mut holds = Vec::new();
        let mut states = vec![state_of(gate, &row.payer).await?];
        for judged in lines.iter().filter_map(|line| line.judged.as_ref()) {
            for above in wholesale::states(gate, judged).await? {
                if states.iter().all(|known| known.payer != above.payer) {
                    states.push(above);
                }
            }
        }
        for line in lines {
            if let Some(judged) = &line.judged {
                let legs = legs(judged, &row.payer, &mut states)?;
                let hold = line.hold;
                holds.push(LineHold { hold, legs });
            }
        }
        let work = Work {
            command: Some(Booking::Bundle(Bundle {
                bundle: row.id,
                lines: holds,
                at: row.at,
            })),
            claim: claimed(gate, lines, &row.payer),
            bundles: vec![BundleChange::Insert(row.clone())],
            ..Work::default()
        };
        match gate.store.submit(work).await {
            Ok(done) if !done.effects.already_done => return Ok(row.clone()),
            // Somebody said it at the same time: his is the one.
            Ok(_) | Err(StoreError::Refused(LedgerRefusal::SameIdOtherContent { .. })) => {
                let before = before(gate, row.id, asked).await?;
                return before.ok_or(Refusal::Busy);
            }
            Err(StoreError::Refused(LedgerRefusal::PromoShort { .. })) => {}
            Err(fault) => return Err(short(gate, lines, row, fault).await),
        }
    }
    Err(Refusal::Busy)
}

/// The legs of one line, at what the lines before it left of gift credit.
fn legs(
    judged: &Judged,
    payer: &PayerId,
    states: &mut [PayerState],
) -> Result<Vec<HoldLeg>, Refusal> {
    let mut legs = Vec::new();
    let priced = judged.priced.as_ref().filter(|priced| priced.raises());
    match (priced, states.iter().find(|state| state.payer == *payer)) {
        (Some(priced), Some(state)) => {
            let promo = state.purse(Purse::PromoAvailable).or_zero();
            let mut leg = reserve::leg(priced, payer, promo).map_err(rate_refusal)?;
            leg.caps = judged.caps.clone();
            legs.push(leg);
        }
        _ => legs.push(nothing(payer)),
    }
    legs.extend(wholesale::legs(&judged.wholesale, states, &[])?);
    for leg in &legs {
        let mut known = states.iter_mut().filter(|state| state.payer == leg.payer);
        if let Some(state) = known.next() {
            let left = &mut state.purses[Purse::PromoAvailable.index()];
            let less = left.minus(leg.promo);
            *left = less.map_err(|fault| Refusal::StoreAway(fault.to_string()))?;
        }
    }
    Ok(legs)
}

fn claimed(gate: &Gate, lines: &[Line], payer: &PayerId) -> Option<Claim> {
    let mut adds = Things::default();
    for judged in lines.iter().filter_map(|line| line.judged.as_ref()) {
        adds.add_all(&judged.adds);
    }
    (adds != Things::default()).then(|| claim::claim(&gate.rules.load(), payer, &adds))
}

/// A refusal of the books: for money it names every line's price.
async fn short(gate: &Gate, lines: &[Line], row: &StoredBundle, fault: StoreError) -> Refusal {
    let mut judged = lines.iter().filter_map(|line| line.judged.as_ref());
    let Some(judged) = judged.next() else {
        return away(fault);
    };
    let refusal = promise::money_refusal(gate, &row.payer, judged, fault).await;
    let Refusal::NotEnough(shortage) = refusal else {
        return refusal;
    };
    let lines: Vec<PricedLine> = row
        .lines
        .iter()
        .map(|line| PricedLine {
            command: line.command.clone(),
            price: line.price,
        })
        .collect();
    let price = Micros::sum(lines.iter().map(|line| line.price));
    BundleFault::Short {
        shortage: Shortage {
            price: price.unwrap_or(shortage.price),
            ..shortage
        },
        lines,
    }
    .refusal()
}
