//! `diyadm install --mode policy`: the labelled namespace, the policy and its binding, and the
//! wait until a Pod comes back emptied.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::PAUSE;
use crate::{
    checks::{Level, Subject, is_emptied_to},
    cli::install::Install,
    cluster::{Cluster, NAMESPACE, POD, POLICY, POLICY_BINDING, Right, Target},
    commands::{check::policy, init::cluster::Applier, names, terminal::Terminal, ways},
    exit::Failure,
    manifests,
};

pub(super) async fn install(
    terminal: &Terminal,
    cluster: &Cluster,
    args: &Install,
    objects: &[Value],
) -> Result<()> {
    let (namespace, name) = (args.names.namespace.as_str(), args.names.service.as_str());
    let subject = names::subject(cluster, &args.names, ways::image(&args.webhook.ways))?;
    policy::demand(cluster, &subject.flags).await?;
    let targets = [(&NAMESPACE, namespace), (&POLICY, name), (&POLICY_BINDING, name)]
        .map(|(kind, name)| Target { kind, namespace: "", name });
    let create = [Right { verb: "create", kind: &POD, namespace, name: "" }];
    let more = if args.dry_run.is_some() { &[][..] } else { &create };
    cluster.demand_apply(&targets, more).await?;
    let mut applier = Applier::new(terminal, cluster, namespace, args.dry_run, args.force).await?;
    applier.apply(&manifests::namespace(namespace, &names::label(&args.names)?)).await?;
    for object in objects {
        applier.apply(object).await?;
    }
    if args.dry_run.is_none() {
        wait(terminal, cluster, &subject, Duration::from_secs(args.timeout)).await?;
        let what = format!("Pods created in namespace {namespace} start empty, by policy {name}");
        terminal.done(&what, None);
    }
    applier.outcomes.print(args.output, None)
}

/// Until a dry-run create comes back emptied: the proof that the API server knows the policy.
async fn wait(
    terminal: &Terminal,
    cluster: &Cluster,
    subject: &Subject,
    timeout: Duration,
) -> Result<()> {
    let deadline = Instant::now() + timeout;
    let mut wait = terminal.wait();
    loop {
        wait.say("waiting until a dry-run create comes back emptied");
        if let Ok(created) = policy::dry_create(cluster, &subject.namespace).await
            && is_emptied_to(&created, &subject.image)
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            drop(wait);
            let findings = policy::findings(cluster, subject).await?;
            let wrong = findings.iter().filter(|finding| finding.level == Level::Failed);
            wrong.for_each(|finding| terminal.finding(finding));
            let what = "The policy is installed and does not empty what is created.";
            let hint = format!("Look closer with `diyadm check --mode policy{}`.", subject.flags);
            return Err(Failure::no(what, hint).into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
