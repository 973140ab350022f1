//! The result for each object: a line for people when it happens, and a list for machines (`-o`).

use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    kubernetes::DryRun,
    operations::flags::MachineFormat,
    pki::Facts,
    ui::terminal::{self, Terminal},
};

/// The result for one object or file.
#[derive(Clone, Debug, JsonSchema, Serialize)]
struct ObjectOutcome {
    /// `Secret`; `File` for files of `--out`.
    kind: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    /// `created`, `configured`, `unchanged`, `deleted`, `absent`, `unlabelled`, `restored`.
    #[serde(rename = "outcome")]
    came_to: &'static str,
}

/// The result for each object.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report<'a> {
    /// `client` or `server`, if nothing was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<&'static str>,
    /// In the order of the work.
    #[schemars(with = "Vec<ObjectOutcome>")]
    objects: &'a [ObjectOutcome],
    /// The certificate that is used from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Facts>")]
    certificate: Option<&'a Facts>,
}

/// Prints and stores the result for each object.
pub(crate) struct Outcomes<'a> {
    /// Where it is printed.
    pub(crate) terminal: &'a Terminal,
    dry_run: Option<DryRun>,
    all: Vec<ObjectOutcome>,
}

impl<'a> Outcomes<'a> {
    pub(crate) fn new(terminal: &'a Terminal, dry_run: Option<DryRun>) -> Self {
        Self { terminal, dry_run, all: Vec::new() }
    }

    /// Prints that `kind`/`name` was `outcome`, as kubectl does: `secret/webhook-secret created`.
    pub(crate) fn add(&mut self, kind: &str, namespace: &str, name: &str, outcome: &'static str) {
        let dry = match self.dry_run {
            None => "",
            Some(DryRun::Client) => " (dry run)",
            Some(DryRun::Server) => " (server dry run)",
        };
        // A path needs no kind.
        let prefix = if kind == "File" { String::new() } else { kind.to_lowercase() + "/" };
        self.terminal.done(&format!("{prefix}{name} {outcome}{dry}"), None);
        self.note(kind, namespace, name, outcome);
    }

    /// Stores a result that was already printed.
    pub(crate) fn note(&mut self, kind: &str, namespace: &str, name: &str, outcome: &'static str) {
        let (kind, name, namespace) = (kind.to_owned(), name.to_owned(), namespace.to_owned());
        self.all.push(ObjectOutcome { kind, name, namespace, came_to: outcome });
    }

    /// Whether this is the result for that object.
    pub(crate) fn has(&self, kind: &str, namespace: &str, name: &str, outcome: &str) -> bool {
        self.all.iter().any(|o| {
            (o.kind.as_str(), o.namespace.as_str(), o.name.as_str(), o.came_to)
                == (kind, namespace, name, outcome)
        })
    }

    /// Whether something was changed.
    pub(crate) fn changed(&self) -> bool {
        self.all.iter().any(|one| !["unchanged", "absent"].contains(&one.came_to))
    }

    /// For machines, if requested.
    pub(crate) fn print(
        &self,
        output: Option<MachineFormat>,
        certificate: Option<&Facts>,
    ) -> Result<()> {
        let dry_run = self.dry_run.map(|dry_run| match dry_run {
            DryRun::Client => "client",
            DryRun::Server => "server",
        });
        let report = Report { dry_run, objects: &self.all, certificate };
        match output {
            Some(output) => print(output, &report),
            None => Ok(()),
        }
    }
}

/// Prints a value to stdout.
pub(crate) fn print(output: MachineFormat, value: &impl Serialize) -> Result<()> {
    terminal::print(&match output {
        MachineFormat::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
        MachineFormat::Yaml => serde_yaml::to_string(value)?,
    })
}
