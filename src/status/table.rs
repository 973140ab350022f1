//! The status table as text, aligned as by kubectl.

use std::time::Duration;

use super::Row;
use crate::ui::text;

/// Which columns are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The namespace, if there are several.
    pub namespace: bool,
    /// The user, containers, images and notes.
    pub wide: bool,
    /// The header.
    pub titles: bool,
    /// The width of the terminal, to which cells are cut.
    pub most: Option<usize>,
}

/// The rows as text at `now`, seconds since 1970.
pub fn table(rows: &[Row], columns: Columns, now: i64) -> String {
    let mut lines = Vec::new();
    if columns.titles {
        let titles = ["WORKLOAD", "STATE", "SINCE", "READY", "LEVEL", "IDLE", "NEWER"];
        lines.push(cells(
            columns,
            "NAMESPACE",
            titles,
            ["BY", "CONTAINERS", "APPLICATIONS", "WHO", "LEFT", "NOTE"],
        ));
    }
    for row in rows {
        let workload = format!("{}/{}", row.kind.to_lowercase(), row.name);
        let idles = distinct(row.containers.iter().map(|container| container.idle.to_owned()));
        let newer = match &row.newer_since {
            Some(at) => age(at, now),
            None if row.newer => "yes".to_owned(),
            None => String::new(),
        };
        let containers = row.containers.iter().map(|c| format!("{}={}", c.name, c.image));
        let narrow = [
            workload.as_str(),
            row.state.as_str(),
            &age(&row.since, now),
            &row.ready,
            if row.copy_of.is_some() { "copy" } else { row.level.as_str() },
            &idles.join(","),
            &newer,
        ];
        let applications = row.applications.iter().map(|app| format!("{} {}", app.name, app.state));
        let who = row.applications.iter().filter_map(|app| app.who.clone());
        let left = row.applications.iter().filter_map(|app| app.left_ms);
        let left = left.map(|ms| ms.div_ceil(1000).cast_signed());
        let left = left.chain(row.expires.as_deref().and_then(|at| until(at, now)));
        let wide = [
            row.by.as_str(),
            &containers.collect::<Vec<_>>().join(","),
            &distinct(applications).join(", "),
            &distinct(who).join(", "),
            // What ends first: one of the leases, or the workload's own time.
            &left.min().map(span).unwrap_or_default(),
            row.note.as_str(),
        ];
        lines.push(cells(columns, &row.namespace, narrow, wide));
    }
    text::columns_within(&lines, columns.most)
}

/// The time from `at` (RFC 3339) to `now` (seconds since 1970), formatted as ages in kubectl.
pub fn age(at: &str, now: i64) -> String {
    let Ok(at) = at.parse::<jiff::Timestamp>() else { return String::new() };
    span((now - at.as_second()).max(0))
}

/// Seconds from `now` (since 1970) until `at` (RFC 3339); 0 if that is over.
fn until(at: &str, now: i64) -> Option<i64> {
    let at: jiff::Timestamp = at.parse().ok()?;
    Some((at.as_second() - now).max(0))
}

/// How long before an end people are warned.
pub const WARNING_BEFORE_END: Duration = Duration::from_secs(15 * 60);

/// `45s`, `12m`, `5h`, `3d`
pub fn span(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 120 => format!("{minutes}m"),
        () if hours < 48 => format!("{hours}h"),
        () => format!("{days}d"),
    }
}

fn distinct(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut words: Vec<_> = words.collect();
    words.dedup();
    words
}

fn cells(columns: Columns, namespace: &str, narrow: [&str; 7], wide: [&str; 6]) -> Vec<String> {
    let namespace = columns.namespace.then_some(namespace);
    let wide = wide.into_iter().filter(|_| columns.wide);
    let all = namespace.into_iter().chain(narrow).chain(wide);
    all.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell.to_owned() }).collect()
}
