//! A TLS client that can also send invalid requests, byte by byte.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslStream};
use serde_json::{Value, json};

use super::attacks::Peer;
use crate::rig::{FOREVER, Server, diyadm};

/// A name of the certificate that [`certificates`] makes for the blog's names.
pub(crate) const HOST: &str = "diyadmissionwebhook.test.svc";

/// A folder with certificates for 127.0.0.1 and the blog's names.
pub(crate) fn certificates(service: &str, namespace: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let conf = ::diyadm::webhook::manifests::csr_conf(service, namespace);
    let conf = conf.replace("[ v3_ext ]", "IP.1 = 127.0.0.1\n[ v3_ext ]");
    fs::write(folder.path().join("csr.conf"), conf).unwrap();
    let names = ["--service", service, "-n", namespace];
    diyadm(folder.path(), &[&["init", "--out", ".", "--key", "p256"], &names[..]].concat()).code(0);
    folder
}

pub(super) fn connector(folder: &Path) -> SslConnectorBuilder {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_ca_file(folder.join("ca.crt")).unwrap();
    connector
}

pub(super) fn tcp(server: &Server) -> TcpStream {
    let tcp = TcpStream::connect(&server.address).unwrap();
    tcp.set_read_timeout(Some(FOREVER)).unwrap();
    tcp.set_write_timeout(Some(FOREVER)).unwrap();
    tcp
}

pub(super) fn connect(server: &Server, folder: &Path) -> SslStream<TcpStream> {
    connector(folder).build().connect("127.0.0.1", tcp(server)).unwrap()
}

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Lower case.
    pub(super) head: String,
    /// `null` for what is not JSON.
    pub(super) body: Value,
}

impl Answer {
    /// `response` of the review.
    pub(super) fn response(&self) -> &Value {
        &self.body["response"]
    }

    /// `object` as it would be stored, by an implementation of JSON Patch that is not ours.
    pub(super) fn applied(&self, object: &Value) -> Value {
        let mut object = object.clone();
        let patch: json_patch::Patch = serde_json::from_value(self.patch().into()).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
        object
    }

    /// The operations of the patch; none where there is none.
    pub(super) fn patch(&self) -> Vec<Value> {
        let Some(patch) = self.response()["patch"].as_str() else { return Vec::new() };
        assert_eq!(self.response()["patchType"], "JSONPatch");
        serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap()
    }

    pub(super) fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close")
    }
}

/// Reads one answer; `None` where the connection ends first.
pub(super) fn read(stream: &mut impl Read) -> Option<Answer> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Answer { status, head, body: serde_json::from_slice(&body).unwrap_or_default() })
}

/// The head of a review whose body has `length` bytes.
pub(super) fn head(length: usize) -> String {
    format!(
        "POST /mutating-pods?timeout=5s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json; \
         charset=utf-8\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// One request on a connection of its own.
pub(super) fn send(server: &Server, folder: &Path, head: &str, body: &[u8]) -> Answer {
    let mut tls = connect(server, folder);
    tls.write_all(head.as_bytes()).unwrap();
    // The server may answer, and close, before it has read a body that it refuses.
    let _ = tls.write_all(body);
    read(&mut tls).expect("an answer")
}

pub(super) fn post(server: &Server, folder: &Path, body: &[u8]) -> Answer {
    send(server, folder, &head(body.len()), body)
}

/// A review of the creation of templates/test.yaml, but for a change.
pub(super) fn review(change: impl FnOnce(&mut Value)) -> Value {
    let mut review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5",
            "kind": { "group": "apps", "version": "v1", "kind": "Deployment" },
            "namespace": "test",
            "name": "test",
            "operation": "CREATE",
            "userInfo": { "username": "jane" },
            "object": ::diyadm::webhook::manifests::test_deployment("test").unwrap(),
        },
    });
    change(&mut review);
    review
}

/// The bytes of such a review.
pub(super) fn bytes(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    review(change).to_string().into_bytes()
}

/// Puts `value` where `pointer` (RFC 6901) points; the last key may be a new one.
pub(super) fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
}

/// A GET of the plain port; what came, head and body.
pub(crate) fn get(server: &Server, path: &str) -> String {
    let mut tcp = TcpStream::connect(&server.health).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

/// A sample of /metrics, by its name with its labels; 0 where it has not come up yet.
pub(crate) fn metric(server: &Server, name: &str) -> u64 {
    let text = get(server, "/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// A review whose answer is larger than what the kernel keeps for a peer that does not read.
pub(super) fn with_large_answer() -> Vec<u8> {
    bytes(|r| {
        let container = &mut r["request"]["object"]["spec"]["template"]["spec"]["containers"][0];
        container["args"] = json!(["x".repeat(180_000)]);
    })
}

/// A connection with the first part of an answer in its small receive buffer.
pub(super) fn unread(server: &Server, folder: &Path) -> SslStream<TcpStream> {
    let tcp = Peer { server: server.address.parse().unwrap(), from: None }.connect().unwrap();
    let mut tls = connector(folder).build().connect("127.0.0.1", tcp).unwrap();
    let body = with_large_answer();
    tls.write_all(head(body.len()).as_bytes()).unwrap();
    tls.write_all(&body).unwrap();
    tls
}

pub(super) fn in_flight(server: &Server) -> u64 {
    metric(server, "diyadm_reviews_in_flight")
}

/// How many reviews the server awaits the body of.
pub(super) fn arriving(server: &Server) -> u64 {
    metric(server, "diyadm_reviews_arriving")
}
