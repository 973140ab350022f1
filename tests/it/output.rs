//! Output: to a closed pipe, to a full disk, with other people's text in it, and without secrets.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use openssl::{
    asn1::Asn1Time,
    hash::MessageDigest,
    nid::Nid,
    x509::{X509, X509NameBuilder},
};
use serde_json::{Value, json};

use super::rig::{Run, Workspace, diyadm, diyadm_reads, on_terminal, program};

/// A pipe that nobody reads.
fn broken() -> Stdio {
    io::pipe().unwrap().1.into()
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// Other people's text: it clears the screen, sets the title and begins a line of its own.
const HOSTILE: &str = "a\u{1b}[2J\u{9b}31m\u{1b}]0;t\u{7}\r\nforged emptied\u{202e}";

#[track_caller]
fn is_harmless(run: &Run) {
    for text in [&run.stdout, &run.stderr] {
        let raw = text.chars().find(|c| *c == '\u{202e}' || c.is_control() && *c != '\n');
        assert_eq!(raw, None, "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{text}");
    }
}

#[test]
fn commands_finish_when_their_output_is_closed_or_full() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        ["ca.crt", "server.crt", "server.key"].iter().all(|file| {
            let path = folder.path().join(name).join(file);
            path.is_file()
        })
    };
    let init = |name: &str, stdout: Stdio, stderr: Stdio| {
        let mut init = program(folder.path());
        init.args(["init", "--key", "p256", "-o", "json", "--out", name]);
        let code = init.stdout(stdout).stderr(stderr).status().unwrap().code();
        (code, made(name))
    };
    assert_eq!(init("gone", broken(), broken()), (Some(0), true));
    assert_eq!(init("quiet", Stdio::null(), full().into()), (Some(0), true));
    assert_eq!(init("lost", full().into(), Stdio::null()), (Some(1), true));
    let script = r#""$0" init --key p256 --out closed >&- 2>&-"#;
    let mut closed = Command::new("bash");
    closed.args(["-c", script, env!("CARGO_BIN_EXE_diyadm")]).current_dir(folder.path());
    assert_eq!(Run::of(&mut closed, "").code, Some(0));
    assert!(made("closed"));
    // What failed stays failed.
    let mut refused = program(folder.path());
    refused.args(["init", "--out", "gone", "--service", "other"]).stdout(broken()).stderr(broken());
    assert_eq!(refused.status().unwrap().code(), Some(1));
    let mut usage = program(folder.path());
    usage.args(["--no-such-flag"]).stdout(broken()).stderr(broken());
    assert_eq!(usage.status().unwrap().code(), Some(2));
}

#[test]
fn lost_result_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    diyadm(folder.path(), &["init", "--out", ".", "--key", "p256"]).code(0);
    let manifest = folder.path().join("pod.yaml");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a}]}\n";
    fs::write(&manifest, pod).unwrap();
    for args in [
        &["render", "--ca", "ca.crt"][..],
        &["mutate", "-f", "pod.yaml"],
        &["plan", "-f", "pod.yaml"],
        &["plan", "-f", "pod.yaml", "-o", "json"],
        &["rules", "annotations"],
        &["init", "--inspect", "ca.crt"],
        &["verify", "--offline", "--key", "p256", "-o", "junit"],
        &["completions", "bash"],
        &["version", "--client"],
    ] {
        let mut lost = program(folder.path());
        let lost = lost.args(args).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let output = lost.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains("error: stdout cannot be written"), "{args:?}: {stderr}");
        // Whoever has read enough has not lost anything.
        let mut enough = program(folder.path());
        let enough = enough.args(args).stdout(broken()).stderr(Stdio::piped()).spawn().unwrap();
        let output = enough.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{args:?}");
    }
}

#[test]
fn restore_finishes_when_its_output_is_closed() {
    let cluster = require!(Workspace::new("unread"));
    let (name, folder) = (cluster.name, cluster.folder());
    let one = |number: usize| {
        let labels = json!({ "app": format!("d{number}") });
        let pod = json!({ "containers": [{ "name": "app", "image": "app:1" }] });
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": format!("d{number}") },
            "spec": {
                "replicas": 0, "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": pod },
            },
        })
    };
    let items: Vec<_> = (0..8).map(one).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string();
    cluster.kubectl(&["-n", name, "create", "-f", "-"], &list);
    let emptied = || {
        let list = cluster.get(name, "deployments");
        let items = list["items"].as_array().unwrap();
        items.iter().filter(|one| diyadm::workload::is_emptied(&one.to_string())).count()
    };
    for (command, after) in [("empty", 8), ("restore", 0)] {
        let mut command_line = cluster.program(folder);
        command_line.args([command, "--all", "-n", name, "-o", "name", "--concurrency", "1"]);
        let code = command_line.stdout(broken()).stderr(broken()).status().unwrap().code();
        assert_eq!((code, emptied()), (Some(0), after), "{command}");
    }
}

#[test]
fn control_characters_of_others_are_escaped_in_output() {
    let folder = tempfile::tempdir().unwrap();
    let pod = json!({
        "containers": [{ "name": HOSTILE, "image": HOSTILE }, { "name": "b", "image": "c" }],
    });
    let object = |annotations: Value| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": HOSTILE, "namespace": HOSTILE, "annotations": annotations },
            "spec": { "template": { "spec": pod } },
        })
        .to_string()
    };
    for annotations in [
        json!({}),
        json!({ "diyadm.io/containers": HOSTILE }),
        json!({ "diyadm.io/image": HOSTILE }),
        json!({ "diyadm.io/idle": HOSTILE, "diyadm.io/level": HOSTILE }),
        json!({ "diyadm.io/original": HOSTILE }),
    ] {
        let object = object(annotations.clone());
        for args in [
            &["plan", "-f", "-"][..],
            &["rules", "explain", "-f", "-"],
            &["verify", "--offline", "--key", "p256", "-f", "-"],
        ] {
            is_harmless(&diyadm_reads(folder.path(), args, &object));
        }
        let run = diyadm_reads(folder.path(), &["mutate", "-f", "-", "-o", "json"], &object);
        is_harmless(&Run { stdout: String::new(), ..run });
    }
    // Machines get it as it is.
    let plan = ["plan", "-f", "-", "-o", "json"];
    let plan = diyadm_reads(folder.path(), &plan, &object(json!({}))).code(0).stdout;
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let changes = plan[0]["changes"].as_array().unwrap();
    assert!(changes.iter().any(|change| change["before"] == HOSTILE), "{changes:?}");
}

#[test]
fn control_characters_in_file_names_and_flags_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["check", "--manifest", HOSTILE][..],
        &["mutate", "-f", HOSTILE],
        &["rules", "check", HOSTILE],
        &["init", "--inspect", HOSTILE],
        &["status", "--context", HOSTILE],
        &["status", "--kubeconfig", HOSTILE],
        &["shell", HOSTILE],
        &[HOSTILE],
        &["status", "--color", HOSTILE],
    ] {
        let run = diyadm(folder.path(), args);
        assert_ne!(run.code, Some(0), "{args:?}");
        is_harmless(&run);
    }
    for text in [
        format!("[req]\nprompt = {}\n", HOSTILE.replace("\r\n", "")),
        HOSTILE.to_owned(),
        format!("[ {} ]\n", HOSTILE.replace("\r\n", "")),
    ] {
        let read = ["init", "--out", "certs", "--csr-conf", "-"];
        is_harmless(&diyadm_reads(folder.path(), &read, &text).code(2));
    }
    for text in ["a: \"\u{1b}[31m\nb: [\n", "\u{9b}: [\n", "- \u{1b}\n: x"] {
        is_harmless(&diyadm_reads(folder.path(), &["mutate", "-f", "-"], text));
        is_harmless(&diyadm_reads(folder.path(), &["rules", "check", "-"], text).code(2));
    }
}

#[test]
fn control_characters_in_certificates_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, HOSTILE).unwrap();
    let (name, key) =
        (name.build(), diyadm::pki::generate_key(diyadm::pki::KeyKind::P256).unwrap());
    let mut certificate = X509::builder().unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    fs::write(folder.path().join("x.pem"), certificate.build().to_pem().unwrap()).unwrap();
    let run = diyadm(folder.path(), &["init", "--inspect", "x.pem"]).code(0);
    is_harmless(&run);
    assert!(run.stdout.contains("CN = a^[[2J"), "{}", run.stdout);
}

#[test]
fn control_characters_in_objects_are_escaped() {
    let cluster = require!(Workspace::new("escapes"));
    let name = cluster.name;
    let labels = json!({ "app": "web" });
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "annotations": { "example.com/note": HOSTILE } },
        "spec": {
            "replicas": 0, "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "app", "image": HOSTILE }] },
            },
        },
    });
    cluster.create(name, &object);
    let run = |args: &[&str]| cluster.run(args);
    is_harmless(&run(&["plan", "deploy/web"]).code(0));
    is_harmless(&run(&["empty", "deploy/web", "--image", "keep"]).code(0));
    let annotate = ["annotate", "--overwrite", "deploy/web"];
    for key in ["diyadm.io/emptied-by", "diyadm.io/image", "diyadm.io/containers"] {
        let value = format!("{key}={HOSTILE}");
        cluster.kubectl(&[&["-n", name], &annotate[..], &[&value]].concat(), "");
    }
    is_harmless(&run(&["status"]).code(0));
    is_harmless(&run(&["status", "-o", "wide"]).code(0));
    is_harmless(&run(&["plan", "deploy/web"]));
    is_harmless(&run(&["rules", "explain", "deploy/web"]));
    is_harmless(&run(&["restore", "deploy/web"]));
    is_harmless(&run(&["plan", "deploy/\u{1b}[31m"]));
}

/// A kubeconfig with this cluster and user, as JSON.
fn kubeconfig(folder: &Path, cluster: &Value, user: &Value) {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{ "name": "x", "cluster": cluster }],
        "users": [{ "name": "x", "user": user }],
        "contexts": [{ "name": "x", "context": { "cluster": "x", "user": "x" } }],
    });
    fs::write(folder.join("config"), config.to_string()).unwrap();
}

#[test]
fn slow_answer_is_waited_for_with_a_notice_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let server = format!("http://{}", silent.local_addr().unwrap());
    kubeconfig(folder.path(), &json!({ "server": server }), &json!({}));
    let mut status = program(folder.path());
    status.args(["status", "--kubeconfig", "config"]).current_dir(folder.path());
    let (mut child, mut terminal) = on_terminal(&status);
    let (mut shown, mut buffer) = (String::new(), [0; 4096]);
    while !shown.contains("waiting for the API server") {
        let read = terminal.read(&mut buffer).unwrap();
        shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    drop(silent);
    // A terminal whose program has ended is an error to read.
    while let Ok(read @ 1..) = terminal.read(&mut buffer) {
        shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert_eq!(child.wait().unwrap().code(), Some(3), "{shown}");
    let (_, after) = shown.rsplit_once("waiting for the API server").unwrap();
    assert!(after.starts_with("\r\u{1b}[2K"), "it is erased: {shown:?}");
    assert!(after.contains("error: The API server"), "{shown:?}");
}

#[test]
fn secrets_of_the_kubeconfig_are_never_printed() {
    const SECRET: &str = "s3cret-t0ken";
    let folder = tempfile::tempdir().unwrap();
    let plugin = |script: &str| {
        json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
            "command": "sh", "args": ["-c", script, SECRET],
            "env": [{ "name": "PASSWORD", "value": SECRET }],
        } })
    };
    // Over plain http no credentials are looked at.
    let local = json!({ "server": "https://127.0.0.1:1" });
    let token = json!({ "token": SECRET });
    let with_password = |url: &str| url.replace("PASSWORD", SECRET);
    let server = |url: &str| json!({ "server": with_password(url) });
    let proxy =
        |url: &str| json!({ "server": "https://10.0.0.1", "proxy-url": with_password(url) });
    for (cluster, user) in [
        (local.clone(), plugin(&format!("echo '{{\"status\": {{\"token\": \"{SECRET}\"'"))),
        (local.clone(), plugin(&format!("echo '{{\"status\": \"{SECRET}\"}}'"))),
        (local.clone(), plugin(&format!("echo '{SECRET}'"))),
        (local.clone(), plugin(&format!("printf 'kind: {SECRET}\\n\\tstatus: [{SECRET}'"))),
        (local.clone(), plugin(&format!("echo {SECRET}; exit 3"))),
        (local.clone(), plugin("kill -9 $$")),
        (local.clone(), json!({ "token": [SECRET] })),
        (local.clone(), json!({ "username": "u", "password": SECRET })),
        (local, json!({ "client-certificate-data": SECRET, "client-key-data": SECRET })),
        (server("https://user:PASSWORD@127.0.0.1:1"), token.clone()),
        (server("https://PASSWORD@127.0.0.1:1/path"), token.clone()),
        (server("https://user:PASSWORD@no such host"), token.clone()),
        (proxy("http://user:PASSWORD@127.0.0.1:1"), token.clone()),
        (proxy("socks4://user:PASSWORD@127.0.0.1:1"), token.clone()),
        (proxy("ftp://user:PASSWORD@127.0.0.1:1"), token),
    ] {
        kubeconfig(folder.path(), &cluster, &user);
        let run = diyadm(folder.path(), &["status", "-v", "--kubeconfig", "config"]);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.code, Some(3), "{cluster} {user}: {all}");
        assert!(!all.contains(SECRET), "{cluster} {user}: {all}");
        assert!(all.contains("\nhint: "), "{cluster} {user}: {all}");
    }
}
