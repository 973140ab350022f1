//! The handles by which a connection reserves memory and reviews, and releases them when dropped.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{BURST, Held, MOST_OWED, Peers, Resource, SHARE, Slot, Stage, UNCOUNTED};

/// One connection. Its reservations are released when the last handle is dropped.
pub(in crate::webhook::server) struct Connection {
    id: u64,
    pub(super) slot: Arc<Slot>,
    peers: Arc<Peers>,
    /// Bytes that were read from the socket, and not yet by a handler.
    unread: AtomicUsize,
    /// How many of these are reserved.
    counted: AtomicUsize,
    /// Whether the rest of the input is discarded.
    discards: AtomicBool,
    /// Reservations of the answer that is still in the write buffer.
    last: Mutex<Vec<Hold>>,
}

impl Connection {
    pub(super) fn new(id: u64, slot: Arc<Slot>, peers: Arc<Peers>) -> Self {
        Self {
            id,
            slot,
            peers,
            unread: AtomicUsize::new(0),
            counted: AtomicUsize::new(0),
            discards: AtomicBool::new(false),
            last: Mutex::default(),
        }
    }

    pub(in crate::webhook::server) fn enter(&self, stage: Stage) {
        self.slot.stage.store((self.peers.millis() << 3) | stage as u64, Relaxed);
    }

    /// Resolves when the connection must be closed.
    pub(in crate::webhook::server) async fn closed(&self) {
        self.slot.close.notified().await;
    }

    /// Resolves when the body that is being received must be refused.
    pub(in crate::webhook::server) async fn refused(&self) {
        self.slot.refuse.notified().await;
    }

    /// Whether to read a body of this many bytes: there is room for it, or this peer has reserved so
    /// little that connections of others would be closed for it. Reserves nothing.
    pub(in crate::webhook::server) fn fits(&self, bytes: usize) -> bool {
        let limit = self.peers.limits[Resource::Bytes as usize];
        let would_hold = |held: &Held| held.amount(Resource::Bytes).saturating_add(bytes);
        would_hold(&self.peers.held) <= limit || would_hold(&self.slot.peer.held) <= limit / 4
    }

    /// Reserves `amount` until the returned value is dropped; `None` if there is no room.
    pub(in crate::webhook::server) fn hold(
        self: &Arc<Self>,
        resource: Resource,
        amount: usize,
    ) -> Option<Hold> {
        self.add(resource, amount).then(|| Hold { connection: self.clone(), resource, amount })
    }

    /// Counts bytes that were received from the peer; false if there is no room for them.
    pub(in crate::webhook::server) fn received(&self, bytes: usize) -> bool {
        if self.slot.stage().0 == Stage::Idle {
            self.enter(Stage::Head);
        }
        if self.discards.load(Relaxed) {
            return true;
        }
        let unread = self.unread.fetch_add(bytes, Relaxed) + bytes;
        let more = unread.saturating_sub(self.counted.load(Relaxed));
        if more < UNCOUNTED {
            return true;
        }
        let room = self.add(Resource::Bytes, more);
        if room {
            self.counted.fetch_add(more, Relaxed);
        }
        room
    }

    /// Counts the received bytes as read by a handler, and releases their reservation.
    pub(in crate::webhook::server) fn taken(&self) {
        self.unread.store(0, Relaxed);
        self.take(Resource::Bytes, self.counted.swap(0, Relaxed));
    }

    /// Discards the rest of the input.
    pub(in crate::webhook::server) fn discard(&self) {
        self.taken();
        self.discards.store(true, Relaxed);
    }

    /// The answer is in the write buffer. Keeps its reservations until the buffer is written.
    pub(in crate::webhook::server) fn finish(&self, holds: Vec<Hold>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = holds;
        self.enter(Stage::Flush);
    }

    /// All buffers are written.
    pub(in crate::webhook::server) fn flushed(&self) {
        if self.slot.stage().0 == Stage::Flush {
            self.drop_last();
            self.enter(Stage::Idle);
        }
    }

    /// Releases the reservations of an answer whose connection was closed.
    pub(in crate::webhook::server) fn drop_last(&self) {
        let last = std::mem::take(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner));
        drop(last);
    }

    pub(super) fn add(&self, resource: Resource, amount: usize) -> bool {
        self.add_anyway(resource, amount);
        let over = self.peers.held.amount(resource) > self.peers.limits[resource as usize];
        if over && !self.peers.make_room(resource, &self.slot) {
            self.take(resource, amount);
            return false;
        }
        true
    }

    fn add_anyway(&self, resource: Resource, amount: usize) {
        for held in [&self.slot.held, &self.slot.peer.held, &self.peers.held] {
            held.add(resource, amount);
        }
    }

    fn take(&self, resource: Resource, amount: usize) {
        for held in [&self.slot.held, &self.slot.peer.held, &self.peers.held] {
            held.take(resource, amount);
        }
    }

    /// When this connection may work next, if it must wait because its peer has used up its share of
    /// the processor while other peers are active. Reserves `estimate` nanoseconds for it.
    pub(in crate::webhook::server) fn wait_for_turn(&self, estimate: u64) -> Option<Turn> {
        let (peer, now) = (&self.slot.peer, self.peers.nanos());
        peer.active.store(now, Relaxed);
        let ahead = peer.clock.load(Relaxed);
        if ahead <= now + BURST {
            return None;
        }
        let others = self.peers.others(peer, now);
        if others.active == 0 {
            // A peer that is alone may use the whole processor.
            peer.clock.store(now + BURST, Relaxed);
            return None;
        }
        let weight = SHARE.max((others.waiting + 1) * SHARE / (SHARE - 1));
        let reserved = estimate * weight;
        let turn = peer.clock.fetch_add(reserved, Relaxed).saturating_sub(BURST);
        Some(Turn { at: self.peers.start + Duration::from_nanos(turn), reserved, weight })
    }

    /// Adds `spent` nanoseconds of a processor to what was done for the peer, in place of what its
    /// `turn` had reserved.
    pub(in crate::webhook::server) fn spend(&self, spent: u64, turn: Option<Turn>) {
        let now = self.peers.nanos();
        let (reserved, weight) = turn.map_or((0, SHARE), |turn| (turn.reserved, turn.weight));
        let update = |clock: u64| {
            let clock = clock.saturating_sub(reserved).max(now);
            Some(clock.saturating_add(spent.saturating_mul(weight)).min(now + MOST_OWED))
        };
        // `update` always returns a value.
        let _ = self.slot.peer.clock.fetch_update(Relaxed, Relaxed, update);
    }
}

/// When a connection may work whose peer has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::webhook::server) struct Turn {
    pub(in crate::webhook::server) at: Instant,
    /// Nanoseconds of the peer's clock that were added for it.
    reserved: u64,
    /// Nanoseconds of the peer's clock for one of a processor.
    weight: u64,
}

impl Drop for Connection {
    fn drop(&mut self) {
        for resource in [Resource::Connections, Resource::Bytes, Resource::Reviews] {
            self.take(resource, self.slot.held.amount(resource));
        }
        self.peers.table().slots.remove(&self.id);
    }
}

/// An amount of a resource; given back when dropped.
pub(in crate::webhook::server) struct Hold {
    connection: Arc<Connection>,
    resource: Resource,
    amount: usize,
}

impl Hold {
    /// Holds so much more; false where there is no room.
    pub(in crate::webhook::server) fn grow(&mut self, more: usize) -> bool {
        let room = self.connection.add(self.resource, more);
        if room {
            self.amount += more;
        }
        room
    }

    /// Holds `amount` instead, whatever the limit says: it is in memory already.
    pub(in crate::webhook::server) fn set(&mut self, amount: usize) {
        self.connection.add_anyway(self.resource, amount);
        self.connection.take(self.resource, self.amount);
        self.amount = amount;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.connection.take(self.resource, self.amount);
    }
}
