//! The one integration crate: the program from outside, and the real API server.

mod cli;
mod cluster;
mod failures;
mod generated;
mod golden;
mod install;
mod laws;
mod manifest;
mod newest;
mod pki;
mod pod_security;
mod rig;
mod rolling;
mod serve;
mod services;
mod shapes;
mod yaml;
