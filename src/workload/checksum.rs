//! A short checksum of a text.

/// 16 hex digits of SHA-256.
pub(super) fn checksum(text: &str) -> String {
    // Not the one-shot function, for which OpenSSL looks up the algorithm by name each time.
    let mut sha = openssl::sha::Sha256::new();
    sha.update(text.as_bytes());
    let sum = sha.finish();
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    sum[..8].iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
