//! The container's side: PID 1, the supervisor of applications, the relay that `kubectl exec`
//! starts, and the receiver of files.
//!
//! [`protocol`] is what both sides speak, and pure. Everything else here runs in somebody else's
//! container: it opens no port, adds no right, and starts no tokio, OpenSSL or thread pool.

mod app;
pub mod chunks;
mod connection;
pub(crate) mod idle;
pub(crate) mod install;
mod jvm;
mod leftover;
mod lines;
mod name;
mod pipe;
mod proc;
pub mod protocol;
pub(crate) mod ready;
pub(crate) mod receive;
pub(crate) mod relay;
mod ring;
pub(crate) mod shell;
mod sink;
mod socket;
mod supervisor;
mod wire;
mod words;
