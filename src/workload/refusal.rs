//! Opt-outs of a workload, and who wrote them.

use serde_json::Value;

use super::{
    Change, DISABLED, ENABLED, LABEL, OBJECT, Subject, Warning, annotation_edits::annotate,
    appliers, newer::LAST_APPLIED, patch::Patch,
};
use crate::json;

/// What restoring does with the object's own opt-out, the annotation [`LABEL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptOut {
    /// It becomes what it was before the object was emptied.
    Leave,
    /// It is set, so that nothing empties the object again.
    Set,
}

/// The places where [`LABEL`] can opt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An annotation of the workload.
    Annotation,
    /// A label of the workload.
    Label,
    /// An annotation of the pod template.
    PodAnnotation,
    /// A label of the pod template.
    PodLabel,
}

impl Subject<'_> {
    /// Every place with an opt-out. A Pod is its own template, so its places are listed once.
    pub fn refusals(&self) -> Vec<Refusal> {
        let pod = self.object.pod().filter(|_| self.kind() != "Pod");
        let pod = pod.as_ref();
        let places = [
            (Refusal::Annotation, self.object.annotation(LABEL)),
            (Refusal::Label, self.object.label(LABEL)),
            (Refusal::PodAnnotation, pod.and_then(|pod| pod.annotation(LABEL))),
            (Refusal::PodLabel, pod.and_then(|pod| pod.label(LABEL))),
        ];
        let no = places.into_iter().filter(|(_, value)| value.is_some_and(|v| v != ENABLED));
        no.map(|(place, _)| place).collect()
    }

    /// Whether `manager` wrote this annotation of the workload, or with `pod` of its template.
    pub fn annotated_by(&self, manager: &str, key: &str, pod: bool) -> bool {
        let entries = self.object.managed_fields();
        let entries = entries.and_then(|text| serde_json::from_str::<Vec<Value>>(text).ok());
        let path = self.workload().map_or(&[][..], |kind| kind.pod);
        // The template's metadata is next to its spec.
        let path = if pod { path.split_last().map_or(&[][..], |(_, path)| path) } else { &[] };
        let own = ["metadata", "annotations", key];
        let owns = |fields: &Value| {
            let mut steps = path.iter().chain(&own);
            steps.try_fold(fields, |value, step| value.get(format!("f:{step}"))).is_some()
        };
        entries.into_iter().flatten().any(|e| e["manager"] == manager && owns(&e["fieldsV1"]))
    }

    /// Whether an update from `old` drops an opt-out without declaring so: `kubectl rollout undo`
    /// and `kubectl replace` write template and annotations from before the restore. Removing only
    /// the annotation, or a declared one, is intended.
    pub(super) fn forgets_refusal(&self, old: &Subject<'_>) -> bool {
        old.object.annotation(LABEL) == Some(DISABLED)
            && !(old.is_emptied() || self.is_emptied())
            && self.object.annotation(LABEL).is_none()
            && !self.declines()
            && self.template().is_some_and(|new| old.template().is_some_and(|old| old != new))
            && !old.declares_refusal()
    }

    /// Keeps it opted out.
    pub(super) fn decline(&self) -> Change {
        let mut patch = Patch::default();
        let edit = [(LABEL, Some(DISABLED))];
        annotate(&mut patch, &self.object, &edit, self.object.annotations_presence());
        Change { patch: patch.finish(), warnings: vec![Warning::StillOptedOut] }
    }

    /// Whether the user's own manifest opts out.
    fn declares_refusal(&self) -> bool {
        let record = self.object.annotation(LAST_APPLIED);
        let record = record.and_then(|text| json::parse(text, &OBJECT).ok());
        let annotations =
            record.as_ref().and_then(|tree| tree.root().get("metadata")?.get("annotations"));
        annotations.is_some_and(|annotations| annotations.get(LABEL).is_some())
            || self
                .object
                .managed_fields()
                .is_some_and(|text| appliers::own_annotation(text, LABEL))
    }

    /// The pod template of a workload with a mutable one, as JSON text.
    fn template(&self) -> Option<&str> {
        let kind = self.workload().filter(|kind| kind.mutable)?;
        let mut node = self.tree.node(self.root);
        for step in kind.pod.split_last()?.1 {
            node = node.get(step)?;
        }
        Some(node.text())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusal_names_the_field_and_its_writer() {
        let own = json!({ "f:metadata": { "f:annotations": { "f:inject-empty-container": {} } } });
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "annotations": { LABEL: "disabled" },
                "labels": { LABEL: "enabled" },
                "managedFields": [
                    { "manager": "diyadm", "fieldsV1": own },
                    { "manager": "kubectl", "fieldsV1": { "f:spec": { "f:template": own } } },
                ],
            },
            "spec": { "template": { "metadata": { "labels": { LABEL: "" } }, "spec": {} } },
        });
        let text = object.to_string();
        let subject = Subject::parse(&text).unwrap();
        assert_eq!(subject.refusals(), [Refusal::Annotation, Refusal::PodLabel]);
        assert!(subject.annotated_by("diyadm", LABEL, false));
        assert!(!subject.annotated_by("diyadm", LABEL, true));
        assert!(subject.annotated_by("kubectl", LABEL, true));
    }
}
