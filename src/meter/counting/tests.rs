//! Pure: tables of what settings and offerings say of counters.

use super::*;

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

#[test]
fn settings_say_who_counts_what_and_how_often() {
    let traffic = UsageType::NetworkBytesSent;
    let reads = UsageType::VmDiskIoRead;
    let range = "usage.stats.job.aggregation.range";
    let minutes = |n: i64| Some(n * 60 * SECOND);
    let (router, nic) = ("router.stats.interval", "vm.network.stats.interval");
    let disk = "vm.disk.stats.interval";
    let cases = [
        (settings(&[]), minutes(1_440), true, true),
        (settings(&[(range, "10")]), minutes(10), true, true),
        (settings(&[(range, "0")]), minutes(1), true, true),
        (settings(&[(disk, "0")]), minutes(1_440), true, false),
        (
            settings(&[(router, "0"), (nic, "0")]),
            minutes(1_440),
            false,
            true,
        ),
        (
            settings(&[(router, "0"), (nic, "60")]),
            minutes(1_440),
            true,
            true,
        ),
        (
            settings(&[("enable.usage.server", "false")]),
            None,
            false,
            false,
        ),
    ];
    for (given, window, counts_traffic, counts_reads) in cases {
        let found = by_settings(&given);
        assert_eq!(found.window(), window, "{given:?}");
        assert_eq!(found.counts(traffic), counts_traffic, "{given:?}");
        assert_eq!(found.counts(reads), counts_reads, "{given:?}");
    }
}

#[test]
fn a_priced_type_whose_counter_is_off_is_warned_of_by_its_setting() {
    let priced = BTreeSet::from([UsageType::NetworkBytesSent, UsageType::VmDiskIoRead]);
    let off = settings(&[("vm.disk.stats.interval", "0")]);
    let found = warnings(&by_settings(&off), &priced);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("VmDiskIoRead") && found[0].contains("vm.disk.stats.interval"));
    let disabled = by_settings(&settings(&[("enable.usage.server", "false")]));
    assert_eq!(warnings(&disabled, &priced).len(), 1);
    assert_eq!(warnings(&disabled, &BTreeSet::new()), Vec::<String>::new());
}

#[test]
fn an_offering_without_a_rate_has_no_bound() {
    let mut counting = Counting::default();
    for (id, rate) in [("fast", 200), ("free", 0), ("unbound", -1)] {
        let row = serde_json::json!({ "id": id, "networkrate": rate });
        counting.learn_offering(&Node::from_json("networkoffering", &row));
    }
    let of = |id| counting.rate(UsageType::NetworkBytesSent, Some(id));
    assert_eq!(of("fast"), Some(25_000_000));
    assert_eq!([of("free"), of("unbound"), of("other")], [None; 3]);
}
