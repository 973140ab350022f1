//! The container's side: PID 1, the supervisor of applications, the relay that `kubectl exec`
//! starts, and the receiver of files.
//!
//! [`protocol`] is what both sides speak, and pure. Everything else here runs in somebody else's
//! container: it opens no port, adds no right, and starts no tokio, OpenSSL or thread pool.

pub mod protocol;
