//! rules.yaml, and what its matches fit.

use serde::Deserialize;

use super::{About, Image, Match, Rule, image_name};

impl Match {
    pub(super) fn fits(&self, about: &About<'_>) -> bool {
        self.misfit(about).is_none()
    }

    /// Which of its lists is about others; `None` where it fits.
    pub(super) fn misfit(&self, about: &About<'_>) -> Option<&'static str> {
        let any = |patterns: &[String], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| glob(pattern, text))
        };
        let kind = |name: &str| {
            self.kinds.is_empty() || self.kinds.iter().any(|kind| same_kind(kind, name))
        };
        if !any(&self.namespaces, about.namespace) {
            return Some("namespaces");
        }
        let mut of_kind = about.names.iter().filter(|(k, _)| kind(k)).peekable();
        if of_kind.peek().is_none() {
            return Some("kinds");
        }
        if !of_kind.any(|(_, name)| any(&self.names, name)) {
            return Some("names");
        }
        let has = |(key, pattern): (&String, &String)| {
            about.labels.get(key.as_str()).is_some_and(|value| glob(pattern, value))
        };
        (!self.labels.iter().all(has)).then_some("labels")
    }
}

/// The kinds of workload with kubectl's short names for them.
pub const SHORT: [(&str, &str); 7] = [
    ("Deployment", "deploy"),
    ("StatefulSet", "sts"),
    ("DaemonSet", "ds"),
    ("ReplicaSet", "rs"),
    ("Job", "job"),
    ("CronJob", "cj"),
    ("Pod", "po"),
];

/// Whether `word` is a name of `kind`.
pub fn same_kind(word: &str, kind: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let full = kind.to_ascii_lowercase();
    let short = SHORT.iter().find(|(known, _)| *known == kind).map(|(_, short)| *short);
    word == full || word.strip_suffix('s') == Some(full.as_str()) || Some(word.as_str()) == short
}

/// Whether `text` fits `pattern`: `*` any text, `?` any character. Only the last `*` is ever gone
/// back to, so that no pattern is slow.
fn glob(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    let mut back = None;
    loop {
        let rest = text.clone();
        match (pattern.next(), text.next()) {
            (Some('*'), _) => {
                back = Some((pattern.clone(), rest.clone()));
                text = rest;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {}
            (None, None) => return true,
            _ => {
                let Some((after, from)) = &mut back else { return false };
                if from.next().is_none() {
                    return false;
                }
                (pattern, text) = (after.clone(), from.clone());
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rules: Vec<serde_yaml::Value>,
}

/// A member of a rule, as the docs show it.
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it may say.
    pub values: &'static str,
    /// What that does.
    pub meaning: &'static str,
}

const fn member(name: &'static str, values: &'static str, meaning: &'static str) -> Member {
    Member { name, values, meaning }
}

/// The members of a rule. The docs' table is made from it.
pub const MEMBERS: [Member; 8] = [
    member("match", "see below", "which workloads the rule is about (default: all)"),
    member("empty", "`true`, `false`", "whether they are emptied at all (default: `true`)"),
    member("containers", "`a,b`, or `*` for all", "which containers"),
    member("image", "an image, or `keep` for their own", "what they are emptied to"),
    member("idle", "`entrypoint`, `shell`, `agent`", "what the empty container runs"),
    member("level", "`workload`, `pod`", "whether the workload's own spec changes, or its Pods"),
    member("replicas", "a number", "how many replicas an empty workload has"),
    member("ready", "`container`, `app`", "when the Pods of an empty workload are Ready"),
];

/// The members of `match`. The docs' table is made from it.
pub const MATCHES: [Member; 4] = [
    member("namespaces", "patterns", "their namespace"),
    member(
        "kinds",
        "`Deployment`, `deployments`, `deploy`, …",
        "their kind; a Pod's is that of what controls it",
    ),
    member("names", "patterns", "their name; a Pod's is that of what controls it"),
    member("labels", "a pattern for each key", "their labels; at level `pod` the Pod's"),
];

/// The parser's time is quadratic in the depth of `{` and `[`, long before it refuses them.
fn is_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > 200
    })
}

/// Reads rules.yaml: `rules:`, a list of `match` and what becomes of what fits.
///
/// # Errors
/// A sentence with the rule's number, and the line where YAML itself is wrong.
pub fn parse(text: &str) -> Result<Vec<Rule>, String> {
    if is_too_deep(text) {
        return Err("its `{` and `[` are nested too deeply".to_owned());
    }
    let file: File = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let read = |(number, value): (usize, serde_yaml::Value)| {
        // serde's flatten knows no unknown members.
        let members = value.as_mapping().into_iter().flat_map(serde_yaml::Mapping::keys);
        let mut names = members.filter_map(serde_yaml::Value::as_str);
        if let Some(name) = names.find(|name| MEMBERS.iter().all(|known| known.name != *name)) {
            let known = MEMBERS.map(|known| known.name).join(", ");
            return Err(format!("rule {number}: there is no `{name}`, only {known}"));
        }
        let rule: Rule =
            serde_yaml::from_value(value).map_err(|error| format!("rule {number}: {error}"))?;
        if let Some(Image::Name(image)) = &rule.choice.image {
            image_name(image).map_err(|why| format!("rule {number}: {why}"))?;
        }
        let unknown = rule
            .r#match
            .kinds
            .iter()
            .find(|word| !SHORT.iter().any(|(kind, _)| same_kind(word, kind)));
        match unknown {
            Some(word) => Err(format!("rule {number}: {word} is no kind of workload")),
            None => Ok(rule),
        }
    };
    (1..).zip(file.rules).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_globs() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "a", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c*e", "abcde", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "a", false),
            ("é*", "éa", true),
            ("*b", "abc", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_file_that_makes_no_sense_is_named() {
        for (text, word) in [
            ("rules:\n- match: {kind: [x]}\n", "rule 1"),
            ("rules:\n- {}\n- imag: keep\n", "rule 2: there is no `imag`"),
            (&format!("rules: {}", "{".repeat(60_000)), "nested too deeply"),
            ("rules:\n- idle: sleep\n", "rule 1"),
            ("rules:\n- image: a b\n", "rule 1: \"a b\" is no image"),
            ("rules:\n- image: \"\"\n", "rule 1"),
            ("rules:\n- match: {kinds: [Service]}\n", "Service is no kind"),
            ("rules: {\n", "line"),
            ("rule: []\n", "rule"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert_eq!(parse("rules: []\n").unwrap(), []);
    }
}
