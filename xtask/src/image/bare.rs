//! An image as distroless ones are: one static program, no shell, no library.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Result;
use diyadm_image::{Image, hex};
use openssl::sha::sha256;

use super::rootfs;
use crate::{paths, process};

const SOURCE: &str = include_str!("../../data/bare.rs");

/// The image.
pub(super) fn image() -> Result<Image> {
    rootfs::program("bare:rig", &program()?)
}

/// The program, compiled once for a compiler.
fn program() -> Result<PathBuf> {
    let compiler = process::output(Command::new("rustc").arg("-vV"))?;
    let stamp = hex(&sha256(format!("{compiler} {SOURCE}").as_bytes()));
    let folder = paths::cache()?.join("image-build").join(format!("bare-{}", &stamp[..16]));
    let program = folder.join("bare");
    if !program.exists() {
        fs::create_dir_all(&folder)?;
        let source = folder.join("bare.rs");
        fs::write(&source, SOURCE)?;
        let fresh = folder.join("bare.new");
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "-C", "opt-level=s", "-C", "strip=symbols"]);
        rustc.args(["-C", "target-feature=+crt-static", "-o"]).arg(&fresh).arg(&source);
        process::aloud("compile the program of the image bare", &mut rustc)?;
        fs::rename(fresh, &program)?;
    }
    Ok(program)
}
