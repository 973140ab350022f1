//! What completion offers, in bash, on the real API server. `dev/completion.rs` presses TAB in each
//! shell.

use std::process::Command;

use serde_json::json;

use super::rig::{Run, Workspace, diyadm};

/// The whole script with a line that was typed so far; what bash would offer.
const BASH: &str = r#"
eval "$SCRIPT"
read -ra COMP_WORDS <<< "$LINE"
[[ "$LINE" == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_TYPE=9
compopt() { :; }
_clap_complete_diyadm diyadm "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

fn offered(script: &str, line: &str) -> Vec<String> {
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", BASH]).env("SCRIPT", script).env("LINE", line);
    let run = Run::of(bash.env_remove("KUBECONFIG").env("HOME", "/nonexistent"), "").code(0);
    run.stdout.lines().map(ToOwned::to_owned).filter(|line| !line.is_empty()).collect()
}

#[test]
fn completion_offers_workloads_of_the_cluster() {
    let cluster = require!(Workspace::new("completion"));
    let (name, folder) = (cluster.name, cluster.folder());
    let pod = json!({ "containers": [{ "name": "a", "image": "b" }] });
    for (kind, of) in [("Deployment", "web"), ("Deployment", "worker"), ("StatefulSet", "web")] {
        let labels = json!({ "app": format!("{kind}-{of}") });
        let object = json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": of },
            "spec": {
                "replicas": 0, "serviceName": "x", "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": pod },
            },
        });
        let create = ["-n", name, "create", "--validate=ignore", "-f", "-"];
        cluster.kubectl(&create, &object.to_string());
    }
    let script = diyadm(folder, &["completions", "bash"]).code(0).stdout;
    let place = format!("{} -n {name}", cluster.flags());
    let offered = |words: &str| offered(&script, words);

    let line = |rest: &str| format!("diyadm restore{place} {rest}");
    assert_eq!(offered(&line("deploy/")), ["deploy/web", "deploy/worker"]);
    assert_eq!(offered(&line("deploy/wo")), ["deploy/worker"]);
    assert_eq!(offered(&line("sts/")), ["sts/web"]);
    assert_eq!(offered(&line("statefulset/w")), ["statefulset/web"]);
    assert_eq!(offered(&line("deploy/web d")), ["deployment/web", "deployment/worker"]);
    assert!(offered(&line("nothing/")).is_empty());
    let shell = format!("diyadm shell{place} deployment/we");
    assert_eq!(offered(&shell), ["deployment/web"]);

    // Namespaces.
    let flags = cluster.flags();
    assert_eq!(offered(&format!("diyadm status{flags} -n {name}")), [name]);

    // Commands and flags, without a cluster; and one that is not there is not waited for.
    assert_eq!(offered("diyadm unin"), ["uninstall"]);
    assert_eq!(offered("diyadm restore --force"), ["--force-from"]);
    assert!(offered("diyadm restore --kubeconfig /nonexistent deploy/").is_empty());
}
