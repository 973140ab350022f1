//! Builds the agent, a static program of the package `diyadm-agent`, and puts it into `diyadm`.
//!
//! A nested cargo builds it with the profile `agent` of this workspace, in the same target folder:
//! each profile has a folder and a lock of its own there. So all builds of `diyadm` (debug, release,
//! clippy, tests) share one agent, and it is compiled again only where its own files change.
//!
//! With `DIYADM_AGENTS=FOLDER` nothing is built: the files `diyadm-agent-ARCH` of that folder go
//! into the program. `cargo xtask dist` makes use of that for several processors.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Processors that there may be an agent for, as Rust names them.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];
/// Of zstd: the smallest result that takes less than a second.
const LEVEL: i32 = 19;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DIYADM_AGENTS");
    let given_folder = env::var_os("DIYADM_AGENTS").filter(|folder| !folder.is_empty());
    let agents = match given_folder {
        Some(folder) => given(Path::new(&folder)),
        None => build().map(|agent| vec![agent]),
    };
    let agents = agents.unwrap_or_else(|why| {
        println!("cargo::warning=diyadm is built without its agent: {why}");
        println!("cargo::warning=`diyadm run`, `sync` and `dev` will need --agent-program FILE");
        Vec::new()
    });
    // Tests run the agent of this machine by itself.
    let arch = variable("CARGO_CFG_TARGET_ARCH");
    let own = agents.iter().find(|(of, _)| *of == arch);
    let own = own.map_or_else(String::new, |(_, file)| file.display().to_string());
    println!("cargo::rustc-env=DIYADM_AGENT_FILE={own}");
    let out = PathBuf::from(variable("OUT_DIR"));
    let packed = agents.iter().map(|(arch, file)| {
        let packed = zstd::bulk::compress(&fs::read(file).unwrap(), LEVEL).unwrap();
        let name = format!("diyadm-agent-{arch}.zst");
        fs::write(out.join(&name), packed).unwrap();
        format!("({arch:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\")))")
    });
    let list = format!("&[{}]", packed.collect::<Vec<_>>().join(", "));
    fs::write(out.join("agents.rs"), list).unwrap();
}

/// The agents of a folder, by their processor.
fn given(folder: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let files =
        ARCHITECTURES.map(|arch| (arch.to_owned(), folder.join(format!("diyadm-agent-{arch}"))));
    let files: Vec<_> = files.into_iter().filter(|(_, file)| file.exists()).collect();
    for (_, file) in &files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    if files.is_empty() {
        return Err(format!("DIYADM_AGENTS={} has no diyadm-agent-ARCH", folder.display()));
    }
    Ok(files)
}

/// Builds the agent for the processor that `diyadm` is built for; the reason where that fails.
fn build() -> Result<(String, PathBuf), String> {
    for name in ["Cargo.toml", "Cargo.lock", "crates/agent/Cargo.toml"] {
        println!("cargo::rerun-if-changed={name}");
    }
    let (os, arch) = (variable("CARGO_CFG_TARGET_OS"), variable("CARGO_CFG_TARGET_ARCH"));
    if os != "linux" {
        return Err(format!("it is a program for Linux, and this one is for {os}"));
    }
    let triple = variable("TARGET");
    let (target, has_triple) = target_folder(&triple)?;
    let mut cargo = Command::new(variable("CARGO"));
    cargo.args(["rustc", "--locked", "--quiet", "--profile", "agent"]);
    cargo.args(["--package", "diyadm-agent", "--bin", "diyadm-agent", "--target-dir"]);
    cargo.arg(&target);
    let mut folder = target;
    // As in the outer build, whether its target comes from a flag, a variable or a configuration.
    if has_triple {
        cargo.args(["--target", &triple]);
        folder.push(triple);
    }
    // At a fixed address: a program that moves writes to its own tables at its start, and an idle
    // container keeps the pages.
    cargo.args(["--", "-C", "target-feature=+crt-static", "-C", "relocation-model=static"]);
    // Meant for the build that this script is a part of.
    for (name, _) in env::vars_os() {
        let outer = ["CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_", "CARGO_MANIFEST_", "DEP_"];
        if name.to_str().is_some_and(|name| outer.iter().any(|outer| name.starts_with(outer))) {
            cargo.env_remove(name);
        }
    }
    // Clippy would look at the agent in place of building it.
    for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(name);
    }
    let output = cargo.output().map_err(|error| format!("cargo: {error}"))?;
    let file = folder.join("agent/diyadm-agent");
    if !output.status.success() {
        // Any of them may be what it failed for.
        println!("cargo::rerun-if-changed=crates/agent/src");
        let said = String::from_utf8_lossy(&output.stderr);
        let why = said.lines().find(|line| line.starts_with("error")).unwrap_or("cargo failed");
        return Err(why.to_owned());
    }
    let inputs = fs::read_to_string(file.with_extension("d"));
    inputs_of(&inputs.map_err(|error| format!("its list of files: {error}"))?);
    // A file that cargo watches and this script has made anew would have it run once more.
    let copy = PathBuf::from(variable("OUT_DIR")).join("diyadm-agent");
    fs::copy(&file, &copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    Ok((arch, copy))
}

/// Looks at each file that the agent was made of. `rule` is make's: `PROGRAM: PATH PATH`, with a
/// blank in a path written `\ `.
fn inputs_of(rule: &str) {
    let paths = rule.lines().next().and_then(|line| line.split_once(": "));
    let paths = paths.map_or("", |(_, paths)| paths).replace("\\ ", "\0");
    for path in paths.split_whitespace() {
        println!("cargo::rerun-if-changed={}", path.replace('\0', " "));
    }
}

/// cargo's target folder, and whether the triple has a folder in it. `OUT_DIR` is
/// `TARGET/[TRIPLE/]PROFILE/build/PACKAGE/out`.
fn target_folder(triple: &str) -> Result<(PathBuf, bool), String> {
    let out = PathBuf::from(variable("OUT_DIR"));
    let profile = out.ancestors().find(|folder| folder.ends_with("build")).and_then(Path::parent);
    if profile.is_some_and(|profile| profile.ends_with("agent")) {
        // The nested cargo would wait for the lock of this very build.
        return Err("the profile `agent` is for the agent alone".to_owned());
    }
    let above = profile.and_then(Path::parent);
    let has_triple = above.is_some_and(|above| above.ends_with(triple));
    let target = if has_triple { above.and_then(Path::parent) } else { above };
    let target = target.ok_or_else(|| format!("{} is not cargo's folder", out.display()))?;
    Ok((target.to_owned(), has_triple))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
