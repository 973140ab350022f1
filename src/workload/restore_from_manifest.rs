//! Restores from the user's own manifest, if the original is not trusted.

use jsonptr::PointerBuf;

use super::{
    Change, DISABLED, INJECTED, LABEL, ORIGINAL, OptOut, REQUESTABLE_ANNOTATIONS, SHAPE, Subject,
    annotate,
    emptied_fields::{CONTAINER_FIELDS, POD_FIELDS, REPLICAS, makes, same, spec_fields},
    lists::Lists,
    patch::Patch,
    shape::{SHAPED_IN_CONTAINER, SHAPED_IN_POD, Shape},
};

impl Subject<'_> {
    /// The containers of `other` that this manifest lacks, except injected ones that are never
    /// emptied.
    pub fn lacks(&self, other: &Subject<'_>) -> Vec<String> {
        let named = |subject: &Subject<'_>| {
            let pod = subject.object.pod();
            let names =
                pod.iter().flat_map(|pod| pod.containers().iter().map(|c| c.name().to_owned()));
            names.collect::<Vec<_>>()
        };
        let own = named(self);
        let is_silent = |name: &String| !own.contains(name) && !INJECTED.contains(&name.as_str());
        named(other).into_iter().filter(is_silent).collect()
    }

    /// Sets only the fields that emptying changes to their values in `manifest`, for every
    /// container in it, and removes leftovers of an unusable original. Fields of the Pod's shape are
    /// among them where the annotation asks for them. `writer` is diyadm's field
    /// manager: annotations that it wrote are also taken from the manifest. With `decline` the
    /// object is opted out afterwards.
    ///
    /// # Errors
    /// A sentence, where the manifest is not this workload's.
    pub fn restore_from(
        &self,
        manifest: &Subject<'_>,
        writer: &str,
        opt_out: OptOut,
    ) -> Result<Change, String> {
        let (object, other) = (&self.object, &manifest.object);
        if self.kind() != manifest.kind() || object.name() != other.name() {
            let name = |subject: &Subject<'_>| {
                format!("{} {}", subject.kind(), subject.object.name().unwrap_or_default())
            };
            return Err(format!("it contains {}, not {}", name(manifest), name(self)));
        }
        let (Some(pod), Some(wanted)) = (object.pod(), other.pod()) else {
            return Err("it has no pod template".to_owned());
        };
        let shape = object.annotation(SHAPE).or_else(|| pod.annotation(SHAPE));
        let shape = shape.and_then(|text| Shape::from_annotation(text).ok()).unwrap_or_default();
        let is_shaped = |field: &&'static str| shape.target(field).is_some();
        let mut patch = Patch::default();
        let mut put = |at: &PointerBuf, now: Option<&str>, to: Option<&str>| {
            if !same(now, to) {
                patch.put(at, now.is_some(), to);
            }
        };
        let place =
            |at: usize| pod.pointer().with_trailing_token("containers").with_trailing_token(at);
        for (at, container) in pod.containers().iter().enumerate() {
            let same_name = wanted.containers().iter().find(|c| c.name() == container.name());
            let Some(wanted) = same_name else { continue };
            let shaped = SHAPED_IN_CONTAINER.into_iter().filter(is_shaped);
            for field in CONTAINER_FIELDS.into_iter().chain(shaped) {
                put(
                    &place(at).with_trailing_token(field),
                    container.field(field),
                    wanted.field(field),
                );
            }
        }
        for field in POD_FIELDS.into_iter().chain(SHAPED_IN_POD.into_iter().filter(is_shaped)) {
            put(&pod.pointer().with_trailing_token(field), pod.field(field), wanted.field(field));
        }
        for field in spec_fields(object.workload()) {
            let (now, to) = (object.field(field), other.field(field));
            // A manifest without a strategy means the API server's default, not diyadm's.
            let is_ours = *field != REPLICAS && now.is_some() && makes(field, now);
            if to.is_some() || is_ours {
                put(&PointerBuf::from_tokens(["spec", *field]), now, to);
            }
        }
        let lists = Lists::from_pod(&pod).filter(Lists::has_ours);
        if let Some(lists) =
            lists.filter(|_| Lists::from_pod(&wanted).is_none_or(|l| !l.has_ours()))
        {
            lists.remove(&mut patch);
        }
        let requested_annotations = REQUESTABLE_ANNOTATIONS.into_iter().filter(|key| *key != LABEL);
        let requested_annotations =
            requested_annotations.filter(|key| self.annotated_by(writer, key, false));
        let mut edits: Vec<_> =
            requested_annotations.map(|key| (key, other.annotation(key))).collect();
        edits.push((ORIGINAL, None));
        if opt_out == OptOut::Set {
            edits.push((LABEL, Some(DISABLED)));
        }
        annotate(&mut patch, object, &edits, other.annotations_presence());
        Ok(Change { patch: patch.finish(), warnings: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::workload::{Choice, Context, Idle, Rules};

    fn workload(image: &str, more: &Value) -> Value {
        let mut container = json!({ "name": "app", "image": image, "env": [{ "name": "A" }] });
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "x" },
            "spec": { "replicas": 3, "template": { "spec": { "containers": [container] } } },
        })
    }

    fn played(object: &Value, change: &Change) -> Value {
        let mut object = object.clone();
        let patch: json_patch::Patch = serde_json::from_str(&change.patch).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
        object
    }

    #[test]
    fn restore_from_manifest_takes_only_fields_that_emptying_changes() {
        let real = workload("app:1", &json!({ "livenessProbe": { "x": 1 } }));
        let flags = Choice { idle: Some(Idle::Agent), ..Choice::default() };
        let rules = Rules { flags, ..Rules::default() };
        let text = real.to_string();
        let context = Context::default();
        let change = Subject::parse(&text).unwrap().empty(&rules, &context);
        let mut forged = played(&real, &change);
        forged["metadata"]["annotations"][ORIGINAL] = "{}".into();

        let mut manifest = real.clone();
        manifest["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{ "name": "B" }]);
        let (text, manifest) = (forged.to_string(), manifest.to_string());
        let subject = Subject::parse(&text).unwrap();
        let change =
            subject.restore_from(&Subject::parse(&manifest).unwrap(), "diyadm", OptOut::Leave);
        assert_eq!(played(&forged, &change.unwrap()), real);

        let other = workload("app:1", &json!({})).to_string().replace("\"x\"", "\"y\"");
        let wrong = subject.restore_from(&Subject::parse(&other).unwrap(), "diyadm", OptOut::Leave);
        assert_eq!(wrong.unwrap_err(), "it contains Deployment y, not Deployment x");
    }

    #[test]
    fn restore_from_manifest_takes_the_shape_that_the_annotation_names() {
        let limits = json!({ "limits": { "memory": "64Mi" } });
        let mut real = workload("app:1", &json!({ "resources": limits }));
        let shape = r#"{"resources":"none","cache":["/c"],"serviceAccountName":"builder"}"#;
        real["metadata"]["annotations"] = json!({ SHAPE: shape });
        let text = real.to_string();
        let change = Subject::parse(&text).unwrap().empty(&Rules::default(), &Context::default());
        let mut forged = played(&real, &change);
        let pod = &forged["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["resources"], json!({}), "{pod}");
        assert!(pod["volumes"][0].is_object() && pod["serviceAccount"] == "builder", "{pod}");
        forged["metadata"]["annotations"][ORIGINAL] = "{}".into();

        // A variable that was deployed meanwhile is not the shape's.
        let mut manifest = real.clone();
        manifest["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{ "name": "B" }]);
        let (text, manifest) = (forged.to_string(), manifest.to_string());
        let change = Subject::parse(&text)
            .unwrap()
            .restore_from(&Subject::parse(&manifest).unwrap(), "diyadm", OptOut::Leave)
            .unwrap();
        assert_eq!(played(&forged, &change), real);
    }
}
