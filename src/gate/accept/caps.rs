//! Edge: how many connections may be open, in all and per address, and how much of bodies is held.
//!
//! One set for all cores. Whoever is over a bound is turned away at once: nothing waits here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bodies up to this size are never turned away for what others hold.
const BODY_BYTES_FREE: usize = 16 * 1024;
/// Bytes of longer bodies that are held at once, over all connections.
const BODY_BYTES_HELD_MAX: usize = 32 * 1024 * 1024;
/// The same of the calls of one connection.
const BODY_BYTES_HELD_MAX_ONE: usize = 2 * 1024 * 1024;

/// How many connections may be open.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Over all addresses.
    pub connections_max: usize,
    /// Of one address: an IPv4 address, or the /64 of an IPv6 address.
    pub connections_per_address_max: usize,
}

/// What is open and held now.
#[derive(Debug)]
pub struct Caps {
    bounds: Bounds,
    open: AtomicUsize,
    turned_away: AtomicUsize,
    working: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    body_bytes: AtomicUsize,
}

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub struct Place(Arc<Caps>);

/// A connection of an address that counts until it is dropped.
#[derive(Debug)]
pub struct AddressPlace(Arc<Caps>, IpAddr);

/// A call that must not be cut off: the process does not end while there is one.
#[derive(Debug)]
pub struct Working(Arc<Caps>);

/// Bytes of a body that count until they are dropped.
#[derive(Debug)]
pub struct Held {
    caps: Arc<Caps>,
    connection: Option<Arc<AtomicUsize>>,
    bytes: usize,
}

impl Caps {
    /// Nothing open yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            open: AtomicUsize::new(0),
            turned_away: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
            by_address: Mutex::default(),
            body_bytes: AtomicUsize::new(0),
        })
    }

    /// A place for one more connection; none where all are taken.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Option<Place> {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.clone());
        if open < self.bounds.connections_max {
            return Some(place);
        }
        self.turned_away.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// A place for one more connection of that address; none where it has all of its own.
    #[must_use]
    pub fn enter_as(self: &Arc<Self>, address: IpAddr) -> Option<AddressPlace> {
        let address = counted_as(address);
        let mut by_address = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let open = by_address.entry(address).or_default();
        if *open >= self.bounds.connections_per_address_max {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *open = open.saturating_add(1);
        Some(AddressPlace(self.clone(), address))
    }

    /// A call that must not be cut off begins.
    #[must_use]
    pub fn work(self: &Arc<Self>) -> Working {
        self.working.fetch_add(1, Ordering::SeqCst);
        Working(self.clone())
    }

    /// Counts a body's bytes; `connection` where several bodies may come over one.
    #[must_use]
    pub fn hold(self: &Arc<Self>, connection: Option<Arc<AtomicUsize>>) -> Held {
        Held {
            caps: self.clone(),
            connection,
            bytes: 0,
        }
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Calls that must not be cut off.
    #[must_use]
    pub fn working(&self) -> usize {
        self.working.load(Ordering::SeqCst)
    }

    /// Connections turned away since the start.
    #[must_use]
    pub fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::Relaxed)
    }
}

impl Held {
    /// Counts a body that has grown to so many bytes; false where it may not.
    #[must_use]
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let counted = bytes.saturating_sub(BODY_BYTES_FREE);
        let more = counted.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        self.bytes = counted;
        let grown = |count: &AtomicUsize| {
            let before = count.fetch_add(more, Ordering::Relaxed);
            before.saturating_add(more)
        };
        let of_one = self.connection.as_deref().map_or(0, grown);
        let of_all = grown(&self.caps.body_bytes);
        of_one <= BODY_BYTES_HELD_MAX_ONE && of_all <= BODY_BYTES_HELD_MAX
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.caps
            .body_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
        if let Some(connection) = &self.connection {
            connection.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut by_address = self
            .0
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_address.get_mut(&self.1) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                by_address.remove(&self.1);
            }
        }
    }
}

/// One customer usually has a whole /64 of IPv6.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let mut parts = address.segments();
            parts.iter_mut().skip(4).for_each(|part| *part = 0);
            IpAddr::V6(Ipv6Addr::from(parts))
        }
    }
}

#[cfg(test)]
mod tests;
