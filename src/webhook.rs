//! The mutating webhook: admission, the server, the manifests, and the checks of `check` and
//! `verify`.

pub mod admission;
pub mod checks;
pub mod manifests;
pub mod server;
