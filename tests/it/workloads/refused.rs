//! Refusals, and their reasons.

use std::fs;

use diyadm::workload::{LABEL, ORIGINAL, autoscaler};
use serde_json::{Value, json};

use super::{pod_of, result, stored, workload};
use crate::{rig::Workspace, status::Watch};

#[test]
fn empty_refusals_have_a_reason_and_a_hint() {
    let cluster = require!(Workspace::new("refused"));
    let (name, folder) = (cluster.name, cluster.folder());
    let run = |args: &[&str]| cluster.run(args);
    let create = |object: &Value| {
        cluster.create(name, object);
    };
    create(&workload("Deployment", "web"));
    let no = format!("{LABEL}=disabled");

    // A label stays where it is; an annotation goes where the workload is meant by its name.
    cluster.kubectl(&["-n", name, "label", "deploy/web", &no], "");
    run(&["empty", "deploy/web"]).code(1).stderr_has("label deployment/web inject-empty-");
    cluster.kubectl(&["-n", name, "label", "deploy/web", &format!("{LABEL}-")], "");
    cluster.kubectl(&["-n", name, "annotate", "deploy/web", &no], "");
    run(&["empty", "--all"]).code(0).stderr_has("Name it to empty it");
    let before = stored(&cluster, name, "deployment/web");
    run(&["empty", "deploy/web", "--wait=false"]).code(0).stderr_has("was removed");
    run(&["restore", "deploy/web", "--wait=false"]).code(0);
    assert_eq!(stored(&cluster, name, "deployment/web"), before, "whose wish it was comes back");
    let mut says_no = workload("Deployment", "template-says-no");
    says_no["spec"]["template"]["metadata"]["labels"][LABEL] = "disabled".into();
    create(&says_no);
    run(&["empty", "deploy/template-says-no"]).code(1).stderr_has("opts it out");

    // What another one owns.
    let mut owner = workload("Deployment", "owner");
    owner["spec"]["replicas"] = 1.into();
    create(&owner);
    let sets = ["-n", name, "get", "rs", "-l", "app=owner", "-o", "name"];
    let mut set = String::new();
    crate::rig::wait_until("the ReplicaSet is there", || {
        set = cluster.kubectl(&sets, "").trim().to_owned();
        !set.is_empty()
    });
    let set = set.replace("replicaset.apps/", "rs/");
    run(&["empty", &set]).code(1).stderr_has("belongs to deployment/owner");
    run(&["restore", &set]).code(1).stderr_has("belongs to deployment/owner");

    // Rules, and wishes that do not go together.
    let rules = folder.join("rules.yaml");
    fs::write(&rules, "rules: [{match: {names: [\"w*\"]}, empty: false}]\n").unwrap();
    run(&["empty", "deploy/web", "--rules", "rules.yaml"]).code(1).stderr_has("rule 1 of --rules");
    run(&["empty", "deploy/web", "--image", "keep", "--idle", "entrypoint"])
        .code(1)
        .stderr_has("runs the application itself");
    run(&["empty", "deploy/web", "--containers", "nobody"])
        .code(1)
        .stderr_has("--containers names no container");
    run(&["empty", "deploy/web", "--level", "pod", "--image", "x"]).code(2);
    run(&["empty", "deploy/web", "--rollback", "--wait=false"])
        .code(2)
        .stderr_has("does not wait for that");
    run(&["empty", "deploy/web", "--level", "pod"]).code(1).stderr_has("install --level pod");

    // What has no number of replicas.
    for kind in ["DaemonSet", "CronJob"] {
        create(&workload(kind, "none"));
        let what = format!("{}/none", kind.to_lowercase());
        let before = stored(&cluster, name, &what);
        let replicas = ["--replicas", "1", "--wait=false"];
        let told = run(&[&["empty", &what][..], &replicas].concat()).code(1);
        told.stderr_has(&format!("a {kind} has no replicas field"));
        let chosen = [&["empty", &what[..what.len() - 5], "--all"][..], &replicas].concat();
        run(&chosen).code(0).stderr_has(&format!("a {kind} has no replicas field"));
        assert_eq!(stored(&cluster, name, &what), before);
    }

    // What is not there.
    run(&["empty", "deploy/nobody"]).code(1).stderr_has("There is: owner, template-says-no, web.");
    run(&["empty", "sts/web"]).code(1).stderr_has("There is deployment/web");
    run(&["empty", "svc/web"]).code(2).stderr_has("deployment, statefulset");
    run(&["empty"]).code(2).stderr_has("--all");
    run(&["empty", "deploy/web", "--all"]).code(2);
    let elsewhere = ["empty", "deploy/web", "-n", "no-such-namespace"];
    cluster.diyadm(folder, &elsewhere).code(1).stderr_has("no namespace no-such-namespace");
    for command in ["status", "empty --all", "restore --all", "plan --all"] {
        let words: Vec<_> = command.split(' ').chain(["-n", "no-such-namespace"]).collect();
        let run = cluster.diyadm(folder, &words).code(1);
        run.stderr_has("no namespace no-such-namespace").stderr_has("kubectl get namespaces");
    }
    run(&["empty", "-l", "app=nobody"]).code(0).stderr_has("nothing was emptied");
}

#[test]
fn autoscaler_is_reported_suspended_and_resumed() {
    let cluster = require!(Workspace::new("scaled"));
    let name = cluster.name;
    let run = |args: &[&str]| cluster.run(args);
    cluster.create(name, &workload("Deployment", "web"));
    for behavior in [json!(null), json!({ "scaleDown": { "selectPolicy": "Min" } })] {
        let mut scaler = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": { "name": "web" },
            "spec": {
                "minReplicas": 2, "maxReplicas": 5,
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            },
        });
        if !behavior.is_null() {
            scaler["spec"]["behavior"] = behavior;
        }
        cluster.create(name, &scaler);
        let spec = |object: &Value| object["spec"].clone();
        let before = cluster.get(name, "hpa/web");
        run(&["empty", "deploy/web", "--replicas", "1"])
            .code(1)
            .stderr_has("HorizontalPodAutoscaler");
        run(&["empty", "deploy/web", "--wait=false"]).code(0).stderr_has("--hold-autoscalers");
        assert_eq!(spec(&cluster.get(name, "hpa/web")), spec(&before));
        run(&["empty", "deploy/web", "--hold-autoscalers", "--dry-run=server"]).code(0);
        assert_eq!(spec(&cluster.get(name, "hpa/web")), spec(&before));
        let hold = ["empty", "deploy/web", "--hold-autoscalers", "--wait=false"];
        run(&hold).code(0).stderr_has("horizontalpodautoscaler/web suspended");
        let held = spec(&cluster.get(name, "hpa/web"));
        assert_eq!(held["behavior"]["scaleUp"]["selectPolicy"], "Disabled");
        assert_eq!(held["behavior"]["scaleDown"]["selectPolicy"], "Disabled");
        run(&["restore", "deploy/web", "--wait=false"]).code(0).stderr_has("resumed");
        let after = cluster.get(name, "hpa/web");
        assert_eq!(spec(&after), spec(&before));
        assert_eq!(after["metadata"].get("annotations"), before["metadata"].get("annotations"));
        cluster.kubectl(&["-n", name, "delete", "hpa/web"], "");
    }
}

/// One that stays empty is still held: its autoscaler goes with it.
#[test]
fn autoscaler_stays_suspended_while_its_workload_stays_empty() {
    let cluster = require!(Workspace::new("scaled-still"));
    let (name, folder) = (cluster.name, cluster.folder());
    let run = |args: &[&str]| cluster.run(args);
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" });
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": "web" },
        "spec": { "minReplicas": 2, "maxReplicas": 5, "scaleTargetRef": target },
    });
    for object in [workload("Deployment", "web"), scaler] {
        cluster.create(name, &object);
    }
    run(&["empty", "deploy/web", "--wait=false", "--hold-autoscalers"]).code(0);
    let held = || autoscaler::is_held(&cluster.get(name, "hpa/web"));
    assert!(held());
    let object = cluster.get(name, "deploy/web");
    let original = object["metadata"]["annotations"][ORIGINAL].as_str().unwrap().to_owned();
    let annotate = |text: &str| {
        let annotation = format!("{ORIGINAL}={text}");
        cluster.kubectl(&["-n", name, "annotate", "--overwrite", "deploy/web", &annotation], "");
    };
    annotate("{}");
    run(&["restore", "deploy/web", "--wait=false"]).code(1).stderr_has("is not trusted");
    assert!(held());
    annotate(&original);
    assert!(!run(&["status"]).code(0).stdout.contains("horizontal"));

    // The workload was restored by other means, so its autoscaler is suspended for nothing, and
    // `status` says so.
    let watch = Watch::start(folder, cluster.kubeconfig(), &["-n", name]);
    assert_eq!(watch.next(), "Deployment/web: empty");
    cluster
        .kubectl(&["-n", name, "replace", "-f", "-"], &workload("Deployment", "web").to_string());
    assert_eq!(watch.next(), "Deployment/web: restored");
    assert_eq!(watch.next(), "HorizontalPodAutoscaler/web: held");
    let board = result(&run(&["status", "-o", "json"]).code(0));
    let row = (&board[0]["kind"], &board[0]["state"]);
    assert_eq!(row, (&json!("HorizontalPodAutoscaler"), &json!("held")), "{board}");
    let note = format!("deployment/web is not empty: `diyadm restore deployment/web -n {name}");
    assert!(board[0]["note"].as_str().unwrap().starts_with(&note), "{board}");
    run(&["restore", "deploy/web", "--wait=false"]).code(0).stderr_has("resumed");
    assert!(!held());
    assert_eq!(watch.next(), "HorizontalPodAutoscaler/web: restored");
}

/// A cut, edited or foreign original is never applied; the user's own manifest is, and only as
/// far as emptying goes.
#[test]
fn untrusted_original_is_replaced_from_the_users_manifest() {
    let cluster = require!(Workspace::new("untrusted"));
    let (name, folder) = (cluster.name, cluster.folder());
    let run = |args: &[&str]| cluster.run(args);
    let manifest = workload("Deployment", "web");
    fs::write(folder.join("web.json"), manifest.to_string()).unwrap();
    let mut other = manifest.clone();
    other["metadata"]["name"] = "other".into();
    fs::write(folder.join("other.json"), other.to_string()).unwrap();
    cluster.create(name, &manifest);
    let before = stored(&cluster, name, "deployment/web");
    let whole = "{\"v\":1,\"sum\":\"0000000000000000\",\"body\":{}}";
    for (forged, why) in [
        ("{}", "truncated, or was not written by diyadm"),
        (whole, "checksum"),
        ("{\"v\"", "truncated"),
    ] {
        run(&["empty", "deploy/web", "--idle", "agent", "--wait=false"]).code(0);
        let annotation = format!("{ORIGINAL}={forged}");
        cluster.kubectl(&["-n", name, "annotate", "--overwrite", "deploy/web", &annotation], "");
        let emptied = stored(&cluster, name, "deployment/web");
        run(&["restore", "deploy/web"]).code(1).stderr_has(why).stderr_has("--force-from");
        run(&["restore", "--all"]).code(1).stderr_has(why);
        let again = run(&["empty", "deploy/web", "--wait=false"]).code(1).stderr_has(why);
        again.stderr_has("deployment/web stays as it is").stderr_has("--force-from");
        assert_eq!(stored(&cluster, name, "deployment/web"), emptied);
        let board = run(&["status", "-o", "wide"]).code(0).stdout;
        assert!(board.contains("untrusted") && board.contains(why), "{board}");
        run(&["restore", "deploy/web", "--force-from", "other.json"]).code(2);
        run(&["restore", "deploy/web", "--force-from", "web.json", "--wait=false"]).code(0);
        assert_eq!(stored(&cluster, name, "deployment/web"), before);
    }
    // Of what the manifest is silent, an original that is trusted tells; of one that is not,
    // nobody can.
    let mut silent = manifest.clone();
    silent["spec"].as_object_mut().unwrap().remove("replicas");
    silent["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().pop();
    fs::write(folder.join("silent.json"), silent.to_string()).unwrap();
    let everything = ["empty", "deploy/web", "--containers", "*", "--replicas", "1"];
    run(&[&everything[..], &["--wait=false"]].concat()).code(0);
    let silent = ["restore", "deploy/web", "--force-from", "silent.json", "--wait=false"];
    let told = run(&silent).code(0).stderr;
    assert!(!told.contains("container side"), "{told}");
    assert_eq!(stored(&cluster, name, "deployment/web"), before);
    run(&["empty", "deploy/web", "--wait=false"]).code(0);
    let annotation = format!("{ORIGINAL}=x");
    cluster.kubectl(&["-n", name, "annotate", "--overwrite", "deploy/web", &annotation], "");
    run(&silent).code(0).stderr_has("does not have container side of deployment/web");
    assert_eq!(stored(&cluster, name, "deployment/web"), before);

    // What emptying never touches is not taken from the manifest.
    run(&["empty", "deploy/web", "--wait=false"]).code(0);
    let annotation = format!("{ORIGINAL}=x");
    cluster.kubectl(&["-n", name, "annotate", "--overwrite", "deploy/web", &annotation], "");
    let mut edited = manifest;
    edited["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{ "name": "EVIL" }]);
    edited["spec"]["template"]["spec"]["hostNetwork"] = true.into();
    fs::write(folder.join("web.json"), edited.to_string()).unwrap();
    run(&["restore", "deploy/web", "--force-from", "web.json", "--wait=false"]).code(0);
    let after = stored(&cluster, name, "deployment/web");
    assert_eq!(pod_of(&after), pod_of(&before));
}
