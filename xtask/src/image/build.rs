//! The Dockerfile's build stage, run on this machine: the same cargo command with the same
//! environment, in the repository.
//!
//! Its dependencies are compiled once for a machine, in the cache folder. A program that was built
//! from the same sources is found again there, whichever clone they lie in.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use diyadm_image::hex;
use openssl::sha::Sha256;

use super::dockerfile::{Stage, Step};
use crate::{paths, process};

/// How the Dockerfile's program is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As the Dockerfile says: what images and releases have.
    Dist,
    /// For tests: linked from what `cargo test` has compiled already, which takes seconds.
    Dev,
}

impl Profile {
    /// A command of the Dockerfile, with this profile.
    fn command(self, command: &str) -> String {
        if self == Self::Dist || !command.contains("--profile dist ") {
            return command.to_owned();
        }
        // Symbols would make the file several times as large.
        command.replace("--profile dist", "--profile dev") + " -C strip=symbols"
    }

    /// Cargo's target folder. Builds of `dist` share one outside the repository, so that a fresh
    /// clone compiles only what changed.
    pub(crate) fn target(self) -> Result<PathBuf> {
        match self {
            Self::Dist => Ok(paths::cache()?.join("image-build").join("target")),
            Self::Dev => Ok(paths::target()),
        }
    }
}

/// What a build stage comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Where the stage has the repository.
    source: String,
    env: Vec<(String, String)>,
    commands: Vec<String>,
}

impl Plan {
    /// Reads a stage; an error where it takes more than cargo and the repository.
    pub(super) fn of(stage: &Stage) -> Result<Self> {
        if !stage.base.starts_with("rust:") {
            bail!("stage {} is no Rust image: {}", stage.name, stage.base);
        }
        let mut plan = Self { source: String::new(), env: Vec::new(), commands: Vec::new() };
        for step in &stage.steps {
            match step {
                Step::Workdir(folder) if plan.source.is_empty() => plan.source.clone_from(folder),
                Step::Copy { from, to } if from == "." && to == "." => {}
                Step::Env(name, value) => plan.env.push((name.clone(), value.clone())),
                Step::Run(command) if command.starts_with("cargo ") => {
                    plan.commands.push(command.clone());
                }
                _ => bail!("stage {} takes Docker: {step:?}", stage.name),
            }
        }
        if plan.source.is_empty() || plan.commands.is_empty() {
            bail!("stage {} builds nothing in a folder of its own", stage.name);
        }
        Ok(plan)
    }

    /// Where a file of the stage is on this machine, cargo's target folder being `target`.
    fn place(&self, path: &str, profile: Profile) -> Result<PathBuf> {
        let below = path.strip_prefix(&format!("{}/target/", self.source));
        let (folder, file) = below
            .and_then(|below| below.split_once('/'))
            .with_context(|| format!("{path} is not built"))?;
        let folder = match (folder, profile) {
            ("dist", Profile::Dev) => "debug",
            // The agent is the same in both.
            (folder, _) => folder,
        };
        Ok(profile.target()?.join(folder).join(file))
    }
}

/// The file that the stage leaves at `path`.
pub(super) fn output(stage: &Stage, path: &str, profile: Profile) -> Result<PathBuf> {
    let plan = Plan::of(stage)?;
    let folder = paths::cache()?.join("image-build");
    fs::create_dir_all(&folder)?;
    // `diyadm version` prints the commit of a release; a program for tests is for any commit.
    let commit = (profile == Profile::Dist).then(paths::commit).flatten();
    let recipe = format!("{plan:?} {path} {profile:?} {commit:?} {}", compiler()?);
    // What is there waits for nobody else's build.
    if let Some(found) = found(&folder, &recipe)? {
        return Ok(found);
    }
    let target = profile.target()?;
    fs::create_dir_all(&target)?;
    // Only builds in the same target folder wait for each other: tests do not wait for a release.
    let lock = File::create(target.join("image-build.lock"))?;
    lock.lock().context("cannot lock the build of images")?;
    if let Some(found) = found(&folder, &recipe)? {
        return Ok(found);
    }
    let begun = SystemTime::now();
    for command in &plan.commands {
        let command = &profile.command(command);
        let mut sh = Command::new("sh");
        sh.args(["-c", command]).current_dir(paths::root());
        sh.env("CARGO_TARGET_DIR", &target)
            .envs(plan.env.iter().map(|(name, value)| (name, value)))
            .env_remove("DIYADM_COMMIT")
            .envs(commit.iter().map(|commit| ("DIYADM_COMMIT", commit)));
        // Whoever runs the tests may have made their own builds cheaper, or other.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PROFILE_")) {
                sh.env_remove(name);
            }
        }
        process::aloud(&format!("{command} (minutes, once)"), &mut sh)?;
    }
    keep(&folder, &recipe, &plan.place(path, profile)?, profile, begun)
}

fn compiler() -> Result<String> {
    process::output(Command::new("rustc").arg("-vV"))
}

/// A program that was built by the same recipe from files that are the same here.
fn found(folder: &Path, recipe: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let built = entry?.path();
        let Ok(inputs) = fs::read_to_string(built.join("inputs")) else { continue };
        let names: Vec<&str> = inputs.lines().collect();
        let same = digest(recipe, &names).is_ok_and(|digest| built.ends_with(digest));
        if let Some(program) = only_program(&built)?.filter(|_| same) {
            File::open(built.join("inputs"))?.set_modified(SystemTime::now())?;
            return Ok(Some(program));
        }
    }
    Ok(None)
}

/// Keeps what was built since `begun` in a folder that is named by what it was built from.
fn keep(
    folder: &Path,
    recipe: &str,
    program: &Path,
    profile: Profile,
    begun: SystemTime,
) -> Result<PathBuf> {
    let name = program.file_name().context("the program has no name")?;
    let names = inputs(program, &profile.target()?)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        if fs::metadata(paths::root().join(name))?.modified()? > begun {
            bail!("{name} changed while it was built. Do it again");
        }
    }
    let kept = folder.join(digest(recipe, &names)?);
    // Another clone may keep the same program now: half of it must never be found.
    let fresh = folder.join(format!("new-{}", std::process::id()));
    fs::create_dir_all(&fresh)?;
    fs::copy(program, fresh.join(name)).with_context(|| program.display().to_string())?;
    fs::write(fresh.join("inputs"), names.join("\n"))?;
    if let Err(error) = fs::rename(&fresh, &kept) {
        fs::remove_dir_all(&fresh)?;
        if !kept.join("inputs").exists() {
            return Err(error).with_context(|| kept.display().to_string());
        }
    }
    forget_old(folder)?;
    Ok(kept.join(name))
}

/// Removes programs of sources that nobody built or asked for in a week.
fn forget_old(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let built = entry?.path();
        let Ok(facts) = fs::metadata(built.join("inputs")) else { continue };
        if facts.modified()?.elapsed().unwrap_or_default() > Duration::from_secs(7 * 24 * 3600) {
            fs::remove_dir_all(built)?;
        }
    }
    Ok(())
}

fn only_program(built: &Path) -> Result<Option<PathBuf>> {
    let mut files = fs::read_dir(built)?.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(files.find(|path| !path.ends_with("inputs")))
}

/// The files of the repository that the compiler read for `program`, as it wrote them down beside
/// it, and those that cargo read; none of cargo's `target` folder, which are made of them.
fn inputs(program: &Path, target: &Path) -> Result<Vec<String>> {
    let written = program.with_extension("d");
    let written = fs::read_to_string(&written).with_context(|| written.display().to_string())?;
    let cargo = ["Cargo.lock", "Cargo.toml", "crates/agent/Cargo.toml", "crates/image/Cargo.toml"];
    let mut names: Vec<String> = cargo.map(str::to_owned).into();
    for path in rule(&written).iter().filter(|path| !Path::new(path).starts_with(target)) {
        let name = Path::new(path).strip_prefix(paths::root());
        let name = name.with_context(|| format!("{path} is not in the repository"))?;
        names.push(name.display().to_string());
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The paths that a rule of make names: `PROGRAM: PATH PATH`, a blank in one written `\ `.
fn rule(written: &str) -> Vec<String> {
    let paths = written.lines().next().and_then(|line| line.split_once(": "));
    let Some((_, paths)) = paths else { return Vec::new() };
    let paths = paths.replace("\\ ", "\0");
    paths.split_whitespace().map(|path| path.replace('\0', " ")).collect()
}

fn digest(recipe: &str, names: &[&str]) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(recipe.as_bytes());
    for name in names {
        let content = fs::read(paths::root().join(name)).with_context(|| (*name).to_owned())?;
        hash.update(format!("\0{name}\0{}\0", content.len()).as_bytes());
        hash.update(&content);
    }
    Ok(hex(&hash.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_file_rule_is_parsed() {
        let written = "/t/diyadm: /r/src/a.rs /r/with\\ blank.rs\n";
        assert_eq!(rule(written), ["/r/src/a.rs", "/r/with blank.rs"]);
        assert_eq!(rule(""), Vec::<String>::new());
    }

    #[test]
    fn build_digest_depends_on_content_and_files() {
        let one = digest("a", &["Cargo.toml"]).unwrap();
        assert_ne!(one, digest("b", &["Cargo.toml"]).unwrap());
        assert_ne!(one, digest("a", &["Cargo.lock"]).unwrap());
        assert!(digest("a", &["none"]).is_err());
    }
}
