//! `cargo xtask jar`: a real Spring Boot application, for the tests of the developer's loop.
//!
//! Brought by Maven, once, under its own name; where Maven brings it from is its configuration's
//! business.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

use crate::{interrupt, paths, process};

/// Zipkin's server: 87 MB, listens on 9411, answers `/health`.
const ARTIFACT: &str = "io.zipkin:zipkin-server:3.4.4:jar:exec";
const FILE: &str = "zipkin-server-3.4.4-exec.jar";
/// Named, so that an old Maven does not choose one that lacks `dependency:copy`'s flags.
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

/// Prints where it is.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    if !args.is_empty() {
        bail!("`cargo xtask jar` takes no word");
    }
    interrupt::watch()?;
    println!("{}", zipkin()?.display());
    Ok(ExitCode::SUCCESS)
}

/// The jar in the cache folder.
pub(crate) fn zipkin() -> Result<PathBuf> {
    let folder = paths::cache()?.join("jars");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("cannot lock the folder of jars")?;
    let jar = folder.join(FILE);
    if !jar.exists() {
        let fresh = folder.join("new");
        let mut maven = Command::new("mvn");
        maven.args(["--batch-mode", "--quiet", PLUGIN, &format!("-Dartifact={ARTIFACT}")]);
        maven.arg(format!("-DoutputDirectory={}", fresh.display()));
        // Where it is started it reads a pom.xml: here is none.
        maven.current_dir(&folder);
        process::aloud(&format!("bring {ARTIFACT} with Maven (87 MB, once)"), &mut maven)?;
        fs::rename(fresh.join(FILE), &jar)?;
    }
    Ok(jar)
}
