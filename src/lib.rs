//! diyadm turns Kubernetes workloads into empty containers for developers, and back.
//!
//! # Code map
//!
//! ```text
//! cli ──► commands ──► operations ──► pure:  workload  kinds  pki  yaml  json  mutate  plan  conflicts
//!                                 │         rollout  status  screen  explain  report  roles  doc_tables
//!                                 │         webhook::{admission, manifests, checks}  ui::text
//!                                 └─► I/O:  kubernetes  webhook::server  dev  ui  platform
//! ```
//!
//! The pure modules take values and return values: no kube client, no actix, no tokio, no files, no
//! clock, no environment. The time, key material and the state of a cluster are passed in as
//! arguments. The other modules gather data, call the pure part, and write the results.
//! `webhook::server → webhook::admission → workload` is the only other way in. `cargo xtask tidy`
//! enforces this.

// `ui` is the only code that prints: these macros panic if stdout or stderr is closed.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod cli;
pub mod commands;
pub mod conflicts;
pub mod dev;
pub mod doc_tables;
pub mod exit;
pub mod explain;
#[cfg(test)]
mod fuzz;
mod json;
pub mod kinds;
pub mod kubernetes;
pub mod mutate;
pub mod operations;
pub mod pki;
pub mod plan;
mod platform;
pub mod report;
pub mod roles;
pub mod rollout;
pub mod screen;
pub mod status;
pub mod ui;
pub mod version;
pub mod webhook;
pub mod workload;
pub mod yaml;
