//! What emptying would do to a workload, and why it would not: for whoever looks first.
//!
//! Pure: what was seen and decided comes in, a value to print goes out.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    /// Its pod template changes.
    Template,
    /// Its Pods are replaced, and something else empties them; it stays as it is written.
    Pods,
    /// Nothing: it is empty.
    Already,
    /// Nothing: it stays as it is.
    Nothing,
}

/// What was decided elsewhere.
#[derive(Clone, Debug)]
pub struct Decided {
    /// What would be done.
    pub does: Does,
    /// A sentence without its end: why it stays as it is, or who empties its Pods.
    pub why: String,
    /// What to do about that; may be empty.
    pub hint: String,
    /// Operations of the JSON Patch that would be sent.
    pub operations: Vec<Value>,
    /// What the user would be told.
    pub warnings: Vec<String>,
}

/// What would become of one workload.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Which one it is, and who decided how it is emptied.
    #[serde(flatten)]
    pub explained: Explained,
    /// What would be done.
    pub does: Does,
    /// See [`Decided::why`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// See [`Decided::hint`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The containers that would be emptied; none where something else chooses them.
    pub containers: Vec<String>,
    /// Each field that would change.
    pub changes: Vec<Edit>,
    /// What the user would be told.
    pub warnings: Vec<String>,
    /// Whether the image can idle that way, and what beside the workload works against it.
    pub findings: Vec<Finding>,
}

/// Which container is emptied of several that may be meant.
fn choice(candidates: &[String]) -> Option<Finding> {
    let (chosen, others) = candidates.split_first().filter(|(_, others)| !others.is_empty())?;
    let seen = format!("container {chosen} is the first of {}", candidates.join(", "));
    let hint = format!("Choose another with --containers {}.", others[0]);
    Some(Finding::unknown("choice", seen, hint))
}

/// Puts together what is known of one workload. `around`: what was seen in its namespace, see
/// [`beside::findings`].
pub fn plan(
    rules: &Rules,
    object: &Value,
    context: &Context<'_>,
    decided: Decided,
    around: &[Value],
) -> Plan {
    let text = object.to_string();
    let name = object["metadata"]["name"].as_str();
    let name = name.or(object["metadata"]["generateName"].as_str()).unwrap_or_default();
    let Decided { does, why, hint, operations, warnings } = decided;
    let mut plan = Plan {
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
        // Whoever empties the Pods has rules of its own.
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
        // What stays as it is, or is empty by now, changes nothing for its callers.
        if matches!(does, Does::Template | Does::Pods) {
            let replicas = way.replicas.map(u64::from);
            let replicas = replicas.or_else(|| conflicts::replicas(object, subject.workload()?));
            let emptied = &plan.containers;
            let services = conflicts::services(object, around, emptied, replicas, way.ready);
            plan.findings.extend(services);
        }
    }
    plan
}
