//! Parses arguments to kinds and names, as kubectl does. Pure.

use crate::{
    exit::{Failure, Topic},
    kinds::{self, Kind},
};

/// The parsed arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TargetWords {
    /// Named objects.
    Named(Vec<(&'static Kind, String)>),
    /// All objects of these kinds.
    Kinds(Vec<&'static Kind>),
    /// No arguments.
    Nothing,
}

/// `deploy/foo sts/bar`, `deploy foo bar`, `deploy,sts foo`, `deploy,sts`, or nothing.
pub(super) fn parse(words: &[String]) -> Result<TargetWords, Failure> {
    if words.iter().any(|word| word.contains('/')) {
        let named = words.iter().map(|word| match word.split_once('/') {
            Some((kind, name)) if !name.is_empty() && !name.contains('/') => {
                Ok((self::kind(kind)?, name.to_owned()))
            }
            _ => Err(Failure::usage(
                Topic::CommandLine,
                format!("{word} is not KIND/NAME, but other arguments are."),
                "Write each as KIND/NAME, like `deploy/web sts/db`, or KIND NAME ….",
            )),
        });
        return Ok(TargetWords::Named(named.collect::<Result<_, _>>()?));
    }
    let Some((kinds, names)) = words.split_first() else { return Ok(TargetWords::Nothing) };
    let kinds = kinds.split(',').map(kind).collect::<Result<Vec<_>, _>>()?;
    if names.is_empty() {
        return Ok(TargetWords::Kinds(kinds));
    }
    let named = kinds.iter().flat_map(|kind| names.iter().map(|name| (*kind, name.clone())));
    Ok(TargetWords::Named(named.collect()))
}

/// `deploy`, `deployments`, `Deployment`, `deployments.apps`, `deployments.v1.apps`.
fn kind(word: &str) -> Result<&'static Kind, Failure> {
    let (name, rest) = word.split_once('.').unwrap_or((word, ""));
    let fits = |kind: &&'static Kind| {
        let full = format!("{}.{}", kind.version, kind.group);
        let full = full.trim_end_matches('.');
        kind.is_called(name) && (rest.is_empty() || rest == kind.group || rest == full)
    };
    kinds::workloads().find(fits).ok_or_else(|| {
        let known: Vec<_> = kinds::workloads().map(Kind::singular).collect();
        let example = if word.is_empty() || word.contains('/') { "NAME" } else { word };
        Failure::usage(
            Topic::CommandLine,
            format!("{word:?} is not a workload kind; the kinds are {}.", known.join(", ")),
            format!("Add the kind, as for kubectl: deploy/{example}, sts/{example}, …."),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{
        CRON_JOB, DAEMON_SET, DEPLOYMENT, JOB, POD, REPLICA_SET, STATEFUL_SET,
    };

    fn words(text: &str) -> Result<TargetWords, Failure> {
        parse(&text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn kubectl_spellings_of_targets_are_accepted() {
        let named = |all: &[(&'static Kind, &str)]| {
            TargetWords::Named(all.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect())
        };
        for (text, expected) in [
            ("deploy/foo", named(&[(&DEPLOYMENT, "foo")])),
            ("Deployment/foo", named(&[(&DEPLOYMENT, "foo")])),
            ("deployments.apps/foo", named(&[(&DEPLOYMENT, "foo")])),
            ("deployment.v1.apps/foo", named(&[(&DEPLOYMENT, "foo")])),
            ("po/a pods.v1/b pod/c", named(&[(&POD, "a"), (&POD, "b"), (&POD, "c")])),
            ("sts foo bar", named(&[(&STATEFUL_SET, "foo"), (&STATEFUL_SET, "bar")])),
            ("ds,rs foo", named(&[(&DAEMON_SET, "foo"), (&REPLICA_SET, "foo")])),
            ("cj/a jobs.batch/b", named(&[(&CRON_JOB, "a"), (&JOB, "b")])),
            ("deploy,sts", TargetWords::Kinds(vec![&DEPLOYMENT, &STATEFUL_SET])),
            ("", TargetWords::Nothing),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn unknown_kind_error_lists_the_workload_kinds() {
        for text in ["svc/foo", "deployments.batch/foo", "deploy/", "deploy/a b", "deploy/a/b", ""]
        {
            let said = words(text);
            assert_eq!(said.is_ok(), text.is_empty(), "{text}");
        }
        let failure = words("service/foo").unwrap_err();
        assert!(failure.what.contains("deployment, statefulset, daemonset"), "{failure}");
    }
}
