//! Service registries in the environment of a copy, where its application would register itself.

use serde_json::Value;

use crate::kinds::DEPLOYMENT;

/// Words in variables of clients of a service registry, and its name.
const REGISTRIES: [(&str, &str); 5] = [
    ("nacos", "Nacos"),
    ("eureka", "Eureka"),
    ("consul", "Consul"),
    ("spring.cloud", "Spring Cloud"),
    ("spring_cloud", "Spring Cloud"),
];

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
