//! webhook.md's "Bad input and its answer" over a real socket, and how the server ends.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVersion};
use serde_json::{Value, json};

use super::rig::{Server, diyadm};

/// A folder with certificates for 127.0.0.1 and the blog's names.
pub(crate) fn certificates(service: &str, namespace: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let conf = diyadm::manifests::csr_conf(service, namespace);
    let conf = conf.replace("[ v3_ext ]", "IP.1 = 127.0.0.1\n[ v3_ext ]");
    fs::write(folder.path().join("csr.conf"), conf).unwrap();
    let names = ["--service", service, "-n", namespace];
    diyadm(folder.path(), &[&["init", "--out", ".", "--key", "p256"], &names[..]].concat()).code(0);
    folder
}

fn connector(folder: &Path) -> openssl::ssl::SslConnectorBuilder {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_ca_file(folder.join("ca.crt")).unwrap();
    connector
}

fn connect(server: &Server, folder: &Path) -> SslStream<TcpStream> {
    let tcp = TcpStream::connect(&server.address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    connector(folder).build().connect("diyadmissionwebhook.test.svc", tcp).unwrap()
}

/// Status and body of one raw request.
fn send(server: &Server, folder: &Path, head: &str, body: &[u8]) -> (u16, Value) {
    let mut tls = connect(server, folder);
    tls.write_all(format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    // The server may answer, and close, before it has read a body that it refuses.
    let _ = tls.write_all(body);
    let mut answer = Vec::new();
    let _ = tls.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

fn post(server: &Server, folder: &Path, body: &[u8]) -> (u16, Value) {
    let length = body.len();
    let head = format!(
        "POST /mutating-pods?timeout=5s HTTP/1.1\r\nContent-Type: application/json; charset=utf-8\
         \r\nContent-Length: {length}"
    );
    send(server, folder, &head, body)
}

fn review(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5",
            "kind": { "group": "apps", "version": "v1", "kind": "Deployment" },
            "namespace": "test",
            "name": "test",
            "operation": "CREATE",
            "object": diyadm::manifests::test_deployment("test").unwrap(),
        },
    });
    change(&mut review);
    review.to_string().into_bytes()
}

#[test]
fn what_is_no_review_gets_a_status() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let good = review(|_| ());
    let text = String::from_utf8(good.clone()).unwrap();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("array", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("number", b"1".to_vec()),
        ("deep", text.replace("\"705ab4f5\"", &deep).into_bytes()),
        ("not UTF-8", [&good[..20], &[0xff, 0xfe], &good[20..]].concat()),
        ("two documents", [good.clone(), good.clone()].concat()),
        ("duplicate keys", text.replacen('{', "{\"kind\":\"AdmissionReview\",", 1).into_bytes()),
        ("no TypeMeta", review(|r| drop(r.as_object_mut().unwrap().remove("kind")))),
        ("v1beta1", review(|r| r["apiVersion"] = "admission.k8s.io/v1beta1".into())),
        ("another kind", review(|r| r["kind"] = "Pod".into())),
        ("no request", review(|r| drop(r.as_object_mut().unwrap().remove("request")))),
        ("empty uid", review(|r| r["request"]["uid"] = "".into())),
        ("uid is a number", review(|r| r["request"]["uid"] = 1.into())),
    ];
    for (case, body) in cases {
        let (status, answer) = post(&server, certs.path(), &body);
        assert_eq!((status, &answer["kind"]), (400, &json!("Status")), "{case}: {answer}");
        assert!(answer["message"].as_str().unwrap().starts_with("diyadm: "), "{case}: {answer}");
    }
    let json = "Content-Type: application/json";
    let pods = "POST /mutating-pods HTTP/1.1\r\n";
    for (expected, head) in [
        (405, "GET /mutating-pods HTTP/1.1".to_owned()),
        (404, "POST /else HTTP/1.1\r\nContent-Length: 0".to_owned()),
        (415, format!("{pods}Content-Length: 0")),
        (415, format!("{pods}Content-Type: text/plain\r\nContent-Length: 0")),
        (415, format!("{pods}{json}\r\nContent-Encoding: gzip\r\nContent-Length: 0")),
        (413, format!("{pods}{json}\r\nContent-Length: 8000000")),
    ] {
        let (status, answer) = send(&server, certs.path(), &head, b"");
        assert_eq!((status, &answer["kind"]), (expected, &json!("Status")), "{head}");
    }
    // All of this has left the server as it was.
    let (status, answer) = post(&server, certs.path(), &good);
    assert_eq!((status, &answer["response"]["uid"]), (200, &json!("705ab4f5")));
    assert_eq!(answer["response"]["patchType"], "JSONPatch");
}

#[test]
fn an_odd_review_is_allowed_without_a_patch() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let containers = "/request/object/spec/template/spec/containers";
    let cases: Vec<(&str, Vec<u8>, bool)> = vec![
        ("DELETE", review(|r| r["request"]["operation"] = "DELETE".into()), false),
        ("object null", review(|r| r["request"]["object"] = Value::Null), true),
        ("another kind", review(|r| r["request"]["object"]["kind"] = "StatefulSet".into()), true),
        ("unknown kind", review(|r| r["request"]["kind"]["kind"] = "Odd".into()), true),
        ("subresource", review(|r| r["request"]["subResource"] = "scale".into()), false),
        ("null", review(|r| *r.pointer_mut(containers).unwrap() = Value::Null), false),
        ("none", review(|r| *r.pointer_mut(containers).unwrap() = json!([])), false),
        (
            "forged",
            review(|r| {
                let forged =
                    json!({ "diyadm.io/original": "x", "inject-empty-container": "disabled" });
                r["request"]["object"]["metadata"]["annotations"] = forged;
            }),
            true,
        ),
    ];
    for (case, body, warns) in cases {
        let (status, answer) = post(&server, certs.path(), &body);
        let response = &answer["response"];
        assert_eq!((status, &response["allowed"]), (200, &json!(true)), "{case}: {answer}");
        assert!(response.get("patch").is_none(), "{case}: {answer}");
        assert!(response.get("patchType").is_none(), "{case}: {answer}");
        let warnings = response["warnings"].as_array().map_or(0, Vec::len);
        assert_eq!(warnings > 0, warns, "{case}: {answer}");
    }
    // An image that is a number: allowed and patched; the API server validates.
    let body = review(|r| r.pointer_mut(containers).unwrap()[0]["image"] = 1.into());
    assert_eq!(post(&server, certs.path(), &body).1["response"]["patchType"], "JSONPatch");
}

#[test]
fn old_tls_and_plain_http_are_refused() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let mut old = connector(certs.path());
    old.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
    old.set_max_proto_version(Some(SslVersion::TLS1_1)).unwrap();
    let tcp = TcpStream::connect(&server.address).unwrap();
    assert!(old.build().connect("diyadmissionwebhook.test.svc", tcp).is_err());
    let mut plain = TcpStream::connect(&server.address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(post(&server, certs.path(), &review(|_| ())).0, 200);
}

#[test]
fn a_new_certificate_is_taken_and_a_wrong_one_refused() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let fingerprint = || {
        let tls = {
            let mut any = connector(certs.path());
            any.set_verify(openssl::ssl::SslVerifyMode::NONE);
            any.build().connect("x", TcpStream::connect(&server.address).unwrap()).unwrap()
        };
        let peer = tls.ssl().peer_certificate().unwrap();
        peer.digest(openssl::hash::MessageDigest::sha256()).unwrap().to_vec()
    };
    let wait_for = |counter: &str| {
        for _ in 0..100 {
            if get(&server.health, "/metrics").contains(counter) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{counter} never came: {}", get(&server.health, "/metrics"));
    };
    let mut kept = connect(&server, certs.path());
    let first = fingerprint();
    diyadm(certs.path(), &["init", "--out", ".", "--force", "--key", "p256"]).code(0);
    wait_for("diyadm_certificate_reloads_total 1\n");
    let second = fingerprint();
    assert_ne!(first, second);
    fs::write(certs.path().join("server.key"), "no key").unwrap();
    wait_for("diyadm_certificate_refused_total 1\n");
    assert_eq!(fingerprint(), second);
    // The connection from before is still good.
    kept.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[test]
fn sigterm_drains_and_ends_with_zero() {
    let certs = certificates("diyadmissionwebhook", "test");
    let mut server = Server::start(certs.path(), &["--drain", "1"]);
    assert!(get(&server.health, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(&server.health, "/healthz").starts_with("HTTP/1.1 200"));
    assert_eq!(post(&server, certs.path(), &review(|_| ())).0, 200);
    let counted =
        "diyadm_reviews_total{operation=\"CREATE\",kind=\"Deployment\",outcome=\"emptied\"} 1";
    assert!(get(&server.health, "/metrics").contains(counted));
    assert_eq!(server.terminate(), Some(0));
}

fn get(address: &str, path: &str) -> String {
    let mut tcp = TcpStream::connect(address).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}
