//! Container images as values, and archives of them, made without Docker.
//!
//! The same image gives the same bytes: no clock, root owns everything, entries keep their order.

use std::path::{Path, PathBuf};

mod archive;
mod layer;
mod name;

pub use archive::write;
pub use name::canonical_name;

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// `NAME:TAG`, with or without a registry.
    pub tag: String,
    /// The processor, as images name it: `amd64`, `arm64`.
    pub architecture: String,
    /// How it is run.
    pub config: Config,
    /// The lowest layer first.
    pub layers: Vec<Vec<Entry>>,
}

/// How an image is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The program, and its first arguments.
    pub entrypoint: Vec<String>,
    /// The arguments that a container may replace.
    pub cmd: Vec<String>,
    /// `NAME=VALUE`.
    pub env: Vec<String>,
    /// `UID:GID`; empty is root.
    pub user: String,
    /// The working directory; empty is `/`.
    pub workdir: String,
    /// Name and value of each label.
    pub labels: Vec<(String, String)>,
}

/// A path in a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Without a leading slash.
    pub path: String,
    /// The permission bits.
    pub mode: u32,
    /// What is at the path.
    pub content: Content,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Folder,
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A file with the content of this file.
    File(PathBuf),
    /// A symbolic link to this path.
    Link(String),
}

impl Entry {
    /// A directory.
    pub fn folder(path: &str, mode: u32) -> Self {
        Self { path: path.into(), mode, content: Content::Folder }
    }

    /// A readable text file.
    pub fn text(path: &str, text: &str) -> Self {
        Self { path: path.into(), mode: 0o644, content: Content::Bytes(text.into()) }
    }

    /// An executable file with the content of `file`.
    pub fn program(path: &str, file: &Path) -> Self {
        Self { path: path.into(), mode: 0o755, content: Content::File(file.into()) }
    }

    /// An executable file with these bytes.
    pub fn executable(path: &str, bytes: Vec<u8>) -> Self {
        Self { path: path.into(), mode: 0o755, content: Content::Bytes(bytes) }
    }

    /// A symbolic link.
    pub fn link(path: &str, target: &str) -> Self {
        Self { path: path.into(), mode: 0o777, content: Content::Link(target.into()) }
    }
}

/// Names of processors: Rust's, and those of Go and of images.
const PROCESSORS: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];

/// A processor that Rust names `arch`, as Go and images name it.
pub fn architecture(arch: &str) -> &str {
    PROCESSORS.iter().find(|(rust, _)| *rust == arch).map_or(arch, |(_, image)| image)
}

/// A processor that Go and images name `architecture`, as Rust names it.
pub fn rust_arch(architecture: &str) -> &str {
    PROCESSORS
        .iter()
        .find(|(_, image)| *image == architecture)
        .map_or(architecture, |(rust, _)| rust)
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
