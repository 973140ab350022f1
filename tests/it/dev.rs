//! The developer's side of `dev`, `sync`, `run` and `forward`: with a real agent process, and on a
//! node.

mod agent_start_race;
mod commands;
mod completion;
mod content;
mod conversation;
mod debug;
mod events;
pub(crate) mod forward;
mod lease;
mod live_containers;
mod live_kinds;
mod project;
mod reconnect;
mod replaced_pods;
mod run_commands;
mod streams;
mod sync;
mod sync_odd_files;
mod sync_permissions;
mod sync_watch;
mod terminal;
pub(crate) mod tree;
mod websocket_v4;
