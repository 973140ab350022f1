//! Decides which files of a project count as changes, and runs the build.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::stderr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use tokio::task::spawn_blocking;

use super::{
    project::Project,
    sync::{Here, Options, PodCount, SyncSource, above},
    watch::Watch,
};
use crate::{
    exit::{Failure, Topic},
    platform::{
        files,
        process::{self, ProcessGroup},
    },
};
use diyadm_agent::protocol::{
    Bytes,
    transfer::{Mtime, What},
};

/// Folders that tools write to and nobody edits.
const OUTPUTS: [&str; 10] = [
    "/target",
    "/build",
    "/dist",
    "/out",
    "node_modules",
    ".gradle",
    ".idea",
    "__pycache__",
    ".venv",
    "*.class",
];

/// A project's folder, and its watched files.
pub(crate) struct Sources<'a> {
    folder: &'a Path,
    project: &'a Project,
    watch: Watch,
    /// The watch patterns, if any.
    counts: Option<Gitignore>,
    /// The project as a source that is not sent, for its ignore files.
    all: SyncSource,
    /// The files to send; created after the first build.
    sent: Vec<SyncSource>,
    /// Their last scan.
    seen: Vec<Here>,
    /// The last scan of watched files, if there is a build.
    watched: Snapshot,
    /// The same, before the last build; files that the build itself wrote are not changes.
    built: Option<Snapshot>,
    /// Watched files that builds write.
    outputs: BTreeSet<Bytes>,
    /// Folders in which builds create files with new names each time.
    output_folders: BTreeSet<Bytes>,
    /// Files that changed during the last build and may have been saved by a user.
    saved: BTreeSet<Bytes>,
    /// Messages of [`Sources::news`].
    warned: Vec<String>,
}

impl<'a> Sources<'a> {
    /// For the project in `folder`.
    pub(crate) fn new(folder: &'a Path, project: &'a Project) -> Result<Self> {
        let mut builder = GitignoreBuilder::new(folder);
        for pattern in project.watch() {
            builder.add_line(None, pattern)?;
        }
        let counts = project.watch().next().map(|_| builder.build()).transpose()?;
        let mut exclude: Vec<_> = OUTPUTS.map(ToOwned::to_owned).into();
        // Files that a build writes must not start a build.
        exclude
            .extend(project.sync().map(|sync| format!("/{}", sync.from.trim_start_matches("./"))));
        let options = Options { exclude, ignore_files: true, ..Options::default() };
        let all = SyncSource::new(folder, &Bytes::from("/"), options, PodCount::One)?;
        Ok(Self {
            folder,
            project,
            watch: Watch::new()?,
            counts,
            all,
            sent: Vec::new(),
            seen: Vec::new(),
            watched: Snapshot::new(),
            built: None,
            outputs: BTreeSet::new(),
            output_folders: BTreeSet::new(),
            saved: BTreeSet::new(),
            warned: Vec::new(),
        })
    }

    /// The build command, if any.
    pub(crate) fn build_command(&self) -> Option<&str> {
        self.project.build.as_deref()
    }

    /// Runs the build, if any; from then on changes are noticed.
    pub(crate) async fn build(&mut self) -> Result<Built> {
        let Some(build) = &self.project.build else {
            return Ok(Built { worked: true, wrote: Vec::new() });
        };
        if self.built.is_none() {
            self.look_at_watched().await?;
        }
        let before = self.watched.clone();
        let worked = self.run_build(build).await?;
        self.look_at_watched().await?;
        Ok(Built { worked, wrote: self.settle(&before) })
    }

    /// Separates files that the last build wrote from files that a user saved meanwhile. Files
    /// changed by the first build, or during two builds in a row, belong to the build; any other
    /// file starts another build. New files belong to the build if only new files had started it.
    /// Returns files that are newly recognised as the build's own.
    fn settle(&mut self, before: &Snapshot) -> Vec<String> {
        let again = self.built.as_ref().map(|built| changes(built, before));
        let is_first = again.is_none();
        let by_itself = again.is_some_and(|again| again.is_subset(&self.saved));
        let (mut built, mut saved, mut wrote) = (self.watched.clone(), BTreeSet::new(), Vec::new());
        for path in changes(before, &self.watched) {
            let folder = above(&path).last().unwrap_or_default();
            let is_new = !before.contains_key(&path);
            let is_known = self.saved.contains(&path) || self.outputs.contains(&path);
            let is_news = is_new && by_itself && self.output_folders.insert(folder.clone());
            let is_output = is_new && self.output_folders.contains(&folder);
            if is_first || is_known || is_output {
                // Files with new names each time are reported once.
                if self.outputs.insert(path.clone()) && (!is_output || is_news) {
                    wrote.push(path.show());
                }
                continue;
            }
            match before.get(&path) {
                Some(old) => drop(built.insert(path.clone(), old.clone())),
                None => drop(built.remove(&path)),
            }
            saved.insert(path);
        }
        (self.built, self.saved) = (Some(built), saved);
        wrote
    }

    async fn run_build(&self, build: &str) -> Result<bool> {
        let mut child = process::shell(build)
            .current_dir(self.folder)
            .stdin(Stdio::null())
            // The local stdout is for the application's output.
            .stdout(stderr())
            .spawn()
            .context("the build could not be started")?;
        let group = ProcessGroup::of(&child);
        let status = child.wait().await.context("the build cannot be waited for")?;
        // Processes that it left running are intended.
        group.keep();
        Ok(status.success())
    }

    /// Scans watched files if there is a build, and watches new folders.
    async fn look_at_watched(&mut self) -> Result<()> {
        loop {
            let all = self.all.scan().await?;
            let folders: Vec<PathBuf> = self.all.folders(&all).collect();
            let entries = all.scan.entries.into_iter();
            let entries = entries.filter(|entry| entry.what != What::Folder);
            let entries = entries.filter(|entry| self.counts(&files::local_path(&entry.path.0)));
            let states = entries.map(|entry| (entry.path, (entry.what, entry.mode, entry.mtime)));
            self.watched = states.collect();
            if !self.watch.cover(folders.into_iter())? {
                return Ok(());
            }
        }
    }

    /// Whether the patterns watch a path below the project's folder.
    fn counts(&self, path: &Path) -> bool {
        let matches =
            |counts: &Gitignore| counts.matched_path_or_any_parents(path, false).is_ignore();
        self.counts.as_ref().is_none_or(matches)
    }

    /// Scans the files to send. Without a build, changes are noticed from then on.
    pub(crate) async fn scan_watched(&mut self) -> Result<()> {
        if self.sent.is_empty() {
            self.sent = self.made()?;
        }
        loop {
            let mut seen = Vec::new();
            for source in &self.sent {
                seen.push(source.scan().await?);
            }
            self.seen = seen;
            if self.project.build.is_some() {
                return Ok(());
            }
            let folders = self.sent().flat_map(|(source, here)| source.folders(here));
            let folders: Vec<PathBuf> = folders.collect();
            if !self.watch.cover(folders.into_iter())? {
                return Ok(());
            }
        }
    }

    /// Whether a change would be noticed.
    pub(crate) fn notices_changes(&self) -> bool {
        self.watch.covers()
    }

    /// The last scan of files to send.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (&SyncSource, &Here)> {
        self.sent.iter().zip(&self.seen)
    }

    /// Warnings about files that are not sent, if they have changed.
    pub(crate) fn news(&mut self) -> Vec<String> {
        let warnings: Vec<_> = self.seen.iter().flat_map(Here::warnings).collect();
        if warnings == self.warned {
            return Vec::new();
        }
        self.warned.clone_from(&warnings);
        warnings
    }

    fn made(&self) -> Result<Vec<SyncSource>> {
        let mut made: Vec<SyncSource> = Vec::new();
        let lines: Vec<_> = self.project.sync_lines().collect();
        for (at, sync) in self.project.sync().enumerate() {
            let options = Options {
                delete: sync.delete,
                exclude: sync.exclude.clone(),
                ignore_files: sync.ignore_files.unwrap_or(self.project.build.is_none()),
                ..Options::default()
            };
            let from = self.folder.join(&sync.from);
            let source =
                SyncSource::new(&from, &Bytes::from(sync.to.as_str()), options, PodCount::One)?;
            // Only now it is known whether the source is a folder.
            if let Some(other) = made.iter().position(|other| other.way.collides(&source.way)) {
                let what = format!(
                    "Line {} of the project file: {} goes to {}, which line {} already uses.",
                    lines[at], sync.from, sync.to, lines[other]
                );
                return Err(Failure::usage(
                    Topic::ProjectFile,
                    what,
                    "Use one sync entry, with a folder that contains both.",
                )
                .into());
            }
            made.push(source);
        }
        Ok(made)
    }

    /// Waits for a relevant change, and for the end of its burst.
    pub(crate) async fn changed(&mut self) {
        if self.project.build.is_none() {
            let Self { watch, sent, seen, .. } = self;
            let counts = |path: &Path| {
                let mut both = sent.iter().zip(&*seen);
                both.any(|(source, here)| source.counts(here, path))
            };
            return watch.changed(counts).await;
        }
        loop {
            // Changes since the last build are found by a scan, even without notifications.
            let looked = self.look_at_watched().await.is_ok();
            let built = self.built.as_ref();
            if looked && built.is_none_or(|built| !changes(built, &self.watched).is_empty()) {
                return;
            }
            self.watch.changed(|_| true).await;
        }
    }
}

/// The result of a build.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// Whether it succeeded.
    pub(crate) worked: bool,
    /// Watched files that it wrote, each reported once: they start no build.
    pub(crate) wrote: Vec<String>,
}

/// A snapshot of files by path: type, mode and time.
type Snapshot = BTreeMap<Bytes, (What, u32, Mtime)>;

/// Paths that differ between two snapshots.
fn changes(before: &Snapshot, after: &Snapshot) -> BTreeSet<Bytes> {
    let differs = |(path, state): &(&Bytes, &_)| before.get(*path) != Some(*state);
    let changed = after.iter().filter(differs).map(|(path, _)| path);
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    changed.chain(gone).cloned().collect()
}

/// Reads a project file.
pub(crate) async fn read_project(file: &Path) -> Result<Project> {
    let shown = file.display().to_string();
    let path = file.to_owned();
    let text = spawn_blocking(move || std::fs::read_to_string(path)).await?;
    let text = text.map_err(|error| {
        let what = format!("{shown} cannot be read: {error}.");
        Failure::usage(Topic::ProjectFile, what, "`diyadm dev --init` writes one.")
    })?;
    super::project::parse(&text).map_err(|error| {
        let hint = "`diyadm dev --init -f -` prints an example.";
        Failure::usage(Topic::ProjectFile, format!("{shown}: {error}."), hint)
            .with_details(error.snippet())
            .into()
    })
}

#[cfg(test)]
mod tests;
