//! What csr.conf asks for: the subject, the key, the digest and the extensions of the leaf.

use anyhow::{Context, Result, anyhow, bail};
use openssl::{hash::MessageDigest, nid::Nid};

use super::{
    KeyKind,
    conf::{Conf, Entry},
};

/// A certificate request as csr.conf describes it.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) bits: u32,
    pub(super) digest: &'static str,
    /// Short name of the field and its value, in order.
    pub(super) subject: Vec<(&'static str, String)>,
    /// `DNS:…` and `IP:…`, in order, without doubles.
    pub(super) sans: Vec<San>,
    pub(super) key_usage: Vec<&'static str>,
    pub(super) key_usage_critical: bool,
    pub(super) extended_key_usage: Vec<&'static str>,
}

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum San {
    Dns(String),
    Ip(String),
}

const KEY_USAGES: [&str; 7] = [
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "encipherOnly",
    "decipherOnly",
];
const EXTENDED_KEY_USAGES: [&str; 2] = ["serverAuth", "clientAuth"];
const SUBJECT: [(&str, &str); 7] = [
    ("C", "countryName"),
    ("ST", "stateOrProvinceName"),
    ("L", "localityName"),
    ("O", "organizationName"),
    ("OU", "organizationalUnitName"),
    ("CN", "commonName"),
    ("emailAddress", "emailAddress"),
];

impl Request {
    /// Parses `text` as OpenSSL reads it. `file` is named in errors: `file:line: name = value: …`.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let conf = Conf::parse(file, text)?;
        let req = conf
            .section("req")
            .with_context(|| format!("{file}: the section [ req ] is missing"))?;
        let mut request = Self {
            bits: 2048,
            digest: "sha256",
            subject: Vec::new(),
            sans: Vec::new(),
            key_usage: Vec::new(),
            key_usage_critical: false,
            extended_key_usage: Vec::new(),
        };
        let (mut names, mut extensions) = (None, None);
        for entry in req {
            let value = entry.value.as_str();
            match entry.name.as_str() {
                "default_bits" => {
                    let bits = value.parse().ok().filter(|b| (2048..=8192).contains(b));
                    request.bits = bits.ok_or_else(|| conf.error(entry, "not 2048 to 8192"))?;
                }
                "default_md" => {
                    let known = ["sha256", "sha384", "sha512"].into_iter();
                    let md = known.clone().find(|md| md.eq_ignore_ascii_case(value));
                    request.digest = md.ok_or_else(|| {
                        conf.error(entry, "Kubernetes takes sha256, sha384 or sha512")
                    })?;
                }
                "prompt" | "encrypt_key" if value == "no" => {}
                "prompt" => return Err(conf.error(entry, "nobody can be asked here: say no")),
                "distinguished_name" => names = Some(entry),
                "req_extensions" => extensions = Some(entry),
                "string_mask" | "utf8" => {}
                _ => return Err(conf.error(entry, "not understood in [ req ]")),
            }
        }
        let names = names.with_context(|| format!("{file}: [ req ] has no distinguished_name"))?;
        request.read_subject(&conf, names)?;
        // `openssl x509 -extensions v3_ext` is what the blog signs with; the request's own
        // extensions speak where the file has no such section.
        match (conf.section("v3_ext"), extensions) {
            (Some(entries), _) => request.read_extensions(&conf, &entries)?,
            (None, Some(named)) => {
                let entries = conf.section(&named.value);
                let entries = entries.ok_or_else(|| conf.error(named, "no such section"))?;
                request.read_extensions(&conf, &entries)?;
            }
            (None, None) => {}
        }
        if request.extended_key_usage.is_empty() {
            request.extended_key_usage.push("serverAuth");
        }
        Ok(request)
    }

    /// The key that `default_bits` asks for.
    pub fn key_kind(&self) -> KeyKind {
        KeyKind::Rsa(self.bits)
    }

    pub(super) fn digest(&self) -> Result<MessageDigest> {
        MessageDigest::from_name(self.digest)
            .ok_or_else(|| anyhow!("this OpenSSL has no {}", self.digest))
    }

    pub(super) fn add_san(&mut self, san: San) {
        if !self.sans.contains(&san) {
            self.sans.push(san);
        }
    }

    fn read_subject(&mut self, conf: &Conf, names: &Entry) -> Result<()> {
        let entries =
            conf.section(&names.value).ok_or_else(|| conf.error(names, "no such section"))?;
        for entry in entries {
            // `0.OU`, `1.OU`: the number only keeps the names apart.
            let name = entry.name.split_once('.').map_or(entry.name.as_str(), |(_, n)| n);
            let Some((short, _)) = SUBJECT.iter().find(|(s, l)| *s == name || *l == name) else {
                return Err(conf.error(entry, "not a field of a subject"));
            };
            // ub-common-name and country of X.520, RFC 5280 appendix A.1.
            let limit = if *short == "C" { 2..=2 } else { 1..=64 };
            if !limit.contains(&entry.value.chars().count()) {
                return Err(conf.error(entry, "too long or too short for a subject"));
            }
            self.subject.push((short, entry.value.clone()));
        }
        if self.subject.is_empty() {
            return Err(conf.error(names, "the section names no subject"));
        }
        Ok(())
    }

    fn read_extensions(&mut self, conf: &Conf, entries: &[&Entry]) -> Result<()> {
        for entry in entries {
            let mut words: Vec<_> = entry.value.split(',').map(str::trim).collect();
            let critical = words.first() == Some(&"critical");
            if critical {
                words.remove(0);
            }
            let unknown = |word: &str| conf.error(entry, &format!("{word:?} is not understood"));
            match entry.name.as_str() {
                "basicConstraints" if words == ["CA:FALSE"] => {}
                "basicConstraints" => {
                    return Err(conf.error(entry, "a server's certificate has CA:FALSE"));
                }
                "keyUsage" => {
                    self.key_usage = pick(&KEY_USAGES, &words).map_err(unknown)?;
                    self.key_usage_critical = critical;
                }
                "extendedKeyUsage" => {
                    self.extended_key_usage =
                        pick(&EXTENDED_KEY_USAGES, &words).map_err(unknown)?;
                    if !self.extended_key_usage.contains(&"serverAuth") {
                        return Err(conf.error(entry, "the API server wants serverAuth"));
                    }
                }
                // Both are always written; what they may say here is checked, and no more.
                "authorityKeyIdentifier" => {
                    pick(&["keyid", "keyid:always", "issuer", "issuer:always"], &words)
                        .map_err(unknown)?;
                }
                "subjectKeyIdentifier" => drop(pick(&["hash"], &words).map_err(unknown)?),
                "subjectAltName" => self.read_sans(conf, entry, &words)?,
                _ => return Err(conf.error(entry, "an extension that is not understood")),
            }
        }
        Ok(())
    }

    fn read_sans(&mut self, conf: &Conf, entry: &Entry, words: &[&str]) -> Result<()> {
        if let [word] = words
            && let Some(section) = word.strip_prefix('@')
        {
            let entries =
                conf.section(section).ok_or_else(|| conf.error(entry, "no such section"))?;
            for entry in entries {
                let kind = entry.name.split_once('.').map_or(entry.name.as_str(), |(k, _)| k);
                self.add_san(san(kind, &entry.value).map_err(|why| conf.error(entry, why))?);
            }
            return Ok(());
        }
        for word in words {
            let Some((kind, name)) = word.split_once(':') else {
                bail!(conf.error(entry, &format!("{word:?} is not KIND:NAME")));
            };
            self.add_san(san(kind, name).map_err(|why| conf.error(entry, why))?);
        }
        Ok(())
    }
}

fn san(kind: &str, name: &str) -> Result<San, &'static str> {
    match kind {
        "DNS" if !name.is_empty() && name.is_ascii() && !name.contains(char::is_whitespace) => {
            Ok(San::Dns(name.to_owned()))
        }
        "DNS" => Err("not a DNS name"),
        "IP" if name.parse::<std::net::IpAddr>().is_ok() => Ok(San::Ip(name.to_owned())),
        "IP" => Err("not an IP address"),
        _ => Err("only DNS and IP names are understood"),
    }
}

/// The words, each out of `known`; else the first that is not.
fn pick<'w>(known: &[&'static str], words: &[&'w str]) -> Result<Vec<&'static str>, &'w str> {
    words.iter().map(|w| known.iter().find(|k| *k == w).copied().ok_or(*w)).collect()
}

/// The NID of a subject's field.
pub(super) fn nid(short: &str) -> Nid {
    match short {
        "C" => Nid::COUNTRYNAME,
        "ST" => Nid::STATEORPROVINCENAME,
        "L" => Nid::LOCALITYNAME,
        "O" => Nid::ORGANIZATIONNAME,
        "OU" => Nid::ORGANIZATIONALUNITNAME,
        "emailAddress" => Nid::PKCS9_EMAILADDRESS,
        _ => Nid::COMMONNAME,
    }
}
