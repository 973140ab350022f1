//! `kubectl rollout undo` to a revision of the emptied form. For a Deployment it also writes the
//! revision's annotations; for a StatefulSet or DaemonSet only the template, so that the workload
//! has another revision's original, or none.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    Change, Context, EmptyingSettings, LABEL, ORIGINAL, Rules, Subject, Warning,
    annotation_edits::annotate,
    assigned,
    emptied_fields::{CONTAINER_FIELDS, POD_FIELDS, makes, same},
    lists::Lists,
    members::Presence,
    merge,
    newer::Newer,
    original::{Added, Emptied, Original, Saved},
    patch::Patch,
    shape::{SHAPED_IN_CONTAINER, SHAPED_IN_POD, Shaped},
    template,
    view::Pod,
};

impl Subject<'_> {
    /// Whether `kubectl rollout undo` writes an emptied revision to a restored workload. A client
    /// that empties it again saves that it removed the opt-out.
    pub(super) fn comes_back_to(&self, old: &Subject<'_>) -> bool {
        let given_back = old.declines() && !old.is_emptied();
        let original = self.object.annotation(ORIGINAL).filter(|_| given_back && !self.declines());
        let original = original.and_then(|text| Original::open(text).ok());
        original.is_some_and(|original| original.notes.iter().all(|note| note.key != LABEL))
    }

    /// The same for a template without its original: the fields that emptying changes keep their
    /// values in `old`, which was restored, so that nothing becomes empty by itself. `forgets`:
    /// whether the opt-out has to be written again.
    pub(super) fn keep(
        &self,
        old: &Subject<'_>,
        forgets: bool,
        rules: &Rules,
        context: &Context<'_>,
    ) -> Option<Change> {
        if self.is_emptied() || old.is_emptied() {
            return None;
        }
        let (object, pod) = (&self.object, self.object.pod()?);
        let way = self.decide(rules, context).ok().map(|decision| decision.way);
        let original = lost(&old.object.pod()?, &pod, way.as_ref())?;
        let mut patch = Patch::default();
        let newer = Newer::compare(None, object, Some(&original));
        template::restore(object, &pod, &original, &newer, &mut patch);
        if forgets {
            let edit = [(LABEL, Some(super::DISABLED))];
            annotate(&mut patch, object, &edit, object.annotations_presence());
        }
        let warnings = vec![Warning::UndoneWithoutOriginal];
        Some(Change { patch: patch.finish(), warnings })
    }

    /// Whether a container has the emptied form without an original.
    pub fn is_lost(&self) -> bool {
        let pod = self.object.pod();
        !self.is_emptied()
            && pod.is_some_and(|pod| pod.containers().iter().any(|c| template::idles(c, None)))
    }

    /// The last writers of the pod template, from managedFields: several if they wrote in the same
    /// second.
    pub fn template_writers(&self) -> Vec<String> {
        let entries = self.object.managed_fields();
        let entries = entries.and_then(|text| serde_json::from_str::<Vec<Value>>(text).ok());
        let path = self.workload().map_or(&[][..], |kind| kind.pod);
        let path = path.split_last().map_or(&[][..], |(_, path)| path);
        let owns = |entry: &Value| {
            let mut steps = path.iter();
            steps.try_fold(&entry["fieldsV1"], |at, step| at.get(format!("f:{step}"))).is_some()
        };
        let mut entries = entries.unwrap_or_default();
        entries.retain(owns);
        // RFC 3339 in UTC, to the second, sorts as text.
        let time = |entry: &Value| entry["time"].as_str().unwrap_or_default().to_owned();
        let newest = entries.iter().map(time).max();
        let newest = entries.iter().filter(|entry| Some(time(entry)) == newest);
        newest.filter_map(|entry| entry["manager"].as_str().map(ToOwned::to_owned)).collect()
    }

    /// The original for restoring a pod template of a revision whose own original is `revision`:
    /// template fields come from the revision, everything else from the workload. `None` if it is
    /// not trusted, or makes no difference.
    pub fn recalled(&self, revision: &str) -> Option<String> {
        let pod = self.object.pod()?;
        let theirs = Original::open(revision).ok().filter(|o| assigned::holds(o, &pod))?;
        let own = match self.object.annotation(ORIGINAL).map(Original::open) {
            Some(own) => own.ok()?,
            None => Original {
                stamp: theirs.stamp.clone(),
                annotations: self.object.annotations_presence(),
                ..Original::default()
            },
        };
        let of = |o: &Original| (o.containers.clone(), o.pod.clone(), o.added, o.caches);
        let differs = of(&own) != of(&theirs);
        let Original { containers, pod, added, caches, .. } = theirs;
        differs.then(|| Original { containers, pod, added, caches, ..own }.seal())
    }
}

/// The original of `new`, derived from the object before the update; `None` if no container has the
/// emptied form that had another before. `way`: how the rules empty it.
pub(super) fn lost(
    old: &Pod<'_, '_>,
    new: &Pod<'_, '_>,
    way: Option<&EmptyingSettings>,
) -> Option<Original> {
    let image = way.map(|way| &way.image);
    let saved = |field: &'static str, was: Option<&str>, set: Option<&str>| {
        let differs = makes(field, set) && !same(was, set);
        let [was, set] = [was, set].map(|text| text.map(ToOwned::to_owned));
        differs.then_some(Saved { field, was, set, applied: None, number: None, rewritten: None })
    };
    // What the shape has set or added.
    let shaped = |field: &'static str, was: Option<&str>, now: Option<&str>| {
        let was = match way?.shape.target(field)? {
            Shaped::Set(set) => same(now, set.as_deref()).then(|| was.map(ToOwned::to_owned)),
            Shaped::Merge(ours) => (merge::merged(now, &ours).as_deref() == now)
                .then(|| merge::unmerged(now, was, Some(&ours.to_string()))),
        }?;
        saved(field, was.as_deref(), now)
    };
    let lists = Lists::from_pod(new).filter(Lists::has_ours);
    let lists = lists.filter(|_| Lists::from_pod(old).is_some_and(|old| !old.has_ours()));
    let mut lost = Original::default();
    // The first of each name.
    let before: HashMap<_, _> = old.containers().iter().rev().map(|c| (c.name(), c)).collect();
    for (index, container) in new.containers().iter().enumerate() {
        let Some(before) = before.get(container.name()) else { continue };
        if !template::idles(container, image) || template::idles(before, image) {
            continue;
        }
        // With `keep`, its image is the revision's own.
        let fields = CONTAINER_FIELDS.into_iter().filter(|field| {
            template::has_empty_image(container, image)
                || !["image", "imagePullPolicy"].contains(field)
        });
        let fields = fields.filter_map(|f| saved(f, before.field(f), container.field(f)));
        let shapes = SHAPED_IN_CONTAINER.into_iter();
        let shapes = shapes.filter_map(|f| shaped(f, before.field(f), container.field(f)));
        lost.containers.push(Emptied {
            index,
            name: container.name().to_owned(),
            saved: fields.chain(shapes).collect(),
            mounts: lists.as_ref().map(|_| Presence::Absent),
        });
    }
    if lost.containers.is_empty() {
        return None;
    }
    let of_pod = POD_FIELDS.into_iter();
    lost.pod.extend(of_pod.filter_map(|field| saved(field, old.field(field), new.field(field))));
    let shapes = SHAPED_IN_POD.into_iter();
    lost.pod.extend(shapes.filter_map(|field| shaped(field, old.field(field), new.field(field))));
    let absent = Presence::Absent;
    let added = Added { init_containers: absent, volumes: absent };
    lost.added = lists.as_ref().filter(|lists| lists.has_agent()).map(|_| added);
    lost.caches = lists.filter(Lists::has_caches).map(|_| absent);
    Some(lost)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::{Choice, DISABLED, Idle, Image, OptOut, Resources, Settled, Shape};

    fn played(object: &Value, change: &Change) -> Value {
        let mut object = object.clone();
        let patch: json_patch::Patch = serde_json::from_str(&change.patch).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
        object
    }

    fn workload(image: &str, env: &str) -> Value {
        let container = json!({
            "name": "app", "image": image, "imagePullPolicy": "Always", "command": ["serve"],
            "livenessProbe": { "exec": {} }, "env": [{ "name": "A", "value": env }],
        });
        let template = json!({ "spec": {
            "terminationGracePeriodSeconds": 30,
            "containers": [container, { "name": "side", "image": "side:1" }],
        } });
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "x" },
            "spec": { "template": template },
        })
    }

    fn ways() -> [Rules; 5] {
        let keep = |idle| {
            let image = Some(Image::Keep);
            let flags = Choice { image, idle: Some(idle), ..Choice::default() };
            Rules { flags, ..Rules::default() }
        };
        let mut shaped = Rules::default();
        shaped.flags.shape = Shape {
            resources: Some(Resources::None),
            env: Some([("B".to_owned(), "9".to_owned())].into()),
            tolerations: Some(vec!["batch:NoSchedule".to_owned()]),
            service_account_name: Some("builder".to_owned()),
            ..Shape::default()
        };
        let [shell, agent] = [Idle::Shell, Idle::Agent].map(keep);
        [Rules::default(), Rules::with_image("hub/tools:1"), shell, agent, shaped]
    }

    /// The emptied template of `older`, written to `newer` without an original.
    fn undone(rules: &Rules, older: &Value, newer: &Value) -> Value {
        let change = Subject::parse(&older.to_string()).unwrap().empty(rules, &Context::default());
        let mut undone = newer.clone();
        undone["spec"]["template"] = played(older, &change)["spec"]["template"].take();
        undone
    }

    fn settled(rules: &Rules, old: &Value, new: &Value) -> (Settled, Value, Vec<Warning>) {
        let (old, text) = (old.to_string(), new.to_string());
        let context = Context { old: Some(&old), ..Context::default() };
        let (settled, change) = Subject::parse(&text).unwrap().settle(rules, &context);
        (settled, played(new, &change), change.warnings)
    }

    /// In any mode: the fields that emptying changes stay, all others are the revision's, and a
    /// workload under a webhook is emptied properly, with an original.
    #[test]
    fn emptied_template_without_original_loses_no_fields() {
        for rules in ways() {
            let (older, mut newer) = (workload("app:1", "1"), workload("app:2", "2"));
            let keeps = rules.flags.image == Some(Image::Keep);
            let wanted = workload(if keeps { "app:1" } else { "app:2" }, "1");
            let (became, live, _) = settled(&rules, &newer, &undone(&rules, &older, &newer));
            assert_eq!(became, Settled::Emptied);
            let text = live.to_string();
            let restored = Subject::parse(&text).unwrap().restore(OptOut::Leave, None);
            assert_eq!(played(&live, &restored), wanted);

            newer["metadata"]["annotations"] = json!({ LABEL: DISABLED });
            let (became, live, warnings) = settled(&rules, &newer, &undone(&rules, &older, &newer));
            assert_eq!(
                (became, warnings),
                (Settled::Restored, vec![Warning::UndoneWithoutOriginal])
            );
            assert_eq!(live["spec"], wanted["spec"]);
            assert_eq!(live["metadata"], newer["metadata"]);
            // Without the opt-out, as after `kubectl replace`.
            let (_, live, _) = settled(&rules, &newer, &undone(&rules, &older, &older));
            assert_eq!(live["spec"], wanted["spec"]);
            assert_eq!(live["metadata"], newer["metadata"]);
        }
    }

    /// An image in the user's own manifest is intended.
    #[test]
    fn template_written_by_a_user_is_not_a_rollout_undo() {
        let mut old = workload("app:1", "1");
        old["metadata"]["annotations"] = json!({ LABEL: DISABLED });
        let mut new = old.clone();
        new["spec"]["template"]["spec"]["containers"][0]["image"] = "empty-container:latest".into();
        assert_eq!(settled(&Rules::default(), &old, &new).1, new);
        let container = &mut new["spec"]["template"]["spec"]["containers"][0];
        *container = json!({ "name": "app", "image": "empty-container:latest" });
        assert_eq!(settled(&Rules::default(), &old, &new).1, new);
    }

    #[test]
    fn original_of_a_revision_is_recovered_for_its_own_template() {
        let rules = Rules::default();
        let emptied = |object: &Value| {
            let text = object.to_string();
            played(object, &Subject::parse(&text).unwrap().empty(&rules, &Context::default()))
        };
        let original = |object: &Value| object["metadata"]["annotations"][ORIGINAL].clone();
        let [first, second] = [("app:1", "1"), ("app:2", "2")].map(|(i, e)| workload(i, e));
        let (older, newer) = (emptied(&first), emptied(&second));
        let mut undone = newer.clone();
        undone["spec"]["template"] = older["spec"]["template"].clone();
        let recalled = |object: &Value, revision: &Value| {
            let revision = original(revision);
            let text = object.to_string();
            Subject::parse(&text).unwrap().recalled(revision.as_str().unwrap())
        };
        let restored = |mut object: Value, original: String| {
            object["metadata"]["annotations"] = json!({ ORIGINAL: original });
            let change = Subject::parse(&object.to_string()).unwrap().restore(OptOut::Leave, None);
            played(&object, &change)["spec"].take()
        };
        assert_eq!(recalled(&newer, &newer), None, "its own says the same");
        assert_eq!(recalled(&second, &older), None, "it is not of the empty form");
        let found = recalled(&undone, &older).unwrap();
        assert_eq!(restored(undone.clone(), found), first["spec"]);
        let mut lost = undone.clone();
        lost["metadata"].as_object_mut().unwrap().shift_remove("annotations");
        let is_lost = |object: &Value| Subject::parse(&object.to_string()).unwrap().is_lost();
        assert!(is_lost(&lost) && !is_lost(&undone) && !is_lost(&first));
        assert_eq!(restored(lost.clone(), recalled(&lost, &older).unwrap()), first["spec"]);
        let mut cut = older.clone();
        cut["metadata"]["annotations"][ORIGINAL] = "{}".into();
        assert_eq!(recalled(&lost, &cut), None);
        undone["metadata"]["annotations"][ORIGINAL] = "{}".into();
        assert_eq!(recalled(&undone, &older), None, "it is for --force-from");
    }

    #[test]
    fn latest_writer_of_the_template_is_found() {
        let entry = |manager: &str, time: &str, fields: Value| json!({ "manager": manager, "time": time, "fieldsV1": { "f:spec": fields } });
        let template = || json!({ "f:template": { "f:spec": {} } });
        let mut object = workload("app:1", "1");
        let writers =
            |object: &Value| Subject::parse(&object.to_string()).unwrap().template_writers();
        assert!(writers(&object).is_empty());
        object["metadata"]["managedFields"] = json!([
            entry("kubectl-set", "2026-11-28T01:00:01Z", template()),
            entry("kubectl", "2026-11-28T01:00:09Z", template()),
            entry("kubectl-set", "2026-11-28T01:00:10Z", json!({ "f:replicas": {} })),
            entry("x", "2026-11-28T01:00:09Z", template()),
        ]);
        assert_eq!(writers(&object), ["kubectl", "x"]);
    }
}
