//! Every way in which the call of a webhook fails, provoked on the real API server under both
//! failure policies, and explained by `check` and `verify`.

mod broken_servers;
mod chains;
mod events;
mod own_server;

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::rig::{Cluster, Net, Run, Server, reaching_cluster, wait_until};
use broken_servers::{Authority, Flaw, Stand, stand};

fn answer(response: &Value) -> Value {
    json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response })
}

/// A configuration that calls `client` for the Deployments of one namespace.
fn configuration(name: &str, policy: &str, client: &Value) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": name },
        "webhooks": [{
            "name": format!("{name}.{name}.svc"),
            "admissionReviewVersions": ["v1"],
            "clientConfig": client,
            "rules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["deployments"],
            }],
            "namespaceSelector": { "matchLabels": { name: "enabled" } },
            "failurePolicy": policy,
            "sideEffects": "None",
            "timeoutSeconds": 1,
        }],
    })
}

/// `check` and `verify` of this webhook.
fn ask(cluster: &Cluster, name: &str, args: &[&str]) -> Run {
    let label = format!("{name}=enabled");
    let names = ["-o", "json", "-n", name, "--service", name, "--label", &label];
    cluster.diyadm(Path::new("."), &[args, &names].concat()).code(1)
}

/// The finding of a report that says `wanted` has failed; each has a command to type.
fn failed(run: &Run, wanted: &str) -> Option<Value> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let all = report["findings"].as_array().unwrap();
    let found = all.iter().find(|f| f["id"] == wanted && f["level"] == "failed")?;
    assert!(found["hint"].as_str().unwrap().contains('`'), "a command to type: {found}");
    Some(found.clone())
}

#[track_caller]
fn names(run: &Run, wanted: &str) {
    assert!(failed(run, wanted).is_some(), "{wanted} is not told: {}", run.stdout);
}

/// A dry-run create, until the API server says what it should: it knows a new configuration
/// after a moment.
#[track_caller]
fn create_until(cluster: &Cluster, namespace: &str, what: &str, holds: impl Fn(&Run) -> bool) {
    let object = diyadm::webhook::manifests::test_deployment(namespace).unwrap().to_string();
    wait_until(what, || {
        holds(&cluster.try_kubectl(&["create", "--dry-run=server", "-f", "-"], &object))
    });
}

/// One way to fail.
struct Row {
    /// The finding's id.
    wanted: &'static str,
    /// What the API server says.
    text: &'static str,
    stand: Stand,
    trust: Trust,
}

/// What the API server is to trust.
enum Trust {
    Right,
    Wrong,
    Nothing,
}

fn rows() -> Vec<Row> {
    let good = |uid: &str| (200, answer(&json!({ "uid": uid, "allowed": true })));
    let row = |wanted, text, stand| Row { wanted, text, stand, trust: Trust::Right };
    let says = |wanted, text, answer| row(wanted, text, Stand::Tls(Flaw::None, answer));
    let unknown_ca = |trust| {
        let text =
            "tls: failed to verify certificate: x509: certificate signed by unknown authority";
        Row { trust, ..says("unknown-ca", text, good) }
    };
    let certificate = |wanted, text, flaw| row(wanted, text, Stand::Tls(flaw, good));
    vec![
        unknown_ca(Trust::Wrong),
        unknown_ca(Trust::Nothing),
        certificate(
            "expired",
            "x509: certificate has expired or is not yet valid: current time ",
            Flaw::Expired,
        ),
        certificate(
            "wrong-name",
            "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
            Flaw::OtherName,
        ),
        certificate(
            "common-name-only",
            "x509: certificate relies on legacy Common Name field, use SANs instead",
            Flaw::CommonNameOnly,
        ),
        certificate(
            "key-usage",
            "x509: certificate specifies an incompatible key usage",
            Flaw::ClientOnly,
        ),
        row("plain-http", "http: server gave HTTP response to HTTPS client", Stand::Plain),
        row("too-slow", "context deadline exceeded", Stand::Mute),
        row("closed", "EOF", Stand::Closes),
        row("connection-refused", "connect: connection refused", Stand::Nobody),
        says(
            "no-type-meta",
            "received invalid webhook response: expected webhook response of \
             admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=",
            |uid| (200, json!({ "response": { "uid": uid, "allowed": true } })),
        ),
        // What the API server says of a version that it does not know …
        says(
            "unknown-version",
            "no kind \"AdmissionReview\" is registered for version \"admission.k8s.io/v2\" in scheme",
            |uid| {
                let mut answer = answer(&json!({ "uid": uid, "allowed": true }));
                answer["apiVersion"] = "admission.k8s.io/v2".into();
                (200, answer)
            },
        ),
        // … and what a server as old as the blog's example says of v1: it denies with its error.
        says(
            "unknown-version",
            "denied the request: no kind \"AdmissionReview\" is registered for version",
            |uid| {
                let error = "no kind \"AdmissionReview\" is registered for version \
                             \"admission.k8s.io/v1\" in scheme \"pkg/runtime/scheme.go:101\"";
                let status = json!({ "message": error });
                (200, answer(&json!({ "uid": uid, "allowed": false, "status": status })))
            },
        ),
        says("wrong-uid", "received invalid webhook response: expected response.uid=\"", |_| {
            (200, answer(&json!({ "uid": "else", "allowed": true })))
        }),
        says(
            "patch-without-type",
            "webhook returned response.patch but not response.patchType",
            |uid| {
                let patch = STANDARD.encode("[]");
                (200, answer(&json!({ "uid": uid, "allowed": true, "patch": patch })))
            },
        ),
        says(
            "patch-without-type",
            "webhook returned response.patchType but not response.patch",
            |uid| {
                let kind = "JSONPatch";
                (200, answer(&json!({ "uid": uid, "allowed": true, "patchType": kind })))
            },
        ),
        says("server-bug", "diyadm: a bug kept the review from being answered", |_| {
            let message = "diyadm: a bug kept the review from being answered";
            let status = diyadm::webhook::admission::status(500, "InternalError", message);
            (500, serde_json::from_slice(&status).unwrap())
        }),
        says("denied", "denied the request: not today", |uid| {
            let status = json!({ "message": "not today" });
            (200, answer(&json!({ "uid": uid, "allowed": false, "status": status })))
        }),
    ]
}

#[test]
fn check_and_verify_explain_every_failure_text() {
    let cluster = require!(reaching_cluster());
    let name = cluster.name("failures");
    let _namespace = cluster.namespace(name);
    let (authority, other) = (Authority::new(), Authority::new());
    for Row { wanted, text, stand: what, trust } in rows() {
        let url = format!("https://127.0.0.1:{}/mutating-pods", stand(&authority, what));
        let mut client = json!({ "url": url });
        match trust {
            Trust::Right => client["caBundle"] = STANDARD.encode(authority.pem()).into(),
            Trust::Wrong => client["caBundle"] = STANDARD.encode(other.pem()).into(),
            Trust::Nothing => {}
        }
        let apply = |policy| {
            let object = configuration(name, policy, &client).to_string();
            cluster.kubectl(&["apply", "-f", "-"], &object);
        };
        apply("Fail");
        create_until(&cluster, name, text, |run| run.stderr.contains(text));
        names(&ask(&cluster, name, &["check"]), wanted);
        names(&ask(&cluster, name, &["verify"]), wanted);

        apply("Ignore");
        if text.contains("denied") {
            // A denial holds under Ignore too.
            create_until(&cluster, name, text, |run| run.stderr.contains(text));
            names(&ask(&cluster, name, &["check"]), wanted);
            continue;
        }
        // The create goes through, and the reason takes a probe.
        create_until(&cluster, name, "created", |run| run.code == Some(0));
        names(&ask(&cluster, name, &["check"]), "dry-run");
        names(&ask(&cluster, name, &["check", "--probe"]), wanted);
        names(&ask(&cluster, name, &["verify"]), "dry-run");
    }
    let probes = ["get", "mutatingwebhookconfigurations", "-l", "diyadm.io/probe", "-o", "name"];
    assert_eq!(cluster.kubectl(&probes, ""), "", "every probe is gone");
    let left = ["-n", name, "get", "deployments", "-o", "name"];
    assert_eq!(cluster.kubectl(&left, ""), "", "verify leaves nothing");
}

#[test]
fn check_explains_a_broken_service() {
    let cluster = require!(reaching_cluster());
    let net = require!(Net::of_service());
    let name = cluster.name("failing-service");
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name}=enabled");
    let names_of = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| cluster.diyadm(folder.path(), &[args, &names_of].concat());
    run(&["init"]).code(0);
    let render = |policy: &str| {
        let yaml = run(&["render", "--failure-policy", policy]).code(0).stdout;
        cluster.kubectl(&["apply", "-f", "-"], &yaml);
    };
    let patch = |pointer: &str, value: &str| {
        let patch = json!([{ "op": "replace", "path": pointer, "value": value }]).to_string();
        let what = ["patch", "mutatingwebhookconfiguration", name, "--type=json", "-p", &patch];
        cluster.kubectl(&what, "");
    };
    // Under Fail the text, and under Ignore what a probe makes of it.
    let both = |wanted: &str, text: &str| {
        create_until(&cluster, name, text, |run| run.stderr.contains(text));
        let seen = ask(&cluster, name, &["check"]);
        names(&seen, wanted);
        patch("/webhooks/0/failurePolicy", "Ignore");
        create_until(&cluster, name, "created", |run| run.code == Some(0));
        names(&ask(&cluster, name, &["check"]), "dry-run");
        names(&ask(&cluster, name, &["check", "--probe"]), wanted);
        patch("/webhooks/0/failurePolicy", "Fail");
        create_until(&cluster, name, text, |run| run.stderr.contains(text));
        seen.stdout
    };
    render("Fail");
    both("no-endpoints", &format!("no endpoints available for service \"{name}\""));
    run(&["verify"]).code(1).stderr_has("no Pod of the webhook is ready behind its Service");

    cluster.kubectl(&["apply", "-f", "-"], &net.slice(name, name));
    both(
        "connection-refused",
        &format!("dial tcp {}:8443: connect: connection refused", net.address),
    );

    // Certificates of another Service behind this one.
    let conf = diyadm::webhook::manifests::csr_conf("else", name);
    fs::write(folder.path().join("csr.conf"), conf).unwrap();
    let out = ["init", "--out", ".", "--service", "else", "-n", name];
    super::rig::diyadm(folder.path(), &out).code(0);
    let _server = Server::start_in(&net, folder.path(), &[]);
    // Go looks at the name before the signature.
    let text = format!(", not {name}.{name}.svc");
    both("wrong-name", &text);
    let bundle = "/webhooks/0/clientConfig/caBundle";
    patch(bundle, &STANDARD.encode(fs::read(folder.path().join("ca.crt")).unwrap()));
    let seen = both("wrong-name", &text);
    assert!(seen.contains("the caBundle does not hold the CA"), "{seen}");
    // Junk is taken by the API server, and found by us.
    patch(bundle, &STANDARD.encode("junk"));
    let text = "unable to load root certificates: unable to parse bytes as PEM block";
    let seen = both("ca-bundle-junk", text);
    assert!(seen.contains("the caBundle holds no PEM certificate"), "{seen}");
}
