//! What emptying would do to a workload, or why it would not, for `diyadm plan`.
//!
//! Pure: observations and decisions are passed in, and a value to print is returned.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    conflicts::{self, Meant},
    explain::{self, Explained},
    webhook::checks::Finding,
    workload::{Context, Rules, Subject},
};

mod fields;
mod image;
pub mod jobs;
mod text;

pub use fields::Edit;

/// What would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    /// Its pod template changes.
    Template,
    /// Its Pods are replaced, and a webhook or policy empties them; its own template does not
    /// change.
    Pods,
    /// Nothing: it is already empty.
    Already,
    /// Nothing: it stays as it is.
    Nothing,
}

/// A decision that was made elsewhere.
#[derive(Clone, Debug)]
pub struct Decided {
    /// What would be done.
    pub does: Does,
    /// A sentence without its full stop: why it stays as it is, or who empties its Pods.
    pub why: String,
    /// The hint for that; may be empty.
    pub hint: String,
    /// Operations of the JSON Patch that would be sent.
    pub operations: Vec<Value>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl Decided {
    /// A decision without a reason, changes or warnings.
    pub fn new(does: Does) -> Self {
        Self {
            does,
            why: String::new(),
            hint: String::new(),
            operations: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// The plan for one workload.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadPlan {
    /// Its identity, and the source of each part of the decision.
    #[serde(flatten)]
    pub explained: Explained,
    /// What would be done.
    pub does: Does,
    /// Why it stays as it is, or who empties its Pods; a sentence without its full stop.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The containers that would be emptied; empty if a webhook or policy chooses them.
    pub containers: Vec<String>,
    /// Each field that would change.
    pub changes: Vec<Edit>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// Whether the image can idle this way, and objects that conflict with the workload.
    pub findings: Vec<Finding>,
}

/// Which container is emptied, if there are several candidates.
fn choice(candidates: &[String]) -> Option<Finding> {
    let (chosen, others) = candidates.split_first().filter(|(_, others)| !others.is_empty())?;
    let seen = format!("container {chosen} is the first of {}", candidates.join(", "));
    let hint = format!("Choose another with --containers {}.", others[0]);
    Some(Finding::unknown("choice", seen, hint))
}

/// Combines everything known about one workload. `around`: the objects of its namespace.
pub fn plan(
    rules: &Rules,
    object: &Value,
    context: &Context<'_>,
    decided: Decided,
    around: &[Value],
) -> WorkloadPlan {
    let text = object.to_string();
    let name = object["metadata"]["name"].as_str();
    let name = name.or(object["metadata"]["generateName"].as_str()).unwrap_or_default();
    let Decided { does, why, hint, operations, warnings } = decided;
    let mut plan = WorkloadPlan {
        explained: Explained::default(),
        does,
        why,
        hint,
        containers: Vec::new(),
        changes: fields::edits(object, &operations),
        warnings,
        findings: Vec::new(),
    };
    let Some(subject) = Subject::parse(&text) else { return plan };
    plan.explained = explain::explain(rules, &subject, context, name);
    if let Ok(decision) = subject.decide(rules, context) {
        let way = &decision.way;
        // The webhook or policy that empties the Pods has its own rules.
        if does != Does::Pods {
            plan.containers = subject.chosen(rules, context);
            plan.findings = image::findings(object, way, rules, &plan.containers);
        }
        let meant = Meant { level: way.level, replicas: way.replicas };
        plan.findings.extend(conflicts::findings(object, around, meant));
        if matches!(does, Does::Template | Does::Pods | Does::Already) {
            let suspended = way.suspend || object["spec"]["suspend"] == true;
            plan.findings.extend(jobs::findings(object, suspended));
            plan.findings.extend(choice(&subject.candidates(rules, context)));
        }
        // A workload that stays as it is, is already empty, or gets a stand-in does not change for
        // its clients.
        if matches!(does, Does::Template | Does::Pods) && way.stand_in.is_none() {
            let replicas = way.replicas.map(u64::from);
            let replicas = replicas.or_else(|| conflicts::replicas(object, subject.workload()?));
            let emptied = &plan.containers;
            let services = conflicts::services(object, around, emptied, replicas, way.ready);
            plan.findings.extend(services);
        }
    }
    plan
}
