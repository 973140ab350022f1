//! A plan for people.

use super::{Does, WorkloadPlan};
use crate::{ui::text, webhook::checks::Level};

impl WorkloadPlan {
    /// Lines: first what would be done, then the source of the decision, each field, and warnings.
    pub fn text(&self) -> String {
        let Self { explained, does, why, hint, containers, changes, warnings, findings } = self;
        let does = match does {
            Does::Template => "would be emptied: its pod template changes".to_owned(),
            Does::Pods => format!("its Pods would be replaced; {why}"),
            Does::Already => "is empty already".to_owned(),
            Does::Nothing => format!("stays as it is: {why}"),
        };
        let mut lines = vec![format!("{}: {does}", explained.shown())];
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
