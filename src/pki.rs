//! csr.conf → request; CA; issue; inspect. Knows no file, clock or cluster.

use anyhow::Result;
use openssl::{
    ec::{EcGroup, EcKey},
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
};

mod conf;
mod differs;
mod extensions;
mod inspect;
mod issue;
mod request;
mod rotate;
mod verify;

pub use conf::LONGEST_FILE;
pub use differs::{Wanted, differences};
pub use inspect::{Facts, inspect, rfc3339};
pub use issue::{Bundle, Terms, issue};
pub use request::Request;
pub use rotate::{signer, split};
pub use verify::{Fault, verify};

/// Kinds of key.
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
