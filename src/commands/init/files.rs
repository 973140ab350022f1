//! `diyadm init --out DIR`: ca.crt, server.crt and server.key in a folder, no cluster needed.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Result;

use crate::{
    cli::init::Init,
    commands::{
        certificates::{self, Asked},
        names,
        outcome::Outcomes,
        terminal::Terminal,
    },
    exit::{Code, Failure},
    pki::{self, Fault},
};

const FILES: [&str; 3] = ["ca.crt", "server.crt", "server.key"];

pub(super) fn write(terminal: &Terminal, args: &Init, dir: &Path) -> Result<Code> {
    names::check_labelled(&args.names)?;
    let hint = "Replace them with --force, or name another folder.";
    let there = FILES.iter().filter(|name| dir.join(name).exists()).count();
    if there > 0 && there < FILES.len() && !args.force {
        let what = format!("{} holds some of the files already.", dir.display());
        return Err(Failure::no(what, hint).into());
    }
    let asked = Asked::read(&args.names, &args.certificates)?;
    if there == FILES.len() {
        let [ca, crt, key] = FILES.map(|name| fs::read(dir.join(name)));
        let (ca, crt, key) = (ca?, crt?, key?);
        let host = args.names.host();
        let verdict = pki::verify(&ca, &crt, Some(&key), &host, certificates::now()?);
        let differs = verdict.and_then(|facts| match asked.difference(&ca, &crt) {
            Some(difference) => Err(Fault::Other(difference)),
            None => Ok(facts),
        });
        match differs {
            Ok(facts) => {
                let what = format!("Nothing to do: {} has them already.", dir.display());
                terminal.say(&what);
                return tell(terminal, args, dir, "unchanged", &facts);
            }
            Err(fault) if !args.force => {
                let what = format!("{} holds other certificates: {fault}.", dir.display());
                return Err(Failure::no(what, hint).into());
            }
            Err(_) => {}
        }
    }
    certificates::tell_source(terminal, &args.certificates);
    let bundle = asked.issue()?;
    let unwritable = |path: &Path, error: &io::Error| {
        let what = format!("{} cannot be written: {error}.", path.display());
        Failure::usage(what, "Name a folder that you may write to: `--out DIR`.")
    };
    fs::create_dir_all(dir).map_err(|error| unwritable(dir, &error))?;
    let texts = [&bundle.ca_crt, &bundle.server_crt, &bundle.server_key];
    // All are written beside their names first, so that a full disk leaves the old ones whole.
    for (name, text) in FILES.iter().zip(texts) {
        let mode = if *name == "server.key" { 0o600 } else { 0o644 };
        let new = dir.join(format!(".{name}.new"));
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(unwritable(&new, &error).into());
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&new)
            .map_err(|error| unwritable(&new, &error))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
    }
    for name in FILES {
        fs::rename(dir.join(format!(".{name}.new")), dir.join(name))?;
    }
    let facts = pki::inspect(bundle.server_crt.as_bytes(), None)?.swap_remove(0);
    tell(terminal, args, dir, if there > 0 { "replaced" } else { "created" }, &facts)
}

fn tell(
    terminal: &Terminal,
    args: &Init,
    dir: &Path,
    outcome: &'static str,
    facts: &pki::Facts,
) -> Result<Code> {
    let mut outcomes = Outcomes::new(terminal, None);
    for name in FILES {
        outcomes.add("File", "", &dir.join(name).display().to_string(), outcome);
    }
    outcomes.print(args.output, Some(facts))?;
    Ok(Code::Done)
}
