//! The roles that `rights` prints, bound to a service account of the real API server: every command
//! works with exactly these rights. And what the commands say with fewer.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    rig::{Cluster, Run, Workspace, diyadm, wait_until},
    workloads::{account, result, user, workload},
};

/// The kubeconfig of the namespace's service account, which gets the roles that are printed for
/// `audience` by the commands that are printed with them.
fn given(cluster: &Cluster, folder: &Path, namespace: &str, args: &[&str]) -> String {
    let rights = [&["rights", "-n", namespace, "-o", "yaml"], args].concat();
    let yaml = diyadm(folder, &rights).code(0).stdout;
    bind(cluster, &yaml, &format!("--serviceaccount={namespace}:default"));
    account(cluster, folder, namespace, "default")
}

/// Creates printed roles, and binds them to a subject by the commands that are printed with them.
pub(crate) fn bind(cluster: &Cluster, yaml: &str, subject: &str) {
    cluster.kubectl(&["apply", "-f", "-"], yaml);
    let commands = yaml.lines().filter_map(|line| line.strip_prefix("#   kubectl "));
    let mut count = 0;
    for command in commands {
        let words =
            command.split(' ').map(|word| if word == "--user=NAME" { subject } else { word });
        cluster.kubectl(&words.collect::<Vec<_>>(), "");
        count += 1;
    }
    assert_eq!(count, 2, "a binding for each role: {yaml}");
}

/// Takes away what is not in the namespace.
pub(crate) fn forget(cluster: &Cluster, role: &str, namespace: &str) {
    for kind in ["clusterrole", "clusterrolebinding"] {
        cluster.kubectl(&["delete", kind, &format!("{role}-{namespace}")], "");
    }
}

#[track_caller]
fn is_allowed(run: &Run) {
    for word in ["may not", "You lack", "(403)", "not allowed"] {
        assert!(!run.stderr.contains(word), "{word}: {}\n{}", run.stderr, run.stdout);
    }
}

#[test]
fn printed_developer_role_is_enough_for_a_developer() {
    let cluster = require!(Workspace::new("rights-developer"));
    let (name, folder) = (cluster.name, cluster.folder());
    for kind in ["Deployment", "StatefulSet", "CronJob", "Job"] {
        cluster.create(name, &workload(kind, "web"));
    }
    let kubeconfig = given(&cluster, folder, name, &["--for", "developer"]);
    let run = |args: &[&str]| {
        let at = ["-n", name, "--kubeconfig", &kubeconfig];
        let (first, rest) = args.split_first().unwrap();
        let run = diyadm(folder, &[&[*first], &at[..], rest].concat());
        is_allowed(&run);
        run
    };
    fs::write(folder.join("diyadm.yaml"), "run: { command: [x] }\n").unwrap();
    run(&["plan"]).code(0);
    run(&["empty", "deploy/web", "sts/web", "cj/web", "--hold-autoscalers"]).code(0);
    run(&["empty", "job/web", "--recreate", "--wait=false"]).code(0);
    run(&["status", "-o", "wide"]).code(0);
    run(&["restore", "deploy/web", "sts/web", "cj/web"]).code(0);
    run(&["restore", "job/web", "--recreate", "--trust-original", "--wait=false"]).code(0);
    for command in [
        &["shell", "deploy/none", "--", "true"][..],
        &["run", "deploy/none", "--", "true"],
        &["ps", "deploy/none"],
        &["logs", "deploy/none"],
        &["sync", ".", "deploy/none:/x"],
        &["forward", "deploy/none", "80"],
        &["dev", "deploy/none"],
    ] {
        run(command).code(1).stderr_has("no deployment none");
    }
    forget(&cluster, "diyadm-developer", name);
}

#[test]
fn printed_installer_role_is_enough_for_an_installer() {
    let cluster = require!(Workspace::new("rights-installer"));
    let (name, folder) = (cluster.name, cluster.folder());
    let kubeconfig = given(&cluster, folder, name, &["--for", "installer", "--service", name]);
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label, "--kubeconfig", &kubeconfig];
    let run = |args: &[&str]| {
        let run = diyadm(folder, &[args, &names].concat());
        is_allowed(&run);
        assert_ne!(run.code, Some(3), "{args:?}: {}", run.stderr);
        run
    };
    run(&["init"]).code(0);
    run(&["render"]).code(0);
    run(&["install", "--dry-run=server"]).code(0);
    run(&["install", "--timeout", "0"]).code(1);
    run(&["check"]);
    run(&["verify", "--dry-run=server"]);
    run(&["uninstall", "--restore"]).code(0);
    run(&["uninstall", "--all"]);
    forget(&cluster, "diyadm-installer", name);
}

#[test]
fn plan_says_what_a_viewer_may_not_do() {
    let cluster = require!(Workspace::new("rights-viewer"));
    let (name, folder) = (cluster.name, cluster.folder());
    cluster.create(name, &workload("Deployment", "web"));
    let view =
        json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"] }]);
    let kubeconfig = user(&cluster, folder, name, &view);
    let run = |args: &[&str]| {
        diyadm(folder, &[args, &["-n", name, "--kubeconfig", &kubeconfig]].concat())
    };
    let plan = run(&["plan", "deploy/web"]).code(1);
    let missing = format!("you may not patch deployments.apps/web in namespace {name}");
    assert!(plan.stdout.contains(&missing), "{}", plan.stdout);
    assert!(!plan.stdout.contains("would be emptied"), "{}", plan.stdout);
    assert!(plan.stdout.contains("diyadm rights --for developer"), "{}", plan.stdout);
    let all = result(&run(&["plan", "-o", "json"]).code(0));
    assert_eq!(all[0]["does"], "nothing");
    assert_eq!(all[0]["why"], missing);
}

/// Exactly the two rights that emptying takes, on one object by its name.
#[test]
fn workload_that_may_only_be_got_by_name_is_found_without_its_name() {
    let cluster = require!(Workspace::new("rights-one"));
    let (name, folder) = (cluster.name, cluster.folder());
    for of_it in ["web", "other"] {
        let object = workload("Deployment", of_it).to_string();
        cluster.kubectl(&["-n", name, "create", "-f", "-"], &object);
    }
    let rules = json!([{
        "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["web"],
        "verbs": ["get", "patch"],
    }]);
    let kubeconfig = user(&cluster, folder, name, &rules);
    let run = |args: &[&str]| {
        diyadm(folder, &[args, &["-n", name, "--kubeconfig", &kubeconfig]].concat())
    };
    let unseen =
        "deployments.apps may not be listed, so only those that you may get by name are found";
    // An authorizer knows of a new role after a moment.
    wait_until("the role is known", || run(&["plan"]).code == Some(0));
    for words in [&["plan"][..], &["plan", "deploy"], &["plan", "deploy/web"]] {
        let plan = run(words).code(0);
        let is_planned = |line: &str| line.contains("web") && line.contains("would be emptied");
        assert!(plan.stdout.lines().any(is_planned), "{}", plan.stdout);
        assert!(!plan.stdout.contains("deployment/other"), "{}", plan.stdout);
        if words.last() != Some(&"deploy/web") {
            plan.stderr_has(unseen);
        }
    }
    run(&["empty", "deploy/web", "--wait=false"]).code(0);
    for words in [&["status", "-o", "json"][..], &["status", "deploy/web", "-o", "json"]] {
        let rows: Value = result(&run(words).code(0));
        assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
        assert_eq!((&rows[0]["name"], &rows[0]["state"]), (&json!("web"), &json!("empty")));
    }
    run(&["restore", "deploy/web", "--wait=false"]).code(0);
    run(&["status", "sts"]).code(3).stderr_has("list statefulsets.apps");
}

#[test]
fn missing_rights_are_printed_as_a_table() {
    let cluster = require!(Workspace::new("rights-none"));
    let (name, folder) = (cluster.name, cluster.folder());
    let kubeconfig = user(&cluster, folder, name, &json!([]));
    let run =
        diyadm(folder, &["install", "-n", name, "--service", name, "--kubeconfig", &kubeconfig]);
    let run = run.code(3).stderr_has("rights; nothing was changed.");
    let run = run.stderr_has(&format!("`diyadm rights --for installer -n {name} -o yaml`"));
    let line = run.stderr.lines().find(|line| line.contains("secrets/webhook-secret"));
    let line = line.expect("a line for each object");
    assert!(line.contains("get,patch") && line.contains(name), "{line}");
    let longest = run.stderr.lines().filter(|line| !line.contains('`')).map(str::len).max();
    assert!(longest < Some(160), "{}", run.stderr);
}
