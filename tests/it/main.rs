//! The one integration crate: the program from outside, and the real API server.

mod check;
mod cli;
mod heart;
mod install;
mod pki;
mod render;
mod rig;
mod serve;
mod verify;
mod webhook;
mod yaml;
