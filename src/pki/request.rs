//! What csr.conf asks for: the subject, the key, the digest; `extensions` has the rest.

use anyhow::{Context, Result, anyhow};
use openssl::{
    hash::MessageDigest,
    x509::{X509Name, X509NameBuilder},
};

use super::{
    KeyKind,
    conf::{Conf, Entry},
    extensions::{Extensions, Of},
};

/// A certificate request as csr.conf describes it.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) bits: u32,
    pub(super) digest: &'static str,
    /// Field and value, in order, as OpenSSL has taken them.
    subject: Vec<(String, String)>,
    pub(super) extensions: Extensions,
}

/// The section that the blog signs with: `openssl x509 -extensions v3_ext`.
const SIGNED_WITH: &str = "v3_ext";
/// What [ req ] may say here.
const REQ: [&str; 8] = [
    "default_bits",
    "default_md",
    "prompt",
    "encrypt_key",
    "string_mask",
    "utf8",
    "distinguished_name",
    "req_extensions",
];

impl Request {
    /// Parses `text` as OpenSSL reads it. `file` is named in errors: `file:line: name = value: …`.
    ///
    /// # Errors
    /// What OpenSSL refuses too, and what it would pass over or diyadm does not do: with line and
    /// word.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let conf = Conf::parse(file, text)?;
        let known = conf.section("req");
        for entry in known.iter().flatten() {
            if !REQ.contains(&entry.name.as_str()) {
                return Err(conf.error(entry, "not understood in [ req ]"));
            }
        }
        let get = |name: &str| conf.get("req", name);
        let names = get("distinguished_name").with_context(|| match known {
            Some(_) => format!("{file}: [ req ] has no distinguished_name"),
            None => format!("{file}: the section [ req ] is missing"),
        })?;
        let utf8 = is_one_of(&conf, get("utf8"), &["yes", "no"])? == Some("yes");
        // Others would have OpenSSL write the subject in other string types.
        is_one_of(&conf, get("string_mask"), &["utf8only"])?;
        is_one_of(&conf, get("encrypt_key"), &["no"])?;
        if is_one_of(&conf, get("prompt"), &["no"])?.is_none() {
            return Err(anyhow!(
                "{file}: [ req ] lacks `prompt = no`: openssl would ask for the subject"
            ));
        }
        let bits = match get("default_bits") {
            Some(entry) => {
                let bits = entry.value.parse().ok().filter(|b| (2048..=8192).contains(b));
                bits.ok_or_else(|| conf.error(entry, "not 2048 to 8192"))?
            }
            None => 2048,
        };
        let digest = match get("default_md") {
            Some(entry) => {
                let mut known = ["sha256", "sha384", "sha512"].into_iter();
                let found = known.find(|md| md.eq_ignore_ascii_case(&entry.value));
                found
                    .ok_or_else(|| conf.error(entry, "Kubernetes takes sha256, sha384 or sha512"))?
            }
            None => "sha256",
        };
        let subject = read_subject(&conf, names, utf8)?;
        // Both are read, so that a slip in either is told. What the certificate has is v3_ext's,
        // as where the blog signs; the request's own speak where the file has no such section.
        let requested = match get("req_extensions") {
            Some(named) => {
                let entries = conf.section(&named.value);
                let entries = entries.ok_or_else(|| conf.error(named, "no such section"))?;
                Some(Extensions::read(&conf, &entries, Of::Request)?)
            }
            None => None,
        };
        let signed = match conf.section(SIGNED_WITH) {
            Some(entries) => Some(Extensions::read(&conf, &entries, Of::Certificate)?),
            None => None,
        };
        if let Some(entry) = conf.unread() {
            let what = format!("nothing reads this in [ {} ]", entry.section);
            return Err(conf.error(entry, &what));
        }
        let extensions = signed.or(requested).unwrap_or_default();
        Ok(Self { bits, digest, subject, extensions })
    }

    /// The key that `default_bits` asks for.
    pub fn key_kind(&self) -> KeyKind {
        KeyKind::Rsa(self.bits)
    }

    pub(super) fn digest(&self) -> Result<MessageDigest> {
        MessageDigest::from_name(self.digest)
            .ok_or_else(|| anyhow!("this OpenSSL has no {}", self.digest))
    }

    pub(super) fn subject(&self) -> Result<X509Name> {
        let mut name = X509NameBuilder::new()?;
        for (field, value) in &self.subject {
            name.append_entry_by_text(field, value)?;
        }
        Ok(name.build())
    }
}

/// The value of an entry that may only say one of `words`.
fn is_one_of<'c>(conf: &Conf, entry: Option<&'c Entry>, words: &[&str]) -> Result<Option<&'c str>> {
    match entry {
        Some(entry) if words.contains(&entry.value.as_str()) => Ok(Some(&entry.value)),
        Some(entry) => Err(conf.error(entry, &format!("only {} is understood", words.join(", ")))),
        None => Ok(None),
    }
}

/// OpenSSL itself judges fields and values (`auto_info` of apps/req.c adds them so too).
fn read_subject(conf: &Conf, names: &Entry, utf8: bool) -> Result<Vec<(String, String)>> {
    let entries = conf.section(&names.value).ok_or_else(|| conf.error(names, "no such section"))?;
    let (mut subject, mut trial) = (Vec::new(), X509NameBuilder::new()?);
    for entry in entries {
        // `0.OU`, `1.OU`: what stands before only keeps the names apart.
        let field = match entry.name.split_once([':', ',', '.']) {
            Some((_, field)) if !field.is_empty() => field,
            _ => &entry.name,
        };
        if field.starts_with('+') {
            return Err(conf.error(entry, "names of several values are not understood"));
        }
        if !utf8 && !entry.value.is_ascii() {
            let what = "openssl takes this for Latin-1; say utf8 = yes in [ req ]";
            return Err(conf.error(entry, what));
        }
        if let Err(refused) = trial.append_entry_by_text(field, &entry.value) {
            let reason = refused.errors().last().and_then(openssl::error::Error::reason);
            let what = format!("not a field of a subject: {}", reason.unwrap_or("refused"));
            return Err(conf.error(entry, &what));
        }
        subject.push((field.to_owned(), entry.value.clone()));
    }
    if subject.is_empty() {
        return Err(conf.error(names, "the section names no subject"));
    }
    Ok(subject)
}
