//! What each peer holds of the server: connections, bytes, reviews in flight and processor time.
//!
//! One rule for all that is scarce: where it runs out, the peer that holds the most of it gives
//! way. So a peer that holds little, as the API server does, is served whatever others do, and one
//! that is alone may have everything. A peer is an IP address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

mod handle;

pub(super) use handle::{Connection, Hold, Turn};

/// What there is a limit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// Open connections.
    Connections,
    /// Bytes of requests and answers in memory.
    Bytes,
    /// Reviews whose body has come and whose answer is not written.
    Reviews,
}

/// What a connection does; the order is the one in which connections give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// No TLS session yet, or between two requests.
    Handshake,
    Idle,
    /// A part of a request's head has come.
    Head,
    /// A part of its body has come.
    Body,
    /// A part of the answer is written.
    Answer,
    /// All of the answer is in the connection's last buffer.
    Flush,
    /// The review is being decided: nothing that a peer can delay, so it is let end.
    Review,
}

/// Why the server closed a connection; the metric's label.
#[derive(Clone, Copy, Debug)]
pub(super) enum Closed {
    /// It gave way to another.
    GaveWay,
    /// All others had something to do, or belonged to peers with fewer.
    Refused,
    /// Its peer was too slow.
    TimedOut,
}

pub(super) const CLOSED: [(&str, Closed); 3] =
    [("gave_way", Closed::GaveWay), ("refused", Closed::Refused), ("timed_out", Closed::TimedOut)];

/// A peer has the `1 / SHARE` of one processor while others are there; where more have used up theirs
/// than there are shares, they leave one to the rest.
const SHARE: u64 = 4;

/// Nanoseconds of a peer's clock that it may be ahead before it has to wait: a quarter of a second of
/// a processor at once, several hundred handshakes.
const BURST: u64 = 1_000_000_000;

/// Nanoseconds after its last work in which a peer counts as there.
const ACTIVE: u64 = 10_000_000_000;

/// Bytes that a connection may have read before they are counted.
const UNCOUNTED: usize = 16 * 1024;

/// Nanoseconds that a peer's clock is ahead at the most.
const MOST_OWED: u64 = 10 * BURST;

/// An IPv4 address, or the /64 of an IPv6 address: one machine usually owns all of a /64.
type Peer = IpAddr;

/// Amounts by [`Resource`].
#[derive(Default)]
struct Held([AtomicUsize; 3]);

impl Held {
    fn amount(&self, resource: Resource) -> usize {
        self.0[resource as usize].load(Relaxed)
    }

    fn add(&self, resource: Resource, amount: usize) {
        self.0[resource as usize].fetch_add(amount, Relaxed);
    }

    fn take(&self, resource: Resource, amount: usize) {
        self.0[resource as usize].fetch_sub(amount, Relaxed);
    }
}

/// One peer; kept for as long as it is connected or owes time.
#[derive(Default)]
struct PeerState {
    held: Held,
    /// Nanoseconds since the start: `SHARE` times the work that was done for it, or more, and never behind
    /// now when work is added.
    clock: AtomicU64,
    /// Nanoseconds since the start.
    active: AtomicU64,
}

/// What others may see of a connection.
struct Slot {
    peer: Arc<PeerState>,
    held: Held,
    /// Milliseconds since the start when the stage began, and the stage in the last three bits.
    stage: AtomicU64,
    gives_way: AtomicBool,
    close: Notify,
    refuse: Notify,
}

impl Slot {
    fn stage(&self) -> (Stage, u64) {
        let packed = self.stage.load(Relaxed);
        let stage = match packed & 7 {
            0 => Stage::Handshake,
            1 => Stage::Idle,
            2 => Stage::Head,
            3 => Stage::Body,
            4 => Stage::Answer,
            5 => Stage::Flush,
            _ => Stage::Review,
        };
        (stage, packed >> 3)
    }

    /// Takes back what it holds: a body that is arriving is refused, everything else is closed.
    fn give_way(&self) {
        self.gives_way.store(true, Relaxed);
        if self.stage().0 == Stage::Body {
            self.refuse.notify_one();
        } else {
            self.close.notify_one();
        }
    }
}

#[derive(Default)]
struct Table {
    next: u64,
    slots: HashMap<u64, Arc<Slot>>,
    peers: HashMap<Peer, Arc<PeerState>>,
}

#[derive(Default)]
struct Others {
    active: u64,
    /// How many of them have used up their share.
    waiting: u64,
}

/// How many descriptors so many connections may have, with those that are giving way.
pub(super) fn descriptors(connections: usize) -> usize {
    connections + connections / 4 + 1
}

/// Everybody who is connected to one port.
pub(super) struct Peers {
    limits: [usize; 3],
    held: Held,
    table: Mutex<Table>,
    start: Instant,
    closed: [AtomicU64; CLOSED.len()],
}

impl Peers {
    pub(super) fn new(connections: usize, bytes: usize, reviews: usize) -> Arc<Self> {
        Arc::new(Self {
            limits: [connections, bytes, reviews],
            held: Held::default(),
            table: Mutex::default(),
            start: Instant::now(),
            closed: Default::default(),
        })
    }

    /// How much of it is held by all together.
    pub(super) fn held(&self, resource: Resource) -> usize {
        self.held.amount(resource)
    }

    /// How many connections the server closed for that reason.
    pub(super) fn closed(&self, why: Closed) -> u64 {
        self.closed[why as usize].load(Relaxed)
    }

    /// A new connection; `None` where there is no place for it.
    pub(super) fn connect(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Connection>> {
        let mut table = self.table();
        let peer = table.peers.entry(peer(address)).or_default().clone();
        // Those that give way still have their descriptors for a moment: no more of these come
        // from a peer that has many.
        let limit = self.limits[Resource::Connections as usize];
        let crowded = self.held(Resource::Connections) >= descriptors(limit);
        if crowded && peer.held.amount(Resource::Connections) > limit / 10 {
            self.count(Closed::Refused);
            return None;
        }
        let id = table.next;
        table.next += 1;
        let slot = Arc::new(Slot {
            peer,
            held: Held::default(),
            stage: AtomicU64::new(self.millis() << 3),
            gives_way: AtomicBool::new(false),
            close: Notify::new(),
            refuse: Notify::new(),
        });
        table.slots.insert(id, slot.clone());
        drop(table);
        let connection = Arc::new(Connection::new(id, slot, self.clone()));
        if !connection.add(Resource::Connections, 1) {
            self.count(Closed::Refused);
            return None;
        }
        Some(connection)
    }

    /// Closes what has taken too long, and forgets peers that are gone. Called several times a second.
    pub(super) fn sweep(&self, longest: impl Fn(Stage) -> Duration) {
        let (now, nanos) = (self.millis(), self.nanos());
        let mut table = self.table();
        for slot in table.slots.values() {
            let (stage, since) = slot.stage();
            let longest = u64::try_from(longest(stage).as_millis()).unwrap_or(u64::MAX);
            if now.saturating_sub(since) > longest {
                slot.close.notify_one();
                if !slot.gives_way.swap(true, Relaxed) {
                    self.count(Closed::TimedOut);
                }
            }
        }
        table
            .peers
            .retain(|_, peer| Arc::strong_count(peer) > 1 || peer.clock.load(Relaxed) > nanos);
    }

    /// Whether there is room for what `slot` has just added. If not, connections of the peer with the
    /// largest amount are closed first; false if that is the peer of `slot` itself.
    fn make_room(&self, resource: Resource, slot: &Slot) -> bool {
        let limit = self.limits[resource as usize];
        let table = self.table();
        loop {
            let releasing: usize = table
                .slots
                .values()
                .filter(|other| other.gives_way.load(Relaxed))
                .map(|other| other.held.amount(resource))
                .sum();
            if self.held.amount(resource).saturating_sub(releasing) <= limit {
                return true;
            }
            let amount = |of: &Slot| of.peer.held.amount(resource);
            let victim = table
                .slots
                .iter()
                .filter(|(_, other)| {
                    let own = Arc::ptr_eq(&other.peer, &slot.peer);
                    // Of its own connections a peer gives up the oldest one that is idle; it
                    // does not break off one review for another.
                    let may =
                        !own || resource == Resource::Connections && other.stage().0 <= Stage::Idle;
                    may && amount(other) >= amount(slot)
                        && other.held.amount(resource) > 0
                        && other.stage().0 != Stage::Review
                        && !other.gives_way.load(Relaxed)
                        && !std::ptr::eq(other.as_ref(), slot)
                })
                .max_by_key(|(id, other)| {
                    let (stage, since) = other.stage();
                    // Several may enter a stage within one millisecond.
                    let older = std::cmp::Reverse((stage.max(Stage::Idle), since, **id));
                    (amount(other), other.held.amount(resource), older)
                });
            let Some((_, victim)) = victim else { return false };
            self.count(Closed::GaveWay);
            victim.give_way();
        }
    }

    /// The other peers that have had work done lately.
    fn others(&self, own: &Arc<PeerState>, now: u64) -> Others {
        let mut others = Others::default();
        for peer in self.table().peers.values().filter(|peer| !Arc::ptr_eq(peer, own)) {
            let active = peer.active.load(Relaxed);
            if active > 0 && active.saturating_add(ACTIVE) > now {
                others.active += 1;
                others.waiting += u64::from(peer.clock.load(Relaxed) > now + BURST);
            }
        }
        others
    }

    fn count(&self, why: Closed) {
        self.closed[why as usize].fetch_add(1, Relaxed);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

fn peer(address: IpAddr) -> Peer {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(prefix.into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;
