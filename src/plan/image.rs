//! Whether an image can idle in the chosen mode, as far as the manifest shows.

use serde_json::Value;

use crate::{
    kinds,
    webhook::checks::Finding,
    workload::{
        AGENT_IMAGE, EMPTY_IMAGE, EmptyingSettings, INJECTED, Idle, Image, ORIGINAL, Rules,
        is_windows_spec,
    },
};

/// Findings for the containers with these names.
pub(super) fn findings(
    object: &Value,
    way: &EmptyingSettings,
    rules: &Rules,
    containers: &[String],
) -> Vec<Finding> {
    let word = |key: &str| object[key].as_str().unwrap_or_default();
    let Some(kind) = kinds::find(word("apiVersion"), word("kind")) else { return Vec::new() };
    let null = Value::Null;
    let pod = object.pointer(&format!("{}/spec", kind.template())).unwrap_or(&null);
    let all = || pod["containers"].as_array().into_iter().flatten();
    let mut found = Vec::new();
    if is_windows_spec(pod) {
        found.push(Finding::failed("windows", "a Windows pod stays as it is", ""));
        return found;
    }
    let injected = all().filter_map(|c| c["name"].as_str()).filter(|name| INJECTED.contains(name));
    found.extend(injected.map(|name| {
        Finding::ok("injected", format!("container {name} is injected, and is not emptied"))
    }));
    let sidecars = pod["initContainers"].as_array().into_iter().flatten();
    let sidecars =
        sidecars.filter(|one| one["restartPolicy"] == "Always" && one["startupProbe"].is_object());
    found.extend(sidecars.filter_map(|one| one["name"].as_str()).map(|name| {
        let seen = format!(
            "sidecar {name} has a startupProbe: later containers wait until it succeeds, and an \
             empty container does not answer"
        );
        let hint = "If the probe depends on the application, remove it from the manifest \
                    meanwhile.";
        Finding::warning("sidecar", seen, hint)
    }));
    for container in all().filter(|c| containers.iter().any(|name| c["name"] == name.as_str())) {
        let name = container["name"].as_str().unwrap_or_default();
        let own = container["image"].as_str().unwrap_or("its image");
        let image = match &way.image {
            Image::Keep => own,
            Image::Name(image) => image,
        };
        // An emptied container runs diyadm's command.
        let is_own = object["metadata"]["annotations"][ORIGINAL].is_null();
        let shell = way.image == Image::Keep && is_own && runs_shell(container);
        found.push(idles(name, (image, shell), way, rules));
        if way.stand_in.is_some() {
            found.extend(stand_in(name, container));
        }
        // diyadm's agent image has a numeric user.
        let agent = rules.agent_image.as_str();
        let names_user = self::name(agent) == self::name(AGENT_IMAGE);
        let agent = (way.idle == Idle::Agent && !names_user).then_some(agent);
        let others = [(way.image != Image::Keep).then_some(image), agent];
        found.extend(user(pod, container, others.into_iter().flatten()));
    }
    found
}

fn idles(
    container: &str,
    (image, shell): (&str, bool),
    way: &EmptyingSettings,
    rules: &Rules,
) -> Finding {
    let id = "idle";
    let by = |what: &str| format!("container {container} idles in {image} by {what}");
    if way.stand_in.is_some() {
        let agent = &rules.agent_image;
        let seen = format!(
            "container {container} runs its own command in {image}, by the agent, copied from \
             {agent}; `diyadm run` replaces it"
        );
        return Finding::ok(id, seen);
    }
    match way.idle {
        Idle::Entrypoint if is_ours(image) => Finding::ok(id, by("its own ENTRYPOINT")),
        Idle::Entrypoint => Finding::unknown(
            id,
            by("its own ENTRYPOINT, which may do more than wait"),
            "To be sure, use --idle shell for an image with a shell, and --idle agent for any \
             other.",
        ),
        Idle::Shell if is_ours(image) => Finding::ok(id, by("its shell")),
        Idle::Shell if shell => Finding::ok(id, by("its shell, which it runs now too")),
        Idle::Shell if image.contains("distroless") && !image.contains("debug") => {
            let hint = "Use --idle agent for such an image.";
            Finding::failed(id, by("sh and sleep, which a distroless image lacks"), hint)
        }
        Idle::Shell => Finding::unknown(
            id,
            by("sh and sleep, which the image may lack"),
            "Use --idle agent for an image without them.",
        ),
        Idle::Agent => {
            let by = by(&format!("the agent, copied from {}", rules.agent_image));
            Finding::ok(id, by)
        }
    }
}

/// What a stand-in keeps of the container only in part.
fn stand_in(name: &str, container: &Value) -> Vec<Finding> {
    let id = "stand-in";
    let mut found = Vec::new();
    let probes = ["livenessProbe", "startupProbe"];
    let probes: Vec<_> = probes.into_iter().filter(|probe| container[*probe].is_object()).collect();
    if !probes.is_empty() {
        let probes = probes.join(" and ");
        found.push(Finding::ok(
            id,
            format!(
                "container {name}: the agent runs its {probes}, only while its own command runs"
            ),
        ));
    }
    let hooks = &container["lifecycle"];
    if hooks["postStart"].is_object() {
        let seen = format!(
            "container {name}: its postStart hook runs when the container starts, and not when its \
             own command is started again"
        );
        found.push(Finding::warning(id, seen, ""));
    }
    if hooks["preStop"].is_object() {
        let seen = format!(
            "container {name}: its preStop hook runs at the end of the Pod, and not when \
             `diyadm run` replaces its own command"
        );
        found.push(Finding::warning(id, seen, ""));
    }
    if container["stdin"] == true {
        let seen = format!("container {name}: the standard input of its own command is empty");
        found.push(Finding::warning(id, seen, ""));
    }
    found
}

/// diyadm's own image, in any registry.
fn is_ours(image: &str) -> bool {
    name(image) == name(EMPTY_IMAGE)
}

/// The last component of an image's path.
fn name(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split([':', '@']).next().unwrap_or_default()
}

/// Whether the manifest has the container's image run a shell.
fn runs_shell(container: &Value) -> bool {
    let commands = [
        "/command",
        "/livenessProbe/exec/command",
        "/readinessProbe/exec/command",
        "/startupProbe/exec/command",
        "/lifecycle/postStart/exec/command",
        "/lifecycle/preStop/exec/command",
    ];
    commands.iter().any(|command| {
        let program = container.pointer(&format!("{command}/0")).and_then(Value::as_str);
        let name = program.and_then(|program| program.rsplit('/').next());
        name.is_some_and(|name| ["sh", "bash", "ash", "dash"].contains(&name))
    })
}

/// With runAsNonRoot and without a numeric user, the kubelet refuses to run an image as root or as
/// a user known by name only: then the image must set a numeric user.
fn user<'i>(
    pod: &Value,
    container: &Value,
    mut images: impl Iterator<Item = &'i str>,
) -> Option<Finding> {
    let said = |field: &str| {
        let own = &container["securityContext"][field];
        if own.is_null() { &pod["securityContext"][field] } else { own }
    };
    if said("runAsNonRoot") != true || said("runAsUser").is_u64() {
        return None;
    }
    let image = images.next()?;
    let name = container["name"].as_str().unwrap_or_default();
    let seen = format!(
        "container {name} must not run as root and sets no user: the kubelet rejects {image} \
         unless the image sets a numeric user"
    );
    let hint = "Set runAsUser, use an image whose USER is a number, or keep the workload's own: \
                --image \
         keep.";
    Some(Finding::warning("user", seen, hint))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::{Level, Ready, Shape};

    fn found(image: &str, idle: Idle, pod: &Value) -> Vec<String> {
        found_with(AGENT_IMAGE, image, idle, pod)
    }

    fn found_with(agent_image: &str, image: &str, idle: Idle, pod: &Value) -> Vec<String> {
        let object = json!({ "apiVersion": "v1", "kind": "Pod", "spec": pod });
        let image = Image::from(image.to_owned());
        let (containers, level) = (None, Level::Workload);
        let ready = Ready::Container;
        let way = EmptyingSettings {
            empty: true,
            containers,
            image,
            idle,
            level,
            replicas: None,
            ready,
            stand_in: None,
            suspend: false,
            time: None,
            shape: Shape::default(),
            pull_secrets: Vec::new(),
        };
        let rules = Rules { agent_image: agent_image.to_owned(), ..Rules::default() };
        let found = findings(&object, &way, &rules, &["a".to_owned()]);
        found.iter().map(|f| format!("{} {:?}", f.id, f.level).to_lowercase()).collect()
    }

    #[test]
    fn plan_reports_known_facts_about_the_image() {
        let plain = json!({ "containers": [{ "name": "a", "image": "app:1" }, { "name": "b" }] });
        for (image, idle, said) in [
            (EMPTY_IMAGE, Idle::Entrypoint, "idle ok"),
            (EMPTY_IMAGE, Idle::Shell, "idle ok"),
            ("example.org:5000/tools/empty-container@sha256:ab", Idle::Entrypoint, "idle ok"),
            ("example.org/not-empty-container:1", Idle::Entrypoint, "idle unknown"),
            ("example.org/distroless/java:21", Idle::Shell, "idle failed"),
            ("example.org/distroless/java:debug", Idle::Shell, "idle unknown"),
            ("example.org/distroless/java:21", Idle::Agent, "idle ok"),
            ("tools:1", Idle::Entrypoint, "idle unknown"),
            ("keep", Idle::Shell, "idle unknown"),
            ("keep", Idle::Agent, "idle ok"),
        ] {
            assert_eq!(found(image, idle, &plain), [said], "{image} {idle:?}");
        }
        let probed = json!({ "exec": { "command": ["/bin/bash", "-c", "check"] } });
        for own in [json!({ "command": ["sh"] }), json!({ "readinessProbe": probed })] {
            let mut pod = json!({ "containers": [{ "name": "a", "image": "app:1" }] });
            pod["containers"][0].as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
            assert_eq!(found("keep", Idle::Shell, &pod), ["idle ok"], "{own}");
            assert_eq!(found("tools:1", Idle::Shell, &pod), ["idle unknown"], "{own}");
        }
        let windows = json!({ "os": { "name": "windows" }, "containers": [{ "name": "a" }] });
        assert_eq!(found("keep", Idle::Shell, &windows), ["windows failed"]);
        let mesh = json!({ "containers": [{ "name": "istio-proxy" }, { "name": "a" }] });
        assert_eq!(found(EMPTY_IMAGE, Idle::Shell, &mesh), ["injected ok", "idle ok"]);
    }

    #[test]
    fn plan_warns_if_the_kubelet_refuses_the_image_user() {
        let pod = |pod: Value, own: Value| json!({ "securityContext": pod, "containers": [{ "name": "a", "securityContext": own }] });
        let strict = json!({ "runAsNonRoot": true });
        let loose = json!({ "runAsNonRoot": false });
        let number = json!({ "runAsUser": 1000 });
        let warned = |image: &str, idle: Idle, pod: &Value| {
            found(image, idle, pod).contains(&"user warning".to_owned())
        };
        assert!(warned("tools:1", Idle::Shell, &pod(strict.clone(), Value::Null)));
        assert!(warned("tools:1", Idle::Shell, &pod(Value::Null, strict.clone())));
        let keep = pod(strict.clone(), Value::Null);
        assert!(!warned("keep", Idle::Agent, &keep), "diyadm's own names a user");
        let mirrored = found_with("mirror:5000/x/diyadm-agent:2", "keep", Idle::Agent, &keep);
        assert_eq!(mirrored, ["idle ok"]);
        let other = found_with("tools:1", "keep", Idle::Agent, &keep);
        assert_eq!(other, ["idle ok", "user warning"]);
        assert!(!warned("keep", Idle::Shell, &pod(strict.clone(), Value::Null)));
        assert!(!warned("tools:1", Idle::Shell, &pod(strict.clone(), loose)));
        assert!(!warned("tools:1", Idle::Shell, &pod(strict, number)));
        assert!(!warned("tools:1", Idle::Shell, &pod(Value::Null, Value::Null)));
    }
}
