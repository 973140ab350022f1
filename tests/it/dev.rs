//! The laptop's side of the developer's loop: over a real agent's process first, then on a node.

mod commands;
mod conversation;
mod debug;
pub(crate) mod forward;
mod goes_on;
mod live;
mod odd_files;
mod project;
mod replaced;
mod streams;
mod sync;
mod terminal;
mod together;
pub(crate) mod tree;
mod typed;
mod unset;
mod version4;
mod watched;
