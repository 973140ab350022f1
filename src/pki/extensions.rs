//! The X.509 extensions in csr.conf, interpreted like `X509V3_EXT_nconf`.

use std::collections::HashSet;

use anyhow::Result;
use openssl::{asn1::Asn1Object, nid::Nid};

use super::conf::{Conf, ConfEntry};
use crate::ui::text::shortened;

/// The properties of a certificate except its subject.
#[derive(Clone, Debug, Default)]
pub(super) struct Extensions {
    /// In order, without duplicates.
    pub(super) sans: Asked<Vec<San>>,
    /// Short names.
    pub(super) key_usage: Asked<Vec<&'static str>>,
    /// Names or OIDs known to OpenSSL; empty if not requested.
    pub(super) extended_key_usage: Asked<Vec<String>>,
    /// Always CA:FALSE.
    pub(super) basic_constraints: Asked<()>,
    /// `None` if not requested.
    pub(super) authority: Option<Authority>,
}

/// An extension's value.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked<T> {
    pub(super) critical: bool,
    pub(super) value: T,
}

/// The parts of authorityKeyIdentifier: each `Some(always)` if named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) key: Option<bool>,
    pub(super) issuer: Option<bool>,
}

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum San {
    Dns(String),
    Ip(String),
}

/// The owner of the extensions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A request, which has no issuer yet.
    Request,
    Certificate,
}

/// Maximum number of names in a certificate. Go's TLS, which the API server uses, accepts no
/// certificate over 256 KiB.
const MOST_SANS: usize = 1000;
/// keyCertSign and cRLSign are for CAs.
const KEY_USAGES: [&str; 7] = [
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "encipherOnly",
    "decipherOnly",
];
/// `CA:` with the values that X509V3_get_value_bool reads as false.
const NO_CA: [&str; 6] = ["CA:FALSE", "CA:false", "CA:N", "CA:n", "CA:NO", "CA:no"];

impl Extensions {
    pub(super) fn from_entries(conf: &Conf, entries: &[&ConfEntry], of: Of) -> Result<Self> {
        let mut read = Self::default();
        for entry in entries {
            let (critical, value) = match entry.value.strip_prefix("critical,") {
                Some(rest) => (true, rest),
                None => (false, entry.value.as_str()),
            };
            // OpenSSL's lists would silently end there.
            if value.contains(['\r', '\n']) {
                return Err(conf.error(entry, "a line break is in the value"));
            }
            let words: Vec<_> = value.split(',').map(|word| word.trim_matches(is_space)).collect();
            let unknown =
                |word: &str| conf.error(entry, &format!("{:?} is not supported", shortened(word)));
            match entry.name.as_str() {
                "basicConstraints" if words.len() == 1 && NO_CA.contains(&words[0]) => {
                    read.basic_constraints.critical = critical;
                }
                "basicConstraints" => {
                    return Err(conf.error(entry, "a server's certificate must have CA:FALSE"));
                }
                "keyUsage" => {
                    let value = pick(&KEY_USAGES, &words).map_err(unknown)?;
                    read.key_usage = Asked { critical, value };
                }
                "extendedKeyUsage" => {
                    let value = usages(&words).map_err(unknown)?;
                    let serves = |usage: &String| nid(usage) == Some(Nid::SERVER_AUTH);
                    if !value.iter().any(serves) {
                        return Err(conf.error(entry, "the API server requires serverAuth"));
                    }
                    read.extended_key_usage = Asked { critical, value };
                }
                "authorityKeyIdentifier" | "subjectKeyIdentifier" if critical => {
                    return Err(conf.error(entry, "critical is not allowed (RFC 5280, 4.2.1)"));
                }
                "authorityKeyIdentifier" if of == Of::Request => {
                    return Err(conf.error(entry, "a request has no issuer yet"));
                }
                "authorityKeyIdentifier" => {
                    let found = authority(&words).map_err(unknown)?;
                    if found.key.is_none() {
                        // RFC 5280, 4.2.1.1; OpenSSL's -x509_strict.
                        return Err(conf.error(entry, "strict verifiers require keyid"));
                    }
                    read.authority = Some(found);
                }

                // Always written with this value.
                "subjectKeyIdentifier" => drop(pick(&["hash"], &words).map_err(unknown)?),
                "subjectAltName" => {
                    read.sans = Asked { critical, value: sans(conf, entry, &words)? };
                }
                _ => return Err(conf.error(entry, "an unsupported extension")),
            }
        }
        Ok(read)
    }

    /// Adds a name if it is new.
    pub(super) fn add_san(&mut self, san: San) {
        // Searches at most MOST_SANS names.
        if !self.sans.value.contains(&san) {
            self.sans.value.push(san);
        }
    }
}

fn sans(conf: &Conf, entry: &ConfEntry, words: &[&str]) -> Result<Vec<San>> {
    let mut read = Vec::new();
    if let Some(section) = words.first().and_then(|word| word.strip_prefix('@')) {
        if words.len() > 1 {
            return Err(conf.error(entry, "@SECTION must stand alone"));
        }
        let entries = conf.section(section).ok_or_else(|| conf.error(entry, "no such section"))?;
        for entry in entries {
            let san = san(&entry.name, &entry.value);
            read.push(san.map_err(|why| conf.error(entry, why))?);
        }
    } else {
        for word in words {
            let (kind, name) = word.split_once(':').ok_or_else(|| {
                conf.error(entry, &format!("{:?} is not KIND:NAME", shortened(word)))
            })?;
            let san = san(kind.trim_matches(is_space), name.trim_matches(is_space));
            read.push(san.map_err(|why| conf.error(entry, why))?);
        }
    }
    if read.is_empty() {
        return Err(conf.error(entry, "it has no names"));
    }
    let mut seen = HashSet::new();
    read.retain(|san| seen.insert(san.clone()));
    if read.len() > MOST_SANS {
        let what = format!("{} names are too many ({MOST_SANS} at most)", read.len());
        return Err(conf.error(entry, &what));
    }
    Ok(read)
}

fn san(kind: &str, name: &str) -> Result<San, &'static str> {
    // `DNS.1`: the number only makes the names unique.
    match kind.split_once('.').map_or(kind, |(kind, _)| kind) {
        "DNS" if !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b',') => {
            Ok(San::Dns(name.to_owned()))
        }
        "DNS" => Err("not a DNS name"),
        "IP" if name.parse::<std::net::IpAddr>().is_ok() => Ok(San::Ip(name.to_owned())),
        "IP" => Err("not an IP address"),
        _ => Err("only DNS and IP names are supported"),
    }
}

/// `keyid,issuer:always`
fn authority<'w>(words: &[&'w str]) -> Result<Authority, &'w str> {
    let mut authority = Authority::default();
    for word in words {
        match *word {
            "keyid" => authority.key = Some(false),
            "keyid:always" => authority.key = Some(true),
            "issuer" => authority.issuer = Some(false),
            "issuer:always" => authority.issuer = Some(true),
            _ => return Err(word),
        }
    }
    Ok(authority)
}

fn usages<'w>(words: &[&'w str]) -> Result<Vec<String>, &'w str> {
    words.iter().map(|word| nid(word).map(|_| (*word).to_owned()).ok_or(*word)).collect()
}

/// OpenSSL's object for a name or an OID.
fn nid(name: &str) -> Option<Nid> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.';
    if name.is_empty() || !name.bytes().all(plain) {
        return None;
    }
    Some(Asn1Object::from_str(name).ok()?.nid())
}

/// The words, if all are in `known`; else the first unknown one.
fn pick<'w>(known: &[&'static str], words: &[&'w str]) -> Result<Vec<&'static str>, &'w str> {
    words.iter().map(|w| known.iter().find(|k| *k == w).copied().ok_or(*w)).collect()
}

/// C's isspace, which OpenSSL's lists use.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}
