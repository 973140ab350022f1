//! Waits for changes of files. Many at once are one.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::exit::Failure;

/// Without a change for so long a burst is over.
const QUIET: Duration = Duration::from_millis(60);
/// A burst that does not end is taken for over after so long.
const LONGEST: Duration = Duration::from_secs(10);

/// Folders that are watched, each by itself: what is left out of a sync costs nothing.
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    events: mpsc::UnboundedReceiver<notify::Result<Event>>,
    folders: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches nothing yet.
    pub(crate) fn new() -> Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let told = move |event: notify::Result<Event>| {
            // Reading is no change, and a sync reads everything.
            if !matches!(&event, Ok(Event { kind: EventKind::Access(_), .. })) {
                // Nobody waits any more.
                let _ = sender.send(event);
            }
        };
        let watcher = notify::recommended_watcher(told).map_err(|error| failed(&error))?;
        Ok(Self { watcher, events, folders: BTreeSet::new() })
    }

    /// Watches these folders and no others. Whether one of them is new: what came into it before
    /// was not heard.
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
            // One that is gone is not watched any more as it is.
            let _ = self.watcher.unwatch(folder);
        }
        self.folders = wanted;
        Ok(new)
    }

    /// Whether anything is watched.
    pub(crate) fn covers(&self) -> bool {
        !self.folders.is_empty()
    }

    /// Waits for a change that `counts`, by its path, and then until changes pause.
    pub(crate) async fn changed(&mut self, counts: impl Fn(&Path) -> bool) {
        while let Some(event) = self.events.recv().await {
            if matters(&event, &counts) {
                break;
            }
        }
        let end = Instant::now() + LONGEST;
        let mut quiet = Instant::now() + QUIET;
        while let Ok(Some(event)) = timeout_at(quiet.min(end), self.events.recv()).await {
            if matters(&event, &counts) {
                quiet = Instant::now() + QUIET;
            }
        }
    }
}

fn matters(event: &notify::Result<Event>, counts: impl Fn(&Path) -> bool) -> bool {
    // Where events were lost anything may have changed.
    event
        .as_ref()
        .map_or(true, |event| event.need_rescan() || event.paths.iter().any(|p| counts(p)))
}

fn failed(error: &notify::Error) -> anyhow::Error {
    let limit = matches!(error.kind, notify::ErrorKind::MaxFilesWatch);
    let hint = if limit {
        "Allow more with `sudo sysctl fs.inotify.max_user_watches=524288`, or leave folders out \
         in .diyadmignore."
    } else {
        ""
    };
    Failure::no(format!("Changes of files cannot be watched: {error}."), hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn ten_thousand_changes_are_one() {
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
            // What does not count wakes nobody, and neither does reading.
            fs::write(root.join("ignored"), "x").unwrap();
            fs::read(root.join("1")).unwrap();
            fs::write(root.join("counts"), "x").unwrap();
            watch.changed(|path| path.ends_with("counts")).await;
        });
    }
}
