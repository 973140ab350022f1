//! `diyadm install`: everything that the webhook needs, and the wait until it answers.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::{
    certificates, check,
    init::cluster::{Applier, Secret, prepare, rights},
    render, runtime,
    terminal::Terminal,
    ways,
};
use crate::{
    checks::{Level, Subject, ready},
    cli::{Global, Names, init::Init, install::Install},
    cluster::{
        BUDGET, CONFIGURATION, Cluster, DEPLOYMENT, ENDPOINT_SLICE, EVENT, Kind, Right, SERVICE,
    },
    exit::{Code, Failure},
    manifests,
};

const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn run(global: &Global, args: &Install) -> Result<Code> {
    let terminal = Terminal::new(global);
    let Names { namespace, service, .. } = &args.names;
    let left = format!(
        "What was applied stays: `diyadm install` goes on, \
         `diyadm uninstall -n {namespace} --service {service}` takes it away."
    );
    runtime::run(&left, async {
        let cluster = Cluster::connect(global).await?;
        install(&terminal, &cluster, args).await
    })?;
    Ok(Code::Done)
}

async fn install(terminal: &Terminal, cluster: &Cluster, args: &Install) -> Result<()> {
    let Names { namespace, service, .. } = &args.names;
    cluster.demand(&wanted(args)).await?;
    let init = Init {
        names: args.names.clone(),
        certificates: args.certificates.clone(),
        out: None,
        force: args.force,
        rotate: false,
        finish: false,
        dry_run: args.dry_run,
        inspect: None,
    };
    prepare(terminal, cluster, &init).await?;
    let exists = cluster.get(&crate::cluster::NAMESPACE, "", namespace).await?.is_some();
    let ca = match Secret::read(cluster, &args.names).await? {
        Some(secret) => String::from_utf8(secret.ca_crt)?,
        // A dry run has made none.
        None => certificates::issue(&args.names, &args.certificates)?.ca_crt,
    };
    let objects = manifests::webhook(&render::settings(&args.names, &args.webhook, ca)?)?;
    let applier = Applier {
        terminal,
        cluster,
        dry_run: args.dry_run,
        force: args.force,
        namespace_exists: exists,
    };
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let subject = check::subject(&args.names, ways::image(&args.webhook.ways))?;
    for object in &objects {
        // The configuration is the last: until a server is ready there is nothing to call.
        if object["kind"] == CONFIGURATION.kind
            && args.dry_run.is_none()
            && args.webhook.url.is_none()
        {
            wait_for_server(terminal, cluster, &subject, deadline).await?;
        }
        applier.apply(object).await?;
    }
    if args.dry_run.is_some() {
        return Ok(());
    }
    wait_for_webhook(terminal, cluster, &subject, deadline).await?;
    terminal.done(
        &format!("workloads created in namespace {namespace} start empty, by {service}"),
        None,
    );
    Ok(())
}

fn wanted(args: &Install) -> Vec<Right<'_>> {
    let namespace = args.names.namespace.as_str();
    let mut all = rights(&args.names);
    let kinds: &[&'static Kind] = match args.webhook.url {
        Some(_) => &[&CONFIGURATION],
        None => &[&DEPLOYMENT, &SERVICE, &BUDGET, &CONFIGURATION],
    };
    for kind in kinds {
        let namespace = if kind.namespaced { namespace } else { "" };
        all.extend(["get", "create", "patch"].map(|verb| Right { verb, kind, namespace }));
    }
    all
}

/// Until a Pod is ready behind the Service.
async fn wait_for_server(
    terminal: &Terminal,
    cluster: &Cluster,
    subject: &Subject,
    deadline: Instant,
) -> Result<()> {
    let Subject { namespace, service, .. } = subject;
    let selector = format!("kubernetes.io/service-name={service}");
    loop {
        let slices = cluster.list(&ENDPOINT_SLICE, namespace, &selector).await?;
        if !ready(&slices).is_empty() {
            terminal.done(&format!("a server is ready behind Service {service}"), None);
            return Ok(());
        }
        let why = trouble(cluster, subject).await;
        if Instant::now() > deadline {
            terminal.clear();
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            let what = format!("No server is ready behind Service {service} in time{why}.");
            let hint = format!(
                "See why: `kubectl -n {namespace} describe pods -l app={service}`. The webhook is \
                 not switched on; `diyadm install` goes on, `diyadm uninstall` takes it away."
            );
            return Err(Failure::no(what, hint).into());
        }
        let why = why.unwrap_or_else(|| "Pods start".to_owned());
        terminal.progress(&format!("waiting for a server behind Service {service}: {why}"));
        tokio::time::sleep(PAUSE).await;
    }
}

/// The latest warning about the server's Pods.
async fn trouble(cluster: &Cluster, subject: &Subject) -> Option<String> {
    let events = cluster.list(&EVENT, &subject.namespace, "").await.ok()?;
    let about = |event: &&Value| {
        let name = event["involvedObject"]["name"].as_str().unwrap_or_default();
        event["type"] == "Warning" && name.starts_with(&subject.service)
    };
    let time = |event: &Value| {
        let text = event["lastTimestamp"].as_str().or(event["eventTime"].as_str());
        text.unwrap_or_default().to_owned()
    };
    let last = events.iter().filter(about).max_by_key(|event| time(event))?;
    Some(last["message"].as_str()?.lines().next()?.to_owned())
}

/// Until a dry-run create comes back emptied: the proof that the API server calls the webhook.
async fn wait_for_webhook(
    terminal: &Terminal,
    cluster: &Cluster,
    subject: &Subject,
    deadline: Instant,
) -> Result<()> {
    let mut object = manifests::test_deployment(&subject.namespace)?;
    object["metadata"]["name"] = "diyadm-check".into();
    loop {
        terminal.progress("waiting until a dry-run create comes back emptied");
        // A refusal may be the old state of an API server that has not heard yet.
        if let Ok(created) = cluster.create(&object, true).await
            && check::test_image(&created) == subject.image
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            terminal.clear();
            let findings = check::look(cluster, subject, false).await?;
            let wrong = findings.iter().filter(|finding| finding.level == Level::Failed);
            wrong.for_each(|finding| terminal.finding(finding));
            let what = "The webhook is installed and does not empty what is created.";
            let hint = format!(
                "Look closer with `diyadm check --probe -n {} --service {}`.",
                subject.namespace, subject.service
            );
            return Err(Failure::no(what, hint).into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
