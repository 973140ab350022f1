//! More reviews than `--max-in-flight`: refused so that the API server tries again.

use std::thread;

use serde_json::Value;

use super::client::{bytes, certificates, in_flight, metric, post, read, unread};
use crate::{
    rig::{Server, reaching_cluster, wait_until},
    serve::LocalWebhook,
};

const REFUSED: &str = "diyadm_refused_total{code=\"503\"}";

#[test]
fn overload_answers_503_with_retry_after() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &["--max-in-flight", "1"]);
    let body = bytes(|_| ());
    let mut only = unread(&server, certs.path());
    wait_until("the only place is taken", || in_flight(&server) == 1);
    let answer = post(&server, certs.path(), &body);
    assert_eq!((answer.status, &answer.body["kind"]), (503, &"Status".into()));
    assert!(answer.head.contains("\r\nretry-after: 1\r\n"), "{}", answer.head);
    assert_eq!(read(&mut only).unwrap().status, 200);
    wait_until("the place is free", || in_flight(&server) == 0);
    assert_eq!(post(&server, certs.path(), &body).status, 200);
    assert_eq!(metric(&server, REFUSED), 1);
}

#[test]
fn api_server_retries_after_overload() {
    let cluster = require!(reaching_cluster());
    let name = cluster.name("overload");
    let _namespace = cluster.namespace(name);
    let webhook = LocalWebhook::start(name, &["--max-in-flight", "1"]);
    let LocalWebhook { certs, server, .. } = &webhook;
    let yaml = webhook.render(&["--timeout-seconds", "30"]);
    cluster.kubectl(&["apply", "-f", "-"], &yaml);
    let object = ::diyadm::webhook::manifests::test_deployment(name).unwrap().to_string();
    let create = |more: &[&str]| {
        let args = [&["create", "-f", "-", "-o", "json"], more].concat();
        let made: Value = serde_json::from_str(&cluster.kubectl(&args, &object)).unwrap();
        made.pointer("/spec/template/spec/containers/0/image").unwrap().clone()
    };
    wait_until("the webhook is called", || {
        create(&["--dry-run=server"]) == "empty-container:latest"
    });

    let mut only = unread(server, certs.path());
    wait_until("the only place is taken", || in_flight(server) == 1);
    thread::scope(|scope| {
        let created = scope.spawn(|| create(&[]));
        wait_until("it was told to come again", || metric(server, REFUSED) > 0);
        assert_eq!(read(&mut only).unwrap().status, 200);
        assert_eq!(created.join().unwrap(), "empty-container:latest", "nobody sees a failure");
    });
}
