//! The mutating webhook: what it answers, the server that answers, the objects that install it, and
//! what `check` and `verify` look at.

pub mod admission;
pub mod checks;
pub mod manifests;
pub mod server;
