//! `diyadm install`: everything that the webhook needs, and the wait until it answers.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::{
    check,
    init::cluster::{Applier, Prepared, prepare, targets},
    names, render, runtime,
    terminal::Terminal,
    ways,
};
use crate::{
    checks::{Level, Subject, is_emptied_to, ready},
    cli::{Global, Names, init::Init, install::Install, render::Mode, ways as cli_ways},
    cluster::{
        BUDGET, CONFIGURATION, Cluster, DEPLOYMENT, ENDPOINT_SLICE, EVENT, POD, Right, SERVICE,
        Target,
    },
    exit::{Code, Failure},
    manifests::{self, Settings},
    rollout,
};

mod policy;

const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn run(global: &Global, args: &Install) -> Result<Code> {
    let terminal = Terminal::new(global);
    let Names { namespace, service, .. } = &args.names;
    let left = format!(
        "What was applied stays: the same command goes on, \
         `diyadm uninstall -n {namespace} --service {service}` takes it away."
    );
    // Usage first: no cluster makes a wrong flag right.
    names::check_labelled(&args.names)?;
    match args.webhook.mode {
        Mode::Webhook => {
            let settings = render::settings(&args.names, &args.webhook)?;
            runtime::run(&left, async {
                let cluster = Cluster::connect(global).await?;
                install(&terminal, &cluster, args, settings).await
            })?;
        }
        Mode::Policy => {
            let objects = render::policy(&args.names, &args.webhook)?;
            runtime::run(&left, async {
                let cluster = Cluster::connect(global).await?;
                policy::install(&terminal, &cluster, args, &objects).await
            })?;
        }
    }
    Ok(Code::Done)
}

async fn install(
    terminal: &Terminal,
    cluster: &Cluster,
    args: &Install,
    settings: Settings,
) -> Result<()> {
    let Names { namespace, service, .. } = &args.names;
    cluster.demand_apply(&wanted(args), &more(args)).await?;
    let init = Init {
        names: args.names.clone(),
        certificates: args.certificates.clone(),
        out: None,
        force: args.force,
        rotate: false,
        finish: false,
        dry_run: args.dry_run,
        inspect: None,
        output: None,
    };
    let mut applier = Applier::new(terminal, cluster, namespace, args.dry_run, args.force).await?;
    let Prepared { facts, ca_pem } = prepare(&mut applier, &init).await?;
    applier.namespace_exists |= args.dry_run.is_none();
    let objects = manifests::webhook(&Settings { ca_pem, ..settings })?;
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let subject = names::subject(cluster, &args.names, ways::image(&args.webhook.ways))?;
    for object in &objects {
        // The configuration is the last: until a server is ready there is nothing to call.
        if object["kind"] == CONFIGURATION.kind
            && args.dry_run.is_none()
            && args.webhook.url.is_none()
        {
            wait_for_server(terminal, cluster, &subject, args.timeout).await?;
        }
        applier.apply(object).await?;
    }
    if args.dry_run.is_some() {
        return applier.outcomes.print(args.output, Some(&facts));
    }
    wait_for_webhook(terminal, cluster, &subject, args.webhook.ways.level, deadline).await?;
    terminal.done(
        &format!("workloads created in namespace {namespace} start empty, by {service}"),
        None,
    );
    applier.outcomes.print(args.output, Some(&facts))
}

/// What is applied.
fn wanted(args: &Install) -> Vec<Target<'_>> {
    let Names { namespace, service: name, .. } = &args.names;
    let mut all = targets(&args.names).to_vec();
    all.push(Target { kind: &CONFIGURATION, namespace: "", name });
    if args.webhook.url.is_none() {
        all.extend([&DEPLOYMENT, &SERVICE].map(|kind| Target { kind, namespace, name }));
        if args.webhook.replicas > 1 {
            all.push(Target { kind: &BUDGET, namespace, name });
        }
    }
    all
}

/// What the waiting looks at: endpoints, and a Deployment that is created in a dry run.
fn more(args: &Install) -> Vec<Right<'_>> {
    let namespace = args.names.namespace.as_str();
    if args.dry_run.is_some() {
        return Vec::new();
    }
    let kind = match args.webhook.ways.level {
        Some(cli_ways::Level::Pod) => &POD,
        Some(cli_ways::Level::Workload) | None => &DEPLOYMENT,
    };
    let mut all = vec![Right { verb: "create", kind, namespace, name: "" }];
    if args.webhook.url.is_none() {
        all.push(Right { verb: "list", kind: &ENDPOINT_SLICE, namespace, name: "" });
    }
    all
}

/// Until a Pod is ready behind the Service.
async fn wait_for_server(
    terminal: &Terminal,
    cluster: &Cluster,
    subject: &Subject,
    seconds: u64,
) -> Result<()> {
    let Subject { namespace, service, .. } = subject;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let selector = format!("kubernetes.io/service-name={service}");
    let mut wait = terminal.wait();
    loop {
        let slices = cluster.list(&ENDPOINT_SLICE, namespace, &selector).await?;
        if !ready(&slices, None).is_empty() {
            drop(wait);
            terminal.done(&format!("a server is ready behind Service {service}"), None);
            return Ok(());
        }
        let why = trouble(cluster, subject).await;
        if Instant::now() > deadline {
            let why = why.unwrap_or_else(|| "nothing says why".to_owned());
            let what =
                format!("No server is ready behind Service {service} after {seconds} s: {why}.");
            let hint = format!(
                "See why: `kubectl -n {namespace} describe pods -l app={service}`. The webhook is \
                 not switched on; the same command goes on, `diyadm uninstall{}` takes it away.",
                subject.flags
            );
            return Err(Failure::no(what, hint).into());
        }
        let why = why.unwrap_or_else(|| "Pods start".to_owned());
        wait.say(&format!("waiting for a server behind Service {service}: {why}"));
        tokio::time::sleep(PAUSE).await;
    }
}

/// What keeps the server's Pods: their own word, else the latest warning about them.
async fn trouble(cluster: &Cluster, subject: &Subject) -> Option<String> {
    let Subject { namespace, service, .. } = subject;
    let workload = cluster.get(&DEPLOYMENT, namespace, service).await.ok()??;
    // Who may not list them hears less.
    let pods = cluster.list(&POD, namespace, &format!("app={service}")).await.unwrap_or_default();
    let seen = rollout::Seen { pods: &pods, ..rollout::Seen::default() };
    let progress = rollout::progress(&workload, &seen);
    let said = match progress.trouble {
        Some(trouble) => Some(trouble.what),
        None => warning(cluster, subject).await,
    };
    said.or_else(|| Some(with_phases(&progress.told, &pods)))
}

/// `0 of 2 Pods are ready; 2 are Pending`
fn with_phases(told: &str, pods: &[Value]) -> String {
    let mut phases: Vec<_> =
        pods.iter().filter_map(|pod| pod["status"]["phase"].as_str()).collect();
    phases.sort_unstable();
    let counted = phases.chunk_by(|one, other| one == other);
    let counted = counted.map(|same| format!("{} {}", same.len(), same[0])).collect::<Vec<_>>();
    if counted.is_empty() {
        format!("{told}; there is none")
    } else {
        format!("{told}; {}", counted.join(", "))
    }
}

/// The latest warning about the server's Pods.
async fn warning(cluster: &Cluster, subject: &Subject) -> Option<String> {
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
    level: Option<cli_ways::Level>,
    deadline: Instant,
) -> Result<()> {
    let mut object = match level {
        Some(cli_ways::Level::Pod) => manifests::test_pod(&subject.namespace)?,
        Some(cli_ways::Level::Workload) | None => manifests::test_deployment(&subject.namespace)?,
    };
    object["metadata"]["name"] = "diyadm-check".into();
    let mut wait = terminal.wait();
    loop {
        wait.say("waiting until a dry-run create comes back emptied");
        // A refusal may be the old state of an API server that has not heard yet.
        if let Ok(created) = cluster.create(&object, true).await
            && is_emptied_to(&created, &subject.image)
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            drop(wait);
            let findings = check::look(cluster, subject, false).await?;
            let wrong = findings.iter().filter(|finding| finding.level == Level::Failed);
            wrong.for_each(|finding| terminal.finding(finding));
            let what = "The webhook is installed and does not empty what is created.";
            let hint = format!(
                "Look closer with `diyadm check --probe{}{}`.",
                subject.flags,
                subject.image_flag()
            );
            return Err(Failure::no(what, hint).into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_are_told_by_their_phases() {
        let pod = |phase: &str| json!({ "status": { "phase": phase } });
        let told = "0 of 3 Pods are ready";
        let pods = [pod("Pending"), pod("Running"), pod("Pending")];
        assert_eq!(with_phases(told, &pods), "0 of 3 Pods are ready; 2 Pending, 1 Running");
        assert_eq!(with_phases(told, &[]), "0 of 3 Pods are ready; there is none");
    }
}
