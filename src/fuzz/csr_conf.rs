//! csr.conf: an accepted file gives a certificate, a rejected one gets a short message.

use std::sync::LazyLock;

use openssl::{
    pkey::{PKey, Private},
    x509::X509,
};

use super::{Target, behaviour, is_bounded};
use crate::pki::{KeyKind, Request, Terms, generate_key, issue};

const WORDS: [&str; 26] = [
    "[ req ]\n",
    "[v3_ext]\n",
    "[ req_ext ]\n",
    "subjectAltName = ",
    "@alt_names",
    "DNS.1 = ",
    "IP.1 = ",
    "DNS:",
    "IP:",
    "critical,",
    "keyUsage = ",
    "extendedKeyUsage=",
    "basicConstraints=CA:",
    "distinguished_name = d\n",
    "prompt = no\n",
    "default_md = ",
    "$",
    "${",
    "$(",
    "::",
    "\\\n",
    "\"",
    "CN = ",
    "utf8 = yes\n",
    ".include /etc/passwd\n",
    "default_bits = 2048\n",
];

fn seeds() -> Vec<Vec<u8>> {
    let own = include_str!("../../csr.conf");
    let subject = |rest: &str| format!("[req]\nprompt=no\ndistinguished_name=d\n{rest}");
    let texts = [
        own.to_owned(),
        own.replace('\n', "\r\n"),
        subject("default_md=SHA512\n[d]\nCN=a.b.svc\n[v3_ext]\n"),
        subject("default_md=sha384\nutf8=yes\nstring_mask=utf8only\n[d]\nO=K\u{f6}ln\nCN=c\n"),
        format!(
            "base = x\n{}",
            subject("[d]\nCN = $base.${base}.$(base)\\n\n0.OU = a\n1.OU = b\n")
        ),
        subject(
            "[d]\nCN=c\n[v3_ext]\nsubjectAltName=critical,@a\nbasicConstraints=critical,CA:false\n[a]\nDNS.1=x\nIP.2=::1\n",
        ),
        subject(
            "[d]\nCN='c d'\n[v3_ext]\nextendedKeyUsage=serverAuth,1.2.3.4\nauthorityKeyIdentifier=keyid,issuer\nkeyUsage=keyAgreement\n",
        ),
        subject(
            "req_extensions=v3_req\n[d]\nCN=c # x\n[v3_req]\nsubjectAltName=DNS:a,DNS:b,IP:10.0.0.1\n",
        ),
    ];
    texts.map(String::into_bytes).to_vec()
}

fn check(input: &[u8]) -> u64 {
    static KEY: LazyLock<PKey<Private>> = LazyLock::new(|| generate_key(KeyKind::P256).unwrap());
    let text = String::from_utf8_lossy(input);
    let request = match Request::parse("csr.conf", &text) {
        Ok(request) => request,
        Err(error) => {
            let error = format!("{error:#}");
            is_bounded(&error, input);
            return behaviour(&[&error]);
        }
    };
    let terms = Terms {
        now: 1_764_000_000,
        days: 365,
        ca_days: 3650,
        service: "s".to_owned(),
        namespace: "n".to_owned(),
    };
    let bundle = issue(&request, &terms, &KEY, &KEY).expect("what was taken can be issued");
    let certificate = X509::from_pem(bundle.server_crt.as_bytes()).unwrap();
    let names = certificate.subject_alt_names().expect("the Service's names");
    assert!(names.iter().any(|name| name.dnsname() == Some("s.n.svc")));
    assert!(bundle.server_crt.len() < 16 * input.len() + 16_384, "{}", bundle.server_crt.len());
    let subject = format!("{:?} {}", certificate.subject_name(), names.len().min(9));
    behaviour(&[&subject, &format!("{:?}", request.key_kind())])
}

#[test]
fn any_csr_conf_is_parsed_or_refused() {
    Target { name: "csr_conf", seeds: seeds(), words: &WORDS }.fuzz(check);
}
