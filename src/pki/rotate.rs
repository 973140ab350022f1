//! Several CAs in one PEM: while a rotation goes on, the new one comes first.

use openssl::x509::{X509, X509VerifyResult};

/// The certificates of `pem`, each as PEM of its own; none where it cannot be read.
pub fn split(pem: &[u8]) -> Vec<String> {
    let certificates = X509::stack_from_pem(pem).unwrap_or_default();
    let texts = certificates.iter().filter_map(|c| String::from_utf8(c.to_pem().ok()?).ok());
    texts.collect()
}

/// Which of `cas` (PEM each) has signed the first certificate of `crt` (PEM), whether or not
/// either is still valid.
pub fn signer(cas: &[String], crt: &[u8]) -> Option<usize> {
    let leaf = X509::from_pem(crt).ok()?;
    cas.iter().position(|ca| {
        X509::from_pem(ca.as_bytes()).is_ok_and(|ca| {
            let signed = ca.public_key().and_then(|key| leaf.verify(&key)).unwrap_or(false);
            signed && ca.issued(&leaf) == X509VerifyResult::OK
        })
    })
}
