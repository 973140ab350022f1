//! Which program is brought into a container: one that runs there by itself.

use std::{
    env, fs,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::trouble::NoAgentThere;
use crate::exit::Failure;

/// Bytes that hold an ELF header and its program headers.
const HEAD: usize = 4096;

/// What an executable file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elf {
    /// As Rust names it; empty for another one.
    pub(crate) arch: &'static str,
    /// Whether it needs no loader, and so no library.
    pub(crate) is_static: bool,
}

/// Reads the head of a 64-bit little-endian ELF file; `None` where it is none.
pub(crate) fn elf(head: &[u8]) -> Option<Elf> {
    let number = |at: usize, bytes: usize| {
        let field = head.get(at..at + bytes)?;
        Some(field.iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte)))
    };
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let arch = match number(18, 2)? {
        62 => "x86_64",
        183 => "aarch64",
        _ => "",
    };
    // e_phoff, e_phentsize, e_phnum; a program header begins with its type, 3 is PT_INTERP.
    let (offset, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let mut headers = (0..count).map(|at| number(offset.checked_add(at.checked_mul(size)?)?, 4));
    Some(Elf { arch, is_static: headers.all(|kind| kind.is_some_and(|kind| kind != 3)) })
}

/// `uname -m` as Rust names it.
pub(crate) fn arch(machine: &str) -> &str {
    match machine {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    }
}

/// The program for a container of this processor: the one that is named, else this very one, else
/// `diyadm-agent-ARCH` beside it.
///
/// # Errors
/// None of these is static and of this processor.
pub(crate) fn find(arch: &str, named: Option<&Path>) -> Result<Vec<u8>> {
    let own = env::current_exe().context("this program's own file is not known")?;
    let beside = own.with_file_name(format!("diyadm-agent-{arch}"));
    let tried: Vec<PathBuf> = match named {
        Some(named) => vec![named.to_owned()],
        None => vec![own, beside],
    };
    for path in &tried {
        let fits = |elf: Elf| elf.is_static && elf.arch == arch;
        if head(path).and_then(|head| elf(&head)).is_some_and(fits) {
            return fs::read(path).with_context(|| path.display().to_string());
        }
    }
    let tried: Vec<_> = tried.iter().map(|path| path.display().to_string()).collect();
    let failure = Failure::no(
        format!(
            "There is no static diyadm for {arch} to bring there: not {}.",
            tried.join(", nor ")
        ),
        "Build it with `cargo xtask dist`, put it beside this program as \
         `diyadm-agent-ARCH`, or name it with --agent-program FILE.",
    );
    // Whoever names one is told that it does not fit.
    Err(if named.is_some() { failure } else { failure.because(NoAgentThere) }.into())
}

fn head(path: &Path) -> Option<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let read = File::open(path).ok()?.read(&mut head).ok()?;
    head.truncate(read);
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_loader_is_not_static() {
        let own = head(&env::current_exe().unwrap()).unwrap();
        let own = elf(&own).unwrap();
        assert_eq!(own.arch, env::consts::ARCH);
        assert!(!own.is_static || cfg!(target_feature = "crt-static"));
        let mut made = vec![0; 64 + 56];
        made[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (made[18], made[32], made[54], made[56], made[64]) = (183, 64, 56, 1, 1);
        assert_eq!(elf(&made), Some(Elf { arch: "aarch64", is_static: true }));
        made[64] = 3;
        assert_eq!(elf(&made), Some(Elf { arch: "aarch64", is_static: false }));
        // Headers that cannot be read are no proof.
        made[56] = 2;
        made[64] = 1;
        assert!(!elf(&made).unwrap().is_static);
        assert_eq!(elf(b"#!/bin/sh"), None);
        assert_eq!(elf(&[]), None);
    }
}
