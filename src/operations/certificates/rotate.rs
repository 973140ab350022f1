//! `diyadm init --rotate`: replaces CA and certificate without interrupting writes.
//!
//! First both CAs are trusted (in the Secret's ca.crt and the webhook's caBundle), then the new
//! certificate is used; `--finish` ends the trust in the old CA. At every point the API server
//! trusts the certificates of all Pods, and an interrupted command continues when it is run again.

use std::time::Duration;

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{issue, now, print_source, secret::targets};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{CONFIGURATION, Cluster, DryRun, ObjectRef},
    operations::{applier::Applier, flags::init::InitArgs, webhook_names, webhook_secret},
    pki::{self, Bundle},
    ui::terminal::Terminal,
    webhook::manifests,
    workload::ParsedObject,
};

/// API servers get a new webhook configuration through their watch within a moment.
const SETTLE: Duration = Duration::from_secs(2);

/// The kubelet updates a changed Secret in Pods within its sync period and cache time, together 90
/// s by default; certificates begin five minutes in the past.
const KUBELET: i64 = 90;
const CLOCK_SKEW: i64 = 5 * 60;

pub(crate) async fn rotate(terminal: &Terminal, cluster: &Cluster, args: &InitArgs) -> Result<()> {
    let resolved = webhook_names::resolve(cluster, &args.names, &CONFIGURATION).await?;
    let names = &resolved.names;
    let (namespace, flags) = (names.webhook_namespace(), webhook_names::flags(cluster, names));
    let [_, secret] = targets(names);
    let webhook = ObjectRef { kind: &CONFIGURATION, namespace: "", name: &names.service };
    cluster.demand(&[secret.right("get"), secret.right("patch"), webhook.right("get")]).await?;
    if cluster.get(webhook.kind, "", webhook.name).await?.is_some() {
        cluster.demand(&[webhook.right("patch")]).await?;
    }
    let secret = webhook_secret::demand(cluster, names).await?;
    if !args.force {
        resolved.refuse_foreign(cluster, Some(&secret.ca_crt))?;
    }
    // A rotation replaces these three files regardless of their field manager: the blog's Secret
    // was created with kubectl.
    let mut applier = Applier::new(terminal, cluster, namespace, args.dry_run).await?.forced(true);
    let cas = pki::split(&secret.ca_crt);
    let signer = pki::signer(&cas, &secret.server_crt);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let with = |ca_crt: String, server_crt: String, server_key: String| {
        let bundle = Bundle { ca_crt, server_crt, server_key };
        manifests::secret(namespace, &names.secret, &bundle)
    };

    if args.finish {
        let Some(signer) = signer else {
            let what = "None of the CAs in the Secret has signed its certificate.";
            let hint = format!("Run `diyadm init --force{flags}`, then `diyadm install{flags}`.");
            return Err(Failure::no(Topic::Certificates, what, hint).into());
        };
        if cas.len() == 1 {
            terminal.say("Nothing to do: only one CA is trusted.");
            let facts = pki::inspect(&secret.server_crt, None)?;
            return applier.outcomes.print(args.output, facts.first());
        }
        let facts = pki::inspect(&secret.server_crt, None)?;
        let age = now()? - facts[0].not_before - CLOCK_SKEW;
        if age < KUBELET && !args.force {
            let what = format!("The new certificate is {age} s old, and Pods may not have it yet.");
            let hint = format!(
                "Run `diyadm init --rotate --finish{flags}` in {} s, or add --force.",
                KUBELET - age
            );
            return Err(Failure::no(Topic::Certificates, what, hint).into());
        }
        trust(&mut applier, &names.service, &cas[signer]).await?;
        let (crt, key) = (text(&secret.server_crt), text(&secret.server_key));
        applier.apply(&with(cas[signer].clone(), crt, key)).await?;
        terminal.say("The old CA is not trusted any more.");
        return applier.outcomes.print(args.output, facts.first());
    }

    if cas.len() > 1 && signer == Some(0) && !args.force {
        let what = "A rotation is in progress: the new certificate is in use, and the old CA is \
                    still \
             trusted.";
        let hint = format!("End it with `diyadm init --rotate --finish{flags}`.");
        return Err(Failure::no(Topic::Certificates, what, hint).into());
    }
    print_source(terminal, &args.certificates);
    let new = issue(terminal, names, &args.certificates)?;
    // The CA of the current certificate; a CA left by an interrupted rotation without a certificate
    // signs nothing.
    let old = signer.map(|at| cas[at].clone()).unwrap_or_default();
    let both = format!("{}{old}", new.ca_crt);
    let (crt, key) = (text(&secret.server_crt), text(&secret.server_key));
    // A dry run reports the Secret once, in its final form.
    if args.dry_run.mode.is_none() {
        applier.apply(&with(both.clone(), crt, key)).await?;
    }
    trust(&mut applier, &names.service, &both).await?;
    if args.dry_run.mode.is_none() {
        tokio::time::sleep(SETTLE).await;
    }
    let facts = pki::inspect(new.server_crt.as_bytes(), None)?;
    applier.apply(&with(both, new.server_crt, new.server_key)).await?;
    terminal.say(&format!(
        "Both CAs are trusted, and the new certificate is used as soon as the Pods have it; stop \
         trusting the old CA with `diyadm init --rotate --finish{flags}`."
    ));
    applier.outcomes.print(args.output, facts.first())
}

/// Makes the installed configuration trust `ca`; does nothing if none is installed.
async fn trust(applier: &mut Applier<'_>, name: &str, ca: &str) -> Result<()> {
    let Some(found) = applier.cluster.get(&CONFIGURATION, "", name).await? else {
        let terminal = applier.outcomes.terminal;
        terminal.say("No webhook is installed, so its caBundle needs no change.");
        return Ok(());
    };
    if applier.dry_run == Some(DryRun::Client) {
        applier.outcomes.add(CONFIGURATION.kind, "", name, "patched");
        return Ok(());
    }
    let bundle = STANDARD.encode(ca);
    let plan = |found: &ParsedObject| {
        let webhooks = found["webhooks"].as_array().map_or(&[][..], Vec::as_slice);
        let trusts = |webhook: &Value| webhook["clientConfig"]["caBundle"] == *bundle;
        let patch = (0..webhooks.len()).filter(|at| !trusts(&webhooks[*at])).map(|at| {
            let path = format!("/webhooks/{at}/clientConfig/caBundle");
            json!({ "op": "add", "path": path, "value": bundle })
        });
        let patch: Vec<_> = patch.collect();
        Ok((!patch.is_empty()).then_some(patch))
    };
    let target = (&CONFIGURATION, "", name);
    applier.cluster.change(target, Some(found.into()), applier.dry_run.into(), plan).await?;
    applier.outcomes.add(CONFIGURATION.kind, "", name, "patched");
    Ok(())
}
