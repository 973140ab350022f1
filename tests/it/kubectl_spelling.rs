//! kubectl's spellings of commands, flags and workloads.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

use diyadm::workload;
use diyadm_agent::protocol::PROTOCOL;
use serde_json::{Value, json};

use super::rig::{Cluster, Run, Workspace, cluster, diyadm, diyadm_reads, program};

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a}]}\n";

#[test]
fn global_flags_may_precede_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let namespace = |args: &[&str]| {
        let run = diyadm_reads(folder.path(), args, POD).code(0).stdout;
        let plan: Value = serde_json::from_str(&run).unwrap();
        plan[0]["namespace"].as_str().unwrap().to_owned()
    };
    let plan = ["plan", "-f", "-", "-o", "json"];
    assert_eq!(namespace(&[&["-n", "shop"], &plan[..]].concat()), "shop");
    assert_eq!(namespace(&[&["--namespace=shop"], &plan[..]].concat()), "shop");
    assert_eq!(namespace(&[&plan[..], &["-n", "shop"]].concat()), "shop");
    // Where the command has a default of its own.
    let init = ["init", "--out", "certs", "--key", "p256"];
    diyadm(folder.path(), &[&["-n", "shop"], &init[..]].concat()).code(0);
    let text = diyadm(folder.path(), &["init", "--inspect", "certs"]).code(0).stdout;
    assert!(text.contains("DNS:diyadmissionwebhook.shop.svc,"), "{text}");
}

#[test]
fn version_needs_no_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| diyadm(folder.path(), &[&["version"], args].concat()).code(0).stdout;
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    let text = format!("Client Version: {version}\nAgent Protocol: {PROTOCOL}\n");
    assert_eq!(run(&["--client"]), text);
    let json: Value = serde_json::from_str(&run(&["--client", "-o", "json"])).unwrap();
    assert_eq!(json["clientVersion"]["gitVersion"], version);
    assert_eq!(json["clientVersion"]["agentProtocol"], PROTOCOL);
    assert!(run(&["--client", "--output=yaml"]).contains(&format!("gitVersion: {version}\n")));
    // Without --client what cannot be asked is named, and the rest is printed.
    let both = diyadm(folder.path(), &["version"]).code(0);
    assert_eq!(both.stdout, text);
    both.stderr_has("warning: The cluster's version is unknown: ");
}

#[test]
fn completion_variable_stops_no_command() {
    let folder = tempfile::tempdir().unwrap();
    for value in ["1", "bash", "", "0", "zsh", "no-such-shell"] {
        let mut version = program(folder.path());
        let run = Run::of(version.arg("version").env("DIYADM_COMPLETE", value), "").code(0);
        assert!(run.stdout.starts_with("Client Version: "), "{value}: {}", run.stdout);
        let mut wrong = program(folder.path());
        Run::of(wrong.arg("no-such-command").env("DIYADM_COMPLETE", value), "").code(2);
    }
}

#[test]
fn missing_double_dash_is_suggested() {
    let folder = tempfile::tempdir().unwrap();
    for (args, typed) in [
        (
            &["run", "deploy/x", "java", "-jar", "a b.jar"][..],
            "run deploy/x -- java -jar 'a b.jar'",
        ),
        (&["exec", "-it", "deploy", "x", "ls"], "exec -it deploy/x -- ls"),
        (&["shell", "po/x", "date"], "shell po/x -- date"),
    ] {
        let run = diyadm(folder.path(), args).code(2);
        run.stderr_has("hint: ").stderr_has(&format!("`diyadm {typed}`"));
    }
}

#[test]
fn dry_run_without_value_means_client() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = include_str!("../data/apiserver/kubeadm.yaml");
    let fix = |dry_run| {
        let args = ["check", "--manifest", "-", "--fix", dry_run];
        diyadm_reads(folder.path(), &args, manifest).code(0)
    };
    let (bare, said) = (fix("--dry-run"), fix("--dry-run=client"));
    assert_eq!(bare.stdout, said.stdout);
    assert!(!said.stderr.contains("deprecated"), "{}", said.stderr);
    bare.stderr_has("warning: --dry-run is deprecated and can be replaced with --dry-run=client");
    diyadm(folder.path(), &["verify", "--dry-run"]).code(2).stderr_has("--dry-run=server");
}

fn deployment(name: &str, namespace: Option<&str>) -> Value {
    let labels = json!({ "app": name });
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
        "spec": {
            "replicas": 0, "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
            },
        },
    });
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": { "selector": { "app": name }, "ports": [{ "port": 80, "targetPort": 8080 }] },
    })
}

fn list(items: &[Value]) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

fn emptied(cluster: &Cluster, namespace: &str, name: &str) -> bool {
    let object = cluster.get(namespace, &format!("deployment/{name}"));
    workload::is_emptied(&object.to_string())
}

#[test]
fn workloads_are_selected_by_manifests() {
    let cluster = require!(cluster());
    let (one, two) = (cluster.name("files-one"), cluster.name("files-two"));
    let (_one, _two) = (cluster.namespace(one), cluster.namespace(two));
    let here = list(&[service("web"), deployment("web", None)]);
    let both = list(&[deployment("web", Some(one)), deployment("db", Some(two))]);
    cluster.kubectl(&["-n", one, "create", "-f", "-"], &here);
    cluster.kubectl(&["create", "-f", "-"], &list(&[deployment("db", Some(two))]));
    cluster.kubectl(&["create", "-f", "-"], &list(&[deployment("other", Some(one))]));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("both.json"), &both).unwrap();
    let reads =
        |args: &[&str], text: &str| Run::of(cluster.program(folder.path()).args(args), text);

    reads(&["empty", "-f", "-", "-n", one], &here).code(0).stderr_has("deployment/web");
    assert!(emptied(&cluster, one, "web") && !emptied(&cluster, one, "other"));
    reads(&["restore", "-n", one, "-f", "-"], &here).code(0);
    assert!(!emptied(&cluster, one, "web"));
    // Each in the namespace of its manifest, as for kubectl.
    reads(&["empty", "-f", "both.json"], "").code(0);
    assert!(emptied(&cluster, one, "web") && emptied(&cluster, two, "db"));
    reads(&["-n", one, "restore", "-f", "both.json"], "").code(2).stderr_has(two);
    assert!(emptied(&cluster, one, "web"), "nothing is done before the files are understood");
    reads(&["restore", "--filename=both.json"], "").code(0);
    assert!(!emptied(&cluster, one, "web") && !emptied(&cluster, two, "db"));

    let absent = list(&[deployment("none", None)]);
    reads(&["empty", "-n", one, "-f", "-"], &absent).code(1).stderr_has("no deployment none");
    reads(&["empty", "-n", one, "-f", "-"], &list(&[service("web")]))
        .code(2)
        .stderr_has("These files contain no workload");
    reads(&["empty", "-f", "both.json", "deploy/web"], "").code(2);
}

#[test]
fn workloads_and_namespaces_are_spelled_as_in_kubectl() {
    let cluster = require!(Workspace::new("spelled"));
    let (name, folder) = (cluster.name, cluster.folder());
    let mut alone = service("alone");
    alone["spec"].as_object_mut().unwrap().remove("selector");
    let objects = list(&[service("web"), alone, deployment("web", None)]);
    cluster.kubectl(&["-n", name, "create", "-f", "-"], &objects);
    let run = |args: &[&str]| cluster.diyadm(folder, args);
    run(&["-n", name, "empty", "deploy/web"]).code(0);
    let status = run(&["-n", name, "status", "-o", "name"]).code(0).stdout;
    assert_eq!(status, "deployment.apps/web\n");

    // Without Pods each says so, of the same workload.
    for args in [
        &["shell", "deploy/web"][..],
        &["shell", "deploy", "web"],
        &["exec", "-it", "deploy/web", "--", "date"],
        &["ps", "deployments", "web"],
        &["forward", "svc/web", "80"],
        &["port-forward", "service", "web", ":80"],
        &["exec", "svc/web", "--", "date"],
    ] {
        let run = run(&[&["-n", name], args].concat()).code(1);
        let stderr = &run.stderr;
        assert!(stderr.contains(" has no Pods."), "{args:?}: {stderr}");
    }
    let forward = |args: &[&str]| run(&[&["forward", "-n", name], args].concat());
    forward(&["svc/web", "8080"]).code(2).stderr_has("has no port 8080").stderr_has("It has 80.");
    forward(&["svc/none", "80"]).code(1).stderr_has("no service none");
    forward(&["svc/alone", "80"]).code(2).stderr_has("has no selector");

    // kubectl's own way to its plugins.
    let plugins = folder.join("plugins");
    fs::create_dir(&plugins).unwrap();
    symlink(env!("CARGO_BIN_EXE_diyadm"), plugins.join("kubectl-diyadm")).unwrap();
    let mut kubectl = Command::new(cluster.kubectl_command(&[]).get_program());
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [plugins].into_iter().chain(env::split_paths(&path));
    kubectl.env("PATH", env::join_paths(folders).unwrap()).env("KUBECONFIG", cluster.kubeconfig());
    kubectl.args(["diyadm", "-n", name, "status", "-o", "name"]);
    assert_eq!(Run::of(&mut kubectl, "").code(0).stdout, status);
    // The API server's own version, beside this program's.
    let json = run(&["version", "-o", "json"]).code(0).stdout;
    let versions: Value = serde_json::from_str(&json).unwrap();
    assert!(versions["serverVersion"]["gitVersion"].as_str().unwrap().starts_with("v1."));
}

#[test]
fn plugin_shows_commands_as_they_are_typed_with_kubectl() {
    let folder = tempfile::tempdir().unwrap();
    let kubectl =
        require!(env::var_os("DIYADM_TEST_KUBECTL"), "no kubectl: run `cargo xtask test`");
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    symlink(env!("CARGO_BIN_EXE_diyadm"), plugins.join("kubectl-diyadm")).unwrap();
    let complete = plugins.join("kubectl_complete-diyadm");
    fs::write(&complete, include_str!("../../xtask/data/kubectl_complete-diyadm")).unwrap();
    fs::set_permissions(&complete, fs::Permissions::from_mode(0o755)).unwrap();
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = [plugins].into_iter().chain(env::split_paths(&path)).collect();
    let run = |args: &[&str]| {
        let mut command = Command::new(&kubectl);
        command.args(args).env("PATH", env::join_paths(&folders).unwrap());
        Run::of(command.env("HOME", folder.path()).env_remove("KUBECONFIG"), "")
    };

    let help = run(&["diyadm", "empty", "--help"]).code(0).stdout;
    assert!(help.contains("Usage: kubectl diyadm empty "), "{help}");
    assert!(!help.contains("`diyadm ") && !help.contains("\n  diyadm "), "{help}");
    let wrong = run(&["diyadm", "run", "deploy/x", "java"]).code(2);
    wrong.stderr_has("hint: ").stderr_has("`kubectl diyadm run deploy/x -- java`");
    let usage = run(&["diyadm", "empty", "--no-such-flag"]).code(2);
    usage.stderr_has("Usage: kubectl diyadm empty ");
    assert!(!run(&["diyadm", "version", "--client"]).code(0).stdout.is_empty());

    // kubectl completes with the plugin's own words.
    let offered = run(&["__complete", "diyadm", "unin"]).code(0).stdout;
    assert!(offered.starts_with("uninstall\t") && offered.ends_with(":4\n"), "{offered}");
    let offered = run(&["__complete", "diyadm", "restore", "--force"]).code(0).stdout;
    assert!(offered.starts_with("--force-from\t"), "{offered}");
}

#[test]
fn check_reports_the_duration_of_each_step() {
    let cluster = require!(Workspace::new("timed"));
    let (name, folder) = (cluster.name, cluster.folder());
    let check = ["check", "-n", name, "--service", name, "-o"];
    let json = cluster.diyadm(folder, &[&check[..], &["json"]].concat()).code(1).stdout;
    let report: Value = serde_json::from_str(&json).unwrap();
    let micros = |id: &str| {
        let all = report["findings"].as_array().unwrap();
        all.iter().find(|one| one["id"] == id).unwrap()["micros"].as_u64().unwrap()
    };
    for id in ["version", "namespace", "secret", "configuration"] {
        assert_ne!(micros(id), 0, "{id}: {json}");
    }
    let junit = cluster.diyadm(folder, &[&check[..], &["junit"]].concat()).code(1).stdout;
    assert!(!junit.contains("name=\"version\" time=\"0.000000\""), "{junit}");
}

#[test]
fn verify_report_has_cases_of_each_workload() {
    let folder = tempfile::tempdir().unwrap();
    let both = list(&[deployment("a", None), deployment("b", None)]);
    let verify = ["verify", "--offline", "--key", "p256", "-f", "-", "-o", "junit"];
    let xml = diyadm_reads(folder.path(), &verify, &both).code(0).stdout;
    for id in ["empty", "restore"] {
        for workload in ["deployment/a", "deployment/b"] {
            let case = format!("name=\"{id} {workload} (-:1)\" time=\"0.");
            assert_eq!(xml.matches(&case).count(), 1, "{case}: {xml}");
        }
    }
    assert!(!xml.contains("time=\"0.000000\""), "{xml}");
}
