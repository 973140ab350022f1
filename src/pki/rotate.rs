//! Several CAs in one PEM: during a rotation, the new CA comes first.

use openssl::x509::X509;

use super::verify::is_signed_by;

/// The certificates of `pem`, each as its own PEM; empty if it cannot be parsed.
pub fn split(pem: &[u8]) -> Vec<String> {
    let certificates = X509::stack_from_pem(pem).unwrap_or_default();
    let texts = certificates.iter().filter_map(|c| String::from_utf8(c.to_pem().ok()?).ok());
    texts.collect()
}

/// The CA in `cas` (PEM each) that signed the first certificate of `crt` (PEM), even if either is
/// expired.
pub fn signer(cas: &[String], crt: &[u8]) -> Option<usize> {
    cas.iter().position(|ca| is_signed_by(ca, crt))
}
