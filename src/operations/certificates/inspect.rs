//! `diyadm init --inspect`: certificates, and whether the key belongs to them.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    exit::{Failure, Topic},
    kubernetes::{CONFIGURATION, Cluster},
    operations::{
        files,
        webhook_names::{self, WebhookNames},
        webhook_secret,
    },
    pki::{self, Facts, KeyFault},
    ui::text,
};

/// The content of the webhook's Secret.
pub(crate) async fn inspect_secret(cluster: &Cluster, names: &WebhookNames) -> Result<Vec<Facts>> {
    let resolved = webhook_names::resolve(cluster, names, &CONFIGURATION).await?.names;
    let secret = webhook_secret::demand(cluster, &resolved).await?;
    let facts = pki::inspect(&secret.server_crt, Some(&secret.server_key));
    facts.map_err(|error| unreadable(&format!("Secret {}", names.secret), &error).into())
}

/// The content of a file, or of server.crt in a folder.
pub(crate) fn inspect_path(path: &Path) -> Result<Vec<Facts>> {
    let facts =
        if path.is_dir() { inspect_file(&path.join("server.crt")) } else { inspect_file(path) };
    facts.map_err(|error| unreadable(&path.display().to_string(), &error).into())
}

fn unreadable(whose: &str, error: &anyhow::Error) -> Failure {
    let key = error.downcast_ref::<KeyFault>().and_then(|fault| fault.hint("server.key"));
    let other = "Use a PEM file, the folder of `diyadm init --out DIR`, or `secret`.";
    Failure::usage(
        Topic::Certificates,
        format!("{whose}: {error}."),
        key.unwrap_or_else(|| other.to_owned()),
    )
}

/// The content of a file, compared with the key in it, else with the key next to it: server.key for
/// server.crt.
fn inspect_file(file: &Path) -> Result<Vec<Facts>> {
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

/// One line for each property.
pub(crate) fn text(facts: &[Facts]) -> String {
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
