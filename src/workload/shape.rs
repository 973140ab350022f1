//! The Pod's shape while a workload is empty: what emptying changes besides the program, where the
//! user asks for it. An application that is built or debugged in the container needs other limits,
//! another environment, or a cache that outlives the Pod.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

mod cache;
mod names;
mod parse;

pub(super) use cache::{CACHE, Cache};
pub(super) use names::name_of;
pub(crate) use names::object_name;
pub(crate) use parse::{
    ResourcesForm, Scalar, SecurityMembers, account, caches, env_map, env_sources, label_map,
    tolerations,
};
pub(crate) use parse::{amount, cache, env, env_source, label, security, toleration};

/// The fields of a container that it changes.
pub const SHAPED_IN_CONTAINER: [&str; 4] = ["resources", "env", "envFrom", "securityContext"];
/// The fields of a pod that it changes. The API server keeps `serviceAccount` equal to
/// `serviceAccountName`.
pub const SHAPED_IN_POD: [&str; 4] =
    ["nodeSelector", "tolerations", "serviceAccountName", "serviceAccount"];

/// Maximum bytes of the annotation: it is written into every container that is emptied.
const LONGEST: usize = 4096;

/// The Pod's shape while it is empty. Parts that are absent stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Shape {
    /// `none` removes the requests and limits; others are set besides those that stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<parse::ResourcesForm>")]
    pub resources: Option<Resources>,
    /// Environment variables that are added or replaced.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "parse::env_map")]
    #[schemars(with = "Option<BTreeMap<String, parse::Scalar>>")]
    pub env: Option<BTreeMap<String, String>>,
    /// `configmap/NAME` or `secret/NAME`: more sources of environment variables.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "parse::env_sources")]
    pub env_from: Option<Vec<String>>,
    /// Folders that are kept in a volume: `PATH` in an emptyDir, `PATH=CLAIM` in the
    /// PersistentVolumeClaim CLAIM.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "parse::caches")]
    pub cache: Option<Vec<String>>,
    /// Labels of the node that are required besides the others.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "parse::label_map")]
    #[schemars(with = "Option<BTreeMap<String, parse::Scalar>>")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// `KEY=VALUE:EFFECT`, `KEY:EFFECT` or `KEY`: taints that are tolerated besides the others.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "parse::tolerations")]
    pub tolerations: Option<Vec<String>>,
    /// Another service account.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "parse::account")]
    pub service_account_name: Option<String>,
    /// Members of the container's securityContext that are added or replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_context: Option<Map<String, Value>>,
}

/// Requests and limits of an empty container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Resources {
    /// None at all.
    None,
    /// These, besides the container's own for other resources.
    Some {
        /// Quantities in canonical form.
        requests: BTreeMap<String, String>,
        /// Quantities in canonical form.
        limits: BTreeMap<String, String>,
    },
}

/// What a shape makes of a field.
pub(super) enum Shaped {
    /// This, as JSON text; `None` is absent.
    Set(Option<String>),
    /// The user's own value, with the parts of this one.
    Merge(Value),
}

/// The parts of a [`Shape`], as in rules.yaml.
const PARTS: [&str; 8] = [
    "resources",
    "env",
    "envFrom",
    "cache",
    "nodeSelector",
    "tolerations",
    "serviceAccountName",
    "securityContext",
];

impl Shape {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Its parts, each with its value as in rules.yaml.
    pub fn parts(&self) -> Vec<(&'static str, Value)> {
        if self.is_empty() {
            return Vec::new();
        }
        let all = serde_json::to_value(self).unwrap_or_default();
        PARTS.into_iter().filter_map(|name| Some((name, all.get(name)?.clone()))).collect()
    }

    /// Whether this is the name of a part.
    pub fn has(part: &str) -> bool {
        PARTS.contains(&part)
    }

    /// Its parts, and the others of `next`.
    #[must_use]
    pub fn or(self, next: Self) -> Self {
        Self {
            resources: self.resources.or(next.resources),
            env: self.env.or(next.env),
            env_from: self.env_from.or(next.env_from),
            cache: self.cache.or(next.cache),
            node_selector: self.node_selector.or(next.node_selector),
            tolerations: self.tolerations.or(next.tolerations),
            service_account_name: self.service_account_name.or(next.service_account_name),
            security_context: self.security_context.or(next.security_context),
        }
    }

    /// Parses the annotation.
    ///
    /// # Errors
    /// In a few words, what is wrong.
    pub(super) fn from_annotation(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it has more than {LONGEST} characters"));
        }
        serde_json::from_str(text).map_err(|why| why.to_string())
    }

    /// Its text in the annotation; `None` if it changes nothing.
    ///
    /// # Errors
    /// It is too long.
    pub fn annotation(&self) -> Result<Option<String>, String> {
        if self.is_empty() {
            return Ok(None);
        }
        let text = serde_json::to_string(self).unwrap_or_default();
        if text.len() > LONGEST {
            return Err(format!("they have more than {LONGEST} characters together"));
        }
        Ok(Some(text))
    }

    /// The volumes of its caches; of several for one folder the first, since the API server refuses
    /// a second mount.
    pub(super) fn caches(&self) -> Vec<Cache> {
        let mut caches: Vec<Cache> = Vec::new();
        for cache in self.cache.iter().flatten().filter_map(|text| Cache::parse(text).ok()) {
            if caches.iter().all(|other| other.path != cache.path) {
                caches.push(cache);
            }
        }
        caches
    }

    /// What it makes of a field of [`SHAPED_IN_CONTAINER`] or [`SHAPED_IN_POD`].
    /// `None` leaves it as it is.
    pub(super) fn target(&self, field: &str) -> Option<Shaped> {
        let value = match field {
            "resources" => match &self.resources {
                // The API server writes an empty map where there are none.
                Some(Resources::None) => return Some(Shaped::Set(Some("{}".to_owned()))),
                Some(some @ Resources::Some { .. }) => Some(some.clone().into()),
                None => None,
            },
            "env" => self.env.as_ref().map(|env| env.iter().map(variable).collect()),
            "envFrom" => {
                let sources = self.env_from.as_ref();
                sources.map(|all| all.iter().filter_map(|one| parse::source(one)).collect())
            }
            "securityContext" => self.security_context.clone().map(Value::from),
            "nodeSelector" => self.node_selector.as_ref().map(|labels| json!(labels)),
            "tolerations" => {
                let all = self.tolerations.as_ref();
                all.map(|all| all.iter().filter_map(|one| parse::tolerated(one).ok()).collect())
            }
            _ => {
                let name = self.service_account_name.as_deref().map(|name| json!(name).to_string());
                return name.map(|name| Shaped::Set(Some(name)));
            }
        };
        value.map(Shaped::Merge)
    }
}

/// The API server writes no empty value.
fn variable((name, value): (&String, &String)) -> Value {
    if value.is_empty() { json!({ "name": name }) } else { json!({ "name": name, "value": value }) }
}

/// Whether [`Shape::target`] can make this of the field; `None` if it is another field.
pub(super) fn makes(field: &str, set: Option<&str>) -> Option<bool> {
    let starts = |first: char| set.is_some_and(|set| set.trim_start().starts_with(first));
    match field {
        "resources" | "securityContext" | "nodeSelector" => Some(starts('{')),
        "env" | "envFrom" | "tolerations" => Some(starts('[')),
        _ if is_account(field) => Some(starts('"')),
        _ => None,
    }
}

/// Whether the field names the ServiceAccount: `serviceAccountName`, or its older name.
pub(super) fn is_account(field: &str) -> bool {
    ["serviceAccountName", "serviceAccount"].contains(&field)
}

/// Whether the field's new value is merged into the user's own.
pub(super) fn is_merged(field: &str) -> bool {
    ["resources", "env", "envFrom", "securityContext", "nodeSelector", "tolerations"]
        .contains(&field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_has_one_volume() {
        let cache = ["/root/.m2", "/root/.m2/", "/root/.m2=claim", "/cache"].map(ToOwned::to_owned);
        let shape = Shape { cache: Some(cache.into()), ..Shape::default() };
        let paths: Vec<_> = shape.caches().into_iter().map(|cache| cache.path).collect();
        assert_eq!(paths, ["/root/.m2", "/cache"]);
    }
}
