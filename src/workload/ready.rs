//! `--ready app`: when an emptied Pod is Ready.
//!
//! The readiness probe of the emptied container calls the agent, which runs the workload's own
//! probe while an application runs. A rolling update would wait until such Pods are Ready before
//! replacing the next one, so strategies that allow it do not wait.

use serde_json::{Map, Value, json};

use super::rules::Idle;

/// The parts of the workload's probe that the agent needs; the kubelet uses the rest.
const HANDLERS: [&str; 5] = ["exec", "grpc", "httpGet", "tcpSocket", "timeoutSeconds"];
/// The API server's own defaults, set explicitly, so that the stored probe equals the written one.
const TIMES: [(&str, u64); 4] = [
    ("timeoutSeconds", 1),
    ("periodSeconds", 10),
    ("successThreshold", 1),
    ("failureThreshold", 3),
];

/// `strategy` of an emptied Deployment, as JSON text.
pub(super) const STRATEGY: &str = r#"{"type":"Recreate"}"#;
/// `updateStrategy` of an emptied DaemonSet, as JSON text.
pub(super) const UPDATE_STRATEGY: &str =
    r#"{"type":"RollingUpdate","rollingUpdate":{"maxSurge":0,"maxUnavailable":"100%"}}"#;

/// The readiness probe of an emptied container. `own` is the workload's probe and `ports` the
/// container's ports, each as JSON text.
pub(super) fn probe(idle: Idle, own: Option<&str>, ports: Option<&str>) -> String {
    let read = |text: Option<&str>| {
        text.and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default()
    };
    let (own, ports) = (read(own), read(ports));
    let ports = ports.as_array().map_or(&[][..], Vec::as_slice);
    let mut command = vec![program(idle).to_owned(), "ready".to_owned()];
    let mut asked = Map::new();
    for name in HANDLERS {
        if let Some(value) = own.get(name).filter(|value| !value.is_null()) {
            asked.insert(name.to_owned(), value.clone());
        }
    }
    for handler in ["httpGet", "tcpSocket"] {
        let port = asked.get_mut(handler).and_then(|handler| handler.get_mut("port"));
        if let Some(port) = port
            && let Some(number) = number(port, ports)
        {
            *port = number;
        }
    }
    if !asked.is_empty() {
        command.extend(["--probe".to_owned(), Value::Object(asked).to_string()]);
    }
    let mut probe = json!({ "exec": { "command": command } });
    if let Some(delay) = own.get("initialDelaySeconds").filter(|delay| delay.as_u64() > Some(0)) {
        probe["initialDelaySeconds"] = delay.clone();
    }
    for (name, default) in TIMES {
        let seconds = own.get(name).and_then(Value::as_u64).filter(|n| *n > 0).unwrap_or(default);
        // The agent reports why it timed out, which takes slightly longer.
        let more = u64::from(name == "timeoutSeconds");
        probe[name] = (seconds + more).into();
    }
    probe.to_string()
}

/// Whether a probe, as JSON text, is a result of [`probe`].
pub fn is_probe(text: &str) -> bool {
    let Ok(probe) = serde_json::from_str::<Value>(text) else { return false };
    let known = |key: &String| {
        key == "exec" || key == "initialDelaySeconds" || TIMES.iter().any(|(name, _)| name == key)
    };
    let words = |word: &Value| word.as_str().map(ToOwned::to_owned);
    let command: Option<Vec<String>> =
        probe["exec"]["command"].as_array().and_then(|command| command.iter().map(words).collect());
    let (Some(members), Some(command)) = (probe.as_object(), command) else { return false };
    let ours = match command.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [program, "ready"] | [program, "ready", "--probe", _] => {
            [Idle::Agent, Idle::Entrypoint].into_iter().any(|idle| self::program(idle) == program)
        }
        _ => false,
    };
    ours && members.keys().all(known)
}

/// The path of the agent in the container.
fn program(idle: Idle) -> &'static str {
    match idle {
        Idle::Agent => diyadm_agent::MOUNTED,
        Idle::Entrypoint | Idle::Shell => diyadm_agent::IN_IMAGE,
    }
}

/// The number of a named port.
fn number(port: &Value, ports: &[Value]) -> Option<Value> {
    let name = port.as_str()?;
    let named =
        ports.iter().find(|one| one["name"] == name).map(|one| one["containerPort"].clone());
    named.or_else(|| name.parse::<u16>().ok().map(Value::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_probe_is_passed_to_the_agent_with_its_times() {
        let own = r#"{"httpGet":{"path":"/up","port":"web"},"periodSeconds":5,"initialDelaySeconds":3,"timeoutSeconds":4}"#;
        let ports = r#"[{"containerPort":9090},{"name":"web","containerPort":8080}]"#;
        let text = probe(Idle::Agent, Some(own), Some(ports));
        let expected = json!({
            "exec": { "command": [
                "/.diyadm/diyadm-agent", "ready", "--probe",
                r#"{"httpGet":{"path":"/up","port":8080},"timeoutSeconds":4}"#,
            ] },
            "initialDelaySeconds": 3,
            "timeoutSeconds": 5,
            "periodSeconds": 5,
            "successThreshold": 1,
            "failureThreshold": 3,
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        assert!(is_probe(&text));
    }

    #[test]
    fn without_a_probe_readiness_is_the_application() {
        let text = probe(Idle::Entrypoint, None, None);
        assert!(text.contains(r#"["/diyadm-agent","ready"]"#), "{text}");
        assert!(is_probe(&text));
        assert_eq!(text, probe(Idle::Entrypoint, Some("null"), Some("null")));
    }

    #[test]
    fn other_probes_are_not_mistaken_for_the_agents() {
        for text in [
            "null",
            r#"{"exec":{"command":["sh","-c","x"]}}"#,
            r#"{"exec":{"command":["/tmp/x","ready"]}}"#,
            r#"{"exec":{"command":["/diyadm-agent","ready","--probe"]}}"#,
            r#"{"exec":{"command":["/diyadm-agent","ready"]},"httpGet":{"port":1}}"#,
        ] {
            assert!(!is_probe(text), "{text}");
        }
    }
}
