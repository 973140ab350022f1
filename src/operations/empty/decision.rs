//! Whether and how a workload is emptied from here, before anything is sent.

use anyhow::Result;
use serde_json::Value;

use super::opt_out::{self, is_opted_out_by_diyadm};
use crate::{
    exit::{Failure, Topic},
    kinds::{ARGO_ROLLOUT, CRON_JOB},
    kubernetes::{
        Cluster, FIELD_MANAGER,
        targets::{LiveObject, Selection},
    },
    operations::{
        flags,
        intercept::Webhooks,
        owner::{Owned, owned},
    },
    workload::{
        Context, DecidedBy, Decision, ENABLED, EXPIRES, IMAGE, LABEL, Level, ParsedObject,
        REPLICAS, Refusal, RequestedAnnotation, Rules, SHAPE, SUSPEND, Stamp, Subject, Warning,
        recreation,
    },
};

/// Options for all workloads of one command.
#[derive(Clone)]
pub(crate) struct EmptyRequest<'a> {
    pub(crate) rules: &'a Rules,
    /// The flags, as annotations.
    pub(crate) requested_annotations: Vec<RequestedAnnotation>,
    /// How the workloads were selected.
    pub(crate) selection: Selection,
    pub(crate) recreate: bool,
    /// `--level`
    pub(crate) level: Option<flags::Level>,
    pub(crate) stamp: Stamp,
    /// Flags that select this cluster, for commands in hints.
    pub(crate) flags: &'a str,
}

/// How to empty a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EmptyMethod {
    /// Its pod template is changed.
    Patch,
    /// Its Pods are replaced, and a webhook or policy empties them.
    Pods,
    /// It is deleted and created again.
    Recreate,
}

/// Why a workload stays as it is; `soft` if it was not named.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) what: String,
    pub(crate) hint: String,
    pub(crate) soft: bool,
}

impl EmptyRequest<'_> {
    /// How to empty `found`; `scaled` is its autoscaler.
    pub(crate) fn choose_method(
        &self,
        found: &LiveObject,
        scaled: Option<&str>,
    ) -> Result<EmptyMethod, Refused> {
        let wrong = |what: String, hint: &str| Refused { what, hint: hint.to_owned(), soft: false };
        let soft = self.is_soft();
        let refused = |what: String, hint: &str| Refused { soft, ..wrong(what, hint) };
        let subject = found
            .object
            .try_subject()
            .map_err(|error| wrong(format!("it is invalid: {error}"), ""))?;
        if found.namespace == "kube-system" {
            let what = "diyadm never touches kube-system".to_owned();
            return Err(refused(what, ""));
        }
        if recreation::is_placeholder(&found.object) {
            let what = "it is a placeholder of a command that was interrupted";
            return Err(refused(what.to_owned(), "Run that command again to remove it."));
        }
        if subject.is_by_policy() && !subject.is_controlled() {
            let what = "a policy emptied it when it was created, and saved no original";
            return Err(refused(what.to_owned(), "Its manifest has its original form."));
        }
        if let Some(Owned { by, typed }) = owned(subject) {
            let hint = match typed {
                Some(owner) => {
                    let LiveObject { namespace, .. } = found;
                    format!("Empty its owner: `diyadm empty {owner} -n {namespace}{}`.", self.flags)
                }
                None => "Its owner would undo the change: use a webhook of `diyadm install \
                         --level pod`, which empties its Pods instead."
                    .to_owned(),
            };
            return Err(refused(format!("it belongs to {by}"), &hint));
        }
        let reference = &found.object["spec"]["workloadRef"];
        if found.kind == &ARGO_ROLLOUT && reference.is_object() {
            let word = |field: &str| reference[field].as_str().unwrap_or_default();
            let whose = format!("{}/{}", word("kind").to_lowercase(), word("name"));
            let hint = format!("Run `diyadm empty {whose} -n {}{}`.", found.namespace, self.flags);
            let what = format!("its pod template is that of {whose} (spec.workloadRef)");
            return Err(refused(what, &hint));
        }
        if found.kind.is_custom() && !found.kind.mutable {
            let what = format!("the pod template of a {} cannot change", found.kind.singular());
            let hint = "Delete it and create it again: the webhook empties it as it is created.";
            return Err(refused(what, hint));
        }
        let requested_annotations = self.requested_annotations_for(subject, found)?;
        let context = Context {
            namespace: &found.namespace,
            requested_annotations: &requested_annotations,
            ..Context::default()
        };
        let Decision { way, rule, sources, .. } = subject
            .decide(self.rules, &context)
            .map_err(|why| wrong(why, "Change the annotation, or the flags."))?;
        if !way.empty {
            let rule = rule.map(|rule| format!("rule {rule} of --rules")).unwrap_or_default();
            return Err(refused(format!("{rule} opts it out"), ""));
        }
        if way.level == Level::Pod && subject.kind() != "Pod" {
            if self.requested_annotations.is_empty() {
                return Ok(EmptyMethod::Pods);
            }
            let by = sources.iter().find(|(name, _)| *name == "level").map(|(_, source)| source);
            let by = match by {
                Some(DecidedBy::Annotation) => "its annotation diyadm.io/level",
                _ => "a rule of --rules",
            };
            let what = format!("{by} sets level pod, where the workload itself does not change");
            return Err(wrong(what, "Omit --image, --idle, --containers and --replicas."));
        }
        let counted = subject.workload().is_some_and(|kind| kind.replicas);
        if !counted && self.requested_annotations.iter().any(|one| one.key == REPLICAS) {
            let what = format!("a {} has no replicas field", subject.kind());
            return Err(refused(what, "Omit --replicas, or use other workloads."));
        }
        if subject.workload().is_some_and(|kind| !kind.mutable) {
            if self.requested_annotations.iter().any(|one| one.key == EXPIRES) {
                let what = format!("a {} cannot be restored in place at the end", subject.kind());
                return Err(wrong(what, "Omit --for."));
            }
            return self.fixed(subject, found);
        }
        if let (Some(replicas), Some(by)) = (way.replicas, scaled) {
            let what = format!("{by} sets its replicas, and would undo --replicas {replicas}");
            return Err(wrong(
                what,
                "Omit --replicas; --hold-autoscalers keeps the number of replicas.",
            ));
        }
        if way.replicas.is_some_and(|replicas| subject.loses_volumes(replicas)) {
            let what = "its persistentVolumeClaimRetentionPolicy (whenScaled: Delete) deletes \
                        volumes when the replicas change";
            let hint = "Omit --replicas, or set whenScaled to Retain in its manifest first.";
            return Err(wrong(what.to_owned(), hint));
        }
        Ok(EmptyMethod::Patch)
    }

    /// [`EmptyRequest::choose_method`], with a default level: if a webhook or policy empties the
    /// Pods of the namespace, the pod template stays unchanged.
    pub(crate) async fn choose_method_in_cluster(
        &self,
        cluster: &Cluster,
        webhooks: &Webhooks,
        found: &LiveObject,
        scaled: Option<&str>,
    ) -> Result<EmptyMethod, Refused> {
        let settled = self.choose_method(found, scaled)?;
        let is_free = self.level.is_none() && !found.object.is_emptied();
        if settled != EmptyMethod::Patch || !is_free {
            return Ok(settled);
        }
        let interceptor = webhooks.of_level_pod(cluster, found).await;
        let Some(who) = interceptor.shown() else { return Ok(settled) };
        if self.requested_annotations.is_empty() {
            return Ok(EmptyMethod::Pods);
        }
        Err(Refused {
            what: format!(
                "{who} empties the Pods of this workload with its own rules, and ignores these flags"
            ),
            hint: "Omit --image, --idle, --containers and --replicas, or use --level workload to \
                 change the template anyway."
                .to_owned(),
            soft: self.is_soft(),
        })
    }

    pub(super) fn is_soft(&self) -> bool {
        self.selection == Selection::Together
    }

    /// The container that was chosen among several candidates, and how to choose another.
    pub(super) fn choice(&self, found: &LiveObject) -> Option<String> {
        let subject = found.object.subject()?;
        let requested_annotations = &self.requested_annotations;
        let context =
            Context { namespace: &found.namespace, requested_annotations, ..Context::default() };
        let candidates = subject.candidates(self.rules, &context);
        let (chosen, others) = candidates.split_first().filter(|(_, others)| !others.is_empty())?;
        let named = others.join(", ");
        Some(format!("container {chosen} was chosen, not {named}: --containers chooses others"))
    }

    /// A workload whose pod template cannot be changed.
    fn fixed(&self, subject: &Subject<'_>, found: &LiveObject) -> Result<EmptyMethod, Refused> {
        let is_there = found.object["metadata"]["uid"].is_string();
        // Only the image of a Pod can be changed.
        let is_image = |path: &str| {
            let field = path.strip_prefix("/spec/containers/").and_then(|p| p.split_once('/'));
            subject.kind() == "Pod" && field.is_some_and(|(_, field)| field == "image")
        };
        let reaches_pod = |operations: &[Value]| {
            let mut paths = operations.iter().filter_map(|operation| operation["path"].as_str());
            paths.any(|path| path.starts_with("/spec") && !is_image(path))
        };
        if subject.is_emptied() && is_there {
            let operations = self.operations(found, &found.object);
            if !operations.is_ok_and(|(operations, _)| reaches_pod(&operations)) {
                return Ok(EmptyMethod::Patch);
            }
        }
        if self.recreate {
            self.refuse_annotated_image(subject, found)?;
            return Ok(EmptyMethod::Recreate);
        }
        let command = format!(
            "`diyadm empty {} -n {}{} --recreate`",
            found.shown(),
            found.namespace,
            self.flags
        );
        let (what, hint) = if is_there {
            let what = match subject.kind() {
                "Pod" => "only the image of a running Pod can be changed",
                _ => "the Pods of an existing Job cannot be changed",
            };
            let hint = format!(
                "{command} deletes it and creates it again, emptied: its progress and the files \
                 in it are lost."
            );
            (what, hint)
        } else {
            let what = "it does not exist: a command was interrupted while it recreated it";
            (what, format!("{command} creates it, emptied."))
        };
        Err(Refused { what: what.to_owned(), hint, soft: self.is_soft() })
    }

    /// Fails where an annotation names the image that a Job would run once it is created again by the
    /// rights of this user: anybody who may only patch a Job can annotate it, and cannot set its image.
    fn refuse_annotated_image(
        &self,
        subject: &Subject<'_>,
        found: &LiveObject,
    ) -> Result<(), Refused> {
        let asks_for = |key: &str| self.requested_annotations.iter().any(|one| one.key == key);
        let is_asked_for = asks_for(IMAGE);
        let annotations = &found.object["metadata"]["annotations"];
        if annotations[SHAPE].is_string() && !asks_for(SHAPE) {
            let what = format!("its annotation {SHAPE} would change its Pods");
            let hint = "Anybody who may patch it can set that. Remove the annotation, or run the \
                        command again with the flags for it.";
            return Err(Refused { what, hint: hint.to_owned(), soft: false });
        }
        match annotations[IMAGE].as_str() {
            Some(image) if subject.kind() != "Pod" && !is_asked_for => Err(Refused {
                what: format!("its annotation {IMAGE} would set the image that it runs: {image}"),
                hint: format!(
                    "Anybody who may patch it can set that. Run the command again with `--image \
                     {image}` if you trust the image."
                ),
                soft: false,
            }),
            _ => Ok(()),
        }
    }

    /// The annotations of the flags, and the removal of an opt-out where allowed.
    fn requested_annotations_for(
        &self,
        subject: &Subject<'_>,
        found: &LiveObject,
    ) -> Result<Vec<RequestedAnnotation>, Refused> {
        let mut requested_annotations = self.requested_annotations.clone();
        requested_annotations
            .retain(|one| one.key != SUSPEND || subject.workload() == Some(&CRON_JOB));
        for place in subject.refusals() {
            let path = subject.workload().map(|_| "its pod template").unwrap_or_default();
            let (what, hint) = match place {
                Refusal::Annotation => {
                    let ours = subject.annotated_by(FIELD_MANAGER, LABEL, false);
                    // Naming a workload overrides an opt-out; a selector does not override one that
                    // was set by hand.
                    if ours || self.selection == Selection::Named {
                        requested_annotations.push(RequestedAnnotation {
                            key: LABEL,
                            value: None,
                            forget: ours,
                        });
                        continue;
                    }
                    (
                        format!("its annotation {LABEL} opts it out"),
                        "Name it to empty it.".to_owned(),
                    )
                }
                Refusal::PodAnnotation if is_opted_out_by_diyadm(subject) => continue,
                Refusal::Label => (
                    format!("its label {LABEL} opts it out"),
                    format!(
                        "Remove it: `kubectl -n {} label {} {LABEL}-`.",
                        found.namespace,
                        found.shown()
                    ),
                ),
                Refusal::PodAnnotation | Refusal::PodLabel => (
                    format!("{path} opts it out by {LABEL}"),
                    format!(
                        "Remove it, or set it to {ENABLED}: `kubectl -n {} edit {}`.",
                        found.namespace,
                        found.shown()
                    ),
                ),
            };
            return Err(Refused { what, hint, soft: self.is_soft() });
        }
        Ok(requested_annotations)
    }

    /// The operations that empty it, and warnings; no operations if it is empty.
    pub(crate) fn operations(
        &self,
        found: &LiveObject,
        object: &ParsedObject,
    ) -> Result<(Vec<Value>, Vec<Warning>)> {
        let (mut operations, freed) = opt_out::remove(object)?;
        let subject = freed.try_subject()?;
        let refused = |refused: Refused| Failure::no(Topic::LeftAlone, refused.what, refused.hint);
        let requested_annotations =
            self.requested_annotations_for(subject, found).map_err(refused)?;
        let context = Context {
            namespace: &found.namespace,
            stamp: Some(&self.stamp),
            requested_annotations: &requested_annotations,
            ..Context::default()
        };
        let change = subject.empty(self.rules, &context);
        operations.extend(serde_json::from_str::<Vec<Value>>(&change.patch)?);
        Ok((operations, change.warnings))
    }
}
