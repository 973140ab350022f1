//! A plan for people.

use super::{Does, WorkloadPlan};
use crate::{ui::text, webhook::checks::Level};

impl WorkloadPlan {
    /// One line: what would be done, and how many problems there are.
    pub fn summary(&self) -> String {
        let problems = self.findings.iter().filter(|finding| finding.level != Level::Ok).count()
            + self.warnings.len();
        let problems = match problems {
            0 => String::new(),
            1 => " (1 warning)".to_owned(),
            many => format!(" ({many} warnings)"),
        };
        text::lines([format!("{}: {}{problems}", self.explained.shown(), self.does())])
    }

    fn does(&self) -> String {
        match self.does {
            Does::Template => "would be emptied: its pod template changes".to_owned(),
            Does::Pods => format!("its Pods would be replaced; {}", self.why),
            Does::Already => "is empty already".to_owned(),
            Does::Nothing => format!("stays as it is: {}", self.why),
        }
    }

    /// Lines: first what would be done, then the source of the decision, each field, and warnings.
    pub fn text(&self) -> String {
        let Self { explained, hint, containers, changes, warnings, findings, .. } = self;
        let mut lines = vec![format!("{}: {}", explained.shown(), self.does())];
        if !hint.is_empty() {
            lines.push(format!("  {hint}"));
        }
        if !containers.is_empty() {
            lines.push(format!("  containers: {}", containers.join(", ")));
        }
        lines.extend(explained.details());
        for edit in changes {
            let of = edit.container.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
            lines.push(format!("  {of}{}", edit.text()));
        }
        for warning in warnings {
            lines.push(format!("  ! {warning}"));
        }
        for finding in findings {
            let mark = match finding.level {
                Level::Ok => "✓",
                Level::Warning => "!",
                Level::Failed => "✗",
                Level::Unknown => "?",
            };
            lines.push(format!("  {mark} {}", finding.seen));
            if !finding.hint.is_empty() {
                lines.push(format!("    {}", finding.hint));
            }
        }
        text::lines(lines)
    }
}
