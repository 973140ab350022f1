//! Probes of emptied containers that call the agent.
//!
//! `--stand-in`: a probe that restarts the container must not do so while a developer's application
//! runs or is being replaced. The agent runs it only while the stand-in runs.
//!
//! `--ready app`: when an emptied Pod is Ready.
//!
//! The readiness probe of the emptied container calls the agent, which runs the workload's own
//! probe while an application runs. A rolling update would wait until such Pods are Ready before
//! replacing the next one, so strategies that allow it do not wait.

use serde_json::{Map, Value, json};

use super::rules::Idle;

/// The parts of the workload's probe that the agent needs; the kubelet uses the rest.
const HANDLERS: [&str; 5] = ["exec", "grpc", "httpGet", "tcpSocket", "timeoutSeconds"];
/// Which of the agent's probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentProbe {
    /// Succeeds while an application runs and the workload's own probe succeeds.
    Ready,
    /// Fails only while the stand-in runs and the workload's own probe fails.
    Alive,
}

impl AgentProbe {
    /// The agent's subcommand.
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Alive => "alive",
        }
    }
}

const DELAY: &str = "initialDelaySeconds";
/// The grace period of the restart that a liveness probe causes.
const PROBE_GRACE: &str = "terminationGracePeriodSeconds";
/// The API server's own defaults, set explicitly, so that the stored probe equals the written one.
pub const TIMES: [(&str, u64); 4] = [
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

fn read(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The longest time that the agent waits before it runs a liveness probe: a day.
pub const LONGEST_DELAY: u64 = 86_400;

/// The seconds for which a liveness probe lets an application start: its own delay, and as long as
/// the startup probe may take.
fn seconds_to_start(liveness: &Value, startup: &Value) -> u64 {
    let seconds = |probe: &Value, name: &str, default: u64| probe[name].as_u64().unwrap_or(default);
    let startup = if startup.is_object() {
        let tries = seconds(startup, "failureThreshold", 3);
        let all = seconds(startup, "periodSeconds", 10).saturating_mul(tries);
        all.saturating_add(seconds(startup, DELAY, 0))
    } else {
        0
    };
    seconds(liveness, DELAY, 0).saturating_add(startup).min(LONGEST_DELAY)
}

/// The startup probe of a container with a stand-in. `own` is the workload's probe and `ports` the
/// container's ports, each as JSON text.
pub(super) fn startup(own: Option<&str>, ports: Option<&str>) -> String {
    alive(&read(own), 0, ports).to_string()
}

/// The liveness probe of a container with a stand-in. A stand-in starts more than once, and the
/// kubelet counts a delay and runs a startup probe only once, so the agent waits as long as both.
pub(super) fn liveness(own: Option<&str>, startup: Option<&str>, ports: Option<&str>) -> String {
    let own = read(own);
    let delay = seconds_to_start(&own, &read(startup));
    alive(&own, delay, ports).to_string()
}

fn alive(own: &Value, delay: u64, ports: Option<&str>) -> Value {
    let delay = (delay > 0).then_some(delay);
    let mut probe = agent_probe((AgentProbe::Alive, Idle::Agent), own, delay, ports);
    if let Some(grace) = own.get(PROBE_GRACE).filter(|grace| !grace.is_null()) {
        probe[PROBE_GRACE] = grace.clone();
    }
    probe
}

/// The readiness probe of an emptied container. `own` is the workload's probe and `ports` the
/// container's ports, each as JSON text.
pub(super) fn probe(idle: Idle, own: Option<&str>, ports: Option<&str>) -> String {
    agent_probe((AgentProbe::Ready, idle), &read(own), None, ports).to_string()
}

/// A probe that calls the agent with the handler of `own`. `delay`: how long the agent waits before
/// it runs that.
fn agent_probe(
    (which, idle): (AgentProbe, Idle),
    own: &Value,
    delay: Option<u64>,
    ports: Option<&str>,
) -> Value {
    let ports = read(ports);
    let ports = ports.as_array().map_or(&[][..], Vec::as_slice);
    let mut command = vec![program(idle).to_owned(), which.word().to_owned()];
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
        asked.extend(delay.map(|seconds| (DELAY.to_owned(), seconds.into())));
        command.extend(["--probe".to_owned(), Value::Object(asked).to_string()]);
    }
    let mut probe = json!({ "exec": { "command": command } });
    if let Some(delay) = own.get(DELAY).filter(|delay| delay.as_u64() > Some(0)) {
        probe[DELAY] = delay.clone();
    }
    for (name, default) in TIMES {
        let seconds = own.get(name).and_then(Value::as_u64).filter(|n| *n > 0).unwrap_or(default);
        // The agent reports why it timed out, which takes slightly longer.
        let more = u64::from(name == "timeoutSeconds");
        probe[name] = (seconds + more).into();
    }
    probe
}

/// Whether a probe, as JSON text, is a result of [`probe`], [`liveness`] or [`startup`].
pub fn is_probe(text: &str, which: AgentProbe) -> bool {
    let Ok(probe) = serde_json::from_str::<Value>(text) else { return false };
    let known = |key: &String| {
        let is_grace = key == PROBE_GRACE && which == AgentProbe::Alive;
        is_grace || key == "exec" || key == DELAY || TIMES.iter().any(|(name, _)| name == key)
    };
    let words = |word: &Value| word.as_str().map(ToOwned::to_owned);
    let command: Option<Vec<String>> =
        probe["exec"]["command"].as_array().and_then(|command| command.iter().map(words).collect());
    let (Some(members), Some(command)) = (probe.as_object(), command) else { return false };
    let ours = match command.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [program, word] | [program, word, "--probe", _] if word == which.word() => {
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
        assert!(is_probe(&text, AgentProbe::Ready));
    }

    /// The agent waits as long as both probes do before it runs the liveness probe.
    #[test]
    fn liveness_probe_is_passed_to_the_agent_with_the_time_to_start() {
        let own = r#"{"tcpSocket":{"port":80},"initialDelaySeconds":5,"terminationGracePeriodSeconds":7}"#;
        let startup = r#"{"tcpSocket":{"port":80},"periodSeconds":2,"failureThreshold":30}"#;
        let text = liveness(Some(own), Some(startup), None);
        let expected = json!({
            "exec": { "command": [
                "/.diyadm/diyadm-agent", "alive", "--probe",
                r#"{"tcpSocket":{"port":80},"initialDelaySeconds":65}"#,
            ] },
            "initialDelaySeconds": 5,
            "timeoutSeconds": 2,
            "periodSeconds": 10,
            "successThreshold": 1,
            "failureThreshold": 3,
            "terminationGracePeriodSeconds": 7,
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        assert!(is_probe(&text, AgentProbe::Alive) && !is_probe(&text, AgentProbe::Ready));
    }

    #[test]
    fn without_a_probe_readiness_is_the_application() {
        let text = probe(Idle::Entrypoint, None, None);
        assert!(text.contains(r#"["/diyadm-agent","ready"]"#), "{text}");
        assert!(is_probe(&text, AgentProbe::Ready));
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
            assert!(!is_probe(text, AgentProbe::Ready), "{text}");
        }
    }
}
