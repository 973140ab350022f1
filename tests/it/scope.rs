//! Which namespace the commands mean, held against kubectl on the real API server.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::rig::{Cluster, Run, cluster, program};

/// Plurals of the namespaced kinds that the commands read.
const NAMESPACED: [&str; 9] = [
    "deployments",
    "statefulsets",
    "daemonsets",
    "replicasets",
    "jobs",
    "cronjobs",
    "pods",
    "events",
    "horizontalpodautoscalers",
];

/// A kubeconfig whose context has this namespace; `None` leaves the field out.
fn kubeconfig(cluster: &Cluster, folder: &Path, namespace: Option<&str>) -> String {
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    let mut config: Value = serde_json::from_str(&cluster.kubectl(&view, "")).unwrap();
    let context = config["contexts"][0]["context"].as_object_mut().unwrap();
    context.shift_remove("namespace");
    if let Some(namespace) = namespace {
        context.insert("namespace".to_owned(), json!(namespace));
    }
    let file = folder.join(format!("kubeconfig-{}", namespace.unwrap_or("none")));
    fs::write(&file, config.to_string()).unwrap();
    file.display().to_string()
}

/// The namespace that kubectl reads from with these flags.
fn kubectls(cluster: &Cluster, kubeconfig: &str, flags: &[&str]) -> String {
    let mut kubectl = cluster.kubectl_command(&["get", "pods", "-v=6", "--kubeconfig", kubeconfig]);
    let log = Run::of(kubectl.args(flags), "").code(0).stderr;
    let (_, path) = log.split_once("/api/v1/namespaces/").expect("a namespaced request");
    path.split('/').next().unwrap().to_owned()
}

/// The namespaces of the workloads that were looked for, in the paths of the requests that `-v` has
/// printed; an empty one stands for all. Where webhooks are that others have installed, their rules
/// are got by name.
fn requested(log: &str) -> Vec<&str> {
    let paths = log.lines().filter_map(|line| {
        let (verb, rest) = line.split_once(' ')?;
        let path = rest.split(' ').next()?;
        (verb == "LIST" || (verb == "GET" && path.ends_with("/none"))).then_some(path)
    });
    let namespaced = paths.filter(|path| path.split('/').any(|part| NAMESPACED.contains(&part)));
    let places =
        namespaced.map(|path| path.split_once("/namespaces/").map_or("", |(_, rest)| rest));
    places.map(|rest| rest.split('/').next().unwrap_or_default()).collect()
}

#[test]
fn empty_namespace_is_the_contexts_or_default_as_for_kubectl() {
    let cluster = require!(cluster());
    let home = cluster.name("scope-home");
    let other = cluster.name("scope-other");
    let _home = cluster.namespace(home);
    let _other = cluster.namespace(other);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for namespace in [home, other] {
        let create = ["-n", namespace, "create", "deployment", "web", "--image=app:1"];
        cluster.kubectl(&[&create[..], &["--replicas=0"]].concat(), "");
    }
    fs::write(folder.join("diyadm.yaml"), "run: { command: [x] }\n").unwrap();
    for (context, flags) in [
        (Some(home), &["-n", ""][..]),
        (Some(home), &["--namespace="]),
        (Some(home), &[]),
        (Some(home), &["-n", other]),
        (Some(""), &["-n", ""]),
        (Some(""), &[]),
        (None, &["-n", ""]),
        (None, &[]),
    ] {
        let kubeconfig = kubeconfig(&cluster, folder, context);
        let expected = kubectls(&cluster, &kubeconfig, flags);
        for command in [
            &["status"][..],
            &["status", "-o", "json"],
            &["plan"],
            &["rules", "explain"],
            &["empty", "--all", "--dry-run=client"],
            &["empty", "-l", "app=web", "--dry-run=client"],
            &["restore", "--all", "--dry-run=client"],
            &["restore", "-l", "app=web", "--dry-run=client"],
            &["empty", "deploy/none"],
            &["restore", "deploy/none"],
            &["shell", "deploy/none", "--", "true"],
            &["ps", "deploy/none"],
            &["logs", "deploy/none"],
            &["stop", "deploy/none"],
            &["forward", "deploy/none", "80"],
            &["sync", ".", "deploy/none:/app"],
            &["sync", ".", ":/app", "-l", "app=none"],
            &["dev", "deploy/none", "--no-empty"],
        ] {
            let mut diyadm = program(folder);
            diyadm.args(["-v", "--kubeconfig", &kubeconfig]);
            // Words after `--` are not flags.
            let (before, after) = command
                .split_at(command.iter().position(|word| *word == "--").unwrap_or(command.len()));
            let run = Run::of(diyadm.args(before).args(flags).args(after), "");
            let places = requested(&run.stderr);
            assert!(!places.is_empty(), "{command:?} asks: {}", run.stderr);
            for place in places {
                assert_eq!(place, expected, "{command:?} {flags:?} {context:?}: {}", run.stderr);
            }
        }
    }
    let home_config = kubeconfig(&cluster, folder, Some(home));
    let images = |namespace: &str| {
        cluster.get(namespace, "deploy/web")["spec"]["template"]["spec"]["containers"][0]["image"]
            .clone()
    };
    let run = |args: &[&str]| {
        let args = [args, &["--kubeconfig", &home_config]].concat();
        Run::of(program(folder).args(args), "").code(0)
    };
    run(&["empty", "--all", "-n", "", "--wait=false"]);
    assert_eq!(images(home), "empty-container:latest");
    assert_eq!(images(other), "app:1", "of another namespace");
    assert_eq!(run(&["status", "-n", "", "-o", "name"]).stdout, "deployment.apps/web\n");
    let everywhere = run(&["status", "-A", "-v", "-o", "name"]);
    assert!(requested(&everywhere.stderr).contains(&""), "-A means all: {}", everywhere.stderr);
    cluster.diyadm(folder, &["empty", "deploy/web", "-n", other, "--wait=false"]).code(0);
    run(&["restore", "--all", "-n", "", "--wait=false"]);
    assert_eq!(images(home), "app:1");
    assert_eq!(images(other), "empty-container:latest", "of another namespace");
}
