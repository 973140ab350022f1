//! Certificates of every kind, good and bad, as OpenSSL lets one make them.

use openssl::{
    asn1::{Asn1Object, Asn1OctetString, Asn1Time},
    bn::BigNum,
    hash::MessageDigest,
    pkey::{Id, PKey, Private},
    x509::{X509, X509Extension, X509Name},
};

/// 2027, so that no certificate is out of its time because of the machine's clock.
pub(crate) const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

/// One element of DER.
pub(crate) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut all = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length) if length < 128 => all.push(length),
        Ok(length) => all.extend([0x81, length]),
        Err(_) => {
            let length = u16::try_from(content.len()).unwrap();
            all.push(0x82);
            all.extend(length.to_be_bytes());
        }
    }
    all.extend(content);
    all
}

/// A SEQUENCE.
pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    der(0x30, &parts.concat())
}

/// What a certificate says; changed as a case wants it.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) subject: String,
    pub(crate) version: i32,
    pub(crate) serial: i32,
    /// From [`NOW`].
    pub(crate) days: (i64, i64),
    pub(crate) digest: fn() -> MessageDigest,
    /// Object identifier, critical, DER.
    pub(crate) extensions: Vec<(&'static str, bool, Vec<u8>)>,
}

const BASIC: &str = "2.5.29.19";
pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const SANS: &str = "2.5.29.17";
pub(crate) const USAGES: &str = "2.5.29.37";
pub(crate) const CONSTRAINTS: &str = "2.5.29.30";

/// `DNS:…`, `IP:…`, `email:…`, `URI:…`
pub(crate) fn name(text: &str) -> Vec<u8> {
    let (kind, value) = text.split_once(':').unwrap();
    match kind {
        "email" => der(0x81, value.as_bytes()),
        "DNS" => der(0x82, value.as_bytes()),
        "URI" => der(0x86, value.as_bytes()),
        "IP" => match value.parse().unwrap() {
            std::net::IpAddr::V4(address) => der(0x87, &address.octets()),
            std::net::IpAddr::V6(address) => der(0x87, &address.octets()),
        },
        other => panic!("{other}"),
    }
}

/// extendedKeyUsage: 1 serverAuth, 2 clientAuth, 0 anyExtendedKeyUsage.
pub(crate) fn usages(all: &[u8]) -> Vec<u8> {
    let usage = |usage: &u8| match usage {
        0 => der(6, &[0x55, 0x1d, 37, 0]),
        number => der(6, &[0x2b, 6, 1, 5, 5, 7, 3, *number]),
    };
    sequence(&all.iter().map(usage).collect::<Vec<_>>())
}

/// nameConstraints: names that are permitted, names that are excluded. An address has a mask.
pub(crate) fn constraints(permitted: &[&str], excluded: &[&str]) -> Vec<u8> {
    let subtree = |text: &&str| {
        let base = match text.strip_prefix("IP:").and_then(|net| net.split_once('/')) {
            Some((address, mask)) => {
                let octets = |text: &str| text.parse::<std::net::Ipv4Addr>().unwrap().octets();
                der(0x87, &[octets(address), octets(mask)].concat())
            }
            None => name(text),
        };
        sequence(&[base])
    };
    let side = |tag: u8, all: &[&str]| match all {
        [] => Vec::new(),
        all => der(tag, &all.iter().map(subtree).collect::<Vec<_>>().concat()),
    };
    sequence(&[side(0xa0, permitted), side(0xa1, excluded)])
}

fn basic(is_ca: bool, path: Option<u8>) -> Vec<u8> {
    let is_ca = if is_ca { der(1, &[0xff]) } else { Vec::new() };
    sequence(&[is_ca, path.map(|path| der(2, &[path])).unwrap_or_default()])
}

impl Template {
    /// A server's certificate.
    pub(crate) fn leaf(names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|text| name(text)).collect();
        Self {
            subject: "server".to_owned(),
            version: 2,
            serial: 7,
            days: (-10, 10),
            digest: MessageDigest::sha256,
            extensions: vec![
                (BASIC, true, basic(false, None)),
                (KEY_USAGE, true, der(3, &[7, 0x80])),
                (USAGES, false, usages(&[1])),
                (SANS, false, sequence(&names)),
            ],
        }
    }

    /// A CA's.
    pub(crate) fn ca(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            days: (-100, 100),
            extensions: vec![
                (BASIC, true, basic(true, None)),
                (KEY_USAGE, true, der(3, &[1, 0x06])),
            ],
            ..Self::leaf(&[])
        }
    }

    /// With another value of an extension.
    pub(crate) fn with(mut self, oid: &'static str, critical: bool, value: Vec<u8>) -> Self {
        self.extensions.retain(|(other, ..)| *other != oid);
        self.extensions.push((oid, critical, value));
        self
    }

    pub(crate) fn without(mut self, oid: &str) -> Self {
        self.extensions.retain(|(other, ..)| *other != oid);
        self
    }

    pub(crate) fn with_basic(self, is_ca: bool, path: Option<u8>) -> Self {
        self.with(BASIC, true, basic(is_ca, path))
    }

    pub(crate) fn without_basic(self) -> Self {
        self.without(BASIC)
    }

    pub(crate) fn days(self, from: i64, to: i64) -> Self {
        Self { days: (from, to), ..self }
    }

    /// Signed by `issuer`.
    pub(crate) fn sign(&self, key: &PKey<Private>, issuer: &Issuer) -> X509 {
        let mut builder = X509::builder().unwrap();
        builder.set_version(self.version).unwrap();
        let mut serial = BigNum::from_u32(self.serial.unsigned_abs()).unwrap();
        serial.set_negative(self.serial < 0);
        builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        let at = |days: i64| Asn1Time::from_unix(NOW + days * DAY).unwrap();
        builder.set_not_before(&at(self.days.0)).unwrap();
        builder.set_not_after(&at(self.days.1)).unwrap();
        let name = |text: &str| {
            let mut name = X509Name::builder().unwrap();
            name.append_entry_by_text("CN", text).unwrap();
            name.build()
        };
        builder.set_subject_name(&name(&self.subject)).unwrap();
        builder.set_issuer_name(&name(&issuer.subject)).unwrap();
        builder.set_pubkey(key).unwrap();
        for (oid, critical, value) in &self.extensions {
            let oid = Asn1Object::from_str(oid).unwrap();
            let value = Asn1OctetString::new_from_bytes(value).unwrap();
            let extension = X509Extension::new_from_der(&oid, *critical, &value).unwrap();
            builder.append_extension(extension).unwrap();
        }
        let digest = match issuer.key.id() {
            Id::ED25519 => MessageDigest::null(),
            _ => (self.digest)(),
        };
        builder.sign(&issuer.key, digest).unwrap();
        builder.build()
    }
}

/// Who signs.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) subject: String,
    pub(crate) key: PKey<Private>,
}

impl Issuer {
    pub(crate) fn new(subject: &str, key: &PKey<Private>) -> Self {
        Self { subject: subject.to_owned(), key: key.clone() }
    }

    /// A certificate that it signs for itself.
    pub(crate) fn root(&self) -> X509 {
        Template::ca(&self.subject).sign(&self.key, self)
    }
}

pub(crate) fn pem(all: &[&X509]) -> String {
    all.iter().map(|one| String::from_utf8(one.to_pem().unwrap()).unwrap()).collect()
}
