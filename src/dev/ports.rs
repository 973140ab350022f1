//! Parses the ports of `forward`. Pure.

use std::fmt;

use serde_json::Value;

use crate::exit::{Failure, Topic};

/// A local port and a port of a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// The local port; 0 lets the system choose.
    pub(crate) local: u16,
    /// Of the Pod.
    pub(crate) remote: Port,
}

/// A port of a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// A port number.
    Number(u16),
    /// A port name of a container.
    Named(String),
    /// The debugger port of the JVM of this application.
    Debugger(String),
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Named(name) => f.write_str(name),
            Self::Debugger(_) => f.write_str("debugger"),
        }
    }
}

/// `8080` for the same port on both sides, `8080:80`, `:80` and `0:80` for any free local port; a
/// name may replace the last number.
pub(crate) fn parse(text: &str) -> Result<Ports, Failure> {
    let wrong = || {
        let hint = "Use LOCAL:REMOTE, like 8080:80; `:80` picks a free local port.";
        Failure::usage(Topic::CommandLine, format!("{text:?} is not a pair of ports."), hint)
    };
    let (local, remote) = text.split_once(':').unwrap_or((text, text));
    let remote = match remote.parse() {
        Ok(0) => return Err(wrong()),
        Ok(number) => Port::Number(number),
        Err(_) if is_name(remote) => Port::Named(remote.to_owned()),
        Err(_) => return Err(wrong()),
    };
    let local = match (local, &remote) {
        ("", _) => 0,
        // Only a name: its number is not known yet.
        (local, Port::Named(name)) if local == name => 0,
        (local, _) => local.parse().map_err(|_| wrong())?,
    };
    Ok(Ports { local, remote })
}

/// The Pod's port behind a Service's port, found as kubectl does. A name alone also stands for the
/// Service's port number.
pub(crate) fn behind_service(
    text: &str,
    wanted: &Ports,
    service: &Value,
) -> Result<Ports, Failure> {
    let ports: Vec<_> = service["spec"]["ports"].as_array().into_iter().flatten().collect();
    let fits = |port: &&&Value| match &wanted.remote {
        Port::Number(number) => port["port"] == *number,
        Port::Named(name) => port["name"] == **name,
        Port::Debugger(_) => false,
    };
    let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    let found = ports.iter().find(fits).and_then(|port| Some((port, number(&port["port"])?)));
    let Some((found, port)) = found else {
        let there = ports.iter().filter_map(|port| number(&port["port"]));
        let there: Vec<_> = there.map(|port| port.to_string()).collect();
        let what = format!("The service has no port {}.", wanted.remote);
        return Err(Failure::usage(Topic::NotFound, what, format!("It has {}.", there.join(", "))));
    };
    let remote = match &found["targetPort"] {
        // A headless Service has no address of its own: its ports are those of the Pods.
        _ if service["spec"]["clusterIP"] == "None" => Port::Number(port),
        Value::String(name) => Port::Named(name.clone()),
        target => Port::Number(number(target).filter(|target| *target > 0).unwrap_or(port)),
    };
    let is_name_alone = matches!(&wanted.remote, Port::Named(name) if text == name);
    Ok(Ports { local: if is_name_alone { port } else { wanted.local }, remote })
}

/// Whether it is a valid port name of Kubernetes.
fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=15).contains(&text.len())
        && text.chars().all(good)
        && text.chars().any(|c| c.is_ascii_lowercase())
}

/// The number of a port in this Pod.
pub(crate) fn number(port: &Port, pod: &Value) -> Result<u16, Failure> {
    let name = match port {
        Port::Number(number) => return Ok(*number),
        Port::Named(name) | Port::Debugger(name) => name,
    };
    let lists = ["containers", "initContainers"];
    let containers = lists.into_iter().filter_map(|list| pod["spec"][list].as_array()).flatten();
    let ports: Vec<_> =
        containers.filter_map(|container| container["ports"].as_array()).flatten().collect();
    let found = ports.iter().find(|port| port["name"] == **name);
    let number = found.and_then(|port| port["containerPort"].as_u64()?.try_into().ok());
    number.ok_or_else(|| {
        let names: Vec<_> = ports.iter().filter_map(|port| port["name"].as_str()).collect();
        let hint = match names.len() {
            0 => "Its ports have no names: use a number.".to_owned(),
            _ => format!("There is {}.", names.join(", ")),
        };
        Failure::usage(Topic::NotFound, format!("The Pod has no port named {name}."), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn port_pairs_are_parsed_as_by_kubectl() {
        let of = |text: &str| parse(text).map(|p| (p.local, p.remote.to_string())).ok();
        for (text, local, remote) in [
            ("8080", 8080, "8080"),
            ("8080:80", 8080, "80"),
            (":80", 0, "80"),
            ("0:80", 0, "80"),
            ("8080:http", 8080, "http"),
            ("http", 0, "http"),
        ] {
            assert_eq!(of(text), Some((local, remote.to_owned())), "{text}");
        }
        for text in ["", ":", "80:0", "0", "x:80", "70000", "80:HTTP", "1:2:3", "80:-"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn service_ports_map_to_pod_ports() {
        let service = json!({ "spec": { "ports": [
            { "name": "http", "port": 80, "targetPort": 8080 },
            { "name": "admin", "port": 81, "targetPort": "management" },
            { "name": "same", "port": 82 },
        ] } });
        let of = |text: &str, service: &Value| {
            let ports = behind_service(text, &parse(text).unwrap(), service);
            ports.map(|p| (p.local, p.remote.to_string())).map_err(|failure| failure.hint)
        };
        for (text, local, remote) in [
            ("80", 80, "8080"),
            ("9000:80", 9000, "8080"),
            ("http", 80, "8080"),
            (":http", 0, "8080"),
            ("1:admin", 1, "management"),
            ("82", 82, "82"),
        ] {
            assert_eq!(of(text, &service), Ok((local, remote.to_owned())), "{text}");
        }
        assert_eq!(of("8080", &service), Err("It has 80, 81, 82.".to_owned()));
        let mut headless = service;
        headless["spec"]["clusterIP"] = "None".into();
        assert_eq!(of("80", &headless), Ok((80, "80".to_owned())));
    }

    #[test]
    fn port_names_are_resolved_in_the_pod() {
        let pod = json!({ "spec": { "containers": [
            { "name": "a" },
            { "name": "b", "ports": [{ "name": "http", "containerPort": 8080 }] },
        ] } });
        assert_eq!(number(&Port::Named("http".into()), &pod).unwrap(), 8080);
        assert_eq!(number(&Port::Number(1), &pod).unwrap(), 1);
        assert_eq!(number(&Port::Named("x".into()), &pod).unwrap_err().hint, "There is http.");
    }
}
