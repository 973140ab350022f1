//! How long leases and workloads last, and the message before their end.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{
    item::{Item, ItemKey},
    model::Model,
};
use crate::status::{WARNING_BEFORE_END, span};

impl Model {
    /// Seconds until the first lease in a workload's containers ends, or until the workload expires.
    pub(super) fn seconds_left(&self, item: &Item) -> Option<i64> {
        let lease = self.usages.get(&item.key).and_then(|usage| usage.left_ms);
        let lease = lease.map(|ms| ms.div_ceil(1000).cast_signed());
        let end = item.expires.zip(self.now);
        let workload = end.map(|(end, now)| (end.as_second() - now.as_second()).max(0));
        lease.into_iter().chain(workload).min()
    }

    /// Takes the time of the API server's clock. Returns whether the screen changes by it.
    pub fn set_now(&mut self, now: Timestamp) -> bool {
        let shown = |model: &Self| {
            let items = model.items.iter().filter(|item| item.expires.is_some());
            items.map(|item| model.seconds_left(item).map(span)).collect::<Vec<_>>()
        };
        let before = shown(self);
        self.now = Some(now);
        let is_announced = self.announce_ends();
        is_announced || before != shown(self)
    }

    /// Adds to the message what ends soon, once for each end.
    fn announce_ends(&mut self) -> bool {
        let is_near = |item: &&Item| {
            self.seconds_left(item)
                .is_some_and(|left| left.unsigned_abs() <= WARNING_BEFORE_END.as_secs())
        };
        let near: Vec<_> = self.items.iter().filter(is_near).collect();
        let new = near.iter().filter(|item| !self.ending.contains(&item.key));
        let new: Vec<_> = new
            .map(|item| {
                let left = self.seconds_left(item).map(span).unwrap_or_default();
                format!("{} ({left} left)", item.key.shown())
            })
            .collect();
        let ending: HashSet<ItemKey> = near.iter().map(|item| item.key.clone()).collect();
        self.ending = ending;
        if new.is_empty() {
            return false;
        }
        let other = std::mem::take(&mut self.message);
        let separator = if other.is_empty() { "" } else { "; " };
        self.message = format!("{other}{separator}ends soon, + extends it: {}", new.join(", "));
        true
    }
}
