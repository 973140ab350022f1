//! API servers that lack a feature, or drop a field.

use std::fs;

use serde_json::{Value, json};

use super::{
    kinds::Pair,
    proxy::{Fate, Proxy},
    rig::{Second, Workspace, cluster, minor_version},
    workloads::workload,
};

#[test]
fn refuses_an_api_server_older_than_the_oldest_supported() {
    let cluster = require!(cluster());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let name = cluster.name("too-old");
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    for (version, says) in [
        (r#"{"major":"1","minor":"25","gitVersion":"v1.25.16"}"#, "v1.25.16"),
        (r#"{"major":"1","minor":"15+","gitVersion":"v1.15.12-eks"}"#, "v1.15.12-eks"),
    ] {
        let judge = move |_: usize, request: &str| {
            if request == "GET /version" { Fate::Answer(version) } else { Fate::Pass }
        };
        for mode in ["webhook", "policy"] {
            let install = ["install", "--mode", mode, "-n", name, "--service", name];
            let (run, seen) = proxy.run(folder, &install, judge);
            let run = run.code(1).stderr_has(says).stderr_has("supports Kubernetes 1.26 to 1.36");
            run.stderr_has("`kubectl version`");
            assert_eq!(seen, ["GET /version"], "nothing else was asked or changed");
            let check = ["check", "--mode", mode, "-n", name, "--service", name];
            let (run, _) = proxy.run(folder, &check, judge);
            run.code(1).stderr_has(says).stderr_has("supports Kubernetes 1.26 to 1.36");
        }
    }
}

#[test]
fn records_an_unknown_user_where_no_self_subject_review_is_served() {
    let cluster = require!(cluster());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let name = cluster.name("no-review");
    let _namespace = cluster.namespace(name);
    cluster.create(name, &workload("Deployment", "web"));
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let empty = ["empty", "deploy/web", "-n", name, "--wait=false"];
    let (run, seen) = proxy.run(folder, &empty, |_, request| {
        let is_review = request.contains("/selfsubjectreviews");
        if is_review { Fate::Refuse(404, None) } else { Fate::Pass }
    });
    run.code(0);
    for version in ["v1", "v1beta1", "v1alpha1"] {
        let path = format!("/apis/authentication.k8s.io/{version}/selfsubjectreviews");
        assert_eq!(seen.iter().filter(|request| request.contains(&path)).count(), 1, "{version}");
    }
    let status = cluster.diyadm(folder, &["status", "-n", name, "-o", "json"]).code(0).stdout;
    let rows: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(rows[0]["by"], "unknown", "{rows}");
}

/// The advice of `empty --level pod` works on the API server that it is given for.
#[test]
fn names_why_an_api_server_has_no_policies() {
    let cluster = require!(cluster());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let beta = [
        "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
        "--feature-gates=MutatingAdmissionPolicy=true",
    ];
    let (flags, why): (&[&str], _) = match minor_version() {
        36.. => (&["--emulated-version=1.35"], "emulates Kubernetes 1.35"),
        34..36 => (&beta, "as v1beta1 only"),
        _ => (&[], "Kubernetes 1.36 has it"),
    };
    let second = if flags.is_empty() { None } else { Second::start(&cluster, folder, flags) };
    let cluster = second.as_ref().map_or(&cluster, |second| &second.cluster);
    let name = cluster.name("why-no-policies");
    cluster.kubectl(&["create", "namespace", name], "");
    let run = |args: &[&str]| cluster.diyadm(folder, &[args, &["-n", name]].concat());
    for command in ["check", "install"] {
        run(&[command, "--mode", "policy"]).code(1).stderr_has(why);
    }
    cluster.create(name, &workload("Deployment", "web"));
    let refused = run(&["empty", "deploy/web", "--level", "pod"]).code(1);
    let refused = refused.stderr_has("`diyadm install --level pod");
    assert!(!refused.stderr.contains("--mode policy"), "{}", refused.stderr);
    let plan = run(&["plan", "deploy/web", "--level", "pod"]).code(1).stdout;
    assert!(plan.contains("install --level pod") && !plan.contains("--mode policy"), "{plan}");
    cluster.kubectl(&["delete", "namespace", name, "--wait=false"], "");
}

#[test]
fn verify_proves_the_mode_that_was_asked_for() {
    let pair = require!(Pair::hooked("verify-mode"));
    let label = format!("{}=enabled", pair.name);
    let verify = |mode: &str| {
        let names = ["--service", pair.name, "--label", &label, "--dry-run=server"];
        pair.run(&[&["verify", "--mode", mode], &names[..]].concat())
    };
    verify("webhook").code(0);
    let by_hook = verify("policy").code(1);
    let why = if minor_version() >= 36 { "by a webhook, not by the policy" } else { "1.36 has it" };
    by_hook.stderr_has(why);
}

/// A field that the API server does not know is dropped with a warning, which kubectl prints.
#[test]
fn prints_warnings_and_names_dropped_fields() {
    let cluster = require!(Workspace::new("dropped"));
    let (name, folder) = (cluster.name, cluster.folder());
    let mut web = workload("Deployment", "web");
    web["metadata"]["namespace"] = name.into();
    cluster.kubectl(&["create", "-f", "-"], &web.to_string());
    let run = |args: &[&str]| cluster.run(args);
    run(&["empty", "deploy/web", "--wait=false"]).code(0);
    let container = &mut web["spec"]["template"]["spec"]["containers"][0];
    container["readinessProbe"] = json!({ "tcpSocket": { "port": 80 }, "ofTomorrow": { "a": 1 } });
    fs::write(folder.join("web.json"), web.to_string()).unwrap();
    let field = "spec.template.spec.containers[0].readinessProbe.ofTomorrow";
    // The oracle, and how often it says so for one write.
    let patch = json!({ "spec": web["spec"] }).to_string();
    let patch =
        ["-n", name, "patch", "deploy/web", "--type=merge", "--dry-run=server", "-p", &patch];
    let kubectl = cluster.try_kubectl(&patch, "").code(0).stderr_has(field);
    let said: Vec<_> = kubectl.stderr.lines().filter_map(|l| l.strip_prefix("Warning: ")).collect();
    let restored = run(&["restore", "deploy/web", "--force-from", "web.json", "--wait=false"]);
    let restored = restored.code(0).stderr_has("dropped").stderr_has(field);
    for warning in &said {
        let warning = format!("warning: {warning}");
        assert_eq!(restored.stderr.matches(&warning).count(), 1, "{}", restored.stderr);
    }
    assert!(!said.is_empty());
}
