//! The container's side: what is said, what runs, what is received, with real processes.

mod client;
mod disk;
mod hostile;
mod input;
mod leftover;
mod namespace;
mod other_protocol;
mod protocol;
mod receive;
mod removal;
mod sender;
mod shell;
mod socket;
mod supervisor;
mod users;

pub(crate) use receive::names;
