//! Policies of the cluster that deny the emptied form of a valid manifest.

use serde_json::{Value, json};

use crate::rig::{Run, Workspace, wait_until};

/// A policy on what is created and updated in one namespace.
fn policy(name: &str, namespace: &str, (group, resource): (&str, &str), expression: &str) -> Value {
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": name },
        "spec": {
            "matchConstraints": { "resourceRules": [{
                "apiGroups": [group], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": [resource],
            }] },
            "failurePolicy": "Fail",
            "validations": [{ "expression": expression, "message": format!("broken: {name}") }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": name },
        "spec": {
            "policyName": name, "validationActions": ["Deny"],
            "matchResources": { "namespaceSelector": { "matchLabels": {
                "kubernetes.io/metadata.name": namespace,
            } } },
        },
    });
    json!({ "apiVersion": "v1", "kind": "List", "items": [policy, binding] })
}

fn workload(version: &str, kind: &str, spec: &Value) -> Value {
    let probe = json!({ "httpGet": { "port": 8080 } });
    let container = json!({
        "name": "app", "image": "registry.example/app:1", "readinessProbe": probe,
        "resources": { "limits": { "memory": "64Mi" } },
    });
    let template = json!({
        "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [container] },
    });
    let mut object = json!({
        "apiVersion": version, "kind": kind, "metadata": { "name": "web" },
        "spec": { "selector": { "matchLabels": { "app": "web" } }, "template": template },
    });
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object
}

#[test]
fn plan_names_the_policy_that_denies_the_emptied_form() {
    let cluster = require!(Workspace::new("plan-denied"));
    let (name, folder) = (cluster.name, cluster.folder());
    let claim = json!({
        "metadata": { "name": "data" },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
        },
    });
    let mut stateful =
        workload("apps/v1", "StatefulSet", &json!({ "volumeClaimTemplates": [claim] }));
    stateful["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{ "name": "data", "mountPath": "/data" }]);
    for object in [workload("apps/v1", "Deployment", &json!({})), stateful] {
        cluster.create(name, &object);
    }
    let plan =
        |args: &[&str]| -> Run { cluster.diyadm(folder, &[&["plan", "-n", name], args].concat()) };
    let both = plan(&["deploy/web", "sts/web"]).code(0);
    assert!(!both.stdout.contains("denies"), "{}", both.stdout);
    let of_pods = "object.spec.containers.all(c, ";
    let of_template = "object.spec.template.spec.containers.all(c, ";
    for (rule, kind, expression, fits) in [
        ("probes", ("", "pods"), format!("{of_pods}has(c.readinessProbe))"), "deploy/none"),
        (
            "tags",
            ("apps", "deployments"),
            format!("{of_template}!c.image.endsWith(':latest'))"),
            "--image=registry.example/idle:1",
        ),
        (
            "registry",
            ("", "pods"),
            format!("{of_pods}c.image.startsWith('registry.example/'))"),
            "--image=registry.example/idle:1",
        ),
    ] {
        let policy_name = format!("{name}-{rule}");
        let policy = policy(&policy_name, name, kind, &expression).to_string();
        let made = cluster.try_kubectl(&["create", "-f", "-"], &policy);
        require!(made.code == Some(0), "this API server has no ValidatingAdmissionPolicy v1");
        let denies = format!("ValidatingAdmissionPolicy {policy_name} denies");
        // A policy that has just come counts after a moment.
        wait_until("the policy denies", || plan(&["deploy/web"]).stdout.contains(&denies));
        let run = plan(&["deploy/web"]);
        assert!(run.stdout.contains(&format!("broken: {policy_name}")), "{}", run.stdout);
        let is_of_pods = kind.1 == "pods";
        assert_eq!(run.code, Some(i32::from(!is_of_pods)), "{}", run.stdout);
        assert_eq!(run.stdout.contains("stays as it is"), !is_of_pods, "{}", run.stdout);
        if is_of_pods {
            // Volumes that it would claim do not stand in the way.
            assert!(plan(&["sts/web"]).stdout.contains(&denies));
        }
        if fits.starts_with("--image") {
            let run = plan(&["deploy/web", fits]).code(0);
            assert!(!run.stdout.contains(&denies), "{}", run.stdout);
        }
        if rule == "probes" {
            // The sample of `check` has no probe either.
            let args = ["check", "-n", name, "--service", name];
            let run = cluster.diyadm(folder, &args);
            let sample = format!("{denies} this command's sample object, emptied or not");
            let said = run.stdout + &run.stderr;
            assert!(said.contains(&sample), "{said}");
        }
        // Nothing was stored.
        assert!(
            cluster.get(name, "deploy/web")["metadata"]["annotations"]["diyadm.io/original"]
                .is_null()
        );
        cluster.kubectl(&["delete", "-f", "-"], &policy);
    }
}
