//! `diyadm render`: prints the webhook's manifests, including its CA, or writes a base for
//! kustomize with them.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::runtime;
use crate::{
    cli::Global,
    exit::{Code, Failure, Topic},
    kubernetes::{CONFIGURATION, Cluster},
    operations::{
        files,
        flags::render::{Mode, RenderArgs, RenderFormat},
        outcomes::Outcomes,
        staged_files::{NewFolders, Staged, unwritable},
        webhook_names, webhook_secret, webhook_settings,
    },
    pki,
    ui::terminal::{self, Terminal},
    webhook::manifests::{self, Settings},
};

pub(super) fn run(global: &Global, args: &RenderArgs) -> Result<Code> {
    let (settings, mut objects) = match args.webhook.mode {
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
            let objects = manifests::webhook(&settings)?;
            (settings, objects)
        }
        Mode::Policy => {
            let (settings, rules) = webhook_settings::policy(&args.names, &args.webhook)?;
            let objects = webhook_settings::policy_objects(&settings, rules)?;
            (settings, objects)
        }
    };
    objects.extend(webhook_settings::expire_objects(&settings, args)?);
    let text = match (args.output, &args.out) {
        (RenderFormat::Kustomize, Some(folder)) => {
            write_base(&Terminal::new(&global.terminal), args, &objects, folder)?;
            return Ok(Code::Done);
        }
        (RenderFormat::Yaml, None) => manifests::to_yaml(&objects)?,
        (RenderFormat::Json, None) => {
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
            format!("{list:#}\n")
        }
        // clap demands --out for kustomize.
        (RenderFormat::Yaml | RenderFormat::Json | RenderFormat::Kustomize, _) => {
            let what = "--out is for a base of kustomize.";
            return Err(Failure::usage(Topic::CommandLine, what, "Add `-o kustomize`.").into());
        }
    };
    terminal::print(&text)?;
    Ok(Code::Done)
}

/// Writes `kustomization.yaml` and one file with the objects; replaces older ones.
fn write_base(
    terminal: &Terminal,
    args: &RenderArgs,
    objects: &[Value],
    folder: &Path,
) -> Result<()> {
    const FLAG: &str = "--out DIR";
    let resources = match args.webhook.mode {
        Mode::Webhook => "webhook.yaml",
        Mode::Policy => "policy.yaml",
    };
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [resources],
    });
    let texts = [
        (resources, manifests::to_yaml(objects)?),
        ("kustomization.yaml", manifests::to_yaml(&[kustomization])?),
    ];
    let mut new = NewFolders::create(folder).map_err(|error| unwritable(folder, &error, FLAG))?;
    let mut outcomes = Outcomes::new(terminal, None);
    for (name, text) in texts {
        let path = folder.join(name);
        let outcome = if path.exists() { "replaced" } else { "created" };
        let written = Staged::new(&path, &text, 0o644).and_then(Staged::place);
        written.map_err(|error| unwritable(&path, &error, FLAG))?;
        new.keep();
        outcomes.add("File", "", &path.display().to_string(), outcome);
    }
    Ok(())
}

/// A PEM file, or ca.crt in a folder.
fn read_ca(path: &Path) -> Result<String> {
    let file = if path.is_dir() { path.join("ca.crt") } else { path.to_owned() };
    let hint = "Create one with `diyadm init --out DIR`, then run `diyadm render --ca DIR`.";
    let failed =
        |why: &str| Failure::usage(Topic::Certificates, format!("{}{why}.", file.display()), hint);
    let text = files::text(&file).map_err(|why| failed(&format!(" could not be read: {why}")))?;
    match pki::inspect(text.as_bytes(), None) {
        Ok(_) => Ok(text),
        Err(error) => Err(failed(&format!(": {error:#}")).into()),
    }
}
