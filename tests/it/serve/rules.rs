//! rules.yaml of a running server: reloaded when it changes, and kept where the new one is invalid.

use std::fs;

use super::{
    client::{bytes, certificates, metric, post},
    reload::mount,
};
use crate::rig::{Server, diyadm, wait_until};

const RELOADS: &str = "diyadm_rules_reloads_total";
const REFUSED: &str = "diyadm_rules_refused_total";

#[test]
fn server_reloads_changed_rules() {
    let certs = certificates("diyadmissionwebhook", "test");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml").display().to_string();
    // The ConfigMap may come after the server.
    let server = Server::start(certs.path(), &["--rules", &file]);
    let image = || {
        let answer = post(&server, certs.path(), &bytes(|_| ()));
        let object = ::diyadm::webhook::manifests::test_deployment("test").unwrap();
        let emptied = answer.applied(&object);
        emptied.pointer("/spec/template/spec/containers/0/image").unwrap().clone()
    };
    let put_bytes = |bytes: &[u8], version: &str| {
        mount(folder.path(), &[("rules.yaml", bytes.into())], version);
    };
    let put = |text: &str, version: &str| put_bytes(text.as_bytes(), version);
    assert_eq!(image(), "empty-container:latest");

    put("rules:\n- match: {kinds: [Deployment]}\n  empty: false\n", "..2026_1");
    wait_until("the rules have come", || metric(&server, RELOADS) == 1);
    assert_eq!(image(), "knative:latest", "left alone");
    put("rules:\n- match: {kinds: [Deployment]}\n  image: tools:1\n", "..2026_2");
    wait_until("other rules have come", || metric(&server, RELOADS) == 2);
    assert_eq!(image(), "tools:1");

    put("rules:\n- match: {kinds: [Deployment]}\n  imagine: tools:2\n", "..2026_3");
    wait_until("what makes no sense is refused", || metric(&server, REFUSED) == 1);
    put_bytes(b"rules: []\n# \xff\n", "..2026_4");
    wait_until("what is no text is refused", || metric(&server, REFUSED) == 2);
    assert_eq!(image(), "tools:1", "the old rules are kept");
    fs::remove_file(folder.path().join("..data")).unwrap();
    wait_until("what is gone is gone", || metric(&server, RELOADS) == 3);
    assert_eq!(image(), "empty-container:latest");
    server.signal();
    let (code, log) = server.ended();
    assert_eq!(code, Some(0));
    assert_eq!(log.iter().filter(|line| line.contains("new rules rejected")).count(), 2, "{log:?}");
}

#[test]
fn server_loads_rules_before_it_listens() {
    let certs = certificates("diyadmissionwebhook", "test");
    fs::write(certs.path().join("rules.yaml"), "rules:\n- imagine: x\n").unwrap();
    let serve = ["serve", "--cert", "server.crt", "--key", "server.key", "--rules", "rules.yaml"];
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let args = [&serve[..], &["--listen", &listen, "--health-listen", "127.0.0.1:0"]].concat();
    let run = diyadm(certs.path(), &args).code(2).stderr_has("rules.yaml");
    assert!(!run.stderr.contains("--listen"), "{}", run.stderr);
}
