//! Which ports are forwarded, out of the words of the command line. Pure.

use std::fmt;

use serde_json::Value;

use crate::exit::Failure;

/// A port of this side and one of a Pod's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// Of this side; 0 lets the system pick.
    pub(crate) local: u16,
    /// Of the Pod.
    pub(crate) remote: Port,
}

/// A port of a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// By its number.
    Number(u16),
    /// By the name that a container gives it.
    Named(String),
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// `8080` for the same on both sides, `8080:80`, `:80` and `0:80` for any here; a name in place of
/// the last.
pub(crate) fn parse(text: &str) -> Result<Ports, Failure> {
    let wrong = || {
        let hint = "Type LOCAL:REMOTE, like 8080:80; `:80` picks a free one here.";
        Failure::usage(format!("{text:?} is no pair of ports."), hint)
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
        // A name alone: its number is not known yet.
        (local, Port::Named(name)) if local == name => 0,
        (local, _) => local.parse().map_err(|_| wrong())?,
    };
    Ok(Ports { local, remote })
}

/// What Kubernetes takes for a port's name.
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
        Port::Named(name) => name,
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
            0 => "Its ports have no names: type a number.".to_owned(),
            _ => format!("There is {}.", names.join(", ")),
        };
        Failure::usage(format!("The Pod has no port that is named {name}."), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pairs_of_ports_are_kubectls() {
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
    fn a_name_is_looked_up_in_the_pod() {
        let pod = json!({ "spec": { "containers": [
            { "name": "a" },
            { "name": "b", "ports": [{ "name": "http", "containerPort": 8080 }] },
        ] } });
        assert_eq!(number(&Port::Named("http".into()), &pod).unwrap(), 8080);
        assert_eq!(number(&Port::Number(1), &pod).unwrap(), 1);
        assert_eq!(number(&Port::Named("x".into()), &pod).unwrap_err().hint, "There is http.");
    }
}
