//! Copies local files into containers, sending only differences.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use tokio::{sync::OnceCell, task::spawn_blocking};

use crate::{
    dev::watch::Watch,
    exit::{Failure, Topic},
    platform::files,
};
use diyadm_agent::protocol::{
    Bytes, SentContent,
    transfer::{Entry, What},
};

mod content;
mod ignored;
mod label;
mod open;
mod place;
mod plain;
mod plan;
mod progress;
mod receiver;
mod scan;
mod send;
mod steps;

pub use open::Open;
pub(crate) use place::{copy_out, destination, without_dots};
pub use plan::SyncPlan;
pub(crate) use plan::{above, leads_out};
pub use progress::Progress;
pub(crate) use progress::megabytes;
pub(crate) use receiver::{After, Receiver};
pub use steps::Report;

use content::Library;
use ignored::Ignored;
use place::SyncPaths;
use scan::Scan;

/// The result of a sync.
#[derive(Debug, Default)]
pub struct SyncOutcome {
    /// The planned changes of the last attempt.
    pub plan: SyncPlan,
    /// The changes of the last attempt; in a dry run, the expected refusals.
    pub report: Report,
}

/// Options of a sync.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Options {
    /// Delete remote files that do not exist locally.
    pub delete: bool,
    /// Compare content instead of size and time.
    pub checksum: bool,
    /// Only tell.
    pub dry_run: bool,
    /// Patterns as in a .gitignore.
    pub exclude: Vec<String>,
    /// Whether ignore files are used.
    pub ignore_files: bool,
}

/// The number of Pods that a sync goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodCount {
    /// One Pod of the workload.
    One,
    /// All selected Pods.
    All,
}

/// The local files: their path, and how they are read.
#[derive(Debug)]
pub struct SyncSource {
    /// The source and the target.
    pub(crate) way: SyncPaths,
    /// The files' content.
    pub(crate) library: Arc<Library>,
    /// The real folder.
    pub(crate) root: PathBuf,
    options: Options,
}

/// A snapshot of the local files.
#[derive(Debug)]
pub struct Here {
    /// The files found.
    pub(crate) scan: Scan,
    ignored: Ignored,
    /// What they are in short, once that was asked.
    label: OnceCell<Option<SentContent>>,
}

/// Maximum number of names in a warning.
const MOST_LISTED: usize = 3;

impl Here {
    /// Warnings about existing files that are not sent.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let Scan { outside, skipped, unread, .. } = &self.scan;
        let links = match &outside[..] {
            [] => None,
            [link] => {
                Some(format!("a symbolic link that leads out of the folder is not sent: {link}"))
            }
            links => Some(format!(
                "{} symbolic links that lead out of the folder are not sent: {}",
                links.len(),
                listed(links)
            )),
        };
        skipped.iter().chain(unread).cloned().chain(links).collect()
    }

    /// Whether a remote file is excluded, and is therefore kept.
    pub(crate) fn keeps(&self, entry: &Entry) -> bool {
        self.ignored.leaves_out_bytes(&entry.path.0, entry.what == What::Folder)
    }

    /// The remote entries after a completed plan, sorted by path: folders come before their content.
    fn after(&self, there: Vec<Entry>, delete: bool) -> Vec<Entry> {
        let stays = there.into_iter().filter(|entry| !delete || self.keeps(entry));
        let all = stays.chain(self.scan.entries.iter().cloned());
        let all: BTreeMap<Bytes, Entry> = all.map(|entry| (entry.path.clone(), entry)).collect();
        all.into_values().collect()
    }
}

impl SyncSource {
    /// A sync of a file or folder to a path in containers of so many Pods.
    ///
    /// # Errors
    /// It is not there, or neither.
    pub fn new(source: &Path, to: &Bytes, options: Options, count: PodCount) -> Result<Self> {
        let shown = source.display();
        // The given path is followed if it is a link; links below it are not.
        let real = source.canonicalize().map_err(|error| {
            Failure::usage(
                Topic::LocalFile,
                format!("{shown} cannot be read: {error}."),
                "Use the path of a file or a folder.",
            )
        })?;
        let meta = real.metadata().with_context(|| shown.to_string())?;
        if !meta.is_dir() && !meta.is_file() {
            let what = format!("{shown} is neither a file nor a folder.");
            return Err(Failure::usage(
                Topic::LocalFile,
                what,
                "Use the path of a file or a folder.",
            )
            .into());
        }
        // `.` has no name, but its real path has one.
        let named = if source.file_name().is_some() { source } else { &real };
        let way = SyncPaths::new(named, meta.is_dir(), to)?;
        let (root, only) = match &way.file {
            None => (real, None),
            Some((_, there)) => {
                let name = real.file_name().map(PathBuf::from).unwrap_or_default();
                let folder = real.parent().unwrap_or(Path::new("/")).to_owned();
                (folder, Some((there.clone(), name)))
            }
        };
        let library = Arc::new(Library::new(root.clone(), only, count));
        Ok(Self { way, library, root, options })
    }

    /// The same file into the path, if that is a folder.
    pub(crate) fn inside(&self) -> Option<Self> {
        let way = self.way.inside()?;
        let (_, there) = way.file.clone()?;
        let library = Arc::new(self.library.renamed(there));
        Some(Self { way, library, root: self.root.clone(), options: self.options.clone() })
    }

    /// The result of a plan in a dry run: refused as a real sync would be.
    fn rehearse(&self, mut plan: SyncPlan) -> SyncOutcome {
        let mut report = Report::default();
        plan.files.retain(|entry| match self.library.open(&entry.path) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                report.refused.push(format!("{} cannot be read: {error}", entry.path.show()));
                false
            }
        });
        report.undeleted = !report.refused.is_empty() && !plan.delete.is_empty();
        if report.undeleted {
            plan.delete.clear();
        }
        SyncOutcome { plan, report }
    }

    /// Starts to read a single file while the connection is still being made. A folder is not read
    /// ahead, since most of it may already exist in the container.
    pub(crate) fn ahead(&self) {
        if let Some((_, there)) = self.way.file.clone().filter(|_| !self.options.dry_run) {
            let library = Arc::clone(&self.library);
            // Read errors are reported when the file is to be sent.
            drop(spawn_blocking(move || library.content(&there).map(drop)));
        }
    }

    /// Whether nothing may be changed.
    pub(crate) fn dry_run(&self) -> bool {
        self.options.dry_run
    }

    /// Scans the files, and ensures that every later change is noticed.
    pub(crate) async fn watched(&self, watch: &mut Watch) -> Result<Here> {
        let mut here = self.scan().await?;
        while watch.cover(self.folders(&here))? {
            here = self.scan().await?;
        }
        Ok(here)
    }

    /// The local folders in which changes may be relevant.
    pub(crate) fn folders(&self, here: &Here) -> impl Iterator<Item = PathBuf> {
        let single = self.way.file.is_some();
        let below =
            here.scan.entries.iter().filter(move |entry| !single && entry.what == What::Folder);
        let below = below.map(|entry| self.root.join(files::local_path(&entry.path.0)));
        std::iter::once(self.root.clone()).chain(below)
    }

    /// Whether a local change of this path affects the sent files.
    pub(crate) fn counts(&self, here: &Here, path: &Path) -> bool {
        let Ok(path) = path.strip_prefix(&self.root) else { return false };
        match &self.way.file {
            Some((_, there)) => self.root.join(path) == self.library.at(there),
            None => !here.ignored.leaves_out_bytes(&files::path_bytes(path.as_os_str()), false),
        }
    }

    /// Scans the files.
    pub async fn scan(&self) -> Result<Here> {
        let Options { exclude, ignore_files, checksum, .. } = self.options.clone();
        let (root, library) = (self.root.clone(), Arc::clone(&self.library));
        let only = self.way.file.as_ref().map(|(_, there)| there.clone());
        let look = move || {
            let mut ignored = Ignored::new(&root, &exclude, ignore_files)?;
            let mut scan = match only {
                None => scan::scan(&root, &mut ignored)?,
                Some(there) => one(&library, there)?,
            };
            if checksum {
                hash(&mut scan, &library);
            }
            anyhow::Ok(Here { scan, ignored, label: OnceCell::new() })
        };
        spawn_blocking(look).await?
    }
}

/// The first names: `a, b, c and 4 more`.
pub(crate) fn listed(names: &[String]) -> String {
    let first = names[..names.len().min(MOST_LISTED)].join(", ");
    match names.len().saturating_sub(MOST_LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// The single file, under its remote name.
fn one(library: &Library, there: Bytes) -> Result<Scan> {
    let at = library.at(&there);
    let entry = scan::entry(Path::new(""), &at).with_context(|| at.display().to_string())?;
    let entry = entry.with_context(|| format!("{} is not a file any more", at.display()))?;
    Ok(Scan { entries: vec![Entry { path: there, ..entry }], ..Scan::default() })
}

fn hash(scan: &mut Scan, library: &Library) {
    for entry in &mut scan.entries {
        if let What::File { hash, .. } = &mut entry.what {
            // One that cannot be read differs; sending it says why.
            *hash = library.content(&entry.path).ok().map(|content| content.hash());
        }
    }
}
