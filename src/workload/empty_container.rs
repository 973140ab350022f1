//! Whether a container of a Pod is empty, judged by the Pod itself: its owner may have been emptied
//! or restored since.

use super::{
    BY_POLICY, EMPTIED_BY, EMPTY_IMAGE, ORIGINAL, Subject,
    emptied_fields::{IMAGE, PROGRAM, is_idle_command},
    members::Container,
    original::Original,
    reference, template,
};

impl Subject<'_> {
    /// Whether the container of this name, in a Pod or a pod template, runs its emptied command.
    /// `owners`: the Pod's owners, if known. Their originals name the image of an idle entrypoint,
    /// which the Pod alone cannot distinguish from other images.
    pub fn is_empty_container(&self, name: &str, owners: &[&Subject<'_>]) -> bool {
        let Some(pod) = self.object.pod() else { return false };
        let Some(at) = pod.containers().iter().position(|one| one.name() == name) else {
            return false;
        };
        let container = &pod.containers()[at];
        if let Some(command) = container.field("command") {
            return is_idle_command(command);
        }
        if container.field("args").is_some() {
            return false;
        }
        let by_policy = || {
            let by = self.object.annotation(EMPTIED_BY);
            by.and_then(|by| by.strip_prefix(BY_POLICY))
                .is_some_and(|image| has_image(container, image))
                && template::idles_by_entrypoint(&pod, at)
        };
        let is_saved = |subject: &Subject<'_>| {
            let original = subject.object.annotation(ORIGINAL);
            let original = original.and_then(|text| Original::open(text).ok());
            original.is_some_and(|original| has_emptied_form(&original, container))
        };
        has_own_image(container)
            || by_policy()
            || is_saved(self)
            || owners.iter().copied().any(is_saved)
    }

    /// Whether the container of this name was emptied with another image than its own.
    pub fn has_other_image(&self, name: &str) -> bool {
        let original = self.object.annotation(ORIGINAL).and_then(|text| Original::open(text).ok());
        original.is_some_and(|original| {
            let mut own = original.containers.iter().filter(|emptied| emptied.name == name);
            own.any(|emptied| emptied.saved.iter().any(|saved| saved.field == IMAGE))
        })
    }
}

/// Whether the container runs its emptied command by the original. Fields that emptying did not
/// change are ignored.
fn has_emptied_form(original: &Original, container: &Container<'_>) -> bool {
    let emptied = original.containers.iter().filter(|emptied| emptied.name == container.name());
    emptied.into_iter().any(|emptied| {
        let mut changed = emptied.saved.iter().filter(|s| PROGRAM.contains(&s.field)).peekable();
        changed.peek().is_some() && changed.all(|saved| saved.stands(container.field(saved.field)))
    })
}

/// Whether the image is diyadm's own, from any registry: its entrypoint idles.
fn has_own_image(container: &Container<'_>) -> bool {
    has_image(container, EMPTY_IMAGE)
}

/// Whether the container has this image, from any registry and with any tag.
fn has_image(container: &Container<'_>, wanted: &str) -> bool {
    let image = container.field("image").and_then(|text| serde_json::from_str::<String>(text).ok());
    image.is_some_and(|image| reference::name(&image) == reference::name(wanted))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::workload::{Choice, Context, Idle, Image, Rules};

    fn deployment(container: &Value) -> Value {
        let template =
            json!({ "spec": { "containers": [container, { "name": "side", "image": "side:1" }] } });
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "shop" },
            "spec": { "template": template },
        })
    }

    fn pod(workload: &Value) -> Value {
        let spec = workload["spec"]["template"]["spec"].clone();
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "shop-1" }, "spec": spec })
    }

    fn emptied(rules: &Rules, object: &Value) -> Value {
        let text = object.to_string();
        let change = Subject::parse(&text).unwrap().empty(rules, &Context::default());
        let mut object = object.clone();
        let patch: json_patch::Patch = serde_json::from_str(&change.patch).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
        object
    }

    fn is_empty(pod: &Value, name: &str, owners: &[&Value]) -> bool {
        let owners: Vec<_> = owners.iter().map(ToString::to_string).collect();
        let owners: Vec<_> = owners.iter().map(|text| Subject::parse(text).unwrap()).collect();
        let owners: Vec<_> = owners.iter().collect();
        Subject::parse(&pod.to_string()).unwrap().is_empty_container(name, &owners)
    }

    fn rules(image: Image, idle: Option<Idle>) -> Rules {
        Rules {
            flags: Choice { image: Some(image), idle, ..Choice::default() },
            ..Rules::default()
        }
    }

    #[test]
    fn container_is_empty_only_in_the_emptied_form() {
        let live = [
            json!({ "name": "app", "image": "shop:1" }),
            json!({ "name": "app", "image": "shop:1", "args": ["serve"] }),
            json!({ "name": "app", "image": "shop:1", "command": ["sleep", "1000"] }),
            json!({ "name": "app", "image": "empty-container:latest", "command": ["serve"] }),
        ];
        for container in &live {
            let workload = deployment(container);
            assert!(!is_empty(&pod(&workload), "app", &[&workload]), "{container}");
            for rules in [
                Rules::default(),
                rules(Image::Name("mirror:5000/x/empty-container:2".to_owned()), None),
                rules(Image::Keep, Some(Idle::Shell)),
                rules(Image::Keep, Some(Idle::Agent)),
            ] {
                let empty = emptied(&rules, &workload);
                assert!(is_empty(&pod(&empty), "app", &[]), "{empty}");
                assert!(!is_empty(&pod(&empty), "side", &[&empty]), "{empty}");
                // An old Pod of a rollout: its owner has no information about it.
                assert!(!is_empty(&pod(&workload), "app", &[&empty]), "{container}");
            }
        }
        assert!(!is_empty(
            &json!({ "apiVersion": "v1", "kind": "Pod", "metadata": {} }),
            "app",
            &[]
        ));
    }

    /// Only an original distinguishes a user's empty image from an application's image.
    #[test]
    fn custom_image_is_recognized_with_an_original() {
        let rules = rules(Image::Name("jre-tail:1".to_owned()), None);
        let live = deployment(&json!({ "name": "app", "image": "shop:1" }));
        let empty = emptied(&rules, &live);
        let in_pod = pod(&empty);
        assert!(!is_empty(&in_pod, "app", &[]));
        assert!(is_empty(&in_pod, "app", &[&empty]));
        assert!(!is_empty(&pod(&live), "app", &[&empty]));
        let has_other_image =
            |of: &Value| Subject::parse(&of.to_string()).unwrap().has_other_image("app");
        assert!(has_other_image(&empty) && !has_other_image(&live));
        assert!(!has_other_image(&emptied(&self::rules(Image::Keep, None), &live)));
        let mut own = in_pod.clone();
        own["metadata"]["annotations"] = empty["metadata"]["annotations"].clone();
        assert!(is_empty(&own, "app", &[]));
        own["spec"]["containers"][0]["image"] = "shop:2".into();
        assert!(!is_empty(&own, "app", &[&empty]));
        // A policy saves no original.
        let mut by_policy = in_pod;
        by_policy["metadata"]["annotations"] = json!({ EMPTIED_BY: "policy jre-tail:1" });
        assert!(is_empty(&by_policy, "app", &[]));
        // A Pod's image may be changed in place: then another program runs.
        let mut changed = by_policy.clone();
        changed["spec"]["containers"][0]["image"] = "shop:2".into();
        assert!(!is_empty(&changed, "app", &[]));
        by_policy["spec"]["containers"][0]["readinessProbe"] = json!({ "exec": {} });
        assert!(!is_empty(&by_policy, "app", &[]));
    }
}
