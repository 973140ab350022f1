//! csr.conf → request; CA; issue; inspect. Knows no file, clock or cluster.

mod chain;
mod conf;
mod der;
mod differs;
mod extensions;
mod host;
mod inspect;
mod issue;
mod key;
mod policies;
mod refusal;
mod request;
mod rotate;
mod verify;
mod x509;

pub use conf::LONGEST_FILE;
pub use differs::{RequestedTerms, differences};
pub use inspect::{Facts, inspect, rfc3339};
pub use issue::{Bundle, Terms, issue};
pub use key::{KeyFault, KeyKind, generate_key, private_key};
pub use request::Request;
pub use rotate::{signer, split};
pub use verify::{Fault, verify, verify_own, verify_peer};
