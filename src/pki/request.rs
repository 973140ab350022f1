//! The request in csr.conf: subject, key and digest; the rest is in `extensions`.

use anyhow::{Context, Result, anyhow};
use openssl::{
    hash::MessageDigest,
    x509::{X509Name, X509NameBuilder},
};

use super::{
    KeyKind,
    conf::{Conf, ConfEntry},
    extensions::{Extensions, Of},
};
use crate::ui::text::shortened;

/// A certificate request from csr.conf.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) bits: u32,
    pub(super) digest: &'static str,
    /// Fields and values, in order, as accepted by OpenSSL. If empty, the subject is the Service's
    /// name, as with `openssl req -subj`.
    subject: Vec<(String, String)>,
    pub(super) extensions: Extensions,
    /// Warnings about omitted parts.
    pub warnings: Vec<String>,
}

/// The section that the blog signs with: `openssl x509 -extensions v3_ext`.
const SIGNED_WITH: &str = "v3_ext";
/// Supported settings of [ req ].
const REQ: [&str; 6] =
    ["default_bits", "default_md", "prompt", "utf8", "distinguished_name", "req_extensions"];
/// Ignored settings of [ req ] for other uses of the file: keys and self-signed certificates that
/// openssl would create, and equivalent string types.
const NO_USE: [&str; 14] = [
    "RANDFILE",
    "attributes",
    "certopt",
    "default_crl_days",
    "default_days",
    "default_keyfile",
    "encrypt_key",
    "encrypt_rsa_key",
    "input_password",
    "nameopt",
    "output_password",
    "reqopt",
    "string_mask",
    "x509_extensions",
];
/// ub-common-name of X.520, in characters.
const LONGEST_COMMON_NAME: usize = 64;

impl Request {
    /// Parses `text` as OpenSSL reads it. `file` is named in errors: `file:line: name = value: …`.
    ///
    /// # Errors
    /// What OpenSSL refuses too, and what it would pass over or diyadm does not do: with line and
    /// word.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let conf = Conf::parse(file, text)?;
        let known = conf.section("req");
        let mut unused = Vec::new();
        for entry in known.iter().flatten() {
            if NO_USE.contains(&entry.name.as_str()) {
                unused.push(format!("{} (line {})", entry.name, entry.line));
                if ["x509_extensions", "attributes"].contains(&entry.name.as_str()) {
                    // Its section is not used either.
                    conf.section(&entry.value);
                }
            } else if !REQ.contains(&entry.name.as_str()) {
                return Err(conf.error(entry, "not supported in [ req ]"));
            }
        }
        let mut warnings = Vec::new();
        if !unused.is_empty() {
            let unused = unused.join(", ");
            warnings.push(format!("{file}: ignored, since a request does not use it: {unused}"));
        }
        let get = |name: &str| conf.get("req", name);
        let names = get("distinguished_name").with_context(|| match known {
            Some(_) => format!("{file}: [ req ] has no distinguished_name"),
            None => format!("{file}: the section [ req ] is missing"),
        })?;
        let utf8 = is_one_of(&conf, get("utf8"), &["yes", "no"])? == Some("yes");
        let prompts = is_one_of(&conf, get("prompt"), &["no", "yes"])? != Some("no");
        if prompts && conf.section(&names.value).is_some_and(|entries| !entries.is_empty()) {
            return Err(anyhow!(
                "{file}: [ req ] lacks `prompt = no`: openssl would prompt for the subject"
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
        let subject = read_subject(&conf, names, utf8, &mut warnings)?;
        // Both are parsed, so that errors in either are reported. The certificate gets v3_ext, with
        // which the blog signs; without that section it gets the request's extensions.
        let requested = match get("req_extensions") {
            Some(named) => {
                let entries = conf.section(&named.value);
                let entries = entries.ok_or_else(|| conf.error(named, "no such section"))?;
                Some(Extensions::from_entries(&conf, &entries, Of::Request)?)
            }
            None => None,
        };
        let signed = match conf.section(SIGNED_WITH) {
            Some(entries) => Some(Extensions::from_entries(&conf, &entries, Of::Certificate)?),
            None => None,
        };
        if let Some(entry) = conf.unread() {
            let what = format!("[ {} ] does not use this", shortened(&entry.section));
            return Err(conf.error(entry, &what));
        }
        let extensions = signed.or(requested).unwrap_or_default();
        Ok(Self { bits, digest, subject, extensions, warnings })
    }

    /// The key type of `default_bits`.
    pub fn key_kind(&self) -> KeyKind {
        KeyKind::Rsa(self.bits)
    }

    pub(super) fn digest(&self) -> Result<MessageDigest> {
        MessageDigest::from_name(self.digest)
            .ok_or_else(|| anyhow!("this OpenSSL has no {}", self.digest))
    }

    /// The subject of a certificate for this Service.
    pub(super) fn subject(&self, service: &str, namespace: &str) -> Result<X509Name> {
        let mut name = X509NameBuilder::new()?;
        if self.subject.is_empty() {
            let host = format!("{service}.{namespace}.svc");
            let short = if host.len() > LONGEST_COMMON_NAME { service } else { &host };
            name.append_entry_by_text("CN", short)?;
        }
        for (field, value) in &self.subject {
            name.append_entry_by_text(field, value)?;
        }
        Ok(name.build())
    }
}

/// The value of an entry, which must be one of `words`.
fn is_one_of<'c>(
    conf: &Conf,
    entry: Option<&'c ConfEntry>,
    words: &[&str],
) -> Result<Option<&'c str>> {
    match entry {
        Some(entry) if words.contains(&entry.value.as_str()) => Ok(Some(&entry.value)),
        Some(entry) => Err(conf.error(entry, &format!("only {} is supported", words.join(", ")))),
        None => Ok(None),
    }
}

/// OpenSSL itself validates fields and values (as `auto_info` of apps/req.c does).
fn read_subject(
    conf: &Conf,
    names: &ConfEntry,
    utf8: bool,
    warnings: &mut Vec<String>,
) -> Result<Vec<(String, String)>> {
    let entries = conf.section(&names.value).ok_or_else(|| conf.error(names, "no such section"))?;
    let (mut subject, mut trial) = (Vec::new(), X509NameBuilder::new()?);
    for entry in entries {
        // `0.OU`, `1.OU`: the number only makes the names unique.
        let field = match entry.name.split_once([':', ',', '.']) {
            Some((_, field)) if !field.is_empty() => field,
            _ => &entry.name,
        };
        if field.starts_with('+') {
            return Err(conf.error(entry, "names with several values are not supported"));
        }
        if !utf8 && !entry.value.is_ascii() {
            let what = "openssl reads this as Latin-1; set utf8 = yes in [ req ]";
            return Err(conf.error(entry, what));
        }
        let is_common = ["CN", "commonName"].contains(&field);
        if is_common && entry.value.contains('.') && entry.value.len() > LONGEST_COMMON_NAME {
            // It is ignored: only the alternative names are used.
            warnings.push(format!(
                "{}:{}: the common name is omitted, since it has over {LONGEST_COMMON_NAME} \
                 characters; only the names in subjectAltName are used",
                conf.file, entry.line
            ));
            continue;
        }
        if let Err(refused) = trial.append_entry_by_text(field, &entry.value) {
            let reason = refused.errors().last().and_then(openssl::error::Error::reason);
            let what = format!("not a field of a subject: {}", reason.unwrap_or("refused"));
            return Err(conf.error(entry, &what));
        }
        subject.push((field.to_owned(), entry.value.clone()));
    }
    Ok(subject)
}
