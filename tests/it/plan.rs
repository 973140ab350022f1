//! `diyadm plan` and `rules explain` on the real API server, with autoscalers, disruption budgets
//! and GitOps owners of the workloads.

use std::fs;

use diyadm::workload::{EMPTIED_BY, ORIGINAL};
use serde_json::{Value, json};

use super::rig::{
    Cluster, Namespace, Run, TIMEOUT, cluster, cluster_with_policies, diyadm, wait_until,
};

mod autoscalers;
mod denied;
mod jobs;

/// A namespace where each workload has another conflict.
pub(crate) struct Scene<'a> {
    cluster: &'a Cluster,
    name: &'a str,
    folder: tempfile::TempDir,
    _namespace: Namespace,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(cluster: &'a Cluster, name: &'a str) -> Self {
        let namespace = cluster.namespace(name);
        let scene =
            Self { cluster, name, folder: tempfile::tempdir().unwrap(), _namespace: namespace };
        for (group, version, kind, plural) in [
            ("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler", "verticalpodautoscalers"),
            ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
        ] {
            // Another test's, or the cluster's own, are as good.
            cluster.try_kubectl(&["create", "-f", "-"], &definition(group, version, kind, plural));
            let definition = format!("customresourcedefinition/{plural}.{group}");
            cluster.kubectl(&["wait", "--for=condition=Established", &definition], "");
        }
        let place = ["-n", name, "apply", "-f", "-"];
        cluster.kubectl(&place, WORKLOADS);
        // A kind that has just come is not known to kubectl's next discovery at once.
        wait_until("everything beside the workloads is there", || {
            cluster.try_kubectl(&place, BESIDE).code == Some(0)
        });
        scene
    }

    /// `diyadm plan` in the namespace.
    pub(crate) fn plan(&self, args: &[&str]) -> Run {
        let base = ["plan", "-n", self.name];
        self.cluster.diyadm(self.folder.path(), &[&base, args].concat())
    }

    fn plans(&self, args: &[&str]) -> Vec<Value> {
        serde_json::from_str(&self.plan(&[args, &["-o", "json"]].concat()).stdout).unwrap()
    }

    fn diyadm(&self, args: &[&str]) -> Run {
        self.cluster.diyadm(self.folder.path(), &[args, &["-n", self.name]].concat())
    }
}

pub(crate) fn definition(group: &str, version: &str, kind: &str, plural: &str) -> String {
    let any = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let schema = json!({ "openAPIV3Schema": any });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            // Groups of Kubernetes' own want to be approved.
            "annotations": { "api-approved.kubernetes.io": "unapproved, for a test" },
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase() },
            "versions": [{ "name": version, "served": true, "storage": true, "schema": schema }],
        },
    })
    .to_string()
}

/// One workload of each kind, and its conflicts.
pub(crate) const WORKLOADS: &str = include_str!("../data/plan/workloads.yaml");
const BESIDE: &str = include_str!("../data/plan/beside.yaml");

fn ids(plan: &Value) -> Vec<String> {
    let finding = |one: &Value| format!("{} {}", one["id"], one["level"]).replace('"', "");
    plan["findings"].as_array().unwrap().iter().map(finding).collect()
}

fn of<'p>(plans: &'p [Value], kind: &str, name: &str) -> &'p Value {
    let found = plans.iter().find(|plan| plan["kind"] == kind && plan["name"] == name);
    found.unwrap_or_else(|| panic!("{kind} {name} is not in {plans:?}"))
}

#[test]
fn plan_lists_autoscalers_budgets_and_gitops_owners() {
    let cluster = require!(cluster());
    let name = cluster.name("plan-beside");
    let scene = Scene::new(&cluster, name);
    let plans = scene.plans(&[]);
    assert_eq!(plans.len(), 8, "Pods of a workload are not planned by themselves: {plans:?}");
    let found = |kind, name| (of(&plans, kind, name)["does"].clone(), ids(of(&plans, kind, name)));
    for (kind, name, does, expected) in [
        (
            "Deployment",
            "web",
            "template",
            &[
                "injected ok",
                "idle ok",
                "user warning",
                "autoscaler warning",
                "budget warning",
                "budget warning",
            ][..],
        ),
        ("StatefulSet", "db", "template", &["idle ok", "vertical-autoscaler warning"]),
        ("Deployment", "worker", "template", &["idle failed", "scaled-object warning"]),
        ("Deployment", "shop", "template", &["idle ok", "budget warning", "keeper warning"]),
        ("DaemonSet", "probe", "template", &["idle ok", "keeper warning"]),
        ("Deployment", "quiet", "nothing", &["idle ok"]),
        ("Job", "report", "nothing", &["idle ok"]),
        ("CronJob", "nightly", "template", &["idle ok", "cronjob ok"]),
    ] {
        assert_eq!(
            found(kind, name),
            (does.into(), expected.iter().map(|e| (*e).into()).collect())
        );
    }

    // A number of its own is what each of them would undo, and a VerticalPodAutoscaler not.
    let one = scene.plan(&["deploy/web", "--replicas", "1"]).code(1).stdout;
    assert!(one.contains("HorizontalPodAutoscaler web sets the replicas"), "{one}");
    let one = scene.plans(&["sts/db", "--replicas", "1"]);
    assert_eq!(one[0]["does"], "template");
    scene.diyadm(&["empty", "sts/db", "--replicas", "1", "--dry-run=server"]).code(0);
    scene.diyadm(&["empty", "deploy/worker", "--replicas", "1", "--dry-run=server"]).code(1);

    // One that is held misleads nobody.
    scene.diyadm(&["empty", "sts/db", "--hold-autoscalers", "--wait=false"]).code(0);
    let held = &scene.plans(&["sts/db"])[0];
    assert_eq!(held["does"], "already", "{held}");
    assert!(ids(held).contains(&"vertical-autoscaler ok".to_owned()), "{held}");
    assert_eq!(held["changes"], json!([]));
    scene.plan(&["deploy/none"]).code(1).stderr_has("There is no deployment none");
}

/// The fields of a plan and of the patch that `empty` then sends are the same.
#[test]
fn plan_lists_the_fields_that_empty_changes() {
    let cluster = require!(cluster());
    let name = cluster.name("plan-done");
    let scene = Scene::new(&cluster, name);
    for flags in [
        &["deploy/web"][..],
        &["sts/db", "--replicas", "1"],
        &["cj/nightly", "--idle", "shell"],
        &["ds/probe", "--image", "keep", "--idle", "agent"],
        &["deploy/shop", "--image", "tools:1", "--containers", "*"],
        &["deploy/quiet"],
    ] {
        let plan = scene.plans(flags).remove(0);
        let run = scene.diyadm(&[&["empty"], flags, &["--wait=false", "-o", "patch"]].concat());
        let patch: Vec<Value> = serde_json::from_str(&run.code(0).stdout).unwrap();
        let planned: Vec<_> = plan["changes"].as_array().unwrap().iter().collect();
        // `apply` has left annotations, so no operation is about all of them.
        assert_eq!(planned.len(), patch.len(), "{flags:?} {planned:?} {patch:?}");
        for (planned, sent) in planned.iter().zip(&patch) {
            assert_eq!(planned["path"], sent["path"], "{flags:?}");
            let is_original = sent["path"].as_str().unwrap().ends_with("~1original");
            assert!(is_original || planned.get("after") == sent.get("value"), "{flags:?} {sent}");
        }
        assert_eq!(scene.plans(&flags[..1])[0]["does"], "already", "{flags:?}");
    }
}

/// A user who may only read gets a plan, and a list of what could not be read.
#[test]
fn plan_needs_read_rights_only() {
    let cluster = require!(cluster());
    let name = cluster.name("plan-reads");
    let scene = Scene::new(&cluster, name);
    let account = format!("--serviceaccount={name}:default");
    let role = ["-n", name, "create", "rolebinding", "view", "--clusterrole=view", &account];
    cluster.kubectl(&role, "");
    let token = cluster.kubectl(&["-n", name, "create", "token", "default"], "");
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    let mut config: Value = serde_json::from_str(&cluster.kubectl(&view, "")).unwrap();
    config["users"][0]["user"] = json!({ "token": token.trim() });
    fs::write(scene.folder.path().join("reader"), config.to_string()).unwrap();
    let reader = |args: &[&str]| {
        let more = ["-n", name, "--kubeconfig", "reader"];
        diyadm(scene.folder.path(), &[args, &more].concat())
    };
    let run = reader(&["plan", "-o", "json"]).code(0);
    let plans: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let web = of(&plans, "Deployment", "web");
    // Who may not change it would empty nothing.
    assert_eq!(web["does"], "nothing");
    for seen in ["autoscaler warning", "budget warning", "around unknown"] {
        assert!(ids(web).contains(&seen.to_owned()), "{web}");
    }
    let text = reader(&["plan", "deploy/web", "--level", "pod"]).code(1).stdout;
    assert!(text.contains("you may not create pods/eviction"), "{text}");
    assert!(text.contains("rights --for developer"), "{text}");
    reader(&["empty", "deploy/web", "--wait=false"]).code(3).stderr_has("patch");
    let status = reader(&["status"]).code(0).stderr;
    assert!(
        !status.contains("olicies") && status.matches("not be listed").count() <= 1,
        "{status}"
    );
    let unseen = "Webhooks and policies may not be read, so whether one would empty";
    reader(&["status", "-o", "wide"]).code(0).stderr_has(unseen);
    reader(&["rules", "explain", "deploy/web", "--webhook", "other/x"]).code(3).stderr_has("other");
}

#[test]
fn rules_explain_reads_the_rules_of_a_webhook() {
    let cluster = require!(cluster());
    let name = cluster.name("plan-rules");
    let scene = Scene::new(&cluster, name);
    let hook = format!("{name}/emptier");
    let explain =
        |args: &[&str]| scene.diyadm(&[&["rules", "explain", "--webhook", &hook], args].concat());
    let run = explain(&["deploy/web"]).code(0).stderr_has("diyadm's defaults");
    assert!(
        run.stdout.contains("image       empty-container:latest     default"),
        "{}",
        run.stdout
    );

    let rules =
        "rules:\n- match: {kinds: [sts]}\n  empty: false\n- match: {names: [w*]}\n  image: keep\n";
    fs::write(scene.folder.path().join("rules.yaml"), rules).unwrap();
    let flags = ["--rules", "rules.yaml", "--image", "tools:1", "--idle", "agent"];
    let names = ["render", "--service", "emptier", "-n", name, "-o", "json", "--ca"];
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden/ca.crt");
    let render = diyadm(scene.folder.path(), &[&names[..], &[certificate], &flags].concat());
    let objects =
        diyadm::yaml::objects(diyadm::yaml::parse_documents("-", &render.code(0).stdout).unwrap());
    for object in objects.into_iter().map(|document| document.value) {
        // The webhook itself would stand in the way of others.
        if object["kind"] == "ConfigMap" || object["kind"] == "Deployment" {
            cluster.kubectl(&["apply", "-f", "-"], &object.to_string());
        }
    }
    let text = explain(&["deploy/web", "sts/db", "deploy/shop"]).code(0).stdout;
    let expected = format!(
        "deployment/web in namespace {name}
  rule 1 is for other kinds
  rule 2 matches
  empty       true                       default
  containers  the main container         default
  image       keep                       rule 2
  idle        agent                      flag
  level       workload                   default
  replicas    as they are                default
  ready       container                  default
  standIn     false                      default

statefulset/db in namespace {name}
  rule 1 matches
  empty       false                      rule 1
  containers  the main container         default
  image       tools:1                    flag
  idle        agent                      flag
  level       workload                   default
  replicas    as they are                default
  ready       container                  default
  standIn     false                      default

deployment/shop in namespace {name}
  rule 1 is for other kinds
  rule 2 is for other names
  no rule matches
  empty       true                       default
  containers  the main container         default
  image       tools:1                    flag
  idle        agent                      flag
  level       workload                   default
  replicas    as they are                default
  ready       container                  default
  standIn     false                      default
"
    );
    assert_eq!(text, expected);
    // The flags here count instead.
    let own = scene.diyadm(&["rules", "explain", "deploy/web", "--image", "mine:1"]).code(0).stdout;
    assert!(own.contains("mine:1                     flag"), "{own}");
    let broken = r#"{"data":{"rules.yaml":"rules: ["}}"#;
    let map = ["-n", name, "patch", "configmap/emptier-rules", "--type=merge", "-p", broken];
    cluster.kubectl(&map, "");
    explain(&["deploy/web"]).code(0).stderr_has("its rules.yaml is invalid");
}

/// Level pod with a policy: planned, emptied, in the status table, and restored.
#[test]
fn commands_know_pods_emptied_by_a_policy() {
    let cluster = require!(cluster_with_policies());
    let name = cluster.name("plan-policy");
    let scene = Scene::new(&cluster, name);
    let pods = ["--level", "pod"];
    let nobody = scene.plan(&[&["deploy/web"], &pods[..]].concat()).code(1).stdout;
    assert!(nobody.contains("this namespace has none"), "{nobody}");
    let empty = |args: &[&str]| scene.diyadm(&[&["empty", "deploy/web"], &pods[..], args].concat());
    empty(&[]).code(1).stderr_has("a webhook or policy empties Pods");

    let label = format!("{name}=enabled");
    let install = ["install", "--mode", "policy", "--service", name, "--label", &label];
    scene.diyadm(&install).code(0);
    let plan = scene.plan(&[&["deploy/web", "deploy/shop"], &pods[..]].concat()).code(0).stdout;
    let said = format!("its Pods would be replaced; policy {name} empties them");
    assert!(!plan.contains("is ignored"), "{plan}");
    assert_eq!(plan.matches(&said).count(), 2, "{plan}");
    assert!(plan.contains("Flux (kustomize-controller, shop) sees no drift"), "{plan}");
    scene
        .diyadm(&["rules", "explain", "deploy/web", "--webhook", &format!("{name}/{name}")])
        .code(0)
        .stderr_has("has its rules in CEL");

    // Its Pods were there before; the controller makes new ones, and nobody runs them here.
    let list = || -> Vec<Value> {
        let args = ["-n", name, "get", "pods", "-l", "app=web", "-o", "json"];
        let list: Value = serde_json::from_str(&cluster.kubectl(&args, "")).unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let emptied = |pod: &&Value| pod["metadata"]["annotations"].get(EMPTIED_BY).is_some();
    wait_until("the Pods are there", || list().len() == 2);
    assert_eq!(list().iter().filter(emptied).count(), 0);
    std::thread::scope(|scope| {
        let done = scope.spawn(|| empty(&["--timeout", TIMEOUT]));
        // In the kubelet's place.
        let ready = r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#;
        while !done.is_finished() {
            for pod in list() {
                let pod = pod["metadata"]["name"].as_str().unwrap();
                cluster.try_kubectl(
                    &["-n", name, "patch", "pod", pod, "--subresource=status", "-p", ready],
                    "",
                );
            }
        }
        done.join().unwrap().code(0).stderr_has("2 Pods were replaced and are empty");
    });
    assert_eq!(list().iter().filter(emptied).count(), 2);
    let deployment = cluster.get(name, "deploy/web");
    assert!(deployment["metadata"]["annotations"].get(ORIGINAL).is_none());
    let board = scene.diyadm(&["status", "deploy/web", "-o", "json"]).code(0).stdout;
    let board: Value = serde_json::from_str(&board).unwrap();
    assert_eq!((&board[0]["level"], &board[0]["by"]), (&json!("pod"), &json!("policy")), "{board}");

    // What is written on the workload reaches none of its Pods.
    let image = "diyadm.io/image=tools:1";
    cluster.kubectl(&["-n", name, "annotate", "deploy/web", image], "");
    let unheard = "its own annotation diyadm.io/image is ignored";
    let plan = scene.plan(&[&["deploy/web"], &pods[..]].concat()).code(0).stdout;
    assert!(plan.contains(unheard), "{plan}");
    empty(&[]).code(0).stderr_has(unheard).stderr_has("are already empty");

    let back = scene.diyadm(&["restore", "deploy/web", "--wait=false"]).code(0);
    back.stderr_has(&format!("policy {name} empties Pods"));
    let says_no = "/spec/template/metadata/annotations/inject-empty-container";
    assert_eq!(cluster.get(name, "deploy/web").pointer(says_no), Some(&json!("disabled")));
    wait_until("a Pod is as written", || !list().iter().all(|pod| emptied(&pod)));
    empty(&["--wait=false"]).code(0).stderr_has("is not opted out any more");
    assert_eq!(cluster.get(name, "deploy/web").pointer(says_no), None);

    // A policy leaves the Pod's shape as it is, and the commands say so.
    let shape = r#"{"env":{"A":"1"}}"#;
    let template = json!({ "metadata": { "annotations": { "diyadm.io/shape": shape } } });
    let patch = json!({ "spec": { "template": template } }).to_string();
    cluster.kubectl(&["-n", name, "patch", "deploy/web", "-p", &patch], "");
    let ignored = format!("policy {name} ignores the annotation diyadm.io/shape");
    let plan = scene.plan(&[&["deploy/web"], &pods[..]].concat()).code(0).stdout;
    assert!(plan.contains(&ignored), "{plan}");
    empty(&["--dry-run=server"]).code(0).stderr_has(&ignored);
    scene.diyadm(&["uninstall", "--service", name, "--label", &label]).code(0);
}
