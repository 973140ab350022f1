//! The client in a namespace with a webhook, also at level pod.

use diyadm::workload::LABEL;
use serde_json::{Value, json};

use super::{pod_of, result, stored, workload};
use crate::{
    rig::{Cluster, Namespace, Server, Workspace, cluster, diyadm, wait_until},
    serve::certificates,
};

/// A webhook for a namespace of its own, that has emptied something already.
pub(crate) struct WebhookNamespace {
    pub(crate) folder: tempfile::TempDir,
    _server: Server,
    _namespace: Namespace,
}

impl WebhookNamespace {
    pub(crate) fn new(cluster: &Cluster, name: &str, level: &[&str]) -> Self {
        Self::with(cluster, name, level, &[])
    }

    /// `more`: flags of the server alone.
    pub(super) fn with(cluster: &Cluster, name: &str, level: &[&str], more: &[&str]) -> Self {
        let namespace = cluster.namespace(name);
        let folder = certificates(name, name);
        let label = format!("{name}=enabled");
        let names = ["-n", name, "--service", name, "--label", &label];
        let server = Server::start(folder.path(), &[level, more].concat());
        let url = format!("https://{}", server.address);
        let more = ["--ca", ".", "--url", &url, "--failure-policy", "Fail"];
        let render = [&["render"], &names[..], &more, level].concat();
        let yaml = diyadm(folder.path(), &render).code(0).stdout;
        cluster.kubectl(&["apply", "-f", "-"], &yaml);
        // It is known to every part of the API server after a moment.
        let probe = workload(if level.is_empty() { "Deployment" } else { "Pod" }, "probe");
        wait_until("the webhook is called", || {
            let create = ["-n", name, "create", "-f", "-", "--dry-run=server", "-o", "json"];
            let run = cluster.try_kubectl(&create, &probe.to_string());
            let made: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
            made["kind"].is_string() && diyadm::workload::is_emptied(&made.to_string())
        });
        Self { folder, _server: server, _namespace: namespace }
    }
}

/// Labels the namespace of a webhook, or takes the label away, and waits until the API server goes
/// by that.
pub(super) fn set_namespace_label(cluster: &Cluster, name: &str, yes: bool) {
    let label = if yes { format!("{name}=enabled") } else { format!("{name}-") };
    cluster.kubectl(&["label", "namespace", name, &label], "");
    let probe = workload("Pod", "probe").to_string();
    wait_until("the API server has heard of the label", || {
        let create = ["-n", name, "create", "-f", "-", "--dry-run=server", "-o", "json"];
        diyadm::workload::is_emptied(&cluster.kubectl(&create, &probe)) == yes
    });
}

/// What the API server makes of an object without a webhook: its spec.
pub(crate) fn twin(cluster: &Cluster, namespace: &str, object: &Value) -> Value {
    let create = ["-n", namespace, "create", "-f", "-", "--dry-run=server", "-o", "json"];
    let mut object = object.clone();
    // Nothing of that name is there.
    object["metadata"]["name"] = "twin".into();
    let made: Value = serde_json::from_str(&cluster.kubectl(&create, &object.to_string())).unwrap();
    made["spec"].clone()
}

#[test]
fn restore_opts_out_where_a_webhook_would_empty_again() {
    let cluster = require!(cluster());
    let name = "watched";
    let watched = WebhookNamespace::new(&cluster, name, &[]);
    let folder = watched.folder.path();
    let run = |args: &[&str]| cluster.diyadm(folder, &[args, &["-n", name]].concat());
    let _elsewhere = cluster.namespace("watched-not");
    let spec = twin(&cluster, "watched-not", &workload("Deployment", "web"));
    cluster.create(name, &workload("Deployment", "web"));
    let says_no = |object: &Value| object["metadata"]["annotations"][LABEL] == "disabled";

    for _ in 0..2 {
        let emptied = stored(&cluster, name, "deployment/web");
        assert_ne!(emptied["spec"], spec);
        let restored = run(&["restore", "deploy/web", "--wait=false"]).code(0);
        restored.stderr_has("would empty it again, so it is opted out");
        let after = stored(&cluster, name, "deployment/web");
        assert_eq!(after["spec"], spec);
        assert!(says_no(&after), "{after}");
        assert_eq!(
            run(&["status", "-o", "name"]).code(0).stdout,
            "",
            "it is not missed: it says no"
        );

        // The next one takes it away again, and nobody remembers it as a wish.
        run(&["empty", "deploy/web", "--wait=false"]).code(0).stderr_has("was removed");
        let after = stored(&cluster, name, "deployment/web");
        assert!(!says_no(&after), "{after}");
    }

    // The flags reach the webhook as annotations; it does the same.
    let wish = ["empty", "deploy/web", "--wait=false", "--image", "tools:1", "--idle", "shell"];
    run(&wish).code(0).stderr_has("idles in tools:1 by a shell");
    cluster.kubectl(&["-n", name, "set", "image", "deploy/web", "app=app:2"], "");
    let board = result(&run(&["status", "-o", "json"]).code(0));
    assert_eq!(board[0]["containers"][0]["image"], "tools:1");
    assert_eq!(board[0]["newer"], true, "{board}");
    run(&["restore", "deploy/web", "--wait=false"]).code(0);
    let mut newest = spec.clone();
    newest["template"]["spec"]["containers"][0]["image"] = "app:2".into();
    let after = stored(&cluster, name, "deployment/web");
    assert_eq!(after["spec"], newest);
    let annotations = after["metadata"]["annotations"].as_object().unwrap();
    assert_eq!(annotations.keys().collect::<Vec<_>>(), [LABEL]);

    // Once the label is gone nothing would empty it, so nothing is left.
    run(&["empty", "deploy/web", "--wait=false"]).code(0);
    cluster.kubectl(&["label", "namespace", name, &format!("{name}-")], "");
    run(&["restore", "deploy/web", "--wait=false"]).code(0);
    let after = stored(&cluster, name, "deployment/web");
    assert_eq!((&after["spec"], after["metadata"].get("annotations")), (&newest, None));
}

/// Rules that changed since: what nothing would empty any more has no need to say no.
#[test]
fn restore_leaves_no_opt_out_where_rules_would_not_empty() {
    let cluster = require!(cluster());
    let name = "watched-rules";
    let watched = WebhookNamespace::with(&cluster, name, &[], &["--rules", "rules.yaml"]);
    let folder = watched.folder.path();
    let run = |args: &[&str]| cluster.diyadm(folder, &[args, &["-n", name]].concat());
    for kind in ["Deployment", "Pod"] {
        cluster.create(name, &workload(kind, "web"));
    }
    // A Pod is created again, which its webhook sees: said, as of any other workload.
    run(&["restore", "pod/web", "--recreate", "--trust-original", "--wait=false"])
        .code(0)
        .stderr_has("would empty it again, so it is opted out")
        .stderr_has(&format!("`diyadm empty pod/web -n {name}"));
    assert_eq!(stored(&cluster, name, "pod/web")["metadata"]["annotations"][LABEL], "disabled");

    let rules = "rules: [{ match: { names: [web] }, empty: false }]\n";
    std::fs::write(folder.join("rules.yaml"), rules).unwrap();
    wait_until("the rules are read", || {
        let patch = ["-n", name, "patch", "deploy/web", "--dry-run=server", "-o", "json", "-p"];
        let label = r#"{"metadata":{"labels":{"a":"b"}}}"#;
        !diyadm::workload::is_emptied(&cluster.kubectl(&[&patch[..], &[label]].concat(), ""))
    });
    run(&["restore", "deploy/web", "--wait=false"]).code(0);
    let after = stored(&cluster, name, "deployment/web");
    assert_eq!(after["metadata"].get("annotations"), None);
    assert_eq!(pod_of(&after)["containers"][0]["image"], "app:1");
}

/// A server that is away for a moment says nothing where its failurePolicy is Ignore, and is there
/// again at the next write.
#[test]
fn restore_opts_out_where_the_webhook_is_down() {
    let cluster = require!(cluster());
    let name = "watched-away";
    let WebhookNamespace { folder, _server: server, _namespace } =
        WebhookNamespace::new(&cluster, name, &[]);
    cluster.create(name, &workload("Deployment", "web"));
    let ignore = ["webhooks/0", "webhooks/1"].map(
        |at| json!({ "op": "add", "path": format!("/{at}/failurePolicy"), "value": "Ignore" }),
    );
    let ignore = json!(ignore).to_string();
    let patch = ["patch", "mutatingwebhookconfigurations", name, "--type=json", "-p", &ignore];
    cluster.kubectl(&patch, "");
    drop(server);
    wait_until("nothing is refused any more", || {
        let label = ["-n", name, "label", "--overwrite", "deploy/web", "a=b"];
        cluster.try_kubectl(&label, "").code == Some(0)
    });
    let restore = ["restore", "deploy/web", "-n", name, "--wait=false"];
    cluster.diyadm(folder.path(), &restore).code(0).stderr_has("would empty it again");
    let after = stored(&cluster, name, "deployment/web");
    assert_eq!(after["metadata"]["annotations"][LABEL], "disabled");
}

/// Emptied without a server, nobody sees a later `kubectl apply`; its own record tells what it
/// dropped, and what it set to the very value that emptying gave.
#[test]
fn fields_dropped_by_a_later_apply_stay_dropped() {
    let cluster = require!(cluster());
    let (name, other) = ("drops", "drops-twin");
    let _namespaces = [name, other].map(|name| cluster.namespace(name));
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        cluster.diyadm(folder.path(), &[args, &["deploy/web", "-n", name]].concat()).code(0)
    };
    let both = |args: &[&str], stdin: &str| {
        for place in [name, other] {
            cluster.kubectl(&[&["-n", place][..], args].concat(), stdin);
        }
    };
    let first = workload("Deployment", "web");
    let mut fewer = first.clone();
    let spec = &mut fewer["spec"]["template"]["spec"];
    spec["terminationGracePeriodSeconds"] = 1.into();
    for field in ["livenessProbe", "command"] {
        spec["containers"][0].as_object_mut().unwrap().remove(field);
    }
    // What kubectl has no record of is nobody's to drop.
    let by_hand = r#"[{ "op": "add", "path": "/spec/template/spec/containers/0/startupProbe",
        "value": { "exec": { "command": ["x"] } } }]"#;
    let empty = ["empty", "--wait=false"];
    let again: [&[&str]; 2] = [&[], &["empty", "--wait=false", "--idle", "shell"]];
    for again in again {
        both(&["apply", "-f", "-"], &first.to_string());
        both(&["patch", "deploy/web", "--type=json", "-p", by_hand], "");
        run(&empty);
        both(&["apply", "-f", "-"], &fewer.to_string());
        let board = cluster.diyadm(folder.path(), &["status", "-n", name, "-o", "json"]).code(0);
        let row = &result(&board)[0];
        assert_eq!((&row["state"], &row["newer"]), (&json!("drifted"), &json!(true)), "{row}");
        if !again.is_empty() {
            run(again);
        }
        run(&["restore", "--wait=false"]);
        let [here, twin] = [name, other].map(|place| stored(&cluster, place, "deployment/web"));
        assert_eq!(here["spec"], twin["spec"]);
        assert_eq!(pod_of(&here)["containers"][0].get("livenessProbe"), None);
        assert!(pod_of(&here)["containers"][0]["startupProbe"].is_object(), "{here}");
        both(&["delete", "deploy/web"], "");
    }
}

#[test]
fn workloads_older_than_the_webhook_are_reported() {
    let cluster = require!(cluster());
    let name = "missed";
    let watched = WebhookNamespace::new(&cluster, name, &[]);
    let run =
        |args: &[&str]| cluster.diyadm(watched.folder.path(), &[args, &["-n", name]].concat());
    // Made while the label was away.
    cluster.kubectl(&["label", "namespace", name, &format!("{name}-")], "");
    wait_until("the namespace is not looked after", || {
        let _ = cluster.try_kubectl(&["-n", name, "delete", "deploy/web"], "");
        let object = workload("Deployment", "web");
        cluster.create(name, &object);
        !diyadm::workload::is_emptied(&stored(&cluster, name, "deployment/web").to_string())
    });
    assert_eq!(run(&["status", "-o", "name"]).code(0).stdout, "");
    cluster.kubectl(&["label", "namespace", name, &format!("{name}=enabled")], "");
    let board = result(&run(&["status", "-o", "json"]).code(0));
    assert_eq!((&board[0]["name"], &board[0]["state"]), (&json!("web"), &json!("missed")));
    run(&["empty", "deploy/web", "--wait=false"]).code(0);
    let board = result(&run(&["status", "-o", "json"]).code(0));
    assert_eq!(board[0]["state"], "empty");
}

/// Emptied without a server, a later apply wins for the fields that it sets.
#[test]
fn later_apply_wins_over_client_emptying() {
    let cluster = require!(Workspace::new("drift"));
    let name = cluster.name;
    let run = |args: &[&str]| cluster.run(args);
    let apply = |object: &Value| {
        let apply = ["-n", name, "apply", "--server-side", "-f", "-"];
        cluster.kubectl(&apply, &object.to_string());
    };
    let mut object = workload("Deployment", "web");
    apply(&object);
    run(&["empty", "deploy/web", "--wait=false"]).code(0);
    object["spec"]["template"]["spec"]["containers"][0]["image"] = "app:2".into();
    apply(&object);
    let board = result(&run(&["status", "-o", "json"]).code(0));
    assert_eq!((&board[0]["state"], &board[0]["newer"]), (&json!("drifted"), &json!(true)));
    run(&["restore", "deploy/web", "--wait=false"]).code(0);
    let after = stored(&cluster, name, "deployment/web");
    assert_eq!(after["spec"], twin(&cluster, name, &object));
    assert_eq!(pod_of(&after)["containers"][0]["image"], "app:2");
}
