//! diyadm turns any Kubernetes workload into a small Linux for a developer, and back.
//!
//! # Code map
//!
//! ```text
//! cli ──► commands ──► pure:  workload  admission  pki  manifests  checks  report  yaml  mutate
//!                  │         explain  tables  plan  beside  rollout  board  json  text
//!                  └─► shell: cluster  server  dev  agent  ui
//! ```
//!
//! The pure modules take values and return values: no kube client, no actix, no tokio, no files,
//! no clock, no environment. The time, key material and what was seen of a cluster come in as
//! arguments. The shell gathers, calls the pure part, and emits. `server → admission → workload`
//! is the only other way in. `cargo xtask tidy` holds the pure modules to this.

// `ui` is the only code that prints: these macros panic where nobody reads.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod admission;
pub mod agent;
pub mod beside;
pub mod board;
pub mod checks;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod dev;
pub mod exit;
pub mod explain;
#[cfg(test)]
mod fuzz;
mod json;
pub mod manifests;
pub mod mutate;
pub mod pki;
pub mod plan;
pub mod report;
pub mod roles;
pub mod rollout;
pub mod server;
pub mod tables;
pub mod text;
pub mod ui;
pub mod workload;
pub mod yaml;
