//! The one integration crate: the program from outside, and the real API server.

mod agent;
mod cli;
mod cluster;
mod failures;
mod generated;
mod install;
mod laws;
mod manifest;
mod newest;
mod pki;
mod rig;
mod serve;
mod services;
mod shapes;
mod yaml;
