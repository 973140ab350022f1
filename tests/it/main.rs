//! The one integration crate: the program from outside, and the real API server.

mod agent;
mod cli;
mod cluster;
mod docs;
mod failures;
mod generated;
mod golden;
mod hints;
mod install;
mod laws;
mod manifest;
mod mutate;
mod newest;
mod node;
mod pki;
mod pod_security;
mod policy;
mod rig;
mod rights;
mod rolling;
mod rules;
mod serve;
mod services;
mod shapes;
mod workloads;
mod yaml;
