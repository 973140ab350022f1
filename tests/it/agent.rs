//! The container's side: what is said, what runs, what is received, with real processes.

mod client;
mod disk;
mod leftover;
mod namespace;
mod older;
mod protocol;
mod receive;
mod removal;
mod sender;
mod shell;
mod socket;
mod supervisor;

pub(crate) use receive::names;
