//! Finds the workloads of the command line: by name or selector, or by manifests (`-f`), as in
//! kubectl.

use std::path::PathBuf;

use anyhow::Result;

use super::files;
use crate::{
    exit::{Failure, Topic},
    kinds,
    kubernetes::{
        Cluster,
        targets::{self, Selection, Targeted, Targets, Unnamed},
    },
    yaml::Document,
};

/// The result of [`targets::find`], or with `filename` the cluster's workloads of these manifests.
///
/// # Errors
/// See [`targets::find`]; files that cannot be read, that name no workload, or that name one of
/// another namespace than -n.
pub(crate) async fn find(
    cluster: &Cluster,
    targets: &Targets,
    filename: &[PathBuf],
    unnamed: Unnamed,
) -> Result<Targeted> {
    if filename.is_empty() {
        return targets::find(cluster, targets, unnamed).await;
    }
    let flag = targets.namespace.as_deref().filter(|namespace| !namespace.is_empty());
    let mut whole = Targeted { selection: Selection::Named, ..Targeted::default() };
    for (namespace, workloads) in by_namespace(filename, flag)? {
        let namespace = namespace.or_else(|| flag.map(ToOwned::to_owned));
        let targets = Targets { workloads, namespace, ..Targets::default() };
        let Targeted { found, kinds, unseen, .. } =
            targets::find(cluster, &targets, Unnamed::Refused).await?;
        whole.found.extend(found);
        whole.kinds.extend(kinds);
        whole.unseen.extend(unseen);
    }
    Ok(whole)
}

/// Names like `deployment/web` for each namespace in the manifests, in their order.
fn by_namespace(
    filename: &[PathBuf],
    flag: Option<&str>,
) -> Result<Vec<(Option<String>, Vec<String>)>> {
    let mut all: Vec<(Option<String>, Vec<String>)> = Vec::new();
    for file in files::read_manifests(filename)? {
        for Document { line, value: object, .. } in file.objects {
            let word = |value: &serde_json::Value| value.as_str().map(ToOwned::to_owned);
            let version = object["apiVersion"].as_str().unwrap_or_default();
            let kind = object["kind"].as_str().unwrap_or_default();
            // Services and other objects are in the same file as workloads.
            if kinds::find(version, kind).is_none() {
                continue;
            }
            let place = format!("{}:{line}", file.name);
            let Some(name) = word(&object["metadata"]["name"]) else {
                let what = format!("{place}: this {kind} has no name.");
                let hint = "Use the name of the created object, which `kubectl get` shows.";
                return Err(Failure::usage(Topic::Manifest, what, hint).into());
            };
            let namespace = word(&object["metadata"]["namespace"]).filter(|one| !one.is_empty());
            if let (Some(namespace), Some(flag)) = (namespace.as_deref(), flag)
                && namespace != flag
            {
                let what = format!("{place}: the namespace is {namespace}, and -n is {flag}.");
                let hint = format!("Use `-n {namespace}`, or omit -n.");
                return Err(Failure::usage(Topic::Manifest, what, hint).into());
            }
            let workload = format!("{}/{name}", kind.to_lowercase());
            match all.iter_mut().find(|(known, _)| *known == namespace) {
                Some((_, workloads)) => workloads.push(workload),
                None => all.push((namespace, vec![workload])),
            }
        }
    }
    if all.is_empty() {
        let what = "These files contain no workload.";
        let hint = "Use manifests with Deployments, StatefulSets or another kind of workload.";
        return Err(Failure::usage(Topic::Manifest, what, hint).into());
    }
    Ok(all)
}
