//! `cargo xtask dist`: what is given to people, in target/dist. The program, which carries the static
//! agents that it brings into containers, and these by themselves, `diyadm-agent-ARCH`.
//!
//! The agent of this machine's processor is the very program that the images have. The other is
//! built where Rust and gcc can, and left out where they cannot.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

use crate::{
    image::{self, Profile},
    interrupt, paths, process,
};

/// Processors of agents, as Rust names them.
const ALL: [&str; 2] = ["x86_64", "aarch64"];

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    if !args.is_empty() {
        bail!("`cargo xtask dist` takes no word");
    }
    interrupt::watch()?;
    let target = Profile::Dist.target()?;
    let dist = paths::target().join("dist");
    fs::create_dir_all(&dist)?;
    for arch in ALL {
        let agent = dist.join(format!("diyadm-agent-{arch}"));
        if arch == env::consts::ARCH {
            put(&image::program("agent", Profile::Dist)?, &agent)?;
        } else if let Some(missing) = missing(arch) {
            eprintln!("xtask: no agent for {arch}: {missing}");
            // One of a build before would go into the program.
            let _ = fs::remove_file(&agent);
        } else {
            put(&cross(arch, &target)?, &agent)?;
        }
    }
    let mut cargo = cargo();
    cargo.args([
        "build",
        "--locked",
        "--profile",
        "dist",
        "--package",
        "diyadm",
        "--bin",
        "diyadm",
    ]);
    cargo.env("CARGO_TARGET_DIR", &target).env("DIYADM_AGENTS", &dist);
    process::aloud("the program", &mut cargo)?;
    put(&target.join("dist/diyadm"), &dist.join("diyadm"))?;
    Ok(ExitCode::SUCCESS)
}

fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(paths::root());
    cargo
}

fn put(from: &Path, to: &Path) -> Result<()> {
    // One that runs cannot be written over.
    let fresh = to.with_extension("new");
    fs::copy(from, &fresh).with_context(|| from.display().to_string())?;
    fs::rename(&fresh, to)?;
    println!("{}", to.display());
    Ok(())
}

/// What it takes to build for another processor, and is not here.
fn missing(arch: &str) -> Option<String> {
    let gcc = format!("{arch}-linux-gnu-gcc");
    if Command::new(&gcc).arg("--version").output().is_err() {
        return Some(format!(
            "there is no {gcc} (Debian: gcc-{0}-linux-gnu and libc6-dev-{1}-cross)",
            arch.replace('_', "-"),
            if arch == "aarch64" { "arm64" } else { "amd64" }
        ));
    }
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", &triple(arch)])
        .output()
        .ok()
        .filter(|said| said.status.success())
        .and_then(|said| String::from_utf8(said.stdout).ok());
    let there = libraries.is_some_and(|folder| Path::new(folder.trim()).is_dir());
    (!there).then(|| format!("type `rustup target add {}`", triple(arch)))
}

fn triple(arch: &str) -> String {
    format!("{arch}-unknown-linux-gnu")
}

/// The static agent for another processor, by the images' own recipe.
fn cross(arch: &str, target: &Path) -> Result<PathBuf> {
    let (triple, gcc) = (triple(arch), format!("{arch}-linux-gnu-gcc"));
    let words = image::program_words("agent")?;
    let (command, rest) = words.split_first().context("the Dockerfile gives cargo no word")?;
    let mut cargo = cargo();
    cargo.args([command, "--target", &triple]).args(rest);
    cargo.env("CARGO_TARGET_DIR", target);
    let name = triple.replace('-', "_");
    cargo.env(format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), &gcc);
    cargo.env(format!("CC_{name}"), &gcc);
    process::aloud(&format!("the agent for {arch}"), &mut cargo)?;
    Ok(target.join(triple).join("agent/diyadm-agent"))
}
