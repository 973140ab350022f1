//! `diyadm render`: prints the webhook's manifests, including its CA.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::runtime;
use crate::{
    cli::Global,
    exit::{Code, Failure},
    kubernetes::{CONFIGURATION, Cluster},
    operations::{
        files,
        flags::{
            MachineFormat,
            render::{Mode, RenderArgs},
        },
        webhook_names, webhook_secret, webhook_settings,
    },
    pki,
    ui::terminal,
    webhook::manifests::{self, Settings},
};

pub(super) fn run(global: &Global, args: &RenderArgs) -> Result<Code> {
    let objects = match args.webhook.mode {
        Mode::Webhook => {
            // Flags are validated before the cluster is contacted.
            let settings = webhook_settings::settings(&args.names, &args.webhook)?;
            let settings = match &args.ca {
                Some(path) => Settings { ca_pem: read_ca(path)?, ..settings },
                None => runtime::run_interruptible("", async {
                    let cluster = Cluster::connect(&global.connection).await?;
                    let names =
                        webhook_names::resolve(&cluster, &args.names, &CONFIGURATION).await?.names;
                    let secret = webhook_secret::demand(&cluster, &names).await?;
                    let ca_pem = String::from_utf8(secret.ca_crt)?;
                    Ok(Settings { ca_pem, ..webhook_settings::with_names(settings, &names)? })
                })?,
            };
            manifests::webhook(&settings)?
        }
        Mode::Policy => {
            let (settings, rules) = webhook_settings::policy(&args.names, &args.webhook)?;
            webhook_settings::policy_objects(&settings, rules)?
        }
    };
    let text = match args.output {
        MachineFormat::Yaml => manifests::to_yaml(&objects)?,
        MachineFormat::Json => {
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
            format!("{list:#}\n")
        }
    };
    terminal::print(&text)?;
    Ok(Code::Done)
}

/// A PEM file, or ca.crt in a folder.
fn read_ca(path: &Path) -> Result<String> {
    let file = if path.is_dir() { path.join("ca.crt") } else { path.to_owned() };
    let hint = "Create one with `diyadm init --out DIR`, then run `diyadm render --ca DIR`.";
    let text = files::text(&file).map_err(|error| {
        Failure::usage(format!("{} could not be read: {error}.", file.display()), hint)
    })?;
    match pki::inspect(text.as_bytes(), None) {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::usage(format!("{}: {error:#}.", file.display()), hint).into()),
    }
}
