//! The program from outside: exit codes, what goes where, files.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use super::rig::diyadm;

#[test]
fn verify_offline_proves_the_way_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let run = diyadm(folder.path(), &["verify", "--offline", "--key", "p256"]).code(0);
    assert_eq!(run.stdout, "");
    assert_eq!(run.stderr.lines().count(), 6, "{}", run.stderr);
    assert!(!run.stderr.contains('\u{1b}'), "no colour but on a terminal");
    run.stderr_has("templates/test.yaml came back with empty-container:latest");
}

#[test]
fn verify_reports_for_machines() {
    let folder = tempfile::tempdir().unwrap();
    let base = ["verify", "--offline", "--key", "p256", "--image", "tools:1", "-o"];
    let run = diyadm(folder.path(), &[&base[..], &["json"]].concat()).code(0);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["failed"], 0);
    assert_eq!(report["findings"].as_array().unwrap().len(), 6);
    assert!(run.stdout.contains("came back with tools:1"), "{}", run.stdout);
    assert_eq!(run.stderr, "");
    let run = diyadm(folder.path(), &[&base[..], &["junit"]].concat()).code(0);
    assert!(run.stdout.contains("tests=\"6\" failures=\"0\""), "{}", run.stdout);
}

#[test]
fn a_broken_csr_conf_is_named_by_line_and_word() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("csr.conf"), "[req]\ndefault_bots = 1\n").unwrap();
    let run = diyadm(folder.path(), &["init", "--out", "certs"]).code(2);
    run.stderr_has("csr.conf:2: default_bots = 1").stderr_has("--csr-conf FILE");
    assert!(!folder.path().join("certs").exists(), "a failure leaves nothing half done");
    diyadm(folder.path(), &["verify", "--offline"]).code(1).stderr_has("csr.conf:2");
}

#[test]
fn init_writes_once_and_never_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let init = |more: &[&str]| {
        diyadm(folder.path(), &[&["init", "--out", "certs", "--key", "p256"], more].concat())
    };
    let read = |name: &str| fs::read(folder.path().join("certs").join(name)).unwrap();
    init(&[]).code(0);
    let key = read("server.key");
    let mode = fs::metadata(folder.path().join("certs/server.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    init(&[]).code(0).stderr_has("Nothing to do");
    init(&["--service", "other"]).code(1).stderr_has("--force");
    assert_eq!(read("server.key"), key);
    init(&["--service", "other", "--force"]).code(0);
    assert_ne!(read("server.key"), key);
    let facts = diyadm(folder.path(), &["init", "--inspect", "certs"]).code(0).stdout;
    let facts: Value = serde_json::from_str(&facts).unwrap();
    assert_eq!(facts[0]["keyMatches"], true);
    assert!(facts.to_string().contains("DNS:other.test.svc"), "{facts}");
}

#[test]
fn what_is_wrong_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| diyadm(folder.path(), args);
    run(&["--no-such-flag"]).code(2);
    run(&["init"]).code(3).stderr_has("diyadm verify --offline");
    run(&["render", "--ca", "none"]).code(2).stderr_has("diyadm init --out DIR");
    run(&["serve", "--cert", "none"]).code(2).stderr_has("diyadm init --out DIR");
    run(&["init", "--inspect", "none"]).code(2).stderr_has("none");
    assert!(run(&["completions", "bash"]).code(0).stdout.contains("_diyadm"));
}

#[test]
fn verify_offline_takes_the_users_own_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  \
                    metadata: {name: web}\n- apiVersion: apps/v1\n  kind: StatefulSet\n  metadata:\n    \
                    name: db\n    annotations: {a: b}\n  spec:\n    template:\n      spec:\n        \
                    containers:\n        - {name: db, image: \"mysql:8\", command: [run, 0644]}\n";
    std::fs::write(folder.path().join("a.yaml"), manifest).unwrap();
    let run = |args: &[&str]| {
        diyadm(folder.path(), &[&["verify", "--offline", "--key", "p256"], args].concat())
    };
    run(&["-f", "."]).code(0).stderr_has("statefulset/db (./a.yaml:1) came back with");
    run(&["-f", "a.yaml", "-f", "a.yaml"]).code(0);
    run(&["-f", "none.yaml"]).code(2).stderr_has("none.yaml could not be read");
    std::fs::write(folder.path().join("b.yaml"), "a: 1\n---\nb: [\n").unwrap();
    run(&["-f", "b.yaml"]).code(2).stderr_has("b.yaml:");
    std::fs::write(folder.path().join("b.yaml"), "kind: Service\nmetadata: {name: x}\n").unwrap();
    run(&["-f", "b.yaml"]).code(2).stderr_has("service/x");
}
