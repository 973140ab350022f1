//! Waits for file changes. A burst of changes is reported once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind, RenameMode},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::exit::{Failure, Topic};

/// A burst is over after this time without a change.
const QUIET: Duration = Duration::from_millis(60);
/// A burst is reported after this time even if it continues.
const LONGEST: Duration = Duration::from_secs(10);
/// A file that its writer keeps open counts as complete after this time without a change.
const STILL: Duration = Duration::from_secs(2);
/// Files that are still being written after this time do not delay the others.
const LONGEST_WRITE: Duration = Duration::from_secs(60);
/// A file that is closed again within this time is written in pieces, and counts as complete after
/// the same time without a change.
const PIECES: Duration = Duration::from_secs(1);

/// Watched folders, each on its own, so that excluded folders cost nothing.
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    events: mpsc::UnboundedReceiver<notify::Result<Event>>,
    folders: BTreeSet<PathBuf>,
    writing: Writing,
}

/// Files that are being written in place, whose partial content is useless.
#[derive(Debug, Default)]
struct Writing {
    /// When each counts as complete.
    whole: BTreeMap<PathBuf, Instant>,
    /// When each was last closed.
    closed: BTreeMap<PathBuf, Instant>,
}

impl Writing {
    fn note(&mut self, event: &Event, now: Instant) {
        if event.need_rescan() {
            // Files closed meanwhile are unknown.
            *self = Self::default();
        }
        self.closed.retain(|_, at| now < *at + PIECES);
        for path in &event.paths {
            match event.kind {
                EventKind::Modify(ModifyKind::Data(_)) => {
                    self.whole.insert(path.clone(), now + STILL);
                }
                EventKind::Access(CLOSED) => {
                    self.whole.remove(path);
                    if self.closed.insert(path.clone(), now).is_some() {
                        self.whole.insert(path.clone(), now + PIECES);
                    }
                }
                EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                    self.whole.remove(path);
                    self.closed.remove(path);
                }
                _ => {}
            }
        }
    }

    /// When all relevant files are complete; `None` if they are.
    fn until(&self, counts: impl Fn(&Path) -> bool) -> Option<Instant> {
        self.whole.iter().filter(|(path, _)| counts(path)).map(|(_, at)| *at).max()
    }
}

impl Watch {
    /// A watcher without folders.
    pub(crate) fn new() -> Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let on_event = move |event: notify::Result<Event>| {
            // Reading is not a change, and a sync reads everything.
            let is_read = matches!(
                &event,
                Ok(Event { kind: EventKind::Access(kind), .. }) if *kind != CLOSED
            );
            if !is_read {
                // Nobody waits any more.
                let _ = sender.send(event);
            }
        };
        let watcher = notify::recommended_watcher(on_event).map_err(|error| failed(&error))?;
        let writing = Writing::default();
        Ok(Self { watcher, events, folders: BTreeSet::new(), writing })
    }

    /// Watches exactly these folders. Returns whether one is new, since earlier changes in it went
    /// unnoticed.
    pub(crate) fn cover(&mut self, folders: impl Iterator<Item = PathBuf>) -> Result<bool> {
        let wanted: BTreeSet<_> = folders.collect();
        let mut new = false;
        for folder in wanted.difference(&self.folders) {
            match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => new = true,
                Err(notify::Error { kind: notify::ErrorKind::PathNotFound, .. }) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        for folder in self.folders.difference(&wanted) {
            // A deleted folder is not watched any more anyway.
            let _ = self.watcher.unwatch(folder);
        }
        self.folders = wanted;
        Ok(new)
    }

    /// Whether anything is watched.
    pub(crate) fn covers(&self) -> bool {
        !self.folders.is_empty()
    }

    /// Waits for a change whose path `counts`, and then until changes pause and files being written
    /// are complete.
    pub(crate) async fn changed(&mut self, counts: impl Fn(&Path) -> bool) {
        while let Some(event) = self.events.recv().await {
            if self.matters(&event, &counts) {
                break;
            }
        }
        let began = Instant::now();
        let mut quiet = began + QUIET;
        loop {
            let pause = quiet.min(began + LONGEST);
            let until = match self.writing.until(&counts) {
                Some(whole) => pause.max(whole.min(began + LONGEST_WRITE)),
                None => pause,
            };
            let Ok(Some(event)) = timeout_at(until, self.events.recv()).await else { break };
            if self.matters(&event, &counts) {
                quiet = Instant::now() + QUIET;
            }
        }
        let now = Instant::now();
        self.writing.whole.retain(|_, whole| *whole > now);
    }

    fn matters(&mut self, event: &notify::Result<Event>, counts: impl Fn(&Path) -> bool) -> bool {
        // If events were lost, anything may have changed.
        let Ok(event) = event else { return true };
        self.writing.note(event, Instant::now());
        let changes = event.kind != EventKind::Access(CLOSED);
        event.need_rescan() || (changes && event.paths.iter().any(|path| counts(path)))
    }
}

/// The writer has closed the file.
const CLOSED: AccessKind = AccessKind::Close(AccessMode::Write);

fn failed(error: &notify::Error) -> anyhow::Error {
    let limit = matches!(error.kind, notify::ErrorKind::MaxFilesWatch);
    let hint = if limit {
        "Allow more with `sudo sysctl fs.inotify.max_user_watches=524288`, or leave folders out \
         in .diyadmignore."
    } else {
        ""
    };
    Failure::no(Topic::FileWatch, format!("Changes of files cannot be watched: {error}."), hint)
        .into()
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, RemoveKind};

    use super::*;
    use std::{fs, io::Write, thread};

    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn file_written_in_place_is_one_change_after_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let mut watch = Watch::new().unwrap();
        watch.cover([root.clone()].into_iter()).unwrap();
        let jar = root.join("app.jar");
        let mut file = fs::File::create(&jar).unwrap();
        let writer = thread::spawn(move || {
            for _ in 0..6 {
                file.write_all(&[0; 1000]).unwrap();
                // Longer than the pause that ends a burst.
                thread::sleep(2 * QUIET);
            }
        });
        let mut seen = Vec::new();
        block(async {
            while seen.last() != Some(&6000) {
                watch.changed(|_| true).await;
                seen.push(fs::metadata(&jar).unwrap().len());
            }
        });
        // Before its first piece it may be complete.
        assert!(seen.len() <= 2, "{seen:?}");
        writer.join().unwrap();
    }

    #[test]
    fn file_closed_repeatedly_is_complete_once_it_is_stable() {
        let mut writing = Writing::default();
        let began = Instant::now();
        let mut at = |ms: u64, kind: EventKind| {
            let now = began + Duration::from_millis(ms);
            writing.note(&Event::new(kind).add_path("app.jar".into()), now);
            writing.until(|_| true).map(|whole| (whole - began).as_millis())
        };
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let closed = EventKind::Access(CLOSED);
        assert_eq!(at(0, EventKind::Create(CreateKind::File)), None);
        assert_eq!(at(0, written), Some(2000));
        assert_eq!(at(1500, written), Some(3500));
        assert_eq!(at(1600, closed), None);
        assert_eq!(at(2000, written), Some(4000));
        assert_eq!(at(2000, closed), Some(3000));
        assert_eq!(at(2500, closed), Some(3500));
        assert_eq!(at(2600, EventKind::Remove(RemoveKind::File)), None);
        assert_eq!(at(2700, closed), None);
        // A file that is saved occasionally is complete each time.
        assert_eq!(at(9000, written), Some(11_000));
        assert_eq!(at(9000, closed), None);
    }

    #[test]
    fn many_changes_are_reported_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let mut watch = Watch::new().unwrap();
        assert!(watch.cover([root.clone()].into_iter()).unwrap());
        assert!(!watch.cover([root.clone()].into_iter()).unwrap());
        for at in 0..10_000 {
            fs::write(root.join(format!("{}", at % 100)), "x").unwrap();
        }
        block(async {
            watch.changed(|_| true).await;
            assert!(watch.events.try_recv().is_err(), "one burst is one change");
            // Irrelevant changes and reads do not wake the waiter.
            fs::write(root.join("ignored"), "x").unwrap();
            fs::read(root.join("1")).unwrap();
            fs::write(root.join("counts"), "x").unwrap();
            watch.changed(|path| path.ends_with("counts")).await;
        });
    }
}
