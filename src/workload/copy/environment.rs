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
/// Variables that emptying changed, from `copy` to `emptied`, were set for the copy.
pub fn registries(
    copy: &Value,
    emptied: &Value,
    containers: &[String],
) -> Vec<(&'static str, String)> {
    let all = |object: &Value, name: &str| {
        let own = object.pointer(&format!("{}/spec/containers", DEPLOYMENT.template()));
        let own = own.and_then(Value::as_array).into_iter().flatten();
        let own = own.filter(|container| container["name"] == name);
        own.flat_map(|container| container["env"].as_array().cloned().unwrap_or_default())
            .collect::<Vec<_>>()
    };
    let mut found: Vec<(&str, String)> = Vec::new();
    for container in containers {
        let kept = all(emptied, container);
        for variable in all(copy, container).iter().filter(|variable| kept.contains(variable)) {
            let [name, value] =
                ["name", "value"].map(|field| variable[field].as_str().unwrap_or(""));
            let text = format!("{name} {value}").to_lowercase();
            for (word, registry) in REGISTRIES {
                if text.contains(word) && !found.iter().any(|(known, _)| *known == registry) {
                    found.push((registry, name.to_owned()));
                }
            }
        }
    }
    found
}
