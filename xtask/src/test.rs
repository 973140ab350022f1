//! `cargo xtask test`: format, lints, house rules and every test, counted from what ran.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    cluster::{self, Cluster, Kind, Life, Taint},
    image, interrupt, paths, tidy,
};

/// What ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
    ignored: usize,
}

/// Runs everything; the last line is `N passed, N failed, N skipped`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let filters = match args {
        [] => args,
        [dashes, filters @ ..] if dashes == "--" => filters,
        _ => bail!("`cargo xtask test` takes filters only, after `--`"),
    };
    interrupt::watch()?;
    let mut count = Count::default();
    let mut step = |name: &str, passed: bool| {
        eprintln!("xtask: {name} {}", if passed { "passed" } else { "FAILED" });
        if passed { count.passed += 1 } else { count.failed += 1 }
    };
    step("format", cargo(&["fmt", "--all", "--check"])?);
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    step("clippy", cargo(&clippy)?);
    let broken = tidy::look(paths::root())?;
    broken.iter().for_each(|rule| eprintln!("tidy: {rule}"));
    step("tidy", broken.is_empty());

    let scratch = paths::root().join("target").join("xtask-test");
    // A run that was killed may have left some of a node.
    cluster::stop(&scratch.join("cluster"))?;
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch)?;
    let skips = scratch.join("skips");
    // Without a node the tests that need one say so themselves.
    let node = cluster::node_possible();
    if node.is_ok() && filters.is_empty() {
        // A test makes what it lacks, but minutes of compiling disturb those beside it.
        for name in image::names()? {
            if let Err(error) = image::archive(&name) {
                interrupt::check()?;
                eprintln!("xtask: there is no image {name}: {error:#}");
            }
        }
    }
    let kind = if node.is_ok() { Kind::Node(Taint::Asked) } else { Kind::Plain };
    let mut servers = Cluster::start(&scratch.join("cluster"), kind, Life::Held)?;
    let ran = tests(filters, |command| {
        match &node {
            Ok(()) => command.env("DIYADM_TEST_NODE", servers.folder()),
            Err(why) => command.env("DIYADM_TEST_NO_NODE", format!("{why:#}")),
        };
        command.env("DIYADM_TEST_XTASK", env::current_exe()?);
        command
            .env("DIYADM_TEST_KUBECONFIG", servers.kubeconfig())
            .env("DIYADM_TEST_SKIPS", &skips);
        let corpus = paths::root().join("../shared/corpus");
        if env::var_os("DIYADM_CORPUS").is_none() && corpus.is_dir() {
            command.env("DIYADM_CORPUS", corpus);
        }
        command.env("DIYADM_TEST_KUBECTL", cluster::kubectl()?);
        Ok(())
    })?;
    let dead = servers.dead();
    if !dead.is_empty() {
        eprintln!("xtask: a server ended by itself{dead}");
    }
    drop(servers);

    let skipped = fs::read_to_string(&skips).unwrap_or_default();
    skipped.lines().for_each(|why| eprintln!("skipped: {why}"));
    let skips = skipped.lines().count();
    let passed = count.passed + ran.passed.saturating_sub(skips);
    let (failed, skipped) = (count.failed + ran.failed, skips + ran.ignored);
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    let strict = env::var("CI").is_ok_and(|ci| ci == "true");
    let good = failed == 0 && ran.passed > 0 && !(strict && skipped > 0);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cargo(args: &[&str]) -> Result<bool> {
    let status = Command::new(env!("CARGO")).args(args).current_dir(paths::root()).status();
    Ok(status.context("cargo cannot be run")?.success())
}

/// `cargo test`, its output passed on and its closing lines counted.
fn tests(filters: &[String], set: impl FnOnce(&mut Command) -> Result<()>) -> Result<Count> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--workspace", "--no-fail-fast", "--"]).args(filters);
    set(&mut command)?;
    let mut child = command.current_dir(paths::root()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut count = Count::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if let Some(one) = closing(&line) {
            count.passed += one.passed;
            count.failed += one.failed;
            count.ignored += one.ignored;
        }
    }
    // What does not compile, or dies, ran no test that could count.
    if !child.wait()?.success() && count.failed == 0 {
        count.failed = 1;
    }
    interrupt::check()?;
    Ok(count)
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored; …`
fn closing(line: &str) -> Option<Count> {
    let rest = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let number = |word: &str| {
        let field = rest.split("; ").find_map(|field| field.strip_suffix(word))?;
        field.trim().parse().ok()
    };
    let (passed, failed) = (number(" passed")?, number(" failed")?);
    Some(Count { passed, failed, ignored: number(" ignored")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closing_line_is_counted() {
        let line = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(closing(line), Some(Count { passed: 3, failed: 2, ignored: 1 }));
        assert_eq!(closing("test result of mine"), None);
    }
}
