//! Errors in `diyadm.yaml` and `rules.yaml`: the message, the position, and the line as shown by
//! serde-saphyr.

use std::fmt;

use serde_saphyr::{CroppedRegion, Error, Location};

/// Characters shown on each side of the position in a long line.
const CROP_RADIUS: usize = 60;

/// Why a configuration file is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// A sentence without its full stop.
    what: String,
    place: Option<ErrorLocation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ErrorLocation {
    line: u64,
    column: u64,
    snippet: String,
}

impl ConfigError {
    /// An error about the whole file.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), place: None }
    }

    /// An error at `location` of the file with this text.
    pub(crate) fn at(location: Location, text: &str, what: impl Into<String>) -> Self {
        let (line, column) = (location.line(), location.column());
        let place = || ErrorLocation { line, column, snippet: snippet(location, text) };
        Self { what: what.into(), place: (location != Location::UNKNOWN).then(place) }
    }

    /// The line with a mark below the position; several lines of text, empty without a position.
    pub fn snippet(&self) -> &str {
        self.place.as_ref().map_or("", |place| &place.snippet)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ErrorLocation { line, column, .. }) = &self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for ConfigError {}

/// Whether the line is an `env:` or below one, where passwords may be.
fn is_below_env(text: &str, line: usize) -> bool {
    let lines: Vec<_> = text.lines().take(line).collect();
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let mut deepest = usize::MAX;
    lines.iter().rev().filter(|line| !line.trim().is_empty()).any(|line| {
        let is_parent = indent(line) < deepest;
        deepest = deepest.min(indent(line));
        is_parent && line.contains("env:")
    })
}

/// Only the line itself is shown, and no lines below `env:`, which may contain a password.
fn snippet(location: Location, text: &str) -> String {
    let number = usize::try_from(location.line()).unwrap_or(usize::MAX);
    let Some(line) = number.checked_sub(1).and_then(|index| text.lines().nth(index)) else {
        return String::new();
    };
    if is_below_env(text, number) {
        return String::new();
    }
    let region = CroppedRegion::new(line, "", number, number, location);
    let error = Box::new(Error::Message { msg: String::new(), location });
    let shown =
        Error::WithSnippet { regions: vec![region], crop_radius: CROP_RADIUS, error }.render();
    // Its title and the file name are in the message.
    let lines = shown.lines().skip_while(|line| line.trim() != "|");
    lines.map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_error_shows_the_line_with_a_marker() {
        let text = "a: 1\nb: [secret]\n容器: x\n";
        let location = |wanted: &str| {
            let error = serde_saphyr::from_str::<std::collections::BTreeMap<String, u8>>(wanted);
            error.unwrap_err().location().unwrap()
        };
        let error = ConfigError::at(location("a: 1\n\nb: x\n"), text, "it is wrong");
        assert_eq!(error.to_string(), "line 3, column 4: it is wrong");
        assert_eq!(error.snippet(), "  |\n3 | 容器: x\n  |      ^");
        for secret in
            ["a: 1\n\nenv: [x]\n", "env:\n\n  b: x\n", "run: {\n x: 1,\n env: { b: x }}\n"]
        {
            let error = ConfigError::at(location("a: 1\n\nb: x\n"), secret, "it is wrong");
            assert_eq!(error.snippet(), "", "{secret}");
        }
        let error = ConfigError::at(Location::UNKNOWN, text, "it is wrong");
        assert_eq!((error.to_string().as_str(), error.snippet()), ("it is wrong", ""));
    }
}
