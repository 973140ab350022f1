//! A root, an intermediate, a server and a client.

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{
        X509, X509NameBuilder,
        extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName},
    },
};

/// A certificate and its key.
pub(super) struct Pair {
    pub(super) certificate: X509,
    pub(super) key: PKey<Private>,
}

pub(super) struct Certificates {
    pub(super) root: Pair,
    pub(super) intermediate: Pair,
    /// For 127.0.0.1, localhost and kube.test, signed by the intermediate.
    pub(super) server: Pair,
    pub(super) client: Pair,
}

impl Certificates {
    pub(super) fn new() -> Self {
        let root = Pair::new("root", None);
        let intermediate = Pair::new("intermediate", Some(&root));
        let server = Pair::new("server", Some(&intermediate));
        let client = Pair::new("client", Some(&root));
        Self { root, intermediate, server, client }
    }
}

impl Pair {
    fn new(name: &str, issuer: Option<&Self>) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(u32::from(name.as_bytes()[0])).unwrap();
        builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&subject).unwrap();
        let signer = issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name());
        builder.set_issuer_name(signer).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
        let is_leaf = matches!(name, "server" | "client");
        let mut constraints = BasicConstraints::new();
        if !is_leaf {
            constraints.ca();
        }
        builder.append_extension(constraints.critical().build().unwrap()).unwrap();
        if is_leaf {
            let mut usage = ExtendedKeyUsage::new();
            let usage = usage.server_auth().client_auth().build().unwrap();
            builder.append_extension(usage).unwrap();
            let context = builder.x509v3_context(None, None);
            let mut names = SubjectAlternativeName::new();
            let names = names.ip("127.0.0.1").dns("localhost").dns("kube.test");
            let names = names.build(&context).unwrap();
            builder.append_extension(names).unwrap();
        }
        let signer = issuer.map_or(&key, |issuer| &issuer.key);
        builder.sign(signer, MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    pub(super) fn pem(&self) -> String {
        String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
    }

    pub(super) fn key_pem(&self) -> String {
        String::from_utf8(self.key.private_key_to_pem_pkcs8().unwrap()).unwrap()
    }
}
