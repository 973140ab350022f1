//! From the flags to certificates: reads csr.conf, makes the keys, issues.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;

use super::{files, terminal::Terminal};
use crate::{
    cli::{
        Names,
        init::{Certificates, Key},
    },
    exit::Failure,
    manifests,
    pki::{self, Bundle, KeyKind, Request, Terms},
};

/// Taken up where it is.
const HERE: &str = "csr.conf";

/// Makes new certificates as the flags ask: from `--csr-conf`, else ./csr.conf, else the one
/// that is built in. The CA's key is gone when this returns.
pub(super) fn issue(names: &Names, flags: &Certificates) -> Result<Bundle> {
    if flags.days > flags.ca_days {
        let what = format!(
            "A certificate of {} days would outlive its CA of {} days.",
            flags.days, flags.ca_days
        );
        let hint = format!("Type `--ca-days {}`, or more.", flags.days);
        return Err(Failure::usage(what, hint).into());
    }
    let (file, text) = csr_conf(names, flags)?;
    let request = Request::parse(&file, &text).map_err(|error| {
        Failure::usage(
            format!("{error:#}"),
            format!("Mend {file}, or name another: `--csr-conf FILE`."),
        )
    })?;
    let kind = match flags.key {
        Some(Key::Rsa2048) => KeyKind::Rsa(2048),
        Some(Key::Rsa4096) => KeyKind::Rsa(4096),
        Some(Key::P256) => KeyKind::P256,
        None => request.key_kind(),
    };
    let terms = Terms {
        now: now()?,
        days: flags.days,
        ca_days: flags.ca_days,
        service: names.service.clone(),
        namespace: names.namespace.clone(),
    };
    pki::issue(&request, &terms, &pki::generate_key(kind)?, &pki::generate_key(kind)?)
}

/// The name and text of the csr.conf that counts.
fn csr_conf(names: &Names, flags: &Certificates) -> Result<(String, String)> {
    let here = Path::new(HERE);
    let file = match &flags.csr_conf {
        Some(file) => file.as_path(),
        None if here.exists() => here,
        None => {
            let text = manifests::csr_conf(&names.service, &names.namespace);
            return Ok(("the built-in csr.conf".to_owned(), text));
        }
    };
    let text = files::text(file).map_err(|error| {
        Failure::usage(
            format!("{} could not be read: {error}.", file.display()),
            "Name a readable file, or - for the standard input: `--csr-conf FILE`.",
        )
    })?;
    Ok((file.display().to_string(), text))
}

/// Says so where a csr.conf is taken up that nobody named.
pub(super) fn tell_source(terminal: &Terminal, flags: &Certificates) {
    if flags.csr_conf.is_none() && Path::new(HERE).exists() {
        terminal.say("The certificates are made from csr.conf in this folder.");
    }
}

/// Seconds since 1970.
pub(super) fn now() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}
