//! A mutating webhook that puts a registry in front of every image.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use serde_json::{Value, json};

const REGISTRY: &str = "mirror.example/";
const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// Answers until the tests end.
pub(super) struct Mirror(SocketAddr);

impl Mirror {
    /// With the certificate in `folder`.
    pub(super) fn start(folder: &Path) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate_chain_file(folder.join("server.crt")).unwrap();
        acceptor.set_private_key_file(folder.join("server.key"), SslFiletype::PEM).unwrap();
        let acceptor = Arc::new(acceptor.build());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let acceptor = acceptor.clone();
                thread::spawn(move || serve(&acceptor, tcp));
            }
        });
        Self(address)
    }

    /// Called for Deployments of one namespace.
    pub(super) fn configuration(&self, folder: &Path, name: &str, namespace: &str) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": name },
            "webhooks": [{
                "name": "images.mirror.example",
                "clientConfig": {
                    "url": format!("https://{}/", self.0),
                    "caBundle": STANDARD.encode(fs::read(folder.join("ca.crt")).unwrap()),
                },
                "rules": [{
                    "apiGroups": ["apps"], "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"], "resources": ["deployments"],
                }],
                "namespaceSelector": {
                    "matchLabels": { "kubernetes.io/metadata.name": namespace },
                },
                "failurePolicy": "Fail",
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        })
    }
}

/// The reviews of one connection, one after the other; `None` once it has ended.
fn serve(acceptor: &SslAcceptor, tcp: TcpStream) -> Option<()> {
    let mut stream = BufReader::new(acceptor.accept(tcp).ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        let answer = answer(&serde_json::from_slice(&body).ok()?).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        stream.get_mut().write_all((head + &answer).as_bytes()).ok()?;
    }
}

fn answer(review: &Value) -> Value {
    let mut response = json!({ "uid": review["request"]["uid"], "allowed": true });
    let image = review["request"]["object"].pointer(IMAGE).and_then(Value::as_str);
    if let Some(image) = image.filter(|image| !image.starts_with(REGISTRY)) {
        let value = format!("{REGISTRY}{image}");
        let patch = json!([{ "op": "replace", "path": IMAGE, "value": value }]);
        response["patchType"] = "JSONPatch".into();
        response["patch"] = STANDARD.encode(patch.to_string()).into();
    }
    json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response })
}
