//! Verifies a certificate and key for a host name and a CA, as the API server (Go) does at every
//! handshake. All judgement of certificates is here.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::x509::X509;

use super::{
    Facts, KeyFault,
    chain::{self, Purpose},
    inspect, private_key,
    refusal::ChainRefusal,
    x509::{Certificate, Key, Usage},
};

/// Why the API server would reject a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not PEM, or not the expected content: which file, and what was found.
    Unreadable(&'static str, String),
    /// The key belongs to another certificate.
    KeyMismatch,
    /// The key needs a passphrase.
    KeyEncrypted,
    /// None of the CAs signed it.
    UnknownCa,
    /// A CA may have signed it, but is invalid: its name, and why.
    UnusableCa(String, String),
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is for other names.
    WrongName {
        /// The requested name.
        host: String,
        /// Its names: `DNS:…`, `IP:…`
        sans: Vec<String>,
    },
    /// It, or a CA above it, is not for servers (extendedKeyUsage).
    NotForServers,
    /// Anything else.
    Other(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(file, why) => write!(f, "{file}: {why}"),
            Self::KeyMismatch => f.write_str("the key does not belong to the certificate"),
            Self::KeyEncrypted => write!(f, "the key {}", KeyFault::Encrypted),
            Self::UnknownCa => f.write_str("the certificate is signed by none of the CAs"),
            Self::UnusableCa(ca, why) if ca.is_empty() => write!(f, "its CA is not valid: {why}"),
            Self::UnusableCa(ca, why) => write!(f, "its CA {ca} is not valid: {why}"),
            Self::Expired => f.write_str("the certificate has expired"),
            Self::NotYetValid => f.write_str("the certificate is not valid yet"),
            Self::WrongName { host, sans } if sans.is_empty() => {
                write!(f, "the certificate has no subjectAltName, but {host} is required")
            }
            Self::WrongName { host, sans } => {
                write!(f, "the certificate is for {}, not for {host}", sans.join(", "))
            }
            Self::NotForServers => f.write_str("the certificate is not for servers (serverAuth)"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// Verifies `crt` (PEM, leaf first) and `key` (optional PEM) as the API server does: against the
/// CAs in `ca` (PEM, one or more), the DNS name or IP address `host` and the time `now` (seconds
/// since 1970). Returns the content of the leaf.
pub fn verify(
    ca: &[u8],
    crt: &[u8],
    key: Option<&[u8]>,
    host: &str,
    now: i64,
) -> Result<Facts, Fault> {
    let chain = Chain::from_pem(crt, key)?;
    chain.judge(&roots(ca)?, Some(host), now)
}

/// [`verify`] without a CA and a name: for a server that knows neither.
pub fn verify_own(crt: &[u8], key: &[u8], now: i64) -> Result<Facts, Fault> {
    let chain = Chain::from_pem(crt, Some(key))?;
    // Signed by any CA.
    chain.judge(&chain.certificates[..1], None, now)
}

/// [`verify`] for the certificates that a server sent, leaf first.
pub fn verify_peer(ca: &[u8], sent: &[X509], host: &str, now: i64) -> Result<Facts, Fault> {
    Chain::from_sent(sent)?.judge(&roots(ca)?, Some(host), now)
}

/// Whether a chain leads from the first certificate of `crt` (PEM) to `ca` (PEM), at any time.
pub(super) fn is_signed_by(ca: &str, crt: &[u8]) -> bool {
    let (Ok(chain), Ok(roots)) = (Chain::from_pem(crt, None), roots(ca.as_bytes())) else {
        return false;
    };
    let purpose = Purpose { host: None, now: None, usage: None };
    chain::judge(&roots, &chain.certificates, &purpose).is_ok()
}

/// Requirements for a server's certificate.
struct Chain {
    /// Of the first certificate.
    facts: Facts,
    certificates: Vec<Certificate>,
}

impl Chain {
    fn from_pem(crt: &[u8], key: Option<&[u8]>) -> Result<Self, Fault> {
        let unreadable = |why: String| Fault::Unreadable("server.crt", why);
        let sent = X509::stack_from_pem(crt)
            .map_err(|_| unreadable("this is not a PEM certificate".to_owned()))?;
        let leaf =
            sent.first().ok_or_else(|| unreadable("there is no certificate in it".to_owned()))?;
        if let Some(key) = key {
            let key = private_key(key).map_err(|fault| match fault {
                KeyFault::Encrypted => Fault::KeyEncrypted,
                other => Fault::Unreadable("server.key", format!("it {other}")),
            })?;
            if !leaf.public_key().is_ok_and(|public| public.public_eq(&key)) {
                return Err(Fault::KeyMismatch);
            }
        }
        Self::from_sent(&sent)
    }

    fn from_sent(sent: &[X509]) -> Result<Self, Fault> {
        let unreadable = |why: String| Fault::Unreadable("server.crt", why);
        let leaf = sent.first().ok_or_else(|| unreadable("there is no certificate".to_owned()))?;
        let parse = |certificate: &X509| {
            let der = certificate.to_der().map_err(|error| error.to_string())?;
            let parsed = Certificate::parse(&der)?;
            match parsed.key {
                // Go's TLS would spend too long on it.
                Some(Key::Rsa { bits: 8193.., .. }) => Err("its RSA key has over 8192 bits".into()),
                _ => Ok(parsed),
            }
        };
        let certificates = sent.iter().map(parse).collect::<Result<Vec<_>, String>>();
        let certificates = certificates
            .map_err(|why| unreadable(format!("the API server cannot parse it: {why}")))?;
        let facts = inspect::facts(leaf).map_err(|error| unreadable(format!("{error:#}")))?;
        Ok(Self { facts, certificates })
    }

    fn judge(&self, roots: &[Certificate], host: Option<&str>, now: i64) -> Result<Facts, Fault> {
        let purpose = Purpose { host, now: Some(now), usage: Some(Usage::Server) };
        chain::judge(roots, &self.certificates, &purpose).map_err(|refusal| match refusal {
            ChainRefusal::WrongName => Fault::WrongName {
                host: host.unwrap_or_default().to_owned(),
                sans: self.facts.sans.clone(),
            },
            ChainRefusal::Expired => Fault::Expired,
            ChainRefusal::NotYetValid => Fault::NotYetValid,
            ChainRefusal::NotForServers => Fault::NotForServers,
            ChainRefusal::Unknown(None) | ChainRefusal::WrongSignature => Fault::UnknownCa,
            ChainRefusal::Unknown(Some((ca, why))) => match *why {
                ChainRefusal::Expired => Fault::UnusableCa(ca, "it has expired".to_owned()),
                ChainRefusal::NotYetValid => {
                    Fault::UnusableCa(ca, "it is not valid yet".to_owned())
                }
                ChainRefusal::Other(why) => Fault::UnusableCa(ca, why),
                // Another CA with the same name.
                _ => Fault::UnknownCa,
            },
            ChainRefusal::Other(why) => Fault::Other(format!("the certificate is refused: {why}")),
        })?;
        match self.certificates[0].key {
            Some(Key::Rsa { bits, .. }) if bits < 1024 => {
                Err(Fault::Other(format!("the RSA key of {bits} bits is insecure")))
            }
            Some(Key::Rsa { .. } | Key::Ecdsa | Key::Ed25519) => Ok(self.facts.clone()),
            _ => Err(Fault::Other("TLS does not support this type of key".to_owned())),
        }
    }
}

/// The certificates that Go adds to a pool: unparsable ones are skipped.
fn roots(pem: &[u8]) -> Result<Vec<Certificate>, Fault> {
    let mut why = "there is no certificate in it".to_owned();
    let mut roots = Vec::new();
    for der in blocks(pem) {
        match Certificate::parse(&der) {
            Ok(root) => roots.push(root),
            Err(wrong) => why = format!("the API server cannot parse it: {wrong}"),
        }
    }
    if roots.is_empty() { Err(Fault::Unreadable("ca.crt", why)) } else { Ok(roots) }
}

/// The DER of each `CERTIFICATE` block; blocks with headers are ignored.
fn blocks(pem: &[u8]) -> Vec<Vec<u8>> {
    let (mut blocks, mut base64) = (Vec::new(), None);
    for line in pem.split(|byte| *byte == b'\n') {
        match (line.trim_ascii_end(), &mut base64) {
            (b"-----BEGIN CERTIFICATE-----", _) => base64 = Some(Vec::new()),
            (b"-----END CERTIFICATE-----", Some(text)) => {
                blocks.extend(STANDARD.decode(text));
                base64 = None;
            }
            (line, Some(text)) => {
                text.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
            }
            _ => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Bundle, KeyKind, Request, Terms, generate_key, issue};

    const NOW: i64 = 1_700_000_000;
    const HOST: &str = "web.test.svc";

    fn bundle(service: &str, conf: &str) -> Bundle {
        let request = Request::parse("csr.conf", conf).unwrap();
        let (service, namespace) = (service.to_owned(), "test".to_owned());
        let terms = Terms { now: NOW, days: 10, ca_days: 20, service, namespace };
        let key = || generate_key(KeyKind::P256).unwrap();
        issue(&request, &terms, &key(), &key()).unwrap()
    }

    fn judge(ca: &Bundle, pair: &Bundle, now: i64) -> Result<Facts, Fault> {
        let key = Some(pair.server_key.as_bytes());
        verify(ca.ca_crt.as_bytes(), pair.server_crt.as_bytes(), key, HOST, now)
    }

    #[test]
    fn each_certificate_fault_is_distinguished() {
        let conf = crate::webhook::manifests::csr_conf("web", "test");
        let good = bundle("web", &conf);
        assert!(judge(&good, &good, NOW).is_ok());
        assert!(judge(&good, &good, NOW - 299).is_ok(), "clocks may differ by five minutes");
        assert_eq!(judge(&good, &good, NOW - 301), Err(Fault::NotYetValid));
        assert_eq!(judge(&good, &good, NOW + 11 * 86_400), Err(Fault::Expired));
        let other = bundle("web", &conf);
        assert_eq!(judge(&other, &good, NOW), Err(Fault::UnknownCa));
        let foreign = bundle("else", &crate::webhook::manifests::csr_conf("else", "test"));
        let Err(Fault::WrongName { sans, .. }) = judge(&foreign, &foreign, NOW) else { panic!() };
        assert!(sans.contains(&"DNS:else.test.svc".to_owned()), "{sans:?}");
        let key = Some(other.server_key.as_bytes());
        let mixed = verify(good.ca_crt.as_bytes(), good.server_crt.as_bytes(), key, HOST, NOW);
        assert_eq!(mixed, Err(Fault::KeyMismatch));
        // Two CAs in one file, as during a rotation.
        let both = format!("{}{}", other.ca_crt, good.ca_crt);
        assert!(verify(both.as_bytes(), good.server_crt.as_bytes(), None, HOST, NOW).is_ok());
        let junk = verify(b"junk", good.server_crt.as_bytes(), None, HOST, NOW);
        assert!(matches!(junk, Err(Fault::Unreadable("ca.crt", _))));
    }
}
