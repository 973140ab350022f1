//! `install`, `verify`, `check` and `uninstall`, with the server behind a Service as its Pods would
//! be: in a network namespace, found through an EndpointSlice.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    rig::{Cluster, Net, Server, TIMEOUT, reaching_cluster, wait_until},
    serve::metric,
};

/// Does what the kubelet does: brings the Secret into the files of its Pod.
pub(crate) fn mount(cluster: &Cluster, namespace: &str, folder: &Path) {
    let secret = cluster.get(namespace, "secret/webhook-secret");
    // The key before the certificate or after it: a server must live with either.
    for name in ["server.key", "server.crt"] {
        let bytes = STANDARD.decode(secret["data"][name].as_str().unwrap()).unwrap();
        let new = folder.join(format!(".{name}"));
        fs::write(&new, bytes).unwrap();
        fs::rename(new, folder.join(name)).unwrap();
    }
}

pub(crate) fn findings(run: &super::rig::Run) -> Vec<(String, String)> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = report["findings"].as_array().unwrap().iter();
    all.map(|f| (text(&f["id"]), text(&f["level"]))).collect()
}

#[test]
fn installs_verifies_and_uninstalls_the_webhook() {
    let cluster = require!(reaching_cluster());
    let net = require!(Net::of_service());
    let name = cluster.name("from-nothing");
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| cluster.diyadm(folder.path(), &[args, &names].concat());

    // Everything is missing, and nothing is made by looking or by a dry run.
    run(&["check"]).code(1).stderr_has("diyadm init");
    run(&["verify"]).code(1).stderr_has("diyadm install");
    run(&["init", "--dry-run=server"]).code(0);
    run(&["install", "--dry-run=client"]).code(0);
    assert_eq!(cluster.kubectl(&["get", "namespace", name, "--ignore-not-found"], ""), "");

    run(&["init"]).code(0).stderr_has("secret/webhook-secret created");
    let secret = cluster.get(name, "secret/webhook-secret");
    run(&["init"]).code(0).stderr_has("Nothing to do");
    assert_eq!(cluster.get(name, "secret/webhook-secret"), secret, "init twice changes nothing");
    run(&["init", "--days", "10"])
        .code(1)
        .stderr_has("valid for 365 days, not 10")
        .stderr_has("diyadm init --rotate");
    run(&["init", "--force"]).code(0).stderr_has("Nothing to do");
    assert_eq!(cluster.get(name, "secret/webhook-secret"), secret, "what is well stays");
    let facts = run(&["init", "-o", "yaml", "--inspect"]).code(0).stdout;
    assert!(facts.contains("keyMatches: true"), "{facts}");
    let key = secret["data"]["server.key"].as_str().unwrap();
    assert!(!facts.contains(key), "the key stays where it is");

    // What is without a server says so, and does not switch the webhook on.
    run(&["install", "--timeout", "1"])
        .code(1)
        .stderr_has("after 1 s: ")
        .stderr_has("not switched on");
    run(&["check"]).code(1).stderr_has("no Pod of the webhook is ready");

    mount(&cluster, name, folder.path());
    let self_name = format!("{name}/{name}");
    let _server = Server::start_in(&net, folder.path(), &["--self-name", &self_name]);
    cluster.kubectl(&["apply", "-f", "-"], &net.slice(name, name));
    run(&["install", "--timeout", TIMEOUT]).code(0).stderr_has("start empty");
    run(&["install", "--timeout", TIMEOUT])
        .code(0)
        .stderr_has(&format!("deployment/{name} unchanged"));

    run(&["verify"]).code(0).stderr_has("was emptied with empty-container:latest");
    run(&["verify", "--dry-run=server"]).code(0).stderr_has("in a dry run");
    let left = cluster.kubectl(&["-n", name, "get", "deployments", "-o", "name"], "");
    assert_eq!(left.trim(), format!("deployment.apps/{name}"), "verify leaves nothing");
    run(&["verify", "--keep"]).code(0);
    run(&["verify"]).code(1).stderr_has("already");
    let check = run(&["check", "-o", "json"]).code(0);
    for (id, level) in findings(&check) {
        assert_eq!(level, "ok", "{id}: {}", check.stdout);
    }
    let junit = run(&["check", "-o", "junit"]).code(0).stdout;
    assert!(junit.contains("failures=\"0\""), "{junit}");

    // A StatefulSet too; and the webhook's own Deployment is as it was rendered.
    let mut stateful = diyadm::webhook::manifests::test_deployment(name).unwrap();
    stateful["kind"] = "StatefulSet".into();
    stateful["spec"]["serviceName"] = "test".into();
    cluster.kubectl(&["create", "-f", "-"], &stateful.to_string());
    let image = "/spec/template/spec/containers/0/image";
    let found = cluster.get(name, "statefulset/test");
    assert_eq!(found.pointer(image).unwrap(), "empty-container:latest");
    let own = cluster.get(name, &format!("deployment/{name}"));
    assert_eq!(own.pointer(image).unwrap(), "admissionwebhook:latest");

    let rendered = run(&["render"]).code(0).stdout;
    let ca = secret["data"]["ca.crt"].as_str().unwrap();
    assert!(rendered.contains(ca), "render takes the CA from the Secret");

    run(&["uninstall", "--dry-run=server"]).code(0);
    assert!(run(&["verify", "--dry-run=server"]).code == Some(0));
    run(&["uninstall"])
        .code(0)
        .stderr_has(&format!("namespace/{name} unlabelled"))
        .stderr_has(&format!("still empty in namespace {name}: deployment/test, statefulset/test"));
    cluster.get(name, "secret/webhook-secret");
    run(&["uninstall", "--all"]).code(0).stderr_has("secret/webhook-secret deleted");
    let labels = cluster.get(name, &format!("namespace/{name}"))["metadata"]["labels"].clone();
    assert!(labels.get(name).is_none(), "{labels}");
    let gone = ["-n", name, "get", "secret", "webhook-secret", "--ignore-not-found"];
    assert_eq!(cluster.kubectl(&gone, ""), "");
}

/// What `install` made, whatever its flags, is not wrong to `check`; that finds the level out.
#[test]
fn check_accepts_webhooks_with_other_image_or_level() {
    let cluster = require!(reaching_cluster());
    let net = require!(Net::of_service());
    let name = cluster.name("ways");
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| cluster.diyadm(folder.path(), &[args, &names].concat());
    run(&["init"]).code(0);
    mount(&cluster, name, folder.path());
    cluster.kubectl(&["apply", "-f", "-"], &net.slice(name, name));
    let own = format!("{name}/{name}");
    let keep = &["--image", "keep"][..];
    let ways = [
        (keep, keep, "a Deployment created here would get knative:latest"),
        (&["--level", "pod"], &[], "a Pod created here would get empty-container:latest"),
    ];
    for (flags, of_check, said) in ways {
        let server =
            Server::start_in(&net, folder.path(), &[&["--self-name", &own], flags].concat());
        // What was installed the other way before is changed with the same command.
        run(&[&["install", "--timeout", TIMEOUT], flags].concat()).code(0);
        run(&[&["verify", "--dry-run=server"], flags].concat()).code(0);
        let check = run(&[&["check", "--probe", "-o", "json"], of_check].concat()).code(0);
        for (id, level) in findings(&check) {
            assert_eq!(level, "ok", "{id}: {}", check.stdout);
        }
        assert!(check.stdout.contains(said), "{}", check.stdout);
        drop(server);
        let check = run(&[&["check"], of_check].concat()).code(1);
        assert!(check.stderr.contains("would not be emptied"), "{}", check.stderr);
        // What is asked for the reason is what the webhook is for.
        let probed = run(&[&["check", "--probe"], of_check].concat()).code(1);
        assert!(!probed.stderr.contains("would not be emptied"), "{}", probed.stderr);
    }
    run(&["uninstall", "--all"]).code(0);
}

#[test]
fn rotation_of_certificates_loses_no_write() {
    let cluster = require!(reaching_cluster());
    let net = require!(Net::of_service());
    let name = cluster.name("rotation");
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| cluster.diyadm(folder.path(), &[args, &names].concat());
    run(&["init"]).code(0);
    mount(&cluster, name, folder.path());
    let server = Server::start_in(&net, folder.path(), &[]);
    run(&["install", "--failure-policy", "Fail", "--timeout", "0"]).code(1);
    cluster.kubectl(&["apply", "-f", "-"], &net.slice(name, name));
    run(&["install", "--failure-policy", "Fail", "--timeout", TIMEOUT]).code(0);

    let done = AtomicBool::new(false);
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let written = count.load(Ordering::Relaxed);
                let mut object = diyadm::webhook::manifests::test_deployment(name).unwrap();
                object["metadata"]["name"] = format!("test-{written}").into();
                let made = ["create", "-f", "-", "-o", "json"];
                let made = cluster.kubectl(&made, &object.to_string());
                let made: Value = serde_json::from_str(&made).unwrap();
                let image = made.pointer("/spec/template/spec/containers/0/image").unwrap();
                assert_eq!(image, "empty-container:latest", "write {written}");
                count.store(written + 1, Ordering::Relaxed);
            }
        });
        let more = || {
            let before = count.load(Ordering::Relaxed);
            wait_until("writes go on", || {
                writer.is_finished() || count.load(Ordering::Relaxed) > before + 1
            });
        };
        // Whatever fails here, the writer must end.
        let rotated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let bundle = || {
                let what = format!("mutatingwebhookconfiguration/{name}");
                let found =
                    cluster.get(name, &what)["webhooks"][0]["clientConfig"]["caBundle"].clone();
                String::from_utf8(STANDARD.decode(found.as_str().unwrap()).unwrap()).unwrap()
            };
            for round in 1..=2 {
                let before = bundle();
                run(&["init", "--rotate"]).code(0);
                assert!(bundle().ends_with(&before), "the old CA is trusted beside the new one");
                mount(&cluster, name, folder.path());
                run(&["init", "--rotate", "--finish"]).code(1).stderr_has("may not have it yet");
                let reloads = || metric(&server, "diyadm_certificate_reloads_total");
                wait_until("the server has the new certificate", || reloads() >= round);
                more();
                run(&["check"]).code(0).stderr_has("a rotation is not finished");
                run(&["init", "--rotate", "--finish", "--force"]).code(0);
                assert!(!bundle().contains(&before), "the old CA is gone");
                more();
            }
        }));
        done.store(true, Ordering::Relaxed);
        // What went wrong with a write says more than what that led to.
        writer.join().unwrap();
        if let Err(panic) = rotated {
            std::panic::resume_unwind(panic);
        }
    });
    run(&["uninstall", "--all"]).code(0);
}
