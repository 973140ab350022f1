//! The commands with missing and with narrow rights.

use std::fs;

use serde_json::{Value, json};

use super::{
    install::findings,
    rig::{Workspace, diyadm},
};

#[test]
fn missing_rights_are_named() {
    let cluster = require!(Workspace::new("rights"));
    let (name, folder) = (cluster.name, cluster.folder());
    let token = cluster.kubectl(&["-n", name, "create", "token", "default"], "");
    let kubeconfig = |change: &dyn Fn(&mut Value)| {
        let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
        let mut config: Value = serde_json::from_str(&cluster.kubectl(&view, "")).unwrap();
        config["users"][0]["user"] = json!({ "token": token.trim() });
        change(&mut config);
        let file = folder.join("kubeconfig");
        fs::write(&file, config.to_string()).unwrap();
        file.display().to_string()
    };
    let names = ["-n", name, "--service", name];
    let run = |args: &[&str], file: &str| {
        diyadm(folder, &[args, &names, &["--kubeconfig", file]].concat())
    };

    let poor = kubeconfig(&|_| ());
    for (command, right) in [
        ("init", ["secrets ", "NAME", "create"]),
        (
            "install",
            ["mutatingwebhookconfigurations.admissionregistration.k8s.io/NAME ", "-", "patch"],
        ),
        ("uninstall", ["may not get namespaces/NAME", "nor", "patch namespaces/NAME"]),
        ("verify", ["deployments.apps ", "NAME", "create"]),
    ] {
        let run = run(&[command], &poor).code(3).stderr_has("kubectl auth can-i");
        let has = |line: &str| right.iter().all(|word| line.contains(&word.replace("NAME", name)));
        assert!(run.stderr.lines().any(has), "{command}: {right:?}: {}", run.stderr);
    }
    for (command, right) in [
        ("render", "get secrets/webhook-secret in namespace NAME"),
        ("status", "in namespace NAME (403)"),
        ("empty --all", "in namespace NAME (403)"),
        ("restore deploy/x", "get deployments.apps/x in namespace NAME (403)"),
    ] {
        let words: Vec<_> = command.split(' ').chain(["-n", name, "--kubeconfig", &poor]).collect();
        diyadm(folder, &words)
            .code(3)
            .stderr_has(&right.replace("NAME", name))
            .stderr_has("kubectl auth can-i");
    }
    // Each asks before it does anything, and names all that is missing.
    fs::write(folder.join("diyadm.yaml"), "run: { command: [x] }\n").unwrap();
    for (command, right) in [
        ("shell deploy/x", "  pods/exec "),
        ("run deploy/x -- true", "  pods/exec "),
        ("stop deploy/x", "  pods/exec "),
        ("restart deploy/x", "  pods/exec "),
        ("ps deploy/x", "  pods/exec "),
        ("logs deploy/x", "  pods/exec "),
        ("sync . deploy/x:/x", "  pods/exec "),
        ("sync . :/x -l a=b", "  pods/exec "),
        ("forward deploy/x 80", "  pods/portforward "),
        ("dev deploy/x --no-empty", "  pods/portforward "),
    ] {
        let (first, rest) = command.split_once(' ').unwrap();
        let at = [first, "-n", name, "--kubeconfig", &poor];
        let words: Vec<_> = at.into_iter().chain(rest.split(' ')).collect();
        diyadm(folder, &words)
            .code(3)
            .stderr_has("  pods ")
            .stderr_has(right)
            .stderr_has("kubectl auth can-i");
    }
    // Findings, not an error: some could be looked at.
    let check = run(&["check", "-o", "json"], &poor);
    assert!(findings(&check).contains(&("secret".to_owned(), "unknown".to_owned())));
    assert!(findings(&check).contains(&("version".to_owned(), "ok".to_owned())));
    assert_eq!(check.code, Some(2), "{}", check.stdout);

    let stranger = kubeconfig(&|c| c["users"][0]["user"] = json!({ "token": "wrong" }));
    run(&["init"], &stranger).code(3).stderr_has("401");
    run(&["check"], &stranger).code(2).stderr_has("401");
    let nowhere = kubeconfig(&|c| {
        c["clusters"][0]["cluster"] = json!({ "server": "https://127.0.0.1:1" });
    });
    run(&["init"], &nowhere).code(3).stderr_has("could not be reached");
    run(&["check"], &nowhere).code(2).stderr_has("could not be reached");
    run(&["init", "--context", "none"], &poor).code(3).stderr_has("no context none");
    fs::write(&poor, "token: hunter2: [").unwrap();
    let junk = run(&["init"], &poor).code(3);
    assert!(!junk.stderr.contains("hunter2"), "{}", junk.stderr);
}

/// Rights as narrow as they can be: each object by its name, nothing that is there may be created.
#[test]
fn rights_by_object_name_are_enough() {
    let cluster = require!(Workspace::new("narrow-rights"));
    let (name, folder) = (cluster.name, cluster.folder());
    let by_name = |group: &str, resource: &str, verbs: &[&str], name: &str| {
        json!({
            "apiGroups": [group], "resources": [resource], "verbs": verbs, "resourceNames": [name],
        })
    };
    let all = ["get", "patch", "create", "delete"];
    let webhooks = "admissionregistration.k8s.io";
    let rbac = "rbac.authorization.k8s.io";
    let subject = json!([{ "kind": "ServiceAccount", "name": "default", "namespace": name }]);
    let role = |kind: &str, rules: &Value| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "rules": rules,
            "metadata": { "name": name, "namespace": name },
        })
    };
    let binding = |kind: &str, role: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "subjects": subject,
            "metadata": { "name": name, "namespace": name },
            "roleRef": { "apiGroup": rbac, "kind": role, "name": name },
        })
    };
    let wide = json!([
        by_name("", "namespaces", &["get", "patch"], name),
        by_name(webhooks, "mutatingwebhookconfigurations", &all, name),
    ]);
    let narrow = json!([
        by_name("", "secrets", &all, "webhook-secret"),
        by_name("apps", "deployments", &all, name),
        by_name("", "services", &all, name),
        by_name("policy", "poddisruptionbudgets", &all, name),
        by_name("", "configmaps", &["delete"], &format!("{name}-rules")),
        { "apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"] },
        // The dry-run create that is waited for, under whatever name.
        { "apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"] },
    ]);
    for object in [
        role("ClusterRole", &wide),
        role("Role", &narrow),
        binding("ClusterRoleBinding", "ClusterRole"),
        binding("RoleBinding", "Role"),
    ] {
        cluster.kubectl(&["apply", "-f", "-"], &object.to_string());
    }
    let token = cluster.kubectl(&["-n", name, "create", "token", "default"], "");
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    let mut config: Value = serde_json::from_str(&cluster.kubectl(&view, "")).unwrap();
    config["users"][0]["user"] = json!({ "token": token.trim() });
    fs::write(folder.join("narrow"), config.to_string()).unwrap();

    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label, "--kubeconfig", "narrow"];
    let run = |args: &[&str]| diyadm(folder, &[args, &names].concat());
    // The label is kubectl's and says the same: both own it from now on.
    run(&["init"]).code(0).stderr_has("secret/webhook-secret created");
    run(&["init"]).code(0).stderr_has("Nothing to do");
    run(&["install", "--timeout", "0"]).code(1).stderr_has("not switched on");
    run(&["install", "--dry-run=server"]).code(0);
    run(&["init", "--rotate"]).code(0).stderr_has("No webhook is installed");
    run(&["verify", "--dry-run=server"]).code(1);
    // Everything is done by then, but for a look that is not allowed.
    let gone = run(&["uninstall", "--all"]).code(0).stderr_has("could not be listed");
    gone.stderr_has(&format!("namespace/{name} unlabelled"));
    for kind in ["clusterrole", "clusterrolebinding"] {
        cluster.kubectl(&["delete", kind, name], "");
    }
}
