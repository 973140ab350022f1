//! `cargo xtask test`: format, lints, house rules and every test, counted from what ran.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Write as _},
    ops::AddAssign,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};

use crate::{
    cluster::{self, Cluster, Kind, Life, Taint, Version},
    dist,
    image::{self, Profile},
    interrupt, leftovers, paths, tidy,
};

/// What ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// The properties that hold of emptying and restoring; beside the fresh cases of each run, those of
/// one seed are tried every time, so that two runs can be compared.
const LAWS: [&str; 2] = ["laws::", "newer_updates::"];
const SEED: &str = "20261124";

/// What a skip says first where the API server's version is the reason; `tests/it/rig.rs` says it.
const BY_VERSION: &str = "Kubernetes v1.";
/// The same for what a run for one version leaves out.
const APART: &str = "not meant: ";
/// Modules of the integration crate that no API server is asked by: `--kubernetes` spares them.
const WITHOUT_API_SERVER: [&str; 26] = [
    "agent::",
    "cli::",
    "corpus::",
    "dev::",
    "docs::",
    "file_writes::",
    "generated::",
    "kubectl_spelling::",
    "laws::",
    "manifest::",
    "mutate::",
    "newer_updates::",
    "node::",
    "pki::",
    "pod_shapes::",
    "rules::",
    "serve::abuse::",
    "serve::attack::",
    "serve::drain::",
    "serve::log::",
    "serve::memory_protection::",
    "serve::metrics::",
    "serve::odd_requests::",
    "serve::reload::",
    "serve::rules::",
    "yaml::",
];

/// The command line.
struct Options<'a> {
    /// `--it`: the integration crate alone, which spares compiling the unit tests.
    integration: bool,
    /// `--kubernetes`: the version of the API server, for the tests that need nothing else.
    kubernetes: Option<Version>,
    /// Parts of the names of tests; none: all.
    filters: &'a [String],
}

impl<'a> Options<'a> {
    fn parse(args: &'a [String]) -> Result<Self> {
        let (integration, kubernetes, args) = match args {
            [flag, rest @ ..] if flag == "--it" => (true, None, rest),
            [flag, version, rest @ ..] if flag == "--kubernetes" => {
                (true, Some(version.parse()?), rest)
            }
            args => (false, None, args),
        };
        let filters = match args {
            [] => args,
            [dashes, filters @ ..] if dashes == "--" => filters,
            _ => bail!(
                "`cargo xtask test` takes `--it` or `--kubernetes VERSION`, and filters after `--`"
            ),
        };
        Ok(Self { integration, kubernetes, filters })
    }

    /// Whether the run is to judge the whole project.
    fn whole(&self) -> bool {
        self.filters.is_empty() && !self.integration
    }
}

/// What a whole run goes through, in order.
const STEPS: [&str; 6] = [
    "format, clippy and house rules (compiles all dependencies, OpenSSL too)",
    "the programs of Kubernetes, etcd and Helm",
    "the program, the images and the cluster",
    "the files of a release, each with the programs that use it",
    "the tests",
    "the laws again, from a fixed seed",
];

/// Prints which step begins, and how many follow.
fn begin(step: usize) {
    eprintln!("xtask: step {} of {}: {}", step + 1, STEPS.len(), STEPS[step]);
}

/// Checks the format, the lints and the house rules, each counted as a test.
fn lint() -> Result<Count> {
    let mut count = Count::default();
    let mut record = |name: &str, passed: bool| {
        eprintln!("xtask: {name} {}", if passed { "passed" } else { "FAILED" });
        if passed { count.passed += 1 } else { count.failed += 1 }
    };
    record("format", cargo(&["fmt", "--all", "--check"])?);
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    record("clippy", cargo(&clippy)?);
    let broken = tidy::look(paths::root())?;
    broken.iter().for_each(|rule| eprintln!("tidy: {rule}"));
    record("tidy", broken.is_empty());
    Ok(count)
}

/// Runs the tests that `args` select; the last line is `N passed, N failed, N skipped`. Without
/// filters it also checks format, lints and house rules.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    let filters = options.filters;
    interrupt::watch()?;
    let mut count = Count::default();
    if options.whole() {
        begin(0);
        count = lint()?;
        begin(1);
    }

    let scratch = paths::root().join("target").join("xtask-test");
    // A run that was killed may have left some of a node.
    cluster::stop(&scratch.join("cluster"))?;
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch)?;
    let skips = scratch.join("skips");
    leftovers::sweep();
    let context = env::var("DIYADM_TEST_CONTEXT").ok().filter(|context| !context.is_empty());
    if let (Some(context), Some(version)) = (&context, options.kubernetes) {
        bail!("--kubernetes {version} starts an API server; DIYADM_TEST_CONTEXT={context} has one");
    }
    if options.whole() {
        if context.is_none() {
            cluster::make_programs()?;
        }
        begin(2);
    }
    let mut ground = match &context {
        Some(context) => foreign(&scratch, context)?,
        None => match options.kubernetes {
            Some(version) => without_node(&scratch, version)?,
            None => own(&scratch, filters)?,
        },
    };
    if options.whole() {
        begin(3);
        let node = ground.servers.as_ref().filter(|_| cluster::node_possible().is_ok());
        count += release(node.map(Cluster::folder))?;
        begin(4);
    }
    let mut ran = tests(&options, |command| {
        command.envs(ground.variables.drain(..)).env("DIYADM_TEST_SKIPS", &skips);
        command.env("DIYADM_TEST_KUBECTL", cluster::kubectl()?);
        command.env("DIYADM_TEST_XTASK", env::current_exe()?);
        Ok(())
    });
    if let (Ok(ran), true) = (&mut ran, options.whole()) {
        begin(5);
        let laws = LAWS.map(ToOwned::to_owned);
        let laws = Options { integration: true, kubernetes: None, filters: &laws };
        *ran += tests(&laws, |command| {
            command.env("PROPTEST_RNG_SEED", SEED).env("DIYADM_TEST_SKIPS", &skips);
            Ok(())
        })?;
    }
    if let Some(mut servers) = ground.servers {
        let dead = servers.dead();
        if !dead.is_empty() {
            eprintln!("xtask: a server ended by itself{dead}");
        }
    }
    // What tests that were killed could not take away themselves.
    leftovers::sweep();
    let ran = ran?;

    let skipped = fs::read_to_string(&skips).unwrap_or_default();
    skipped.lines().for_each(|why| eprintln!("skipped: {why}"));
    let skips = Skips::read(&skipped);
    let passed = count.passed + ran.passed.saturating_sub(skips.all + skips.apart);
    let ignored = count.ignored + ran.ignored;
    let (failed, skipped) = (count.failed + ran.failed, skips.all + ignored);
    if let Some(version) = options.kubernetes {
        eprintln!(
            "xtask: Kubernetes {version}; {} tests that use no API server, or more than one, were \
             not meant",
            skips.apart
        );
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    let forbidden = skips.all - skips.by_version + ignored;
    let good = failed == 0 && ran.passed > 0 && !(dist::is_strict() && forbidden > 0);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the files of a release and tries them, each check counted as a test.
fn release(cluster: Option<&Path>) -> Result<Count> {
    let tally = dist::check(cluster).or_else(|error| {
        interrupt::check()?;
        eprintln!("xtask: dist FAILED: {error:#}");
        anyhow::Ok(dist::Tally { failed: 1, ..dist::Tally::default() })
    })?;
    Ok(Count { passed: tally.passed, failed: tally.failed, ignored: tally.skipped })
}

/// What the tests stand on.
struct Ground {
    /// None where they are the user's.
    servers: Option<Cluster>,
    /// Told to the tests.
    variables: Vec<(&'static str, OsString)>,
}

/// Servers of our own, with a node where this machine can have one.
fn own(scratch: &Path, filters: &[String]) -> Result<Ground> {
    // Without a node the tests that need one say so themselves.
    let node = cluster::node_possible();
    if node.is_ok() {
        // A test makes what it lacks, but compiling slows down the tests that run at that time, and
        // replaces the program that they run.
        image::program("webhook", Profile::Dev)?;
        let names = if filters.is_empty() { image::names()? } else { Vec::new() };
        for name in names {
            if let Err(error) = image::archive(&name, Profile::Dev) {
                interrupt::check()?;
                eprintln!("xtask: there is no image {name}: {error:#}");
            }
        }
    }
    let kind = if node.is_ok() { Kind::Node(Taint::Asked) } else { Kind::Plain };
    let servers = Cluster::start(&scratch.join("cluster"), kind, Life::Held)?;
    let told = match node {
        Ok(()) => ("DIYADM_TEST_NODE", servers.folder().into()),
        Err(why) => ("DIYADM_TEST_NO_NODE", format!("{why:#}").into()),
    };
    let variables = vec![
        told,
        ("DIYADM_TEST_KUBECONFIG", servers.kubeconfig().into()),
        ("DIYADM_TEST_APISERVER", cluster::apiserver()?.into()),
    ];
    Ok(Ground { servers: Some(servers), variables })
}

/// Servers of `version`, for the tests that need an API server and nothing else.
fn without_node(scratch: &Path, version: Version) -> Result<Ground> {
    let folder = scratch.join("cluster");
    let servers = Cluster::start_of(version, &folder, Kind::Plain, Life::Held)?;
    let variables = vec![
        ("DIYADM_TEST_KUBERNETES", version.to_string().into()),
        ("DIYADM_TEST_KUBECONFIG", servers.kubeconfig().into()),
        ("DIYADM_TEST_APISERVER", cluster::apiserver_of(version)?.into()),
    ];
    Ok(Ground { servers: Some(servers), variables })
}

/// A context of the user's kubeconfig: kind, k3s. The tests get that context and no other.
fn foreign(scratch: &Path, context: &str) -> Result<Ground> {
    let mut view = Command::new(cluster::kubectl()?);
    view.args(["config", "view", "--raw", "--flatten", "--minify", "--context", context]);
    let view = view.stderr(Stdio::inherit()).output()?;
    if !view.status.success() {
        bail!("DIYADM_TEST_CONTEXT names no context. See: kubectl config get-contexts");
    }
    let kubeconfig = scratch.join("kubeconfig");
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&kubeconfig)?;
    file.write_all(&view.stdout)?;
    // Names that no run before has used: what it made may not be gone yet.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let variables = vec![
        ("DIYADM_TEST_SUFFIX", format!("{:x}", now % 0x00ff_ffff).into()),
        ("DIYADM_TEST_NO_NODE", format!("the tests use the context {context}").into()),
        ("DIYADM_TEST_KUBECONFIG", kubeconfig.into()),
    ];
    Ok(Ground { servers: None, variables })
}

fn cargo(args: &[&str]) -> Result<bool> {
    let status = Command::new(env!("CARGO")).args(args).current_dir(paths::root()).status();
    Ok(status.context("cargo cannot be run")?.success())
}

/// `cargo test`, its output passed on and its closing lines counted.
fn tests(options: &Options<'_>, set: impl FnOnce(&mut Command) -> Result<()>) -> Result<Count> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--workspace", "--no-fail-fast"]);
    if options.integration {
        command.args(["--test", "it"]);
    }
    command.arg("--").args(options.filters);
    if options.kubernetes.is_some() {
        command.args(WITHOUT_API_SERVER.iter().flat_map(|name| ["--skip", name]));
    }
    set(&mut command)?;
    let mut child = command.current_dir(paths::root()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut count = Count::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if let Some(one) = closing(&line) {
            count += one;
        }
    }
    // What does not compile, or dies, ran no test that could count.
    if !child.wait()?.success() && count.failed == 0 {
        count.failed = 1;
    }
    interrupt::check()?;
    Ok(count)
}

/// Tests that have skipped something, as their lines `TEST: WHY` say; one may have several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Skips {
    /// All that were meant to run.
    all: usize,
    /// Those of them that need a newer Kubernetes than `--kubernetes` asked for.
    by_version: usize,
    /// Those that a run for one version leaves out.
    apart: usize,
}

impl Skips {
    fn read(lines: &str) -> Self {
        let (mut all, mut others, mut apart) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for line in lines.lines() {
            let (name, why) = line.split_once(": ").unwrap_or((line, ""));
            if why.starts_with(APART) {
                apart.insert(name);
                continue;
            }
            all.insert(name);
            if !why.starts_with(BY_VERSION) {
                others.insert(name);
            }
        }
        let apart = apart.difference(&all).count();
        Self { all: all.len(), by_version: all.len() - others.len(), apart }
    }
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
mod tests;
