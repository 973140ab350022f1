//! Chains of certificates, judged by `pki::verify` as Go's TLS client judges them, which every API
//! server has: a Go program is asked about all of them.

use base64::{Engine, engine::general_purpose::STANDARD};
use diyadm::pki::{self, Fault};
use openssl::{
    bn::BigNum,
    ec::{EcGroup, EcKey},
    nid::Nid,
    pkey::{Id, PKey},
};
use serde_json::{Value, json};

use super::forge::{CONSTRAINTS, Issuer, NOW, Template, constraints, der, sequence};
use crate::rig::oracle;
use cases::{Case, Cases};

mod cases;
mod chains;

const HOST: &str = "web.test.svc";

/// Go's errors for the cases, and for the certificates that are to be parsed.
fn ask_go(cases: &[Case], certificates: &[Vec<u8>]) -> Option<(Vec<String>, Vec<String>)> {
    let chains = cases.iter().map(|case| {
        json!({ "CA": case.ca, "Crt": case.crt, "Key": case.key, "Host": case.host, "Now": NOW })
    });
    let chains: Vec<_> = chains.collect();
    let certificates: Vec<_> = certificates.iter().map(|der| STANDARD.encode(der)).collect();
    let input = json!({ "Chains": chains, "Certificates": certificates }).to_string();
    let output = oracle("certificates", &input)?;
    let answer: Value = serde_json::from_str(&output).unwrap();
    let texts = |field: &str| serde_json::from_value(answer[field].clone()).unwrap();
    Some((texts("Chains"), texts("Certificates")))
}

#[test]
fn chains_are_judged_as_by_go() {
    let mut cases = Cases::new();
    cases.leaves();
    cases.kinds_of_keys();
    cases.authorities();
    cases.chains();
    cases.constraints();
    cases.policies();
    let cases = cases.all;
    let mutated = mutated();
    let (chains, certificates) = require!(ask_go(&cases, &mutated));
    let mut wrong = Vec::new();
    for (case, theirs) in cases.iter().zip(&chains) {
        let Case { what, ca, crt, key, host, is_good } = case;
        let key = Some(key.as_bytes());
        let ours = pki::verify(ca.as_bytes(), crt.as_bytes(), key, host, NOW);
        if ours.is_ok() != theirs.is_empty() || *is_good != theirs.is_empty() {
            wrong.push(format!("{what}: meant to be good: {is_good}; Go: {theirs:?}; {ours:?}"));
        }
        if let Err(fault) = ours {
            let text = fault.to_string();
            assert!(!text.contains('\n') && text.len() > 20, "{what}: {text}");
        }
    }
    let good = &cases[0];
    for (der, theirs) in mutated.iter().zip(&certificates) {
        let body = STANDARD.encode(der);
        let ca = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        let ours = pki::verify(ca.as_bytes(), good.crt.as_bytes(), None, HOST, NOW);
        let refused = matches!(ours, Err(Fault::Unreadable("ca.crt", _)));
        if refused == theirs.is_empty() {
            wrong.push(format!("{body}: Go: {theirs:?}; ours: {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases.len() > 100);
}

/// Certificates with one byte changed, each place in its turn. The keys are always the same, and
/// Ed25519 signs the same twice, so that nothing here is left to chance.
fn mutated() -> Vec<Vec<u8>> {
    let ed25519 = |byte: u8| PKey::private_key_from_raw_bytes(&[byte; 32], Id::ED25519).unwrap();
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let (one, point) = (BigNum::from_u32(1).unwrap(), group.generator_opt().unwrap());
    let p256 = EcKey::from_private_components(&group, &one, point).unwrap();
    let p256 = PKey::from_ec_key(p256).unwrap();
    let ca = Issuer::new("the CA", &ed25519(1));
    let policies = sequence(&[sequence(&[der(6, &[0x2a, 3, 4])])]);
    let names = Template::leaf(&["DNS:web.test.svc", "IP:10.0.0.1", "IP:fd00::1", "email:a@b.c"])
        .with("2.5.29.14", false, der(4, &[1; 4]))
        .with("2.5.29.35", false, sequence(&[der(0x80, &[2; 4])]))
        .with("2.5.29.32", false, policies.clone());
    let both = constraints(&["DNS:test.svc", "IP:10.0.0.0/255.0.0.0"], &["email:a@b.c"]);
    let mapping = sequence(&[sequence(&[der(6, &[0x2a, 3, 4]), der(6, &[0x2a, 3, 5])])]);
    let point = sequence(&[der(0xa0, &der(0xa0, &der(0x86, b"http://a/b")))]);
    let access = sequence(&[der(6, &[0x2b, 6, 1, 5, 5, 7, 48, 1]), der(0x86, b"http://a/b")]);
    let authority = Template::ca("the CA")
        .with_basic(true, Some(3))
        .with(CONSTRAINTS, true, both)
        .with("2.5.29.36", true, sequence(&[der(0x80, &[1]), der(0x81, &[2])]))
        .with("2.5.29.33", false, mapping)
        .with("2.5.29.54", true, der(2, &[1]))
        .with("2.5.29.31", false, sequence(&[point]))
        .with("1.3.6.1.5.5.7.1.1", false, sequence(&[access]))
        .with("2.5.29.32", false, policies);
    let mut all = Vec::new();
    for (template, key) in [(&names, &p256), (&names, &ed25519(2)), (&authority, &ed25519(1))] {
        let good = template.sign(key, &ca).to_der().unwrap();
        for place in 0..good.len() {
            for changed in [good[place].wrapping_add(1), good[place] ^ 0x80, 0, 0xff] {
                let mut bad = good.clone();
                bad[place] = changed;
                all.push(bad);
            }
        }
    }
    all
}
