//! Static programs for another processor, by the images' own recipe with a cross compiler.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    image::{self, Profile},
    paths, process,
};

/// What a build for another processor needs and this machine lacks.
pub(super) fn missing(arch: &str) -> Option<String> {
    let gcc = format!("{arch}-linux-gnu-gcc");
    if Command::new(&gcc).arg("--version").output().is_err() {
        return Some(format!(
            "there is no {gcc} (Debian: gcc-{0}-linux-gnu and libc6-dev-{1}-cross)",
            arch.replace('_', "-"),
            diyadm_image::architecture(arch)
        ));
    }
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", &triple(arch)])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let is_there = libraries.is_some_and(|folder| Path::new(folder.trim()).is_dir());
    (!is_there).then(|| format!("run `rustup target add {}`", triple(arch)))
}

fn triple(arch: &str) -> String {
    format!("{arch}-unknown-linux-gnu")
}

/// The program of an image of the Dockerfile, for `arch` (`None`: this machine's), with the agents
/// of a folder inside.
pub(super) fn program(image: &str, arch: Option<&str>, agents: Option<&Path>) -> Result<PathBuf> {
    let mut target = Profile::Dist.target()?;
    let words = image::program_words(image)?;
    let (command, rest) = words.split_first().context("the Dockerfile gives cargo no argument")?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(paths::root()).arg(command).env("CARGO_TARGET_DIR", &target);
    if let Some(arch) = arch {
        let (triple, gcc) = (triple(arch), format!("{arch}-linux-gnu-gcc"));
        cargo.args(["--target", &triple]);
        let name = triple.replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), &gcc);
        cargo.env(format!("CC_{name}"), &gcc);
        target.push(triple);
    }
    cargo.env_remove("DIYADM_COMMIT");
    if let Some(commit) = paths::commit() {
        cargo.env("DIYADM_COMMIT", commit);
    }
    if let Some(agents) = agents {
        cargo.env("DIYADM_AGENTS", agents);
    }
    cargo.args(rest);
    process::aloud(&format!("{image} for {}", arch.unwrap_or("this machine")), &mut cargo)?;
    Ok(target.join(if image == "agent" { "agent/diyadm-agent" } else { "dist/diyadm" }))
}
