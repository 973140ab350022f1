//! `diyadm version`: the versions of this program, of the cluster and of its webhooks, as kubectl
//! prints its own. What cannot be read is left out, with a warning.

use std::fmt::Write as _;

use anyhow::Result;

use super::runtime;
use crate::{
    cli::{Global, version::Version},
    exit::{self, Code},
    kubernetes::Cluster,
    operations::{
        outcomes,
        versions::{ClientVersion, Versions, WebhookVersion, observe},
    },
    ui::terminal,
    version::{OWN, skew},
};
use diyadm_agent::protocol::PROTOCOL;

pub(super) fn run(global: &Global, args: &Version) -> Result<Code> {
    let client_version = ClientVersion { build: OWN, agent_protocol: PROTOCOL };
    let mut versions = Versions { client_version, server_version: None, webhooks: Vec::new() };
    if !args.client {
        let seen = async {
            let cluster = Cluster::connect(&global.connection).await?;
            observe(&cluster).await
        };
        match runtime::run_interruptible("", seen) {
            Ok((server, webhooks)) => {
                versions.server_version = Some(server);
                versions.webhooks = webhooks;
            }
            Err(error) if exit::code(&error) == Code::Interrupted => return Err(error),
            Err(error) => exit::warn(&format!("The cluster's version is unknown: {error:#}")),
        }
    }
    match args.output {
        Some(output) => outcomes::print(output, &versions)?,
        None => terminal::print_text(&text(&versions))?,
    }
    versions.webhooks.iter().filter_map(warning).for_each(|what| exit::warn(&what));
    Ok(Code::Done)
}

fn text(versions: &Versions) -> String {
    let ClientVersion { build, agent_protocol } = &versions.client_version;
    let mut text = format!("Client Version: {}\n", build.git_version);
    if let Some(commit) = build.git_commit {
        let _ = writeln!(text, "Client Commit: {commit}");
    }
    let _ = writeln!(text, "Agent Protocol: {agent_protocol}");
    if let Some(server) = &versions.server_version {
        let version = server["gitVersion"].as_str().unwrap_or("unknown");
        let _ = writeln!(text, "Server Version: {version}");
    }
    for webhook in &versions.webhooks {
        let version = webhook.git_version().unwrap_or("unknown");
        let _ = writeln!(text, "Webhook Version: {version} ({})", webhook.name);
    }
    text
}

fn warning(webhook: &WebhookVersion) -> Option<String> {
    let problem = webhook.problem.clone();
    let skewed = || skew(OWN.git_version, webhook.git_version()?);
    Some(format!("Webhook {}: {}.", webhook.name, problem.or_else(skewed)?))
}
