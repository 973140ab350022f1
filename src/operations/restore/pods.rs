//! Restores at level pod: the workload was never changed, so its Pods are replaced by Pods that are
//! not emptied.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use super::options::RestoreOptions;
use crate::{
    exit::{Failure, Topic},
    kinds::{CRON_JOB, JOB},
    kubernetes::{
        POD, Scope, error,
        targets::{LiveObject, Selection},
    },
    operations::{
        Operation, OperationResult, WorkloadOutcome,
        change::{annotated, played},
        intercept::{Interceptor, Webhooks},
        replace::PodMatch,
    },
    rollout::{self, Form},
    status,
    workload::{
        self, DISABLED, LABEL, ParsedObject, Subject,
        pods::{belongs_to, is_over},
        recreation,
    },
};

/// The running Pods of some namespaces.
#[derive(Default)]
pub(super) struct Pods {
    /// Each Pod, and whether it was emptied itself.
    all: Vec<(Value, bool)>,
    /// Namespaces whose Pods could not be read, and why. Without the right to list them, they count
    /// as empty.
    unseen: Vec<(String, String)>,
}

impl Pods {
    /// The Pods in the namespaces of these workloads.
    pub(super) async fn list(operation: &Operation<'_>, all: &[LiveObject]) -> Self {
        let mut namespaces: Vec<_> = all.iter().map(|found| found.namespace.as_str()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        let places = namespaces.into_iter().map(|namespace| (&POD, Scope::new(namespace)));
        let mut pods = Self::default();
        for (_, scope, list) in operation.cluster.lists(places).await {
            match list {
                Ok(list) => {
                    pods.all.extend(list.into_iter().filter(|pod| !is_over(pod)).map(|pod| {
                        let emptied = workload::is_emptied_pod(&pod.to_string());
                        (pod, emptied)
                    }));
                }
                Err(error) if error::is_forbidden(&error) => {}
                Err(error) => {
                    let namespace = scope.namespace().unwrap_or_default().to_owned();
                    pods.unseen.push((namespace, format!("{error:#}")));
                }
            }
        }
        pods
    }

    fn of_workload<'p>(&'p self, found: &'p LiveObject) -> impl Iterator<Item = &'p (Value, bool)> {
        self.all.iter().filter(|(pod, _)| belongs_to(pod, &found.object))
    }

    /// The workload's own Pods.
    pub(super) fn running(&self, found: &LiveObject) -> Vec<Value> {
        self.of_workload(found).map(|(pod, _)| pod.clone()).collect()
    }

    /// Pods left from its emptied template.
    pub(super) fn left(&self, found: &LiveObject) -> Vec<Value> {
        let left = self.of_workload(found).map(|(pod, _)| pod).filter(|pod| {
            let goes = pod["metadata"]["deletionTimestamp"].is_string();
            !goes && !rollout::left_empty(&found.object, pod).is_empty()
        });
        left.cloned().collect()
    }

    /// Reports idle Jobs that an emptied CronJob has started: only deleting them helps.
    pub(super) fn tell_jobs(&self, operation: &Operation<'_>, before: &LiveObject) {
        // A CronJob with a newer command starts working Jobs.
        let is_emptied = before.object.subject().and_then(Subject::holds) == Some(true);
        let idles = |pod: &Value, emptied: bool| {
            let is_of_template = is_emptied && rollout::is_new(&before.object, pod);
            emptied || is_of_template || !rollout::left_empty(&before.object, pod).is_empty()
        };
        let owner = |(pod, emptied): &(Value, bool)| {
            let owners = pod["metadata"]["ownerReferences"].as_array()?;
            let name = owners.iter().find_map(|owner| owner["name"].as_str());
            name.filter(|_| idles(pod, *emptied)).map(ToOwned::to_owned)
        };
        let jobs: BTreeSet<_> = self.of_workload(before).filter_map(owner).collect();
        if jobs.is_empty() {
            return;
        }
        let forbids = before.object["spec"]["concurrencyPolicy"] == "Forbid";
        let next =
            if forbids { ", and with concurrencyPolicy Forbid no other Job starts" } else { "" };
        operation.terminal.say(&format!(
            "  Jobs that it has started idle until they are deleted{next}: `kubectl -n {} delete \
             job {}`",
            before.namespace,
            jobs.into_iter().collect::<Vec<_>>().join(" ")
        ));
    }

    /// Whether only the workload's Pods are empty, or, for a named workload without Pods, would
    /// be.
    ///
    /// # Errors
    /// Its Pods could not be looked at.
    pub(super) async fn are_empty(
        &self,
        operation: &Operation<'_>,
        webhooks: &Webhooks,
        found: &LiveObject,
        selection: Selection,
    ) -> Result<bool> {
        let is_there = found.object["metadata"]["uid"].is_string();
        if found.kind == &POD || !is_there || found.object.is_emptied() {
            return Ok(false);
        }
        if let Some((_, why)) = self.unseen.iter().find(|(place, _)| *place == found.namespace) {
            let shown = operation.shown(found);
            let what = format!("{shown}: diyadm cannot tell whether its Pods are empty: {why}");
            return Err(Failure::no(Topic::Waiting, what, "Run the same command again.").into());
        }
        let mut own = self.of_workload(found).peekable();
        if own.peek().is_some() || selection == Selection::Together {
            return Ok(own.any(|(_, emptied)| *emptied));
        }
        would_be(operation, webhooks, found, found.object.try_subject()?).await
    }
}

/// Whether the Pods of a workload without Pods would be emptied, the only available evidence.
async fn would_be(
    operation: &Operation<'_>,
    webhooks: &Webhooks,
    found: &LiveObject,
    subject: &Subject<'_>,
) -> Result<bool> {
    let mutable = subject.workload().is_some_and(|kind| kind.mutable);
    if !mutable || subject.is_controlled() || !subject.refusals().is_empty() {
        return Ok(false);
    }
    let interceptor = webhooks.of_level_pod(operation.cluster, found).await;
    Ok(interceptor.is_there())
}

pub(super) async fn restore(
    operation: &Operation<'_>,
    webhooks: &Webhooks,
    options: &RestoreOptions<'_>,
    pods: &Pods,
    found: LiveObject,
) -> OperationResult {
    match try_restore(operation, webhooks, options, pods, &found).await {
        Ok((object, patch)) => OperationResult {
            found: LiveObject { object, ..found },
            patch,
            outcome: WorkloadOutcome::Changed,
        },
        Err(error) => OperationResult::failed(found, error),
    }
}

async fn try_restore(
    operation: &Operation<'_>,
    webhooks: &Webhooks,
    options: &RestoreOptions<'_>,
    pods: &Pods,
    found: &LiveObject,
) -> Result<(ParsedObject, Vec<Value>)> {
    let shown = operation.shown(found);
    let interceptor = webhooks.emptying_pods(operation.cluster, found).await;
    if interceptor == Interceptor::Nobody && found.kind == &CRON_JOB {
        let what = format!("{shown}: its new Pods run the original from now on");
        operation.terminal.done(&what, None);
        pods.tell_jobs(operation, found);
        return Ok((found.object.clone(), Vec::new()));
    }
    if found.kind == &JOB {
        return recreate(operation, options, found, &interceptor).await;
    }
    if interceptor == Interceptor::Nobody {
        if !operation.is_real() {
            operation
                .terminal
                .done(&format!("{shown}: its Pods would be replaced{}", operation.dry()), None);
            return Ok((found.object.clone(), Vec::new()));
        }
        let right =
            if options.unlabelled { PodMatch::Unlabelled } else { PodMatch::Made(Form::Original) };
        let count = operation.replace(found, &right).await?;
        operation
            .terminal
            .done(&format!("{shown}: {count} Pods were replaced and run the original"), None);
        return Ok((found.object.clone(), Vec::new()));
    }
    let mut sent = Vec::new();
    let plan = |object: &ParsedObject| {
        let operations = refusal(object)?;
        sent.clone_from(&operations);
        Ok((!operations.is_empty()).then_some(operations))
    };
    let (object, _) = operation.change(found, plan).await?;
    print_opted_out(operation, found, &interceptor);
    Ok((object, sent))
}

/// A deleted Pod of a Job counts as failed, so the Job itself is recreated.
async fn recreate(
    operation: &Operation<'_>,
    options: &RestoreOptions<'_>,
    found: &LiveObject,
    interceptor: &Interceptor,
) -> Result<(ParsedObject, Vec<Value>)> {
    let shown = operation.shown(found);
    if !options.recreate {
        let what = format!("{shown} stays empty: the Pods of a Job cannot be replaced.");
        let hint = format!(
            "`diyadm restore {} --recreate` deletes it and creates it again, restored: its \
             progress and the files in it are lost.",
            found.typed(operation.cluster)
        );
        return Err(Failure::no(Topic::Recreate, what, hint).into());
    }
    let mut new = ParsedObject::from(recreation::without_server_fields(&found.object));
    if *interceptor != Interceptor::Nobody {
        new = played(&new, &refusal(&new)?)?.into();
    }
    let object = operation.recreate(found, &new).await?;
    let would = operation.would();
    let what = format!("{shown} {would}recreated and restored{}", operation.dry());
    operation.terminal.done(&what, None);
    if *interceptor != Interceptor::Nobody {
        print_opted_out(operation, found, interceptor);
    }
    Ok((object, Vec::new()))
}

/// The operations that opt the pod template out; none if it already is.
pub(super) fn refusal(object: &ParsedObject) -> Result<Vec<Value>> {
    let subject = object.try_subject()?;
    let Some(kind) = subject.workload() else { return Ok(Vec::new()) };
    if subject.refusals().contains(&workload::Refusal::PodAnnotation) {
        return Ok(Vec::new());
    }
    Ok(vec![annotated(object, &kind.template(), LABEL, DISABLED)])
}

/// Reports a pod template that is now opted out, and why.
pub(super) fn print_opted_out(
    operation: &Operation<'_>,
    found: &LiveObject,
    interceptor: &Interceptor,
) {
    let shown = operation.shown(found);
    let who = match interceptor.shown() {
        Some(shown) => format!("{shown} empties"),
        None => "something may empty".to_owned(),
    };
    operation
        .terminal
        .done(&format!("{shown}: its pod template is now opted out{}", operation.dry()), None);
    operation.terminal.say(&format!(
        "  {who} Pods of this namespace, so its pod template gets the annotation {LABEL}: \
         disabled, which differs from its manifest; `diyadm empty {}` removes it",
        found.typed(operation.cluster)
    ));
}

/// Reports empty Pods that belong to none of the workloads, and therefore stay.
pub(super) async fn tell_others(operation: &Operation<'_>, all: &[OperationResult]) {
    let scope = operation.cluster.scope(operation.targets);
    // Without the right to list Pods, none are reported.
    let pods = operation.cluster.list(&POD, scope, "").await.unwrap_or_default();
    let objects: Vec<_> = all.iter().map(|one| Value::clone(&one.found.object)).collect();
    for row in status::of_others(&objects, &pods, operation.cluster.flags()) {
        let (kind, place) = (row.kind.to_lowercase(), row.namespace);
        operation
            .terminal
            .warn(&format!("{kind}/{} in {place} stays as it is: {}", row.name, row.note));
    }
}
