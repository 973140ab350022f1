//! Private keys: generation, and parsing that never asks for a passphrase.

use std::fmt;

use anyhow::Result;
use openssl::{
    ec::{EcGroup, EcKey},
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
};

/// Types of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA of this many bits.
    Rsa(u32),
    /// ECDSA on NIST P-256.
    P256,
}

/// Makes a key.
pub fn generate_key(kind: KeyKind) -> Result<PKey<Private>> {
    Ok(match kind {
        KeyKind::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits)?)?,
        KeyKind::P256 => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
            PKey::from_ec_key(EcKey::generate(&group)?)?
        }
    })
}

/// Why a key cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// It needs a passphrase.
    Encrypted,
    /// It is unencrypted DER.
    Der,
    /// It is not a key.
    NoKey,
}

impl KeyFault {
    /// The hint for a key in `file`.
    pub fn hint(self, file: &str) -> Option<String> {
        let inform = match self {
            Self::Encrypted => "",
            Self::Der => " -inform DER",
            Self::NoKey => return None,
        };
        let what = if self == Self::Der { "Convert" } else { "Decrypt" };
        Some(format!("{what} it: `openssl pkey{inform} -in {file} -out plain.key`."))
    }
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encrypted => "is encrypted; a server cannot ask for the passphrase",
            Self::Der => "is DER, not PEM",
            Self::NoKey => "is not a PEM key",
        })
    }
}

impl std::error::Error for KeyFault {}

/// Parses a key (PEM). OpenSSL by default would ask for a passphrase on the terminal.
///
/// # Errors
/// Never quotes the key.
pub fn private_key(pem: &[u8]) -> Result<PKey<Private>, KeyFault> {
    let mut is_encrypted = false;
    let read = PKey::private_key_from_pem_callback(pem, |_| {
        is_encrypted = true;
        Ok(0)
    });
    if let Ok(key) = read
        && !is_encrypted
    {
        return Ok(key);
    }
    let der = PKey::private_key_from_pkcs8_callback(pem, |_| {
        is_encrypted = true;
        Ok(0)
    });
    Err(match () {
        () if is_encrypted => KeyFault::Encrypted,
        () if der.is_ok() || PKey::private_key_from_der(pem).is_ok() => KeyFault::Der,
        () => KeyFault::NoKey,
    })
}
