//! The commands in hints, run as they are printed: each fixes its error. And how a command shows
//! that it waits, and ends at Ctrl-C.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use diyadm::pki::{self, KeyKind, Request, Terms};
use serde_json::{Value, json};

use super::{
    install::mount,
    rig::{Cluster, Net, Run, Server, TIMEOUT, cluster, reaching_cluster, wait_until},
};

/// Types every `diyadm …` of a hint. After each the kubelet has its turn.
#[track_caller]
fn follow(cluster: &Cluster, folder: &Path, hint: &str, namespace: &str, more: &[&str]) {
    let commands: Vec<_> =
        hint.split('`').skip(1).step_by(2).filter(|c| c.starts_with("diyadm ")).collect();
    assert!(!commands.is_empty(), "a command to type: {hint}");
    for command in commands {
        // The hint itself says which cluster.
        let mut program = super::rig::program(folder);
        let words = command.split(' ').skip(1).filter(|word| !word.is_empty());
        let install = command.starts_with("diyadm install");
        program.args(words).args(if install { &["--timeout", TIMEOUT][..] } else { &[] });
        Run::of(program.args(more), "").code(0);
        mount(cluster, namespace, folder);
    }
}

/// Types what `check` says to do about the finding `id`, once it has it.
#[track_caller]
fn mend(cluster: &Cluster, folder: &Path, names: &[&str], id: &str, more: &[&str]) {
    let mut hint = None;
    // An API server hears of a changed configuration after a moment.
    wait_until(&format!("check says {id}"), || {
        let report = cluster.diyadm(folder, &[&["check", "-o", "json"], names].concat()).stdout;
        let report: Value = serde_json::from_str(&report).unwrap();
        let mut all = report["findings"].as_array().unwrap().iter();
        let found = all.find(|f| f["id"] == id && f["level"] != "ok");
        hint = found.map(|found| found["hint"].as_str().unwrap().to_owned());
        hint.is_some()
    });
    follow(cluster, folder, &hint.unwrap(), names[1], more);
}

/// `check` is content, after a moment.
#[track_caller]
fn well(cluster: &Cluster, folder: &Path, names: &[&str]) {
    wait_until("check has no findings", || {
        let run = cluster.diyadm(folder, &[&["check", "-q"], names].concat());
        run.code == Some(0) && run.stderr.is_empty()
    });
}

/// Certificates that have expired, as they would be after a year without a look.
fn expired(service: &str, namespace: &str) -> pki::Bundle {
    let conf = diyadm::webhook::manifests::csr_conf(service, namespace);
    let (service, namespace) = (service.to_owned(), namespace.to_owned());
    let terms = Terms { now: 1_600_000_000, days: 365, ca_days: 36_500, service, namespace };
    let key = || pki::generate_key(KeyKind::P256).unwrap();
    pki::issue(&Request::parse("csr.conf", &conf).unwrap(), &terms, &key(), &key()).unwrap()
}

#[test]
fn commands_in_hints_fix_their_error() {
    let cluster = require!(reaching_cluster());
    let net = require!(Net::of_service());
    let name = cluster.name("hints");
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| cluster.diyadm(folder, &[args, &names].concat());
    let fix = |id: &str, more: &[&str]| mend(&cluster, folder, &names, id, more);
    let well = || well(&cluster, folder, &names);
    let patch = |what: &str, patch: &Value| {
        let patch = patch.to_string();
        cluster.kubectl(&["-n", name, "patch", what, "--type=json", "-p", &patch], "");
    };
    let webhook = format!("mutatingwebhookconfiguration/{name}");

    // From nothing, by the hints alone.
    fix("namespace", &[]);
    let self_name = format!("{name}/{name}");
    let _server = Server::start_in(&net, folder, &["--self-name", &self_name]);
    cluster.kubectl(&["apply", "-f", "-"], &net.slice(name, name));
    fix("configuration", &[]);
    well();

    // Another CA in the caBundle, by kubectl; both webhooks, and one alone.
    let other = expired(name, name);
    for webhooks in [&[0, 1][..], &[1]] {
        let bundle = STANDARD.encode(&other.ca_crt);
        let changes: Vec<_> = webhooks
            .iter()
            .map(|at| {
                json!({
                    "op": "replace", "path": format!("/webhooks/{at}/clientConfig/caBundle"),
                    "value": bundle,
                })
            })
            .collect();
        patch(&webhook, &json!(changes));
        fix("ca-bundle", &[]);
        well();
    }

    // After a rotation the caBundle is still install's to set.
    run(&["init", "--rotate"]).code(0);
    mount(&cluster, name, folder);
    fix("ca-bundle", &["--force"]);
    well();
    run(&["install"]).code(0).stderr_has(&format!("mutatingwebhookconfiguration/{name} unchanged"));
    let junk = json!([{ "op": "replace", "path": "/data/server.key", "value": "anVuaw==" }]);
    patch("secret/webhook-secret", &junk);
    run(&["init"]).code(1).stderr_has("--force");
    fix("certificate", &[]);
    well();

    // What someone else has decided takes a --force, and the hint says so.
    cluster.kubectl(&["label", "namespace", name, &format!("{name}=no"), "--overwrite"], "");
    run(&["init"]).code(1).stderr_has("--show-managed-fields").stderr_has("--force");
    fix("namespace", &[]);
    well();
    let rule =
        json!([{ "op": "replace", "path": "/webhooks/0/rules/0/resources", "value": ["x"] }]);
    patch(&webhook, &rule);
    run(&["install"]).code(1).stderr_has("--force");
    fix("rules", &[]);
    well();
    cluster.kubectl(&["-n", name, "delete", "service", name], "");
    fix("service", &[]);
    well();

    // The blog's Secret, kubectl's own, whose year is over.
    let pki::Bundle { ca_crt, server_crt, server_key } = expired(name, name);
    cluster.kubectl(&["-n", name, "delete", "secret", "webhook-secret"], "");
    for (file, text) in [("ca.crt", ca_crt), ("server.crt", server_crt), ("server.key", server_key)]
    {
        fs::write(folder.join(file), text).unwrap();
    }
    let from = |file: &str| format!("--from-file={}", folder.join(file).display());
    let made = ["-n", name, "create", "secret", "generic", "webhook-secret"];
    let files = [from("ca.crt"), from("server.crt"), from("server.key")];
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    cluster.kubectl(&[&made, &files[..]].concat(), "");
    run(&["init"]).code(1).stderr_has("init --rotate");
    fix("certificate", &[]);
    fix("ca-bundle", &["--force"]);
    well();
    run(&["uninstall", "--all"]).code(0);
}

#[test]
fn wait_prints_progress_without_a_terminal_and_ends_at_ctrl_c() {
    let cluster = require!(cluster());
    let name = cluster.name("interrupted");
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let mut child = cluster
        .program(folder.path())
        .args([&["install", "-v"], &names[..]].concat())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("waiting for a server") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    log.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    let undo = format!("diyadm uninstall -n {name}");
    for word in ["Interrupted.", &undo, "\nAPPLY /api/v1/namespaces/"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(said.matches("waiting for a server").count(), 1, "once, not at each look: {said}");
    assert!(!said.contains(['\r', '\u{1b}']), "plain lines: {said:?}");
    let secret = cluster.get(name, "secret/webhook-secret");
    let key = secret["data"]["server.key"].as_str().unwrap();
    assert!(!said.contains(key), "-v shows no content");
}
