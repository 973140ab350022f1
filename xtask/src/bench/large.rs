//! `cargo xtask bench large`: how long the largest reviews take, whatever is in them.
//!
//! Each is sent over one kept-alive TLS connection from the other processor. A review that the API
//! server really sends is far smaller.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};

use super::{Server, make_certificates, release};
use crate::interrupt;

#[path = "../../../tests/it/large/crafted.rs"]
mod crafted;

use crafted::{LONGEST, crafted};

/// Milliseconds.
const AT_MOST: f64 = 100.0;

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (mut rounds, mut program) = (25, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => rounds = 5,
            "--program" => program = Some(args.next().context("--program FILE")?.into()),
            _ => bail!("`cargo xtask bench large [--quick] [--program FILE]`"),
        }
    }
    interrupt::watch()?;
    let program: PathBuf = match program {
        Some(program) => program,
        None => release(&[])?.join("diyadm"),
    };
    let program = program.canonicalize().context("there is no such program")?;
    let folder = std::env::temp_dir().join(format!("diyadm-large-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let measured = measure(&program, &folder, rounds);
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure(program: &std::path::Path, folder: &std::path::Path, rounds: usize) -> Result<ExitCode> {
    let mut is_within = true;
    make_certificates(program, folder)?;
    let server = Server::diyadm(program, folder)?;
    println!("| review | size | p50 | p99, at most {AT_MOST} ms | of blanks of that size |");
    println!("| --- | --- | --- | --- | --- |");
    for (name, review) in crafted() {
        interrupt::check()?;
        // What the way costs alone: a small review, and blanks up to the same size.
        let mut blanks = super::review::of(4 << 10);
        blanks.resize(review.len().clamp(blanks.len(), LONGEST), b' ');
        let mut open = server.client.open(1)?;
        let (ours, bare) = (open.load(&review, rounds)?, open.load(&blanks, rounds)?);
        #[expect(clippy::cast_precision_loss, reason = "a few million")]
        let size = review.len() as f64 / f64::from(1 << 20);
        println!(
            "| {name} | {size:.2} MiB | {:.1} ms | {:.1} ms | {:.1} |",
            ours.p50 * 1e3,
            ours.p99 * 1e3,
            ours.p50 / bare.p50
        );
        is_within &= ours.p99 * 1e3 <= AT_MOST;
    }
    Ok(if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
