//! Linux and macOS.

pub(crate) mod files;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod terminal;
