//! What of a project counts as a change, and what builds it.

use std::{
    io::stderr,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{process::Command, task::spawn_blocking};

use super::{
    project::Project,
    sync::{Here, Options, Source},
    watch::Watch,
};
use crate::{agent::protocol::Bytes, exit::Failure};

/// What tools write, and nobody edits.
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

/// A project's folder, and what is watched in it.
pub(crate) struct Sources<'a> {
    folder: &'a Path,
    project: &'a Project,
    watch: Watch,
    /// What counts, where the file says so.
    counts: Option<Gitignore>,
    /// The project as a folder that is sent nowhere: for its ignore files.
    all: Source,
    /// What is sent; made when it was built for the first time.
    sent: Vec<Source>,
    /// How these were seen last.
    seen: Vec<Here>,
    project_seen: Option<Here>,
}

impl<'a> Sources<'a> {
    /// Of the project in `folder`.
    pub(crate) fn new(folder: &'a Path, project: &'a Project) -> Result<Self> {
        let mut builder = GitignoreBuilder::new(folder);
        for pattern in project.watch() {
            builder.add_line(None, pattern)?;
        }
        let counts = project.watch().next().map(|_| builder.build()).transpose()?;
        let mut exclude: Vec<_> = OUTPUTS.map(ToOwned::to_owned).into();
        // What a build writes must not build.
        exclude
            .extend(project.sync().map(|sync| format!("/{}", sync.from.trim_start_matches("./"))));
        let options = Options { exclude, ignore_files: true, ..Options::default() };
        let all = Source::new(folder, &Bytes::from("/"), options, false)?;
        Ok(Self {
            folder,
            project,
            watch: Watch::new()?,
            counts,
            all,
            sent: Vec::new(),
            seen: Vec::new(),
            project_seen: None,
        })
    }

    /// What builds, where there is something to build.
    pub(crate) fn build_command(&self) -> Option<&str> {
        self.project.build.as_deref()
    }

    /// Builds, where there is something to build; whether it worked.
    pub(crate) async fn build(&self) -> Result<bool> {
        let Some(build) = &self.project.build else { return Ok(true) };
        // This side's stdout is the application's.
        let output = stderr().as_fd().try_clone_to_owned().context("stderr is closed")?;
        let mut child = Command::new("sh")
            .args(["-c", build])
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .stdout(output)
            .process_group(0)
            .spawn()
            .context("the build could not be started")?;
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
        let status = child.wait().await.context("the build cannot be waited for")?;
        // What it left running is meant to.
        group.0 = None;
        Ok(status.success())
    }

    /// Looks what is there now; from then on changes are heard.
    pub(crate) async fn look(&mut self) -> Result<()> {
        if self.project.build.is_some() {
            // First: a build that failed may have left nothing to send, and is to be mended.
            loop {
                let all = self.all.look().await?;
                let folders: Vec<PathBuf> = self.all.folders(&all).collect();
                self.project_seen = Some(all);
                if !self.watch.cover(folders.into_iter())? {
                    break;
                }
            }
        }
        if self.sent.is_empty() {
            self.sent = self.made()?;
        }
        loop {
            let mut seen = Vec::new();
            for source in &self.sent {
                seen.push(source.look().await?);
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

    /// Whether a change would be heard.
    pub(crate) fn hears(&self) -> bool {
        self.watch.covers()
    }

    /// What is sent, as it was seen last.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (&Source, &Here)> {
        self.sent.iter().zip(&self.seen)
    }

    fn made(&self) -> Result<Vec<Source>> {
        let mut made: Vec<Source> = Vec::new();
        let lines: Vec<_> = self.project.sync_lines().collect();
        for (at, sync) in self.project.sync().enumerate() {
            let options = Options {
                delete: sync.delete,
                exclude: sync.exclude.clone(),
                ignore_files: sync.ignore_files.unwrap_or(self.project.build.is_none()),
                ..Options::default()
            };
            let from = self.folder.join(&sync.from);
            let source = Source::new(&from, &Bytes::from(sync.to.as_str()), options, false)?;
            // Whether what is sent is a folder is known only now.
            if let Some(other) = made.iter().position(|other| other.way.collides(&source.way)) {
                let what = format!(
                    "Line {} of the project's file: {} goes to {}, where that of line {} goes.",
                    lines[at], sync.from, sync.to, lines[other]
                );
                return Err(Failure::usage(what, "Send a folder above both.").into());
            }
            made.push(source);
        }
        Ok(made)
    }

    /// Waits for a change that counts, and for the end of its burst.
    pub(crate) async fn changed(&mut self) {
        let Self { watch, counts, all, sent, seen, project_seen, project, .. } = self;
        if project.build.is_none() {
            let counts = |path: &Path| {
                let mut both = sent.iter().zip(&*seen);
                both.any(|(source, here)| source.counts(here, path))
            };
            return watch.changed(counts).await;
        }
        let root = &all.root;
        let matches = |path: &Path| match (&*counts, &*project_seen) {
            (Some(counts), _) => path
                .strip_prefix(root)
                .is_ok_and(|path| counts.matched_path_or_any_parents(path, false).is_ignore()),
            (None, Some(here)) => all.counts(here, path),
            (None, None) => true,
        };
        watch.changed(matches).await;
    }
}

/// What a build started, which ends with it where nobody waits for it any more: a shell's own end
/// would leave a compiler behind.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // All of it may have ended a moment ago.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads a project file.
pub(crate) async fn read(file: &Path) -> Result<Project> {
    let shown = file.display().to_string();
    let path = file.to_owned();
    let text = spawn_blocking(move || std::fs::read_to_string(path)).await?;
    let text = text.map_err(|error| {
        let what = format!("{shown} cannot be read: {error}.");
        Failure::usage(what, "`diyadm dev --init` writes one.")
    })?;
    super::project::parse(&text).map_err(|what| {
        Failure::usage(format!("{shown}: {what}."), "`diyadm dev --init` shows how one looks.")
            .into()
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use tokio::time::timeout;

    use super::*;
    use crate::dev::project::parse;

    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    /// Whether a change wakes. One that does is waited for; of one that does not it shows soon.
    async fn wakes(sources: &mut Sources<'_>, path: &str) -> bool {
        wakes_in(sources, path, Duration::from_secs(60)).await
    }

    async fn sleeps(sources: &mut Sources<'_>, path: &str) -> bool {
        !wakes_in(sources, path, Duration::from_millis(300)).await
    }

    async fn wakes_in(sources: &mut Sources<'_>, path: &str, patience: Duration) -> bool {
        fs::write(sources.folder.join(path), path).unwrap();
        timeout(patience, sources.changed()).await.is_ok()
    }

    fn folder(folders: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in folders {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        folder
    }

    const BUILT: &str = "\
        build: mkdir -p target && cat src/* > target/new && mv target/new target/app\n\
        sync:\n- from: target/app\n  to: /tmp/app\nrun: {command: /tmp/app}\n";

    #[test]
    fn a_project_is_built_of_what_is_watched_and_sends_what_was_built() {
        let folder = folder(&["src/deep", "docs"]);
        let root = folder.path();
        fs::write(root.join("src/a"), "a").unwrap();
        let text = format!("{BUILT}watch: [src, '*.conf']\n");
        let project = parse(&text).unwrap();
        block(async {
            let mut sources = Sources::new(root, &project).unwrap();
            assert!(!sources.hears());
            assert!(!sources.build().await.unwrap(), "cat cannot read a folder");
            fs::remove_dir(root.join("src/deep")).unwrap();
            assert!(sources.build().await.unwrap());
            sources.look().await.unwrap();
            assert!(sources.hears());
            let sent: Vec<_> = sources.sent().collect();
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].1.scan.entries.len(), 1);
            // What a build writes does not build, nor what nobody watches.
            assert!(sleeps(&mut sources, "target/app").await);
            assert!(sleeps(&mut sources, "docs/a").await);
            assert!(sleeps(&mut sources, "b").await);
            assert!(wakes(&mut sources, "src/b").await);
            assert!(wakes(&mut sources, "docs/a.conf").await);
            // A folder that is new is watched from the next look on.
            fs::create_dir(root.join("src/new")).unwrap();
            sources.changed().await;
            sources.look().await.unwrap();
            assert!(wakes(&mut sources, "src/new/c").await);
        });
    }

    #[test]
    fn without_a_list_everything_but_what_tools_write_is_watched() {
        let folder = folder(&["src", "target", "node_modules"]);
        let root = folder.path();
        fs::write(root.join(".gitignore"), "*.log\n").unwrap();
        fs::write(root.join("src/a"), "a").unwrap();
        let project = parse(BUILT).unwrap();
        block(async {
            let mut sources = Sources::new(root, &project).unwrap();
            assert!(sources.build().await.unwrap());
            sources.look().await.unwrap();
            for path in ["target/x", "node_modules/x", "a.log", "src/A.class"] {
                assert!(sleeps(&mut sources, path).await, "{path}");
            }
            assert!(wakes(&mut sources, "src/b").await && wakes(&mut sources, "README").await);
        });
    }

    #[test]
    fn a_build_that_failed_at_first_is_mended_by_a_change() {
        let folder = folder(&["src"]);
        let root = folder.path();
        let project = parse(BUILT).unwrap();
        block(async {
            let mut sources = Sources::new(root, &project).unwrap();
            assert!(!sources.build().await.unwrap(), "there is nothing in src");
            // There is nothing to send yet, and changes are heard all the same.
            assert!(sources.look().await.is_err() && sources.hears());
            assert!(wakes(&mut sources, "src/a").await);
            assert!(sources.build().await.unwrap());
            sources.look().await.unwrap();
            assert_eq!(sources.sent().count(), 1);
        });
    }

    #[test]
    fn two_that_go_to_one_place_are_told_by_their_lines() {
        let folder = folder(&["one", "two"]);
        let text = "run: {command: x}\nsync:\n- {from: one, to: /x/}\n- {from: two, to: /x/./}\n";
        let project = parse(text).unwrap();
        let mut sources = Sources::new(folder.path(), &project).unwrap();
        let error = block(sources.look()).unwrap_err().to_string();
        assert!(error.starts_with("Line 4 ") && error.contains("line 3 "), "{error}");
    }

    #[test]
    fn without_a_build_what_is_sent_is_watched() {
        let folder = folder(&["app/lib", "docs"]);
        let root = folder.path();
        fs::write(root.join("app/.gitignore"), "*.log\n").unwrap();
        let text = "sync:\n- from: app\n  to: /app\n  exclude: ['*.tmp']\nrun: {command: x}\n";
        let project = parse(text).unwrap();
        block(async {
            let mut sources = Sources::new(root, &project).unwrap();
            assert!(sources.build().await.unwrap(), "there is none");
            sources.look().await.unwrap();
            for path in ["docs/a", "app/a.log", "app/lib/a.tmp"] {
                assert!(sleeps(&mut sources, path).await, "{path}");
            }
            assert!(wakes(&mut sources, "app/lib/a").await);
        });
    }
}
