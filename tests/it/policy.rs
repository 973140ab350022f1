//! The policy beside the webhook, both on the real API server: what they make of a Pod is the same.

use std::{env, fs, path::PathBuf, time::Duration};

use diyadm::workload::{EMPTIED_BY, KINDS, ORIGINAL};
use proptest::{
    collection, option,
    prelude::*,
    sample::{select, subsequence},
    strategy::ValueTree,
    test_runner::TestRunner,
};
use serde_json::{Value, json};

use super::{
    rig::{Cluster, Server, cluster, diyadm, skip},
    serve::certificates,
};

/// Generated Pods for each set of rules.
const PODS: usize = 250;

/// A namespace with the webhook, and one with the policy, of the same rules.
struct Pair<'a> {
    cluster: &'a Cluster,
    hook: &'a str,
    policy: &'a str,
}

impl Pair<'_> {
    /// What became of `pods` in both: the webhook's, then the policy's.
    fn made(&self, pods: &[Value]) -> [Vec<Value>; 2] {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": pods }).to_string();
        [self.hook, self.policy].map(|namespace| {
            let args = ["-n", namespace, "create", "--dry-run=server", "-o", "json", "-f", "-"];
            let text = self.cluster.kubectl(&args, &list);
            let made: Vec<_> = diyadm::yaml::read("-", &text).unwrap();
            assert_eq!(made.len(), pods.len());
            made.into_iter().map(|document| document.value).collect()
        })
    }

    /// Holds both to the same; how many were emptied.
    #[track_caller]
    fn same(&self, pods: &[Value]) -> usize {
        let [hook, policy] = self.made(pods);
        let mut emptied = 0;
        for ((pod, hook), policy) in pods.iter().zip(hook).zip(policy) {
            let (hook, by_hook) = plain(&hook, ORIGINAL);
            let (policy, by_policy) = plain(&policy, EMPTIED_BY);
            assert_eq!(by_hook, by_policy, "{pod}\nwebhook: {hook}\npolicy: {policy}");
            assert_eq!(hook, policy, "{pod}");
            emptied += usize::from(by_policy);
        }
        emptied
    }
}

/// A Pod without what differs from one create to the next, and whether it carries `mark`.
fn plain(pod: &Value, mark: &str) -> (Value, bool) {
    let mut text = pod.to_string();
    // The service account's volume has a name of its own each time.
    let volume = "kube-api-access-";
    while let Some(at) = text.find(volume) {
        text.replace_range(at..at + volume.len() + 5, "token");
    }
    let mut pod: Value = serde_json::from_str(&text).unwrap();
    let meta = pod["metadata"].as_object_mut().unwrap();
    for field in ["uid", "creationTimestamp", "namespace", "managedFields"] {
        meta.remove(field);
    }
    if meta.contains_key("generateName") {
        meta.remove("name");
    }
    let annotations = meta.get_mut("annotations").and_then(Value::as_object_mut);
    let marked = annotations.is_some_and(|all| all.remove(mark).is_some());
    if meta.get("annotations").is_some_and(|all| *all == json!({})) {
        meta.remove("annotations");
    }
    (pod, marked)
}

/// Runs `test` with a webhook and a policy of the rules that `flags` make.
fn beside(name: &str, flags: &[&str], files: &[(&str, &str)], test: impl FnOnce(&Pair<'_>)) {
    let Some(cluster) = cluster() else { return };
    let (hook, policy) = (format!("{name}-hook"), format!("{name}-policy"));
    let _namespaces = [cluster.namespace(&hook), cluster.namespace(&policy)];
    let certs = certificates(&hook, &hook);
    for (file, text) in files {
        fs::write(certs.path().join(file), text).unwrap();
    }
    let own = ["--self-name", &format!("{hook}/{hook}"), "--level", "pod"];
    let server = Server::start(certs.path(), &[&own, flags].concat());
    let url = format!("https://{}", server.address);
    let apply = |name: &str, more: &[&str]| {
        let label = format!("{name}=enabled");
        let names = ["-n", name, "--service", name, "--label", &label, "--failure-policy", "Fail"];
        let render = [&["render"], &names[..], more, flags].concat();
        let yaml = diyadm(certs.path(), &render).code(0).stdout;
        cluster.kubectl(&["apply", "-f", "-"], &yaml);
    };
    apply(&hook, &["--ca", ".", "--url", &url, "--level", "pod"]);
    apply(&policy, &["--mode", "policy"]);
    let pair = Pair { cluster: &cluster, hook: &hook, policy: &policy };
    // New ones are known to every part of the API server after a moment.
    let mut pod = pod(&json!([{ "name": "a", "image": "b" }]));
    pod["metadata"]["name"] = "probe".into();
    let mut marked = [false, false];
    for _ in 0..100 {
        let [hook, policy] = pair.made(std::slice::from_ref(&pod));
        marked = [plain(&hook[0], ORIGINAL).1, plain(&policy[0], EMPTIED_BY).1];
        if marked == [true, true] {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(marked, [true, true], "webhook and policy empty a plain Pod");
    test(&pair);
}

fn pod(containers: &Value) -> Value {
    let meta = json!({ "name": "x" });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": { "containers": containers } })
}

/// Every way to empty a Pod, as annotations.
const WAYS: [&[(&str, &str)]; 6] = [
    &[],
    &[("idle", "shell")],
    &[("idle", "agent")],
    &[("image", "keep")],
    &[("image", "keep"), ("idle", "agent"), ("containers", "*")],
    &[("image", "tools:1"), ("idle", "entrypoint"), ("containers", "*")],
];

/// Every pod template of the corpus as a Pod, in each way.
fn corpus() -> Vec<Value> {
    let Some(corpus) = env::var_os("DIYADM_CORPUS") else {
        skip("no corpus: DIYADM_CORPUS names none");
        return Vec::new();
    };
    let (mut pods, mut folders) = (Vec::new(), vec![PathBuf::from(corpus)]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Some(text) = fs::read_to_string(&path)
                .ok()
                .filter(|_| path.extension().is_some_and(|e| e == "yaml"))
            else {
                continue;
            };
            for document in diyadm::yaml::objects(diyadm::yaml::read("corpus", &text).unwrap()) {
                let object = document.value;
                if KINDS.iter().any(|kind| object["kind"] == kind.kind) {
                    pods.push(of_template(&object));
                }
            }
        }
    }
    assert!(pods.len() > 20, "{} pod templates", pods.len());
    let way = |pod: &Value, way: &[(&str, &str)]| {
        let mut pod = pod.clone();
        for (key, value) in way {
            pod["metadata"]["annotations"][format!("diyadm.io/{key}")] = (*value).into();
        }
        pod
    };
    pods.iter().flat_map(|pod| WAYS.map(|annotations| way(pod, annotations))).collect()
}

/// A workload's pod template as a Pod: volumes that a StatefulSet would claim are there too, and
/// nothing but itself has to be on the cluster.
fn of_template(object: &Value) -> Value {
    let mut pod = object["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = object["metadata"]["name"].clone();
    let spec = pod["spec"].as_object_mut().unwrap();
    spec.remove("serviceAccountName");
    spec.remove("serviceAccount");
    spec.remove("priorityClassName");
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

fn container(name: &'static str) -> impl Strategy<Value = Value> {
    let exec = json!({ "exec": { "command": ["x"] } });
    let fields = [
        ("imagePullPolicy", json!("Always")),
        ("command", json!(["run"])),
        ("command", json!(["/.diyadm/diyadm", "idle"])),
        ("args", json!(["a", "b"])),
        ("livenessProbe", exec.clone()),
        ("readinessProbe", exec.clone()),
        ("startupProbe", exec.clone()),
        ("lifecycle", json!({ "preStop": exec })),
        ("securityContext", json!({ "runAsUser": 1000, "capabilities": { "drop": ["ALL"] } })),
        ("resources", json!({ "requests": { "cpu": "10m" }, "limits": { "memory": "64Mi" } })),
        ("volumeMounts", json!([{ "name": "data", "mountPath": "/data" }])),
        ("volumeMounts", json!([{ "name": "diyadm-agent", "mountPath": "/x" }])),
        ("env", json!([{ "name": "A", "value": "$(B)é" }])),
    ];
    let image = select(&["app:1", "app:1", "app:1", "empty-container:latest", "tools:1"][..]);
    (image, subsequence(fields.to_vec(), 0..8)).prop_map(move |(image, fields)| {
        let mut container = json!({ "name": name, "image": image });
        fields.into_iter().for_each(|(key, value)| container[key] = value);
        container
    })
}

fn annotations() -> impl Strategy<Value = Value> {
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
            ("kubectl.kubernetes.io/default-container", "b"),
            ("kubectl.kubernetes.io/default-container", "istio-proxy"),
            ("inject-empty-container", "enabled"),
            ("inject-empty-container", "disabled"),
            ("other", "~/é\""),
        ][..],
    );
    collection::vec(one, 0..4).prop_map(|all| {
        all.into_iter().map(|(k, v)| (k.to_owned(), Value::from(v))).collect::<Value>()
    })
}

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
    ]);
    let odd = select(&["", "", "", "", "windows", "init", "taken", "volume", "generated"][..]);
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

fn generated() -> Vec<Value> {
    let mut runner = TestRunner::default();
    let tree = collection::vec(any_pod(), PODS).new_tree(&mut runner).unwrap();
    tree.current()
}

#[test]
fn the_policy_does_to_every_pod_what_the_webhook_does() {
    beside("policy-plain", &[], &[], |pair| {
        let corpus = corpus();
        assert_eq!(pair.same(&corpus), corpus.len(), "each is emptied, in each way");
        let emptied = pair.same(&generated());
        assert!(emptied > PODS / 20, "{emptied} of {PODS} were emptied");
    });
}

#[test]
fn the_policys_flags_are_the_webhooks() {
    let flags =
        ["--image", "keep", "--idle", "agent", "--containers", "*", "--agent-image", "agent:1"];
    beside("policy-flags", &flags, &[], |pair| {
        let emptied = pair.same(&generated());
        assert!(emptied > PODS / 20, "{emptied} of {PODS} were emptied");
    });
}

#[test]
fn the_policys_rules_are_the_webhooks() {
    let rules = "rules:
- match: {namespaces: [prod, 'x?z*']}
  empty: false
- match: {kinds: [deploy, cj], names: ['w.b', 'w*', 'report']}
  image: tools:1
- match: {kinds: [job], names: ['report-*'], labels: {lang: 'j?va'}}
  idle: agent
- match: {names: ['db', 'agent'], namespaces: ['policy-*']}
  image: keep
  idle: shell
  containers: '*'
- match: {labels: {lang: go}}
  empty: false
- match: {kinds: [ds], labels: {lang: '*'}}
  level: workload
- match: {kinds: [po], names: ['web-*', x]}
  containers: 'a,b'
";
    let files = [("rules.yaml", rules)];
    beside("policy-rules", &["--rules", "rules.yaml"], &files, |pair| {
        let emptied = pair.same(&generated());
        assert!(emptied > PODS / 20, "{emptied} of {PODS} were emptied");
    });
}

#[test]
fn a_policy_is_installed_checked_verified_and_taken_away() {
    let Some(cluster) = cluster() else { return };
    let name = "policy-commands";
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| cluster.diyadm(folder.path(), &[args, &names].concat());
    let policy = ["--mode", "policy"];
    let with = |command: &str, more: &[&str]| run(&[&[command], &policy[..], more].concat());

    with("check", &[]).code(1).stderr_has("diyadm install --mode policy");
    with("verify", &["--dry-run=server"]).code(1);
    with("install", &["--dry-run=client"]).code(0);
    with("install", &["--dry-run=server"]).code(0);
    assert_eq!(cluster.kubectl(&["get", "namespace", name, "--ignore-not-found"], ""), "");

    with("install", &["--image", "tools:1"]).code(0).stderr_has("start empty, by policy");
    with("install", &["--image", "tools:1"]).code(0).stderr_has("unchanged");
    with("check", &["--image", "tools:1"])
        .code(0)
        .stderr_has("puts policy policy-commands to work");
    with("check", &["--image", "other:1"]).code(1).stderr_has("would not be emptied to other:1");
    with("verify", &["--image", "tools:1", "--dry-run=server"]).code(0).stderr_has("in a dry run");
    with("verify", &["--image", "tools:1"]).code(0).stderr_has("is gone again");
    with("verify", &["--image", "tools:1", "--keep"]).code(0).stderr_has("is still there");
    with("verify", &["--image", "tools:1"]).code(1).stderr_has("There is a Pod test");
    let pod = cluster.get(name, "pod/test");
    assert_eq!(pod["metadata"]["annotations"][EMPTIED_BY], "policy");

    cluster.kubectl(&["delete", "mutatingadmissionpolicybindings", name], "");
    with("check", &["--image", "tools:1"]).code(1).stderr_has("the policy does nothing");
    with("install", &["--image", "keep"]).code(0);
    with("verify", &["--image", "keep", "--dry-run=server"]).code(0);

    run(&["uninstall"]).code(0).stderr_has("mutatingadmissionpolicy/policy-commands deleted");
    with("check", &[]).code(1).stderr_has("there is no MutatingAdmissionPolicy");
    run(&["uninstall"]).code(0);
}

#[test]
fn what_a_policy_cannot_do_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yaml"), "rules:\n- {}\n- replicas: 1\n").unwrap();
    let run =
        |args: &[&str]| diyadm(folder.path(), &[&["render", "--mode", "policy"], args].concat());
    run(&["--level", "workload"]).code(2).stderr_has("cannot save the original");
    run(&["--rules", "rules.yaml"]).code(2).stderr_has("rule 2 says replicas");
    let yaml = run(&["--level", "pod", "--failure-policy", "Fail", "-n", "x"]).code(0).stdout;
    let objects = diyadm::yaml::read("-", &yaml).unwrap();
    let kinds: Vec<_> = objects.iter().map(|document| document.value["kind"].clone()).collect();
    assert_eq!(kinds, ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]);
    assert_eq!(objects[0].value["spec"]["failurePolicy"], "Fail");
}
