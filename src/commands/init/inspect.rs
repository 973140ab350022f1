//! `diyadm init --inspect`: prints certificates, and whether the key belongs to them.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    cli::{Global, init::Init},
    commands::runtime,
    exit::{Code, Failure},
    kubernetes::{CONFIGURATION, Cluster},
    operations::{files, outcomes, webhook_names, webhook_secret},
    pki::{self, Facts, KeyFault},
    ui::{terminal, text},
};

pub(super) fn run(global: &Global, args: &Init, what: &Path) -> Result<Code> {
    let (facts, whose) = if what == Path::new("secret") {
        let secret = runtime::run("", async {
            let cluster = Cluster::connect(&global.connection).await?;
            let names = webhook_names::resolve(&cluster, &args.names, &CONFIGURATION).await?.names;
            webhook_secret::demand(&cluster, &names).await
        })?;
        let facts = pki::inspect(&secret.server_crt, Some(&secret.server_key));
        (facts, format!("Secret {}", args.names.secret))
    } else if what.is_dir() {
        (of_file(&what.join("server.crt")), what.display().to_string())
    } else {
        (of_file(what), what.display().to_string())
    };
    let facts = facts.map_err(|error| {
        let key = error.downcast_ref::<KeyFault>().and_then(|fault| fault.hint("server.key"));
        let other = "Use a PEM file, the folder of `diyadm init --out DIR`, or `secret`.";
        Failure::usage(format!("{whose}: {error}."), key.unwrap_or_else(|| other.to_owned()))
    })?;
    match args.output {
        Some(output) => outcomes::print(output, &facts)?,
        None => terminal::print_text(&text(&facts))?,
    }
    Ok(Code::Done)
}

/// The content of a file, compared with the key in it, else with the key next to it: server.key for
/// server.crt.
fn of_file(file: &Path) -> Result<Vec<Facts>> {
    let pem = files::bytes(file)?;
    let holds_key = String::from_utf8_lossy(&pem).contains("PRIVATE KEY-----");
    let key_file = file.with_extension("key");
    let key = if holds_key {
        Some(pem.clone())
    } else if key_file != file && key_file.is_file() && file != Path::new("-") {
        Some(fs::read(&key_file).with_context(|| key_file.display().to_string())?)
    } else {
        None
    };
    pki::inspect(&pem, key.as_deref())
}

fn text(facts: &[Facts]) -> String {
    let mut lines = Vec::new();
    for (at, facts) in facts.iter().enumerate() {
        if at > 0 {
            lines.push(String::new());
        }
        let key = match facts.key_matches {
            Some(true) => "belongs to the certificate",
            Some(false) => "belongs to another certificate",
            None => "was not checked",
        };
        let rows = [
            ("subject", facts.subject.as_str()),
            ("issuer", &facts.issuer),
            ("names", &facts.sans.join(", ")),
            ("valid from", &pki::rfc3339(facts.not_before)),
            ("valid until", &pki::rfc3339(facts.not_after)),
            ("sha256", &facts.fingerprint),
            ("key", key),
        ];
        lines.extend(rows.map(|(name, value)| format!("{name:<12} {value}")));
    }
    text::lines(lines)
}
