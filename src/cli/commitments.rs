//! Edge: `faregate ledger commitments`: rules that start things by themselves, and what the cover
//! keeps for them.

use crate::config::Config;
use crate::meter::commitment::{Commitment, kept_of};
use crate::meter::resource::Interval;
use crate::policy::commitment::Commitment as Mode;
use crate::policy::customer::RuleSet;
use crate::process::wiring;
use crate::rate::ahead::cost_ahead;
use crate::rate::gross_of;
use crate::store::Store;
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;
use crate::terms::time::Timestamp;
use std::process::ExitCode;

/// Prints each rule with its pieces, and what each payer's cover keeps for all of his, gift credit
/// left out.
///
/// # Errors
/// Policies that are not in order, books that cannot be read, prices with a hole.
pub(super) async fn list(
    config: &Config,
    store: &Store,
    payer: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let rules = wiring::rules(config).map_err(|faults| wiring::as_error(&faults))?;
    let now = wiring::clock(config)?.billing();
    let mut all = store.commitments(None).await?;
    all.retain(|it| payer.is_none_or(|payer| it.payer.as_str() == payer));
    all.sort_by(|one, other| (&one.payer, &one.id).cmp(&(&other.payer, &other.id)));
    for theirs in all.chunk_by(|one, other| one.payer == other.payer) {
        let Some(whose) = theirs.first().map(|it| it.payer.clone()) else {
            continue;
        };
        let open = store.open_intervals(Some(&whose)).await?;
        let open: Vec<Interval> = open.into_iter().map(|row| row.interval).collect();
        for it in theirs {
            println!("{}", line(it, mode(&rules, it), &open));
        }
        match kept(&rules, &whose, theirs, &open, now)? {
            Some((amount, currency)) => {
                println!("{whose}  kept for all of them: {amount} {currency}")
            }
            None => println!("{whose}  has no line in policies/customers; nothing is kept"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn mode(rules: &RuleSet, it: &Commitment) -> Mode {
    rules.commitments_of(&it.payer).of(it.rule.kind)
}

fn line(it: &Commitment, mode: Mode, open: &[Interval]) -> String {
    let about = match it.rule.of.as_str() {
        "" => String::new(),
        about => format!(" of {about}"),
    };
    format!(
        "{}  {} {}{about}  {} there, {} kept for, {} at most  since {}, by {}",
        it.payer,
        it.rule.kind.name(),
        it.id,
        it.there(open),
        it.left(mode, open),
        it.rule.most,
        it.since,
        it.call,
    )
}

/// What the cover's target has for them: the cost ahead with them less that without.
fn kept(
    rules: &RuleSet,
    payer: &PayerId,
    theirs: &[Commitment],
    open: &[Interval],
    now: Timestamp,
) -> anyhow::Result<Option<(Micros, String)>> {
    let (Some(book), Some(terms), Some(profile), Some(customer)) = (
        rules.book_of(payer),
        rules.terms_of(payer),
        rules.profile_of(payer),
        rules.customers.get(payer),
    ) else {
        return Ok(None);
    };
    let ahead = |what: &[Interval]| -> anyhow::Result<Micros> {
        Ok(gross_of(&cost_ahead(
            book,
            &terms,
            what,
            now,
            profile.horizon,
        )?)?)
    };
    let mut with = open.to_vec();
    with.extend(kept_of(theirs, |it| {
        it.as_running(mode(rules, it), open, now)
    }));
    let amount = ahead(&with)?.minus(ahead(open)?)?;
    Ok(Some((amount, customer.currency.to_string())))
}
