//! Whether a pair serves under a name and a CA: what the API server asks at every handshake.

use openssl::{
    pkey::PKey,
    stack::Stack,
    x509::{
        X509, X509PurposeId, X509StoreContext, X509VerifyResult,
        store::X509StoreBuilder,
        verify::{X509CheckFlags, X509VerifyParam},
    },
};
use std::fmt;

use super::{Facts, inspect};

/// Why the API server would not take a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No PEM, or not what its file should hold: which, and what was found.
    Unreadable(&'static str, String),
    /// The key is another certificate's.
    KeyMismatch,
    /// None of the CAs has signed it.
    UnknownCa,
    /// Its validity is over.
    Expired,
    /// Its validity has not begun.
    NotYetValid,
    /// It is for other names.
    WrongName {
        /// The one that is asked for.
        host: String,
        /// Those that it has: `DNS:…`, `IP:…`
        sans: Vec<String>,
    },
    /// It is not for a server (extendedKeyUsage).
    NotForServers,
    /// Anything else, in OpenSSL's words.
    Other(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(file, why) => write!(f, "{file}: {why}"),
            Self::KeyMismatch => f.write_str("the key does not belong to the certificate"),
            Self::UnknownCa => f.write_str("the certificate is signed by none of the CAs"),
            Self::Expired => f.write_str("the certificate has expired"),
            Self::NotYetValid => f.write_str("the certificate is not valid yet"),
            Self::WrongName { host, sans } if sans.is_empty() => {
                write!(f, "the certificate has no subjectAltName, {host} is asked for")
            }
            Self::WrongName { host, sans } => {
                write!(f, "the certificate is for {}, not for {host}", sans.join(", "))
            }
            Self::NotForServers => f.write_str("the certificate is not for servers (serverAuth)"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// Holds `crt` (PEM, the leaf first) and `key` (PEM, where there is one) against the CAs in `ca`
/// (PEM, one or more), the DNS name or IP address `host` and the time `now` (seconds since 1970), and tells of
/// the leaf.
pub fn verify(
    ca: &[u8],
    crt: &[u8],
    key: Option<&[u8]>,
    host: &str,
    now: i64,
) -> Result<Facts, Fault> {
    let unreadable = |file, error: anyhow::Error| Fault::Unreadable(file, format!("{error:#}"));
    let roots = X509::stack_from_pem(ca).map_err(|e| unreadable("ca.crt", e.into()))?;
    if roots.is_empty() {
        return Err(Fault::Unreadable("ca.crt", "there is no certificate in it".to_owned()));
    }
    let mut facts = inspect(crt, None).map_err(|e| unreadable("server.crt", e))?;
    let facts = facts.swap_remove(0);
    let chain = X509::stack_from_pem(crt).map_err(|e| unreadable("server.crt", e.into()))?;
    let leaf = &chain[0];
    if let Some(key) = key {
        let key = PKey::private_key_from_pem(key)
            .map_err(|_| Fault::Unreadable("server.key", "this is no PEM key".to_owned()))?;
        let public = leaf.public_key().map_err(|e| unreadable("server.crt", e.into()))?;
        if !public.public_eq(&key) {
            return Err(Fault::KeyMismatch);
        }
    }
    match chain_result(roots, leaf, &chain, host, now) {
        Ok(X509VerifyResult::OK) => Ok(facts),
        Ok(result) => Err(fault(result, facts, host)),
        Err(error) => Err(Fault::Other(error.to_string())),
    }
}

fn chain_result(
    roots: Vec<X509>,
    leaf: &X509,
    chain: &[X509],
    host: &str,
    now: i64,
) -> Result<X509VerifyResult, openssl::error::ErrorStack> {
    let mut param = X509VerifyParam::new()?;
    param.set_time(now);
    param.set_purpose(X509PurposeId::SSL_SERVER)?;
    // Go does not look at the common name.
    param.set_hostflags(X509CheckFlags::NEVER_CHECK_SUBJECT);
    match host.parse() {
        Ok(address) => param.set_ip(address)?,
        Err(_) => param.set_host(host)?,
    }
    let mut store = X509StoreBuilder::new()?;
    for root in roots {
        store.add_cert(root)?;
    }
    store.set_param(&param)?;
    let mut rest = Stack::new()?;
    for certificate in &chain[1..] {
        rest.push(certificate.clone())?;
    }
    X509StoreContext::new()?.init(&store.build(), leaf, &rest, |context| {
        context.verify_cert()?;
        Ok(context.error())
    })
}

/// The codes are those of OpenSSL's x509_vfy.h.
fn fault(result: X509VerifyResult, facts: Facts, host: &str) -> Fault {
    match result.as_raw() {
        9 => Fault::NotYetValid,
        10 => Fault::Expired,
        // No issuer found; self-signed and not known; a signature that is another key's.
        2 | 7 | 18..=21 => Fault::UnknownCa,
        26 => Fault::NotForServers,
        62 | 64 => Fault::WrongName { host: host.to_owned(), sans: facts.sans },
        _ => Fault::Other(result.error_string().to_owned()),
    }
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
    fn each_fault_is_told_apart() {
        let conf = crate::manifests::csr_conf("web", "test");
        let good = bundle("web", &conf);
        assert!(judge(&good, &good, NOW).is_ok());
        assert!(judge(&good, &good, NOW - 299).is_ok(), "clocks may differ by five minutes");
        assert_eq!(judge(&good, &good, NOW - 301), Err(Fault::NotYetValid));
        assert_eq!(judge(&good, &good, NOW + 11 * 86_400), Err(Fault::Expired));
        let other = bundle("web", &conf);
        assert_eq!(judge(&other, &good, NOW), Err(Fault::UnknownCa));
        let foreign = bundle("else", &crate::manifests::csr_conf("else", "test"));
        let Err(Fault::WrongName { sans, .. }) = judge(&foreign, &foreign, NOW) else { panic!() };
        assert!(sans.contains(&"DNS:else.test.svc".to_owned()), "{sans:?}");
        let key = Some(other.server_key.as_bytes());
        let mixed = verify(good.ca_crt.as_bytes(), good.server_crt.as_bytes(), key, HOST, NOW);
        assert_eq!(mixed, Err(Fault::KeyMismatch));
        // Two CAs in one file: how a rotation overlaps.
        let both = format!("{}{}", other.ca_crt, good.ca_crt);
        assert!(verify(both.as_bytes(), good.server_crt.as_bytes(), None, HOST, NOW).is_ok());
        let junk = verify(b"junk", good.server_crt.as_bytes(), None, HOST, NOW);
        assert!(matches!(junk, Err(Fault::Unreadable("ca.crt", _))));
    }
}
