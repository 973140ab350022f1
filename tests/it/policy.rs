//! The policy and the webhook, both on the real API server: they make the same of a Pod.

use std::fs;

use diyadm::workload::{EMPTIED_BY, ENABLED, LABEL, ORIGINAL, is_emptied};
use serde_json::{Value, json};

use self::pods::{generated, of_corpus, of_images, pod};
use super::{
    proxy::{Fate, Proxy},
    rig::{Cluster, Second, Server, cluster_with_policies, diyadm, wait_until},
    serve::certificates,
    workloads::{user, workload},
};

mod pods;

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
        let pods: Vec<_> = pods.iter().map(asking).collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": pods }).to_string();
        [self.hook, self.policy].map(|namespace| {
            let args = ["-n", namespace, "create", "--dry-run=server", "-o", "json", "-f", "-"];
            let text = self.cluster.kubectl(&args, &list);
            let made: Vec<_> = diyadm::yaml::parse_documents("-", &text).unwrap();
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

/// A policy leaves alone what nothing controls, unless that asks for it.
fn asking(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if pod["metadata"].get("ownerReferences").is_none() {
        let annotations = pod["metadata"].as_object_mut().unwrap().entry("annotations");
        let annotations = annotations.or_insert_with(|| json!({})).as_object_mut().unwrap();
        annotations.entry(LABEL).or_insert(ENABLED.into());
    }
    pod
}

/// The service account's volume has a name of its own each time.
pub(crate) fn without_token_names(pod: &str) -> String {
    let mut text = pod.to_owned();
    let volume = "kube-api-access-";
    while let Some(at) = text.find(volume) {
        text.replace_range(at..at + volume.len() + 5, "token");
    }
    text
}

/// A Pod without what differs from one create to the next, and whether it carries `mark`.
fn plain(pod: &Value, mark: &str) -> (Value, bool) {
    let mut pod: Value = serde_json::from_str(&without_token_names(&pod.to_string())).unwrap();
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
    let cluster = require!(cluster_with_policies());
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
    wait_until("webhook and policy empty a plain Pod", || {
        let [hook, policy] = pair.made(std::slice::from_ref(&pod));
        plain(&hook[0], ORIGINAL).1 && plain(&policy[0], EMPTIED_BY).1
    });
    test(&pair);
}

#[test]
fn policy_and_webhook_make_the_same_pods() {
    beside("policy-plain", &[], &[], |pair| {
        let corpus = of_corpus();
        assert_eq!(pair.same(&corpus), corpus.len(), "each is emptied, in each way");
        let (pods, possible) = of_images();
        assert_eq!(pair.same(&pods), possible, "only to what can be an image");
        pair.same(&generated(PODS));
    });
}

#[test]
fn policy_obeys_the_flags_of_the_webhook() {
    let flags =
        ["--image", "keep", "--idle", "agent", "--containers", "*", "--agent-image", "agent:1"];
    beside("policy-flags", &flags, &[], |pair| {
        pair.same(&generated(PODS));
    });
}

#[test]
fn policy_obeys_the_rules_of_the_webhook() {
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
        pair.same(&generated(PODS));
    });
}

#[test]
fn policy_is_installed_checked_verified_and_uninstalled() {
    let cluster = require!(cluster_with_policies());
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
    with("check", &["--image", "tools:1"]).code(0).stderr_has("activates policy policy-commands");
    with("check", &["--image", "other:1"]).code(1).stderr_has("would not be emptied to other:1");
    with("verify", &["--image", "tools:1", "--dry-run=server"]).code(0).stderr_has("in a dry run");
    with("verify", &["--image", "tools:1"]).code(0).stderr_has("was deleted");
    with("verify", &["--image", "tools:1", "--keep"]).code(0).stderr_has("was kept");
    with("verify", &["--image", "tools:1"]).code(1).stderr_has("A Pod test already exists");
    let pod = cluster.get(name, "pod/test");
    assert_eq!(pod["metadata"]["annotations"][EMPTIED_BY], "policy tools:1");

    cluster.kubectl(&["delete", "mutatingadmissionpolicybindings", name], "");
    with("check", &["--image", "tools:1"]).code(1).stderr_has("the policy does nothing");
    // The API server reads policies once a second: what it still does would prove nothing.
    wait_until("the policy has no effect", || {
        with("verify", &["--image", "tools:1", "--dry-run=server"]).code == Some(1)
    });
    with("install", &["--image", "keep"]).code(0);
    with("verify", &["--image", "keep", "--dry-run=server"]).code(0);

    // What an API server in trouble may have is not passed over in silence.
    let proxy = Proxy::start(cluster.kubeconfig(), folder.path());
    let deleted = "mutatingadmissionpolicy/policy-commands deleted";
    let look = [&["uninstall", "--dry-run=client"], &names[..]].concat();
    let trouble = |_, request: &str| {
        let policy = request.contains("/mutatingadmissionpolicies/");
        if policy { Fate::Refuse(400, None) } else { Fate::Pass }
    };
    let (refused, _) = proxy.run(folder.path(), &look, trouble);
    let refused = refused.code(0).stderr_has("whether there is a MutatingAdmissionPolicy");
    assert!(!refused.stderr.contains(deleted), "{}", refused.stderr);
    run(&["uninstall", "--dry-run=client"])
        .code(0)
        .stderr_has(deleted)
        .stderr_has(&format!("deployment/{name} absent (dry run)"));
    run(&["uninstall"]).code(0).stderr_has(deleted);
    with("check", &[]).code(1).stderr_has("there is no MutatingAdmissionPolicy");
    run(&["uninstall"]).code(0);
}

/// A cluster that serves no policies: a command for a policy says why and creates nothing; other
/// commands do not mention policies.
#[test]
fn reports_that_the_cluster_serves_no_policies() {
    let cluster = require!(cluster_with_policies());
    let folder = tempfile::tempdir().unwrap();
    let off = ["policies", "policybindings"]
        .map(|kind| format!("admissionregistration.k8s.io/v1/mutatingadmission{kind}=false"));
    let off = format!("--runtime-config={}", off.join(","));
    // What goes by them would wait for them for ever.
    let off = [&off, "--disable-admission-plugins=MutatingAdmissionPolicy"];
    let second = require!(Second::start(&cluster, folder.path(), &off));
    let cluster = &second.cluster;
    let name = "no-policies";
    let names = ["-n", name, "--service", name];
    let run = |args: &[&str]| cluster.diyadm(folder.path(), &[args, &names].concat());
    for args in [
        &["check", "--mode", "policy"][..],
        &["install", "--mode", "policy"],
        &["install", "--mode", "policy", "--dry-run=server"],
    ] {
        run(args).code(1).stderr_has("switched off: its flag --runtime-config says so");
    }
    assert_eq!(cluster.kubectl(&["get", "namespace", name, "--ignore-not-found"], ""), "");

    // A kind that may not be listed, and is not there either, is nothing to tell.
    cluster.kubectl(&["create", "namespace", name], "");
    let place = ["-n", name];
    let here = |args: &[&str], stdin: &str| cluster.kubectl(&[&place, args].concat(), stdin);
    here(&["create", "serviceaccount", "default"], "");
    here(&["create", "-f", "-"], &workload("Deployment", "web").to_string());
    let rules = json!([
        { "apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"] },
    ]);
    let narrow = user(cluster, folder.path(), name, &rules);
    let empty = ["empty", "deploy/web", "--wait=false", "-n", name, "--kubeconfig", &narrow];
    let told = diyadm(folder.path(), &empty).code(0).stderr_has("HorizontalPodAutoscaler");
    for kind in ["ScaledObject", "VerticalPodAutoscaler"] {
        assert!(!told.stderr.contains(kind), "{}", told.stderr);
    }
    let board = cluster.diyadm(folder.path(), &["status", "-n", name]).code(0);
    assert!(board.stdout.contains("web") && board.stderr.is_empty(), "{}", board.stderr);
    run(&["uninstall", "--restore", "--wait=false"]).code(0).stderr_has("deployment/web");
    assert!(!is_emptied(&here(&["get", "deploy/web", "-o", "json"], "")));
}

/// It keeps no original, and nobody else has one of a Pod that nothing controls.
#[test]
fn policy_leaves_pods_without_controller_alone() {
    let cluster = require!(cluster_with_policies());
    let name = "policy-alone";
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| cluster.diyadm(folder.path(), &[args, &["-n", name]].concat());
    let install = ["install", "--mode", "policy"];
    cluster.diyadm(folder.path(), &[&install, &names[..]].concat()).code(0);
    let mut asks = workload("Pod", "asks");
    asks["metadata"]["annotations"] = json!({ LABEL: "enabled" });
    // One that no node takes would be stuck.
    asks["spec"]["schedulerName"] = "nobody".into();
    for object in [&workload("Pod", "alone"), &asks] {
        cluster.create(name, object);
    }
    assert_eq!(cluster.get(name, "pod/alone")["spec"]["containers"][0]["image"], "app:1");
    let board: Value =
        serde_json::from_str(&run(&["status", "-o", "json"]).code(0).stdout).unwrap();
    assert_eq!(board.as_array().unwrap().len(), 1, "{board}");
    assert_eq!((&board[0]["name"], &board[0]["state"]), (&json!("asks"), &json!("empty")));
    run(&["restore", "pod/alone"]).code(1).stderr_has("it is not empty");
    for args in [&["restore", "pod/asks"][..], &["restore", "--all"]] {
        run(args).code(1).stderr_has("saved no original").stderr_has("from its manifest");
    }
    run(&["empty", "pod/asks", "--recreate", "--image", "tools:1"])
        .code(1)
        .stderr_has("a policy emptied it when it was created");
    // With its original it has a way back.
    run(&["empty", "pod/alone", "--recreate", "--wait=false"]).code(0);
    run(&["restore", "pod/alone", "--recreate", "--trust-original", "--wait=false"]).code(0);
    assert_eq!(cluster.get(name, "pod/alone")["spec"]["containers"][0]["image"], "app:1");
    cluster.diyadm(folder.path(), &[&["uninstall"], &names[..]].concat()).code(0);
}

#[test]
fn refuses_flags_and_rules_that_a_policy_cannot_express() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yaml"), "rules:\n- {}\n- replicas: 1\n").unwrap();
    let run =
        |args: &[&str]| diyadm(folder.path(), &[&["render", "--mode", "policy"], args].concat());
    run(&["--level", "workload"]).code(2).stderr_has("cannot save the original");
    run(&["--rules", "rules.yaml"]).code(2).stderr_has("rule 2 sets replicas");
    let yaml = run(&["--level", "pod", "--failure-policy", "Fail", "-n", "x"]).code(0).stdout;
    let objects = diyadm::yaml::parse_documents("-", &yaml).unwrap();
    let kinds: Vec<_> = objects.iter().map(|document| document.value["kind"].clone()).collect();
    assert_eq!(kinds, ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]);
    assert_eq!(objects[0].value["spec"]["failurePolicy"], "Fail");
}
