//! Parses flags of kube-apiserver like pflag and its own code.

use std::collections::BTreeMap;

/// A flag's name as the API server compares it, and its value if it is in the same item:
/// underscores count as hyphens.
pub(super) fn split(item: &str) -> Option<(String, Option<&str>)> {
    let flag = item.strip_prefix("--")?;
    let (name, value) = match flag.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (flag, None),
    };
    Some((format!("--{}", name.replace('_', "-")), value))
}

/// The elements of a list of names (pflag's StringSlice, a line of CSV); `None` if it cannot be
/// parsed.
pub(super) fn list(value: &str) -> Option<Vec<String>> {
    if value.is_empty() {
        return Some(Vec::new());
    }
    let (mut elements, mut rest) = (Vec::new(), value);
    loop {
        let mut element = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let (text, after) = rest.split_once('"')?;
                element.push_str(text);
                rest = after;
                let Some(after) = rest.strip_prefix('"') else { break };
                element.push('"');
                rest = after;
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            element.push_str(&rest[..end]);
            rest = &rest[end..];
            if element.contains('"') {
                return None;
            }
        }
        elements.push(element);
        if rest.is_empty() {
            return Some(elements);
        }
        rest = rest.strip_prefix(',')?;
    }
}

/// `KEY=VALUE` pairs of all values of a flag; the last value of a key is used.
pub(super) fn map<'a>(values: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let pairs = values.flat_map(|value| value.split(',')).filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// strconv.ParseBool
pub(super) fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// The state of a resource of admissionregistration.k8s.io under `--runtime-config`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Served {
    Yes,
    /// Disabled by these entries.
    No(Vec<String>),
    /// The API server does not start with this entry.
    Refused(String),
}

/// Whether `resource` of `version` is served; `served` is the default. The most specific entry is
/// used, regardless of its position.
pub(super) fn served(
    config: &BTreeMap<String, String>,
    version: &str,
    resource: &str,
    mut served: bool,
) -> Served {
    if config.len() == 1 && config.get("api/all").is_some_and(|value| value == "false") {
        return Served::Refused("api/all=false alone".to_owned());
    }
    let kind = if version.contains("alpha") {
        "api/alpha"
    } else if version.contains("beta") {
        "api/beta"
    } else {
        "api/ga"
    };
    let of_version = format!("admissionregistration.k8s.io/{version}");
    let mut why = Vec::new();
    for key in ["api/all", kind, &of_version, &format!("{of_version}/{resource}")] {
        let Some(value) = config.get(key) else { continue };
        let entry = format!("{key}={value}");
        let read = match (key.starts_with("api/"), value.as_str()) {
            (true, "true") | (false, "") => Some(true),
            (true, "false") => Some(false),
            (true, _) => None,
            (false, value) => boolean(value),
        };
        match read {
            Some(true) => (served, why) = (true, Vec::new()),
            Some(false) => {
                served = false;
                why.push(entry);
            }
            None => return Served::Refused(entry),
        }
    }
    if served { Served::Yes } else { Served::No(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_list_flag_is_parsed_as_csv() {
        let read = |value| list(value).map(|elements| elements.join("|"));
        assert_eq!(list(""), Some(vec![]));
        assert_eq!(read("A,B").as_deref(), Some("A|B"));
        assert_eq!(read("A, B,").as_deref(), Some("A| B|"));
        assert_eq!(read("\"A,B\",C").as_deref(), Some("A,B|C"));
        assert_eq!(read("\"a\"\"b\"").as_deref(), Some("a\"b"));
        for wrong in ["A\"B", "\"A", "\"A\"B"] {
            assert_eq!(list(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn more_specific_flag_entry_wins() {
        let served = |text| served(&map([text].into_iter()), "v1", "a", true);
        assert_eq!(served(""), Served::Yes);
        assert_eq!(served("api/ga=false"), Served::No(vec!["api/ga=false".to_owned()]));
        assert_eq!(served("admissionregistration.k8s.io/v1=true,api/all=false"), Served::Yes);
        assert_eq!(served("api/beta=false"), Served::Yes);
        assert_eq!(served("api/all=false, api/ga=true"), Served::Yes);
        let off = "admissionregistration.k8s.io/v1=0";
        assert_eq!(served(off), Served::No(vec![off.to_owned()]));
        assert!(matches!(served("api/ga=0"), Served::Refused(_)));
        assert!(matches!(served("api/all=false"), Served::Refused(_)));
    }
}
