//! Replaces Pods one at a time, like a rollout, where no controller does it: at level `pod`, and
//! for a ReplicaSet or the update strategy OnDelete.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Deadline, Operation};
use crate::{
    exit::{self, Failure, Topic},
    kubernetes::{error, targets::LiveObject},
    rollout::{self, Form, Observations, RolloutProblem},
    workload::{self, pods},
};

const PAUSE: Duration = Duration::from_millis(500);
/// Pause between two attempts to evict a Pod that a PodDisruptionBudget protects, as in `kubectl
/// drain`.
const GUARDED: Duration = Duration::from_secs(5);
/// How often new Pods may still be emptied because an API server does not know of a removed label
/// yet.
const LATE: usize = 20;

/// Which Pods need not be replaced.
pub(crate) enum PodMatch {
    /// Pods of the current template. All new Pods count, regardless of changes by others.
    New,
    /// Pods that do not belong to an emptied template.
    NotLeft,
    /// Pods that were emptied, or were not, as decided when they are created.
    Made(Form),
    /// Pods that were not emptied, after the namespace's label was removed: a new Pod that is still
    /// emptied is replaced again.
    Unlabelled,
}

impl PodMatch {
    fn has(&self, workload: &Value, pod: &Value) -> bool {
        match self {
            Self::New => rollout::is_new(workload, pod),
            Self::NotLeft => rollout::left_empty(workload, pod).is_empty(),
            Self::Made(form) => {
                workload::is_emptied_pod(&pod.to_string()) == (*form == Form::Emptied)
            }
            Self::Unlabelled => !workload::is_emptied_pod(&pod.to_string()),
        }
    }
}

impl Operation<'_> {
    /// Replaces each Pod of the workload that does not match; returns their number. A Pod is
    /// deleted when all others are ready, and the next one when its replacement is ready.
    ///
    /// # Errors
    /// What may not be deleted, a successor that is not right either, and `--timeout`.
    pub(crate) async fn replace(&self, found: &LiveObject, right: &PodMatch) -> Result<usize> {
        let deadline = Instant::now() + Duration::from_secs(self.work.pods.timeout);
        let object = &found.object;
        let mut wait = self.terminal.wait();
        let mut pods = self.running_pods(found).await?;
        let mut old: Vec<_> = pods.iter().filter(|pod| !right.has(object, pod)).map(uid).collect();
        let all = old.len();
        let mut spare = if matches!(right, PodMatch::Unlabelled) { LATE } else { 0 };
        loop {
            let (going, here): (Vec<_>, Vec<_>) =
                pods.iter().partition(|pod| pod["metadata"]["deletionTimestamp"].is_string());
            let (left, come): (Vec<&Value>, Vec<&Value>) =
                here.iter().copied().partition(|pod| old.contains(&uid(pod)));
            let wrong: Vec<_> = come.iter().filter(|pod| !right.has(object, pod)).collect();
            if !wrong.is_empty() && spare > 0 {
                spare -= 1;
                old.extend(wrong.into_iter().map(|pod| uid(pod)));
                continue;
            }
            if !wrong.is_empty() && !matches!(right, PodMatch::New | PodMatch::NotLeft) {
                let form = match right {
                    PodMatch::Made(form) => *form,
                    _ => Form::Original,
                };
                return Err(came_wrong(found, form, "The other Pods were not changed.").into());
            }
            let unready = here.iter().filter(|pod| !rollout::is_up(pod)).count();
            // A Pod that is not ready serves nobody: it is replaced first, without waiting.
            let next = left.iter().find(|pod| !rollout::is_up(pod)).or(left.first());
            let mut guarded = None;
            match next {
                None if unready == 0 && going.is_empty() && self.are_all(found, &here).await? => {
                    return Ok(all);
                }
                Some(pod) if going.is_empty() && (unready == 0 || !rollout::is_up(pod)) => {
                    guarded = self.evict(found, pod).await?;
                }
                _ => {}
            }
            let message = format!("{} of {all} Pods are replaced", all.saturating_sub(left.len()));
            let time = Deadline::check(deadline);
            if let Some(trouble) = self.trouble(found, &come, time).await {
                let what = &trouble.what;
                let what = format!("{}: {message}, and one does not start: {what}.", found.shown());
                let is_emptied = matches!(right, PodMatch::Made(Form::Emptied))
                    || workload::is_emptied(&object.to_string());
                let form = if is_emptied { Form::Emptied } else { Form::Original };
                return Err(Failure::no(Topic::Waiting, what, trouble.advice(form)).into());
            }
            let guard = guarded.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            if time == Deadline::Passed {
                let what = format!("{}: {message} in time{guard}.", found.shown());
                let hint = if guarded.is_some() {
                    "Run the same command again to continue; --timeout waits longer, and \
                     --disable-eviction deletes Pods despite PodDisruptionBudgets."
                } else {
                    "Run the same command again to continue; --timeout waits longer."
                };
                return Err(Failure::no(Topic::Waiting, what, hint).into());
            }
            wait.say(&format!("{}: {message}{guard}", self.shown(found)));
            tokio::time::sleep(if guarded.is_some() { GUARDED } else { PAUSE }).await;
            pods = self.running_pods(found).await?;
        }
    }

    /// Checks whether the Pods of a rollout are empty, or are not; warns without the right to list
    /// them.
    ///
    /// # Errors
    /// One is not as it should be.
    pub(crate) async fn check_pods(&self, found: &LiveObject, form: Form) -> Result<()> {
        let mut here = match self.running_pods(found).await {
            Err(error) if error::is_forbidden(&error) => {
                let shown = self.shown(found);
                let is = match form {
                    Form::Emptied => "are empty",
                    Form::Original => "are not empty",
                };
                self.terminal.warn(&format!(
                    "diyadm cannot tell whether the new Pods of {shown} {is}: they may not be \
                     listed"
                ));
                return Ok(());
            }
            here => here?,
        };
        let now = self.cluster.get(found.kind, &found.namespace, &found.name).await?;
        // Below its partition a StatefulSet keeps old Pods.
        let revision = now.as_ref().and_then(|now| now["status"]["updateRevision"].as_str());
        here.retain(|pod| {
            let label = &pod["metadata"]["labels"]["controller-revision-hash"];
            let is_new = revision.is_none_or(|revision| *label == revision);
            pod["metadata"]["deletionTimestamp"].is_null() && is_new
        });
        let right = PodMatch::Made(form);
        if here.iter().all(|pod| right.has(&found.object, pod)) {
            return Ok(());
        }
        Err(came_wrong(found, form, "").into())
    }

    /// Whether there are as many Pods as the workload wants: a replacement may be missing.
    async fn are_all(&self, found: &LiveObject, here: &[&Value]) -> Result<bool> {
        let now = self.cluster.get(found.kind, &found.namespace, &found.name).await?;
        Ok(now.is_none_or(|now| rollout::wanted(&now) <= here.len()))
    }

    /// What keeps new Pods from starting: permanent problems, and after the deadline any problem.
    async fn trouble(
        &self,
        found: &LiveObject,
        come: &[&Value],
        time: Deadline,
    ) -> Option<RolloutProblem> {
        let late = time == Deadline::Passed;
        let unready = come.iter().filter(|pod| !rollout::is_up(pod));
        let unready: Vec<Value> = unready.map(|pod| (*pod).clone()).collect();
        let events = if late { self.events(found, &unready).await } else { Vec::new() };
        let troubles = unready.iter().filter_map(|pod| rollout::pod_trouble(pod, &events));
        let mut troubles = troubles.filter(|trouble| trouble.lasting || late);
        troubles.next().or_else(|| {
            let seen = Observations { events: &events, ..Observations::default() };
            rollout::refused(&found.object, &seen).filter(|_| late)
        })
    }

    /// The Pods of the workload that have not ended; an error differs from an empty list.
    async fn running_pods(&self, found: &LiveObject) -> Result<Vec<Value>> {
        let pods = self.pods(&found.object).await;
        let what = || format!("{}: its Pods could not be read", self.shown(found));
        let mut pods = pods.with_context(what)?;
        pods.retain(|pod| !pods::is_over(pod));
        Ok(pods)
    }

    /// Evicts a Pod, which respects PodDisruptionBudgets; deletes it if evictions are not allowed
    /// or disabled. Returns the budget's message if it does not allow the eviction yet.
    async fn evict(&self, found: &LiveObject, pod: &Value) -> Result<Option<String>> {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let outcome = if self.work.pods.disable_eviction {
            self.cluster.delete_pod(pod).await
        } else {
            match self.cluster.evict(pod).await {
                Err(error) if error::is_forbidden(&error) => self.cluster.delete_pod(pod).await,
                outcome => outcome,
            }
        };
        let Err(error) = outcome else { return Ok(None) };
        if let Some(why) = error::guarded(&error) {
            return Ok(Some(why.to_owned()));
        }
        let what = format!("{error:#} Pod {name} stays as it was.");
        let (topic, with) = if error::is_forbidden(&error) {
            (Topic::Forbidden, " with the needed right")
        } else {
            (exit::topic(&error).unwrap_or(Topic::Rejected), "")
        };
        let hint = format!(
            "Its controller does not replace it; delete it{with}: `{}`.",
            delete_pods(found)
        );
        Err(Failure::no(topic, what, hint).into())
    }
}

/// The error for a new Pod that was not emptied, or was.
fn came_wrong(found: &LiveObject, form: Form, rest: &str) -> Failure {
    let state = if form == Form::Emptied { "is not emptied" } else { "is still emptied" };
    let what = format!("{}: a new Pod {state}.", found.shown());
    let hint = if form == Form::Emptied {
        "No webhook or policy changes the Pods of this namespace as expected; run `diyadm check`."
    } else {
        "Something still empties the Pods of this namespace: see `kubectl get \
         mutatingwebhookconfigurations,mutatingadmissionpolicies`."
    };
    Failure::no(Topic::EmptiedAgain, what, format!("{hint} {rest}").trim_end())
}

/// The command that deletes the workload's Pods.
fn delete_pods(found: &LiveObject) -> String {
    let selector = pods::label_selector(&found.object["spec"]["selector"]);
    format!("kubectl -n {} delete pods -l {}", found.namespace, exit::quoted(&selector))
}

fn uid(pod: &Value) -> String {
    pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::REPLICA_SET;

    #[test]
    fn hint_to_delete_pods_has_the_whole_selector() {
        let command = |selector: Value| {
            delete_pods(&LiveObject {
                kind: &REPLICA_SET,
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
                object: json!({ "spec": { "selector": selector } }).into(),
            })
        };
        assert_eq!(
            command(json!({ "matchLabels": { "app": "web" } })),
            "kubectl -n shop delete pods -l app=web"
        );
        let expression = json!({ "key": "tier", "operator": "In", "values": ["a", "b"] });
        assert_eq!(
            command(json!({
                "matchLabels": { "app": "web" },
                "matchExpressions": [expression],
            })),
            "kubectl -n shop delete pods -l 'app=web,tier in (a,b)'"
        );
    }
}
