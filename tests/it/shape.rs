//! The Pod's shape while a workload is empty: flags, rules and annotation.

use std::fs;

use diyadm::workload::{self, Choice, Resources, Rules, Shape, Subject};
use serde_json::{Value, json};

use super::{
    generated::{applied, restored},
    rig::{Run, Workspace, diyadm},
};

mod on_node;

fn pod(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

fn deployment(name: &str, env: &Value) -> Value {
    let container = json!({
        "name": "app", "image": "app:1", "env": env,
        "resources": {
            "requests": { "cpu": "100m" }, "limits": { "cpu": "1", "memory": "512Mi" },
        },
        "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
        "securityContext": { "runAsUser": 1000 },
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": {
                    "containers": [container],
                    "volumes": [{ "name": "data", "emptyDir": {} }],
                    "nodeSelector": { "disk": "ssd" },
                },
            },
        },
    })
}

const FLAGS: [&str; 21] = [
    "--limits",
    "memory=4096Mi",
    "--requests",
    "cpu=0.5",
    "--env",
    "B=9",
    "--env",
    "X=",
    "--env-from",
    "configmap/tools",
    "--cache",
    "/root/.m2",
    "--cache=/data",
    "--cache",
    "/var/cache/x=claim",
    "--node-selector",
    "arch=big",
    "--toleration=dev=yes:NoSchedule",
    "--service-account=builder",
    "--security-context",
    "runAsUser=0,readOnlyRootFilesystem=false",
];

/// A pipeline deploys while the workload is empty. Its twin, which was never empty, has in the end
/// the same spec.
#[test]
fn shape_is_restored_with_what_was_deployed_meanwhile() {
    let cluster = require!(Workspace::new("shape"));
    let name = cluster.name;
    let env = |all: &[(&str, &str)]| -> Value {
        all.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    };
    let apply = |env: &Value| {
        for name in ["web", "twin"] {
            let text = deployment(name, env).to_string();
            cluster.kubectl(&["-n", cluster.name, "apply", "-f", "-"], &text);
        }
    };
    let same = |why: &str| {
        let [web, twin] = ["web", "twin"].map(|one| cluster.get(name, &format!("deploy/{one}")));
        assert_eq!(pod(&web).to_string(), pod(&twin).to_string(), "{why}");
        let annotations = web["metadata"]["annotations"].as_object().unwrap();
        assert!(annotations.keys().all(|key| !key.starts_with("diyadm.io/")), "{annotations:?}");
    };
    apply(&env(&[("A", "1"), ("B", "1")]));
    let empty = ["empty", "deploy/web", "--image", "keep", "--wait=false"];
    let empty = [&empty[..], &FLAGS].concat();
    cluster.run(&empty).code(0).stderr_has("diyadm.io/shape");

    let emptied = cluster.get(name, "deploy/web");
    let spec = pod(&emptied);
    let container = &spec["containers"][0];
    assert_eq!(
        container["resources"],
        json!({
            "requests": { "cpu": "500m" }, "limits": { "cpu": "1", "memory": "4Gi" },
        })
    );
    assert_eq!(
        container["env"],
        json!([{ "name": "A", "value": "1" }, { "name": "B", "value": "9" }, { "name": "X" }])
    );
    assert_eq!(container["envFrom"], json!([{ "configMapRef": { "name": "tools" } }]));
    let security = json!({ "runAsUser": 0, "readOnlyRootFilesystem": false });
    assert_eq!(container["securityContext"], security);
    assert_eq!(spec["nodeSelector"], json!({ "disk": "ssd", "arch": "big" }));
    assert_eq!(
        spec["tolerations"],
        json!([{ "key": "dev", "operator": "Equal", "value": "yes", "effect": "NoSchedule" }])
    );
    assert_eq!(
        (&spec["serviceAccountName"], &spec["serviceAccount"]),
        (&json!("builder"), &json!("builder"))
    );
    let paths: Vec<_> = container["volumeMounts"].as_array().unwrap().iter().collect();
    let paths: Vec<_> = paths.iter().map(|mount| mount["mountPath"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/data", "/root/.m2", "/var/cache/x"], "the workload mounts /data itself");
    let claims = spec["volumes"].as_array().unwrap().iter();
    let claims: Vec<_> =
        claims.filter(|volume| volume["persistentVolumeClaim"].is_object()).collect();
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0]["persistentVolumeClaim"]["claimName"], "claim");

    // Again changes nothing.
    cluster.run(&empty).code(0);
    let again = cluster.get(name, "deploy/web");
    assert_eq!(again["metadata"]["generation"], emptied["metadata"]["generation"]);

    // The pipeline: another value, one variable less and one more, then single changes.
    apply(&env(&[("A", "2"), ("C", "3")]));
    for target in ["deploy/web", "deploy/twin"] {
        cluster.kubectl(&["-n", name, "set", "resources", target, "--limits", "cpu=3"], "");
        cluster.kubectl(&["-n", name, "set", "env", target, "D=4"], "");
    }
    let updated = cluster.get(name, "deploy/web");
    let limits = &pod(&updated)["containers"][0]["resources"]["limits"];
    assert_eq!(*limits, json!({ "cpu": "3", "memory": "512Mi" }), "apply sets what it names");
    cluster.run(&["restore", "deploy/web", "--wait=false"]).code(0);
    same("after an update");

    // A limit that the API server refuses changes nothing.
    let refused = ["empty", "deploy/web", "--wait=false", "--limits", "cpu=50m"];
    cluster.run(&refused).code(1).stderr_has("must be less than or equal to cpu limit");
    same("after a refusal");

    // All limits go and come back.
    cluster.run(&["empty", "deploy/web", "--wait=false", "--resources", "none"]).code(0);
    let emptied = cluster.get(name, "deploy/web");
    assert_eq!(pod(&emptied)["containers"][0]["resources"], json!({}));
    cluster.run(&["restore", "deploy/web", "--wait=false"]).code(0);
    same("after no limits");

    // Only the copy gets the variable.
    let copy = ["empty", "deploy/web", "--copy", "me", "--dry-run=client", "-o", "json"];
    let made = cluster.run(&[&copy[..], &["--env", "A=9"]].concat()).code(0).stdout;
    let made: Value = serde_json::from_str(&made).unwrap();
    let env = &pod(&made)["containers"][0]["env"];
    assert!(env.as_array().unwrap().contains(&json!({ "name": "A", "value": "9" })), "{made}");
    same("beside a copy");
}

/// Nothing was deployed meanwhile.
/// The API server fills a dropped `serviceAccountName` with `serviceAccount`.
#[test]
fn service_account_that_a_manifest_drops_is_the_workloads_own() {
    let cluster = require!(Workspace::new("shape-account"));
    let apply = |account: Option<&str>| {
        for name in ["web", "twin"] {
            let mut object = deployment(name, &json!([]));
            if let Some(account) = account {
                object["spec"]["template"]["spec"]["serviceAccountName"] = account.into();
            }
            cluster.kubectl(&["-n", cluster.name, "apply", "-f", "-"], &object.to_string());
        }
    };
    let account = |name: &str| {
        let object = cluster.get(cluster.name, &format!("deploy/{name}"));
        ["serviceAccountName", "serviceAccount"].map(|field| pod(&object)[field].clone())
    };
    apply(Some("own"));
    let empty = ["empty", "deploy/web", "--image", "keep", "--wait=false"];
    cluster.run(&[&empty[..], &["--service-account", "builder"]].concat()).code(0);
    assert_eq!(account("web"), ["builder", "builder"]);
    apply(None);
    cluster.run(&["restore", "deploy/web", "--wait=false"]).code(0);
    assert_eq!(account("web"), account("twin"));
}

#[test]
fn another_shape_is_not_a_newer_version() {
    let rules =
        |shape: Shape| Rules { flags: Choice { shape, ..Choice::default() }, ..Rules::default() };
    let none = Shape { resources: Some(Resources::None), ..Shape::default() };
    let env = |name: &str| Shape {
        env: Some([(name.to_owned(), "9".to_owned())].into()),
        cache: Some(vec!["/cache".to_owned()]),
        service_account_name: Some(name.to_lowercase()),
        ..Shape::default()
    };
    let own = deployment("web", &json!([{ "name": "A", "value": "1" }]));
    let mut object = own.clone();
    for shape in [env("A"), none.clone(), Shape::default(), none, env("B")] {
        object = applied(&object, &workload::empty(&rules(shape), &object.to_string()));
        let text = object.to_string();
        let summary = Subject::parse(&text).unwrap().summary().unwrap().unwrap();
        assert!(summary.newer.is_none() && !summary.overtaken, "{object}");
    }
    assert_eq!(restored(&object), own);
}

#[test]
fn shape_of_rules_is_merged_with_flags_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| -> Run { diyadm(folder.path(), args) };
    let rules = "rules:\n- resources: {limits: {cpu: 2, memory: 4096Mi}}\n  env: {A: 1}\n";
    fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let text = deployment("web", &json!([])).to_string();
    fs::write(folder.path().join("web.json"), text).unwrap();
    let flags = ["--rules", "rules.yaml", "--env", "A=2", "--cache", "/c"];
    let explain = ["rules", "explain", "-f", "web.json"];
    let text = run(&[&explain[..], &flags].concat()).code(0).stdout;
    for (part, value, by) in [
        ("resources", r#"{"limits":{"cpu":"2","memory":"4Gi"}}"#, "rule 1"),
        ("env", r#"{"A":"1"}"#, "rule 1"),
        ("cache", r#"["/c"]"#, "flag"),
    ] {
        let line = format!("  {part:<11} {value:<26} {by}\n");
        assert!(text.contains(&line), "{line}{text}");
    }

    let fails = |rules: &str, why: &str| {
        fs::write(folder.path().join("wrong.yaml"), rules).unwrap();
        run(&["rules", "check", "wrong.yaml"]).code(2).stderr_has(why);
    };
    fails("rules:\n- {resources: some}\n", "rule 1: resources are `none`, or have");
    fails("rules:\n- {resources: {limit: {}}}\n", "unknown field `limit`");
    fails("rules:\n- {cache: [m2]}\n", "\"m2\" is not a folder like /root/.m2");
    fails("rules:\n- {env: {\"a b\": c}}\n", "\"a b\" is not the name of an environment variable");

    // A policy cannot do it, and says which part.
    fs::write(folder.path().join("ca.crt"), include_str!("../data/golden/ca.crt")).unwrap();
    let policy = ["render", "--ca", "ca.crt", "--mode", "policy"];
    let refused = run(&[&policy[..], &["--limits", "cpu=2"]].concat());
    refused.code(2).stderr_has("a policy cannot merge a Pod's own resources");
    let refused = run(&[&policy[..], &["--rules", "rules.yaml"]].concat());
    refused.code(2).stderr_has("a policy cannot merge a Pod's own resources");

    // The project file has the same keys.
    let project = |empty: &str| {
        let text = format!("workload: deploy/web\nempty: {{ {empty} }}\nrun: {{ command: [x] }}\n");
        fs::write(folder.path().join("diyadm.yaml"), text).unwrap();
        run(&["dev"])
    };
    project("resources: none, env: { A: 1 }, cache: [/c]").code(3);
    project("cache: [c]").code(2).stderr_has("\"c\" is not a folder");
    project("caches: [/c]").code(2).stderr_has("caches");
}
