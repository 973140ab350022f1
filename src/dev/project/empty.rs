//! `empty:` in diyadm.yaml: how the workload is emptied.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

use crate::workload::{Idle, Resources, Shape, registry, secret_name, shape};

/// How a workload is emptied: the flags of `diyadm empty`.
#[derive(Debug, Default, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {
    /// An image, or `keep`.
    #[serde(default)]
    pub(crate) image: Option<String>,
    /// The registry of diyadm's own images.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    registry: Option<Spanned<String>>,
    /// Secrets for pulling these.
    #[serde(default, rename = "imagePullSecrets")]
    #[schemars(with = "Vec<String>")]
    image_pull_secrets: Vec<Spanned<String>>,
    /// `entrypoint`, `shell` or `agent`.
    #[serde(default)]
    #[schemars(with = "Option<Idle>")]
    idle: Option<Spanned<String>>,
    /// How many replicas while it is empty.
    #[serde(default)]
    pub(crate) replicas: Option<u32>,
    /// Whether the workload's own command runs while no other application does.
    #[serde(default, rename = "standIn")]
    pub(crate) stand_in: Option<bool>,
    /// `none`, or requests and limits of the empty container.
    #[serde(default)]
    #[schemars(with = "Option<shape::ResourcesForm>")]
    resources: Option<Resources>,
    /// Environment variables of the empty container.
    #[serde(default, deserialize_with = "shape::env_map")]
    #[schemars(with = "Option<BTreeMap<String, shape::Scalar>>")]
    env: Option<BTreeMap<String, String>>,
    /// `configmap/NAME` or `secret/NAME`: more sources of these.
    #[serde(default, rename = "envFrom", deserialize_with = "shape::env_sources")]
    env_from: Option<Vec<String>>,
    /// Folders in a volume: `PATH` in an emptyDir, `PATH=CLAIM` in a PersistentVolumeClaim.
    #[serde(default, deserialize_with = "shape::caches")]
    cache: Option<Vec<String>>,
    /// Labels that the node needs.
    #[serde(default, rename = "nodeSelector", deserialize_with = "shape::label_map")]
    #[schemars(with = "Option<BTreeMap<String, shape::Scalar>>")]
    node_selector: Option<BTreeMap<String, String>>,
    /// Taints that are tolerated: `KEY=VALUE:EFFECT`, `KEY:EFFECT` or `KEY`.
    #[serde(default, deserialize_with = "shape::tolerations")]
    tolerations: Option<Vec<String>>,
    /// Another service account.
    #[serde(default, rename = "serviceAccountName", deserialize_with = "shape::account")]
    service_account_name: Option<String>,
    /// Members of the container's securityContext.
    #[serde(default, rename = "securityContext")]
    security_context: Option<Map<String, Value>>,
}

impl Empty {
    /// Validates what its types do not.
    ///
    /// # Errors
    /// The place, and what is wrong there.
    pub(super) fn check(&self) -> Result<(), (Location, String)> {
        if let Some(named) = &self.registry {
            registry(&named.value).map_err(|what| (named.referenced, what))?;
        }
        for named in &self.image_pull_secrets {
            secret_name(&named.value).map_err(|what| (named.referenced, what))?;
        }
        if let Some(idle) = &self.idle
            && !matches!(idle.value.as_str(), "entrypoint" | "shell" | "agent")
        {
            let what = format!("{:?} is not entrypoint, shell or agent", idle.value);
            return Err((idle.referenced, what));
        }
        Ok(())
    }

    /// The shape of its Pods while it is empty.
    pub(crate) fn shape(&self) -> Shape {
        Shape {
            resources: self.resources.clone(),
            env: self.env.clone(),
            env_from: self.env_from.clone(),
            cache: self.cache.clone(),
            node_selector: self.node_selector.clone(),
            tolerations: self.tolerations.clone(),
            service_account_name: self.service_account_name.clone(),
            security_context: self.security_context.clone(),
        }
    }

    /// Secrets for pulling diyadm's own images; [`Empty::check`] has validated their names.
    pub(crate) fn image_pull_secrets(&self) -> Vec<String> {
        self.image_pull_secrets.iter().map(|named| named.value.clone()).collect()
    }

    /// The registry of diyadm's own images; [`Empty::check`] has validated it.
    pub(crate) fn registry(&self) -> Option<String> {
        self.registry.as_ref().and_then(|named| registry(&named.value).ok())
    }

    /// `entrypoint`, `shell` or `agent`.
    pub(crate) fn idle(&self) -> Option<&str> {
        self.idle.as_ref().map(|idle| idle.value.as_str())
    }
}
