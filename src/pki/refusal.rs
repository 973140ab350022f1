//! Why a certificate chain is rejected.

/// Why a chain is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChainRefusal {
    NotYetValid,
    Expired,
    WrongName,
    NotForServers,
    /// A CA with the same name but another key signed it.
    WrongSignature,
    /// No chain leads to a root. Contains the error and the name of the first candidate issuer.
    Unknown(Option<(String, Box<ChainRefusal>)>),
    Other(String),
}
