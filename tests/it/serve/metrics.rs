//! Metrics and log: every documented field, and never the content of an object.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client::{bytes, certificates, get, post, review, send, set};
use crate::rig::{Server, wait_until};

/// A word that stands in objects only.
const CANARY: &str = "canary-7d1f";

/// Reviews of all sorts, each with the canary in its object.
fn reviews() -> Vec<Vec<u8>> {
    let object = |change: &dyn Fn(&mut Value)| {
        bytes(|r| {
            let container =
                &mut r["request"]["object"]["spec"]["template"]["spec"]["containers"][0];
            container["env"] = json!([{ "name": "PASSWORD", "value": CANARY }]);
            change(r);
        })
    };
    let at = |pointer: &'static str, value: Value| {
        object(&|r| set(&mut r["request"]["object"], pointer, value.clone()))
    };
    let original = |text: &str| {
        let text = text.replace('?', CANARY);
        let annotations =
            json!({ "diyadm.io/original": text, "inject-empty-container": "disabled" });
        at("/metadata/annotations", annotations)
    };
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "web", "annotations": { "diyadm.io/debug-port": CANARY } },
        "spec": { "ports": [{ "port": 80 }] },
    });
    vec![
        object(&|_| ()),
        at("/kind", CANARY.into()),
        at("/metadata/annotations", json!({ "diyadm.io/containers": CANARY })),
        at("/metadata/annotations", CANARY.into()),
        at("/metadata/labels", json!({ "inject-empty-container": CANARY })),
        at("/spec/template/spec", CANARY.into()),
        at("/spec/template/spec/containers", CANARY.into()),
        at("/spec/template/spec/containers/0", CANARY.into()),
        at("/spec/template/spec/containers/0/image", json!({ CANARY: CANARY })),
        at("/spec/template/spec/terminationGracePeriodSeconds", CANARY.into()),
        original("?"),
        original("{\"?\":1}"),
        original("{\"v\":\"?\"}"),
        original("{\"v\":1,\"containers\":{\"?\":\"?\"}}"),
        object(&|r| {
            r["request"]["kind"] = json!({ "group": "", "version": "v1", "kind": "Service" });
            r["request"]["object"] = service.clone();
        }),
        // No reviews at all, with the canary where a parser would quote it.
        object(&|r| r["request"]["object"] = CANARY.into()),
        format!("{{\"request\":{{\"object\":{{\"a\":\"{CANARY}\\ud800\"}}}}}}").into_bytes(),
        format!("{{\"apiVersion\":\"{CANARY}\"}}").into_bytes(),
        format!("{{\"request\":{{\"dryRun\":\"{CANARY}\"}}}}").into_bytes(),
        format!("{{\"request\":{{\"{CANARY}\":1,\"object\":{CANARY}}}}}").into_bytes(),
        format!("\"{CANARY}\"").into_bytes(),
        format!("{{\"request\":\"{CANARY}\"}}").into_bytes(),
    ]
}

#[test]
fn log_line_has_its_fields_and_no_object_content() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &["--drain", "0"]);
    let (mut answered, mut refused) = (0, 0);
    for body in reviews() {
        match post(&server, certs.path(), &body).status {
            200 => answered += 1,
            400 => refused += 1,
            status => panic!("{status} for {}", String::from_utf8_lossy(&body)),
        }
    }
    assert!(answered > 10 && refused > 3, "{answered} {refused}");
    let mut long = review(|r| r["request"]["dryRun"] = true.into());
    long["request"]["name"] = "n".repeat(100_000).into();
    long["request"]["userInfo"]["username"] = "a\nb\u{9b}2J\u{202e}".into();
    post(&server, certs.path(), long.to_string().as_bytes());
    send(&server, certs.path(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"");
    server.signal();
    let (code, log) = server.ended();
    assert_eq!(code, Some(0));

    let log: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |message: &str| log.iter().filter(|l| l["message"] == message).collect::<Vec<_>>();
    let frame = ["timestamp", "level", "target", "message"];
    let fields = ["uid", "kind", "namespace", "name", "user", "operation", "dryRun", "outcome"];
    let keys = |line: &Value, more: &[&str]| {
        let mut found: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        let mut wanted = [&frame[..], more].concat();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted);
    };
    assert_eq!((of("review").len(), of("refused").len()), (answered + 1, refused + 1));
    of("review").iter().for_each(|line| keys(line, &[&fields[..], &["micros"]].concat()));
    of("refused").iter().for_each(|line| keys(line, &["code"]));
    let first = of("review")[0];
    for (field, value) in fields.into_iter().zip([
        json!("705ab4f5"),
        json!("Deployment"),
        json!("test"),
        json!("test"),
        json!("jane"),
        json!("CREATE"),
        json!(false),
        json!("emptied"),
    ]) {
        assert_eq!(first[field], value, "{field}");
    }
    assert!(first["micros"].is_u64());
    let last = *of("review").last().unwrap();
    assert_eq!((&last["dryRun"], &last["user"]), (&json!(true), &json!("a\\nb\\u{9b}2J\\u{202e}")));
    assert_eq!(last["name"].as_str().unwrap().len(), 253, "no longer than a name may be");
    for line in &log {
        assert!(!line.to_string().contains(CANARY), "{line}");
    }
}

/// Prometheus' text format, strictly: families with HELP and TYPE, samples below their own.
fn samples(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut family = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').expect("a name and its help").0.to_owned();
            let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(!family.is_empty() && name.starts_with(&family), "{line} below {family}");
        value.parse::<f64>().unwrap();
        assert!(all.insert(name.to_owned(), value.to_owned()).is_none(), "{line} twice");
    }
    all
}

#[test]
fn metrics_count_reviews_refusals_and_latency() {
    let certs = certificates("diyadmissionwebhook", "test");
    let server = Server::start(certs.path(), &["--max-in-flight", "1"]);
    let scrape = || {
        let answer = get(&server, "/metrics");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        samples(body)
    };
    let none = scrape();
    let not_after: u64 = none["diyadm_certificate_not_after_seconds"].parse().unwrap();
    assert!(not_after > 1_700_000_000);
    for name in ["reviews_in_flight", "certificate_reloads_total", "certificate_refused_total"] {
        assert_eq!(none[&format!("diyadm_{name}")], "0", "{name}");
    }

    let emptied = post(&server, certs.path(), &bytes(|_| ()));
    let emptied = emptied.applied(&review(|_| ())["request"]["object"]);
    post(&server, certs.path(), &bytes(|r| r["request"]["operation"] = "DELETE".into()));
    let mut restore = emptied;
    restore["metadata"]["annotations"]["inject-empty-container"] = "disabled".into();
    let restore = bytes(|r| {
        r["request"]["operation"] = "UPDATE".into();
        r["request"]["object"] = restore;
    });
    post(&server, certs.path(), &restore);
    // A sender cannot make series without end.
    for odd in 0..5 {
        let mut body = review(|r| r["request"]["operation"] = format!("odd-{odd}").into());
        body["request"]["kind"]["kind"] = format!("Odd{odd}").into();
        post(&server, certs.path(), body.to_string().as_bytes());
    }
    post(&server, certs.path(), b"{}");
    for head in ["GET / HTTP/1.1", "GET /mutating-pods HTTP/1.1", "POST /mutating-service HTTP/1.1"]
    {
        send(&server, certs.path(), &format!("{head}\r\nHost: x\r\n\r\n"), b"");
    }
    wait_until("all is counted", || scrape()["diyadm_reviews_in_flight"] == "0");
    let all = scrape();
    for (labels, n) in [
        ("operation=\"CREATE\",kind=\"Deployment\",outcome=\"emptied\"", "1"),
        ("operation=\"DELETE\",kind=\"Deployment\",outcome=\"unchanged\"", "1"),
        ("operation=\"UPDATE\",kind=\"Deployment\",outcome=\"restored\"", "1"),
        ("operation=\"other\",kind=\"other\",outcome=\"unchanged\"", "5"),
        ("operation=\"other\",kind=\"other\",outcome=\"refused\"", "1"),
    ] {
        let name = format!("diyadm_reviews_total{{{labels}}}");
        assert_eq!(all.get(&name).map(String::as_str), Some(n), "{name}: {all:#?}");
    }
    for code in [400, 404, 405, 415] {
        assert_eq!(all[&format!("diyadm_refused_total{{code=\"{code}\"}}")], "1", "{code}");
    }
    let bucket = |le: &str| -> u64 {
        all[&format!("diyadm_review_seconds_bucket{{le=\"{le}\"}}")].parse().unwrap()
    };
    let bounds = ["1e-05", "3e-05", "0.0001", "0.0003", "0.001", "0.01", "0.1", "+Inf"];
    assert!(bounds.windows(2).all(|pair| bucket(pair[0]) <= bucket(pair[1])), "cumulative");
    assert_eq!((bucket("+Inf"), all["diyadm_review_seconds_count"].as_str()), (9, "9"));
    assert!(all["diyadm_review_seconds_sum"].parse::<f64>().unwrap() > 0.0);
}
