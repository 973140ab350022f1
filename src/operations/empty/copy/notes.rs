//! What `empty --copy` prints about a new copy.

use serde_json::Value;

use crate::{
    kinds::{Controller, JOB},
    kubernetes::{DEPLOYMENT, targets::LiveObject},
    operations::{
        Operation,
        empty::{decision::EmptyRequest, template::containers},
        flags::CopyFlags,
    },
    workload::copy,
};

/// The copy, and how it differs from its original.
pub(super) fn print_created(
    operation: &Operation<'_>,
    plan: &EmptyRequest<'_>,
    found: &LiveObject,
    made: &LiveObject,
    knows_selectors: bool,
) {
    let (name, original) = (operation.shown(made), operation.shown(found));
    let created = if operation.is_real() { "created" } else { "would be created" };
    let summary = made.object.subject().and_then(|subject| subject.summary()?.ok());
    let how = summary.as_ref().map(containers).unwrap_or_default();
    let dry = operation.dry();
    operation.terminal.done(&format!("{name} {created}, a copy of {original}: {how}{dry}"), None);
    let labels = |object: &Value, path: &str| {
        let labels = object.pointer(&format!("{path}/metadata/labels")).and_then(Value::as_object);
        labels.cloned().unwrap_or_default()
    };
    let kept = labels(&made.object, &DEPLOYMENT.template());
    let lost: Vec<_> = labels(&found.object, &found.kind.template())
        .into_iter()
        .filter(|(key, _)| !kept.contains_key(key))
        .map(|(key, _)| key)
        .collect();
    if !lost.is_empty() {
        let why = if knows_selectors {
            "which selectors use here"
        } else {
            "as you may not list all selectors"
        };
        let what = format!("  its Pod lacks these labels, {why}: {}", lost.join(", "));
        operation.terminal.say(&what);
    }
    if let Some(choice) = plan.choice(made) {
        operation.terminal.say(&format!("  {choice}"));
    }
}

/// Warnings about what the copy shares with its original.
pub(super) fn print_shared(
    operation: &Operation<'_>,
    flags: &CopyFlags,
    found: &LiveObject,
    made: &LiveObject,
    registries: &[(&'static str, String)],
) {
    let (name, original) = (operation.shown(made), operation.shown(found));
    for (registry, variable) in registries {
        operation.terminal.warn(&format!(
            "{name} has the variable {variable} of {registry}: an application that registers \
             itself there gets requests meant for {original}"
        ));
    }
    let (_, volumes) = copy::claims(&found.object);
    if !volumes.is_empty() && !flags.fresh_volumes {
        operation.terminal.warn(&format!(
            "{name} uses the same PersistentVolumeClaims as {original} (volumes {}); \
             --fresh-volumes gives it empty volumes",
            volumes.join(", ")
        ));
    }
    if found.kind == &JOB || found.kind.controller == Controller::Jobs {
        let what = format!("  it is a Deployment: its Pod stays when a {} ends", found.kind.kind);
        operation.terminal.say(&what);
    }
}
