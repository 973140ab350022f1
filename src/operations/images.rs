//! diyadm's own images: their names, and images made of what this program has.

use std::{
    env::{self, consts},
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use diyadm_image::{Config, Entry, Image, architecture, rust_arch};

use crate::{
    dev::program,
    exit::{Failure, Topic},
    operations::flags::RegistryFlag,
    webhook::manifests::WEBHOOK_IMAGE,
    workload::{AGENT_IMAGE, EMPTY_IMAGE},
};

/// An image of diyadm's own, as the targets of the Dockerfile are called.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnImage {
    /// Of the webhook's server
    Webhook,
    /// Of empty containers
    EmptyContainer,
    /// With the agent, for `--idle agent`
    Agent,
}

impl OwnImage {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Webhook, Self::EmptyContainer, Self::Agent];

    /// `NAME:TAG`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Webhook => WEBHOOK_IMAGE,
            Self::EmptyContainer => EMPTY_IMAGE,
            Self::Agent => AGENT_IMAGE,
        }
    }

    /// The containers that have it.
    pub(crate) fn used_by(self) -> &'static str {
        match self {
            Self::Webhook => "the webhook's server",
            Self::EmptyContainer => "empty containers",
            Self::Agent => "the init container of --idle agent",
        }
    }

    /// The image for the processor `arch`, as the Dockerfile describes it; empty containers have
    /// the agent alone, since this program carries no distribution.
    ///
    /// # Errors
    /// This program lacks what the image needs.
    pub(crate) fn image(self, arch: &str, registry: &RegistryFlag) -> Result<Image> {
        let arch = rust_arch(arch);
        let layer = match self {
            Self::Webhook => vec![Entry::program("diyadm", &own_program(arch)?)],
            Self::EmptyContainer | Self::Agent => {
                let agent = program::find(arch, None)?;
                let path = diyadm_agent::IN_IMAGE.trim_start_matches('/');
                vec![Entry::executable(path, agent)]
            }
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let labels = vec![("org.opencontainers.image.version".to_owned(), version)];
        Ok(Image {
            tag: registry.image(self.name()),
            architecture: architecture(arch).to_owned(),
            config: Config { labels, ..self.config() },
            layers: vec![layer],
        })
    }

    /// How it is run, as the Dockerfile says.
    fn config(self) -> Config {
        let text = |text: &str| text.to_owned();
        let non_root = text("65532:65532");
        match self {
            Self::Webhook => Config {
                entrypoint: vec![text("/diyadm")],
                cmd: vec![text("serve")],
                user: non_root,
                ..Config::default()
            },
            Self::Agent => Config {
                entrypoint: vec![text(diyadm_agent::IN_IMAGE)],
                user: non_root,
                ..Config::default()
            },
            // Root, as in the image that the Dockerfile describes.
            Self::EmptyContainer => {
                Config { entrypoint: vec![text(diyadm_agent::IN_IMAGE)], ..Config::default() }
            }
        }
    }
}

/// The path of this program, if it can be the only file of an image.
fn own_program(arch: &str) -> Result<PathBuf> {
    let own = env::current_exe().context("the path of this program is unknown")?;
    let elf = program::head(&own).and_then(|head| program::elf(&head));
    let why = match elf {
        None => format!("is a program for {}, not for Linux", consts::OS),
        Some(elf) if !elf.is_static => "is not statically linked".to_owned(),
        Some(elf) if elf.arch != arch => {
            format!("is for {}, not for {}", architecture(elf.arch), architecture(arch))
        }
        Some(_) => return Ok(own),
    };
    let what = format!("The webhook's image has this program, which {why}.");
    let hint = format!(
        "Use the diyadm of a release for Linux and {}, or save the other images: `diyadm images \
         save empty-container agent -o FILE`.",
        architecture(arch)
    );
    Err(Failure::no(Topic::StaticProgram, what, hint).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERFILE: &str = include_str!("../../Dockerfile");

    /// The last of these instructions in a stage.
    fn instruction(stage: &str, name: &str) -> Option<&'static str> {
        let (_, stage) = DOCKERFILE.split_once(&format!(" AS {stage}\n")).unwrap();
        let lines = stage.lines().take_while(|line| !line.starts_with("FROM "));
        lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).last()
    }

    #[test]
    fn images_have_the_names_and_users_of_the_dockerfile() {
        for image in OwnImage::ALL {
            let stage = image.to_possible_value().unwrap();
            let (stage, config) = (stage.get_name(), image.config());
            let build = format!("docker build --target {stage} -t {} .", image.name());
            assert!(DOCKERFILE.contains(&build), "{build}");
            let list = |name: &str| -> Vec<String> {
                instruction(stage, name)
                    .map_or_else(Vec::new, |text| serde_json::from_str(text).unwrap())
            };
            assert_eq!(
                (config.entrypoint, config.cmd),
                (list("ENTRYPOINT"), list("CMD")),
                "{stage}"
            );
            assert_eq!(config.user, instruction(stage, "USER").unwrap_or_default(), "{stage}");
        }
    }
}
