//! Checks the flags of the API server's static Pod for admission webhooks, and edits the one line
//! that enables them.
//!
//! `--enable-admission-plugins` and `--disable-admission-plugins` are lists that add up when
//! repeated, and plugins that are on by default stay on unless disabled. The old
//! `--admission-control` is the full list of enabled plugins. The API server does not start with an
//! unknown name; the integration tests check this with the real one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Finding, version::unsupported};
use flags::Served;

mod edit;
mod flags;
mod plugins;
mod proxy;

pub use edit::fix;

/// The plugins that the blog adds by hand.
const WANTED: [&str; 2] = ["MutatingAdmissionWebhook", "ValidatingAdmissionWebhook"];
const ENABLE: &str = "--enable-admission-plugins";
const DISABLE: &str = "--disable-admission-plugins";
const EXACT: &str = "--admission-control";
const RUNTIME: &str = "--runtime-config";
const GATES: &str = "--feature-gates";
const POLICY: &str = "MutatingAdmissionPolicy";
/// Programs that run a command in a string, which is not parsed.
const SHELLS: [&str; 5] = ["sh", "bash", "ash", "dash", "busybox"];

/// One item of `command` or `args`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    /// `command` or `args`
    list: &'static str,
    /// Index in its list.
    index: usize,
    text: String,
}

/// A value of a flag, and its item.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    item: usize,
    value: String,
}

/// A manifest with a kube-apiserver container.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Manifest {
    items: Vec<Item>,
    /// Index of the first flag: wrappers such as /go-runner have their own flags.
    first_flag: usize,
    proxy: Option<Finding>,
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
        // Another container may have an image such as kube-apiserver-healthcheck.
        let named = |container: &&Value| container["name"] == "kube-apiserver";
        let made_from = |container: &&Value| {
            let image = container["image"].as_str().unwrap_or_default();
            let name = image.rsplit('/').next().and_then(|last| last.split([':', '@']).next());
            name == Some("kube-apiserver")
        };
        let one = |is_server: &dyn Fn(&&Value) -> bool| {
            let mut servers = containers.iter().filter(is_server);
            servers.next().filter(|_| servers.next().is_none())
        };
        let server = one(&named).or_else(|| one(&made_from));
        let server = server.ok_or("it must hold one container kube-apiserver")?;
        let mut items = Vec::new();
        for list in ["command", "args"] {
            for (index, item) in server[list].as_array().into_iter().flatten().enumerate() {
                let text = item
                    .as_str()
                    .ok_or_else(|| format!("{list} holds {item}, which is not a string"))?;
                items.push(Item { list, index, text: text.to_owned() });
            }
        }
        let first_flag = first_flag(&items)?;
        let image = server["image"].as_str().unwrap_or_default().to_owned();
        let minor = image
            .rsplit_once(":v1.")
            .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        Ok(Self { items, first_flag, proxy: proxy::finding(server), minor, image })
    }

    /// Every value of a flag: `--flag=value`, or `--flag` and the value as the next item.
    fn values(&self, flag: &str) -> Vec<Setting> {
        let mut values = Vec::new();
        for (at, item) in self.items.iter().enumerate().skip(self.first_flag) {
            match flags::split(&item.text) {
                Some((name, Some(value))) if name == flag => {
                    values.push(Setting { item: at, value: value.to_owned() });
                }
                Some((name, None)) if name == flag => {
                    if let Some(next) = self.items.get(at + 1) {
                        values.push(Setting { item: at + 1, value: next.text.clone() });
                    }
                }
                _ => {}
            }
        }
        values
    }

    /// The elements of a flag's values; an unparsable value is one element.
    fn names(&self, flag: &str) -> Vec<String> {
        let values = self.values(flag).into_iter().map(|setting| setting.value);
        values.flat_map(|value| flags::list(&value).unwrap_or_else(|| vec![value])).collect()
    }

    /// The pairs of a flag's values.
    fn map(&self, flag: &str) -> BTreeMap<String, String> {
        let values = self.values(flag);
        flags::map(values.iter().map(|setting| setting.value.as_str()))
    }
}

/// The item after the program's name; the first one, if the image itself starts the program.
fn first_flag(items: &[Item]) -> Result<usize, String> {
    let base = |item: &Item| item.text.rsplit('/').next().unwrap_or_default().to_owned();
    let command = items.iter().find(|item| item.list == "command");
    let started = || items.iter().position(|item| base(item) == "kube-apiserver");
    match command {
        Some(first) if SHELLS.contains(&base(first).as_str()) => {
            Err(format!("its command starts {}, not kube-apiserver itself", first.text))
        }
        Some(first) => started()
            .map(|at| at + 1)
            .ok_or_else(|| format!("its command starts {}, not kube-apiserver itself", first.text)),
        None => Ok(started().map_or(0, |at| at + 1)),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Findings about the manifest's flags for webhooks.
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
    let fix = "To have diyadm write it, run the same command with --fix.";
    findings.extend(unknown(&manifest, fix));
    let overlap: Vec<_> = enabled.iter().filter(|name| disabled.contains(name)).collect();
    if let Some(plugin) = overlap.iter().find(|name| !WANTED.contains(&name.as_str())) {
        let seen =
            format!("{plugin} is in {ENABLE} and in {DISABLE}: the API server does not start");
        let hint = format!("Remove {plugin} from one of them: `grep -n {plugin} FILE`.");
        findings.push(Finding::failed("admission-plugin", seen, hint));
    }
    if exact.is_some() && !(enabled.is_empty() && disabled.is_empty()) {
        let seen =
            format!("{EXACT} excludes {ENABLE} and {DISABLE}: the API server does not start");
        let hint = format!("Remove {EXACT}: `grep -n admission FILE`.");
        findings.push(Finding::failed("admission-plugin", seen, hint));
    }
    for plugin in WANTED {
        let has = |names: &[String]| names.iter().any(|name| name == plugin);
        findings.push(if has(&disabled) {
            Finding::failed("admission-plugin", format!("{DISABLE} turns {plugin} off"), fix)
        } else if exact.as_deref().is_some_and(|names| !has(names)) {
            Finding::failed("admission-plugin", format!("{EXACT} omits {plugin}"), fix)
        } else if exact.is_some() || has(&enabled) {
            Finding::ok("admission-plugin", format!("{plugin} is enabled by name"))
        } else {
            // The flag and its defaults were both introduced in 1.10.
            match manifest.minor {
                Some(minor) if minor >= 10 => Finding::warning(
                    "admission-plugin",
                    format!("{plugin} is not named; v1.{minor} has it on by default"),
                    "Nothing needs to be done; --fix names it explicitly.",
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
    findings.push(registration(&manifest));
    findings.push(Finding::ok("policy", policy(&manifest, &disabled, exact.as_deref())));
    findings.extend(manifest.proxy);
    Ok(findings)
}

/// Elements that are not plugin names.
fn unknown(manifest: &Manifest, fix: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for flag in [ENABLE, DISABLE, EXACT] {
        for Setting { value, .. } in manifest.values(flag) {
            let elements = flags::list(&value).unwrap_or_else(|| vec![value.clone()]);
            for element in elements.iter().filter(|element| !plugins::is_known(element)) {
                let seen = format!("{flag} names {element:?}, which is not an admission plugin");
                findings.push(if plugins::is_misspelled(element) {
                    let seen = format!("{seen}: the API server does not start");
                    Finding::failed("admission-plugin", seen, fix)
                } else {
                    let hint = "See what this API server knows: `kube-apiserver --help | grep \
                                admission-plugins`.";
                    Finding::warning("admission-plugin", format!("{seen} of Kubernetes"), hint)
                });
            }
        }
    }
    findings
}

/// Whether admission webhooks can be registered.
fn registration(manifest: &Manifest) -> Finding {
    let config = manifest.map(RUNTIME);
    match flags::served(&config, "v1", "mutatingwebhookconfigurations", true) {
        Served::Yes => {
            Finding::ok("registration", "no flag turns admissionregistration.k8s.io/v1 off")
        }
        Served::No(entries) => {
            let entries = entries.join(",");
            Finding::failed(
                "registration",
                format!(
                    "{RUNTIME} has {entries}, so admissionregistration.k8s.io/v1 is not served"
                ),
                format!("Remove {entries} from {RUNTIME}."),
            )
        }
        Served::Refused(entry) => Finding::failed(
            "registration",
            format!("{RUNTIME} has {entry}: the API server does not start"),
            format!("Remove {entry} from {RUNTIME}, or set it to true or false."),
        ),
    }
}

/// Findings about MutatingAdmissionPolicy, which only the mode `policy` needs.
fn policy(manifest: &Manifest, disabled: &[String], exact: Option<&[String]>) -> String {
    let gates = manifest.map(GATES);
    let gate = |name: &str| {
        let value = gates.get(name).or_else(|| gates.get(&format!("kube:{name}")))?;
        flags::boolean(value)
    };
    let is_plugin_off = disabled.iter().any(|name| name == POLICY)
        || exact.is_some_and(|names| names.iter().all(|name| name != POLICY));
    let config = manifest.map(RUNTIME);
    let serves = |version: &str, by_default| {
        let resource = "mutatingadmissionpolicies";
        flags::served(&config, version, resource, by_default) == Served::Yes
    };
    match manifest.minor {
        Some(36..) if gate(POLICY) == Some(false) => {
            format!("{GATES} turns {POLICY} off: `--mode policy` does nothing there")
        }
        Some(34..) if is_plugin_off => {
            format!("the admission plugin {POLICY} is off: `--mode policy` does nothing there")
        }
        Some(36..) if !serves("v1", true) => {
            format!("{RUNTIME} turns {POLICY} off: `--mode policy` does nothing there")
        }
        Some(36..) => format!("{POLICY} is available and on by default"),
        Some(34 | 35) => {
            let is_on = gate(POLICY).or(gate("AllBeta")) == Some(true) && serves("v1beta1", false);
            let state = if is_on { "turned on" } else { "off by default" };
            format!("{POLICY} is beta and {state}")
        }
        Some(minor) => format!("v1.{minor} has no stable {POLICY}"),
        None => format!("{POLICY} is available from v1.36 on"),
    }
}
