//! `diyadm init` on a cluster: namespace, label, certificates, Secret.

use anyhow::Result;

use super::{RequestedCertificates, now, print_source};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{CONFIGURATION, Cluster, NAMESPACE, ObjectRef, SECRET},
    operations::{
        applier::Applier,
        flags::init::InitArgs,
        namespace_label,
        webhook_names::{self, Resolved, WebhookNames},
        webhook_secret,
    },
    pki::{self, Facts, Fault, KeyFault},
    ui::terminal::Terminal,
    webhook::{checks::Secret, manifests},
};

/// Certificates with fewer remaining days get a warning.
const SOON_DAYS: i64 = 30;

/// The objects that [`prepare`] applies.
pub(crate) fn targets(names: &WebhookNames) -> [ObjectRef<'_>; 2] {
    [
        ObjectRef { kind: &NAMESPACE, namespace: "", name: names.namespace() },
        ObjectRef { kind: &SECRET, namespace: names.webhook_namespace(), name: &names.secret },
    ]
}

pub(crate) async fn create(terminal: &Terminal, cluster: &Cluster, args: &InitArgs) -> Result<()> {
    let resolved = webhook_names::resolve(cluster, &args.names, &CONFIGURATION).await?;
    let names = &resolved.names;
    if resolved.serving().is_some() {
        namespace_label::demand(cluster, &resolved).await?;
        let namespace = names.namespace();
        let mut applier =
            Applier::new(terminal, cluster, namespace, args.dry_run).await?.forced(args.force);
        namespace_label::label(&mut applier, &resolved, args.names.label.as_deref()).await?;
        return applier.outcomes.print(args.output, None);
    }
    cluster.demand_apply(&targets(names), &[]).await?;
    let home = names.webhook_namespace();
    let mut applier = Applier::new(terminal, cluster, home, args.dry_run).await?.forced(args.force);
    let args = &InitArgs { names: names.clone(), ..args.clone() };
    let Prepared { facts, .. } = prepare(&mut applier, args, &resolved).await?;
    if !applier.outcomes.changed() && args.dry_run.mode.is_none() {
        terminal.say("Nothing to do: the namespace and the Secret are up to date.");
    }
    applier.outcomes.print(args.output, Some(&facts))
}

/// The Secret after [`prepare`], or as it would be in a dry run.
pub(crate) struct Prepared {
    /// The content of the server's certificate.
    pub(crate) facts: Facts,
    /// The CAs that clients should trust.
    pub(crate) ca_pem: String,
}

/// Whether the Secret can be used now for the Service's name.
fn judge(secret: &Secret, names: &WebhookNames) -> Result<Result<Facts, Fault>> {
    let Secret { ca_crt, server_crt, server_key } = secret;
    let now = now()?;
    Ok(pki::verify(ca_crt, server_crt, Some(server_key), &names.host(), now))
}

/// Namespace, label and Secret.
pub(crate) async fn prepare(
    applier: &mut Applier<'_>,
    args: &InitArgs,
    resolved: &Resolved,
) -> Result<Prepared> {
    let (cluster, terminal) = (applier.cluster, applier.outcomes.terminal);
    let (namespace, secret) = (args.names.webhook_namespace(), &args.names.secret);
    let flags = webhook_names::flags(cluster, &args.names);
    // Everything that may fail is checked before anything is changed.
    let label = webhook_names::label(&args.names)?;
    let asked = RequestedCertificates::from_flags(terminal, &args.names, &args.certificates)?;
    let present = if applier.namespace_exists {
        webhook_secret::fetch(cluster, &args.names).await?
    } else {
        None
    };
    let differs = |secret: &Secret| asked.difference(&secret.ca_crt, &secret.server_crt);
    let difference = present.as_ref().and_then(differs);
    let judged = present.as_ref().map(|secret| judge(secret, &args.names)).transpose()?;
    let (issued, facts) = match judged {
        Some(Ok(facts)) if difference.is_none() => (None, facts),
        Some(Ok(_)) if !args.force => {
            let difference = difference.unwrap_or_default();
            let what = format!(
                "Secret {secret} in namespace {namespace} is not what the flags ask for: \
                 {difference}."
            );
            let hint =
                format!("Create a new one with `diyadm init --rotate{flags}{}`.", asked.typed());
            return Err(Failure::no(Topic::Certificates, what, hint).into());
        }
        Some(Err(fault)) if !args.force => {
            let what = format!("Secret {secret} in namespace {namespace} cannot be used: {fault}.");
            let hint = match fault {
                Fault::Expired => format!("Create a new one with `diyadm init --rotate{flags}`."),
                Fault::KeyEncrypted => KeyFault::Encrypted.hint("server.key").unwrap_or_default(),
                Fault::WrongName { sans, .. } if is_of_neighbour(&sans, namespace) => format!(
                    "It belongs to another webhook of that namespace; use your own: --secret \
                     {}-secret.",
                    args.names.service
                ),
                _ => format!(
                    "Replace it with `diyadm init --force{flags}`; `diyadm install{flags}` then \
                     puts the new CA into the webhook."
                ),
            };
            return Err(Failure::no(Topic::Certificates, what, hint).into());
        }
        Some(_) | None => {
            print_source(terminal, &args.certificates);
            let bundle = asked.issue()?;
            let facts = pki::inspect(bundle.server_crt.as_bytes(), None)?.swap_remove(0);
            (Some(bundle), facts)
        }
    };

    if !args.force {
        namespace_label::refuse_two(cluster, resolved).await?;
    }
    let emptied = args.names.namespace();
    if namespace != emptied && !applier.namespace_exists {
        applier.create_namespace(namespace).await?;
    }
    applier.apply(&manifests::namespace(emptied, &label)).await?;
    match &issued {
        Some(bundle) => applier.apply(&manifests::secret(namespace, secret, bundle)).await?,
        None => applier.outcomes.add(SECRET.kind, namespace, secret, "unchanged"),
    }
    let days = (facts.not_after - now()?) / (24 * 60 * 60);
    if days < SOON_DAYS {
        terminal.warn(&format!(
            "its certificate expires in {days} days; run `diyadm init --rotate{flags}`"
        ));
    }
    let ca_pem = match (issued, present) {
        (Some(bundle), _) => bundle.ca_crt,
        (None, Some(secret)) => String::from_utf8(secret.ca_crt)?,
        (None, None) => unreachable!("a missing certificate is issued"),
    };
    Ok(Prepared { facts, ca_pem })
}

/// Whether a certificate belongs to another Service of the namespace.
fn is_of_neighbour(sans: &[String], namespace: &str) -> bool {
    sans.iter().any(|san| san.starts_with("DNS:") && san.ends_with(&format!(".{namespace}.svc")))
}
