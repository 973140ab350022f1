//! Which shared libraries a program takes with it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// The libraries that the loader would bring, it itself among them; none for a static program.
pub(crate) fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    libraries_beside(program, Path::new(""))
}

/// [`libraries`] of what is loaded after those in the folder `beside`.
pub(super) fn libraries_beside(program: &Path, beside: &Path) -> Result<Vec<PathBuf>> {
    let mut ldd = Command::new("ldd");
    ldd.env("LD_LIBRARY_PATH", beside);
    // What it says is read.
    let output = ldd.arg(program).env("LC_ALL", "C").output().context("ldd cannot be run")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    if said.contains("statically linked") || complained.contains("not a dynamic executable") {
        return Ok(Vec::new());
    }
    if !output.status.success() {
        bail!("ldd {}: {}", program.display(), complained.trim());
    }
    read(&said)
}

/// `NAME => PATH (0x…)`, or `PATH (0x…)` for the loader; the kernel's own vDSO has no path.
fn read(said: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in said.lines() {
        let (name, path) = line.split_once("=>").unwrap_or((line, line));
        let path = path.trim().split(" (").next().unwrap_or_default();
        if path == "not found" {
            bail!("the library {} is not on this machine", name.trim());
        }
        if path.starts_with('/') {
            found.push(PathBuf::from(path));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_output_is_parsed() {
        let said = "\tlinux-vdso.so.1 (0x00007f29)\n\
                    \tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f1)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n";
        let paths = ["/lib/x86_64-linux-gnu/libz.so.1", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(read(said).unwrap(), paths.map(PathBuf::from));
        assert!(read("\tliby.so.2 => not found\n").is_err());
    }
}
