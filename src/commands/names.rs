//! What `-n`, `--service`, `--secret` and `--label` mean, and how they are typed again.

use anyhow::Result;

use crate::{
    checks::Subject,
    cli::Names,
    cluster::Cluster,
    exit::{Failure, quoted},
};

/// Whether these can be names at all. What a cluster has under them is another question.
///
/// # Errors
/// The flag, and how it is typed. They end up in paths of requests and in certificates.
pub(super) fn check(names: &Names) -> Result<()> {
    label(names)?;
    for (flag, name, dots) in [
        ("--namespace", &names.namespace, false),
        ("--service", &names.service, false),
        ("--secret", &names.secret, true),
    ] {
        if !is_name(name, dots) {
            let what = format!("{flag} {name:?} is no name of Kubernetes.");
            let hint = "Names are lower-case letters, digits and hyphens: `diyadmissionwebhook`.";
            return Err(Failure::usage(what, hint).into());
        }
    }
    Ok(())
}

/// The namespaces that Kubernetes keeps for itself: nothing there is ever emptied.
const KEPT: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// [`check`] for a command that labels the namespace.
///
/// # Errors
/// [`check`]'s, and a namespace of Kubernetes' own.
pub(super) fn check_labelled(names: &Names) -> Result<()> {
    check(names)?;
    if KEPT.contains(&names.namespace.as_str()) {
        let what = format!("Namespace {} is Kubernetes' own.", names.namespace);
        let hint = "Nothing is emptied there; name one of your own: `-n NAMESPACE`.";
        return Err(Failure::usage(what, hint).into());
    }
    Ok(())
}

/// RFC 1123, as Kubernetes has it: a label, or, with `dots`, labels between dots.
fn is_name(name: &str, dots: bool) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(plain)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let longest = if dots { 253 } else { 63 };
    name.len() <= longest && (dots || !name.contains('.')) && name.split('.').all(label)
}

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
