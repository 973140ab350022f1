//! The Helm chart and the kustomize base: the same objects as `render` prints, by the real Helm and
//! kubectl.
//!
//! `DIYADM_UPDATE_CHART=1 cargo xtask test -- chart::generated` writes the chart's generated files.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use diyadm::webhook::manifests::chart_files;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    rig::{Cluster, Run, Workspace, cluster, diyadm, helm, wait_until},
    serve::certificates,
};

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/diyadm")
}

#[test]
fn generated_chart_files_match_the_templates() {
    for (name, text) in chart_files().unwrap() {
        let file = chart().join(name);
        if env::var_os("DIYADM_UPDATE_CHART").is_some() {
            assert!(env::var("CI").as_deref() != Ok("true"), "the chart is read in CI");
            fs::write(&file, text).unwrap();
        } else {
            let found = fs::read_to_string(&file).unwrap();
            assert!(found == text, "{} is behind: run `cargo xtask chart`", file.display());
        }
    }
}

/// Helm with its own files in `folder`.
struct Helm<'a> {
    program: String,
    folder: &'a Path,
    kubeconfig: Option<&'a Path>,
}

impl Helm<'_> {
    fn run(&self, args: &[&str]) -> Run {
        let mut helm = Command::new(&self.program);
        helm.env("HOME", self.folder).env_remove("KUBECONFIG").current_dir(self.folder);
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(home, self.folder.join(home));
        }
        if let Some(kubeconfig) = self.kubeconfig {
            helm.arg("--kubeconfig").arg(kubeconfig);
        }
        Run::of(helm.args(args), "")
    }
}

/// The objects of a stream of YAML by their kinds, and those about rights also by namespace and name.
fn objects(yaml: &str) -> BTreeMap<String, Value> {
    let documents = serde_yaml::Deserializer::from_str(yaml);
    let values = documents.map(|document| Value::deserialize(document).unwrap());
    let mut objects = BTreeMap::new();
    for value in values.filter(|value| !value.is_null()) {
        let mut key = value["kind"].as_str().unwrap().to_owned();
        if value["apiVersion"] == "rbac.authorization.k8s.io/v1" {
            let metadata = &value["metadata"];
            key = format!("{key} {} {}", metadata["namespace"], metadata["name"]);
        }
        assert!(objects.insert(key, value).is_none(), "{yaml}");
    }
    objects
}

/// The same with rules.yaml as a value, since its text may be written in several ways.
fn with_parsed_rules(mut objects: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    if let Some(map) = objects.get_mut("ConfigMap") {
        let text = map["data"]["rules.yaml"].as_str().unwrap().to_owned();
        map["data"]["rules.yaml"] = serde_yaml::from_str(&text).unwrap();
    }
    objects
}

/// The flags of `render` and the values of the chart for the same objects.
fn same_settings() -> [(Vec<&'static str>, Value); 4] {
    [
        (vec![], json!({})),
        (
            vec![
                "--registry",
                "r.example/t",
                "--idle",
                "agent",
                "--ready",
                "app",
                "--stand-in",
                "--expire=0 * * * *",
                "--replicas",
                "3",
                "--failure-policy",
                "Fail",
                "--timeout-seconds",
                "7",
            ],
            json!({
                "image": { "registry": "r.example/t/" },
                "emptying": { "idle": "agent", "ready": "app", "standIn": true },
                "expire": { "enabled": true, "schedule": "0 * * * *" },
                "replicas": 3, "failurePolicy": "Fail", "timeoutSeconds": 7,
            }),
        ),
        (
            vec![
                "--service",
                "other",
                "--secret",
                "certs",
                "--label",
                "example.com/on=true",
                "--webhook-image",
                "w:1",
                "--image",
                "keep",
                "--agent-image",
                "a:1",
                "--containers",
                "*",
                "--idle",
                "shell",
                "--replicas",
                "1",
                "--service-type",
                "NodePort",
                "--port",
                "443",
                "--container-port",
                "9443",
                "--expire",
                "--expire-namespaces",
                "*",
            ],
            json!({
                "name": "other",
                "certificates": { "secret": "certs" },
                "namespaceLabel": { "key": "example.com/on", "value": "true" },
                "image": { "webhook": "w:1", "emptyContainer": "keep", "agent": "a:1" },
                "emptying": { "containers": "*", "idle": "shell" },
                "replicas": 1, "service": { "type": "NodePort", "port": 443 },
                "containerPort": 9443,
                "expire": { "enabled": true, "namespaces": ["*"] },
            }),
        ),
        (
            vec![
                "--level",
                "pod",
                "--rules",
                "rules.yaml",
                "--run-as-user",
                "none",
                "--image-pull-secret",
                "a",
                "--image-pull-secret",
                "b",
                "--expire",
                "--expire-namespaces",
                "shop,orders,shop",
            ],
            json!({
                "runAsUser": null,
                "imagePullSecrets": [{ "name": "a" }, { "name": "b" }],
                "emptying": { "level": "pod" },
                "expire": { "enabled": true, "namespaces": ["shop", "orders", "shop"] },
                "rules": [{ "match": { "kinds": ["sts"] }, "empty": false }, { "image": "t:1" }],
            }),
        ),
    ]
}

#[test]
fn chart_kustomize_base_and_render_are_the_same_objects() {
    let cluster = require!(cluster());
    let helm = require!(helm());
    for (number, (flags, values)) in same_settings().into_iter().enumerate() {
        let service = values["name"].as_str().unwrap_or("diyadmissionwebhook");
        let certs = certificates("shop", service);
        let folder = certs.path();
        let helm = Helm { program: helm.clone(), folder, kubeconfig: None };
        let list = json!({ "rules": values["rules"] });
        fs::write(folder.join("rules.yaml"), list.to_string()).unwrap();
        fs::write(folder.join("values.yaml"), values.to_string()).unwrap();
        let names = ["-n", "shop", "--ca", "ca.crt"];
        let render = |more: &[&str]| {
            diyadm(folder, &[&["render"], &names[..], &flags, more].concat()).code(0)
        };
        let rendered = with_parsed_rules(objects(&render(&[]).stdout));
        assert!(rendered.len() > 2, "{rendered:?}");

        let base = format!("base{number}");
        render(&["-o", "kustomize", "--out", &base]).stderr_has("kustomization.yaml created");
        let built = cluster.kubectl(&["kustomize", folder.join(&base).to_str().unwrap()], "");
        assert_eq!(with_parsed_rules(objects(&built)), rendered);

        let chart = chart();
        let chart = chart.to_str().unwrap();
        let files = ["ca.crt", "server.crt", "server.key"];
        let keys = ["caCrt", "serverCrt", "serverKey"];
        let pem = files.iter().zip(keys).map(|(file, key)| format!("certificates.{key}={file}"));
        let pem: Vec<_> = pem.flat_map(|set| ["--set-file".to_owned(), set]).collect();
        let pem: Vec<_> = pem.iter().map(String::as_str).collect();
        let values = ["--values", "values.yaml"];
        helm.run(&[&["lint", "--strict", chart], &values[..], &pem].concat()).code(0);
        let template = ["template", "release", chart, "-n", "shop"];
        let made = helm.run(&[&template[..], &values, &pem].concat()).code(0).stdout;
        let mut made = with_parsed_rules(objects(&made));
        let secret = made.remove("Secret").unwrap();
        assert_eq!(made, rendered);
        for (file, value) in secret["data"].as_object().unwrap() {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            let value = STANDARD.decode(value.as_str().unwrap()).unwrap();
            assert_eq!(value, fs::read(folder.join(file)).unwrap());
        }
        // The Secret of `diyadm init`: only the CA is needed.
        let ca = ["--set", "certificates.create=false", "--set-file", "certificates.caCrt=ca.crt"];
        let made = helm.run(&[&template[..], &values, &ca].concat()).code(0).stdout;
        assert_eq!(with_parsed_rules(objects(&made)), rendered);
    }
}

#[test]
fn chart_refuses_wrong_values() {
    let helm = require!(helm());
    let folder = tempfile::tempdir().unwrap();
    let helm = Helm { program: helm, folder: folder.path(), kubeconfig: None };
    let chart = chart();
    let template = ["template", "release", chart.to_str().unwrap(), "--set"];
    for (set, word) in [
        ("replica=3", "replica"),
        ("failurePolicy=ignore", "failurePolicy"),
        ("timeoutSeconds=31", "timeoutSeconds"),
        ("containerPort=8080", "containerPort"),
        ("image.registry=https://r.example", "registry"),
        ("certificates.create=false", "diyadm init"),
        ("certificates.serverCrt=x", "caCrt is missing"),
    ] {
        let run = helm.run(&[&template[..], &[set]].concat());
        assert_ne!(run.code, Some(0), "{set}");
        run.stderr_has(word);
    }
    // What has no flag of `render`.
    let set = "namespaces={a,b},expire.enabled=true,runAsUser=null,imagePullSecrets[0].name=pull,\
               nodeSelector.disk=fast,resources.limits.memory=1Gi";
    let made = objects(&helm.run(&[&template[..], &[set]].concat()).code(0).stdout);
    let pod = &made["Deployment"]["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"].get("runAsUser"), None);
    assert_eq!(pod["imagePullSecrets"], json!([{ "name": "pull" }]));
    assert_eq!(pod["nodeSelector"], json!({ "disk": "fast" }));
    assert_eq!(pod["containers"][0]["resources"]["limits"], json!({ "memory": "1Gi" }));
    let args = "/spec/jobTemplate/spec/template/spec/containers/0/args/1";
    assert_eq!(made["CronJob"].pointer(args), Some(&json!("--namespaces=a,b")));
    for webhook in made["MutatingWebhookConfiguration"]["webhooks"].as_array().unwrap() {
        let expression = json!({
            "key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a", "b"],
        });
        assert_eq!(webhook["namespaceSelector"], json!({ "matchExpressions": [expression] }));
    }
}

/// Whether the Secret's certificate is the one that the API server trusts.
fn ca_of(cluster: &Cluster, namespace: &str) -> (String, String) {
    let secret = cluster.get(namespace, "secret/webhook-secret");
    let configuration =
        cluster.get("default", &format!("mutatingwebhookconfiguration/{namespace}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let bundle = &configuration["webhooks"][0]["clientConfig"]["caBundle"];
    (text(&secret["data"]["ca.crt"]), text(bundle))
}

#[test]
fn helm_installs_upgrades_and_uninstalls_the_webhook() {
    let node = require!(Workspace::on_node("helm-chart"));
    let helm = require!(helm());
    let (name, folder) = (node.name, node.folder());
    node.load(&["webhook"]);
    // As on OpenShift: a user of the namespace's own range, and no rights.
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    node.kubectl(&["label", "namespace", name, restricted], "");
    let helm = Helm { program: helm, folder, kubeconfig: Some(node.kubeconfig()) };
    let chart = chart();
    let release = ["web", chart.to_str().unwrap(), "-n", name, "--wait", "--timeout", "5m"];
    let (own, key) = (format!("name={name}"), format!("namespaceLabel.key={name}"));
    let user = "runAsUser=1000680000";
    let values = ["--set", &own, "--set", &key, "--set", user, "--set", "replicas=1"];
    helm.run(&[&["install"], &release[..], &values].concat()).code(0);
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| node.diyadm(folder, &[args, &names].concat());
    // The Deployment that `verify` creates is not restricted.
    let lifted = "pod-security.kubernetes.io/enforce-";
    node.kubectl(&["label", "namespace", name, lifted], "");
    // The API server uses a new configuration a moment later.
    let wait_until_emptied_to = |image: &str| {
        wait_until("the webhook empties", || run(&["verify", "--image", image]).code == Some(0));
    };
    wait_until_emptied_to("empty-container:latest");
    run(&["check"]).code(0);
    let server = node.get(name, &format!("deployment/{name}"));
    let security = &server["spec"]["template"]["spec"]["securityContext"];
    assert_eq!(security["runAsUser"], 1_000_680_000);
    let (secret, bundle) = ca_of(&node, name);
    assert_eq!(secret, bundle);

    let more = ["--set", "replicas=2", "--set", "image.emptyContainer=tools:1"];
    helm.run(&[&["upgrade"], &release[..], &values, &more].concat()).code(0);
    assert_eq!(ca_of(&node, name), (secret, bundle), "an upgrade keeps the certificates");
    assert_eq!(node.get(name, &format!("deployment/{name}"))["spec"]["replicas"], 2);
    node.get(name, &format!("poddisruptionbudget/{name}"));
    wait_until_emptied_to("tools:1");

    helm.run(&["uninstall", "web", "-n", name, "--wait"]).code(0);
    let kinds = "deployment,service,poddisruptionbudget,secret,mutatingwebhookconfiguration";
    let left = node.kubectl(&["-n", name, "get", kinds, "-o", "name"], "");
    let left: Vec<_> = left.lines().filter(|line| line.ends_with(&format!("/{name}"))).collect();
    assert!(left.is_empty(), "{left:?}");
}
