//! `diyadm render`: prints the webhook's manifests, including its CA.

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::runtime;
use crate::{
    cli::{
        Global,
        render::{Mode, Render, Webhook},
    },
    exit::{Code, Failure},
    kubernetes::{CONFIGURATION, Cluster},
    operations::{
        emptying_flags, files,
        flags::{Level, MachineFormat},
        webhook_names::{self, WebhookNames},
        webhook_secret,
    },
    pki,
    ui::terminal,
    webhook::{
        checks,
        manifests::{self, Settings},
    },
    workload::{self, Rules},
};

/// The port on which `serve` answers probes in the Pod of templates/webhook.yaml.
const HEALTH_PORT: u16 = 8080;

pub(super) fn run(global: &Global, args: &Render) -> Result<Code> {
    let objects = match args.webhook.mode {
        Mode::Webhook => {
            // Flags are validated before the cluster is contacted.
            let settings = settings(&args.names, &args.webhook)?;
            let settings = match &args.ca {
                Some(path) => Settings { ca_pem: read_ca(path)?, ..settings },
                None => runtime::run("", async {
                    let cluster = Cluster::connect(&global.connection).await?;
                    let names =
                        webhook_names::resolve(&cluster, &args.names, &CONFIGURATION).await?.names;
                    let secret = webhook_secret::demand(&cluster, &names).await?;
                    let ca_pem = String::from_utf8(secret.ca_crt)?;
                    Ok(Settings { ca_pem, ..resolved(settings, &names)? })
                })?,
            };
            manifests::webhook(&settings)?
        }
        Mode::Policy => {
            let (settings, rules) = policy(&args.names, &args.webhook)?;
            policy_objects(&settings, rules)?
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

/// The parameters of the policy's objects, which need no CA and no cluster.
///
/// # Errors
/// What a policy cannot do.
pub(super) fn policy(names: &WebhookNames, webhook: &Webhook) -> Result<(Settings, Rules)> {
    let mut rules =
        emptying_flags::flags(&webhook.ways, (names.webhook_namespace(), &names.service));
    let settings = settings(names, webhook)?;
    if let Some(text) = &settings.rules {
        rules.list =
            workload::parse_rules(text).map_err(|why| emptying_flags::unusable("--rules", &why))?;
    }
    policy_objects(&settings, rules.clone())?;
    Ok((settings, rules))
}

/// The policy and its binding.
pub(super) fn policy_objects(settings: &Settings, mut rules: Rules) -> Result<Vec<Value>> {
    rules.own = (settings.namespace.clone(), settings.service.clone());
    manifests::policy(settings, &rules).map_err(|why| {
        let hint = "Use the webhook for that: omit --mode policy.";
        Failure::usage(format!("--mode policy does not support this: {why}."), hint).into()
    })
}

/// Settings, with names from the cluster.
pub(super) fn resolved(settings: Settings, names: &WebhookNames) -> Result<Settings> {
    let namespace = names.webhook_namespace().to_owned();
    Ok(Settings { namespace, label: webhook_names::label(names)?, ..settings })
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

/// The manifests' settings from the flags, without a CA. Called once per process, since --rules may
/// be the standard input.
pub(super) fn settings(names: &WebhookNames, webhook: &Webhook) -> Result<Settings> {
    webhook_names::check(names)?;
    if webhook.container_port == HEALTH_PORT {
        let what = format!("Port {HEALTH_PORT} of the container is used for health and metrics.");
        return Err(Failure::usage(what, "Use another: `--container-port 8443`.").into());
    }
    if !webhook.cert_dir.starts_with('/') {
        let what = format!("--cert-dir {} does not begin with /.", webhook.cert_dir);
        return Err(Failure::usage(what, "Write it like `--cert-dir /etc/webhook/certs`.").into());
    }
    if let Some(url) = &webhook.url
        && checks::url_host(url).is_none_or(|host| host.is_empty())
    {
        let what = format!("--url {url} is not https://HOST:PORT.");
        return Err(Failure::usage(what, "The API server calls webhooks over https only.").into());
    }
    let word = |value: Option<clap::builder::PossibleValue>| {
        value.map(|v| v.get_name().to_owned()).unwrap_or_default()
    };
    Ok(Settings {
        namespace: names.webhook_namespace().to_owned(),
        service: names.service.clone(),
        secret: names.secret.clone(),
        webhook_image: webhook.webhook_image.clone(),
        serve: emptying_flags::arguments(&webhook.ways),
        level: match webhook.ways.level {
            Some(Level::Pod) => workload::Level::Pod,
            Some(Level::Workload) | None => workload::Level::Workload,
        },
        rules: emptying_flags::read(&webhook.ways)?.map(|(text, _)| text),
        replicas: webhook.replicas,
        failure_policy: word(webhook.failure_policy.to_possible_value()),
        service_type: word(webhook.service_type.to_possible_value()),
        port: webhook.port,
        container_port: webhook.container_port,
        timeout_seconds: webhook.timeout_seconds,
        label: webhook_names::label(names)?,
        cert_dir: webhook.cert_dir.clone(),
        url: webhook.url.clone(),
        ca_pem: String::new(),
    })
}
