//! Pods for which policy and webhook are compared: those of the corpus, and generated ones.

use diyadm::workload::{IMAGE, LONGEST_IMAGE};
use proptest::{
    collection, option,
    prelude::*,
    sample::{select, subsequence},
    strategy::ValueTree,
    test_runner::TestRunner,
};
use serde_json::{Value, json};

use crate::corpus;

pub(super) fn pod(containers: &Value) -> Value {
    let meta = json!({ "name": "x" });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": { "containers": containers } })
}

/// Every way to empty a Pod, as annotations.
const WAYS: [&[(&str, &str)]; 8] = [
    &[],
    &[("idle", "shell")],
    &[("idle", "agent")],
    &[("image", "keep")],
    &[("image", "keep"), ("idle", "agent"), ("containers", "*")],
    &[("image", "tools:1"), ("idle", "entrypoint"), ("containers", "*")],
    &[("stand-in", "true"), ("stand-in-command", r#"["serve", "a\"\\ \n"]"#)],
    &[("stand-in", "false"), ("stand-in-command", "none")],
];

/// Every pod template of the corpus as a Pod, in each way.
pub(super) fn of_corpus() -> Vec<Value> {
    let way = |pod: &Value, way: &[(&str, &str)]| {
        let mut pod = pod.clone();
        for (key, value) in way {
            pod["metadata"]["annotations"][format!("diyadm.io/{key}")] = (*value).into();
        }
        pod
    };
    let pods = corpus::workloads().into_iter().map(|(_, object)| of_template(&object));
    pods.flat_map(|pod| WAYS.map(|annotations| way(&pod, annotations))).collect()
}

/// A workload's pod template as a Pod: volumes that a StatefulSet would claim are there too, and
/// nothing but itself has to be on the cluster.
fn of_template(object: &Value) -> Value {
    let template = corpus::pod_template(object);
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": template["metadata"],
        "spec": template["spec"],
    });
    if object["kind"] != "Pod" {
        pod["metadata"]["name"] = object["metadata"]["name"].clone();
    }
    if pod["metadata"]["name"].is_null() {
        pod["metadata"]["name"] = "generated".into();
    }
    let spec = pod["spec"].as_object_mut().unwrap();
    for other in ["serviceAccountName", "serviceAccount", "priorityClassName", "runtimeClassName"] {
        spec.remove(other);
    }
    let containers = [spec.get("containers"), spec.get("initContainers")];
    let containers = containers.into_iter().flatten().filter_map(Value::as_array).flatten();
    let mounts = containers.filter_map(|c| c["volumeMounts"].as_array()).flatten();
    let mounted: Vec<Value> = mounts.map(|mount| mount["name"].clone()).collect();
    let volumes = spec.entry("volumes").or_insert_with(|| json!([])).as_array_mut().unwrap();
    for name in mounted {
        if volumes.iter().all(|volume| volume["name"] != name) {
            volumes.push(json!({ "name": name, "emptyDir": {} }));
        }
    }
    pod
}

/// What the annotation for the image may say, and whether an image can be called that.
fn images() -> Vec<(String, bool)> {
    let long = |more: usize| format!("é{}", "a".repeat(LONGEST_IMAGE - 2 + more));
    let odd = ["", " ", "a b", "a\n", "\u{85}a", "\u{a0}a", "a\u{2009}b", "a\u{3000}", "a\u{1}"];
    let odd = odd.into_iter().map(|image| (image.to_owned(), false));
    odd.chain([("é\u{200b}:1".to_owned(), true), (long(0), true), (long(1), false)]).collect()
}

/// A Pod for each image that an annotation may name, and how many of them can be emptied.
pub(super) fn of_images() -> (Vec<Value>, usize) {
    let images = images();
    let possible = images.iter().filter(|(_, possible)| *possible).count();
    let pods = images.into_iter().map(|(image, _)| {
        let mut pod = pod(&json!([{ "name": "a", "image": "app:1" }]));
        pod["metadata"]["annotations"] = json!({ IMAGE: image });
        pod
    });
    (pods.collect(), possible)
}

fn container(name: &'static str) -> impl Strategy<Value = Value> {
    let exec = json!({ "exec": { "command": ["x", "a \"é\\\n"] } });
    let header = json!({ "name": "X-A", "value": "\"1\"" });
    let http = json!({
        "httpGet": { "path": "/up?a=\"b\"", "port": "web", "httpHeaders": [header] },
        "initialDelaySeconds": 7, "terminationGracePeriodSeconds": 5,
    });
    let grpc = json!({ "grpc": { "port": 9000, "service": "s" }, "timeoutSeconds": 4 });
    let tcp = json!({ "tcpSocket": { "port": 81, "host": "h" }, "periodSeconds": 2 });
    let fields = [
        ("imagePullPolicy", json!("Always")),
        ("command", json!(["run"])),
        ("command", json!(["/.diyadm/diyadm-agent"])),
        ("args", json!(["a", "b"])),
        ("livenessProbe", exec.clone()),
        ("livenessProbe", http),
        ("livenessProbe", grpc),
        ("readinessProbe", exec.clone()),
        ("startupProbe", exec.clone()),
        ("startupProbe", tcp),
        ("ports", json!([{ "name": "web", "containerPort": 8080 }])),
        ("lifecycle", json!({ "preStop": exec })),
        ("securityContext", json!({ "runAsUser": 1000, "capabilities": { "drop": ["ALL"] } })),
        ("resources", json!({ "requests": { "cpu": "10m" }, "limits": { "memory": "64Mi" } })),
        ("volumeMounts", json!([{ "name": "data", "mountPath": "/data" }])),
        ("volumeMounts", json!([{ "name": "diyadm-agent", "mountPath": "/x" }])),
        ("env", json!([{ "name": "A", "value": "$(B)é" }])),
    ];
    let helpers = ["x/cloud-sql-proxy:2.1@sha256:00", "envoy"];
    let images = ["app:1", "app:1", "app:1", "empty-container:latest", "tools:1"];
    let image = select([&images[..], &helpers].concat());
    (image, subsequence(fields.to_vec(), 0..10)).prop_map(move |(image, fields)| {
        let mut container = json!({ "name": name, "image": image });
        fields.into_iter().for_each(|(key, value)| container[key] = value);
        container
    })
}

fn annotations() -> impl Strategy<Value = Value> {
    let images = select(images()).prop_map(|(image, _)| (IMAGE.to_owned(), image));
    let one = select(
        &[
            ("diyadm.io/containers", "*"),
            ("diyadm.io/containers", "a"),
            ("diyadm.io/containers", " b , a,a"),
            ("diyadm.io/containers", "a,none"),
            ("diyadm.io/containers", "istio-proxy"),
            ("diyadm.io/containers", ""),
            ("diyadm.io/image", "keep"),
            ("diyadm.io/image", "tools:1"),
            ("diyadm.io/idle", "entrypoint"),
            ("diyadm.io/idle", "shell"),
            ("diyadm.io/idle", "agent"),
            ("diyadm.io/idle", "sleep"),
            ("diyadm.io/level", "pod"),
            ("diyadm.io/level", "workload"),
            ("diyadm.io/level", "both"),
            ("diyadm.io/replicas", "2"),
            ("diyadm.io/replicas", "two"),
            ("diyadm.io/stand-in", "true"),
            ("diyadm.io/stand-in", "true"),
            ("diyadm.io/stand-in", "false"),
            ("diyadm.io/stand-in", "yes"),
            ("diyadm.io/stand-in-command", r#"["serve"]"#),
            ("diyadm.io/stand-in-command", r#" [ "a,b" , "\"c\\" ,"\/d\te", ""] "#),
            ("diyadm.io/stand-in-command", r#"["",""]"#),
            ("diyadm.io/stand-in-command", "serve"),
            ("diyadm.io/suspend", "true"),
            ("diyadm.io/suspend", "maybe"),
            ("kubectl.kubernetes.io/default-container", "b"),
            ("kubectl.kubernetes.io/default-container", "istio-proxy"),
            ("inject-empty-container", "enabled"),
            ("inject-empty-container", "disabled"),
            ("other", "~/é\""),
        ][..],
    );
    let one = one.prop_map(|(key, value)| (key.to_owned(), value.to_owned()));
    collection::vec(prop_oneof![9 => one, 1 => images], 0..4)
        .prop_map(|all| all.into_iter().map(|(k, v)| (k, Value::from(v))).collect::<Value>())
}

/// What a Pod may have apart from its containers.
const ODD: [&str; 12] =
    ["", "", "", "", "windows", "nodes", "term", "either", "init", "taken", "volume", "generated"];

/// A Pod that the API server takes, as whatever makes Pods makes them.
fn any_pod() -> impl Strategy<Value = Value> {
    let containers = (container("a"), container("b"), container("istio-proxy"), 0..6_usize);
    let containers = containers.prop_map(|(a, b, proxy, order)| match order {
        0 => json!([a]),
        1 => json!([a, b]),
        2 => json!([proxy, a, b]),
        3 => json!([b, proxy, a]),
        4 => json!([proxy]),
        _ => json!([b, a]),
    });
    let owner = select(
        &[
            ("ReplicaSet", "web-7d9f"),
            ("ReplicaSet", "web"),
            ("Job", "report-28912345"),
            ("Job", "report-2891"),
            ("StatefulSet", "db"),
            ("DaemonSet", "agent"),
        ][..],
    );
    let labels = select(vec![
        json!({}),
        json!({ "pod-template-hash": "7d9f", "lang": "java" }),
        json!({ "lang": "java" }),
        json!({ "lang": "go" }),
        json!({ "inject-empty-container": "disabled" }),
        json!({ "diyadm.io/copy": "me", "diyadm.io/copy-of": "web" }),
        json!({ "diyadm.io/copy": "me" }),
    ]);
    let odd = select(&ODD[..]);
    (containers, annotations(), option::of(owner), labels, odd, option::of(0..60_u8)).prop_map(
        |(containers, annotations, owner, labels, odd, grace)| {
            let mut pod = pod(&containers);
            pod["spec"]["volumes"] = json!([{ "name": "data", "emptyDir": {} }]);
            let text = pod.to_string();
            let agent = json!({ "name": "diyadm-agent", "emptyDir": {} });
            if text.contains("\"name\":\"diyadm-agent\"") || odd == "volume" {
                pod["spec"]["volumes"].as_array_mut().unwrap().push(agent);
            } else if !text.contains("volumeMounts") && odd.is_empty() {
                pod["spec"].as_object_mut().unwrap().remove("volumes");
            }
            if annotations != json!({}) {
                pod["metadata"]["annotations"] = annotations;
            }
            if labels != json!({}) {
                pod["metadata"]["labels"] = labels;
            }
            if let Some((kind, name)) = owner {
                let version = if kind == "Job" { "batch/v1" } else { "apps/v1" };
                pod["metadata"]["ownerReferences"] = json!([
                    { "apiVersion": "v1", "kind": "X", "name": "x", "uid": "1" },
                    { "apiVersion": version, "kind": kind, "name": name, "uid": "2", "controller": true },
                ]);
            }
            if let Some(grace) = grace {
                pod["spec"]["terminationGracePeriodSeconds"] = grace.into();
            }
            match odd {
                "windows" => {
                    pod["spec"]["os"] = json!({ "name": "windows" });
                    for container in pod["spec"]["containers"].as_array_mut().unwrap() {
                        container.as_object_mut().unwrap().remove("securityContext");
                    }
                }
                "nodes" => {
                    pod["spec"]["nodeSelector"] = json!({ "beta.kubernetes.io/os": "windows" });
                }
                "term" | "either" => {
                    let term = |operator: &str, os: &str| {
                        let one = json!({ "key": "kubernetes.io/os", "operator": operator, "values": [os] });
                        json!({ "matchExpressions": [one] })
                    };
                    let terms = match odd {
                        "term" => json!([term("NotIn", "linux"), term("In", "windows")]),
                        _ => json!([term("In", "windows"), term("In", "linux")]),
                    };
                    let required = json!({ "nodeSelectorTerms": terms });
                    pod["spec"]["affinity"]["nodeAffinity"] =
                        json!({ "requiredDuringSchedulingIgnoredDuringExecution": required });
                }
                "init" | "taken" => {
                    let name = if odd == "taken" { "diyadm-agent" } else { "init" };
                    pod["spec"]["initContainers"] = json!([{ "name": name, "image": "i" }]);
                }
                "generated" => pod["metadata"] = {
                    let mut meta = pod["metadata"].clone();
                    meta.as_object_mut().unwrap().remove("name");
                    meta["generateName"] = "web-".into();
                    meta
                },
                _ => {}
            }
            pod
        },
    )
}

pub(super) fn generated(count: usize) -> Vec<Value> {
    let mut runner = TestRunner::default();
    let tree = collection::vec(any_pod(), count).new_tree(&mut runner).unwrap();
    tree.current()
}
