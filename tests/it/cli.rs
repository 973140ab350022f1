//! The program from outside: exit codes, standard output and error, files.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use serde_json::{Value, json};

use super::rig::{Run, diyadm, diyadm_reads};

#[test]
fn verify_offline_empties_and_restores_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let run = diyadm(folder.path(), &["verify", "--offline", "--key", "p256"]).code(0);
    assert_eq!(run.stdout, "");
    assert_eq!(run.stderr.lines().count(), 6, "{}", run.stderr);
    assert!(!run.stderr.contains('\u{1b}'), "no colour but on a terminal");
    run.stderr_has("templates/test.yaml was emptied with empty-container:latest");
}

#[test]
fn verify_writes_json_and_junit_reports() {
    let folder = tempfile::tempdir().unwrap();
    let base = ["verify", "--offline", "--key", "p256", "--image", "tools:1", "-o"];
    let run = diyadm(folder.path(), &[&base[..], &["json"]].concat()).code(0);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["failed"], 0);
    assert_eq!(report["findings"].as_array().unwrap().len(), 6);
    assert!(run.stdout.contains("was emptied with tools:1"), "{}", run.stdout);
    assert_eq!(run.stderr, "");
    let keep = ["verify", "--offline", "--key", "p256", "--image", "keep"];
    diyadm(folder.path(), &keep).code(0).stderr_has("was emptied in its own image");
    let run = diyadm(folder.path(), &[&base[..], &["junit"]].concat()).code(0);
    assert!(run.stdout.contains("tests=\"6\" failures=\"0\""), "{}", run.stdout);
}

#[test]
fn csr_conf_error_names_line_and_word() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("csr.conf"), "[req]\ndefault_bots = 1\n").unwrap();
    let run = diyadm(folder.path(), &["init", "--out", "certs"]).code(2);
    run.stderr_has("csr.conf:2: default_bots = 1").stderr_has("--csr-conf FILE");
    assert!(!folder.path().join("certs").exists(), "a failure leaves nothing half done");
    diyadm(folder.path(), &["verify", "--offline"]).code(1).stderr_has("csr.conf:2");
    let read = ["init", "--out", "certs", "--key", "p256", "--csr-conf", "-"];
    diyadm_reads(folder.path(), &read, "[req]\nwhat\n").code(2).stderr_has("-:2: what");
    diyadm_reads(folder.path(), &read, include_str!("../../csr.conf")).code(0);
    let endless = ["init", "--out", "endless", "--csr-conf", "/dev/zero"];
    diyadm(folder.path(), &endless).code(2).stderr_has("longer than 1024 KiB");
}

#[test]
fn init_never_overwrites_files() {
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
    init(&["--force"]).code(0).stderr_has("Nothing to do");
    init(&["--days", "365"]).code(0).stderr_has("Nothing to do");
    init(&["--days", "10"]).code(1).stderr_has("valid for 365 days, not 10").stderr_has("--force");
    assert_eq!(read("server.key"), key, "what is well stays");
    init(&["--days", "10", "--force"]).code(0).stderr_has("replaced");
    let shorter = read("server.key");
    assert_ne!(shorter, key);
    init(&["--service", "other", "--force"]).code(0);
    assert_ne!(read("server.key"), shorter);
}

#[test]
fn key_type_flag_overrides_csr_conf() {
    let folder = tempfile::tempdir().unwrap();
    let conf = include_str!("../../csr.conf").replace("default_bits = 2048", "default_bits = 3072");
    assert!(conf.contains("3072"));
    for (file, key, bits) in [
        (None, &["--key", "rsa4096"][..], 4096),
        (Some(&conf), &["--key", "rsa2048"], 2048),
        (Some(&conf), &[], 3072),
    ] {
        let here = folder.path().join("csr.conf");
        match file {
            Some(text) => fs::write(here, text).unwrap(),
            None => assert!(!here.exists()),
        }
        let out = format!("certs-{bits}");
        let run = diyadm(folder.path(), &[&["init", "--out", &out], key].concat()).code(0);
        let said = run.stderr.contains("created from csr.conf in this folder");
        assert_eq!(said, file.is_some(), "{}", run.stderr);
        for name in ["ca.crt", "server.crt"] {
            let pem = fs::read(folder.path().join(&out).join(name)).unwrap();
            let key = openssl::x509::X509::from_pem(&pem).unwrap().public_key().unwrap();
            assert_eq!((key.rsa().is_ok(), key.bits()), (true, bits), "{name}");
        }
    }
}

#[test]
fn missing_workloads_are_an_error_before_a_missing_kubeconfig() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["empty"][..], &["empty", "-A"], &["restore"], &["restore", "-n", "shop"]] {
        diyadm(folder.path(), args).code(2).stderr_has("error: No workloads are given.");
    }
    for args in [&["empty", "deploy/web"][..], &["restore", "-A"]] {
        diyadm(folder.path(), args).code(3);
    }
}

#[test]
fn inspect_prints_certificate_fields() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| diyadm(folder.path(), args);
    let made = run(&["init", "--out", "certs", "--key", "p256", "-o", "json"]).code(0).stdout;
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["objects"].as_array().unwrap().len(), 3);
    let facts = |what: &str| {
        let facts = run(&["init", "-o", "json", "--inspect", what]).code(0).stdout;
        serde_json::from_str::<Value>(&facts).unwrap()
    };
    let whole = facts("certs");
    assert_eq!(whole[0]["keyMatches"], true);
    assert_eq!(whole[0]["fingerprint"], made["certificate"]["fingerprint"]);
    let time = whole[0]["notAfter"].as_str().unwrap();
    assert!(time.len() == 20 && time.ends_with('Z'), "RFC 3339: {time}");
    assert_eq!(facts("certs/server.crt"), whole, "the key beside it is looked at");
    assert!(facts("certs/ca.crt")[0].get("keyMatches").is_none());
    let text = run(&["init", "--inspect", "certs"]).code(0).stdout;
    for word in ["subject", "DNS:diyadmissionwebhook.test.svc", "belongs to the certificate"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // Another key beside it; both in one file; the standard input.
    run(&["init", "--out", "other", "--key", "p256"]).code(0);
    fs::copy(folder.path().join("other/server.key"), folder.path().join("certs/server.key"))
        .unwrap();
    assert_eq!(facts("certs/server.crt")[0]["keyMatches"], false);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let both = read("other/server.crt") + &read("other/server.key");
    let run = diyadm_reads(folder.path(), &["init", "--inspect", "-"], &both).code(0);
    assert!(run.stdout.contains("belongs to the certificate"), "{}", run.stdout);
    assert!(!run.stdout.contains("PRIVATE"), "{}", run.stdout);
}

#[test]
fn errors_have_a_hint_with_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| diyadm(folder.path(), args);
    run(&["--no-such-flag"]).code(2);
    run(&["init"]).code(3).stderr_has("diyadm verify --offline");
    run(&["render", "--ca", "none"]).code(2).stderr_has("diyadm init --out DIR");
    run(&["serve", "--cert", "none"]).code(2).stderr_has("diyadm init --out DIR");
    run(&["init", "--inspect", "none"]).code(2).stderr_has("none");
    run(&["check"]).code(2).stderr_has("--kubeconfig FILE");
    run(&["check", "--context", "none"]).code(2).stderr_has("--context NAME");
    run(&["verify", "--dry-run=client"]).code(2).stderr_has("--dry-run=server");
    for command in ["init", "install", "render", "check", "verify"] {
        run(&[command, "--label", "x"]).code(2).stderr_has("KEY=VALUE");
    }
    run(&["verify", "--offline", "--label", "x"]).code(2).stderr_has("KEY=VALUE");
    run(&["uninstall", "--all", "--label", "x"]).code(2).stderr_has("KEY=VALUE");
    run(&["install", "--container-port", "8080"]).code(2).stderr_has("--container-port 8443");
    run(&["install", "--url", "http://x"]).code(2).stderr_has("https");
    run(&["init", "--out", "/proc/c"]).code(2).stderr_has("--out DIR");
    for command in
        ["verify --offline", "mutate -f x", "empty deploy/x", "render", "install", "serve"]
    {
        let words: Vec<_> = command.split(' ').chain(["--image", "a b"]).collect();
        run(&words).code(2).stderr_has("white space");
    }
    run(&["render", "--replicas", "0"]).code(2).stderr_has("--replicas");
    run(&["render", "--webhook-image", ""]).code(2).stderr_has("the name of the image is empty");
    for command in [&["init"][..], &["init", "--out", "c"], &["install"]] {
        for namespace in ["kube-system", "kube-public", "kube-node-lease"] {
            run(&[command, &["-n", namespace]].concat())
                .code(2)
                .stderr_has("belongs to Kubernetes");
        }
    }
    for flag in ["-n", "--service", "--secret"] {
        run(&["check", flag, "Bad/Name"]).code(2).stderr_has("lower-case letters");
        run(&["init", "--out", "c", flag, "../x"]).code(2).stderr_has("lower-case letters");
    }
    run(&["init", "--out", "c", "--days", "400", "--ca-days", "300"])
        .code(2)
        .stderr_has("--ca-days 400");
    assert!(run(&["completions", "bash"]).code(0).stdout.contains("_clap_complete_diyadm"));
}

#[test]
fn closed_stdout_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        format!("set -o pipefail; {} completions bash | true", env!("CARGO_BIN_EXE_diyadm"));
    let run = Run::of(Command::new("bash").args(["-c", &script]).current_dir(folder.path()), "");
    run.code(0);
}

#[test]
fn render_flags_replace_every_default() {
    let folder = tempfile::tempdir().unwrap();
    diyadm(folder.path(), &["init", "--out", ".", "--key", "p256"]).code(0);
    let render = |more: &[&str]| {
        let args = [&["render", "--ca", "-", "-o", "json"], more].concat();
        let ca = fs::read_to_string(folder.path().join("ca.crt")).unwrap();
        let list = diyadm_reads(folder.path(), &args, &ca).code(0).stdout;
        let list: Value = serde_json::from_str(&list).unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let objects = render(&[
        "--port=443",
        "--container-port=9443",
        "--timeout-seconds=7",
        "--cert-dir=/certs",
        "--secret=s",
        "--replicas=3",
        "--webhook-image=w:1",
        "--image=e:1",
        "--failure-policy=Fail",
        "--service-type=NodePort",
        "--label=a=b",
        "-n=n",
        "--service=x",
    ]);
    let kinds: Vec<_> = objects.iter().map(|o| o["kind"].as_str().unwrap()).collect();
    let all = ["Deployment", "Service", "PodDisruptionBudget", "MutatingWebhookConfiguration"];
    assert_eq!(kinds, all);
    let [deployment, service, _, configuration] = &objects[..] else { panic!() };
    for (object, pointer, expected) in [
        (deployment, "/spec/replicas", json!(3)),
        (deployment, "/metadata/namespace", json!("n")),
        (deployment, "/spec/template/spec/containers/0/image", json!("w:1")),
        (deployment, "/spec/template/spec/containers/0/ports/0/containerPort", json!(9443)),
        (deployment, "/spec/template/spec/containers/0/volumeMounts/0/mountPath", json!("/certs")),
        (deployment, "/spec/template/spec/volumes/0/secret/secretName", json!("s")),
        (service, "/spec/ports/0/port", json!(443)),
        (service, "/spec/ports/0/targetPort", json!("webhook")),
        (service, "/spec/type", json!("NodePort")),
        (configuration, "/metadata/name", json!("x")),
    ] {
        assert_eq!(object.pointer(pointer), Some(&expected), "{pointer}");
    }
    let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    for arg in [
        "--listen=0.0.0.0:9443",
        "--cert=/certs/server.crt",
        "--key=/certs/server.key",
        "--image=e:1",
        "--self-name=n/x",
    ] {
        assert!(args.contains(arg), "{arg}: {args}");
    }
    for webhook in configuration["webhooks"].as_array().unwrap() {
        assert_eq!(webhook["timeoutSeconds"], 7);
        assert_eq!(webhook["failurePolicy"], "Fail");
        assert_eq!(webhook["clientConfig"]["service"]["port"], 443);
        assert_eq!(webhook["namespaceSelector"]["matchLabels"], json!({ "a": "b" }));
    }
    // A name that does not fit a common name (64 characters) is no reason to fail.
    let long = "a".repeat(63);
    let names = ["--service", &long, "-n", &long];
    diyadm(folder.path(), &[&["init", "--out", "long", "--key", "p256"], &names[..]].concat())
        .code(0);
    let text = diyadm(folder.path(), &["init", "--inspect", "long"]).code(0).stdout;
    assert!(text.contains(&format!("DNS:{long}.{long}.svc")), "{text}");
}

#[test]
fn quiet_prints_errors_alone_and_color_is_optional() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        diyadm(folder.path(), &[&["verify", "--offline", "--key", "p256"], args].concat())
    };
    let quiet = run(&["-q"]).code(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    assert!(run(&["--color", "always"]).code(0).stderr.contains("\u{1b}[32m✓\u{1b}[0m"));
    fs::write(folder.path().join("csr.conf"), "junk\n").unwrap();
    run(&["-q"]).code(1).stderr_has("csr.conf:1").stderr_has("--csr-conf FILE");
    fs::write(folder.path().join("pod.yaml"), "kind: Pod\n").unwrap();
    diyadm(folder.path(), &["check", "-q", "--manifest", "pod.yaml"])
        .code(2)
        .stderr_has("pod.yaml");
}

#[test]
fn verify_offline_checks_users_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  \
                    metadata: {name: web}\n- apiVersion: apps/v1\n  kind: StatefulSet\n  metadata:\n    \
                    name: db\n    annotations: {a: b}\n  spec:\n    template:\n      spec:\n        \
                    containers:\n        - {name: db, image: \"mysql:8\", command: [run, 0644]}\n";
    std::fs::write(folder.path().join("a.yaml"), manifest).unwrap();
    let run = |args: &[&str]| {
        diyadm(folder.path(), &[&["verify", "--offline", "--key", "p256"], args].concat())
    };
    run(&["-f", "."])
        .code(0)
        .stderr_has("statefulset/db (./a.yaml:1) was emptied with")
        .stderr_has("Nothing to empty in service/web (./a.yaml:1).");
    run(&["-f", "a.yaml", "-f", "a.yaml"]).code(0);
    run(&["-f", "none.yaml"]).code(2).stderr_has("none.yaml could not be read");
    std::fs::write(folder.path().join("b.yaml"), "a: 1\n---\nb: [\n").unwrap();
    run(&["-f", "b.yaml"]).code(2).stderr_has("b.yaml:");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n";
    std::fs::write(folder.path().join("b.yaml"), service).unwrap();
    run(&["-f", "b.yaml"]).code(2).stderr_has("service/x");
    std::fs::write(folder.path().join("b.yaml"), "a: 1\n---\nb: 2\n").unwrap();
    run(&["-f", "b.yaml"]).code(2).stderr_has("b.yaml:1: this is not a Kubernetes object");
    std::fs::write(folder.path().join("b.yaml"), "---\n").unwrap();
    run(&["-f", "b.yaml"]).code(2).stderr_has("no object");
    // Whatever annotations there are, what comes back is the original.
    for annotations in [
        "annotations:",
        "annotations: {}",
        "annotations: {inject-empty-container: enabled}",
        "labels: {inject-empty-container: enabled}",
    ] {
        let manifest = manifest.replace("annotations: {a: b}", annotations);
        assert!(manifest.contains(annotations));
        let args = ["verify", "--offline", "--key", "p256", "-f", "-"];
        diyadm_reads(folder.path(), &args, &manifest).code(0).stderr_has("(-:1) was emptied with");
    }
}

/// Whatever the kind, and whatever its annotations ask for.
#[test]
fn verify_offline_checks_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let pod = json!({ "containers": [{ "name": "a", "image": "a:1" }] });
    let template = json!({ "spec": pod });
    let mut all = Vec::new();
    for (version, kind, spec) in [
        ("apps/v1", "Deployment", json!({ "template": template })),
        ("apps/v1", "StatefulSet", json!({ "template": template })),
        ("apps/v1", "DaemonSet", json!({ "template": template })),
        ("apps/v1", "ReplicaSet", json!({ "template": template })),
        ("batch/v1", "Job", json!({ "template": template })),
        ("batch/v1", "CronJob", json!({ "jobTemplate": { "spec": { "template": template } } })),
        ("v1", "Pod", pod.clone()),
    ] {
        for annotations in [json!({}), json!({ "diyadm.io/image": "mine:1" })] {
            let metadata = json!({ "name": "x", "namespace": "n", "annotations": annotations });
            all.push(
                json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec }),
            );
        }
    }
    // Opened for a debugger, and no workload all the same.
    let metadata = json!({ "name": "s", "annotations": { "diyadm.io/debug-port": "5005" } });
    all.push(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {} }));
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": all }).to_string();
    let args = ["verify", "--offline", "--key", "p256", "-f", "-"];
    let run = diyadm_reads(folder.path(), &args, &list).code(0);
    let run = run.stderr_has("Nothing to empty in service/s (-:1).");
    assert_eq!(run.stderr.matches("was emptied with empty-container:latest").count(), 7);
    assert_eq!(run.stderr.matches("was emptied with mine:1").count(), 7);
    assert_eq!(run.stderr.matches("unchanged").count(), 14);
}
