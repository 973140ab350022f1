//! Shell completion: the script itself, in real shells, on the real API server.

use std::process::Command;

use serde_json::json;

use super::rig::{Run, Workspace, diyadm};

/// Each runs the whole script `$SCRIPT` with the line `$LINE` that was typed so far, and prints what
/// the shell would offer.
pub(crate) const BASH: &str = r#"
eval "$SCRIPT"
read -ra COMP_WORDS <<< "$LINE"
[[ "$LINE" == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_TYPE=9
compopt() { :; }
_clap_complete_diyadm diyadm "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;
/// What zsh's own `_describe` would show.
const ZSH: &str = r#"
compdef() { :; }
_describe() { local name=${@[-1]}; print -rl -- "${(@P)name}"; }
eval "$SCRIPT"
words=("${(@s: :)LINE}")
CURRENT=${#words}
_clap_dynamic_completer_diyadm
"#;
const FISH: &str = r#"
echo $SCRIPT | source
complete -C $LINE
"#;

/// What a shell offers, without the descriptions.
fn offered_by(shell: &str, script: &str, line: &str) -> Vec<String> {
    let mut command = Command::new(shell);
    match shell {
        "bash" => command.args(["--norc", "-c", BASH]),
        "zsh" => command.args(["-f", "-c", ZSH]),
        _ => command.args(["--no-config", "-c", FISH]),
    };
    command.env("SCRIPT", script).env("LINE", line);
    let folder = tempfile::tempdir().unwrap();
    let home = command.env_remove("KUBECONFIG").env("HOME", folder.path());
    let run = Run::of(home, "").code(0);
    let name = |line: &str| {
        let line = line.split('\t').next().unwrap_or_default();
        // zsh's description follows a colon; one of the name itself is escaped.
        let line = line.replace("\\:", "\u{0}");
        let line = if shell == "zsh" { line.split(':').next().unwrap() } else { &line };
        line.replace('\u{0}', ":")
    };
    run.stdout.lines().map(name).filter(|line| !line.is_empty()).collect()
}

fn offered(script: &str, line: &str) -> Vec<String> {
    offered_by("bash", script, line)
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

    // Namespaces, containers, contexts.
    let flags = cluster.flags();
    assert_eq!(offered(&format!("diyadm status{flags} -n {name}")), [name]);
    let empty = format!("diyadm empty{place} deploy/web --containers ");
    assert_eq!(offered(&empty), ["a"]);
    let logs = format!("diyadm logs{place} deploy/web -c ");
    assert_eq!(offered(&logs), ["a"]);
    assert_eq!(offered(&format!("diyadm sync{place} . deploy/wo")), ["deploy/worker:"]);
    let contexts = cluster.kubectl(&["config", "get-contexts", "-o", "name"], "");
    let contexts: Vec<_> = contexts.lines().collect();
    assert_eq!(offered(&format!("diyadm status{flags} --context ")), contexts);

    // The same in other shells; CI has those that its image has.
    for shell in ["zsh", "fish"] {
        if Command::new(shell).arg("--version").output().is_err() {
            eprintln!("not tried, since it is not installed: {shell}");
            continue;
        }
        let script = diyadm(folder, &["completions", shell]).code(0).stdout;
        let offered = |line: &str| offered_by(shell, &script, line);
        assert_eq!(offered(&line("deploy/")), ["deploy/web", "deploy/worker"], "{shell}");
        assert_eq!(offered(&format!("diyadm status{flags} -n {name}")), [name], "{shell}");
        assert_eq!(offered(&logs), ["a"], "{shell}");
        assert_eq!(offered("diyadm unin"), ["uninstall"], "{shell}");
    }

    // Commands and flags, without a cluster; and one that is not there is not waited for.
    assert_eq!(offered("diyadm unin"), ["uninstall"]);
    assert_eq!(offered("diyadm restore --force"), ["--force-from"]);
    assert!(offered("diyadm restore --kubeconfig /nonexistent deploy/").is_empty());
}
