//! Compares a local file or folder with that in a container by content, and names the entries of a
//! jar that differ. Changes nothing there, and fetches at most the list of the jar's entries.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
};

use anyhow::{Error, Result};
use rawzip::FileReader;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::{
    pods::Pick,
    reach::Agent,
    session::Session,
    sync::{Here, Open, Options, PodCount, SyncSource, leads_out},
    trouble::refusal,
};
use crate::{
    exit::{Failure, Topic, quoted},
    platform::files,
};
use diyadm_agent::protocol::{
    Bytes, SentContent,
    transfer::{Entry, What},
};

mod archive;

/// What `diff -o json` prints.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Comparison {
    /// The Pod.
    pub(crate) pod: String,
    /// The container.
    pub(crate) container: String,
    /// The local file or folder.
    pub(crate) local: String,
    /// The path in the container.
    pub(crate) remote: String,
    /// Whether both have the same content.
    pub(crate) same: bool,
    /// What differs: files and links of a folder, or entries of an archive. Empty for a file that is
    /// no archive, for an archive whose entries are the same, and with an agent that cannot list them.
    pub(crate) differences: Vec<Difference>,
    /// Whether both are archives whose entries were compared.
    pub(crate) archive: bool,
    /// What was sent to this path last, as far as the agent knows.
    pub(crate) sent: Option<SentContent>,
}

/// A file, link or entry that is not the same on both sides.
#[derive(Clone, Debug, JsonSchema, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// Its path in the folder or archive.
    pub(crate) path: String,
    /// What differs.
    pub(crate) kind: DifferenceKind,
}

/// How an entry differs.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DifferenceKind {
    /// Both sides have it, with another content.
    Differs,
    /// Only the local side has it.
    LocalOnly,
    /// Only the container has it.
    RemoteOnly,
}

/// Compares `local` with `remote`; without it, with the path that it was sent to.
///
/// # Errors
/// Nothing can be compared: no emptied container runs, it has no agent, a file is missing or
/// unreadable.
pub(crate) async fn compare(
    session: &Session<'_>,
    local: &Path,
    remote: Option<Bytes>,
    options: Options,
) -> Result<Comparison> {
    let meta = local.metadata().map_err(|error| {
        let what = format!("{} cannot be read: {error}.", local.display());
        Failure::usage(Topic::LocalFile, what, "Use the path of a file or a folder.")
    })?;
    let pick = session.pick().await?;
    let mut agent = existing_agent(session, &pick).await?;
    let sent = session.list(&mut agent).await?.sent;
    drop(agent);
    let remote = match remote {
        Some(remote) => remote,
        None => sent_path(session, &sent, local, meta.is_dir())?,
    };
    let mut source = SyncSource::new(local, &remote, options, PodCount::One)?;
    let (mut agent, mut open) = begin(session, &pick, &source).await?;
    let is_folder = |entry: &Entry| matches!(entry.what, What::Folder | What::Link { .. });
    if open.there.first().is_some_and(is_folder)
        && let Some(inside) = source.inside()
    {
        source = inside;
        drop(agent);
        (agent, open) = begin(session, &pick, &source).await.map_err(not_a_folder(&remote))?;
    }
    let here = source.scan().await?;
    let target = source.way.target();
    let Pick { pod, container, .. } = pick.clone();
    let mut comparison = Comparison {
        pod,
        container,
        local: local.display().to_string(),
        remote: target.show(),
        same: false,
        differences: Vec::new(),
        archive: false,
        sent: sent.into_iter().find(|sent| sent.path == target),
    };
    let is_file = source.way.file.is_some();
    if !open.is_folder || is_file && open.there.is_empty() {
        let what = format!("There is no {} in {}.", comparison.remote, pick.shown());
        return Err(Failure::no(Topic::Transfer, what, name_the_path(session, local)).into());
    }
    check_readable(&here, &open.there)?;
    comparison.differences = differences(&here, &open.there);
    comparison.same = comparison.differences.is_empty();
    if is_file && !comparison.same {
        let file = File::open(source.library.at(&here.scan.entries[0].path))?;
        let entries = spawn_blocking(move || {
            let size = file.metadata().ok()?.len();
            archive::entries(&FileReader::from(file), size).ok()
        });
        let remote = match entries.await? {
            None => None,
            Some(local) => {
                let entries = archive::remote(&mut open, &mut agent.talk).await;
                let entries = entries.map_err(|trouble| session.explain(trouble))?;
                entries.map(|remote| (local, remote))
            }
        };
        comparison.differences = match &remote {
            Some((local, remote)) => compared(local, remote),
            None => Vec::new(),
        };
        comparison.archive = remote.is_some();
    }
    Ok(comparison)
}

/// The agent of a container. None is uploaded, since nothing was sent to a container without one.
async fn existing_agent(session: &Session<'_>, pick: &Pick) -> Result<Agent> {
    let (shown, typed) = (&session.target.shown, &session.target.typed);
    let flags = typed.strip_prefix(shown.as_str()).unwrap_or_default();
    session.existing_agent(pick).await?.ok_or_else(|| {
        let what = format!("{} has no agent, which compares the content.", pick.shown());
        let hint = format!(
            "`diyadm sync FILE {shown}:/PATH{flags}` or `diyadm run {typed} -- COMMAND` uploads one."
        );
        Failure::no(Topic::NoAgent, what, hint).into()
    })
}

/// Opens the target to list it with hashes.
async fn begin(session: &Session<'_>, pick: &Pick, source: &SyncSource) -> Result<(Agent, Open)> {
    let mut agent = existing_agent(session, pick).await?;
    match Open::begin(&mut agent.talk, source).await {
        Ok(open) => Ok((agent, open)),
        Err(trouble) => Err(session.explain(agent.blame(trouble).await)),
    }
}

/// The error for a link that does not lead to a folder: links are not followed.
fn not_a_folder(remote: &Bytes) -> impl FnOnce(Error) -> Error {
    let what = format!("{} is a symbolic link in the container.", remote.show());
    |error| match refusal(&error) {
        Some(_) => Failure::no(Topic::Transfer, what, "Use the path that it leads to.").into(),
        None => error,
    }
}

/// Where `local` was sent: to the only path of its type, or to the only one of its name.
fn sent_path(
    session: &Session<'_>,
    sent: &[SentContent],
    local: &Path,
    is_folder: bool,
) -> Result<Bytes> {
    let of_type: Vec<_> = sent.iter().filter(|sent| sent.files.is_some() == is_folder).collect();
    let name = local.file_name().map(files::path_bytes);
    let has_name =
        |sent: &&&SentContent| sent.path.0.rsplit(|byte| *byte == b'/').next() == name.as_deref();
    let of_name: Vec<_> = of_type.iter().filter(has_name).copied().collect();
    match (&of_type[..], &of_name[..]) {
        ([only], _) | (_, [only]) => Ok(only.path.clone()),
        _ => {
            let what = format!("It is not known where {} is in the container.", local.display());
            Err(Failure::usage(Topic::Transfer, what, name_the_path(session, local)).into())
        }
    }
}

fn name_the_path(session: &Session<'_>, local: &Path) -> String {
    let local = quoted(&local.display().to_string());
    format!("Name its path there: `diyadm diff {} {local} /PATH`.", session.target.typed)
}

/// Files without a hash could not be read.
fn check_readable(here: &Here, there: &[Entry]) -> Result<()> {
    if let Some(unread) = here.scan.unread.first() {
        return Err(Failure::usage(Topic::LocalFile, format!("{unread}."), "").into());
    }
    let is_unread = |entry: &&Entry| matches!(entry.what, What::File { hash: None, .. });
    if let Some(entry) = here.scan.entries.iter().find(is_unread) {
        return Err(Failure::usage(
            Topic::LocalFile,
            format!("{} cannot be read.", entry.path.show()),
            "",
        )
        .into());
    }
    if let Some(entry) = there.iter().filter(|entry| !here.keeps(entry)).find(is_unread) {
        let what = format!("The container's user may not read {}.", entry.path.show());
        return Err(Failure::no(Topic::Transfer, what, "").into());
    }
    Ok(())
}

/// The files and links that differ. Excluded ones, and links that are not sent, are not compared.
fn differences(here: &Here, there: &[Entry]) -> Vec<Difference> {
    let is_compared = |entry: &&Entry| !matches!(entry.what, What::Folder | What::Part);
    let unsent: BTreeSet<&Bytes> = here
        .scan
        .entries
        .iter()
        .filter(|entry| leads_out(entry))
        .map(|entry| &entry.path)
        .collect();
    let list = |entries: &mut dyn Iterator<Item = &Entry>| {
        let entries = entries.filter(is_compared).filter(|entry| !unsent.contains(&entry.path));
        entries.map(|entry| (entry.path.show(), entry.what.clone())).collect::<BTreeMap<_, _>>()
    };
    let local = list(&mut here.scan.entries.iter());
    compared(&local, &list(&mut there.iter().filter(|entry| !here.keeps(entry))))
}

/// What differs between two lists, by path.
fn compared<T: PartialEq>(
    local: &BTreeMap<String, T>,
    remote: &BTreeMap<String, T>,
) -> Vec<Difference> {
    let paths: BTreeSet<&String> = local.keys().chain(remote.keys()).collect();
    let kind = |path: &String| match (local.get(path), remote.get(path)) {
        (Some(one), Some(other)) if one == other => None,
        (Some(_), Some(_)) => Some(DifferenceKind::Differs),
        (Some(_), None) => Some(DifferenceKind::LocalOnly),
        (None, _) => Some(DifferenceKind::RemoteOnly),
    };
    let all = paths.into_iter();
    all.filter_map(|path| Some(Difference { path: path.clone(), kind: kind(path)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_compared_by_path() {
        let list = |entries: &[(&str, u8)]| {
            entries.iter().map(|(path, value)| ((*path).to_owned(), *value)).collect()
        };
        let local: BTreeMap<String, u8> = list(&[("a", 1), ("b", 1), ("d", 1)]);
        let remote = list(&[("a", 1), ("b", 2), ("c", 1)]);
        let found = compared(&local, &remote);
        let found: Vec<_> = found.iter().map(|one| (&one.path[..], one.kind)).collect();
        let expected = [
            ("b", DifferenceKind::Differs),
            ("c", DifferenceKind::RemoteOnly),
            ("d", DifferenceKind::LocalOnly),
        ];
        assert_eq!(found, expected);
        assert_eq!(compared(&local, &local), []);
    }
}
