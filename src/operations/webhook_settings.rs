//! Settings of the webhook's manifests, from the flags of `render` and `install`.

use anyhow::Result;
use clap::ValueEnum;
use serde_json::Value;

use crate::{
    exit::{Failure, Topic},
    operations::{
        emptying_flags,
        flags::{
            Level,
            render::{RenderArgs, RunAsUser, WebhookFlags},
        },
        webhook_names::{self, WebhookNames},
    },
    webhook::{
        checks,
        manifests::{self, Settings},
    },
    workload::{self, Rules},
};

/// The port on which `serve` answers probes in the Pod of templates/webhook.yaml.
const HEALTH_PORT: u16 = 8080;

/// The manifests' settings from the flags, without a CA. Called once per process, since --rules may
/// be the standard input.
pub(crate) fn settings(names: &WebhookNames, webhook: &WebhookFlags) -> Result<Settings> {
    webhook_names::check(names)?;
    if webhook.container_port == HEALTH_PORT {
        let what = format!("Port {HEALTH_PORT} of the container is used for health and metrics.");
        return Err(Failure::usage(
            Topic::CommandLine,
            what,
            "Use another: `--container-port 8443`.",
        )
        .into());
    }
    if !webhook.cert_dir.starts_with('/') {
        let what = format!("--cert-dir {} does not begin with /.", webhook.cert_dir);
        return Err(Failure::usage(
            Topic::CommandLine,
            what,
            "Write it like `--cert-dir /etc/webhook/certs`.",
        )
        .into());
    }
    if let Some(url) = &webhook.url
        && checks::url_host(url).is_none_or(|host| host.is_empty())
    {
        let what = format!("--url {url} is not https://HOST:PORT.");
        return Err(Failure::usage(
            Topic::CommandLine,
            what,
            "The API server calls webhooks over https only.",
        )
        .into());
    }
    let word = |value: Option<clap::builder::PossibleValue>| {
        value.map(|v| v.get_name().to_owned()).unwrap_or_default()
    };
    Ok(Settings {
        namespace: names.webhook_namespace().to_owned(),
        service: names.service.clone(),
        secret: names.secret.clone(),
        webhook_image: (webhook.webhook_image.clone())
            .unwrap_or_else(|| webhook.ways.registry.image(manifests::WEBHOOK_IMAGE)),
        pull_secrets: webhook.ways.pull_secrets.image_pull_secrets.clone(),
        run_as_user: match webhook.run_as_user {
            None => Some(manifests::SERVER_UID),
            Some(RunAsUser::Uid(uid)) => Some(uid),
            Some(RunAsUser::None) => None,
        },
        serve: emptying_flags::arguments(&webhook.ways),
        level: match webhook.ways.level {
            Some(Level::Pod) => workload::Level::Pod,
            Some(Level::Workload) | None => workload::Level::Workload,
        },
        rules: emptying_flags::read_rules(&webhook.ways)?.map(|(text, _)| text),
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

/// The parameters of the policy's objects, which need no CA and no cluster.
///
/// # Errors
/// What a policy cannot do.
pub(crate) fn policy(names: &WebhookNames, webhook: &WebhookFlags) -> Result<(Settings, Rules)> {
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
pub(crate) fn policy_objects(settings: &Settings, mut rules: Rules) -> Result<Vec<Value>> {
    rules.own = (settings.namespace.clone(), settings.service.clone());
    manifests::policy(settings, &rules).map_err(|why| {
        let hint = "Use the webhook for that: omit --mode policy.";
        Failure::usage(
            Topic::CommandLine,
            format!("--mode policy does not support this: {why}."),
            hint,
        )
        .into()
    })
}

/// The CronJob of `diyadm expire`, and what belongs to it; empty without `--expire`.
pub(crate) fn expire_objects(settings: &Settings, args: &RenderArgs) -> Result<Vec<Value>> {
    let Some(schedule) = &args.expire else { return Ok(Vec::new()) };
    let name = manifests::expire_name(&settings.service).map_err(|why| {
        Failure::usage(
            Topic::CommandLine,
            format!("{why}."),
            "Use a shorter --service, or omit --expire.",
        )
    })?;
    let scope = args.expire_scope(&settings.namespace);
    Ok(manifests::expire(settings, &name, schedule, &scope))
}

/// Settings, with names from the cluster.
pub(crate) fn with_names(settings: Settings, names: &WebhookNames) -> Result<Settings> {
    let namespace = names.webhook_namespace().to_owned();
    Ok(Settings { namespace, label: webhook_names::label(names)?, ..settings })
}
