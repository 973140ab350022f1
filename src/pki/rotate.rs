//! Several CAs in one PEM: while a rotation goes on, the new one comes first.

use openssl::x509::X509;

use super::verify::is_signed_by;

/// The certificates of `pem`, each as PEM of its own; none where it cannot be read.
pub fn split(pem: &[u8]) -> Vec<String> {
    let certificates = X509::stack_from_pem(pem).unwrap_or_default();
    let texts = certificates.iter().filter_map(|c| String::from_utf8(c.to_pem().ok()?).ok());
    texts.collect()
}

/// Which of `cas` (PEM each) the first certificate of `crt` (PEM) leads to, whether or not either is
/// still valid.
pub fn signer(cas: &[String], crt: &[u8]) -> Option<usize> {
    cas.iter().position(|ca| is_signed_by(ca, crt))
}
