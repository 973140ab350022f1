//! Chains that OpenSSL and Go judge differently, behind a webhook of the real API server.

use base64::{Engine, engine::general_purpose::STANDARD};
use diyadm::pki::{self, KeyKind, generate_key};
use openssl::{
    hash::MessageDigest,
    pkey::{PKey, Private},
    ssl::{SslAcceptor, SslMethod},
    x509::X509,
};
use serde_json::json;

use super::{
    answer, ask,
    broken_servers::{Authority, Stand, stand},
    configuration, create_until, names,
};
use crate::{
    pki::forge::{Issuer, Template, USAGES, der, pem, usages},
    rig::reaching_cluster,
};

/// What it shows, the CAs, what the server sends, and the API server's words and the cause where it
/// refuses.
type Row = (&'static str, Vec<X509>, Vec<X509>, Option<(&'static str, &'static str)>);

/// Each good one follows one that is refused, so that its success is its own.
fn rows(server: &PKey<Private>) -> Vec<Row> {
    let key = || generate_key(KeyKind::P256).unwrap();
    let (ca, old) = (Issuer::new("the CA", &key()), Issuer::new("the CA", &key()));
    let wide = |template: Template| template.days(-1000, 1000);
    let leaf = || wide(Template::leaf(&["IP:127.0.0.1"]));
    let root = |of: &Issuer| wide(Template::ca("the CA")).sign(&of.key, of);
    let signed = |template: &Template| template.sign(server, &ca);
    let itself = signed(&leaf());
    let sha1 = Template { digest: MessageDigest::sha1, ..leaf() };
    let negative = Template { serial: -7, ..leaf() };
    let middle = Issuer::new("middle", &key());
    let between = wide(Template::ca("middle")).sign(&middle.key, &ca);
    let clients = wide(Template::ca("the CA")).with(USAGES, false, usages(&[2]));
    vec![
        (
            "SHA-1",
            vec![root(&ca)],
            vec![signed(&sha1)],
            Some(("insecure algorithm ECDSA-SHA1", "insecure-signature")),
        ),
        ("the leaf as root", vec![itself.clone()], vec![itself], None),
        (
            "a negative serial",
            vec![root(&ca)],
            vec![signed(&negative)],
            Some(("negative serial number", "unreadable-certificate")),
        ),
        (
            "two CAs of one name, the old one first",
            vec![root(&old), root(&ca)],
            vec![signed(&leaf())],
            None,
        ),
        (
            "an unknown critical extension",
            vec![root(&ca)],
            vec![signed(&leaf().with("1.2.3.4", true, der(5, &[])))],
            Some(("unhandled critical extension", "bad-certificate")),
        ),
        ("an intermediate as root", vec![between], vec![leaf().sign(server, &middle)], None),
        (
            "a CA for clients only",
            vec![clients.sign(&ca.key, &ca)],
            vec![signed(&leaf())],
            Some(("incompatible key usage", "key-usage")),
        ),
        (
            "any usage",
            vec![root(&ca)],
            vec![signed(&leaf().with(USAGES, false, usages(&[0])))],
            None,
        ),
    ]
}

#[test]
fn verify_judges_chains_as_the_api_server_does() {
    let cluster = require!(reaching_cluster());
    let name = cluster.name("chains");
    let _namespace = cluster.namespace(name);
    let server = generate_key(KeyKind::P256).unwrap();
    let good = |uid: &str| (200, answer(&json!({ "uid": uid, "allowed": true })));
    let authority = Authority::new();
    for (what, roots, chain, refused) in rows(&server) {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_security_level(0);
        acceptor.set_certificate(&chain[0]).unwrap();
        acceptor.set_private_key(&server).unwrap();
        let ca = pem(&roots.iter().collect::<Vec<_>>());
        let crt = pem(&chain.iter().collect::<Vec<_>>());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_secs()).unwrap();
        let ours = pki::verify(ca.as_bytes(), crt.as_bytes(), None, "127.0.0.1", now);
        assert_eq!(ours.is_ok(), refused.is_none(), "{what}: {ours:?}");
        let port = stand(&authority, Stand::As(acceptor.build(), good));
        let url = format!("https://127.0.0.1:{port}/mutating-pods");
        let client = json!({ "url": url, "caBundle": STANDARD.encode(ca) });
        let object = configuration(name, "Fail", &client).to_string();
        cluster.kubectl(&["apply", "-f", "-"], &object);
        match refused {
            None => create_until(&cluster, name, what, |run| run.code == Some(0)),
            Some((text, cause)) => {
                create_until(&cluster, name, what, |run| run.stderr.contains(text));
                let seen = ask(&cluster, name, &["check"]);
                names(&seen, cause);
                assert!(
                    seen.stdout.contains("its certificate is not trusted: "),
                    "{}",
                    seen.stdout
                );
            }
        }
    }
}
