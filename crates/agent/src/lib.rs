//! What both sides of a connection share: the [`protocol`], how files are cut into [`chunks`], and
//! the names of [`path`]s. The agent's program is `main.rs`.
//!
//! Pure but for [`chunks`], which reads what it is given. The command line of diyadm depends on
//! nothing else of this package.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod chunks;
pub mod path;
pub mod protocol;

/// Where emptying mounts the volume with the agent, in the init container and in the emptied one.
/// Not where the images have the program: nothing can be mounted on a file.
pub const FOLDER: &str = "/.diyadm";
/// The program's file name.
pub const NAME: &str = "diyadm-agent";
/// Where diyadm's images have the program.
pub const IN_IMAGE: &str = "/diyadm-agent";
/// Where an emptied container has the program: [`NAME`] in [`FOLDER`].
pub const MOUNTED: &str = "/.diyadm/diyadm-agent";
