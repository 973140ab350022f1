//! The inputs of rules about an object.

use std::collections::BTreeMap;

use super::{
    Context,
    annotations::REQUESTABLE_ANNOTATIONS,
    rules::RuleInput,
    view::{Object, Pod},
};
use crate::kinds::{self, Controller, JOB, Kind, REPLICA_SET};

/// Its own annotations override its pod template's, and a client's requested annotations override
/// both.
pub(super) fn rule_input<'o>(
    object: &'o Object<'_>,
    pod: Option<&'o Pod<'_, '_>>,
    context: &'o Context<'_>,
) -> RuleInput<'o> {
    let wished = |key: &str| context.requested_annotations.iter().find(|wish| wish.key == key);
    let note = |key: &&'static str| {
        let value = match wished(key) {
            Some(wish) => wish.value.as_deref(),
            None => object.annotation(key),
        };
        Some((*key, value.or_else(|| pod?.annotation(key))?))
    };
    RuleInput {
        namespace: object.namespace().unwrap_or(context.namespace),
        names: names(object),
        labels: object.labels().collect::<BTreeMap<_, _>>(),
        annotations: REQUESTABLE_ANNOTATIONS.iter().filter_map(note).collect(),
    }
}

/// Kind and name of the workload of an object: a Pod's or ReplicaSet's owner, as far as the object
/// itself shows.
pub(super) fn names<'o>(object: &'o Object<'_>) -> Vec<(&'o str, &'o str)> {
    let own = object.name().or(object.generate_name()).unwrap_or_default();
    let Some(owner) = object.controller() else { return vec![(object.kind(), own)] };
    let (kind, name) = (owner.kind.as_ref(), owner.name.as_ref());
    if kind == REPLICA_SET.kind {
        let owner = |one: &'static Kind| {
            Some((one.kind, one.of_replica_set(name, |hash| object.label(hash))?))
        };
        return vec![kinds::workloads().find_map(owner).unwrap_or((kind, name))];
    }
    let starter = kinds::workloads().find(|one| one.controller == Controller::Jobs);
    let starter = starter.filter(|_| kind == JOB.kind);
    let cron = starter.and_then(|one| Some((one.kind, cron_job(name)?)));
    cron.into_iter().chain([(kind, name)]).collect()
}

/// The CronJob of a Job, by the Job's name: NAME-MINUTES, the scheduled time in minutes since 1970,
/// since Kubernetes 1.21. Smaller numbers were chosen by a user, such as a date like 20261128.
pub fn cron_job(job: &str) -> Option<&str> {
    let (name, minutes) = job.rsplit_once('-')?;
    let is_number = minutes.len() == 8 && minutes.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && minutes >= FIRST_MINUTE).then_some(name)
}

/// In May 2021.
const FIRST_MINUTE: &str = "27000000";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_job_is_derived_from_a_scheduled_job_name() {
        for (job, made) in [
            ("x-29940123", Some("x")),
            ("x-y-27000000", Some("x-y")),
            ("x-20261128", None),
            ("x-26999999", None),
            ("x-299401234", None),
            ("x-2994012a", None),
            ("x", None),
        ] {
            assert_eq!(cron_job(job), made, "{job}");
        }
    }
}
