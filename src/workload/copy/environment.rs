//! The environment of a copy's containers: variables of its own, and service registries where its
//! application would register itself.

use serde_json::{Value, json};

use crate::kinds::DEPLOYMENT;

/// Words in variables of clients of a service registry, and its name.
const REGISTRIES: [(&str, &str); 5] = [
    ("nacos", "Nacos"),
    ("eureka", "Eureka"),
    ("consul", "Consul"),
    ("spring.cloud", "Spring Cloud"),
    ("spring_cloud", "Spring Cloud"),
];

/// The copy with these variables in these containers: each replaces the one of its name.
#[must_use]
pub fn overlaid(mut copy: Value, containers: &[String], env: &[(String, String)]) -> Value {
    let own = copy.pointer_mut(&format!("{}/spec/containers", DEPLOYMENT.template()));
    let own = own.and_then(Value::as_array_mut).into_iter().flatten();
    let is_chosen =
        |container: &&mut Value| containers.iter().any(|name| container["name"] == name.as_str());
    for container in own.filter(is_chosen) {
        let mut all = container["env"].as_array().cloned().unwrap_or_default();
        for (name, value) in env {
            let new = json!({ "name": name, "value": value });
            let mut is_set = false;
            // The last one of a name wins.
            for old in all.iter_mut().filter(|old| old["name"] == name.as_str()) {
                *old = new.clone();
                is_set = true;
            }
            if !is_set {
                all.push(new);
            }
        }
        if !all.is_empty() {
            container["env"] = all.into();
        }
    }
    copy
}

/// Service registries that the environment of these containers names, each with its first variable.
/// Variables in `env` were set for the copy.
pub fn registries(
    copy: &Value,
    containers: &[String],
    env: &[(String, String)],
) -> Vec<(&'static str, String)> {
    let own = copy.pointer(&format!("{}/spec/containers", DEPLOYMENT.template()));
    let own = own.and_then(Value::as_array).into_iter().flatten();
    let is_chosen =
        |container: &&Value| containers.iter().any(|name| container["name"] == name.as_str());
    let variables = own
        .filter(is_chosen)
        .flat_map(|container| container["env"].as_array().into_iter().flatten());
    let mut found: Vec<(&str, String)> = Vec::new();
    for variable in variables {
        let [name, value] = ["name", "value"].map(|field| variable[field].as_str().unwrap_or(""));
        if env.iter().any(|(own, _)| own == name) {
            continue;
        }
        let text = format!("{name} {value}").to_lowercase();
        for (word, registry) in REGISTRIES {
            if text.contains(word) && !found.iter().any(|(known, _)| *known == registry) {
                found.push((registry, name.to_owned()));
            }
        }
    }
    found
}
