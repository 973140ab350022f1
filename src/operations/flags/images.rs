//! The flags about images: the one of empty containers, their registry and their pull secrets.

use clap::Args;

use crate::workload::{EMPTY_IMAGE, image_name, registry, secret_name};

/// Where diyadm's own images are pulled from.
#[derive(Args, Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryFlag {
    /// Registry of diyadm's own images, as in REGISTRY/empty-container:latest; flags, rules and
    /// annotations that name an image override it
    #[arg(long, value_name = "REGISTRY", value_parser = registry)]
    pub registry: Option<String>,
}

impl RegistryFlag {
    /// One of diyadm's own images, `NAME:TAG`, with the registry.
    pub fn image(&self, name: &str) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{name}"),
            None => name.to_owned(),
        }
    }
}

/// The Secrets that diyadm's own images are pulled with.
#[derive(Args, Debug, Clone, Default, PartialEq, Eq)]
pub struct PullSecretFlags {
    /// Secret for pulling diyadm's own images, in the namespace of the Pods; can be repeated
    #[arg(long = "image-pull-secret", value_name = "NAME", value_parser = secret_name)]
    pub image_pull_secrets: Vec<String>,
}

/// The image that empty containers are expected to have.
#[derive(Args, Debug, Clone, Default, PartialEq, Eq)]
pub struct EmptyImageFlags {
    /// Image of empty containers, or `keep` for the workload's own [default:
    /// empty-container:latest]
    #[arg(long, value_name = "IMAGE|keep", value_parser = image_name)]
    pub image: Option<String>,
    /// Where it is pulled from
    #[command(flatten)]
    pub registry: RegistryFlag,
}

impl EmptyImageFlags {
    /// The image's name, or `keep`.
    pub fn name(&self) -> String {
        self.image.clone().unwrap_or_else(|| self.registry.image(EMPTY_IMAGE))
    }
}
