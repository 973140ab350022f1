//! `diyadm check --manifest FILE [--fix]`: checks and fixes the API server's static Pod.

use std::{
    fs::{self, File},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    exit::{Failure, Topic},
    kubernetes::DryRun,
    operations::{
        certificates, files,
        flags::check::CheckArgs,
        staged_files::{self, NewFolders, Staged, unwritable},
    },
    platform::files::{copy_mode, copy_ownership},
    report::ReportFormat,
    ui::terminal::{self, Terminal},
    webhook::checks::{Finding, static_pod},
};

pub(crate) fn check(terminal: &Terminal, args: &CheckArgs, file: &Path) -> Result<Vec<Finding>> {
    let shown = file.display();
    if args.fix && file == Path::new("-") && args.dry_run.mode.is_none() {
        let what = "A manifest from the standard input cannot be written back.";
        return Err(Failure::usage(
            Topic::CommandLine,
            what,
            "Use --dry-run=client, or give the name of the file.",
        )
        .into());
    }
    if args.dry_run.mode == Some(DryRun::Server) {
        let what = "--manifest contacts no API server, so --dry-run=server is not supported.";
        return Err(Failure::usage(Topic::CommandLine, what, "Use --dry-run=client.").into());
    }
    let text = files::text(file).map_err(|error| {
        let hint = "Use the API server's static Pod with --manifest FILE, as a user who may read \
                    it.";
        Failure::usage(Topic::LocalFile, format!("{shown} could not be read: {error}."), hint)
    })?;
    let refuse = |why: String| {
        let hint = "Add MutatingAdmissionWebhook,ValidatingAdmissionWebhook to \
                    --enable-admission-plugins by hand.";
        Failure::usage(Topic::Manifest, format!("{shown} was left as it is: {why}."), hint)
    };
    if args.fix {
        match static_pod::fix(&text).map_err(refuse)? {
            None => terminal.say("Nothing to do: both plugins are enabled by name."),
            Some(fixed) if args.dry_run.mode.is_some() => {
                let changes = changes(&text, &fixed);
                let mut findings = static_pod::findings(&fixed).map_err(refuse)?;
                if args.output == ReportFormat::Text {
                    terminal::print_text(&changes)?;
                } else {
                    // Output for machines is one document.
                    findings.push(Finding::ok("fix", changes.trim_end()));
                }
                return Ok(findings);
            }
            Some(fixed) => {
                let backup = replace(file, &text, &fixed, args.backup.as_deref())?;
                terminal.done(
                    &format!("{shown} was changed; the kubelet restarts the API server"),
                    None,
                );
                terminal.say(&format!(
                    "  The old file is {0}; undo the change with `cp {0} {shown}`.",
                    backup.display()
                ));
                return Ok(static_pod::findings(&fixed).map_err(refuse)?);
            }
        }
    }
    let unread = |why: String| {
        let hint = "Use the API server's static Pod with --manifest FILE.";
        Failure::usage(Topic::Manifest, format!("{shown} could not be checked: {why}."), hint)
    };
    Ok(static_pod::findings(&text).map_err(unread)?)
}

/// Removed and added lines.
fn changes(old: &str, new: &str) -> String {
    let lines = |text: &str| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
    let (old, new) = (lines(old), lines(new));
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("-{line}\n"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+{line}\n"));
    gone.chain(come).collect()
}

/// The real path of an existing or future folder, with symbolic links of existing parts resolved.
fn real(folder: &Path) -> Result<PathBuf> {
    let folder = std::path::absolute(folder)?;
    let there = folder.ancestors().find(|ancestor| ancestor.exists());
    let there = there.context("the file system has no root")?;
    let rest = folder.strip_prefix(there)?;
    anyhow::ensure!(
        rest.components().all(|part| matches!(part, Component::Normal(_))),
        "{} goes up from a folder that does not exist",
        folder.display()
    );
    Ok(there.canonicalize()?.join(rest))
}

/// The folders of a file: its own, and those of symbolic links to it. The kubelet may watch any of
/// them.
fn folders(file: &Path) -> Result<Vec<PathBuf>> {
    let mut at = std::path::absolute(file)?;
    let mut folders = Vec::new();
    loop {
        let folder = at.parent().context("a file is in a folder")?.canonicalize()?;
        let target = fs::read_link(&at);
        folders.push(folder.clone());
        match target {
            // The limit of Linux.
            Ok(target) if folders.len() <= 40 => at = folder.join(target),
            _ => return Ok(folders),
        }
    }
}

/// Replaces the file by `new`, and keeps the old one outside the folder: the kubelet runs every
/// file in the folder, except those whose names start with a dot.
fn replace(file: &Path, old: &str, new: &str, backup: Option<&Path>) -> Result<PathBuf> {
    let folders = folders(file)?;
    let file = file.canonicalize()?;
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        let what = format!("{} is not a file.", file.display());
        return Err(
            Failure::usage(Topic::LocalFile, what, "Use the path of the file itself.").into()
        );
    };
    let default_folder = folder.parent().unwrap_or(folder).join("diyadm-backup");
    let backups = backup.map_or(default_folder, Path::to_owned);
    let backed = real(&backups)?;
    if folders.iter().any(|folder| backed.starts_with(folder)) {
        let what = format!("The kubelet would run a backup in {}.", backups.display());
        return Err(Failure::usage(
            Topic::LocalFile,
            what,
            "Use another folder with --backup DIR.",
        )
        .into());
    }
    let flag = "--backup DIR";
    let mut made =
        NewFolders::create(&backups).map_err(|error| unwritable(&backups, &error, flag))?;
    let meta = fs::metadata(&file)?;
    let alike = |file: &File| copy_mode(&meta, file);
    let name = name.to_string_lossy();
    let kept = backups.join(format!("{name}.{}", certificates::now()?));
    staged_files::create(&kept, old, 0o600)
        .and_then(|file| alike(&file))
        .map_err(|error| unwritable(&kept, &error, flag))?;
    let replaced = || {
        let staged = Staged::new(&file, new, 0o600)?;
        alike(&staged.file)?;
        copy_ownership(&File::open(&file)?, &staged.file)?;
        staged.place()
    };
    match replaced() {
        Ok(()) => {
            made.keep();
            Ok(kept)
        }
        Err(error) => {
            // An unchanged file needs no copy.
            let _ = fs::remove_file(&kept);
            let what =
                format!("{} was left as it is: it cannot be written: {error}.", file.display());
            Err(Failure::usage(
                Topic::LocalFile,
                what,
                "Run it as root, where there is space: `df -h`.",
            )
            .into())
        }
    }
}
