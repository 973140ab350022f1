//! The API server's static Pod: whether its flags let admission webhooks run, and the one line
//! that lets them.
//!
//! `--enable-admission-plugins` and `--disable-admission-plugins` are lists that add up when they
//! are repeated (pflag's StringSlice; tests/it asks the real server), and what is on by default stays on
//! unless it is disabled. The old `--admission-control` names everything that is on.

use serde_json::Value;

use super::{Finding, version::unsupported};

mod edit;

pub use edit::fix;

/// What the blog adds by hand.
const WANTED: [&str; 2] = ["MutatingAdmissionWebhook", "ValidatingAdmissionWebhook"];
const ENABLE: &str = "--enable-admission-plugins";
const DISABLE: &str = "--disable-admission-plugins";
const EXACT: &str = "--admission-control";
const RUNTIME: &str = "--runtime-config";

/// One item of `command` or `args`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    /// `command` or `args`
    list: &'static str,
    /// Among the items of its list.
    index: usize,
    text: String,
}

/// A value of a flag, and the item that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    item: usize,
    value: String,
}

/// A manifest whose kube-apiserver container was found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Manifest {
    items: Vec<Item>,
    /// Minor version of 1.x, from the image's tag.
    minor: Option<u32>,
    image: String,
}

impl Manifest {
    fn parse(text: &str) -> Result<Self, String> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text)
            .map_err(|error| format!("it is not YAML: {}", first_line(&error.to_string())))?;
        let mut documents = documents.into_iter().filter(|document| !document.is_null());
        let (Some(pod), None) = (documents.next(), documents.next()) else {
            return Err("it must hold one document".to_owned());
        };
        if pod["kind"] != "Pod" {
            return Err("it holds no Pod".to_owned());
        }
        let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
        let is_server = |container: &&Value| {
            let image = container["image"].as_str().unwrap_or_default();
            container["name"] == "kube-apiserver" || image.contains("kube-apiserver")
        };
        let mut servers = containers.iter().filter(is_server);
        let (Some(server), None) = (servers.next(), servers.next()) else {
            return Err("it must hold one container kube-apiserver".to_owned());
        };
        let mut items = Vec::new();
        for list in ["command", "args"] {
            for (index, item) in server[list].as_array().into_iter().flatten().enumerate() {
                let text =
                    item.as_str().ok_or_else(|| format!("{list} holds {item}, no string"))?;
                items.push(Item { list, index, text: text.to_owned() });
            }
        }
        let first = items.iter().find(|item| item.list == "command").map(|item| &item.text);
        if let Some(program) = first
            && program.rsplit('/').next() != Some("kube-apiserver")
        {
            return Err(format!("its command starts {program}, not kube-apiserver itself"));
        }
        let image = server["image"].as_str().unwrap_or_default().to_owned();
        let minor = image
            .rsplit_once(":v1.")
            .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        Ok(Self { items, minor, image })
    }

    /// Every value of a flag: `--flag=value`, or `--flag` and the value as the next item.
    fn values(&self, flag: &str) -> Vec<Setting> {
        let mut values = Vec::new();
        for (at, item) in self.items.iter().enumerate() {
            if let Some(value) = item.text.strip_prefix(flag).and_then(|r| r.strip_prefix('=')) {
                values.push(Setting { item: at, value: value.to_owned() });
            } else if item.text == flag
                && let Some(next) = self.items.get(at + 1)
            {
                values.push(Setting { item: at + 1, value: next.text.clone() });
            }
        }
        values
    }

    fn names(&self, flag: &str) -> Vec<String> {
        self.values(flag).iter().flat_map(|v| split(&v.value)).collect()
    }
}

fn split(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|n| !n.is_empty()).map(ToOwned::to_owned).collect()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What the manifest's flags mean for webhooks.
///
/// # Errors
/// What cannot be read as the static Pod of an API server, and why.
pub fn findings(text: &str) -> Result<Vec<Finding>, String> {
    let manifest = Manifest::parse(text)?;
    let mut findings = vec![match manifest.minor {
        Some(minor) => match unsupported(&format!("v1.{minor}")) {
            Some((what, hint)) => Finding::failed("version", what, hint),
            None => Finding::ok("version", format!("the API server is v1.{minor}")),
        },
        None => Finding::warning(
            "version",
            format!("the image {} does not tell the API server's version", manifest.image),
            "See `kubectl version`.",
        ),
    }];
    let (enabled, disabled) = (manifest.names(ENABLE), manifest.names(DISABLE));
    let exact = manifest.values(EXACT).first().map(|_| manifest.names(EXACT));
    let fix = "Let diyadm write it: the same command with --fix.";
    for plugin in WANTED {
        let has = |names: &[String]| names.iter().any(|name| name == plugin);
        findings.push(if has(&disabled) {
            Finding::failed("admission-plugin", format!("{DISABLE} turns {plugin} off"), fix)
        } else if exact.as_deref().is_some_and(|names| !has(names)) {
            Finding::failed("admission-plugin", format!("{EXACT} leaves {plugin} out"), fix)
        } else if exact.is_some() || has(&enabled) {
            Finding::ok("admission-plugin", format!("{plugin} is enabled by name"))
        } else {
            // The flag and its defaults came together, with 1.10.
            match manifest.minor {
                Some(minor) if minor >= 10 => Finding::warning(
                    "admission-plugin",
                    format!("{plugin} is not named; v1.{minor} has it on by default"),
                    "Nothing need be done; --fix names it all the same.",
                ),
                Some(_) => Finding::failed(
                    "admission-plugin",
                    format!("{plugin} is not enabled, and off by default in this version"),
                    fix,
                ),
                None => Finding::warning(
                    "admission-plugin",
                    format!("{plugin} is not named; it is on by default from v1.10 on"),
                    fix,
                ),
            }
        });
    }
    let off = ["api/all=false", "admissionregistration.k8s.io/v1=false"];
    let off = manifest.names(RUNTIME).into_iter().find(|entry| off.contains(&entry.as_str()));
    findings.push(match off {
        Some(entry) => Finding::failed(
            "registration",
            format!("{RUNTIME} has {entry}, so admissionregistration.k8s.io/v1 is not served"),
            format!("Take {entry} out of {RUNTIME}."),
        ),
        None => Finding::ok("registration", "no flag turns admissionregistration.k8s.io/v1 off"),
    });
    findings.push(match manifest.minor {
        Some(36..) => Finding::ok("policy", "MutatingAdmissionPolicy is there, and on by default"),
        Some(34 | 35) => {
            Finding::ok("policy", "MutatingAdmissionPolicy is beta and off by default")
        }
        Some(minor) => {
            Finding::ok("policy", format!("v1.{minor} has no MutatingAdmissionPolicy to rely on"))
        }
        None => Finding::ok("policy", "MutatingAdmissionPolicy is there from v1.36 on"),
    });
    Ok(findings)
}
