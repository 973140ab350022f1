//! What was looked at and what it came to: findings are data, `report` prints them.

use std::time::Duration;

use serde::Serialize;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable, kebab-case.
    pub id: &'static str,
    /// What was looked at, or what was seen: one line.
    pub title: String,
    /// What it came to.
    pub level: Level,
    /// What to do next; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// How long it took, microseconds.
    pub micros: u64,
}

/// What a finding came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Does not work.
    Failed,
}

impl Finding {
    /// As it should be.
    pub fn ok(id: &'static str, title: String, took: Duration) -> Self {
        Self { id, title, level: Level::Ok, hint: String::new(), micros: micros(took) }
    }

    /// Does not work, and what to do.
    pub fn failed(id: &'static str, title: String, hint: String, took: Duration) -> Self {
        Self { id, title, level: Level::Failed, hint, micros: micros(took) }
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
