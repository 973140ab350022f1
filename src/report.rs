//! Prints findings as JSON or JUnit; the terminal prints the lines for people.

use std::fmt::Write;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;

use crate::webhook::checks::{Finding, Level};

/// Formats of a report.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportFormat {
    /// One line a step, for people, on stderr
    #[default]
    Text,
    /// JSON
    Json,
    /// JUnit XML, for pipelines
    Junit,
}

/// The findings, and how many there are of each level.
#[derive(JsonSchema, Serialize)]
pub struct Report<'a> {
    /// In the order of the checks.
    #[schemars(with = "Vec<Finding>")]
    findings: &'a [Finding],
    /// Number of findings without a problem.
    ok: usize,
    /// Number of warnings.
    warnings: usize,
    /// Number of failures.
    failed: usize,
    /// Number of findings that could not be checked.
    unknown: usize,
}

/// A [`Report`], indented, with a newline at its end.
///
/// # Errors
/// None in practice: it is plain data.
pub fn json(findings: &[Finding]) -> serde_json::Result<String> {
    let count = |level| count(findings, level);
    let report = Report {
        findings,
        ok: count(Level::Ok),
        warnings: count(Level::Warning),
        failed: count(Level::Failed),
        unknown: count(Level::Unknown),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

/// JUnit XML: one test suite, with one case for each finding.
pub fn junit(suite: &str, findings: &[Finding]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (tests, suite) = (findings.len(), escape(suite));
    let (failures, skipped) = (count(findings, Level::Failed), count(findings, Level::Unknown));
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = writeln!(out, "{text}");
    };
    line(format_args!(
        "<testsuite name=\"{suite}\" tests=\"{tests}\" failures=\"{failures}\" \
         skipped=\"{skipped}\">"
    ));
    for Finding { id, object, seen, level, hint, micros, .. } in findings {
        // Most tools that read such files merge cases with the same name.
        let name = [id, object.as_str()].join(" ");
        let name = escape(name.trim_end());
        let seconds = std::time::Duration::from_micros(*micros).as_secs_f64();
        let case =
            format!("  <testcase classname=\"{suite}\" name=\"{name}\" time=\"{seconds:.6}\"");
        match level {
            Level::Ok => line(format_args!("{case}/>")),
            Level::Warning => line(format_args!(
                "{case}>\n    <system-out>{}\n{}</system-out>\n  </testcase>",
                escape(seen),
                escape(hint)
            )),
            Level::Unknown => line(format_args!(
                "{case}>\n    <skipped message=\"{}\"/>\n  </testcase>",
                escape(seen)
            )),
            Level::Failed => line(format_args!(
                "{case}>\n    <failure message=\"{}\">{}</failure>\n  </testcase>",
                escape(seen),
                escape(hint)
            )),
        }
    }
    line(format_args!("</testsuite>"));
    out
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|f| f.level == level).count()
}

/// Escapes XML's five special characters; characters that XML 1.0 does not allow become U+FFFD.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn junit_escapes_what_xml_cannot_hold() {
        let hint = "a < b & \"c\" \u{1b}[0m".to_owned();
        let finding = Finding::failed("x", "'t'", hint);
        let xml = junit("s", &[finding]);
        assert!(xml.contains("tests=\"1\" failures=\"1\" skipped=\"0\""), "{xml}");
        assert!(xml.contains("message=\"&apos;t&apos;\""), "{xml}");
        assert!(xml.contains("a &lt; b &amp; &quot;c&quot; \u{fffd}[0m"), "{xml}");
    }

    #[test]
    fn junit_has_separate_cases_for_each_workload() {
        let of = |object: &str| Finding::ok("empty", "x").about(object);
        let xml = junit("s", &[of("deployment/a"), of("deployment/<b>"), Finding::ok("x", "y")]);
        for name in ["empty deployment/a", "empty deployment/&lt;b&gt;", "x"] {
            assert_eq!(xml.matches(&format!("name=\"{name}\" ")).count(), 1, "{xml}");
        }
    }

    #[test]
    fn json_report_counts_findings() {
        let ok = Finding::ok("a", "b").took(Duration::from_millis(2));
        let value: serde_json::Value = serde_json::from_str(&json(&[ok]).unwrap()).unwrap();
        assert_eq!(value["ok"], 1);
        assert_eq!(value["failed"], 0);
        assert_eq!(value["findings"][0]["micros"], 2000);
    }
}
