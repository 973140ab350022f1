//! Plays the API server's role in a review: trust, call, and application of the patch.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::operations::check::connection::connect_as;

/// Everything is on this machine; a longer call is stuck.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Calls one webhook as its configuration says.
pub(super) struct Client {
    /// PEM.
    bundle: Vec<u8>,
    address: SocketAddr,
    host: String,
    path: String,
}

impl Client {
    /// Reads caBundle, Service and path from rendered YAML. `address` replaces the Service's
    /// address; the certificate is still checked against the Service's name.
    pub(super) fn from_yaml(yaml: &str, address: SocketAddr) -> Result<Self> {
        let configuration = serde_yaml::Deserializer::from_str(yaml)
            .map(Value::deserialize)
            .filter_map(Result::ok)
            .find(|object| object["kind"] == "MutatingWebhookConfiguration")
            .context("the YAML holds no MutatingWebhookConfiguration")?;
        let client = &configuration["webhooks"][0]["clientConfig"];
        let text = |pointer: &str| {
            let found = client.pointer(pointer).and_then(Value::as_str);
            found.with_context(|| format!("clientConfig lacks {pointer}"))
        };
        let bundle = STANDARD.decode(text("/caBundle")?).context("caBundle is not base64")?;
        Ok(Self {
            bundle,
            address,
            host: format!("{}.{}.svc", text("/service/name")?, text("/service/namespace")?),
            path: text("/service/path")?.to_owned(),
        })
    }

    /// The name that the certificate must have.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Posts a review of `object` and returns the object as it would be stored.
    pub(super) fn review(&self, operation: &str, object: &Value) -> Result<Value> {
        let uid = "705ab4f5-6393-11e8-b7cc-42010a800002";
        let meta = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        // All workload kinds have regular plurals.
        let resource = format!("{}s", kind.to_lowercase());
        let old = if operation == "UPDATE" { object.clone() } else { Value::Null };
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": uid,
                "kind": { "group": group, "version": version, "kind": kind },
                "resource": { "group": group, "version": version, "resource": resource },
                "name": meta["name"],
                "namespace": meta["namespace"],
                "operation": operation,
                "userInfo": { "username": "verify", "groups": ["system:authenticated"] },
                "object": object,
                "oldObject": old,
                "dryRun": false,
                "options": { "apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions" },
            },
        });
        let answer = self.post(review.to_string().as_bytes())?;
        ensure!(
            answer["apiVersion"] == "admission.k8s.io/v1" && answer["kind"] == "AdmissionReview",
            "expected an AdmissionReview of admission.k8s.io/v1"
        );
        let response = &answer["response"];
        ensure!(response["uid"] == uid, "the answer's uid is not the review's");
        ensure!(response["allowed"] == true, "the review was denied: {}", response["status"]);
        let mut object = object.clone();
        match (response["patch"].as_str(), response["patchType"].as_str()) {
            (Some(patch), Some("JSONPatch")) => {
                let patch = STANDARD.decode(patch).context("the patch is not base64")?;
                let patch: json_patch::Patch = serde_json::from_slice(&patch)?;
                json_patch::patch(&mut object, &patch).context("the patch does not apply")?;
            }
            (None, None) => {}
            _ => bail!("a patch comes with patchType JSONPatch, and never alone"),
        }
        Ok(object)
    }

    fn post(&self, body: &[u8]) -> Result<Value> {
        let tcp = TcpStream::connect_timeout(&self.address, TIMEOUT)?;
        tcp.set_read_timeout(Some(TIMEOUT))?;
        tcp.set_write_timeout(Some(TIMEOUT))?;
        let mut tls = connect_as(&self.host, &self.bundle, tcp)
            .with_context(|| format!("no trusted TLS connection for {}", self.host))?;
        let (path, host, length) = (&self.path, &self.host, body.len());
        write!(
            tls,
            "POST {path}?timeout=5s HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        )?;
        tls.write_all(body)?;
        let mut answer = Vec::new();
        tls.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").context("no HTTP answer")?;
        let head = String::from_utf8_lossy(&answer[..end]);
        let status = head.lines().next().unwrap_or_default();
        let content = &answer[end + 4..];
        ensure!(
            status.starts_with("HTTP/1.1 200"),
            "{status}: {}",
            String::from_utf8_lossy(content)
        );
        serde_json::from_slice(content).context("the answer is not JSON")
    }
}
