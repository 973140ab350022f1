//! Tries each file of a release with the programs that users have. One that is missing is a skip;
//! [`NOT_TRIED`] lists those that may be.

mod images;
mod pipelines;
mod shells;

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use cyclonedx_bom::{
    models::bom::SpecVersion,
    prelude::{Bom, Validate as _},
};
use serde_json::Value;

use super::{
    contents::SHELLS,
    platform::Platform,
    release::{KREW, Release, SUMS, sha256},
    sbom,
};
use crate::{book, cluster, image, interrupt, paths, process};

/// What is tried.
struct Files<'a> {
    folder: &'a Path,
    release: &'a Release,
    own: Platform,
    /// The archive for this machine, unpacked.
    unpacked: PathBuf,
}

/// How many checks passed and failed, and how many programs were missing that are not in
/// [`NOT_TRIED`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

/// Whether a skip is a failure.
pub(crate) fn is_strict() -> bool {
    env::var("CI").is_ok_and(|ci| ci == "true")
}

/// What a check could not try: programs that this machine lacks.
type Untried = Vec<&'static str>;

/// Programs that may be missing, with the reason: a check without one of them is no skip.
const NOT_TRIED: [(&str, &str); 4] = [
    ("pwsh", "PowerShell is not in Debian, so `diyadm.ps1` is only checked to be there"),
    (
        "docker",
        "it takes a running daemon; the layout is checked, and containerd loads the archive",
    ),
    (
        "skopeo",
        "its libraries have to be installed; the layout is checked, and containerd loads it",
    ),
    ("ruby", "its libraries have to be installed; only the formula's checksum is checked"),
];

/// Runs all checks of the release in `folder`; `again` has the same release, made a second time.
pub(super) fn all(
    folder: &Path,
    again: &Path,
    release: &Release,
    cluster: Option<&Path>,
) -> Result<Tally> {
    let scratch = paths::target().join("dist-check-files");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch)?;
    let own = Platform::own()?;
    let files = Files { folder, release, own, unpacked: scratch.join(release.folder(own)) };
    let mut tally = Tally::default();
    let mut check = |what: &str, result: Result<Untried>| {
        match result {
            Ok(untried) => {
                tally.passed += 1;
                eprintln!("xtask: dist: {what} passed");
                for program in untried {
                    let allowed = NOT_TRIED.iter().find(|(name, _)| *name == program);
                    let verdict = match allowed {
                        Some((_, why)) => format!("not checked with {program}: {why}"),
                        None => format!("SKIPPED: there is no {program}"),
                    };
                    tally.skipped += usize::from(allowed.is_none());
                    eprintln!("xtask: dist: {what}: {verdict}");
                }
            }
            Err(error) => {
                tally.failed += 1;
                eprintln!("xtask: dist: {what} FAILED: {error:#}");
            }
        }
        interrupt::check()
    };
    check("archive", files.archive(&scratch))?;
    check("checksums", files.checksums())?;
    check("same bytes", same(folder, again))?;
    check("completions", shells::completions(&files.unpacked, cluster))?;
    check("man pages", shells::pages(&files.unpacked.join("man/man1")))?;
    check("book", book::build().map(|()| Untried::new()))?;
    check("Debian package", files.package(&scratch))?;
    check("bill of materials", files.bill())?;
    check("krew manifest", files.krew())?;
    check("Homebrew formula", files.formula())?;
    check("pipelines", pipelines::all(&files, &scratch))?;
    check("images", images::all(&files, cluster))?;
    fs::remove_dir_all(scratch)?;
    Ok(tally)
}

/// Whether a program is on PATH.
fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A program that is made where it is missing; `None` where it cannot be.
fn made(program: &str) -> Option<PathBuf> {
    let made = cluster::reader(program);
    made.inspect_err(|error| eprintln!("xtask: dist: {error:#}")).ok()
}

impl Files<'_> {
    /// Unpacks the archive, and runs its program.
    fn archive(&self, scratch: &Path) -> Result<Untried> {
        let archive = self.folder.join(self.release.archive(self.own));
        process::output(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(scratch))?;
        let program = self.unpacked.join("diyadm");
        ensure!(image::libraries(&program)?.is_empty(), "the program is not static");
        let text =
            process::output(Command::new(&program).args(["version", "--client", "-o", "json"]))?;
        let version: Value = serde_json::from_str(&text)?;
        let expected = format!("v{}", self.release.version);
        ensure!(version["clientVersion"]["gitVersion"] == *expected, "{text}");
        let page = "docs/en/troubleshooting.md";
        for file in ["LICENSE", "README.md", page, "kubectl_complete-diyadm", "man/man1/diyadm.1"] {
            ensure!(self.unpacked.join(file).is_file(), "the archive has no {file}");
        }
        for (_, file) in SHELLS {
            let file = self.unpacked.join("completions").join(file);
            ensure!(file.is_file(), "the archive has no {}", file.display());
        }
        Ok(Vec::new())
    }

    /// `sha256sum`'s own opinion, and that no file is missing in the list.
    fn checksums(&self) -> Result<Untried> {
        let mut check = Command::new("sha256sum");
        process::output(
            check.args(["--check", "--strict", "--quiet", SUMS]).current_dir(self.folder),
        )?;
        let listed = fs::read_to_string(self.folder.join(SUMS))?.lines().count();
        // The sums themselves, and the manifest that has them.
        let files = fs::read_dir(self.folder)?.count() - [SUMS, KREW].len();
        ensure!(listed == files, "{listed} of {files} files are listed");
        Ok(Vec::new())
    }

    /// dpkg's opinion: its fields, its files, and an installation in a folder.
    fn package(&self, scratch: &Path) -> Result<Untried> {
        if !has("dpkg-deb") {
            return Ok(vec!["dpkg"]);
        }
        let package = self.folder.join(self.release.package(self.own));
        let deb = |args: &[&str]| {
            let mut command = Command::new("dpkg-deb");
            process::output(command.args(&args[..1]).arg(&package).args(&args[1..]))
        };
        let info = deb(&["--info"])?;
        let fields = ["Package: diyadm", &format!("Architecture: {}", self.own.arch)[..]];
        for field in fields {
            ensure!(info.contains(field), "{field} is missing: {info}");
        }
        let list = deb(&["--contents"])?;
        let is_owned = |line: &str| line.split_whitespace().nth(1) == Some("root/root");
        ensure!(list.lines().all(is_owned), "not root's: {list}");
        for path in [
            "usr/bin/kubectl-diyadm -> diyadm",
            "usr/share/doc/diyadm/docs/en/troubleshooting.md",
            "usr/share/man/man1/diyadm-empty.1.gz",
        ] {
            ensure!(list.contains(path), "{path} is missing: {list}");
        }
        let root = scratch.join("root");
        let database = root.join("var/lib/dpkg");
        for folder in ["info", "updates"] {
            fs::create_dir_all(database.join(folder))?;
        }
        fs::write(database.join("status"), "")?;
        let dpkg = |args: &[&str]| {
            let mut command = Command::new("dpkg");
            command.arg(format!("--root={}", root.display())).arg("--force-not-root");
            command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
            process::output(&mut command)
        };
        dpkg(&["--force-script-chrootless", "--install", &package.display().to_string()])?;
        let differing = dpkg(&["--verify", "diyadm"])?;
        ensure!(differing.is_empty(), "dpkg --verify: {differing}");
        for program in ["diyadm", "kubectl-diyadm"] {
            process::output(Command::new(root.join("usr/bin").join(program)).arg("--version"))?;
        }
        dpkg(&["--force-script-chrootless", "--purge", "diyadm"])?;
        ensure!(!root.join("usr/bin/diyadm").exists(), "dpkg --purge left the program");
        Ok(Vec::new())
    }

    /// The rules of CycloneDX, and the dependencies that `cargo tree` sees.
    fn bill(&self) -> Result<Untried> {
        let file = self.folder.join(self.release.sbom());
        let bill = Bom::parse_from_json_v1_5(File::open(&file)?)?;
        let verdict = bill.validate_version(SpecVersion::V1_5);
        ensure!(verdict.passed(), "{verdict:?}");
        let bill: Value = serde_json::from_reader(File::open(&file)?)?;
        let components = bill["components"].as_array().context("no components")?;
        let field = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let mut listed: BTreeSet<String> = components
            .iter()
            .map(|one| format!("{} v{}", field(one, "name"), field(one, "version")))
            .collect();
        let openssl = listed.iter().find(|one| one.starts_with("openssl-src ")).cloned();
        listed.remove(&openssl.context("OpenSSL's sources are not listed")?);
        listed.insert(format!("{} v{}", sbom::PROGRAMS[0], self.release.version));
        let seen: BTreeSet<String> = sbom::linked()?.into_iter().collect();
        let differ: Vec<_> = listed.symmetric_difference(&seen).collect();
        ensure!(differ.is_empty(), "cargo tree differs: {differ:?}");
        Ok(Vec::new())
    }

    /// Each archive that it names is there, with that checksum and that program.
    fn krew(&self) -> Result<Untried> {
        let text = fs::read_to_string(self.folder.join(KREW))?;
        let manifest: Value = serde_yaml::from_str(&text)?;
        let platforms = manifest["spec"]["platforms"].as_array().context("no platforms")?;
        ensure!(!platforms.is_empty(), "no platforms");
        for platform in platforms {
            let uri = platform["uri"].as_str().unwrap_or_default();
            let file = uri.rsplit_once('/').map(|(_, file)| file).context("a URI has no file")?;
            let sum = sha256(&fs::read(self.folder.join(file))?);
            ensure!(platform["sha256"] == *sum, "the checksum of {file} differs");
            let list =
                process::output(Command::new("tar").arg("-tzf").arg(self.folder.join(file)))?;
            for from in platform["files"].as_array().into_iter().flatten() {
                let from = from["from"].as_str().unwrap_or_default();
                ensure!(list.lines().any(|line| line == from), "{file} has no {from}");
            }
        }
        Ok(Vec::new())
    }

    /// Ruby's opinion.
    fn formula(&self) -> Result<Untried> {
        let file = self.folder.join("diyadm.rb");
        let text = fs::read_to_string(&file)?;
        let sum = sha256(&fs::read(self.folder.join(self.release.archive(self.own)))?);
        ensure!(text.contains(&format!("sha256 \"{sum}\"")), "the checksum of the archive differs");
        if !has("ruby") {
            return Ok(vec!["ruby"]);
        }
        process::output(Command::new("ruby").arg("-cw").arg(file))?;
        Ok(Vec::new())
    }
}

/// Whether two folders have the same files.
fn same(folder: &Path, again: &Path) -> Result<Untried> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let [one, two] = [folder, again].map(|folder| fs::read(folder.join(&name)));
        if one? != two? {
            bail!("{} differs from one time to the next", name.display());
        }
    }
    Ok(Vec::new())
}
