//! Installs everything that the webhook needs, and waits until it answers.

use anyhow::Result;
use serde_json::Value;

use self::proof::Proof;
use crate::{
    kubernetes::{
        BUDGET, CONFIGURATION, Cluster, DEPLOYMENT, ENDPOINT_SLICE, Kind, NAMESPACE, ObjectRef,
        POD, POLICY, Right, SERVICE,
    },
    operations::{
        applier::Applier,
        certificates::secret::{Prepared, prepare, targets},
        check, emptying_flags,
        flags::{Level, init::InitArgs, install::InstallArgs, render::Mode},
        namespace_label,
        webhook_names::{self, Resolved, WebhookNames},
        webhook_secret, webhook_settings,
    },
    ui::terminal::Terminal,
    webhook::{
        checks::{is_emptied_by_policy, is_emptied_to},
        manifests::{self, Settings},
    },
    workload::Rules,
};

mod policy;
mod proof;
mod served;
mod server;

/// The annotation of OpenShift with the users of a namespace.
const UID_RANGE: &str = "openshift.io/sa.scc.uid-range";

/// What is to be installed.
pub(crate) enum Installation {
    /// The webhook's server and its configuration.
    Webhook(Settings),
    /// The policy and its binding.
    Policy(Settings, Box<Rules>),
}

impl Installation {
    /// # Errors
    /// Flags that cannot be used, which is checked before the cluster is contacted.
    pub(crate) fn from_flags(args: &InstallArgs) -> Result<Self> {
        webhook_names::check_labelled(&args.names)?;
        Ok(match args.webhook.mode {
            Mode::Webhook => Self::Webhook(webhook_settings::settings(&args.names, &args.webhook)?),
            Mode::Policy => {
                let (settings, rules) = webhook_settings::policy(&args.names, &args.webhook)?;
                Self::Policy(settings, Box::new(rules))
            }
        })
    }
}

/// Installs it, or labels the namespace for an existing installation.
pub(crate) async fn install(
    terminal: &Terminal,
    cluster: &Cluster,
    args: &InstallArgs,
    installation: Installation,
) -> Result<()> {
    let flags = webhook_names::flags(cluster, &args.names);
    check::version::demand(cluster).await?;
    let kind = match installation {
        Installation::Webhook(_) => &CONFIGURATION,
        Installation::Policy(..) => {
            check::policy::demand(cluster, &flags).await?;
            &POLICY
        }
    };
    let resolved = resolve(cluster, args, kind).await?;
    if resolved.serving().is_some() {
        return served::install(terminal, cluster, args, &resolved).await;
    }
    match installation {
        Installation::Webhook(settings) => {
            install_webhook(terminal, cluster, args, &resolved, settings).await
        }
        Installation::Policy(settings, rules) => {
            let settings = webhook_settings::with_names(settings, &resolved.names)?;
            policy::install(terminal, cluster, args, &resolved, settings, *rules).await
        }
    }
}

/// The existing installation. If only its namespace was given, it is changed for a namespace that
/// it serves.
async fn resolve(cluster: &Cluster, args: &InstallArgs, kind: &'static Kind) -> Result<Resolved> {
    if args.names.webhook_namespace.is_some() {
        webhook_names::resolve_to_look(cluster, &args.names, kind).await
    } else {
        webhook_names::resolve(cluster, &args.names, kind).await
    }
}

async fn install_webhook(
    terminal: &Terminal,
    cluster: &Cluster,
    args: &InstallArgs,
    resolved: &Resolved,
    settings: Settings,
) -> Result<()> {
    let names = &resolved.names;
    let demanded = cluster.demand_apply(&wanted(args, names), &more(args, names)).await;
    demanded.map_err(|error| match resolved.hidden {
        Some(_) => namespace_label::ask_for(error, names.namespace(), &names.label()),
        None => error,
    })?;
    if !args.force {
        let secret = webhook_secret::fetch(cluster, names).await?;
        let cas = secret.as_ref().map_or(&[][..], |secret| &secret.ca_crt);
        resolved.refuse_foreign(cluster, Some(cas))?;
    }
    let init = InitArgs {
        names: names.clone(),
        certificates: args.certificates.clone(),
        out: None,
        force: args.force,
        rotate: false,
        finish: false,
        dry_run: args.dry_run,
        inspect: None,
        output: None,
    };
    let home = names.webhook_namespace();
    let mut applier = Applier::new(terminal, cluster, home, args.dry_run).await?.forced(args.force);
    let Prepared { facts, ca_pem } = prepare(&mut applier, &init, resolved).await?;
    applier.namespace_exists |= args.dry_run.mode.is_none();
    let mut settings = webhook_settings::with_names(settings, names)?;
    if args.webhook.run_as_user.is_none() && assigns_users(cluster, home).await {
        settings.run_as_user = None;
    }
    let objects = manifests::webhook(&Settings { ca_pem, ..settings })?;
    let subject = resolved.subject(cluster, &emptying_flags::image(&args.webhook.ways))?;
    for object in &objects {
        // The configuration comes last: until a server is ready there is nothing to call.
        if object["kind"] == CONFIGURATION.kind
            && args.dry_run.mode.is_none()
            && args.webhook.url.is_none()
        {
            server::wait_until_ready(terminal, cluster, &subject, args.timeout).await?;
        }
        applier.apply(object).await?;
    }
    if args.dry_run.mode.is_some() {
        return applier.outcomes.print(args.output, Some(&facts));
    }
    let object = match args.webhook.ways.level {
        Some(Level::Pod) => manifests::test_pod(&subject.namespace)?,
        Some(Level::Workload) | None => manifests::test_deployment(&subject.namespace)?,
    };
    let proof = Proof { subject: &subject, object, mode: Mode::Webhook };
    let is_emptied =
        |created: &Value| is_emptied_to(created, &subject.image) && !is_emptied_by_policy(created);
    proof.wait(terminal, cluster, args.timeout, is_emptied).await?;
    terminal.done(
        &format!(
            "workloads created in namespace {} start empty, by {}",
            subject.namespace, subject.service
        ),
        None,
    );
    applier.outcomes.print(args.output, Some(&facts))
}

/// Whether OpenShift assigns a user of the namespace's own range to each Pod, and refuses others.
async fn assigns_users(cluster: &Cluster, namespace: &str) -> bool {
    let range = |found: Value| found["metadata"]["annotations"][UID_RANGE].is_string();
    // Without the right to read the namespace its Pods are as elsewhere.
    cluster.get(&NAMESPACE, "", namespace).await.ok().flatten().is_some_and(range)
}

/// The objects to apply.
fn wanted<'a>(args: &InstallArgs, names: &'a WebhookNames) -> Vec<ObjectRef<'a>> {
    let (namespace, name) = (names.webhook_namespace(), names.service.as_str());
    let mut all = targets(names).to_vec();
    all.push(ObjectRef { kind: &CONFIGURATION, namespace: "", name });
    if args.webhook.url.is_none() {
        all.extend([&DEPLOYMENT, &SERVICE].map(|kind| ObjectRef { kind, namespace, name }));
        if args.webhook.replicas > 1 {
            all.push(ObjectRef { kind: &BUDGET, namespace, name });
        }
    }
    all
}

/// The rights for waiting: endpoints, and a Deployment created in a dry run.
fn more<'a>(args: &InstallArgs, names: &'a WebhookNames) -> Vec<Right<'a>> {
    if args.dry_run.mode.is_some() {
        return Vec::new();
    }
    let kind = match args.webhook.ways.level {
        Some(Level::Pod) => &POD,
        Some(Level::Workload) | None => &DEPLOYMENT,
    };
    let mut all = vec![Right { verb: "create", kind, namespace: names.namespace(), name: "" }];
    if args.webhook.url.is_none() {
        let namespace = names.webhook_namespace();
        all.push(Right { verb: "list", kind: &ENDPOINT_SLICE, namespace, name: "" });
    }
    all
}
