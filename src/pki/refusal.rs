//! Why a chain of certificates is refused.

/// Why a chain is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotYetValid,
    Expired,
    WrongName,
    NotForServers,
    /// Another key of the same name has signed.
    WrongSignature,
    /// No chain leads to a root. What was wrong with the first certificate that might have been the
    /// issuer, and its name.
    Unknown(Option<(String, Box<Refusal>)>),
    Other(String),
}
