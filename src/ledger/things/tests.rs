//! Pure: what fits a limit and what does not.

use super::*;

const VMS: u8 = 2;

fn of(zone: &str, pieces: i64) -> Things {
    let mut things = Things::default();
    let amounts = Amounts {
        pieces,
        memory_mib: pieces * 1536,
        ..Amounts::default()
    };
    things.add(VMS, zone, &amounts);
    things
}

fn told(adds: Things, zone: Option<&str>, most: i64, has: &Things) -> Option<String> {
    drawn(adds, &Things::default(), zone, most, has)
}

fn drawn(
    adds: Things,
    drawn: &Things,
    zone: Option<&str>,
    most: i64,
    has: &Things,
) -> Option<String> {
    let bound = Bound {
        rule: "seven".to_owned(),
        what: "vm".to_owned(),
        usage_type: VMS,
        zone: zone.map(str::to_owned),
        measure: Measure::Pieces,
        divisor: 1,
        most,
        reason: "agreed".to_owned(),
    };
    let payer = PayerId::from("ann");
    let bounds = vec![bound];
    let claim = Claim {
        payer,
        adds,
        drawn: drawn.clone(),
        bounds,
    };
    admit(&claim, has).err().map(|no| no.to_string())
}

#[test]
fn the_last_one_fits_and_one_more_does_not() {
    assert_eq!(told(of("a", 1), None, 7, &of("b", 6)), None);
    let no = told(of("a", 1), None, 7, &of("b", 7)).unwrap();
    let text = "limit seven: 7 vm at most, 7 there or under way, 1 more asked for: agreed";
    assert_eq!(no, text);
}

#[test]
fn a_zone_counts_its_own_and_what_is_nowhere() {
    assert_eq!(told(of("a", 1), Some("a"), 1, &of("b", 6)), None);
    assert!(told(of("a", 1), Some("a"), 1, &of("", 1)).is_some());
    assert_eq!(told(of("b", 1), Some("a"), 0, &of("a", 6)), None);
}

#[test]
fn who_adds_nothing_is_not_refused_however_much_he_has() {
    let nothing = of("a", 1).beyond(&of("a", 2));
    assert_eq!(nothing, Things::default());
    assert_eq!(told(nothing, None, 0, &of("a", 9)), None);
}

#[test]
fn parts_of_a_unit_are_shown_rounded_up() {
    assert_eq!(shown(1536, 1024), "1.5");
    assert_eq!(shown(1537, 1024), "1.6");
    assert_eq!(shown(2048, 1024), "2");
}

#[test]
fn a_call_of_a_bundle_counts_once_and_only_beyond_its_line_is_it_asked() {
    // Seven are there, two of them the line's: the call takes its place, and not another.
    let has = of("a", 7);
    assert_eq!(drawn(of("a", 2), &of("a", 2), None, 7, &has), None);
    assert!(drawn(of("a", 3), &of("a", 2), None, 7, &has).is_some());
    assert_eq!(drawn(of("a", 3), &of("a", 2), None, 8, &has), None);
    // A limit that was lowered since takes no promise back.
    assert_eq!(drawn(of("a", 2), &of("a", 2), None, 1, &has), None);
}
