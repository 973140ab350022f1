//! Volumes for caches, which an empty container mounts: downloaded packages and build output.

use serde_json::{Value, json};

use super::{super::checksum::checksum, names::object_name};

/// What the names of the volumes begin with.
pub(in crate::workload) const CACHE: &str = "diyadm-cache-";

/// A folder of the container that is in a volume of its own.
pub(in crate::workload) struct Cache {
    pub(in crate::workload) path: String,
    claim: Option<String>,
    /// The name of the volume, which tells the folder and the claim.
    pub(in crate::workload) name: String,
}

impl Cache {
    /// `PATH`, or `PATH=CLAIM`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (path, claim) = text.split_once('=').map_or((text, None), |(p, c)| (p, Some(c)));
        let path = path.trim_end_matches('/');
        let is_plain = |step: &str| !step.is_empty() && step != "." && step != "..";
        let fits = path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_plain));
        if !fits || path.contains(':') || path.chars().any(char::is_control) {
            return Err(format!("{text:?} is not a folder like /root/.m2, or /root/.m2=CLAIM"));
        }
        let claim = claim.map(object_name).transpose()?;
        let name = format!("{CACHE}{}", checksum(text));
        Ok(Self { path: path.to_owned(), claim, name })
    }

    pub(in crate::workload) fn volume(&self) -> Value {
        match &self.claim {
            Some(claim) => {
                json!({ "name": self.name, "persistentVolumeClaim": { "claimName": claim } })
            }
            None => json!({ "name": self.name, "emptyDir": {} }),
        }
    }

    pub(in crate::workload) fn mount(&self) -> Value {
        json!({ "name": self.name, "mountPath": self.path })
    }
}
