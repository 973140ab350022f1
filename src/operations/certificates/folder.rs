//! `diyadm init --out DIR`: writes ca.crt, server.crt and server.key to a folder, without a
//! cluster.
//!
//! The folder is locked from the first check to the last file, so that concurrent commands leave
//! one consistent set.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use anyhow::{Context, Result};

use super::{RequestedCertificates, now, print_source};
use crate::{
    exit::{Failure, Topic, quoted},
    operations::{
        flags::init::InitArgs,
        outcomes::Outcomes,
        staged_files::{NewFolders, Staged, unwritable},
        webhook_names,
    },
    pki::{self, Facts, Fault, KeyFault},
    platform::files::lock_folder,
    ui::terminal::Terminal,
};

/// With their modes. The key is moved to its place last.
const FILES: [(&str, u32); 3] = [("ca.crt", 0o644), ("server.crt", 0o644), ("server.key", 0o600)];
const FLAG: &str = "--out DIR";

pub(crate) fn write(terminal: &Terminal, args: &InitArgs, dir: &Path) -> Result<()> {
    webhook_names::check_labelled(&args.names)?;
    let asked = RequestedCertificates::from_flags(terminal, &args.names, &args.certificates)?;
    let issue = || {
        print_source(terminal, &args.certificates);
        asked.issue()
    };
    // An invalid csr.conf leaves no folder.
    let early = if dir.exists() { None } else { Some(issue()?) };
    let mut folder = Folder::lock(dir).map_err(|error| unwritable(dir, &error, FLAG))?;
    let outcome = match compare(args, &asked, dir)? {
        Present::Good(facts) => {
            folder.new.keep();
            terminal.say(&format!("Nothing to do: {} already has them.", dir.display()));
            return print_outcome(terminal, args, dir, "unchanged", &facts);
        }
        Present::Replaceable => "replaced",
        Present::Nothing => "created",
    };
    let bundle = early.map_or_else(issue, Ok)?;
    let facts = pki::inspect(bundle.server_crt.as_bytes(), None)?.swap_remove(0);
    let texts = [&bundle.ca_crt, &bundle.server_crt, &bundle.server_key];
    let staged = FILES.iter().zip(texts).map(|((name, mode), text)| {
        let path = dir.join(name);
        let staged = Staged::new(&path, text, *mode);
        staged.map(|staged| (path.clone(), staged)).map_err(|e| unwritable(&path, &e, FLAG))
    });
    // All files are written before the first one gets its name.
    let staged = staged.collect::<Result<Vec<_>, _>>()?;
    folder.new.keep();
    for (path, staged) in staged {
        staged.place().map_err(|error| unwritable(&path, &error, FLAG))?;
    }
    print_outcome(terminal, args, dir, outcome, &facts)
}

/// The state of the folder.
enum Present {
    Nothing,
    /// The requested files.
    Good(Facts),
    /// Other files, with --force.
    Replaceable,
}

fn compare(args: &InitArgs, asked: &RequestedCertificates<'_>, dir: &Path) -> Result<Present> {
    let hint = "Replace them with --force, or use another folder.";
    let present = FILES.iter().filter(|(name, _)| dir.join(name).exists()).count();
    if present == 0 {
        return Ok(Present::Nothing);
    }
    if present < FILES.len() {
        if args.force {
            return Ok(Present::Replaceable);
        }
        let what = format!("{} already has some of the files.", dir.display());
        return Err(Failure::no(Topic::Certificates, what, hint).into());
    }
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))
    };
    let [ca, crt, key] = FILES.map(|(name, _)| read(name));
    let (ca, crt, key) = (ca?, crt?, key?);
    let verdict = pki::verify(&ca, &crt, Some(&key), &args.names.host(), now()?);
    let differs = verdict.and_then(|facts| match asked.difference(&ca, &crt) {
        Some(difference) => Err(Fault::Other(difference)),
        None => Ok(facts),
    });
    match differs {
        Ok(facts) => Ok(Present::Good(facts)),
        Err(_) if args.force => Ok(Present::Replaceable),
        Err(fault) => {
            let what = format!("{} has other certificates: {fault}.", dir.display());
            let key = quoted(&dir.join("server.key").display().to_string());
            let decrypt = match fault {
                Fault::KeyEncrypted => KeyFault::Encrypted.hint(&key),
                _ => None,
            };
            Err(Failure::no(Topic::Certificates, what, decrypt.unwrap_or_else(|| hint.to_owned()))
                .into())
        }
    }
}

/// A locked folder.
struct Folder {
    new: NewFolders,
    /// Dropping it releases the lock.
    _lock: Option<File>,
}

impl Folder {
    /// Creates it if necessary, and waits for other writers.
    fn lock(dir: &Path) -> io::Result<Self> {
        let new = NewFolders::create(dir)?;
        Ok(Self { new, _lock: lock_folder(dir)? })
    }
}

fn print_outcome(
    terminal: &Terminal,
    args: &InitArgs,
    dir: &Path,
    outcome: &'static str,
    facts: &Facts,
) -> Result<()> {
    let mut outcomes = Outcomes::new(terminal, None);
    for (name, _) in FILES {
        outcomes.add("File", "", &dir.join(name).display().to_string(), outcome);
    }
    outcomes.print(args.output, Some(facts))
}
