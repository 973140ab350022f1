//! Findings of checks: plain data, which `report` prints.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

mod denial;
mod explain;
pub mod policy;
pub mod reach;
pub mod static_pod;
mod titles;
pub mod version;
mod webhook;

pub use denial::Denial;
pub use explain::{Cause, causes, explain};
pub use titles::TITLES;
pub use webhook::{
    CheckSubject, Connection, DryCreate, Look, Observed, Secret, Unseen, findings, image_of,
    is_emptied_by_policy, is_emptied_to, level, owner, port_name, ready, selects, url_host,
};

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Finding {
    /// Stable, kebab-case.
    pub id: &'static str,
    /// What was checked, in a few words: the same for every finding of that id.
    pub title: &'static str,
    /// The workload, if there may be several; else empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// The result.
    pub level: Level,
    /// The observation, on one line.
    pub seen: String,
    /// The hint; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Duration in microseconds; 0 if not measured.
    pub micros: u64,
}

/// The result of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// OK.
    Ok,
    /// It works, with a warning.
    Warning,
    /// It does not work.
    Failed,
    /// It could not be checked.
    Unknown,
}

impl Finding {
    /// A finding without a duration.
    pub fn new(
        level: Level,
        id: &'static str,
        seen: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let title = titles::title(id);
        let (seen, hint) = (seen.into(), hint.into());
        Self { id, title, object: String::new(), level, seen, hint, micros: 0 }
    }

    /// The same, for one workload.
    #[must_use]
    pub fn about(self, object: impl Into<String>) -> Self {
        Self { object: object.into(), ..self }
    }

    /// The same, with its duration.
    #[must_use]
    pub fn took(self, took: Duration) -> Self {
        Self { micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX), ..self }
    }

    /// OK.
    pub fn ok(id: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Ok, id, seen, "")
    }

    /// It does not work, with a hint.
    pub fn failed(id: &'static str, seen: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Level::Failed, id, seen, hint)
    }

    /// It works, with a warning.
    pub fn warning(id: &'static str, seen: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Level::Warning, id, seen, hint)
    }

    /// It could not be checked, with the reason.
    pub fn unknown(id: &'static str, seen: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Level::Unknown, id, seen, hint)
    }
}
