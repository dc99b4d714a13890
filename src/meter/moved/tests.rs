//! Edge: what becomes of a hold whose call turned out to be another payer's.

use super::*;
use crate::meter::resource::{Attributes, Border, BorderSource};
use crate::meter::resource::{Interval, Owner};
use crate::store::IntentStatus;
use crate::terms::ids::{HoldId, IntervalId};

fn row(payer: Option<&str>) -> IntervalChange {
    let owner = Owner {
        account: None,
        account_name: Some("ann".to_owned()),
        domain: "d-1".into(),
        project: None,
    };
    let start = Border {
        at: Timestamp::from_micros(0),
        source: BorderSource::Completed,
    };
    IntervalChange::Replace(StoredInterval {
        id: IntervalId::from_bits(1),
        payer: payer.map(PayerId::from),
        hold: None,
        interval: Interval {
            meter: crate::meter::observe::meter(
                crate::cloudstack::usage_type::UsageType::Volume,
                &"v-1".into(),
            ),
            owner,
            attributes: Attributes::default(),
            start,
            end: None,
        },
    })
}

fn settlement(in_doubt: Option<&str>) -> Settlement {
    let at = Timestamp::from_micros(5);
    let hold = HoldId::from_bits(7);
    Settlement {
        command: Some(Command::Settle {
            hold,
            one_off: Vec::new(),
            at,
        }),
        intents: vec![IntentChange::Update {
            call: CallId::from_bits(3),
            status: IntentStatus::Settled,
            job: None,
            resource: None,
            answered: None,
            updated: at,
            note: None,
        }],
        hold: Some(hold),
        in_doubt: in_doubt.map(PayerId::from),
        succeeded: true,
        ..Settlement::default()
    }
}

#[test]
fn what_a_call_in_doubt_made_for_another_payer_gives_the_callers_money_back() {
    let settlement = settlement(Some("caller"));
    let found = moved(&settlement, &[row(Some("owner"))]).unwrap();
    assert_eq!(found.payer, Some("owner".into()));
    assert_eq!(found.caller, "caller".into());
    let Some(Command::GiveBack { hold, .. }) =
        given_back(settlement, &RuleSet::default(), &[]).command
    else {
        panic!("the hold was not given back");
    };
    assert_eq!(hold, HoldId::from_bits(7));
}

#[test]
fn what_nobody_pays_for_is_not_the_callers_either() {
    let found = moved(&settlement(Some("caller")), &[row(None)]).unwrap();
    assert_eq!(found.payer, None);
}

#[test]
fn a_call_in_doubt_that_made_the_callers_own_things_is_settled() {
    let own = row(Some("caller"));
    assert_eq!(moved(&settlement(Some("caller")), &[own]), None);
    assert_eq!(moved(&settlement(Some("caller")), &[]), None);
    assert_eq!(moved(&settlement(None), &[row(Some("owner"))]), None);
}
