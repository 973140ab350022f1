//! One cluster, several namespaces and teams: an installed webhook serves every labelled namespace,
//! and is changed from its own.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    install::mount,
    rig::{Cluster, Net, Run, Server, cluster, reaching_cluster, wait_until},
};

mod policy;

const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// A webhook of one team, its server in a network namespace.
struct Team<'a> {
    cluster: &'a Cluster,
    folder: tempfile::TempDir,
    service: &'a str,
}

impl<'a> Team<'a> {
    fn new(cluster: &'a Cluster, service: &'a str) -> Self {
        Self { cluster, folder: tempfile::tempdir().unwrap(), service }
    }

    fn run(&self, args: &[&str]) -> Run {
        let service = ["--service", self.service];
        self.cluster.diyadm(self.folder.path(), &[args, &service].concat())
    }

    /// Installs it from `namespace`.
    fn install(&self, net: &Net, namespace: &str, image: &str) -> Server {
        self.run(&["init", "-n", namespace]).code(0);
        mount(self.cluster, namespace, self.folder.path());
        let own = format!("{namespace}/{}", self.service);
        let flags = ["--self-name", &own, "--image", image];
        let server = Server::start_in(net, self.folder.path(), &flags);
        self.cluster.kubectl(&["apply", "-f", "-"], &net.slice(namespace, self.service));
        self.run(&["install", "-n", namespace, "--image", image]).code(0);
        server
    }

    fn configuration(&self) -> Value {
        self.cluster.get("default", &format!("mutatingwebhookconfiguration/{}", self.service))
    }

    fn is_installed(&self) -> bool {
        is_there(self.cluster, "default", "mutatingwebhookconfigurations", self.service)
    }
}

fn is_there(cluster: &Cluster, namespace: &str, kind: &str, name: &str) -> bool {
    let get = ["-n", namespace, "get", kind, name, "--ignore-not-found", "-o", "name"];
    !cluster.kubectl(&get, "").is_empty()
}

fn labels(cluster: &Cluster, namespace: &str) -> Value {
    cluster.get("default", &format!("namespace/{namespace}"))["metadata"]["labels"].clone()
}

/// The image of a Deployment that is created there now.
fn created(cluster: &Cluster, namespace: &str) -> Value {
    let object = diyadm::webhook::manifests::test_deployment(namespace).unwrap().to_string();
    let text = cluster.kubectl(&["create", "-f", "-", "-o", "json"], &object);
    serde_json::from_str::<Value>(&text).unwrap().pointer(IMAGE).unwrap().clone()
}

fn config_of(cluster: &Cluster, folder: &Path, namespace: &str) -> String {
    let token = cluster.kubectl(&["-n", namespace, "create", "token", "default"], "");
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    let mut config: Value = serde_json::from_str(&cluster.kubectl(&view, "")).unwrap();
    config["users"][0]["user"] = json!({ "token": token.trim() });
    let file = folder.join("narrow");
    fs::write(&file, config.to_string()).unwrap();
    file.display().to_string()
}

#[test]
fn second_namespace_gets_the_label_and_nothing_else() {
    let cluster = require!(reaching_cluster());
    let net = require!(Net::of_service());
    let (hook, one, two) =
        (cluster.name("teams-hook"), cluster.name("teams-one"), cluster.name("teams-two"));
    let _namespaces = [hook, one, two].map(|name| cluster.unmade(name));
    let team = Team::new(&cluster, hook);
    let run = |args: &[&str]| team.run(args);
    let _server = team.install(&net, one, "empty-container:latest");
    let before = team.configuration();
    let who = format!("Webhook {hook} (Service {hook} in namespace {one}) serves it");

    run(&["install", "-n", two, "--dry-run=server"]).code(0).stderr_has(&who);
    assert!(!is_there(&cluster, "default", "namespace", two));
    // To name another namespace for the server would take the webhook away from the first.
    let taken = run(&["install", "-n", two, "--webhook-namespace", two]).code(1);
    let taken = taken.stderr_has(&format!("it calls Service {hook} in namespace {one}"));
    assert!(!taken.stderr.contains("--force"), "{}", taken.stderr);
    let other = run(&["install", "-n", two, "--label", "a=b"]).code(1);
    other.stderr_has(&format!("with the label inject-empty-container={hook}, not a=b"));
    assert!(!is_there(&cluster, "default", "namespace", two));

    run(&["install", "-n", two]).code(0).stderr_has(&who).stderr_has("start empty");
    run(&["install", "-n", two]).code(0).stderr_has(&format!("namespace/{two} unchanged"));
    run(&["init", "-n", two]).code(0).stderr_has(&who);
    assert_eq!(team.configuration(), before);
    for kind in ["deployments", "services", "poddisruptionbudgets", "secrets"] {
        let left = cluster.kubectl(&["-n", two, "get", kind, "-o", "name"], "");
        assert_eq!(left, "", "{kind}");
    }
    assert_eq!(created(&cluster, two), "empty-container:latest");

    // Every command finds the server from either namespace, and from none.
    for place in [&["-n", two][..], &["-n", one], &[]] {
        let all = |args: &[&str]| run(&[args, place].concat());
        let check = all(&["check"]).code(0);
        assert!(!check.stderr.contains("install"), "{}", check.stderr);
        all(&["verify", "--dry-run=server"]).code(0);
        let facts = all(&["init", "--inspect"]).code(0).stdout;
        assert!(facts.contains(&format!("{hook}.{one}.svc")), "{facts}");
        let rendered = all(&["render"]).code(0).stdout;
        assert!(rendered.contains(&format!("  namespace: {one}\n")), "{rendered}");
        assert!(!rendered.contains(two), "{rendered}");
    }
    let here = |args: &[&str]| cluster.diyadm(team.folder.path(), &[args, &["-n", two]].concat());
    assert!(here(&["status", "-o", "name"]).code(0).stdout.contains("deployment.apps/test"));
    let explained = here(&["rules", "explain"]).code(0);
    assert!(explained.stdout.contains("deployment/test"), "{}", explained.stdout);
    assert!(!explained.stderr.contains("diyadm's defaults"), "{}", explained.stderr);
    run(&["init", "--rotate", "-n", two]).code(0);
    mount(&cluster, one, team.folder.path());
    run(&["init", "--rotate", "--finish", "--force", "-n", two]).code(0);
    assert!(!is_there(&cluster, two, "secrets", "webhook-secret"));

    // The server goes with the last namespace.
    run(&["uninstall", "-n", two, "--all"])
        .code(0)
        .stderr_has(&format!("namespace/{two} unlabelled"))
        .stderr_has(&format!("the webhook {hook} stays: it serves namespace {one}"))
        .stderr_has(&format!("still empty in namespace {two}: deployment/test"));
    assert!(labels(&cluster, two).get("inject-empty-container").is_none());
    assert!(team.is_installed());
    run(&["install", "-n", two]).code(0);
    run(&["uninstall", "-n", one])
        .code(0)
        .stderr_has(&format!("it serves namespace {two}"))
        .stderr_has(&format!("`diyadm uninstall --restore -n {two}"));
    // A namespace that never used it takes nothing away.
    run(&["uninstall", "-n", "default"]).code(0).stderr_has("stays");
    assert!(team.is_installed());
    run(&["uninstall", "-n", two]).code(0).stderr_has(&format!("deployment/{hook} deleted"));
    assert!(!team.is_installed());
    assert!(!is_there(&cluster, one, "deployments", hook));
}

#[test]
fn server_has_a_namespace_of_its_own() {
    let cluster = require!(reaching_cluster());
    let net = require!(Net::of_service());
    let (home, one) = (cluster.name("servers-home"), cluster.name("servers-one"));
    let _namespaces = [home, one].map(|name| cluster.unmade(name));
    let team = Team::new(&cluster, home);
    let run = |args: &[&str]| team.run(&[args, &["-n", one]].concat());
    let there = ["--webhook-namespace", home];
    run(&[&["init"][..], &there].concat()).code(0).stderr_has(&format!("namespace/{home} created"));
    assert!(labels(&cluster, home).get("inject-empty-container").is_none());
    mount(&cluster, home, team.folder.path());
    let own = format!("{home}/{home}");
    let _server = Server::start_in(&net, team.folder.path(), &["--self-name", &own]);
    cluster.kubectl(&["apply", "-f", "-"], &net.slice(home, home));
    run(&[&["install"][..], &there].concat()).code(0).stderr_has("start empty");
    assert!(is_there(&cluster, home, "deployments", home));
    assert!(!is_there(&cluster, one, "deployments", home));
    run(&["check"]).code(0);
    // To change it its namespace is named.
    let replicas = || cluster.get(home, &format!("deployment/{home}"))["spec"]["replicas"].clone();
    run(&["install", "--replicas", "3"]).code(0).stderr_has("serves it");
    assert_eq!(replicas(), 2);
    run(&[&["install", "--replicas", "3"][..], &there].concat()).code(0);
    assert_eq!(replicas(), 3);
    run(&["uninstall", "--all"]).code(0).stderr_has("secret/webhook-secret deleted");
    assert!(!team.is_installed() && !is_there(&cluster, home, "secrets", "webhook-secret"));
}

#[test]
fn two_servers_empty_each_its_own_namespace() {
    let cluster = require!(reaching_cluster());
    let (first, second) = (require!(Net::of_service()), require!(Net::of_service()));
    let names = [cluster.name("side-a"), cluster.name("side-b")];
    let _namespaces = names.map(|name| cluster.unmade(name));
    let teams = names.map(|name| Team::new(&cluster, name));
    let images = ["tools:a", "tools:b"];
    let servers = [
        teams[0].install(&first, names[0], images[0]),
        teams[1].install(&second, names[1], images[1]),
    ];
    for (name, image) in names.into_iter().zip(images) {
        assert_eq!(created(&cluster, name), image);
        let found = cluster.get(name, "deployment/test");
        let original = found["metadata"]["annotations"]["diyadm.io/original"].as_str().unwrap();
        assert!(original.contains(r#""was":"knative:latest""#), "{original}");
    }
    // Neither takes a namespace from the other.
    for args in [
        &["install", "-n", names[0]][..],
        &["init", "-n", names[0]],
        &["install", "-n", names[0], "--webhook-namespace", names[1]],
    ] {
        let refused = teams[1].run(args).code(1);
        let refused = refused.stderr_has(&format!("is already emptied by webhook {}", names[0]));
        refused.stderr_has(&format!("diyadm uninstall -n {0} --service {0}", names[0]));
    }
    let label = format!("inject-empty-container={}", names[0]);
    Team::new(&cluster, "side-c")
        .run(&["install", "-n", "side-c", "--label", &label, "--dry-run=server"])
        .code(1)
        .stderr_has(&format!("The label {label} already belongs to webhook {}", names[0]));
    teams[1].run(&["uninstall", "-n", names[0]]).code(0).stderr_has("stays");
    assert_eq!(labels(&cluster, names[0])["inject-empty-container"], names[0]);
    assert!(teams.iter().all(Team::is_installed));
    // A Service of another name in the same namespace needs a Secret of its own.
    let third = Team::new(&cluster, "side-c");
    third
        .run(&["init", "-n", "side-c", "--webhook-namespace", names[0], "--dry-run=server"])
        .code(1)
        .stderr_has("--secret side-c-secret");

    teams[0].run(&["uninstall", "-n", names[0]]).code(0);
    assert!(!teams[0].is_installed() && teams[1].is_installed());
    for (server, (own, other)) in
        servers.into_iter().zip([(names[0], names[1]), (names[1], names[0])])
    {
        server.signal();
        let (_, log) = server.ended();
        let reviews: Vec<_> = log.iter().filter(|line| line.contains("\"review\"")).collect();
        assert!(reviews.iter().any(|line| line.contains(own)), "{log:#?}");
        assert!(!reviews.iter().any(|line| line.contains(other)), "{reviews:#?}");
    }
}

#[test]
fn configuration_of_another_owner_is_not_changed() {
    let cluster = require!(cluster());
    let name = cluster.name("teams-foreign");
    let _namespace = cluster.unmade(name);
    let team = Team::new(&cluster, name);
    let run = |args: &[&str]| team.run(&[args, &["-n", name]].concat());
    run(&["init"]).code(0);
    let ca = include_str!("../data/golden/ca.crt");
    let certificate = team.folder.path().join("other.crt");
    fs::write(&certificate, ca).unwrap();
    let other = ["render", "--ca", "other.crt"];
    let refused = |why: &str, commands: &[&[&str]]| {
        let before = team.configuration();
        for command in commands {
            run(command).code(1).stderr_has("was not changed").stderr_has(why);
        }
        assert_eq!(team.configuration(), before, "{why}");
    };
    let install = &["install", "--timeout", "0"][..];

    // Another CA, which diyadm has not put there.
    let url = ["--url", "https://elsewhere.example:8443"];
    let rendered = run(&[&other[..], &url].concat()).code(0).stdout;
    cluster.kubectl(&["apply", "-f", "-"], &rendered);
    refused("its caBundle is not that of Secret", &[install, &["init", "--rotate"]]);
    run(&["uninstall"]).code(0).stderr_has("stays: its caBundle is not that of Secret");
    assert!(team.is_installed());
    // It says from where it was installed.
    let two = cluster.name("teams-foreign-two");
    team.run(&["install", "-n", two, "--dry-run=server"])
        .code(0)
        .stderr_has(&format!("Webhook {name} (a URL, installed from namespace {name}) serves it"));
    team.run(&["install", "-n", two, "--webhook-namespace", two])
        .code(1)
        .stderr_has(&format!("it was installed from namespace {name}"));
    run(&["install", "--timeout", "0", "--force"]).code(1).stderr_has("No server is ready");
    run(&["init", "--rotate", "--force"]).code(0);

    // Another program's.
    cluster.kubectl(&["delete", "mutatingwebhookconfiguration", name], "");
    let client =
        json!({ "service": { "name": "injector", "namespace": "mesh", "path": "/inject" } });
    let foreign = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": name },
        "webhooks": [{
            "name": "injector.mesh.svc", "clientConfig": client, "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
            "namespaceSelector": { "matchLabels": { "mesh": name } },
        }],
    });
    cluster.kubectl(&["create", "-f", "-"], &foreign.to_string());
    refused("diyadm did not create it", &[install, &["init", "--rotate"]]);
    run(&["uninstall"]).code(0).stderr_has("stays: diyadm did not create it");
    assert!(team.is_installed());
    let check = run(&["check"]).code(1).stderr_has("Service injector in namespace mesh");
    assert!(!check.stderr.contains("install --force"), "{}", check.stderr);
    run(&["uninstall", "--force"]).code(0);
    assert!(!team.is_installed());
}

#[test]
fn uninstall_keeps_objects_of_its_names_that_another_program_made() {
    let cluster = require!(cluster());
    let name = cluster.name("teams-shop");
    let _namespace = cluster.namespace(name);
    let team = Team::new(&cluster, name);
    let uninstall = |more: &[&str]| team.run(&[&["uninstall", "-n", name], more].concat());
    let there = |what: &str| is_there(&cluster, name, what, name);
    cluster.kubectl(&["-n", name, "create", "deployment", name, "--image=shop:1"], "");
    cluster.kubectl(&["-n", name, "create", "service", "clusterip", name, "--tcp=80"], "");
    cluster.kubectl(&["-n", name, "create", "secret", "generic", "webhook-secret"], "");
    for more in [&[][..], &["--all"]] {
        let stays = format!("stays: diyadm has not made deployment/{name} in namespace {name}");
        uninstall(more).code(0).stderr_has(&stays).stderr_has("--force");
        assert!(there("deployment") && there("service"));
        assert!(is_there(&cluster, name, "secret", "webhook-secret"));
    }
    cluster.kubectl(&["-n", name, "delete", "deployment", name], "");
    uninstall(&[]).code(0).stderr_has(&format!("diyadm has not made service/{name}"));
    uninstall(&["--force"]).code(0);
    assert!(!there("service"));
}

#[test]
fn label_alone_needs_few_rights() {
    let cluster = require!(cluster());
    let (hook, one, two) =
        (cluster.name("few-hook"), cluster.name("few-one"), cluster.name("few-two"));
    let _namespaces = [hook, one, two].map(|name| cluster.unmade(name));
    let team = Team::new(&cluster, hook);
    cluster.kubectl(&["create", "namespace", two], "");
    wait_until("the service account", || is_there(&cluster, two, "serviceaccount", "default"));
    let narrow = config_of(&cluster, team.folder.path(), two);
    let service = ["-n", two, "--service", hook, "--kubeconfig", &narrow];
    let run = |args: &[&str]| super::rig::diyadm(team.folder.path(), &[args, &service].concat());
    // As `install` leaves it; who answers does not matter here.
    let ca = include_str!("../data/golden/ca.crt");
    fs::write(team.folder.path().join("ca.crt"), ca).unwrap();
    let rendered = team.run(&["render", "--ca", "ca.crt", "-n", one]).code(0).stdout;
    cluster.kubectl(&["create", "namespace", one], "");
    cluster.kubectl(&["apply", "-f", "-"], &rendered);
    let before = team.configuration();
    let label = format!("kubectl label namespace {two} inject-empty-container={hook}");

    // Nobody knows whether there is a webhook.
    run(&["install"])
        .code(3)
        .stderr_has(&format!("mutatingwebhookconfigurations.admissionregistration.k8s.io/{hook} "))
        .stderr_has(&label);
    let role = |rules: &Value| {
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": { "name": two }, "rules": rules,
        });
        cluster.kubectl(&["apply", "-f", "-"], &role.to_string());
    };
    let mut rules = vec![json!({
        "apiGroups": ["admissionregistration.k8s.io"], "verbs": ["get"],
        "resources": ["mutatingwebhookconfigurations"], "resourceNames": [hook],
    })];
    role(&json!(rules));
    let account = format!("--serviceaccount={two}:default");
    let binding = ["create", "clusterrolebinding", two, "--clusterrole", two, &account];
    cluster.kubectl(&binding, "");
    wait_until("the role counts", || {
        let look = ["get", "mutatingwebhookconfigurations", hook, "--kubeconfig", &narrow];
        cluster.try_kubectl(&look, "").code == Some(0)
    });
    run(&["install"]).code(3).stderr_has(&format!("namespaces/{two}")).stderr_has(&label);
    rules.push(json!({
        "apiGroups": [""], "verbs": ["get", "patch"], "resources": ["namespaces"],
        "resourceNames": [two],
    }));
    role(&json!(rules));
    wait_until("the role counts", || {
        let look = ["get", "namespace", two, "--kubeconfig", &narrow];
        cluster.try_kubectl(&look, "").code == Some(0)
    });
    run(&["install"])
        .code(0)
        .stderr_has(&format!("namespace/{two} configured"))
        .stderr_has("start empty: you may not create deployments.apps");
    assert_eq!(labels(&cluster, two)["inject-empty-container"], hook);
    // Whom else it serves may not be seen, so it stays.
    run(&["uninstall"])
        .code(0)
        .stderr_has(&format!("namespace/{two} unlabelled"))
        .stderr_has("you may not list namespaces");
    assert_eq!(team.configuration(), before);
    for kind in ["clusterrole", "clusterrolebinding"] {
        cluster.kubectl(&["delete", kind, two], "");
    }
}
