//! Certificates: anything that a server sends or a caBundle contains is judged quickly, with a
//! short message.

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::x509::X509;

use super::{Target, behaviour, is_bounded};
use crate::{
    pki::{KeyKind, Request, Terms, generate_key, issue, verify, verify_peer},
    webhook::manifests,
};

const NOW: i64 = 1_800_000_000;
const HOST: &str = "web.test.svc";
const WORDS: [&str; 10] = [
    "0\0",
    "0\u{3}\u{1}\u{1}",
    "\u{2}\u{1}\0",
    "\u{6}\u{3}U\u{1d}\u{11}",
    "\u{6}\u{3}U\u{1d}\u{1e}",
    "\u{6}\u{3}U\u{1d} ",
    "web.test.svc",
    "*.",
    "https://a@b:1/%41",
    "\"a\"@b",
];

#[test]
fn any_certificate_is_judged() {
    let request = Request::parse("csr.conf", &manifests::csr_conf("web", "test")).unwrap();
    let (service, namespace) = ("web".to_owned(), "test".to_owned());
    let terms = Terms { now: NOW, days: 9, ca_days: 9, service, namespace };
    let key = || generate_key(KeyKind::P256).unwrap();
    let good = issue(&request, &terms, &key(), &key()).unwrap();
    let der = |pem: &str| X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap();
    let seeds = vec![der(&good.ca_crt), der(&good.server_crt)];
    let check = |input: &[u8]| {
        let body = STANDARD.encode(input);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        let as_ca = verify(pem.as_bytes(), good.server_crt.as_bytes(), None, HOST, NOW);
        let as_both = verify(pem.as_bytes(), pem.as_bytes(), None, HOST, NOW);
        let sent: Vec<_> = X509::from_der(input).into_iter().collect();
        let as_leaf = verify_peer(good.ca_crt.as_bytes(), &sent, HOST, NOW);
        let said = [as_ca, as_both, as_leaf].map(|judged| match judged {
            Ok(_) => "good".to_owned(),
            Err(fault) => fault.to_string(),
        });
        said.iter().for_each(|said| is_bounded(said, input));
        behaviour(&[&said[0], &said[1], &said[2]])
    };
    Target { name: "certificate", seeds, words: &WORDS }.fuzz(check);
}
