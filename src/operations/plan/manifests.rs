//! Plans for workloads in manifests, without a cluster.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    exit::{Failure, Topic},
    explain::is_workload,
    kinds::CRON_JOB,
    operations::{files, flags::ScaleFlags},
    plan::{Decided, Does, WorkloadPlan, plan},
    workload::{
        Context, Decision, LABEL, Level, RequestedAnnotation, Rules, STAND_IN_COMMAND, SUSPEND,
        Settled, Subject, Warning,
    },
};

/// Plans for workloads in manifests: nothing is known about other objects.
pub(crate) fn plans(
    filename: &[PathBuf],
    namespace: Option<&str>,
    (scale, command): (ScaleFlags, Option<&str>),
    rules: &Rules,
) -> Result<Vec<WorkloadPlan>> {
    let mut plans = Vec::new();
    for document in files::read_manifests(filename)?.into_iter().flat_map(|file| file.objects) {
        let object = document.value;
        let text = object.to_string();
        let Some(subject) = Subject::parse(&text).filter(|_| is_workload(&object)) else {
            continue;
        };
        let own = object["metadata"]["namespace"].as_str();
        let namespace = own.or(namespace).unwrap_or_default();
        let suspends = scale.suspend_cronjobs && subject.workload() == Some(&CRON_JOB);
        let edits = [(SUSPEND, suspends.then_some("true")), (STAND_IN_COMMAND, command)];
        let edits = edits.into_iter().filter_map(|(key, value)| Some((key, value?.to_owned())));
        let requested =
            |(key, value)| RequestedAnnotation { key, value: Some(value), forget: false };
        let requested_annotations: Vec<_> = edits.map(requested).collect();
        let context = Context {
            namespace,
            requested_annotations: &requested_annotations,
            ..Context::default()
        };
        let decided = offline(&subject, rules, &context)?;
        plans.push(plan(rules, &object, &context, decided, &[]));
    }
    if plans.is_empty() {
        let hint = "Use manifests with Deployments, StatefulSets or another kind of workload.";
        return Err(
            Failure::usage(Topic::Manifest, "These files contain no workload.", hint).into()
        );
    }
    Ok(plans)
}

/// The result of `diyadm mutate`.
fn offline(subject: &Subject<'_>, rules: &Rules, context: &Context<'_>) -> Result<Decided> {
    let (settled, change) = subject.settle(rules, context);
    let mut decided = Decided {
        does: Does::Template,
        why: String::new(),
        hint: String::new(),
        operations: serde_json::from_str(&change.patch)?,
        warnings: change.warnings.iter().map(Warning::message).collect(),
    };
    if !decided.operations.is_empty() && settled == Settled::Emptied {
        return Ok(decided);
    }
    let way = subject.decide(rules, context);
    (decided.does, decided.why) = match way {
        Err(why) => (Does::Nothing, why),
        Ok(_) if subject.declines() => (Does::Nothing, format!("{LABEL} there opts it out")),
        Ok(Decision { way, rule, .. }) if !way.empty => {
            let rule = rule.map(|rule| format!("rule {rule}")).unwrap_or_default();
            (Does::Nothing, format!("{rule} opts it out"))
        }
        Ok(Decision { way, .. }) if way.level == Level::Pod && subject.kind() != "Pod" => {
            (Does::Pods, "a webhook or policy empties them when they are created".to_owned())
        }
        Ok(_) if subject.is_emptied() => (Does::Already, String::new()),
        Ok(_) => {
            let why = change
                .warnings
                .first()
                .map_or_else(|| "there is nothing to empty in it".to_owned(), ToString::to_string);
            (Does::Nothing, why)
        }
    };
    Ok(decided)
}
