//! `diyadm init` on a cluster: namespace, label, certificates, Secret.

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    cli::{DryRun, Names, init::Init},
    cluster::{Applied, Apply, Cluster, NAMESPACE, Right, SECRET},
    commands::{certificates, terminal::Terminal},
    exit::Failure,
    manifests,
    pki::{self, Fault},
};

/// A certificate with fewer days left than this is told of.
const SOON_DAYS: i64 = 30;

/// What the Secret holds; what it lacks is empty. Has no Debug: one of them is a key.
#[derive(Clone)]
pub(in crate::commands) struct Secret {
    pub(in crate::commands) ca_crt: Vec<u8>,
    pub(in crate::commands) server_crt: Vec<u8>,
    pub(in crate::commands) server_key: Vec<u8>,
}

impl Secret {
    pub(in crate::commands) fn of(object: &Value) -> Self {
        let data = |key: &str| {
            let text = object["data"][key].as_str().unwrap_or_default();
            STANDARD.decode(text).unwrap_or_default()
        };
        let [ca_crt, server_crt, server_key] = ["ca.crt", "server.crt", "server.key"].map(data);
        Self { ca_crt, server_crt, server_key }
    }

    /// The Secret, where there is one.
    pub(in crate::commands) async fn read(
        cluster: &Cluster,
        names: &Names,
    ) -> Result<Option<Self>> {
        let object = cluster.get(&SECRET, &names.namespace, &names.secret).await?;
        Ok(object.as_ref().map(Self::of))
    }

    /// The Secret, which must be there.
    pub(in crate::commands) async fn demand(cluster: &Cluster, names: &Names) -> Result<Self> {
        let Names { namespace, secret, .. } = names;
        Self::read(cluster, names).await?.ok_or_else(|| {
            Failure::no(
                format!("There is no Secret {secret} in namespace {namespace}."),
                format!("Make it with `diyadm init -n {namespace} --secret {secret}`."),
            )
            .into()
        })
    }

    /// Whether it can serve now, under the Service's name.
    pub(in crate::commands) fn judge(&self, names: &Names) -> Result<Result<pki::Facts, Fault>> {
        let Self { ca_crt, server_crt, server_key } = self;
        let now = certificates::now()?;
        Ok(pki::verify(ca_crt, server_crt, Some(server_key), &names.host(), now))
    }
}

/// Applies and tells what it came to, as kubectl does: `secrets/webhook-secret created`.
pub(in crate::commands) struct Applier<'a> {
    pub(in crate::commands) terminal: &'a Terminal,
    pub(in crate::commands) cluster: &'a Cluster,
    pub(in crate::commands) dry_run: Option<DryRun>,
    pub(in crate::commands) force: bool,
    /// Whether the namespace is there, so that a dry run can be judged in it.
    pub(in crate::commands) namespace_exists: bool,
}

impl Applier<'_> {
    pub(in crate::commands) async fn apply(&self, object: &Value) -> Result<Applied> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let kind = text("/kind").unwrap_or_default().to_lowercase();
        let what = format!("{kind}/{}", text("/metadata/name").unwrap_or_default());
        let homeless = !self.namespace_exists && text("/metadata/namespace").is_some();
        if self.dry_run == Some(DryRun::Client) || (self.dry_run.is_some() && homeless) {
            self.terminal.done(&format!("{what} would be applied (dry run)"), None);
            return Ok(Applied::Unchanged);
        }
        let how = Apply { dry_run: self.dry_run.is_some(), force: self.force };
        let (applied, _) = self.cluster.apply(object, how).await?;
        let dry = if how.dry_run { " (server dry run)" } else { "" };
        self.terminal.done(&format!("{what} {}{dry}", applied.as_str()), None);
        Ok(applied)
    }
}

/// The rights that [`run`] needs.
pub(in crate::commands) fn rights(names: &Names) -> Vec<Right<'_>> {
    let namespace = names.namespace.as_str();
    ["get", "create", "patch"]
        .into_iter()
        .flat_map(|verb| {
            [
                Right { verb, kind: &NAMESPACE, namespace: "" },
                Right { verb, kind: &SECRET, namespace },
            ]
        })
        .collect()
}

pub(super) async fn run(terminal: &Terminal, cluster: &Cluster, args: &Init) -> Result<()> {
    cluster.demand(&rights(&args.names)).await?;
    let changed = prepare(terminal, cluster, args).await?;
    if !changed && args.dry_run.is_none() {
        terminal.say("Nothing to do: the namespace and the Secret are as they should be.");
    }
    Ok(())
}

/// Namespace, label and Secret; whether anything was changed.
pub(in crate::commands) async fn prepare(
    terminal: &Terminal,
    cluster: &Cluster,
    args: &Init,
) -> Result<bool> {
    let Names { namespace, secret, .. } = &args.names;
    let namespace_exists = cluster.get(&NAMESPACE, "", namespace).await?.is_some();
    // Everything that may be refused is looked at before anything is changed.
    let present = if namespace_exists { Secret::read(cluster, &args.names).await? } else { None };
    let facts = match present.map(|secret| secret.judge(&args.names)).transpose()? {
        Some(Ok(facts)) => Some(facts),
        Some(Err(fault)) if !args.force => {
            let what = format!("Secret {secret} in namespace {namespace} cannot serve: {fault}.");
            let hint = "Replace it with `diyadm init --force`; `diyadm install` then puts the new \
                        CA into the webhook.";
            return Err(Failure::no(what, hint).into());
        }
        Some(Err(_)) | None => None,
    };
    let issued = match facts {
        Some(_) => None,
        None => Some(certificates::issue(&args.names, &args.certificates)?),
    };

    let applier =
        Applier { terminal, cluster, dry_run: args.dry_run, force: args.force, namespace_exists };
    let label = certificates::label(&args.names)?;
    let labelled = applier.apply(&manifests::namespace(namespace, &label)).await?;
    let mut changed = labelled != Applied::Unchanged;
    if let Some(bundle) = &issued {
        let object = manifests::secret(namespace, secret, bundle);
        changed |= applier.apply(&object).await? != Applied::Unchanged;
    }
    if let Some(facts) = facts {
        let days = (facts.not_after - certificates::now()?) / (24 * 60 * 60);
        terminal.done(&format!("secret/{secret} unchanged, valid for {days} more days"), None);
        if days < SOON_DAYS {
            terminal.warn(&format!("it expires in {days} days; type `diyadm init --rotate`"));
        }
    }
    Ok(changed)
}
