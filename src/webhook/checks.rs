//! What was looked at and what it came to: findings are data, `report` prints them.

use std::time::Duration;

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
pub use explain::{Cause, explain};
pub use webhook::{
    Connection, DryCreate, Look, Observed, Secret, Subject, Unseen, findings, image_of,
    is_emptied_by_policy, is_emptied_to, level, owner, port_name, ready, selects, url_host,
};

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable, kebab-case.
    pub id: &'static str,
    /// What was looked at, in a few words: the same for every finding of that id.
    pub title: &'static str,
    /// The workload that it is about, where there may be several; else empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// What it came to.
    pub level: Level,
    /// What was seen, one line.
    pub seen: String,
    /// What to do next; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// How long it took, microseconds; 0 where it took no time of its own.
    pub micros: u64,
}

/// What a finding came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, and someone should know.
    Warning,
    /// Does not work.
    Failed,
    /// Could not be looked at.
    Unknown,
}

impl Finding {
    /// A finding that took no time of its own.
    pub fn new(
        level: Level,
        id: &'static str,
        seen: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let title = titles::of(id);
        let (seen, hint) = (seen.into(), hint.into());
        Self { id, title, object: String::new(), level, seen, hint, micros: 0 }
    }

    /// The same about one workload.
    #[must_use]
    pub fn about(self, object: impl Into<String>) -> Self {
        Self { object: object.into(), ..self }
    }

    /// The same with the time it took.
    #[must_use]
    pub fn took(self, took: Duration) -> Self {
        Self { micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX), ..self }
    }

    /// As it should be.
    pub fn ok(id: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Ok, id, seen, "")
    }

    /// Does not work, and what to do.
    pub fn failed(id: &'static str, seen: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Level::Failed, id, seen, hint)
    }

    /// Works, and someone should know.
    pub fn warning(id: &'static str, seen: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Level::Warning, id, seen, hint)
    }

    /// Could not be looked at, and why.
    pub fn unknown(id: &'static str, seen: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Level::Unknown, id, seen, hint)
    }
}
