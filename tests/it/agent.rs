//! The agent: protocol, supervised applications and received files, with real processes.

mod client;
mod disk;
mod earlier_client;
mod hostile;
mod input;
mod lease;
mod leftover;
mod namespace;
mod other_protocol;
mod protocol;
mod receive;
mod removal;
mod sender;
mod shell;
mod socket;
mod stand_in;
mod supervisor;
mod users;

pub(crate) use receive::names;
