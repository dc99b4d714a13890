//! Edge: who is let in, and how much of a body is held.

use super::*;

fn caps() -> Arc<Caps> {
    Caps::new(Bounds {
        connections_max: 2,
        connections_per_address_max: 1,
    })
}

#[test]
fn a_place_is_free_again_once_its_connection_ended() {
    let caps = caps();
    let first = caps.enter();
    let _second = caps.enter();
    assert!(caps.enter().is_none());
    drop(first);
    assert!(caps.enter().is_some());
    assert_eq!((caps.open(), caps.turned_away()), (1, 1));
}

#[test]
fn addresses_of_one_ipv6_network_share_their_places() {
    let caps = caps();
    let at = |text: &str| caps.enter_as(text.parse().unwrap());
    let first = at("2001:db8::1");
    assert!(at("2001:db8::2").is_none());
    assert!(at("2001:db8:0:1::2").is_some());
    let _mapped = at("::ffff:10.0.0.1");
    assert!(at("10.0.0.1").is_none());
    drop(first);
    assert!(at("2001:db8::2").is_some());
}

#[test]
fn long_bodies_are_bounded_in_all_and_short_ones_are_not() {
    let caps = caps();
    const MIB: usize = 1024 * 1024;
    let mut all: Vec<Held> = (0..40).map(|_| caps.hold(None)).collect();
    let granted = all
        .iter_mut()
        .filter_map(|held| held.grow_to(MIB).then_some(()));
    assert_eq!(granted.count(), 32);
    assert!(caps.hold(None).grow_to(BODY_BYTES_FREE));
    drop(all);
    assert!(caps.hold(None).grow_to(MIB));
}

#[test]
fn the_bodies_of_one_connection_are_bounded_together() {
    let (caps, connection) = (caps(), Arc::default());
    let mut all: Vec<Held> = Vec::new();
    for _ in 0..3 {
        all.push(caps.hold(Some(Arc::clone(&connection))));
    }
    let granted: Vec<bool> = all
        .iter_mut()
        .map(|held| held.grow_to(1024 * 1024))
        .collect();
    assert_eq!(granted, [true, true, false]);
}
