//! `cargo xtask dist`: everything that a release has, in target/dist. `--check` makes the same of the
//! program that the tests run, in target/dist-check, and tries each file with the programs that
//! users have.
//!
//! The same sources give the same bytes: times are the commit's or `SOURCE_DATE_EPOCH`, owners are
//! root, entries are sorted. What this machine cannot build is left out and named.

mod catalogs;
mod check;
mod contents;
mod cross;
mod debian;
mod platform;
mod release;
mod sbom;
mod tarball;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};

pub(crate) use self::check::{Tally, is_strict};
use self::{
    contents::Contents,
    platform::{PLATFORMS, Platform, Source},
    release::Release,
};
use crate::{
    cluster::{self, Cluster},
    image::{self, Profile},
    interrupt, paths,
};

/// The images of the Dockerfile that a release has, with what they contain.
const IMAGES: [(&str, &str, &str); 3] = [
    ("webhook", "Admission webhook that empties workloads", "Apache-2.0"),
    ("empty-container", "Idle container with a shell", "Apache-2.0 AND GPL-2.0-only"),
    ("agent", "Agent for `--idle agent`", "Apache-2.0"),
];
const USAGE: &str = "`cargo xtask dist` takes --programs FOLDER, --url URL and --check";

/// The command line.
#[derive(Clone, Debug, Default)]
struct Options {
    /// `--programs`: a folder with programs that were built on other machines.
    programs: Option<PathBuf>,
    /// `--url`: where the files of this release will be, for krew and Homebrew.
    url: Option<String>,
    check: bool,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(flag) = args.next() {
            let mut value =
                || args.next().cloned().with_context(|| format!("{flag} takes a value"));
            match flag.as_str() {
                "--programs" => options.programs = Some(value()?.into()),
                "--url" => options.url = Some(value()?.trim_end_matches('/').to_owned()),
                "--check" => options.check = true,
                _ => bail!(USAGE),
            }
        }
        Ok(options)
    }
}

/// Runs `cargo xtask dist`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    interrupt::watch()?;
    if options.check {
        let tally = check_alone()?;
        let is_good = tally.failed == 0 && (tally.skipped == 0 || !is_strict());
        return Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let folder = paths::target().join("dist");
    let url = options.url.as_deref();
    make(&folder, &Release::of(Profile::Dist, url)?, options.programs.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

/// [`check`] with a node of its own, where this machine can have one.
fn check_alone() -> Result<Tally> {
    if let Err(reason) = cluster::node_possible() {
        eprintln!("xtask: without a node: {reason:#}");
        return self::check(None);
    }
    // Compiled before the node is there.
    image::program("webhook", Profile::Dev)?;
    let folder = paths::target().join("dist-check-node");
    let kind = cluster::Kind::Node(cluster::Taint::None);
    let node = Cluster::start(&folder, kind, cluster::Life::Held)?;
    self::check(Some(node.folder()))
}

/// Makes a release of the program that the tests run, and tries it. `cluster` is the folder of a
/// running cluster with a node.
pub(crate) fn check(cluster: Option<&Path>) -> Result<Tally> {
    let folder = paths::target().join("dist-check");
    // Nothing is fetched from there: the files are tried where they lie.
    let release = Release::of(Profile::Dev, Some("https://releases.diyadm.test/v0"))?;
    make(&folder, &release, None)?;
    let again = folder.with_file_name("dist-check-again");
    make(&again, &release, None)?;
    let tally = check::all(&folder, &again, &release, cluster);
    fs::remove_dir_all(again)?;
    tally
}

/// Makes all files of a release in `folder`, which is emptied first.
fn make(folder: &Path, release: &Release, programs: Option<&Path>) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let own = Platform::own()?;
    let agents = agents(folder, release.profile)?;
    let agents = agents.then_some(folder);
    let source = Source { given: programs, profile: release.profile, agents };
    let native = platform::program(own, &source)?.map_err(anyhow::Error::msg)?;
    let contents = Contents::of(&native)?;

    let mut archives = Vec::new();
    for platform in PLATFORMS {
        let program = if platform == own {
            Ok(native.clone())
        } else {
            platform::program(platform, &source)?
        };
        let program = match program {
            Ok(program) => program,
            Err(reason) => {
                left_out(&release.archive(platform), &reason);
                continue;
            }
        };
        let archive = contents.archive(platform, &program, release)?;
        archives.push((platform, write(folder, &release.archive(platform), &archive)?));
        if platform.os == "linux" {
            let package = debian::package(platform, &contents, &program, release)?;
            write(folder, &release.package(platform), &package)?;
        }
    }
    write(folder, &release.sbom(), sbom::json(release)?.as_bytes())?;
    match &release.url {
        Some(_) => {
            write(folder, release::KREW, catalogs::krew(release, &archives)?.as_bytes())?;
            write(folder, "diyadm.rb", catalogs::homebrew(release, &archives).as_bytes())?;
        }
        None => left_out(
            &format!("{} and diyadm.rb (Homebrew)", release::KREW),
            "they contain the URL of the archives. Give it: --url URL",
        ),
    }
    for (name, title, licenses) in IMAGES {
        let file = folder.join(release.image(name, own));
        let labels = release.labels(name, title, licenses);
        image::write(name, release.profile, labels, &file)?;
        println!("{}", file.display());
    }
    write(folder, release::SUMS, release::sums(folder)?.as_bytes())?;
    Ok(())
}

/// Puts the agents of all processors into `folder`; whether there is one that is not of this
/// machine.
fn agents(folder: &Path, profile: Profile) -> Result<bool> {
    let own = Platform::own()?;
    let mut others = false;
    for platform in PLATFORMS.into_iter().filter(|platform| platform.os == "linux") {
        let arch = platform.rust_arch();
        let name = format!("diyadm-agent-{arch}");
        let agent = if platform == own {
            image::program("agent", profile)?
        } else if profile == Profile::Dev {
            continue;
        } else if let Some(missing) = cross::missing(arch) {
            left_out(&name, &missing);
            continue;
        } else {
            others = true;
            cross::program("agent", Some(arch), None)?
        };
        fs::copy(&agent, folder.join(&name)).with_context(|| agent.display().to_string())?;
        println!("{}", folder.join(&name).display());
    }
    Ok(others)
}

fn write(folder: &Path, name: &str, content: &[u8]) -> Result<String> {
    let file = folder.join(name);
    fs::write(&file, content).with_context(|| file.display().to_string())?;
    println!("{}", file.display());
    Ok(release::sha256(content))
}

fn left_out(what: &str, reason: &str) {
    eprintln!("xtask: left out: {what}: {reason}");
}
