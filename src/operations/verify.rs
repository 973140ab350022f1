//! Creates templates/test.yaml in the namespace, and checks the result.

use anyhow::Result;

use super::check;
use crate::{
    exit::{Failure, Topic},
    kubernetes::{Cluster, DEPLOYMENT, Kind, ObjectRef, POD, Right, WriteMode, error},
    operations::{
        flags::{Level, render::Mode, verify::VerifyArgs},
        webhook_names::{self, Resolved},
    },
    webhook::{
        checks::{Finding, Level as FindingLevel, image_of, is_emptied_by_policy, is_emptied_to},
        manifests,
    },
};

mod client;
pub(crate) mod offline;

/// The kind of the object to create: at level `pod` a Deployment itself would not change.
pub(crate) fn kind(args: &VerifyArgs) -> &'static Kind {
    let pods = args.mode == Mode::Policy || args.level == Some(Level::Pod);
    if pods { &POD } else { &DEPLOYMENT }
}

/// Creates the object, and deletes it again.
pub(crate) async fn verify(
    cluster: &Cluster,
    args: &VerifyArgs,
    resolved: &Resolved,
) -> Result<Vec<Finding>> {
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
    let test = ObjectRef { kind, namespace, name };
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
            return Err(Failure::no(Topic::Installation, what, hint).into());
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
    if !is_emptied_to(&stored, &args.image.name()) || !by_mode {
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
async fn explained(
    cluster: &Cluster,
    args: &VerifyArgs,
    resolved: &Resolved,
) -> Result<Vec<Finding>> {
    let subject = resolved.subject(cluster, &args.image.name())?;
    let findings = match args.mode {
        Mode::Webhook => check::findings(cluster, &subject).await?,
        Mode::Policy => check::policy::findings(cluster, &subject).await?,
    };
    let mut wrong: Vec<_> = findings.into_iter().filter(|f| f.level != FindingLevel::Ok).collect();
    if wrong.iter().all(|f| f.level != FindingLevel::Failed) {
        let seen = "templates/test.yaml was not emptied, but all checks pass now";
        let hint = format!("Run `diyadm verify{}` again.", subject.flags);
        wrong.push(Finding::failed("image", seen, hint));
    }
    Ok(wrong)
}
