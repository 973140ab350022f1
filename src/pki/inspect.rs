//! The content of a certificate, for people and for `check`.

use std::fmt::Write;

use anyhow::{Context, Result};
use openssl::{
    asn1::{Asn1Time, Asn1TimeRef},
    hash::MessageDigest,
    x509::{X509, X509NameRef, X509Ref},
};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::private_key;

/// The content of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// `C = CN, O = Wise2c, CN = …`, in the order of the certificate.
    pub subject: String,
    /// Like the subject.
    pub issuer: String,
    /// `DNS:…`, `IP:…`
    pub sans: Vec<String>,
    /// RFC 3339.
    #[serde(serialize_with = "as_rfc3339")]
    #[schemars(with = "String")]
    pub not_before: i64,
    /// RFC 3339.
    #[serde(serialize_with = "as_rfc3339")]
    #[schemars(with = "String")]
    pub not_after: i64,
    /// SHA-256, upper-case hex with colons.
    pub fingerprint: String,
    /// Whether the given key belongs to it; absent without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_matches: Option<bool>,
}

/// Formats seconds since 1970 as `2026-11-24T22:19:03Z`.
pub fn rfc3339(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds);
    time.map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_rfc3339<S: Serializer>(seconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*seconds))
}

/// The content of each certificate in `pem`; `key` (PEM) is compared with the first.
///
/// # Errors
/// PEM that cannot be read. Never quotes the key.
pub fn inspect(pem: &[u8], key: Option<&[u8]>) -> Result<Vec<Facts>> {
    let certificates = X509::stack_from_pem(pem).context("this is not a PEM certificate")?;
    anyhow::ensure!(!certificates.is_empty(), "there is no certificate in this PEM");
    let key = key.map(private_key).transpose();
    let key = key.map_err(|fault| anyhow::Error::new(fault).context(format!("its key {fault}")))?;
    let mut facts = certificates.iter().map(|c| facts(c)).collect::<Result<Vec<_>>>()?;
    if let (Some(first), Some(key)) = (certificates.first(), key) {
        facts[0].key_matches = Some(first.public_key()?.public_eq(&key));
    }
    Ok(facts)
}

pub(super) fn facts(certificate: &X509Ref) -> Result<Facts> {
    let names = certificate.subject_alt_names();
    let sans = names.iter().flatten().filter_map(|name| {
        let ip = |bytes: &[u8]| match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).ok().map(|b| std::net::IpAddr::from(b).to_string()),
            _ => <[u8; 16]>::try_from(bytes).ok().map(|b| std::net::IpAddr::from(b).to_string()),
        };
        let dns = name.dnsname().map(|name| format!("DNS:{name}"));
        dns.or_else(|| name.ipaddress().and_then(ip).map(|ip| format!("IP:{ip}")))
    });
    let digest = certificate.digest(MessageDigest::sha256())?;
    let hex: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    Ok(Facts {
        subject: name(certificate.subject_name())?,
        issuer: name(certificate.issuer_name())?,
        sans: sans.collect(),
        not_before: unix(certificate.not_before())?,
        not_after: unix(certificate.not_after())?,
        fingerprint: hex.join(":"),
        key_matches: None,
    })
}

pub(super) fn name(name: &X509NameRef) -> Result<String> {
    let mut text = String::new();
    for entry in name.entries() {
        let field = entry.object().nid().short_name()?;
        let separator = if text.is_empty() { "" } else { ", " };
        write!(text, "{separator}{field} = {}", &*entry.data().to_string()?)?;
    }
    Ok(text)
}

/// Converts a certificate's time to seconds since 1970.
fn unix(time: &Asn1TimeRef) -> Result<i64> {
    let since = Asn1Time::from_unix(0)?.diff(time)?;
    Ok(i64::from(since.days) * 24 * 60 * 60 + i64::from(since.secs))
}
