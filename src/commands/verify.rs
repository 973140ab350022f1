//! `diyadm verify`: creates templates/test.yaml in the namespace and looks at what came of it.

use anyhow::Result;

use super::{check, runtime, terminal::Terminal};
use crate::{
    checks::{Finding, Level},
    cli::{DryRun, Global, Report, verify::Verify},
    cluster::{Cluster, DEPLOYMENT, Right, error},
    exit::{Code, Failure},
    manifests, report,
};

mod offline;

pub(super) fn run(global: &Global, args: &Verify) -> Result<Code> {
    if args.offline {
        return offline::run(global, args);
    }
    let terminal = Terminal::new(global);
    let left = format!(
        "Deployment test may be left: `kubectl -n {} delete deployment test`.",
        args.names.namespace
    );
    let findings = runtime::run(&left, async {
        let cluster = Cluster::connect(global).await?;
        prove(&cluster, args).await
    })?;
    match args.output {
        Report::Text => findings.iter().for_each(|finding| terminal.finding(finding)),
        Report::Json => print!("{}", report::json(&findings)),
        Report::Junit => print!("{}", report::junit("diyadm verify", &findings)),
    }
    let failed = findings.iter().any(|finding| finding.level == Level::Failed);
    Ok(if failed { Code::No } else { Code::Done })
}

async fn prove(cluster: &Cluster, args: &Verify) -> Result<Vec<Finding>> {
    let namespace = args.names.namespace.as_str();
    let dry_run = match args.dry_run {
        Some(DryRun::Client) => {
            let what = "verify asks the API server, so --dry-run=client proves nothing.";
            return Err(Failure::usage(what, "Type --dry-run=server, or --offline.").into());
        }
        Some(DryRun::Server) => true,
        None => false,
    };
    let verbs = if dry_run { &["create"][..] } else { &["create", "get", "delete"] };
    let rights: Vec<_> =
        verbs.iter().map(|verb| Right { verb, kind: &DEPLOYMENT, namespace }).collect();
    cluster.demand(&rights).await?;

    let mut object = manifests::test_deployment(namespace)?;
    if dry_run {
        // A name of its own, so that one that is there does not stand in the way.
        object["metadata"]["name"] = "diyadm-check".into();
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let created = match cluster.create(&object, dry_run).await {
        Ok(created) => created,
        Err(error) if error::exists(&error) => {
            let what = format!("There is a Deployment {name} in namespace {namespace} already.");
            let hint = format!(
                "Type `diyadm verify --dry-run=server`, or delete it: \
                 `kubectl -n {namespace} delete deployment {name}`."
            );
            return Err(Failure::no(what, hint).into());
        }
        Err(error) if error::status(&error).is_some() => return explained(cluster, args).await,
        Err(error) => return Err(error),
    };
    // Read back what is stored, as the blog does; a dry run stores nothing.
    let stored = if dry_run {
        created
    } else {
        let stored = cluster.get(&DEPLOYMENT, namespace, name).await?;
        if !args.keep {
            cluster.delete(&DEPLOYMENT, namespace, name, false).await?;
        }
        stored.unwrap_or(created)
    };
    let found = check::test_image(&stored);
    if found != args.image {
        return explained(cluster, args).await;
    }
    let how = match (dry_run, args.keep) {
        (true, _) => "in a dry run",
        (false, true) => "and is still there",
        (false, false) => "and is gone again",
    };
    let title = format!("templates/test.yaml came back with {found}, {how}");
    Ok(vec![Finding::ok("image", title)])
}

/// What `check` finds wrong.
async fn explained(cluster: &Cluster, args: &Verify) -> Result<Vec<Finding>> {
    let subject = check::subject(&args.names, &args.image)?;
    let findings = check::look(cluster, &subject, false).await?;
    let mut wrong: Vec<_> = findings.into_iter().filter(|f| f.level != Level::Ok).collect();
    if wrong.iter().all(|f| f.level != Level::Failed) {
        let title = "templates/test.yaml was not emptied, and everything else looks right now";
        wrong.push(Finding::failed("image", title, "Type `diyadm verify` once more."));
    }
    Ok(wrong)
}
