//! Another admission plugin that rewrites images: a registry mirror, digests, tags.

use std::path::Path;

use diyadm::workload::{self, Context, ORIGINAL, Rules, Subject};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    generated::{applied, cases, emptied, object, pod, restored, rules},
    rig::{Cluster, cluster, wait_until},
    workloads::{pod_of, stored, with_webhook::WebhookNamespace, workload as of_kind},
};

mod mirror;

use mirror::Mirror;

/// What becomes of an image.
fn rewritten(image: &str, way: u8) -> String {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let (path, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let name = image.rsplit('/').next().unwrap();
    match way {
        0 => format!("mirror.example/{image}"),
        1 => format!("mirror.example:5000/proxy/library/{name}"),
        2 => format!("{path}@{digest}"),
        3 => format!("mirror.example/{path}:{tag}@{digest}"),
        _ => format!("{path}:{tag}"),
    }
}

/// Rewrites the images that emptying has set, and that of the agent's init container.
fn rewrite(object: &Value, emptied: &Value, way: u8) -> Value {
    let mut after = emptied.clone();
    let before = pod(&mut object.clone()).clone();
    let pod = pod(&mut after);
    for (at, container) in
        pod.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
    {
        if container["image"] != before["containers"][at]["image"] {
            container["image"] = rewritten(container["image"].as_str().unwrap(), way).into();
        }
    }
    for container in
        pod.get_mut("initContainers").and_then(Value::as_array_mut).into_iter().flatten()
    {
        if container["name"] == "diyadm-agent" && way < 4 {
            container["image"] =
                format!("mirror.example/{}", container["image"].as_str().unwrap()).into();
        }
    }
    after
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn image_rewritten_by_a_mirror_keeps_the_original(
        object in object(),
        rules in rules(),
        way in 0..5_u8,
    ) {
        let emptied = emptied(&object, &rules);
        let rewritten = rewrite(&object, &emptied, way);
        prop_assert_eq!(restored(&rewritten), object.clone());
        let again = workload::empty(&rules, &rewritten.to_string());
        prop_assert!(again.is_empty(), "{:?}", again);
        // The webhook is called again in the same request, and by the next update.
        let text = rewritten.to_string();
        for old in [Some(object.to_string()), Some(text.clone()), None] {
            let context = Context { old: old.as_deref(), ..Context::default() };
            let subject = Subject::parse(&text).unwrap();
            let (_, change) = subject.settle(&rules, &context);
            let stays = applied(&rewritten, &change);
            let is_emptied = |object: &Value| workload::is_emptied(&object.to_string());
            if is_emptied(&rewritten) && is_emptied(&stays) {
                prop_assert_eq!(&stays, &rewritten);
            }
        }
        prop_assert!(Subject::parse(&text).unwrap().holds() != Some(false));
    }
}

fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "x" },
        "spec": { "template": { "spec": { "containers": [
            { "name": "a", "image": image, "command": ["run"] },
        ] } } },
    })
}

const IMAGE: &str = "/spec/template/spec/containers/0/image";

#[test]
fn rewritten_empty_image_is_never_saved_as_original() {
    for image in ["empty-container:latest", "hub.example/t/tools:1"] {
        let rules = Rules::with_image(image);
        // Another path with the same name may as well be the application's own image.
        let other_path = |way: &u8| *way == 1 && image.contains('/');
        for way in (0..5).filter(|way| !other_path(way)) {
            let mut emptied = emptied(&deployment("app:1"), &rules);
            *emptied.pointer_mut(IMAGE).unwrap() = rewritten(image, way).into();
            emptied["metadata"].as_object_mut().unwrap().shift_remove("annotations");
            let container = emptied.pointer_mut("/spec/template/spec/containers/0").unwrap();
            container.as_object_mut().unwrap().shift_remove("x");
            let change = workload::empty(&rules, &emptied.to_string());
            assert!(change.is_empty(), "{image} {way}: {change:?}");
            assert!(
                change.warnings[0].message().contains("without an original"),
                "{:?}",
                change.warnings
            );
        }
    }
}

/// An update of the application is one, also behind the mirror.
#[test]
fn updated_image_becomes_the_original() {
    for (own, empty, newer) in [
        ("app:1", "empty-container:latest", "mirror.example/app:2"),
        ("jdk:17", "mirror.example/jdk:21", "jdk:18"),
        ("jdk:17", "tools.corp/jdk:17", "jdk:18"),
        ("reg/jdk@sha256:aa", "reg2/jdk:17", "reg/jdk@sha256:bb"),
        ("app:1", "tools:1", "app@sha256:00"),
    ] {
        let mut emptied = emptied(&deployment(own), &Rules::with_image(empty));
        *emptied.pointer_mut(IMAGE).unwrap() = newer.into();
        assert_eq!(*restored(&emptied).pointer(IMAGE).unwrap(), newer);
    }
}

/// An application whose image has the name of the empty image starts empty like any other, and an
/// update that brings its own image back is one.
#[test]
fn empties_application_whose_image_has_the_name_of_the_empty_image() {
    for (own, empty) in [("hub/jdk:17", "tools/jdk:17"), ("jdk:17", "tools.corp/jdk:17")] {
        let rules = Rules::with_image(empty);
        let mut live = deployment(own);
        let container = live.pointer_mut("/spec/template/spec/containers/0").unwrap();
        container.as_object_mut().unwrap().shift_remove("command");
        container["imagePullPolicy"] = "IfNotPresent".into();
        let emptied = emptied(&live, &rules);
        assert_eq!(*emptied.pointer(IMAGE).unwrap(), empty);
        let mut updated = emptied.clone();
        *updated.pointer_mut(IMAGE).unwrap() = own.into();
        let change = workload::empty(&rules, &updated.to_string());
        assert_eq!(*applied(&updated, &change).pointer(IMAGE).unwrap(), empty);
        assert_eq!(restored(&updated), live);
    }
}

/// The image that is wanted by now is set, though the one before is a form of it.
#[test]
fn changed_empty_image_is_set() {
    let emptied = emptied(&deployment("app:1"), &Rules::default());
    let mirror = "mirror.example/empty-container:latest";
    let change = workload::empty(&Rules::with_image(mirror), &emptied.to_string());
    let moved = applied(&emptied, &change);
    assert_eq!(*moved.pointer(IMAGE).unwrap(), mirror);
    assert_eq!(restored(&moved), deployment("app:1"));
}

/// A mirror that gives every image a name of its own: noted by the request that emptied it, it is
/// known from then on, with another digest too; an update of the application stays one.
#[test]
fn image_renamed_by_a_mirror_keeps_the_original() {
    let rules = Rules::default();
    let live = deployment("app:1");
    for renamed in ["m.example/approved/base-4711@sha256:aa", "m.example/7f3a:1"] {
        let at_once = {
            let mut object = emptied(&live, &rules);
            *object.pointer_mut(IMAGE).unwrap() = renamed.into();
            object
        };
        let old = live.to_string();
        let (of_create, of_update) = (
            Context { created: true, ..Context::default() },
            Context { old: Some(&old), ..Context::default() },
        );
        let text = at_once.to_string();
        let subject = Subject::parse(&text).unwrap();
        let by_client = subject.note_rewritten().unwrap();
        let noted = [
            applied(&at_once, &subject.settle(&rules, &of_create).1),
            applied(&at_once, &subject.settle(&rules, &of_update).1),
            applied(&at_once, &by_client),
        ];
        for noted in noted {
            assert_eq!(*noted.pointer(IMAGE).unwrap(), renamed);
            assert_eq!(restored(&noted), live, "{renamed}");
            let is_left = |object: &Value, old: Option<&str>| {
                let text = object.to_string();
                let context = Context { old, ..Context::default() };
                let subject = Subject::parse(&text).unwrap();
                assert_eq!(subject.holds(), Some(true), "{text}");
                applied(object, &subject.settle(&rules, &context).1) == *object
            };
            let text = noted.to_string();
            for old in [None, Some(text.as_str())] {
                assert!(is_left(&noted, old), "{renamed} {old:?}");
            }
            let mut pinned = noted.clone();
            let repository = renamed.split(['@', ':']).next().unwrap();
            *pinned.pointer_mut(IMAGE).unwrap() = format!("{repository}@sha256:bb").into();
            assert!(is_left(&pinned, Some(&text)), "{renamed}");
            assert_eq!(restored(&pinned), live, "{renamed}");
            // An update is emptied again, renamed again, and the newest original.
            let mut updated = noted.clone();
            *updated.pointer_mut(IMAGE).unwrap() = "other:2".into();
            let context = Context { old: Some(&text), ..Context::default() };
            let update = updated.to_string();
            let again = Subject::parse(&update).unwrap().settle(&rules, &context).1;
            let mut again = applied(&updated, &again);
            assert_eq!(*again.pointer(IMAGE).unwrap(), "empty-container:latest");
            *again.pointer_mut(IMAGE).unwrap() = renamed.into();
            let update = again.to_string();
            let change = Subject::parse(&update).unwrap().settle(&rules, &context).1;
            assert_eq!(*restored(&applied(&again, &change)).pointer(IMAGE).unwrap(), "other:2");
        }
    }
    // Another command, or an image of the application, is an update and no rewritten image.
    let mut object = emptied(&live, &rules);
    *object.pointer_mut(IMAGE).unwrap() = "m.example/app:2".into();
    assert_eq!(Subject::parse(&object.to_string()).unwrap().note_rewritten(), None);
    *object.pointer_mut(IMAGE).unwrap() = "m.example/7f3a:1".into();
    object.pointer_mut("/spec/template/spec/containers/0").unwrap()["command"] = json!(["x"]);
    assert_eq!(Subject::parse(&object.to_string()).unwrap().note_rewritten(), None);
}

/// A policy of the cluster that rewrites every image.
fn mirror(name: &str, image: &str) -> Value {
    let expression = format!(
        "[JSONPatch{{op: 'replace', path: '/spec/template/spec/containers/0/image', value: {image}}}]"
    );
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
        "metadata": { "name": name },
        "spec": {
            "matchConstraints": { "resourceRules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["deployments"],
            }] },
            "matchConditions": [{
                "name": "other",
                "expression": "!object.spec.template.spec.containers[0].image.startsWith('mirror.example/')",
            }],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": expression } }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": { "name": name },
        "spec": { "policyName": name, "matchResources": { "namespaceSelector": { "matchLabels": {
            "kubernetes.io/metadata.name": name,
        } } } },
    });
    json!({ "apiVersion": "v1", "kind": "List", "items": [policy, binding] })
}

/// What becomes of a workload whose images a mirror rewrites. `own` is the
/// application's image as diyadm gets it.
fn mirror_keeps_its_rewrites(cluster: &Cluster, folder: &Path, name: &str, own: &str) {
    let create = ["-n", name, "create", "-f", "-"];
    let object = of_kind("Deployment", "web").to_string();
    let image = |object: &Value| pod_of(object)["containers"][0]["image"].clone();
    wait_until("the mirror is known", || {
        let dry = [&create[..], &["--dry-run=server", "-o", "json"]].concat();
        let made: Value = serde_json::from_str(&cluster.kubectl(&dry, &object)).unwrap();
        image(&made) == "mirror.example/empty-container:latest"
    });
    cluster.kubectl(&create, &object);
    let original = |object: &Value| object["metadata"]["annotations"][ORIGINAL].clone();
    let emptied = stored(cluster, name, "deployment/web");
    assert_eq!(image(&emptied), "mirror.example/empty-container:latest");

    // Whatever comes, and however often, the original stays.
    cluster.kubectl(&["-n", name, "label", "deploy/web", "a=b"], "");
    let diyadm = |args: &[&str]| cluster.diyadm(folder, &[args, &["-n", name]].concat());
    diyadm(&["empty", "deploy/web", "--wait=false"]).code(0).stderr_has("already empty");
    let after = stored(cluster, name, "deployment/web");
    assert_eq!((image(&after), original(&after)), (image(&emptied), original(&emptied)));

    // A file of it is restored, and is not emptied a second time.
    let manifest = cluster.kubectl(&["-n", name, "get", "deploy/web", "-o", "json"], "");
    let mutate = |more: &[&str]| {
        let args = [&["mutate", "-f", "-", "-o", "json"], more].concat();
        let run = super::rig::diyadm_reads(folder, &args, &manifest).code(0);
        serde_json::from_str::<Value>(&run.stdout).unwrap()
    };
    assert_eq!(original(&mutate(&[])), original(&emptied));
    let restored = mutate(&["--restore"]);
    assert_eq!(image(&restored), own);
    assert_eq!(pod_of(&restored)["containers"][0]["command"], json!(["serve"]));

    // An update is the newest original, and the application's own image comes back.
    cluster.kubectl(&["-n", name, "set", "image", "deploy/web", "app=app:2"], "");
    let updated = stored(cluster, name, "deployment/web");
    assert_eq!(image(&updated), "mirror.example/empty-container:latest");
    diyadm(&["restore", "deploy/web", "--wait=false"]).code(0);
    let restored = stored(cluster, name, "deployment/web");
    assert_eq!(image(&restored), "mirror.example/app:2");
    assert_eq!(pod_of(&restored)["containers"][0]["command"], json!(["serve"]));
}

/// A webhook of somebody else that is called before diyadm's, then one that is called after it.
#[test]
fn leaves_images_to_a_webhook_that_rewrites_them() {
    let cluster = require!(cluster());
    for (name, configuration, own) in [
        ("hooked-first", "0-mirror", "mirror.example/app:1"),
        ("hooked-last", "zz-mirror", "app:1"),
    ] {
        let watched = WebhookNamespace::new(&cluster, name, &[]);
        let folder = watched.folder.path();
        let mirror = Mirror::start(folder);
        let configuration = mirror.configuration(folder, configuration, name).to_string();
        cluster.kubectl(&["create", "-f", "-"], &configuration);
        mirror_keeps_its_rewrites(&cluster, folder, name, own);
        cluster.kubectl(&["delete", "-f", "-"], &configuration);
    }
}

#[test]
fn registry_mirror_webhook_keeps_its_rewrites() {
    let cluster = require!(cluster());
    let name = "rewritten";
    let watched = WebhookNamespace::new(&cluster, name, &[]);
    let image = "'mirror.example/' + object.spec.template.spec.containers[0].image";
    let mirror = mirror(name, image).to_string();
    let made = cluster.try_kubectl(&["create", "-f", "-"], &mirror);
    require!(made.code == Some(0), "this API server has no MutatingAdmissionPolicy v1");
    mirror_keeps_its_rewrites(&cluster, watched.folder.path(), name, "mirror.example/app:1");
    cluster.kubectl(&["delete", "-f", "-"], &mirror);
}

/// The same where it gives every image but one of its own a new name; without a webhook too.
#[test]
fn renaming_mirror_webhook_keeps_its_rewrites() {
    let cluster = require!(cluster());
    let mirror_of = |namespace: &str| {
        let image = "object.spec.template.spec.containers[0].image";
        mirror(
            namespace,
            &format!("'mirror.example/i' + string(size({image})) + ({image}.contains('empty') ? '-e' : '-a')"),
        )
        .to_string()
    };
    let image = |object: &Value| pod_of(object)["containers"][0]["image"].clone();
    let name = "renamed";
    let watched = WebhookNamespace::new(&cluster, name, &[]);
    let alone = cluster.name("renamed-alone");
    let _alone = cluster.namespace(alone);
    let folder = watched.folder.path();
    let object = of_kind("Deployment", "web").to_string();
    for namespace in [name, alone] {
        let mirror = mirror_of(namespace);
        let made = cluster.try_kubectl(&["create", "-f", "-"], &mirror);
        require!(made.code == Some(0), "this API server has no MutatingAdmissionPolicy v1");
        let create = ["-n", namespace, "create", "-f", "-"];
        wait_until("the policy is known", || {
            let dry = [&create[..], &["--dry-run=server", "-o", "json"]].concat();
            let made: Value = serde_json::from_str(&cluster.kubectl(&dry, &object)).unwrap();
            image(&made).as_str().unwrap().starts_with("mirror.example/")
        });
        cluster.kubectl(&create, &object);
        let diyadm = |args: &[&str]| cluster.diyadm(folder, &[args, &["-n", namespace]].concat());
        diyadm(&["empty", "deploy/web", "--wait=false"]).code(0);
        let emptied = stored(&cluster, namespace, "deployment/web");
        assert!(image(&emptied).as_str().unwrap().ends_with("-e"), "{emptied}");
        cluster.kubectl(&["-n", namespace, "label", "deploy/web", "a=b"], "");
        let again = diyadm(&["empty", "deploy/web", "--wait=false"]).code(0);
        again.stderr_has("already empty");
        let manifest = cluster.kubectl(&["-n", namespace, "get", "deploy/web", "-o", "json"], "");
        for more in [&[][..], &["--restore"]] {
            let args = [&["mutate", "-f", "-", "-o", "json"], more].concat();
            let run = super::rig::diyadm_reads(folder, &args, &manifest).code(0);
            let made: Value = serde_json::from_str(&run.stdout).unwrap();
            let is_empty = image(&made).as_str().unwrap().ends_with("-e");
            assert_eq!(is_empty, more.is_empty(), "{made}");
        }
        diyadm(&["restore", "deploy/web", "--wait=false"]).code(0);
        let restored = stored(&cluster, namespace, "deployment/web");
        assert!(image(&restored).as_str().unwrap().ends_with("-a"), "{restored}");
        assert_eq!(pod_of(&restored)["containers"][0]["command"], json!(["serve"]));
        cluster.kubectl(&["delete", "-f", "-"], &mirror);
    }
}
