//! rules.yaml: parsing and matching.

use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use serde_saphyr::{Error, Location, Spanned};

use super::{Image, Match, Rule, RuleInput, image_name};
use crate::{
    kinds::{self, Declaration, Kind},
    ui::text::{cut, shortened},
    yaml::{self, ConfigError},
};

/// Maximum length of names, namespaces and label values.
const LONGEST_NAME: usize = 253;

impl Match {
    pub(super) fn fits(&self, about: &RuleInput<'_>) -> bool {
        self.misfit(about).is_none()
    }

    /// The list that does not match; `None` if all match.
    pub(super) fn misfit(&self, about: &RuleInput<'_>) -> Option<&'static str> {
        let any = |patterns: &[String], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| glob(pattern, text))
        };
        let kind = |name: &str| {
            let called = |kind: &Kind| self.kinds.iter().any(|word| kind.is_called(word));
            self.kinds.is_empty() || kinds::workloads().any(|k| k.kind == name && called(k))
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

/// Whether `text` matches `pattern`: `*` any text, `?` any character. It backtracks only to the
/// last `*`, and no pattern is longer than a name, so none is slow.
fn glob(pattern: &str, text: &str) -> bool {
    if text.len() > LONGEST_NAME {
        return false;
    }
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

/// rules.yaml: which workloads are emptied, and how.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Kinds of workload that are not built in.
    #[serde(default)]
    #[schemars(with = "Vec<Declaration>")]
    kinds: Vec<Spanned<Declaration>>,
    /// The first rule that matches a workload decides.
    #[schemars(with = "Option<Vec<Rule>>")]
    rules: Option<Vec<Spanned<Value>>>,
}

/// A file of `--kinds`: kinds of workload that are not built in.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kinds {
    /// Each with its API group, version and kind.
    #[schemars(with = "Vec<Declaration>")]
    kinds: Vec<Spanned<Declaration>>,
}

/// The limit of a ConfigMap.
const LONGEST: usize = 1 << 20;
/// Maximum length of a parser's error, which may quote the file.
const LONGEST_REASON: usize = 300;
/// Maximum bytes of all expanded aliases.
const REPEATED: usize = 16 << 20;

/// A member of a rule in the docs.
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: &'static str,
    /// Its effect.
    pub meaning: &'static str,
}

const fn member(name: &'static str, values: &'static str, meaning: &'static str) -> Member {
    Member { name, values, meaning }
}

/// The members of a rule. The table in the docs is generated from it.
pub const MEMBERS: [Member; 18] = [
    member("match", "see below", "which workloads the rule matches (default: all)"),
    member("empty", "`true`, `false`", "whether they are emptied at all (default: `true`)"),
    member("containers", "`a,b`, or `*` for all", "which containers"),
    member("image", "an image, or `keep` for their own", "what they are emptied to"),
    member("idle", "`entrypoint`, `shell`, `agent`", "what the empty container runs"),
    member("level", "`workload`, `pod`", "whether the workload's own spec changes, or its Pods"),
    member("replicas", "a number", "how many replicas an empty workload has"),
    member("ready", "`container`, `app`", "when the Pods of an empty workload are Ready"),
    member(
        "standIn",
        "`true`, `false`",
        "whether the workload's own command runs while no other application does",
    ),
    member("for", "`30m`, `8h`", "how long they stay empty (default: no end)"),
    member(
        "resources",
        "`none`, or `requests` and `limits`",
        "requests and limits of the empty container",
    ),
    member("env", "names and values", "environment variables of the empty container"),
    member("envFrom", "`configmap/NAME`, `secret/NAME`", "more sources of these"),
    member("cache", "`PATH`, `PATH=CLAIM`", "folders in a volume: an emptyDir, or a claim"),
    member("nodeSelector", "labels", "labels of the node that the Pods need"),
    member("tolerations", "`KEY=VALUE:EFFECT`, `KEY`", "taints that the Pods tolerate"),
    member("serviceAccountName", "a name", "another service account of the Pods"),
    member("securityContext", "members of it", "securityContext of the empty container"),
];

/// The members of `match`. The table in the docs is generated from it.
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

/// The parser's time is quadratic in the depth of `{` and `[`, long before it rejects them.
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

/// Parses rules.yaml: `rules:`, a list of `match` and the settings for matching workloads.
///
/// # Errors
/// What is wrong, with its place, and the rule's number where it is in one.
pub fn parse(text: &str) -> Result<Vec<Rule>, ConfigError> {
    let file: File = parse_yaml(text)?;
    let Some(rules) = file.rules.or_else(|| (!file.kinds.is_empty()).then(Vec::new)) else {
        return Err(ConfigError::new("it has no `rules`"));
    };
    declare(file.kinds, text)?;
    let read = |(number, Spanned { value, referenced, .. }): (usize, Spanned<Value>)| {
        let at = |why| ConfigError::at(referenced, text, format!("rule {number}: {why}"));
        rule(value).map_err(at)
    };
    (1..).zip(rules).map(read).collect()
}

/// Parses a file that contains only `kinds:`, and registers these kinds for the process.
///
/// # Errors
/// What is wrong, with its place.
pub fn parse_kinds(text: &str) -> Result<(), ConfigError> {
    let Kinds { kinds } = parse_yaml(text)?;
    declare(kinds, text)
}

fn declare(all: Vec<Spanned<Declaration>>, text: &str) -> Result<(), ConfigError> {
    for (number, Spanned { value, referenced, .. }) in (1..).zip(all) {
        let at = |why| ConfigError::at(referenced, text, format!("kind {number}: {why}"));
        kinds::declare(value).map_err(at)?;
    }
    Ok(())
}

fn parse_yaml<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    if text.len() > LONGEST {
        let what = format!("it has {} bytes, more than the limit of {LONGEST}", text.len());
        return Err(ConfigError::new(what));
    }
    if is_too_deep(text) {
        return Err(ConfigError::new("its `{` and `[` are nested too deeply"));
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_indentation: false,
        budget: serde_saphyr::budget! {
            max_nodes: 2 * LONGEST,
            max_events: 8 * LONGEST,
            enforce_alias_anchor_ratio: false,
        },
        // A repeated part is never longer than the file.
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPEATED / text.len().max(1),
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| misread(&error, text))
}

fn rule(value: Value) -> Result<Rule, String> {
    // serde's flatten cannot reject unknown members.
    let mut names = value.as_object().into_iter().flat_map(|members| members.keys());
    if let Some(name) = names.find(|name| MEMBERS.iter().all(|known| known.name != *name)) {
        let known = MEMBERS.map(|known| known.name).join(", ");
        return Err(format!("there is no `{}`, only {known}", shortened(name)));
    }
    let rule: Rule = serde_json::from_value(value)
        .map_err(|error| cut(&error.to_string(), LONGEST_REASON).into_owned())?;
    if let Some(Image::Name(image)) = &rule.choice.image {
        image_name(image)?;
    }
    let is_known = |word: &String| kinds::workloads().any(|kind| kind.is_called(word));
    match rule.r#match.kinds.iter().find(|word| !is_known(word)) {
        Some(word) => Err(format!("{:?} is an unknown workload kind", shortened(word))),
        None => Ok(rule),
    }
}

/// The YAML error, with its position if known.
fn misread(error: &Error, text: &str) -> ConfigError {
    let said = yaml::sentence(&error.without_snippet().to_string());
    let what = match error.without_snippet() {
        Error::Budget { .. } => "it is nested too deeply, or has too many parts".to_owned(),
        // As an error of a value it has no separate variant.
        _ if said.starts_with("alias replay limit") => {
            format!("its aliases expand to more than {} MiB", REPEATED >> 20)
        }
        _ => cut(&said, LONGEST_REASON).into_owned(),
    };
    ConfigError::at(error.location().unwrap_or(Location::UNKNOWN), text, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_patterns_are_globs() {
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
    fn invalid_rules_file_is_refused_with_its_place() {
        for (text, word) in [
            ("rules:\n- match: {kind: [x]}\n", "rule 1"),
            ("rules:\n- {}\n- imag: keep\n", "rule 2: there is no `imag`"),
            (&format!("rules: {}", "{".repeat(60_000)), "nested too deeply"),
            ("rules:\n- idle: sleep\n", "rule 1"),
            ("rules:\n- image: a b\n", "rule 1: \"a b\" is not an image name"),
            ("rules:\n- image: \"\"\n", "rule 1"),
            ("rules:\n- match: {kinds: [Service]}\n", "rule 1: \"Service\" is an unknown"),
            ("rules: {\n", "line"),
            ("# a\nrules:\n- {}\n- {image: 1}\n", "line 4, column 3: rule 2: "),
            (&format!("rules: []\n#{}", "x".repeat(LONGEST)), "more than the limit of 1048576"),
            ("rule: []\n", "rule"),
            ("kinds: []\n", "it has no `rules`"),
            ("kinds:\n- {group: a.b, version: v1, kind: X, size: 1}\nrules: []\n", "unknown field"),
            ("rules: []\nkinds:\n- {group: apps, version: v1, kind: X}\n", "kind 1: `group` must"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert_eq!(parse("rules: []\n").unwrap(), []);
    }

    #[test]
    fn rules_errors_quote_a_short_escaped_part() {
        let long = format!("\\e[31m{}", "x".repeat(100_000));
        for text in [
            format!("rules:\n- \"{long}\": a\n"),
            format!("rules:\n- image: \"{long} \"\n"),
            format!("rules:\n- idle: \"{long}\"\n"),
            format!("rules:\n- match: {{kinds: [\"{long}\"]}}\n"),
            format!("rules:\n- match: {{\"{long}\": 1}}\n"),
            format!("\"{long}\": []\n"),
            format!("rules: \"{long}\"\n"),
            format!("rules: *{}\n", &long[5..]),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.len() < 700, "{} bytes: {error}", error.len());
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn yaml_aliases_in_rules_are_bounded() {
        let rules = |long: usize, count: usize| {
            let first = format!("rules:\n- match: {{names: &a [\"{}\"]}}\n", "x".repeat(long));
            first + &"- match: {names: *a}\n".repeat(count)
        };
        assert_eq!(parse(&rules(10, 100)).unwrap().len(), 101);
        let error = parse(&rules(40_000, 8_000)).unwrap_err().to_string();
        assert!(error.contains("its aliases expand to more than 16 MiB"), "{error}");
        assert!(error.starts_with("line "), "{error}");
        let mut laughs = "rules:\n- match: {names: &a0 [x]}\n".to_owned();
        for level in 1..20 {
            let of = format!("*a{}, ", level - 1).repeat(9);
            laughs.extend(["- match: {names: &a", &level.to_string(), " [", &of, "]}\n"]);
        }
        let error = parse(&laughs).unwrap_err().to_string();
        assert!(error.contains("aliases"), "{error}");
    }
}
