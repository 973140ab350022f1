//! What a pod template, or an annotation of the workload, means at level pod: the opt-out that a
//! restore leaves in the template, and annotations without effect.

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    kinds::Kind,
    kubernetes::FIELD_MANAGER,
    operations::{change::played, intercept::Interceptor},
    workload::{LABEL, ParsedObject, Refusal, SHAPE, Subject, pod_from_template},
};

/// Whether the pod template was opted out by an earlier restore at level pod.
pub(super) fn is_opted_out_by_diyadm(subject: &Subject<'_>) -> bool {
    subject.annotated_by(FIELD_MANAGER, LABEL, true)
}

/// Removes the opt-out of an earlier restore at level pod from the template: the operations, and
/// the object without it.
pub(crate) fn remove(object: &ParsedObject) -> Result<(Vec<Value>, ParsedObject)> {
    let subject = object.try_subject()?;
    let ours =
        subject.refusals().contains(&Refusal::PodAnnotation) && is_opted_out_by_diyadm(subject);
    if !ours {
        return Ok((Vec::new(), object.clone()));
    }
    let template = subject.workload().map(Kind::template).unwrap_or_default();
    let path = format!("{template}/metadata/annotations/{LABEL}");
    let operations = vec![json!({ "op": "remove", "path": path })];
    let freed = played(object, &operations)?;
    Ok((operations, freed.into()))
}

/// A warning about annotations that have no effect at level pod.
pub(crate) fn ignored_annotations(object: &ParsedObject) -> Option<String> {
    let keys = object.subject()?.unheard();
    (!keys.is_empty()).then(|| {
        format!(
            "at level pod only its Pods count, and its own annotation {} is ignored: write it \
             into the pod template",
            keys.join(", ")
        )
    })
}

/// A warning about the Pod's shape, which a policy cannot change.
pub(crate) fn ignored_shape(object: &ParsedObject, interceptor: &Interceptor) -> Option<String> {
    let Interceptor::Policy(name) = interceptor else { return None };
    let pod = pod_from_template::pod(object)?;
    pod["metadata"]["annotations"][SHAPE].is_string().then(|| {
        format!(
            "policy {name} ignores the annotation {SHAPE}: only the webhook, or `diyadm empty` \
             without `--level pod`, changes the Pod's shape"
        )
    })
}
