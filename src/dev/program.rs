//! The agent to upload into a container: a static program that runs in any image.

use std::{env, fs, fs::File, io::Read, path::Path};

use anyhow::{Context, Result};
use diyadm_agent::NAME;

use super::trouble::NoAgentThere;
use crate::exit::{Failure, Topic};

/// Bytes to read for an ELF header and its program headers.
const HEAD: usize = 4096;

/// Properties of an executable file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elf {
    /// Its processor in Rust's naming; empty if unknown.
    pub(crate) arch: &'static str,
    /// Whether it needs no loader, and thus no libraries.
    pub(crate) is_static: bool,
}

/// Reads the header of a 64-bit little-endian ELF file; `None` for other files.
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

/// The agents inside this program: the processor in Rust's naming, and the file, compressed with
/// zstd. The build script writes the list.
static CARRIED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/agents.rs"));
/// Maximum size of a decompressed agent.
const MOST: usize = 64 << 20;

/// The agent for a container with this processor: `named`, else the one inside this program, else
/// `diyadm-agent-ARCH` in the program's folder.
///
/// # Errors
/// None of these is static and of this processor.
pub(crate) fn find(arch: &str, named: Option<&Path>) -> Result<Vec<u8>> {
    let fits = |elf: Elf| elf.is_static && elf.arch == arch;
    if let Some(named) = named {
        if head(named).and_then(|head| elf(&head)).is_some_and(fits) {
            return fs::read(named).with_context(|| named.display().to_string());
        }
        let what = format!("{} is not a static program for {arch}.", named.display());
        let hint = "Omit --agent-program to use the agent that diyadm carries.";
        return Err(Failure::no(Topic::StaticProgram, what, hint).into());
    }
    if let Some((_, packed)) = CARRIED.iter().find(|(of, _)| *of == arch) {
        return zstd::bulk::decompress(packed, MOST).context("the agent in this program");
    }
    let own = env::current_exe().context("the path of this program is unknown")?;
    let file = own.with_file_name(format!("{NAME}-{arch}"));
    if head(&file).and_then(|head| elf(&head)).is_some_and(fits) {
        return fs::read(&file).with_context(|| file.display().to_string());
    }
    let carried: Vec<_> = CARRIED.iter().map(|(arch, _)| *arch).collect();
    let carried = if carried.is_empty() { "none".to_owned() } else { carried.join(", ") };
    let what = format!("This diyadm carries no agent for {arch} (it carries: {carried}).");
    let hint = format!(
        "Put the release's {NAME}-{arch} into the folder of this program, or set --agent-program \
         to it."
    );
    Err(Failure::no(Topic::StaticProgram, what, hint).because(NoAgentThere).into())
}

/// The beginning of a file, with its ELF header; `None` if it cannot be read.
pub(crate) fn head(path: &Path) -> Option<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let read = File::open(path).ok()?.read(&mut head).ok()?;
    head.truncate(read);
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carried_agents_are_static_programs() {
        assert!(CARRIED.iter().any(|(arch, _)| *arch == env::consts::ARCH), "built without");
        for (arch, _) in CARRIED {
            let program = find(arch, None).unwrap();
            assert_eq!(elf(&program), Some(Elf { arch, is_static: true }));
        }
        let error = find("riscv64", None).unwrap_err();
        assert!(error.to_string().contains("no agent for riscv64"), "{error}");
        find(env::consts::ARCH, Some(&env::current_exe().unwrap())).unwrap_err();
    }

    #[test]
    fn program_with_an_interpreter_is_not_static() {
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
        // Unreadable headers prove nothing.
        made[56] = 2;
        made[64] = 1;
        assert!(!elf(&made).unwrap().is_static);
        assert_eq!(elf(b"#!/bin/sh"), None);
        assert_eq!(elf(&[]), None);
    }
}
