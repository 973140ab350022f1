//! Bad input and its answer, over a real TLS socket.

mod abuse;
mod attack;
mod attacks;
mod client;
mod drain;
mod local_webhook;
mod log;
mod memory_protection;
mod metrics;
mod odd_requests;
mod overload;
mod reload;
mod rules;

pub(crate) use client::{certificates, metric};
pub(crate) use local_webhook::LocalWebhook;

use serde_json::{Value, json};

use super::rig::Server;
use client::{Answer, bytes, post, review, send, set};

const MIB: usize = 1024 * 1024;

#[test]
fn invalid_review_requests_get_an_http_status() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let good = bytes(|_| ());
    let text = String::from_utf8(good.clone()).unwrap();
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let remove = |key: &str| bytes(|r| drop(r.as_object_mut().unwrap().remove(key)));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("array", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("number", b"1".to_vec()),
        ("deep", text.replace("\"jane\"", &nested(126)).into_bytes()),
        ("deeper than any stack", nested(3 * MIB).into_bytes()),
        ("not UTF-8", [&good[..20], &[0xff, 0xfe], &good[20..]].concat()),
        ("two documents", [good.clone(), good.clone()].concat()),
        ("duplicate keys", text.replacen('{', "{\"kind\":\"AdmissionReview\",", 1).into_bytes()),
        (
            "duplicate keys in the object",
            text.replacen("\"object\":{", "\"object\":{\"kind\":\"Deployment\",", 1).into_bytes(),
        ),
        ("no kind", remove("kind")),
        ("no apiVersion", remove("apiVersion")),
        ("v1beta1", bytes(|r| r["apiVersion"] = "admission.k8s.io/v1beta1".into())),
        ("another kind", bytes(|r| r["kind"] = "Pod".into())),
        ("no request", remove("request")),
        ("request is null", bytes(|r| r["request"] = Value::Null)),
        ("empty uid", bytes(|r| r["request"]["uid"] = "".into())),
        ("uid is a number", bytes(|r| r["request"]["uid"] = 1.into())),
    ];
    for (case, body) in cases {
        let answer = post(&server, certs.path(), &body);
        assert_eq!((answer.status, &answer.body["kind"]), (400, &json!("Status")), "{case}");
        let message = answer.body["message"].as_str().unwrap();
        assert!(message.starts_with("diyadm: "), "{case}: {message}");
        if case == "v1beta1" {
            assert!(message.contains("admission.k8s.io/v1"), "names what was expected: {message}");
        }
    }
    let json = "Host: x\r\nContent-Type: application/json";
    let pods = "POST /mutating-pods HTTP/1.1\r\n";
    for (expected, head) in [
        (405, "GET /mutating-pods HTTP/1.1\r\nHost: x".to_owned()),
        (404, "POST /else HTTP/1.1\r\nHost: x\r\nContent-Length: 0".to_owned()),
        (415, format!("{pods}Host: x\r\nContent-Length: 0")),
        (415, format!("{pods}Host: x\r\nContent-Type: text/plain\r\nContent-Length: 0")),
        (415, format!("{pods}{json}\r\nContent-Encoding: gzip\r\nContent-Length: 0")),
        (413, format!("{pods}{json}\r\nContent-Length: 8000000")),
        (413, format!("{pods}{json}\r\nContent-Length: 99999999999999999999999")),
    ] {
        let answer = send(&server, certs.path(), &format!("{head}\r\n\r\n"), b"");
        // What is no HTTP at all never comes to a handler of ours.
        let found = (answer.status, &answer.body["kind"]);
        let overflow = head.contains("9999") && found == (400, &Value::Null);
        assert!(overflow || found == (expected, &json!("Status")), "{head}: {answer:?}");
    }
    // All of this has left the server as it was.
    let answer = post(&server, certs.path(), &good);
    assert_eq!((answer.status, &answer.response()["uid"]), (200, &json!("705ab4f5")));
}

#[test]
fn review_bodies_are_accepted_up_to_7_mib() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let padded = |length: usize| {
        let mut body = bytes(|_| ());
        body.resize(length, b' ');
        body
    };
    assert_eq!(post(&server, certs.path(), &padded(7 * MIB)).status, 200);
    assert_eq!(post(&server, certs.path(), &padded(7 * MIB + 1)).status, 413);
}

#[test]
fn odd_reviews_are_allowed_unchanged() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    // Where in the review, what stands there instead, and whether someone is told of something.
    let (kind, operation, object) = ("/request/kind/kind", "/request/operation", "/request/object");
    let containers = "/request/object/spec/template/spec/containers";
    let annotations = "/request/object/metadata/annotations";
    let forged = json!({ "diyadm.io/original": "x", "inject-empty-container": "disabled" });
    let cases = [
        ("DELETE", vec![(operation, json!("DELETE")), (object, Value::Null)], false),
        ("CONNECT", vec![(operation, json!("CONNECT")), (object, Value::Null)], false),
        ("object null", vec![(object, Value::Null)], true),
        ("object is a text", vec![(object, json!("x"))], true),
        ("another kind", vec![("/request/object/kind", json!("StatefulSet"))], true),
        ("unknown to one", vec![(kind, json!("Odd"))], true),
        ("unknown", vec![(kind, json!("Odd")), ("/request/object/kind", json!("Odd"))], false),
        ("subresource", vec![("/request/subResource", json!("scale"))], false),
        ("containers null", vec![(containers, Value::Null)], false),
        ("no containers", vec![(containers, json!([]))], false),
        ("forged", vec![(annotations, forged)], true),
        ("corrupt", vec![(annotations, json!({ "diyadm.io/original": "{\"v\":1" }))], true),
        ("too large", vec![(annotations, json!({ "a": "x".repeat(256 * 1024) }))], true),
    ];
    for (case, changes, warns) in cases {
        let mut body = review(|_| ());
        for (pointer, value) in changes {
            set(&mut body, pointer, value);
        }
        let answer = post(&server, certs.path(), body.to_string().as_bytes());
        let response = answer.response();
        assert_eq!((answer.status, &response["allowed"]), (200, &json!(true)), "{case}");
        assert!(response.get("patch").is_none(), "{case}: {response}");
        assert!(response.get("patchType").is_none(), "{case}: {response}");
        let warnings = response["warnings"].as_array().map_or(&[][..], Vec::as_slice);
        assert_eq!(!warnings.is_empty(), warns, "{case}: {response}");
        assert!(warnings.iter().all(|w| w.as_str().unwrap().chars().count() <= 120), "{response}");
    }
}

#[test]
fn odd_objects_are_emptied_and_restored() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &[]);
    let plain = post(&server, certs.path(), &bytes(|_| ()));
    // The original tells when it was saved; all else is the same.
    let operations = |answer: &Answer| {
        let is_original = |operation: &Value| operation["path"] == "/metadata/annotations";
        let (original, others): (Vec<_>, Vec<_>) =
            answer.patch().into_iter().partition(is_original);
        assert_eq!(original.len(), 1);
        others
    };
    let two = json!([{ "name": "a", "image": "b:1" }, { "name": "a", "image": "c:1" }]);
    let keys = json!({ "a/b": "1", "c~d~1/e": "2", "\u{e9}\u{1f600}": "\u{7f}\u{2028}", "": "" });
    let cases = [
        ("annotations null", vec![("/object/metadata/annotations", Value::Null)]),
        ("image is a number", vec![("/object/spec/template/spec/containers/0/image", json!(1))]),
        ("two of one name", vec![("/object/spec/template/spec/containers", two)]),
        (
            "odd keys",
            vec![
                ("/object/metadata/annotations", keys.clone()),
                ("/object/spec/template/spec/containers/0/x~1y~0z", keys.clone()),
            ],
        ),
        (
            "generateName",
            vec![
                ("/name", json!("")),
                ("/object/metadata/name", Value::Null),
                ("/object/metadata/generateName", json!("test-")),
            ],
        ),
        ("dryRun", vec![("/dryRun", json!(true))]),
        ("unknown fields", vec![("/x", keys.clone()), ("/object/spec/x", keys.clone())]),
    ];
    for (case, changes) in cases {
        let mut body = review(|_| ());
        for (pointer, value) in changes {
            set(&mut body["request"], pointer, value);
        }
        let before = body["request"]["object"].clone();
        let answer = post(&server, certs.path(), body.to_string().as_bytes());
        let emptied = answer.applied(&before);
        let images = |object: &Value| {
            let containers = object.pointer("/spec/template/spec/containers").unwrap();
            containers.as_array().unwrap().iter().map(|c| c["image"].clone()).collect::<Vec<_>>()
        };
        let mut wanted = images(&before);
        wanted[0] = "empty-container:latest".into();
        assert_eq!(images(&emptied), wanted, "{case}");
        if ["dryRun", "unknown fields", "generateName"].contains(&case) {
            assert_eq!(operations(&answer), operations(&plain), "{case}");
        }

        body["request"]["operation"] = "UPDATE".into();
        body["request"]["object"] = emptied.clone();
        let again = post(&server, certs.path(), body.to_string().as_bytes());
        assert!(again.response().get("patch").is_none(), "{case}: emptied already");
        assert!(again.response().get("patchType").is_none(), "{case}: emptied already");
        let disable = |object: &Value| {
            let mut object = object.clone();
            object["metadata"]["annotations"]["inject-empty-container"] = "disabled".into();
            object
        };
        body["request"]["object"] = disable(&emptied);
        let back = post(&server, certs.path(), body.to_string().as_bytes());
        assert_eq!(back.applied(&disable(&emptied)), disable(&before), "{case}");
    }
}
