//! Finds valid but useless rules in rules.yaml.

use super::{Choice, Idle, Image, Level, Match, Rule};

/// A warning for each rule without effect, with its number.
pub fn lint(rules: &[Rule]) -> Vec<String> {
    let all = Match::default();
    let last = rules.iter().position(|rule| rule.r#match == all);
    let mut found = Vec::new();
    for (number, Rule { r#match, choice }) in (1..).zip(rules) {
        if let Some(last) = last.filter(|last| *last + 1 < number) {
            found.push(format!(
                "rule {number} is never reached: rule {} matches everything",
                last + 1
            ));
        }
        if choice.image == Some(Image::Keep) && choice.idle == Some(Idle::Entrypoint) {
            found.push(format!(
                "rule {number} empties nothing: image keep with idle entrypoint runs the \
                 application itself"
            ));
        }
        let keeps = choice.image.as_ref().is_none_or(|image| *image == Image::Keep);
        let by_agent = choice.idle.is_none_or(|idle| idle == Idle::Agent);
        if choice.stand_in == Some(true) && !(keeps && by_agent) {
            found.push(format!(
                "rule {number} empties nothing: a stand-in needs image keep and idle agent"
            ));
        }
        let Choice {
            empty,
            containers,
            image,
            idle,
            level,
            replicas,
            ready,
            stand_in,
            time,
            shape,
        } = choice;
        let how = [
            containers.is_some(),
            image.is_some(),
            idle.is_some(),
            level.is_some(),
            replicas.is_some(),
            ready.is_some(),
            stand_in.is_some(),
            time.is_some(),
            !shape.is_empty(),
        ];
        if *empty == Some(false) && how.contains(&true) {
            found.push(format!("rule {number} sets how to empty, but empty is false"));
        }
        if time.is_some() && *level == Some(Level::Pod) {
            found.push(format!(
                "rule {number} has no end in spite of `for`: at level pod only Pods are emptied"
            ));
        }
        if empty.is_none() && !how.contains(&true) && *r#match == all && number < rules.len() {
            found.push(format!("rule {number} sets nothing, and no later rule is used"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::parse_rules;

    #[test]
    fn lint_names_rules_without_effect() {
        for (text, said) in [
            ("rules:\n- {match: {kinds: [ds]}, empty: false}\n- {image: keep}\n", vec![]),
            ("rules:\n- {image: keep}\n- {idle: agent}\n", vec!["rule 2 is never reached"]),
            ("rules:\n- {image: keep, idle: entrypoint}\n", vec!["rule 1 empties nothing"]),
            ("rules:\n- {standIn: true, idle: shell}\n", vec!["rule 1 empties nothing"]),
            ("rules:\n- {standIn: true, idle: agent}\n", vec![]),
            ("rules:\n- {empty: false, level: pod}\n", vec!["rule 1 sets how to empty"]),
            ("rules:\n- {level: pod, for: 8h}\n", vec!["rule 1 has no end"]),
            ("rules:\n- {}\n- {}\n", vec!["rule 1 sets nothing", "rule 2 is never reached"]),
        ] {
            let found = lint(&parse_rules(text).unwrap());
            assert_eq!(found.len(), said.len(), "{found:?}");
            assert!(
                found.iter().zip(said).all(|(found, said)| found.starts_with(said)),
                "{found:?}"
            );
        }
    }
}
