//! `diyadm init --out DIR` and `--inspect PATH`: certificates in files, no cluster needed.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};

use super::{certificates, terminal::Terminal};
use crate::{
    cli::{Global, init::Init},
    exit::{Code, Failure},
    pki,
};

const FILES: [&str; 3] = ["ca.crt", "server.crt", "server.key"];

pub(super) fn run(global: &Global, args: &Init) -> Result<Code> {
    match (&args.inspect, &args.out) {
        (Some(path), _) => inspect(path),
        (None, Some(dir)) => write(&Terminal::new(global), args, dir),
        (None, None) => Err(Failure::usage(
            "init needs to know where the certificates go.",
            "Type `diyadm init --out DIR`.",
        )
        .into()),
    }
}

fn write(terminal: &Terminal, args: &Init, dir: &Path) -> Result<Code> {
    if FILES.iter().all(|name| dir.join(name).exists()) && !args.force {
        let (service, namespace) = (&args.names.service, &args.names.namespace);
        let san = format!("DNS:{service}.{namespace}.svc");
        let facts = facts(dir);
        let fits = |f: &pki::Facts| f.sans.contains(&san) && f.key_matches == Some(true);
        if facts.is_ok_and(|facts| facts.first().is_some_and(fits)) {
            terminal.say(&format!("Nothing to do: {} has them already.", dir.display()));
            return Ok(Code::Done);
        }
        let what = format!("{} holds other certificates.", dir.display());
        return Err(Failure::no(what, "Replace them with --force, or name another folder.").into());
    }
    if FILES.iter().any(|name| dir.join(name).exists()) && !args.force {
        let what = format!("{} holds some of the files already.", dir.display());
        return Err(Failure::no(what, "Replace them with --force, or name another folder.").into());
    }
    let bundle = certificates::issue(&args.names, &args.certificates)?;
    fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    let texts = [&bundle.ca_crt, &bundle.server_crt, &bundle.server_key];
    // All are written beside their names first, so that a full disk leaves the old ones whole.
    for (name, text) in FILES.iter().zip(texts) {
        let mode = if *name == "server.key" { 0o600 } else { 0o644 };
        let new = dir.join(format!(".{name}.new"));
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("{} is in the way", new.display()));
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&new)
            .with_context(|| format!("{} cannot be written", new.display()))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
    }
    for name in FILES {
        fs::rename(dir.join(format!(".{name}.new")), dir.join(name))?;
    }
    terminal.done(&format!("wrote ca.crt, server.crt and server.key to {}", dir.display()), None);
    Ok(Code::Done)
}

/// What server.crt of a folder says, held against its key.
fn facts(dir: &Path) -> Result<Vec<pki::Facts>> {
    pki::inspect(&fs::read(dir.join("server.crt"))?, Some(&fs::read(dir.join("server.key"))?))
}

fn inspect(path: &Path) -> Result<Code> {
    let found = if path.is_dir() {
        facts(path)
    } else {
        fs::read(path).map_err(Into::into).and_then(|pem| pki::inspect(&pem, None))
    };
    let facts = found.map_err(|error| {
        Failure::usage(
            format!("{}: {error:#}.", path.display()),
            "Name a PEM file, or the folder of `diyadm init --out DIR`.",
        )
    })?;
    serde_json::to_writer_pretty(std::io::stdout(), &facts)?;
    println!();
    Ok(Code::Done)
}
