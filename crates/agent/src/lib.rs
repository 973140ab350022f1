//! Code that both sides of a connection share: the [`protocol`], the cutting of files into
//! [`chunks`], and the rules for a [`path`].
//!
//! Pure except for [`chunks`], which reads the given input. The `diyadm` program depends on nothing
//! else of this package.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod chunks;
pub mod path;
pub mod protocol;

/// Where emptying mounts the volume with the agent, in the init container and in the emptied
/// container. This differs from the path in diyadm's images, since nothing can be mounted on a
/// file.
pub const FOLDER: &str = "/.diyadm";
/// The program's file name.
pub const NAME: &str = "diyadm-agent";
/// Where diyadm's images have the program.
pub const IN_IMAGE: &str = "/diyadm-agent";
/// Where an emptied container has the program: [`NAME`] in [`FOLDER`].
pub const MOUNTED: &str = "/.diyadm/diyadm-agent";
