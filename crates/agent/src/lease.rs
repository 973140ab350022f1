//! Who has the container: a lease for each person who started an application. Knows nothing of
//! processes; [`Supervisor`](super::supervisor::Supervisor) applies it to them.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{clock::now_ms, name::unguessable, protocol};

/// One person's lease.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) who: String,
    /// The applications that this person started.
    pub(super) apps: Vec<String>,
    since: Instant,
    /// The last request, or the end of the last connection.
    seen: Instant,
    pub(super) until: Option<Instant>,
}

impl Lease {
    /// A lease of an earlier process, written `passed_ms` ago; `None` if it is over.
    fn restored(lease: protocol::Lease, passed_ms: u64) -> Option<Self> {
        let now = Instant::now();
        let ago = |ms: u64| {
            now.checked_sub(Duration::from_millis(ms.saturating_add(passed_ms))).unwrap_or(now)
        };
        let until = match lease.left_ms {
            Some(left) => {
                Some(now.checked_add(Duration::from_millis(left.checked_sub(passed_ms)?))?)
            }
            None => None,
        };
        let (since, seen) = (ago(lease.held_ms), ago(lease.unseen_ms));
        Some(Self { who: lease.who, apps: lease.apps, since, seen, until })
    }

    /// Whether it covers an application.
    pub(super) fn covers(&self, app: &str) -> bool {
        self.apps.iter().any(|own| own == app)
    }
}

/// All leases of a container.
#[derive(Debug, Default)]
pub(super) struct Leases {
    pub(super) held: Vec<Lease>,
    /// Who is connected, once for each connection.
    present: Vec<String>,
    /// Where they outlive this process, and whether they changed since they were written there.
    file: Option<PathBuf>,
    pub(super) changed: bool,
}

impl Leases {
    /// Leases that outlive this process in a file, with those that an earlier process left there.
    /// What cannot be read is lost.
    pub(super) fn kept_in(file: PathBuf) -> Self {
        let text = fs::read(&file).unwrap_or_default();
        let (saved_ms, left): (u64, Vec<protocol::Lease>) =
            serde_json::from_slice(&text).unwrap_or_default();
        let passed = now_ms().saturating_sub(saved_ms);
        let held = left.into_iter().filter_map(|lease| Lease::restored(lease, passed));
        Self { held: held.collect(), present: Vec::new(), file: Some(file), changed: true }
    }

    /// Writes them to their file if they changed. A full disk loses them with this process only.
    pub(super) fn save(&mut self) {
        if std::mem::take(&mut self.changed)
            && let Some(file) = &self.file
        {
            let saved = (now_ms(), self.list());
            let text = serde_json::to_vec(&saved).unwrap_or_default();
            let _ = if self.held.is_empty() { fs::remove_file(file) } else { write(file, &text) };
        }
    }

    /// A person's lease.
    pub(super) fn of(&mut self, who: &str) -> Option<&mut Lease> {
        self.held.iter_mut().find(|lease| lease.who == who)
    }

    /// A lease of somebody else: the one that covers `app`, else any.
    pub(super) fn of_another(&self, who: &str, app: &str) -> Option<&Lease> {
        let others = || self.held.iter().filter(|lease| lease.who != who);
        others().find(|lease| lease.covers(app)).or_else(|| others().next())
    }

    /// An application becomes this person's, for this long or until it ends.
    pub(super) fn hold(&mut self, who: &str, app: &str, time: Option<Duration>) {
        let now = Instant::now();
        self.held.iter_mut().for_each(|lease| lease.apps.retain(|own| own != app));
        if self.of(who).is_none() {
            let who = who.to_owned();
            self.held.push(Lease { who, apps: Vec::new(), since: now, seen: now, until: None });
        }
        if let Some(lease) = self.of(who) {
            lease.apps.push(app.to_owned());
            lease.until = time.map_or(lease.until, |time| now.checked_add(time));
        }
        self.changed = true;
    }

    /// A person made a request or connected.
    pub(super) fn enter(&mut self, who: &str) {
        self.present.push(who.to_owned());
        self.see(who);
    }

    /// One of a person's connections ended.
    pub(super) fn leave(&mut self, who: &str) {
        if let Some(at) = self.present.iter().position(|one| one == who) {
            self.present.swap_remove(at);
        }
        self.see(who);
    }

    fn see(&mut self, who: &str) {
        if let Some(lease) = self.of(who) {
            lease.seen = Instant::now();
            self.changed = true;
        }
    }

    /// How long until the first one ends.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        let ends = self.held.iter().filter_map(|lease| lease.until);
        ends.map(|until| until.saturating_duration_since(now)).min()
    }

    /// All of them, as the protocol has them.
    pub(super) fn list(&self) -> Vec<protocol::Lease> {
        self.held.iter().map(|lease| self.view(lease)).collect()
    }

    /// One of them, as the protocol has it.
    pub(super) fn view(&self, lease: &Lease) -> protocol::Lease {
        let now = Instant::now();
        let since = |at: Instant| millis(now.saturating_duration_since(at));
        let is_present = self.present.contains(&lease.who);
        protocol::Lease {
            who: lease.who.clone(),
            apps: lease.apps.clone(),
            held_ms: since(lease.since),
            unseen_ms: if is_present { 0 } else { since(lease.seen) },
            left_ms: lease.until.map(|until| millis(until.saturating_duration_since(now))),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Replaces the file as a whole, for this user only.
fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    let part = file.with_extension(unguessable()?);
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    new.write_all(text).and_then(|()| fs::rename(&part, file)).inspect_err(|_| {
        // It may be gone already.
        let _ = fs::remove_file(&part);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_outlive_their_process_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lease");
        let mut leases = Leases::kept_in(file.clone());
        assert!(leases.held.is_empty());
        leases.hold("ann", "web", Some(Duration::from_secs(3600)));
        leases.hold("ben", "db", None);
        leases.save();
        let again = Leases::kept_in(file.clone()).list();
        assert_eq!((&again[0].who[..], &again[0].apps[..]), ("ann", &["web".to_owned()][..]));
        assert!(again[0].left_ms.is_some_and(|left| left > 0 && left <= 3_600_000));
        assert_eq!((&again[1].who[..], again[1].left_ms), ("ben", None));
        // A lease whose end has passed meanwhile is over.
        fs::write(&file, serde_json::to_vec(&(1, leases.list())).unwrap()).unwrap();
        let again = Leases::kept_in(file.clone()).list();
        assert_eq!(again.iter().map(|lease| &lease.who[..]).collect::<Vec<_>>(), ["ben"]);
        leases.held.clear();
        leases.changed = true;
        leases.save();
        assert!(!file.exists());
        fs::write(&file, "{").unwrap();
        assert!(Leases::kept_in(file).held.is_empty());
    }

    #[test]
    fn person_is_seen_while_connected() {
        let mut leases = Leases::default();
        leases.enter("ann");
        leases.enter("ann");
        leases.hold("ann", "web", None);
        leases.hold("ben", "web", None);
        assert!(leases.held[0].apps.is_empty() && leases.held[1].covers("web"));
        std::thread::sleep(Duration::from_millis(5));
        let unseen =
            |leases: &Leases| leases.list().iter().map(|l| l.unseen_ms > 0).collect::<Vec<_>>();
        assert_eq!(unseen(&leases), [false, true]);
        leases.leave("ann");
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(unseen(&leases), [false, true]);
        leases.leave("ann");
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(unseen(&leases), [true, true]);
    }
}
