//! diyadm's own images, as the repository's Dockerfile says.
//!
//! Docker brings bases from a registry and builds in them; here `alpine:3` is Debian's
//! busybox-static under all its names, and the build stage runs on this machine. Whatever else the
//! Dockerfile says is done as written, or is an error.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use diyadm_image::{Entry, Image};

use super::{
    build::{self, Profile},
    dockerfile::{self, Stage, Step},
    rootfs,
};
use crate::{cluster, paths};

/// The targets of the Dockerfile that are images: all but those that only build.
pub(super) fn targets() -> Result<Vec<String>> {
    let text = text()?;
    let stages = dockerfile::parse(&text)?;
    let names = stages.iter().map(|stage| stage.name.clone());
    Ok(names.filter(|name| dockerfile::tag(&text, name).is_some()).collect())
}

/// The image of a target.
pub(super) fn image(target: &str, profile: Profile) -> Result<Image> {
    let text = text()?;
    let tag = dockerfile::tag(&text, target)
        .with_context(|| format!("the Dockerfile does not say how {target} is tagged"))?;
    let stages = dockerfile::parse(&text)?;
    let built = |stage: &Stage, path: &str| build::output(stage, path, profile);
    let mut image = follow(&stages, target, &base, &built)?;
    image.tag = tag.to_owned();
    Ok(image)
}

/// The program of an image.
pub(super) fn program(target: &str, profile: Profile) -> Result<PathBuf> {
    let (stage, path) = program_stage(target)?;
    build::output(&stage, &path, profile)
}

/// What the Dockerfile gives cargo to build the program of an image with: everything after `cargo`.
pub(super) fn program_words(target: &str) -> Result<Vec<String>> {
    let (stage, _) = program_stage(target)?;
    let command = stage.steps.iter().find_map(|step| match step {
        Step::Run(command) => command.strip_prefix("cargo "),
        _ => None,
    });
    let words = command.context("the Dockerfile runs no cargo")?.split_whitespace();
    Ok(words.map(str::to_owned).collect())
}

/// The stage that leaves the program of an image, and where.
fn program_stage(target: &str) -> Result<(Stage, String)> {
    let stages = dockerfile::parse(&text()?)?;
    let image = stages.iter().find(|stage| stage.name == target);
    let copied = image.into_iter().flat_map(|stage| &stage.steps).find_map(|step| match step {
        Step::CopyFrom { stage, from, .. } => Some((stage.clone(), from.clone())),
        _ => None,
    });
    let (name, path) =
        copied.with_context(|| format!("the Dockerfile copies no program to {target}"))?;
    let stage = stages.into_iter().find(|stage| stage.name == name);
    Ok((stage.with_context(|| format!("there is no stage {name}"))?, path))
}

fn text() -> Result<String> {
    fs::read_to_string(paths::root().join("Dockerfile")).context("cannot read the Dockerfile")
}

/// Does what a stage says. `base` gives an image by its name, `built` the file that a build stage
/// leaves at a path.
fn follow(
    stages: &[Stage],
    target: &str,
    base: &dyn Fn(&str) -> Result<Image>,
    built: &dyn Fn(&Stage, &str) -> Result<PathBuf>,
) -> Result<Image> {
    let named = |name: &str| stages.iter().find(|stage| stage.name == name);
    let stage = named(target).with_context(|| format!("the Dockerfile has no stage {target}"))?;
    let mut image = match named(&stage.base) {
        Some(lower) => follow(stages, &lower.name, base, built)?,
        None => base(&stage.base)?,
    };
    let mut added: Vec<Entry> = Vec::new();
    let mut cmd_is_own = false;
    for step in &stage.steps {
        match step {
            Step::CopyFrom { stage: from, from: path, to } => {
                let from = named(from).with_context(|| format!("there is no stage {from}"))?;
                added.extend(placed(to, &built(from, path)?)?);
            }
            Step::Env(name, value) => {
                let prefix = format!("{name}=");
                image.config.env.retain(|set| !set.starts_with(&prefix));
                image.config.env.push(format!("{prefix}{value}"));
            }
            Step::User(user) => image.config.user.clone_from(user),
            Step::Workdir(folder) => image.config.workdir.clone_from(folder),
            Step::Entrypoint(words) => {
                image.config.entrypoint.clone_from(words);
                // As Docker: what the base would have given it is dropped.
                if !cmd_is_own {
                    image.config.cmd.clear();
                }
            }
            Step::Cmd(words) => {
                image.config.cmd.clone_from(words);
                cmd_is_own = true;
            }
            Step::Run(_) | Step::Copy { .. } => {
                bail!("stage {target} runs or copies something that takes Docker: {step:?}")
            }
        }
    }
    if !added.is_empty() {
        image.layers.push(added);
    }
    Ok(image)
}

/// What is here instead of an image from a registry.
fn base(name: &str) -> Result<Image> {
    match name {
        "scratch" => Ok(rootfs::scratch()),
        "alpine:3" => rootfs::busybox(&cluster::busybox()?),
        other => bail!("the base {other} is not known here: it is scratch or alpine:3"),
    }
}

/// A file at its path, with the folders above it.
fn placed(to: &str, file: &Path) -> Result<Vec<Entry>> {
    let path = to.strip_prefix('/').context("COPY takes an absolute target here")?;
    if path.is_empty() || path.ends_with('/') {
        bail!("COPY takes the name of the file here, not of its folder: {to}");
    }
    let parts: Vec<&str> = path.split('/').collect();
    let folders = (1..parts.len()).map(|end| Entry::folder(&parts[..end].join("/"), 0o755));
    Ok(folders.chain([Entry::program(path, file)]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(text: &str, target: &str) -> Result<Image> {
        let base = |name: &str| match name {
            "scratch" | "alpine:3" => Ok(rootfs::scratch()),
            other => bail!("no {other}"),
        };
        let built = |stage: &Stage, path: &str| {
            build::Plan::of(stage)?;
            Ok(Path::new(&stage.name).join(path.trim_start_matches('/')))
        };
        follow(&dockerfile::parse(text)?, target, &base, &built)
    }

    #[test]
    fn own_dockerfile_is_parsed() {
        let targets = targets().unwrap();
        for target in ["webhook", "empty-container", "agent"] {
            assert!(targets.iter().any(|one| one == target), "{target} is not in {targets:?}");
        }
        for target in targets {
            followed(&text().unwrap(), &target).unwrap();
        }
    }

    #[test]
    fn stages_are_built_as_by_docker() {
        let text = "FROM rust:1 AS build\nWORKDIR /src\nRUN cargo build\nFROM scratch AS low\nENV A=1 B=2\nCMD [\"a\"]\n\
                    FROM low AS app\nCOPY --from=build /src/x /opt/y\nENV A=3\nUSER 7\n\
                    WORKDIR /w\nENTRYPOINT [\"/opt/y\"]\n";
        let image = followed(text, "app").unwrap();
        assert_eq!(image.config.env, ["B=2", "A=3"]);
        assert_eq!(image.config.cmd, Vec::<String>::new(), "the base's CMD goes");
        assert_eq!(image.config.entrypoint, ["/opt/y"]);
        assert_eq!((image.config.user.as_str(), image.config.workdir.as_str()), ("7", "/w"));
        let program = Entry::program("opt/y", Path::new("build/src/x"));
        assert_eq!(image.layers, [vec![Entry::folder("opt", 0o755), program]]);
    }

    #[test]
    fn unsupported_stages_are_refused() {
        for text in [
            "FROM scratch AS app\nRUN x\n",
            "FROM scratch AS app\nCOPY a /a\n",
            "FROM debian:12 AS app\n",
            "FROM scratch AS app\nCOPY --from=none /a /a\n",
            "FROM scratch AS b\nFROM scratch AS app\nCOPY --from=b /a /a/\n",
        ] {
            assert!(followed(text, "app").is_err(), "{text}");
        }
    }
}
