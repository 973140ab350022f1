//! The local side of shell, run, stop, ps, logs, forward, sync and dev.
//!
//! It reaches containers through exec and port-forward only ([`crate::kubernetes`]) and speaks the
//! protocol of the agent ([`diyadm_agent::protocol`]) over any pair of streams, so that a test can
//! connect an agent process directly.

pub(crate) mod agent_start;
pub(crate) mod backoff;
pub(crate) mod claim;
pub(crate) mod detect;
pub(crate) mod dev_loop;
pub(crate) mod diff;
pub(crate) mod events;
pub mod flags;
pub(crate) mod follow;
pub(crate) mod forward;
mod git;
pub(crate) mod iteration;
mod lease;
pub(crate) mod leave;
pub(crate) mod listing;
mod misread;
pub(crate) mod pods;
pub(crate) mod ports;
pub(crate) mod printer;
pub(crate) mod program;
pub(crate) mod project;
pub(crate) mod reach;
mod replaced;
mod restored;
pub(crate) mod run;
pub(crate) mod run_loop;
pub(crate) mod session;
pub(crate) mod shell;
pub(crate) mod sources;
pub mod sync;
pub(crate) mod sync_pods;
pub(crate) mod table;
pub(crate) mod target;
pub(crate) mod trouble;
mod upload;
pub(crate) mod watch;
pub mod wire;
mod words;
mod workload_end;

pub use trouble::Trouble;
