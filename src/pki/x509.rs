//! Parses certificates like Go's crypto/x509, since the API server rejects a certificate that Go
//! cannot parse before it checks names and dates.

use std::borrow::Cow;

use openssl::{
    bn::BigNumContext,
    ec::{EcGroup, EcPoint},
    nid::Nid,
    pkey::PKey,
    x509::X509,
};

use super::{
    der::{self, DerReader, SEQUENCE},
    refusal::ChainRefusal,
};

mod extension;
mod general;
mod name;

pub(super) use extension::{Extensions, Usage};
pub(super) use general::{Constraints, Names, is_domain, mailbox};

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const X25519: &[u8] = &[0x2b, 0x65, 0x6e];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const NULL: &[u8] = &[5, 0];
/// P-224, P-256, P-384, P-521, and the bytes of a coordinate.
const CURVES: [(&[u8], Nid, usize); 4] = [
    (&[0x2b, 0x81, 4, 0, 33], Nid::SECP224R1, 28),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], Nid::X9_62_PRIME256V1, 32),
    (&[0x2b, 0x81, 4, 0, 34], Nid::SECP384R1, 48),
    (&[0x2b, 0x81, 4, 0, 35], Nid::SECP521R1, 66),
];

/// A public key of a type that Go supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Rsa {
        bits: usize,
        is_usable: bool,
    },
    /// On P-256, P-384 or P-521.
    Ecdsa,
    /// ECDSA on P-224, which TLS does not have.
    P224,
    Ed25519,
    /// Go rejects its signatures.
    X25519,
    /// Go rejects its signatures.
    Dsa,
}

/// How a certificate is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rsa,
    Ecdsa,
    Ed25519,
    /// Go knows and rejects it: MD5, SHA-1.
    Insecure(&'static str),
    Unknown,
}

/// A parsed certificate.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) raw: Vec<u8>,
    /// DER, with tag and length.
    pub(super) issuer: Vec<u8>,
    /// DER, with tag and length.
    pub(super) subject: Vec<u8>,
    /// SubjectPublicKeyInfo: DER, with tag and length.
    public_key: Vec<u8>,
    /// `None` for an algorithm unknown to Go.
    pub(super) key: Option<Key>,
    pub(super) algorithm: Algorithm,
    /// Seconds since 1970.
    pub(super) not_before: i64,
    /// Seconds since 1970.
    pub(super) not_after: i64,
    /// Version 3 has extensions.
    pub(super) is_v3: bool,
    pub(super) extensions: Extensions,
}

impl Certificate {
    /// Parses one certificate.
    ///
    /// # Errors
    /// What is wrong with it, in the words of Go's errors.
    pub(super) fn parse(raw: &[u8]) -> Result<Self, String> {
        let mut input = DerReader(raw);
        let mut whole = input.content(SEQUENCE).ok_or("malformed certificate")?;
        let mut tbs = whole.content(SEQUENCE).ok_or("malformed tbs certificate")?;
        let version = match tbs.optional(der::constructed(0)).ok_or("malformed version")? {
            None => 0,
            Some(mut inner) => {
                let version = inner.unsigned().filter(|_| inner.is_empty());
                version.ok_or("malformed version")?
            }
        };
        if version > 2 {
            return Err("invalid version".to_owned());
        }
        let serial = tbs.integer().ok_or("malformed serial number")?;
        if serial[0] & 0x80 != 0 {
            return Err("negative serial number".to_owned());
        }
        let inner = tbs.content(SEQUENCE).ok_or("malformed signature algorithm identifier")?;
        let outer = whole.content(SEQUENCE).ok_or("malformed algorithm identifier")?;
        if inner.0 != outer.0 {
            return Err("inner and outer signature algorithm identifiers don't match".to_owned());
        }
        let algorithm = algorithm(inner)?;
        let issuer = tbs.element(SEQUENCE).ok_or("malformed issuer")?;
        name::check(issuer.content)?;
        let mut validity = tbs.content(SEQUENCE).ok_or("malformed validity")?;
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        let subject = tbs.element(SEQUENCE).ok_or("malformed subject")?;
        name::check(subject.content)?;
        let public_key = tbs.element(SEQUENCE).ok_or("malformed spki")?;
        let key = key(public_key.content)?;
        let extensions = extensions(&mut tbs, version)?;
        whole.bits().ok_or("malformed signature")?;
        if !input.is_empty() {
            return Err("trailing data".to_owned());
        }
        Ok(Self {
            raw: raw.to_vec(),
            issuer: issuer.whole.to_vec(),
            subject: subject.whole.to_vec(),
            public_key: public_key.whole.to_vec(),
            key,
            algorithm,
            not_before,
            not_after,
            is_v3: version == 2,
            extensions,
        })
    }

    /// The subject, for people.
    pub(super) fn name(&self) -> String {
        name::text(&self.subject)
    }

    /// Whether two certificates have the same holder: equal subject, key and alternative names.
    pub(super) fn is_same_holder(&self, other: &Self) -> bool {
        self.subject == other.subject
            && self.public_key == other.public_key
            && self.extensions.alternative_names == other.extensions.alternative_names
    }

    /// Whether `issuer` may sign certificates and has signed this one (`CheckSignatureFrom`).
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_signature(&self, issuer: &Self) -> Result<(), ChainRefusal> {
        let refuse = |why: &str| Err(ChainRefusal::Other(why.to_owned()));
        let Extensions { basic_constraints: basic, key_usage, .. } = &issuer.extensions;
        if issuer.is_v3 && basic.is_none() || basic.is_some_and(|basic| !basic.is_ca) {
            return refuse("it is not a CA (basicConstraints)");
        }
        if *key_usage != 0 && key_usage & extension::CERT_SIGN == 0 {
            return refuse("it may not sign certificates (keyUsage)");
        }
        let matching = match (self.algorithm, issuer.key) {
            (Algorithm::Insecure(name), _) => {
                return refuse(&format!("it signed with {name}, which is insecure"));
            }
            (Algorithm::Unknown, _) => {
                return refuse("it signed with an algorithm that is not supported");
            }
            (_, Some(Key::Rsa { bits, .. })) if bits < 1024 => {
                return refuse(&format!("its RSA key of {bits} bits is insecure"));
            }
            (Algorithm::Rsa, Some(Key::Rsa { is_usable, .. })) => is_usable,
            (Algorithm::Ecdsa, Some(Key::Ecdsa | Key::P224))
            | (Algorithm::Ed25519, Some(Key::Ed25519)) => true,
            _ => false,
        };
        let verified = || {
            let key = PKey::public_key_from_der(&issuer.public_key)?;
            X509::from_der(&self.raw)?.verify(&key)
        };
        if matching && verified().unwrap_or(false) {
            Ok(())
        } else {
            Err(ChainRefusal::WrongSignature)
        }
    }
}

fn time(validity: &mut DerReader<'_>) -> Result<i64, String> {
    validity.time().ok_or_else(|| "malformed validity".to_owned())
}

/// Algorithm and parameters (DER, with tag and length; empty where there are none).
fn algorithm_identifier(mut content: DerReader<'_>) -> Result<(&[u8], &[u8]), String> {
    let oid = content.oid().ok_or("malformed OID")?;
    if content.is_empty() {
        return Ok((oid, &[]));
    }
    Ok((oid, content.any().ok_or("malformed parameters")?.whole))
}

fn algorithm(identifier: DerReader<'_>) -> Result<Algorithm, String> {
    const PKCS1: &[u8] = RSA.split_last().unwrap().1;
    const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3];
    let (oid, parameters) = algorithm_identifier(identifier)?;
    let (last, arc) = oid.split_last().ok_or("malformed OID")?;
    Ok(match (arc, last) {
        (PKCS1, 11..=13) => Algorithm::Rsa,
        (PKCS1, 4) => Algorithm::Insecure("MD5"),
        (PKCS1, 5) => Algorithm::Insecure("SHA-1"),
        (ECDSA_SHA2, 2..=4) => Algorithm::Ecdsa,
        _ => match oid {
            ED25519 if parameters.is_empty() => Algorithm::Ed25519,
            // ecdsa-with-SHA1, sha1WithRSA of ISO, dsa-with-sha1.
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]
            | [0x2b, 0x0e, 3, 2, 29]
            | [0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3] => Algorithm::Insecure("SHA-1"),
            RSA_PSS if is_plain_pss(parameters) => Algorithm::Rsa,
            _ => Algorithm::Unknown,
        },
    })
}

/// One hash (SHA-256, SHA-384, SHA-512) for the message and for MGF1, and a salt of its length.
fn is_plain_pss(parameters: &[u8]) -> bool {
    const SHA2: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2];
    const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
    let hash = |mut reader: DerReader<'_>| {
        let (oid, rest) = algorithm_identifier(reader.content(SEQUENCE)?).ok()?;
        let (last, arc) = oid.split_last()?;
        (arc == SHA2 && (rest.is_empty() || rest == NULL)).then_some(*last)
    };
    let read = || {
        let mut sequence = DerReader(parameters).content(SEQUENCE)?;
        let message = hash(sequence.content(der::constructed(0))?)?;
        let mut mask = sequence.content(der::constructed(1))?.content(SEQUENCE)?;
        let is_mgf1 = mask.oid()? == MGF1;
        let salt = sequence.content(der::constructed(2))?.unsigned()?;
        let trailer = match sequence.optional(der::constructed(3))? {
            Some(mut trailer) => trailer.unsigned()?,
            None => 1,
        };
        let length = match message {
            1 => 32,
            2 => 48,
            3 => 64,
            _ => return None,
        };
        Some(is_mgf1 && hash(mask)? == message && salt == length && trailer == 1)
    };
    read().unwrap_or(false)
}

/// `None` for an algorithm unknown to Go.
fn key(content: &[u8]) -> Result<Option<Key>, String> {
    let mut content = DerReader(content);
    let identifier =
        content.content(SEQUENCE).ok_or("malformed public key algorithm identifier")?;
    let (oid, parameters) = algorithm_identifier(identifier)?;
    let (data, padding) = content.bits().ok_or("malformed subjectPublicKey")?;
    let data = &*right_aligned(data, padding);
    Ok(Some(match oid {
        RSA => rsa(data, parameters)?,
        ECDSA => {
            let curve = DerReader(parameters).oid().ok_or("invalid ECDSA parameters")?;
            let known = CURVES.iter().find(|(oid, ..)| *oid == curve);
            let (_, curve, length) = known.ok_or("unsupported elliptic curve")?;
            let is_point = data.len() == 1 + 2 * length && data[0] == 4;
            if !is_point || !is_on_curve(data, *curve) {
                return Err("invalid ECDSA public key".to_owned());
            }
            if *curve == Nid::SECP224R1 { Key::P224 } else { Key::Ecdsa }
        }
        ED25519 | X25519 if !parameters.is_empty() => {
            return Err("a key is encoded with illegal parameters".to_owned());
        }
        ED25519 | X25519 if data.len() != 32 => return Err("wrong public key size".to_owned()),
        ED25519 => Key::Ed25519,
        X25519 => Key::X25519,
        DSA => {
            let positive = |reader: &mut DerReader<'_>| {
                reader.integer().is_some_and(|n| n[0] & 0x80 == 0 && n != [0])
            };
            let mut group =
                DerReader(parameters).content(SEQUENCE).ok_or("invalid DSA parameters")?;
            if !positive(&mut DerReader(data)) || !(0..3).all(|_| positive(&mut group)) {
                return Err("invalid DSA public key".to_owned());
            }
            Key::Dsa
        }
        _ => return Ok(None),
    }))
}

/// The bits of a string with leading padding. No key has any, but Go accepts it.
fn right_aligned(bytes: &[u8], padding: u8) -> Cow<'_, [u8]> {
    if padding == 0 {
        return Cow::Borrowed(bytes);
    }
    let mut carried = 0;
    let shifted = bytes.iter().map(|byte| {
        let shifted = carried << (8 - padding) | byte >> padding;
        carried = *byte;
        shifted
    });
    Cow::Owned(shifted.collect())
}

fn is_on_curve(point: &[u8], curve: Nid) -> bool {
    let read = || {
        let group = EcGroup::from_curve_name(curve)?;
        EcPoint::from_bytes(&group, point, &mut *BigNumContext::new()?)
    };
    read().is_ok()
}

fn rsa(data: &[u8], parameters: &[u8]) -> Result<Key, String> {
    if parameters != NULL {
        return Err("RSA key missing NULL parameters".to_owned());
    }
    let mut pair = DerReader(data).content(SEQUENCE).ok_or("invalid RSA public key")?;
    let modulus = pair.integer().ok_or("invalid RSA modulus")?;
    let exponent = pair.integer().filter(|e| e.len() <= 8).ok_or("invalid RSA public exponent")?;
    for (what, number) in [("modulus", modulus), ("public exponent", exponent)] {
        if number[0] & 0x80 != 0 || number == [0] {
            return Err(format!("RSA {what} is not a positive number"));
        }
    }
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let bits = modulus.len() * 8 - modulus[0].leading_zeros() as usize;
    let exponent = exponent.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    let is_odd = modulus.last().is_some_and(|last| last & 1 == 1) && exponent & 1 == 1;
    let is_usable = is_odd && (2..1 << 31).contains(&exponent);
    Ok(Key::Rsa { bits, is_usable })
}

fn extensions(tbs: &mut DerReader<'_>, version: u64) -> Result<Extensions, String> {
    if version == 0 {
        return Ok(Extensions::default());
    }
    tbs.optional(der::context(1)).ok_or("malformed issuerUniqueID")?;
    tbs.optional(der::context(2)).ok_or("malformed subjectUniqueID")?;
    if version == 1 {
        return Ok(Extensions::default());
    }
    match tbs.optional(der::constructed(3)).ok_or("malformed extensions")? {
        None => Ok(Extensions::default()),
        Some(mut all) => Extensions::parse(all.content(SEQUENCE).ok_or("malformed extensions")?),
    }
}
