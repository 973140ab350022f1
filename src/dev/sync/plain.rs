//! A transfer without an agent: changed files are sent whole to a temporary folder, as an archive
//! or, without tar, file by file. Their checksums are verified there, and `mv` puts them in place.
//!
//! An agent does more: it sends only differences, continues after a lost connection, excludes other
//! transfers, and syncs to the disk.

use std::{collections::HashSet, io, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use openssl::rand::rand_bytes;
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    sync::mpsc,
    task::spawn_blocking,
    time::sleep,
};

use super::{
    Here, SyncOutcome, SyncSource,
    content::Library,
    plan::{ComparisonRules, SyncPlan, plan},
    progress::Progress,
    steps::Report,
};
use crate::{
    dev::trouble::Trouble,
    exit::{Failure, Topic},
    kubernetes::{Cluster, ContainerRef},
};
use diyadm_agent::protocol::{
    Bytes, hex,
    transfer::{Entry, Mtime, What},
};

mod feed;
mod run;
mod script;
mod sum;
#[cfg(test)]
mod tests;

use feed::{Going, Went, feed};
use run::{Reads, run_script};
use script::{Looked, Rest};
use sum::Tool;

/// Maximum number of pieces that wait for the network.
const WAITING: usize = 4;
/// How often to send a file again that changes while it is sent.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// A folder in a container, and the tools of its shell.
#[derive(Debug)]
pub(super) struct Plain {
    place: ContainerRef,
    root: String,
    /// The temporary folder, with a unique name.
    stage: String,
    tool: Tool,
    /// Whether there is a tool that reads an exact number of bytes.
    counts: bool,
    /// Whether there is also a tool that unpacks archives.
    archives: bool,
    /// Whether the path exists and is a folder.
    is_folder: bool,
    there: Vec<Entry>,
}

impl Plain {
    /// Lists the existing files. `before` is the temporary folder of a lost attempt.
    pub(super) async fn begin(
        cluster: &Cluster,
        place: ContainerRef,
        source: &SyncSource,
        before: Option<&str>,
    ) -> Result<Self> {
        let root = root(&source.way.root)?;
        let stage = name()?;
        let options = &source.options;
        let create = if options.dry_run { "0" } else { "1" };
        let only = source.way.file.as_ref().map(|(_, there)| there);
        // A file whose name does not fit into a request is sent anyway.
        let only = only.map_or(Some(""), |there| str::from_utf8(&there.0).ok());
        let words = ["look", &root, before.unwrap_or(&stage), create, only.unwrap_or(".")];
        let said =
            run_script(cluster, &place, &words, &source.way.root, Reads::Nothing, async |_| Ok(()));
        let said = said.await?;
        let lost = || Trouble::Lost("the list of files in the container is incomplete".to_owned());
        let Looked { tools, mut there } = script::looked(&said).ok_or_else(lost)?;
        let has = |tool: &str| tools.contains(tool);
        let needed = ["cat", "mkdir", "mv", "rm"].into_iter().find(|tool| !has(tool));
        let tool = match (has("sha256sum"), has("cksum")) {
            (true, _) => Ok(Tool::Sha256),
            (_, true) => Ok(Tool::Cksum),
            _ => Err("sha256sum"),
        };
        let (None, Ok(tool)) = (needed, tool) else {
            let lacks = needed.unwrap_or("sha256sum");
            return Err(lacking(lacks).into());
        };
        let looks = has("stat") && (has("find") || !only.unwrap_or_default().is_empty());
        if options.delete && !looks {
            let what = "Without find and stat, files in the container can be neither listed nor \
                        deleted.";
            return Err(Failure::no(
                Topic::NoAgent,
                what,
                "Run the same command without --delete.",
            )
            .into());
        }
        if options.checksum {
            // Existing files cannot be compared by content.
            for entry in &mut there {
                if matches!(entry.what, What::File { .. }) {
                    entry.mtime = Mtime { s: i64::MIN, ns: 0 };
                }
            }
        }
        let counts = has("head");
        let archives = counts && has("tar");
        let is_folder = has("folder");
        Ok(Self { place, root, stage, tool, counts, archives, is_folder, there })
    }

    /// Whether the path exists and is a folder.
    pub(super) fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// The files that existed.
    pub(super) fn there(&self) -> &[Entry] {
        &self.there
    }

    /// The temporary folder, for another attempt.
    pub(super) fn stage(&self) -> &str {
        &self.stage
    }

    /// Makes the remote files equal to the local ones.
    ///
    /// # Errors
    /// The first thing that cannot be done; a connection that is lost.
    pub(super) async fn bring(
        &mut self,
        cluster: &Cluster,
        source: &SyncSource,
        here: &Here,
        progress: &Progress,
    ) -> Result<SyncOutcome> {
        let delete = source.options.delete && here.scan.unread.is_empty();
        let all = &here.scan.entries;
        let plan = plan(all, &self.there, ComparisonRules { delete }, |entry| here.keeps(entry));
        if source.options.dry_run {
            return Ok(source.rehearse(plan));
        }
        progress.begin(plan.files.len() as u64, plan.bytes);
        let report = if is_empty(&plan) {
            Report::default()
        } else {
            self.send(cluster, source, &plan, progress).await?
        };
        self.there = here.after(std::mem::take(&mut self.there), delete);
        Ok(SyncOutcome { plan, report })
    }

    async fn send(
        &self,
        cluster: &Cluster,
        source: &SyncSource,
        plan: &SyncPlan,
        progress: &Progress,
    ) -> Result<Report> {
        let mut report = Report::default();
        let mut plan = plan.clone();
        let mut paths: Vec<Bytes> = plan.files.iter().map(|entry| entry.path.clone()).collect();
        for tried in 1.. {
            let (going, refused) = stat_files(&source.library, paths).await?;
            report.refused.extend(refused);
            let went = self.send_to_temporary_folder(cluster, source, &going, progress).await?;
            paths = went.came.iter().filter(|came| !came.whole).map(|c| c.path.clone()).collect();
            let last = paths.is_empty() || tried == TRIES;
            if last {
                let never = paths.iter().map(Bytes::show);
                let never = never.map(|path| format!("{path} keeps changing"));
                report.refused.extend(never);
            }
            if last && !report.refused.is_empty() {
                report.undeleted = !plan.delete.is_empty();
                plan.delete.clear();
            }
            let rest = Rest {
                plan: &plan,
                came: &went.came,
                sums: &went.sums,
                batch: if self.archives { feed::BATCH } else { 1 },
                settled: self.archives,
                first: tried == 1,
                last,
            };
            let said = self.finish(cluster, source, &script::script(&rest)).await?;
            report.unset.extend(script::unset(&said).iter().map(Bytes::show));
            for (file, _) in going.iter().zip(&went.came).filter(|(_, came)| came.whole) {
                report.files += 1;
                progress.file(file.size);
            }
            if last {
                report.deleted = (plan.clear.len() + plan.delete.len()) as u64;
                let unset: HashSet<_> = report.unset.iter().collect();
                let settled = plan.settle.iter().map(|entry| entry.path.show());
                let settled = settled.filter(|path| !unset.contains(path)).count();
                report.others = (plan.links.len() + settled) as u64;
                break;
            }
            sleep(PAUSE).await;
        }
        Ok(report)
    }

    /// Sends content into the temporary folder, each file under its number.
    async fn send_to_temporary_folder(
        &self,
        cluster: &Cluster,
        source: &SyncSource,
        going: &[Going],
        progress: &Progress,
    ) -> Result<Went> {
        let mut all = Went::default();
        if self.archives && !going.is_empty() {
            let length = feed::length(going).to_string();
            let words = ["archive", &self.root, &self.stage, &length];
            all = self.stream(cluster, source, &words, going, progress).await?;
        } else {
            for file in going.chunks(1) {
                let number = all.came.len().to_string();
                let length = if self.counts { file[0].size.to_string() } else { String::new() };
                let words = ["single", &self.root, &self.stage, &number, &length];
                let went = self.stream(cluster, source, &words, file, progress).await?;
                all.came.extend(went.came);
                all.sums.extend(went.sums);
            }
        }
        Ok(all)
    }

    async fn stream(
        &self,
        cluster: &Cluster,
        source: &SyncSource,
        words: &[&str],
        going: &[Going],
        progress: &Progress,
    ) -> Result<Went> {
        let (pieces, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
        let (library, going, archive, tool) =
            (Arc::clone(&source.library), going.to_vec(), self.archives, self.tool);
        let feeding = spawn_blocking(move || {
            feed(&library, &going, archive, tool, |piece| {
                pieces.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
            })
        });
        let sent = async |stdin: &mut DuplexStream| {
            while let Some(piece) = waiting.recv().await {
                stdin.write_all(&piece).await?;
                progress.wrote(piece.len());
                progress.part(piece.len() as u64);
            }
            Ok(())
        };
        let shown = self.shown(source);
        run_script(cluster, &self.place, words, &shown, self.reads(), sent).await?;
        drop(waiting);
        feeding.await?.context("a file could not be read")
    }

    async fn finish(
        &self,
        cluster: &Cluster,
        source: &SyncSource,
        script: &[u8],
    ) -> Result<Vec<u8>> {
        let length = if self.counts { script.len() } else { 0 }.to_string();
        let sum = self.tool.checksum(script);
        let words = ["finish", &self.root, &self.stage, self.tool.name(), &sum, &length];
        let sent = async |stdin: &mut DuplexStream| stdin.write_all(script).await;
        let shown = self.shown(source);
        run_script(cluster, &self.place, &words, &shown, self.reads(), sent).await
    }

    fn reads(&self) -> Reads {
        if self.counts { Reads::Counted } else { Reads::ToTheEnd }
    }

    /// The subject of an error.
    fn shown(&self, source: &SyncSource) -> Bytes {
        match &source.way.file {
            Some((_, there)) => {
                let root = self.root.trim_end_matches('/').as_bytes();
                Bytes([root, b"/", &there.0].concat())
            }
            None => Bytes(self.root.clone().into_bytes()),
        }
    }
}

/// Waits until a shell answers in the container.
pub(super) async fn answers(cluster: &Cluster, place: ContainerRef) -> Result<()> {
    let words = ["look", ".", "", "0", "."];
    let about = Bytes::default();
    run_script(cluster, &place, &words, &about, Reads::Nothing, async |_| Ok(())).await.map(drop)
}

fn is_empty(plan: &SyncPlan) -> bool {
    let SyncPlan { clear, folders, files, links, delete, settle, .. } = plan;
    let entries = [folders, files, links, settle];
    clear.is_empty() && delete.is_empty() && entries.iter().all(|all| all.is_empty())
}

/// Reads files; deleted ones are left to another sync.
async fn stat_files(
    library: &Arc<Library>,
    paths: Vec<Bytes>,
) -> Result<(Vec<Going>, Vec<String>)> {
    let library = Arc::clone(library);
    let look = move || {
        let (mut going, mut refused) = (Vec::new(), Vec::new());
        for path in paths {
            match Going::stat(&library, &path) {
                Ok(file) => going.push(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => refused.push(format!("{} cannot be read: {error}", path.show())),
            }
        }
        (going, refused)
    };
    Ok(spawn_blocking(look).await?)
}

/// The folder as a shell argument that cannot be mistaken for a flag.
fn root(root: &Bytes) -> Result<String> {
    let Ok(text) = str::from_utf8(&root.0) else {
        let what = format!("Without an agent, the file name {} is not supported.", root.show());
        return Err(
            Failure::no(Topic::Transfer, what, "Choose a folder whose name is UTF-8.").into()
        );
    };
    Ok(if text.starts_with('/') { text.to_owned() } else { format!("./{text}") })
}

fn name() -> Result<String> {
    let mut random = [0; 8];
    rand_bytes(&mut random)?;
    Ok(format!(".diyadm-{}.diyadm-part", hex(&random)))
}

fn lacking(tool: &str) -> Failure {
    Failure::no(
        Topic::NoAgent,
        format!("The container has neither an agent nor {tool}, so no files can be sent there."),
        "Empty it with `diyadm empty --idle agent`, which mounts the agent into any image.",
    )
}
