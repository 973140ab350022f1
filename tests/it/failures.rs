//! Every failure text of webhook.md, provoked on the real API server, and named by `check`.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Private},
    ssl::{SslAcceptor, SslMethod},
    x509::{
        X509, X509Name,
        extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName},
    },
};
use serde_json::{Value, json};

use super::rig::{Cluster, Net, Server, cluster};

/// A CA, and certificates as wrong as a row wants them.
struct Authority {
    key: PKey<Private>,
    cert: X509,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    Expired,
    OtherName,
    CommonNameOnly,
    ClientOnly,
}

impl Authority {
    fn new() -> Self {
        let key = diyadm::pki::generate_key(diyadm::pki::KeyKind::P256).unwrap();
        let cert = build(&key, &key, "the CA", "the CA", 3650, |builder| {
            let ca = BasicConstraints::new().critical().ca().build().unwrap();
            builder.append_extension(ca).unwrap();
        });
        Self { key, cert }
    }

    fn pem(&self) -> Vec<u8> {
        self.cert.to_pem().unwrap()
    }

    /// An acceptor whose certificate is for 127.0.0.1, but for its flaw.
    fn acceptor(&self, flaw: Flaw) -> SslAcceptor {
        let key = diyadm::pki::generate_key(diyadm::pki::KeyKind::P256).unwrap();
        let days = if flaw == Flaw::Expired { -1 } else { 10 };
        let cert = build(&key, &self.key, "127.0.0.1", "the CA", days, |builder| {
            let usage = match flaw {
                Flaw::ClientOnly => ExtendedKeyUsage::new().client_auth().build(),
                _ => ExtendedKeyUsage::new().server_auth().build(),
            };
            builder.append_extension(usage.unwrap()).unwrap();
            let mut san = SubjectAlternativeName::new();
            match flaw {
                Flaw::CommonNameOnly => return,
                Flaw::OtherName => san.dns("else.test.svc"),
                _ => san.ip("127.0.0.1"),
            };
            let san = san.build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(san).unwrap();
        });
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate(&cert).unwrap();
        acceptor.set_private_key(&key).unwrap();
        acceptor.build()
    }
}

fn build(
    key: &PKey<Private>,
    signer: &PKey<Private>,
    subject: &str,
    issuer: &str,
    days: i64,
    extend: impl FnOnce(&mut openssl::x509::X509Builder),
) -> X509 {
    let name = |text: &str| {
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_text("CN", text).unwrap();
        name.build()
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let at = |days: i64| Asn1Time::from_unix(now + days * 86_400).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(u32::try_from(now % 1_000_000).unwrap()).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_not_before(&at(-20)).unwrap();
    builder.set_not_after(&at(days)).unwrap();
    builder.set_subject_name(&name(subject)).unwrap();
    builder.set_issuer_name(&name(issuer)).unwrap();
    builder.set_pubkey(key).unwrap();
    extend(&mut builder);
    builder.sign(signer, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// What stands at the webhook's address.
enum Stand {
    /// TLS with this flaw, and these answers: status line and body, made from the request's uid.
    Tls(Flaw, fn(&str) -> (u16, Value)),
    /// Accepts and never says a word.
    Mute,
    /// Accepts and closes.
    Closes,
    /// HTTP without TLS.
    Plain,
    /// Nobody listens.
    Nobody,
}

/// Serves on a loopback port until the test's process ends; a thread a connection, a few at most.
fn stand(authority: &Authority, stand: Stand) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = match &stand {
        Stand::Nobody => return port,
        Stand::Tls(flaw, _) => Some(authority.acceptor(*flaw)),
        _ => None,
    };
    thread::spawn(move || {
        let mut kept = Vec::new();
        for tcp in listener.incoming().flatten().take(1000) {
            match &stand {
                Stand::Mute => kept.push(tcp),
                Stand::Plain => {
                    let mut tcp = tcp;
                    let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                    drain(&tcp);
                }
                Stand::Tls(_, answer) => {
                    let (acceptor, answer) = (acceptor.clone().unwrap(), *answer);
                    thread::spawn(move || serve(&acceptor, tcp, answer));
                }
                Stand::Closes | Stand::Nobody => drop(tcp),
            }
        }
    });
    port
}

/// Reads what still comes, so that closing does not reset what was answered.
fn drain(tcp: &TcpStream) {
    tcp.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let _ = tcp.shutdown(std::net::Shutdown::Write);
    let _ = tcp.take(1 << 20).read_to_end(&mut Vec::new());
}

fn serve(acceptor: &SslAcceptor, tcp: TcpStream, answer: fn(&str) -> (u16, Value)) {
    let Ok(tls) = acceptor.accept(tcp) else { return };
    let mut tls = BufReader::new(tls);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if tls.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if tls.read_exact(&mut body).is_err() {
            return;
        }
        let review: Value = serde_json::from_slice(&body).unwrap();
        let (status, body) = answer(review["request"]["uid"].as_str().unwrap());
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if tls.get_mut().write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(response: &Value) -> Value {
    json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response })
}

/// A configuration that calls `client` for the Deployments of one namespace.
fn configuration(name: &str, policy: &str, client: &Value) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": name },
        "webhooks": [{
            "name": format!("{name}.test.svc"),
            "admissionReviewVersions": ["v1"],
            "clientConfig": client,
            "rules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["deployments"],
            }],
            "namespaceSelector": { "matchLabels": { name: "enabled" } },
            "failurePolicy": policy,
            "sideEffects": "None",
            "timeoutSeconds": 1,
        }],
    })
}

/// The ids that `check` says have failed, asked until `wanted` is among them: an API server hears
/// of a new configuration after a moment.
fn check_until(cluster: &Cluster, name: &str, more: &[&str], wanted: &str) -> String {
    let folder = Path::new(".");
    let label = format!("{name}=enabled");
    let names = ["check", "-o", "json", "-n", name, "--service", name, "--label", &label];
    let mut last = String::new();
    for _ in 0..40 {
        let run = cluster.diyadm(folder, &[&names, more].concat()).code(1);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let all = report["findings"].as_array().unwrap();
        if let Some(found) = all.iter().find(|f| f["id"] == wanted && f["level"] == "failed") {
            assert!(found["hint"].as_str().unwrap().contains('`'), "a command to type: {found}");
            return run.stdout;
        }
        last = run.stdout;
        thread::sleep(Duration::from_millis(100));
    }
    panic!("check never said {wanted}: {last}");
}

#[test]
fn every_text_is_provoked_and_named() {
    let Some(cluster) = cluster() else { return };
    let name = "failures";
    let _namespace = cluster.namespace(name);
    let (authority, other) = (Authority::new(), Authority::new());
    let good = |uid: &str| (200, answer(&json!({ "uid": uid, "allowed": true })));
    let rows: Vec<(&str, Stand, Vec<u8>)> = vec![
        ("unknown-ca", Stand::Tls(Flaw::None, good), other.pem()),
        ("expired", Stand::Tls(Flaw::Expired, good), authority.pem()),
        ("wrong-name", Stand::Tls(Flaw::OtherName, good), authority.pem()),
        ("common-name-only", Stand::Tls(Flaw::CommonNameOnly, good), authority.pem()),
        ("key-usage", Stand::Tls(Flaw::ClientOnly, good), authority.pem()),
        ("plain-http", Stand::Plain, authority.pem()),
        ("too-slow", Stand::Mute, authority.pem()),
        ("closed", Stand::Closes, authority.pem()),
        ("connection-refused", Stand::Nobody, authority.pem()),
        (
            "no-type-meta",
            Stand::Tls(Flaw::None, |uid| {
                (200, json!({ "response": { "uid": uid, "allowed": true } }))
            }),
            authority.pem(),
        ),
        (
            "no-type-meta",
            Stand::Tls(Flaw::None, |_| {
                let text = "no kind \"AdmissionReview\" is registered for version \
                            \"admission.k8s.io/v1\" in scheme \"pkg/runtime/scheme.go:100\"";
                let status = json!({
                    "apiVersion": "v1", "kind": "Status", "status": "Failure",
                    "message": text, "code": 400,
                });
                (400, status)
            }),
            authority.pem(),
        ),
        (
            "wrong-uid",
            Stand::Tls(Flaw::None, |_| (200, answer(&json!({ "uid": "else", "allowed": true })))),
            authority.pem(),
        ),
        (
            "patch-without-type",
            Stand::Tls(Flaw::None, |uid| {
                let patch = STANDARD.encode("[]");
                (200, answer(&json!({ "uid": uid, "allowed": true, "patch": patch })))
            }),
            authority.pem(),
        ),
        (
            "denied",
            Stand::Tls(Flaw::None, |uid| (200, answer(&json!({ "uid": uid, "allowed": false })))),
            authority.pem(),
        ),
    ];
    for (wanted, what, bundle) in rows {
        let port = stand(&authority, what);
        let url = format!("https://127.0.0.1:{port}/mutating-pods");
        let client = json!({ "url": url, "caBundle": STANDARD.encode(bundle) });
        let object = configuration(name, "Fail", &client);
        cluster.kubectl(&["apply", "-f", "-"], &object.to_string());
        check_until(&cluster, name, &[], wanted);
        // The same under Ignore: the create goes through, and the reason takes a probe.
        let object = configuration(name, "Ignore", &client);
        cluster.kubectl(&["apply", "-f", "-"], &object.to_string());
        if !["denied", "connection-refused"].contains(&wanted) {
            // A denial holds under Ignore too.
            check_until(&cluster, name, &[], "dry-run");
        }
        if wanted == "unknown-ca" {
            check_until(&cluster, name, &["--probe"], wanted);
            let left =
                ["get", "mutatingwebhookconfigurations", "-l", "diyadm.io/probe", "-o", "name"];
            assert_eq!(cluster.kubectl(&left, ""), "", "the probe is gone");
        }
    }
}

#[test]
fn what_is_wrong_with_the_service_is_named() {
    let Some(cluster) = cluster() else { return };
    let Some(net) = Net::new() else { return };
    let name = "failing-service";
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| cluster.diyadm(folder.path(), &[args, &names].concat());
    run(&["init"]).code(0);
    let render = run(&["render", "--failure-policy", "Fail"]).code(0).stdout;
    cluster.kubectl(&["apply", "-f", "-"], &render);
    check_until(&cluster, name, &[], "no-endpoints");
    run(&["verify"]).code(1).stderr_has("no Pod of the webhook is ready behind its Service");

    cluster.kubectl(&["apply", "-f", "-"], &net.slice(name, name));
    check_until(&cluster, name, &[], "connection-refused");

    // Certificates of another Service behind this one.
    let conf = diyadm::manifests::csr_conf("else", name);
    fs::write(folder.path().join("csr.conf"), conf).unwrap();
    let out = ["init", "--out", ".", "--service", "else", "-n", name];
    super::rig::diyadm(folder.path(), &out).code(0);
    let _server = Server::start_in(&net, folder.path(), &[]);
    // Go looks at the name before the signature.
    check_until(&cluster, name, &[], "wrong-name");
    let bundle = fs::read(folder.path().join("ca.crt")).unwrap();
    let set = |bundle: &[u8]| {
        let path = "/webhooks/0/clientConfig/caBundle";
        let patch = json!([{ "op": "replace", "path": path, "value": STANDARD.encode(bundle) }]);
        let patch = patch.to_string();
        let what = ["patch", "mutatingwebhookconfiguration", name, "--type=json", "-p", &patch];
        cluster.kubectl(&what, "");
    };
    set(&bundle);
    let seen = check_until(&cluster, name, &[], "wrong-name");
    assert!(seen.contains("the caBundle does not hold the CA"), "{seen}");
    // Junk is taken by the API server, and found by us.
    set(b"junk");
    let seen = check_until(&cluster, name, &[], "ca-bundle-junk");
    assert!(seen.contains("the caBundle holds no PEM certificate"), "{seen}");
}
