//! Systems and processors that a release is for, and the program of each: given, built here, or the
//! reason why it is left out.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::cross;
use crate::image::{self, Profile};

/// A system and a processor, as Go and container images name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Platform {
    pub(super) os: &'static str,
    pub(super) arch: &'static str,
}

/// All that a release is for.
pub(super) const PLATFORMS: [Platform; 5] = [
    Platform { os: "linux", arch: "amd64" },
    Platform { os: "linux", arch: "arm64" },
    Platform { os: "darwin", arch: "amd64" },
    Platform { os: "darwin", arch: "arm64" },
    Platform { os: "windows", arch: "amd64" },
];

impl Platform {
    /// This machine.
    pub(super) fn own() -> Result<Self> {
        let os = if env::consts::OS == "macos" { "darwin" } else { env::consts::OS };
        let is_own = |one: &&Self| one.os == os && one.rust_arch() == env::consts::ARCH;
        PLATFORMS.iter().find(is_own).copied().context("no release is for this machine's processor")
    }

    /// `linux-amd64`.
    pub(super) fn name(self) -> String {
        format!("{}-{}", self.os, self.arch)
    }

    /// The processor as Rust names it.
    pub(super) fn rust_arch(self) -> &'static str {
        diyadm_image::rust_arch(self.arch)
    }

    /// The name of the program's file.
    pub(super) fn program(self) -> &'static str {
        if self.os == "windows" { "diyadm.exe" } else { "diyadm" }
    }
}

/// Where programs come from.
pub(super) struct Source<'a> {
    /// A folder with `diyadm-OS-ARCH` (`.exe` on Windows) for each platform that it has.
    pub(super) given: Option<&'a Path>,
    pub(super) profile: Profile,
    /// A folder with the agents of other processors that could be built; empty if there is none.
    pub(super) agents: Option<&'a Path>,
}

/// The program for `platform`, or the reason why there is none.
pub(super) fn program(platform: Platform, source: &Source<'_>) -> Result<Result<PathBuf, String>> {
    let suffix = if platform.os == "windows" { ".exe" } else { "" };
    let name = format!("diyadm-{}{suffix}", platform.name());
    if let Some(file) = source.given.map(|folder| folder.join(&name)).filter(|file| file.exists()) {
        return Ok(Ok(file));
    }
    if platform == Platform::own()? {
        return Ok(Ok(match source.agents {
            Some(agents) => cross::program("webhook", None, Some(agents))?,
            None => image::program("webhook", source.profile)?,
        }));
    }
    if platform.os != "linux" {
        return Ok(Err(format!(
            "it is built on {}; then: --programs FOLDER with {name}",
            platform.os
        )));
    }
    if source.profile == Profile::Dev {
        return Ok(Err("only this machine's own is tried".to_owned()));
    }
    let arch = platform.rust_arch();
    match cross::missing(arch) {
        Some(missing) => Ok(Err(missing)),
        None => Ok(Ok(cross::program("webhook", Some(arch), source.agents)?)),
    }
}

/// Whether `program` is for this machine and can be run.
pub(super) fn runs_here(program: &Path) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}
