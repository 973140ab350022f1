//! `diyadm images`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::operations::{
    flags::{MachineFormat, RegistryFlag},
    images::OwnImage,
};

/// The subcommands of `images`.
#[derive(Subcommand, Debug)]
pub enum Images {
    /// List the images that this version uses
    List(List),
    /// Write the images to an archive, without Docker and without a network
    ///
    /// `docker load`, `ctr image import` and `skopeo copy oci-archive:FILE` read the archive. The
    /// webhook's image has this program itself, so it needs a static one; the others have the agent
    /// that this program carries. The image of empty containers has no distribution here, only the
    /// agent with its small shell.
    Save(Save),
}

/// Flags of `images list`.
#[derive(Args, Debug)]
pub struct List {
    /// Registry of the images
    #[command(flatten)]
    pub registry: RegistryFlag,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<MachineFormat>,
}

/// Flags of `images save`.
#[derive(Args, Debug)]
pub struct Save {
    /// The images [default: all]
    #[arg(value_enum, value_name = "IMAGE")]
    pub images: Vec<OwnImage>,
    /// The archive; - is the standard output
    #[arg(short, long, value_name = "FILE|-")]
    pub output: PathBuf,
    /// The processor of the nodes: amd64 or arm64 [default: this program's]
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Where they are pulled from
    #[command(flatten)]
    pub registry: RegistryFlag,
}
