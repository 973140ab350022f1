//! Leases applied to applications: who may start and stop what, and what a take-over and the end of
//! a lease stop.

use std::time::{Duration, Instant};

use super::Supervisor;
use crate::{
    app::App,
    lease::Leases,
    leftover::Leftover,
    protocol::{By, Claim, EndedBy, Failed, MOST_WHO, Request, Start},
};

impl Supervisor {
    /// Takes the leases that an earlier supervisor left, and what runs of their applications.
    pub(crate) fn restore_leases(&mut self, leases: Leases) {
        for name in leases.held.iter().flat_map(|lease| &lease.apps) {
            if let Some(left) = Leftover::find(&self.mark, name) {
                let start = Start { name: name.clone(), ..Start::default() };
                let mut app = App::new(start, self.ring, self.mark.clone());
                app.keep_leftover(left);
                self.apps.insert(name.clone(), app);
            }
        }
        self.leases = leases;
    }

    /// Whether a person may make a request now; prepares a take-over.
    pub(crate) fn permit(&mut self, by: &mut By) -> Result<(), Failed> {
        if by.who.is_empty() || by.who.len() > MOST_WHO {
            return Err(Failed::Malformed { what: "the person has no name".to_owned() });
        }
        self.record_sent(by);
        self.end_leases(Instant::now());
        let (name, starts) = match &*by.request {
            Request::Start(start) => (start.name.clone(), true),
            Request::Restart { name, .. } => (name.clone(), true),
            Request::Stop { name, .. }
            | Request::Remove { name }
            | Request::Signal { name, .. } => (name.clone(), false),
            Request::Extend { .. } => (String::new(), false),
            _ => return Ok(()),
        };
        let Some(other) = self.leases.of_another(&by.who, &name) else { return Ok(()) };
        let is_theirs = other.covers(&name);
        let is_held = self.leases.held.iter().any(|lease| lease.who == by.who);
        let is_starting =
            other.apps.iter().any(|app| self.apps.get(app).is_some_and(|app| app.then.is_some()));
        let is_allowed = match by.claim {
            Claim::TakeOver => !(starts && is_starting),
            Claim::Share => (starts || is_held) && !is_theirs,
            Claim::Free => is_held && !is_theirs,
        };
        if !is_allowed {
            return Err(Failed::Held(self.leases.view(other)));
        }
        if by.claim == Claim::TakeOver {
            match &mut *by.request {
                Request::Start(start) => {
                    start.replace |= is_theirs;
                    let grace_ms = start.grace_ms;
                    self.take_over(&by.who, grace_ms);
                }
                Request::Stop { .. } | Request::Restart { .. } if is_theirs => {
                    self.evict(&name, &EndedBy::TakeOver(by.who.clone()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Stops the applications of all others.
    fn take_over(&mut self, who: &str, grace_ms: u64) {
        let others = self.leases.held.extract_if(.., |lease| lease.who != who);
        let apps: Vec<_> = others.flat_map(|lease| lease.apps).collect();
        self.leases.changed = true;
        for name in apps {
            self.evict(&name, &EndedBy::TakeOver(who.to_owned()));
            if let Some(app) = self.apps.get_mut(&name) {
                app.cancel(grace_ms);
            }
        }
    }

    /// Marks an application as stopped for another reason than its own user's.
    fn evict(&mut self, name: &str, by: &EndedBy) {
        if let Some(app) = self.apps.get_mut(name).filter(|app| app.is_alive()) {
            app.leaves = true;
            app.ended_by = Some(by.clone());
        }
    }

    /// What a person started is theirs.
    pub(crate) fn hold(&mut self, by: &By) {
        if let Request::Start(Start { name, .. }) | Request::Restart { name, .. } = &*by.request {
            self.leases.hold(&by.who, name, by.for_ms.map(Duration::from_millis));
        }
    }

    /// Ends a person's lease at this time from now.
    pub(crate) fn extend(&mut self, who: &str, for_ms: u64) -> Result<(), Failed> {
        let none = || Failed::Busy { why: format!("no application of {who} has a lease") };
        let lease = self.leases.of(who).ok_or_else(none)?;
        lease.until = Instant::now().checked_add(Duration::from_millis(for_ms));
        self.leases.changed = true;
        Ok(())
    }

    /// Whether what is stopped for somebody else still runs, so that nothing may start.
    pub(super) fn is_left(&self) -> bool {
        self.apps.values().any(|app| app.leaves && app.is_alive())
    }

    /// Stops the applications of leases that are over, and removes leases without applications. One
    /// with a time keeps the container for an application that ended by itself.
    pub(super) fn end_leases(&mut self, now: Instant) {
        let mut over = Vec::new();
        for lease in &mut self.leases.held {
            if lease.until.is_some_and(|until| until <= now) {
                lease.until = None;
                over.extend(lease.apps.iter().cloned());
            }
        }
        for name in over {
            self.evict(&name, &EndedBy::Lease);
            if let Some(app) = self.apps.get_mut(&name) {
                let grace_ms = app.start().grace_ms;
                app.cancel(grace_ms);
            }
        }
        let apps = &self.apps;
        let count = self.leases.held.len();
        self.leases.held.retain(|lease| {
            lease.apps.iter().filter_map(|name| apps.get(name)).any(|app| {
                let ended_by_itself = app.run > 0 && app.end().is_some_and(|end| !end.asked);
                app.is_wanted() || lease.until.is_some() && ended_by_itself
            })
        });
        self.leases.changed |= count != self.leases.held.len();
    }
}
