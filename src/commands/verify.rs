//! `diyadm verify`: creates templates/test.yaml in the namespace, and checks the result.

use std::time::Instant;

use anyhow::Result;

use super::{check, runtime};
use crate::{
    cli::{Global, Report, render::Mode, verify::Verify},
    exit::{Code, Failure},
    kubernetes::{
        CONFIGURATION, Cluster, DEPLOYMENT, DryRun, Kind, POD, POLICY, Right, Target, WriteMode,
        error,
    },
    operations::{
        flags::Level,
        webhook_names::{self, Resolved},
    },
    report,
    ui::terminal::{self, Terminal},
    webhook::{
        checks::{Finding, Level as Outcome, image_of, is_emptied_by_policy, is_emptied_to},
        manifests,
    },
};

mod offline;

pub(super) fn run(global: &Global, args: &Verify) -> Result<Code> {
    if args.offline {
        return offline::run(global, args);
    }
    let terminal = Terminal::new(&global.terminal);
    if args.dry_run.mode == Some(DryRun::Client) {
        let what = "verify needs the API server, so --dry-run=client is not supported.";
        return Err(Failure::usage(what, "Use --dry-run=server or --offline.").into());
    }
    webhook_names::check(&args.names)?;
    let left = if args.dry_run.mode.is_some() {
        String::new()
    } else {
        let kind = kind(args).singular();
        let command = match &args.names.namespace {
            Some(namespace) => format!("kubectl -n {namespace} delete {kind} test"),
            None => format!("kubectl get {kind}s -A --field-selector metadata.name=test"),
        };
        format!("A {kind} test may remain: `{command}`.")
    };
    let began = Instant::now();
    let mut findings = runtime::run(&left, async {
        let cluster = Cluster::connect(&global.connection).await?;
        let kind = if args.mode == Mode::Policy { &POLICY } else { &CONFIGURATION };
        let resolved = webhook_names::resolve_to_look(&cluster, &args.names, kind).await?;
        prove(&cluster, args, &resolved).await
    })?;
    // Creating and reading is one step; findings of `check` have their own durations.
    if let [one] = findings.as_mut_slice() {
        *one = one.clone().took(began.elapsed());
    }
    match args.output {
        Report::Text => {
            findings.iter().for_each(|finding| check::print_finding(&terminal, finding));
        }
        Report::Json => terminal::print(&report::json(&findings))?,
        Report::Junit => terminal::print(&report::junit("diyadm verify", &findings))?,
    }
    let failed = findings.iter().any(|finding| finding.level == Outcome::Failed);
    Ok(if failed { Code::No } else { Code::Done })
}

/// The object to create: at level `pod` a Deployment itself would not change.
fn kind(args: &Verify) -> &'static Kind {
    let pods = args.mode == Mode::Policy || args.level == Some(Level::Pod);
    if pods { &POD } else { &DEPLOYMENT }
}

async fn prove(cluster: &Cluster, args: &Verify, resolved: &Resolved) -> Result<Vec<Finding>> {
    let namespace = resolved.names.namespace();
    let mode = WriteMode::from(args.dry_run.mode);
    let kind = kind(args);
    let mut object = match kind.kind {
        "Pod" => manifests::test_pod(namespace)?,
        _ => manifests::test_deployment(namespace)?,
    };
    if mode == WriteMode::DryRun {
        // A unique name, so that existing objects do not interfere.
        object["metadata"]["name"] = "diyadm-check".into();
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let test = Target { kind, namespace, name };
    // RBAC cannot restrict create by name.
    let mut rights = vec![Right { name: "", ..test.right("create") }];
    if mode == WriteMode::Persist {
        rights.extend(["get", "delete"].map(|verb| test.right(verb)));
    }
    cluster.demand(&rights).await?;

    let created = match cluster.create(&object, mode).await {
        Ok(created) => created,
        Err(error) if error::exists(&error) => {
            let what = format!("A {} {name} already exists in namespace {namespace}.", kind.kind);
            let hint = format!(
                "Run `diyadm verify --dry-run=server{}`, or delete it: `kubectl -n {namespace} \
                 delete {} {name}`.",
                webhook_names::flags(cluster, &resolved.names),
                kind.singular()
            );
            return Err(Failure::no(what, hint).into());
        }
        Err(error) if error::status(&error).is_some() => {
            return explained(cluster, args, resolved).await;
        }
        Err(error) => return Err(error),
    };
    // Read the stored object, as the blog does; a dry run stores nothing.
    let stored = if mode == WriteMode::DryRun {
        created
    } else {
        let stored = cluster.get(kind, namespace, name).await;
        // The created object is deleted even if reading it failed.
        if !args.keep {
            cluster.delete(kind, namespace, name, WriteMode::Persist).await?;
        }
        stored?.unwrap_or(created)
    };
    let found = image_of(&stored);
    // The requested mode must have emptied it.
    let by_mode = is_emptied_by_policy(&stored) == (args.mode == Mode::Policy);
    if !is_emptied_to(&stored, &args.image) || !by_mode {
        return explained(cluster, args, resolved).await;
    }
    let how = match (mode, args.keep) {
        (WriteMode::DryRun, _) => "in a dry run",
        (WriteMode::Persist, true) => "and was kept",
        (WriteMode::Persist, false) => "and was deleted",
    };
    let of = if kind.kind == "Pod" { "the Pod of " } else { "" };
    let seen = format!("{of}templates/test.yaml was emptied with {found}, {how}");
    Ok(vec![Finding::ok("image", seen)])
}

/// The problems found by `check`.
async fn explained(cluster: &Cluster, args: &Verify, resolved: &Resolved) -> Result<Vec<Finding>> {
    let subject = resolved.subject(cluster, &args.image)?;
    let findings = match args.mode {
        Mode::Webhook => check::findings(cluster, &subject).await?,
        Mode::Policy => check::policy::findings(cluster, &subject).await?,
    };
    let mut wrong: Vec<_> = findings.into_iter().filter(|f| f.level != Outcome::Ok).collect();
    if wrong.iter().all(|f| f.level != Outcome::Failed) {
        let seen = "templates/test.yaml was not emptied, but all checks pass now";
        let hint = format!("Run `diyadm verify{}` again.", subject.flags);
        wrong.push(Finding::failed("image", seen, hint));
    }
    Ok(wrong)
}
