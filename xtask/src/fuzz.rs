//! `cargo xtask fuzz`: the fuzz tests of `src/fuzz`, for longer and from a new seed.

use std::{
    process::{Command, ExitCode},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};

use crate::paths;

/// Each is a module of `src/fuzz`.
const TARGETS: [&str; 7] =
    ["admission", "certificate", "csr_conf", "original", "project", "protocol", "rules"];
const USAGE: &str = "`cargo xtask fuzz [TARGET] [--seconds N]`";

/// Runs one target, or one after the other.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (mut seconds, mut target) = (60, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => {
                let number = args.next().with_context(|| format!("{USAGE}: N is missing"))?;
                seconds = number.parse().with_context(|| format!("--seconds {number}"))?;
            }
            name if TARGETS.contains(&name) => target = Some(name),
            other => bail!("unknown argument {other:?}. Use {USAGE}: {}", TARGETS.join(", ")),
        }
    }
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut failed = Vec::new();
    for name in TARGETS.into_iter().filter(|name| target.is_none_or(|target| target == *name)) {
        let mut command = Command::new(env!("CARGO"));
        let filter = format!("fuzz::{name}::");
        command.args(["test", "--quiet", "--package", "diyadm", "--lib", "--", &filter]);
        command.args(["--nocapture", "--test-threads=1"]).current_dir(paths::root());
        command.env("DIYADM_FUZZ_SECONDS", u64::to_string(&seconds));
        command.env("DIYADM_FUZZ_SEED", seed.to_string());
        if !command.status().context("cargo cannot be run")?.success() {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("xtask: FAILED: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}
