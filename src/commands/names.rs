//! What `-n`, `--service`, `--secret` and `--label` mean, and how they are typed again.

use anyhow::Result;

use crate::{
    checks::Subject,
    cli::Names,
    cluster::Cluster,
    exit::{Failure, quoted},
};

/// Key and value of `--label`.
pub(super) fn label(names: &Names) -> Result<(String, String)> {
    let pair = names.label.split_once('=').filter(|(key, _)| !key.is_empty());
    let Some((key, value)) = pair else {
        let what = format!("--label {} is not KEY=VALUE.", names.label);
        let hint = "Type it like --label inject-empty-container=enabled.";
        return Err(Failure::usage(what, hint).into());
    };
    Ok((key.to_owned(), value.to_owned()))
}

/// The flags that lead here again, each after a blank: those that differ from the defaults. A
/// hint's command without them would mean another webhook, or another cluster.
pub(super) fn flags(cluster: &Cluster, names: &Names) -> String {
    let default = Names::default();
    let all = [
        ("-n", &names.namespace, default.namespace),
        ("--service", &names.service, default.service),
        ("--secret", &names.secret, default.secret),
        ("--label", &names.label, default.label),
    ];
    let differ = all.into_iter().filter(|(_, value, default)| *value != default);
    let words: String = differ.map(|(flag, v, _)| format!(" {flag} {}", quoted(v))).collect();
    format!("{words}{}", cluster.flags())
}

/// What the names mean for the checks.
pub(super) fn subject(cluster: &Cluster, names: &Names, image: &str) -> Result<Subject> {
    Ok(Subject {
        namespace: names.namespace.clone(),
        service: names.service.clone(),
        secret: names.secret.clone(),
        label: label(names)?,
        image: image.to_owned(),
        flags: flags(cluster, names),
    })
}
