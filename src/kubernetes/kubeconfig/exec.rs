//! Credential plugins: programs that print an `ExecCredential`, run as by client-go.
//!
//! Their arguments, environment and output contain secrets, and are never shown. Their stderr goes
//! to the user unchanged.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    fields::ConfigFields,
    issued::{Current, Issued, Refused, bearer},
    path::resolve,
    trust::Identity,
};
use crate::{exit::quoted, platform::process::signal_of, ui, yaml};

/// What a plugin reads from its environment.
const EXEC_INFO: &str = "KUBERNETES_EXEC_INFO";
const V1: &str = "client.authentication.k8s.io/v1";
const V1BETA1: &str = "client.authentication.k8s.io/v1beta1";

/// `exec` of a user.
#[derive(Clone)]
pub(super) struct Plugin {
    command: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    api_version: String,
    install_hint: String,
    interactive_mode: String,
    pub(super) wants_cluster: bool,
    /// The cluster information for the plugin.
    pub(super) cluster: Option<Value>,
}

impl Plugin {
    pub(super) fn from_fields(fields: &ConfigFields<'_>, folder: &Path) -> Result<Self> {
        let mut command = fields.text("command")?;
        // A name without a path is searched on PATH.
        if command.contains(std::path::is_separator) {
            resolve(&mut command, folder);
        }
        let api_version = fields.text("apiVersion")?;
        let mut interactive_mode = fields.text("interactiveMode")?;
        let is_older = api_version == V1BETA1 || api_version.ends_with("/v1alpha1");
        if interactive_mode.is_empty() && is_older {
            "IfAvailable".clone_into(&mut interactive_mode);
        }
        let each = fields.each("env")?;
        let env: Result<_> =
            each.iter().map(|each| Ok((each.text("name")?, each.text("value")?))).collect();
        Ok(Self {
            command,
            args: fields.texts("args")?,
            env: env?,
            api_version,
            install_hint: fields.text("installHint")?,
            interactive_mode,
            wants_cluster: fields.flag("provideClusterInfo")?,
            cluster: None,
        })
    }

    pub(super) fn view(&self) -> Value {
        let env = |(name, value): &(String, String)| json!({ "name": name, "value": value });
        let mut view = json!({
            "command": self.command,
            "args": self.args,
            "env": self.env.iter().map(env).collect::<Vec<_>>(),
            "provideClusterInfo": self.wants_cluster,
        });
        for (name, text) in [
            ("apiVersion", &self.api_version),
            ("installHint", &self.install_hint),
            ("interactiveMode", &self.interactive_mode),
        ] {
            if !text.is_empty() {
                view[name] = json!(text);
            }
        }
        view
    }

    /// Why kubectl rejects it; `None` for a valid plugin.
    pub(super) fn problem(&self) -> Option<String> {
        let Self { command, api_version, interactive_mode, .. } = self;
        let modes = ["Never", "IfAvailable", "Always"];
        Some(match () {
            () if command.is_empty() => "its credential plugin has no command".to_owned(),
            () if ![V1, V1BETA1].contains(&api_version.as_str()) => format!(
                "its credential plugin {command} has the apiVersion {api_version:?}, and only \
                 {V1} and {V1BETA1} are supported: use a newer version of the plugin"
            ),
            () if self.env.iter().any(|(name, _)| name.is_empty()) => {
                format!("its credential plugin {command} has an env without a name")
            }
            () if !modes.contains(&interactive_mode.as_str()) => format!(
                "its credential plugin {command} needs an interactiveMode: Never, IfAvailable or \
                 Always"
            ),
            () => return None,
        })
    }

    /// Runs it to its end.
    pub(super) fn issue(&self) -> Result<Issued, Refused> {
        let Self { command, args, env, api_version, .. } = self;
        // It may ask its user something.
        ui::notice::end();
        let is_terminal = io::stdin().is_terminal();
        let interactive = match self.interactive_mode.as_str() {
            "Never" => false,
            "Always" if !is_terminal => {
                return Err(self.refused("needs a terminal, and stdin is not a terminal"));
            }
            _ => is_terminal,
        };
        let mut spec = json!({ "interactive": interactive });
        if let Some(cluster) = self.cluster.as_ref().filter(|_| self.wants_cluster) {
            spec["cluster"] = cluster.clone();
        }
        let info = json!({ "kind": "ExecCredential", "apiVersion": api_version, "spec": spec });
        let output = Command::new(command)
            .args(args)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .env(EXEC_INFO, info.to_string())
            // diyadm may need its own input.
            .stdin(if interactive { Stdio::inherit() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .output();
        let output = output.map_err(|error| self.not_started(&error))?;
        if !output.status.success() {
            return Err(self.refused(&ended(output.status)));
        }
        self.parse(&output.stdout).map_err(|what| self.refused(what))
    }

    fn parse(&self, stdout: &[u8]) -> Result<Issued, &'static str> {
        const NOT_ONE: &str = "printed no ExecCredential";
        let text = std::str::from_utf8(stdout).map_err(|_| NOT_ONE)?;
        let documents = yaml::parse_documents("", text).map_err(|_| NOT_ONE)?;
        let value = documents.into_iter().next().map(|document| document.value).ok_or(NOT_ONE)?;
        let fields = ConfigFields::new(&value, String::new()).map_err(|_| NOT_ONE)?;
        if fields.text("kind").ok().as_deref() != Some("ExecCredential") {
            return Err(NOT_ONE);
        }
        if fields.text("apiVersion").ok().as_ref() != Some(&self.api_version) {
            return Err("printed an ExecCredential of another apiVersion than the kubeconfig has");
        }
        let status = fields.optional("status").map_err(|_| NOT_ONE)?;
        let status = status.ok_or("printed an ExecCredential without a status")?;
        let text = |name| status.text(name).map_err(|_| NOT_ONE);
        let token = text("token")?;
        let (certificate, key) = (text("clientCertificateData")?, text("clientKeyData")?);
        let expires = match text("expirationTimestamp")?.as_str() {
            "" => None,
            time => Some(
                time.parse().map_err(|_| "printed an expirationTimestamp that is not a time")?,
            ),
        };
        if certificate.is_empty() != key.is_empty() {
            return Err("printed a certificate or a key, and not both");
        }
        if token.is_empty() && key.is_empty() {
            return Err("printed neither a token nor a certificate with its key");
        }
        let identity = if key.is_empty() {
            None
        } else {
            let identity = Identity::parse(certificate.as_bytes(), key.as_bytes());
            Some(Arc::new(
                identity.map_err(|_| "printed a certificate and a key that do not match")?,
            ))
        };
        let authorization = if token.is_empty() {
            None
        } else {
            Some(bearer(&token).map_err(|_| "printed a token that cannot be sent")?)
        };
        Ok(Issued { current: Arc::new(Current { authorization, identity }), expires })
    }

    fn refused(&self, what: &str) -> Refused {
        Refused::new(format!("the credential plugin {} {what}", self.command))
    }

    fn not_started(&self, error: &io::Error) -> Refused {
        let details = self.install_hint.trim_end().to_owned();
        let command = quoted(&self.command);
        let hint = format!(
            "Install it, or add its folder to PATH, so that `command -v {command}` finds \
                     it."
        );
        let what = match error.kind() {
            io::ErrorKind::NotFound => "is not installed, or not on PATH".to_owned(),
            _ => format!("cannot be run: {error}"),
        };
        Refused { details, hint, ..self.refused(&what) }
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), signal_of(status)) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}
